"""The parts of the module, each imported when it is used first."""

from LaminaLabelingGui.lazy import lazyParts

__getattr__, later = lazyParts(
    __package__,
    {
        "BatchPanel": "batch_panel",
        "BatchWork": "batch_work",
        "Installation": "installation",
        "Models": "models",
        "PreviewPanel": "preview_panel",
        "PreviewWork": "preview_work",
        "SegmentPanel": "segment_panel",
        "SegmentWork": "segment_work",
        "SettingsPanel": "settings_panel",
        "TrainPanel": "train_panel",
        "TrainWork": "train_work",
    },
)
