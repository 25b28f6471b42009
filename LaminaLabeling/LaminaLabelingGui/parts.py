"""The parts of the module, each imported when it is used first."""

from LaminaLabelingGui.lazy import lazyParts

__getattr__, later = lazyParts(
    __package__,
    {
        "AgreementPanel": "agreement_panel",
        "AgreementWork": "agreement_work",
        "CasePanel": "case_panel",
        "CaseWork": "case_work",
        "CurvePanel": "curve_panel",
        "EditPanel": "edit_panel",
        "LabelingSession": "session",
        "LabelingViews": "views",
        "ScanPanel": "scan_panel",
        "Shortcuts": "shortcuts",
        "onStartup": "startup",
        "appearance": "appearance",
        "decision_nodes": "decision_nodes",
        "lists": "lists",
        "sample_data": "sample_data",
        "self_tests": "self_tests",
    },
)
