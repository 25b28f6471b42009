"""The parts of the module, each imported when it is used first: Slicer's start must not wait for any of them."""

import importlib

_FILES = {
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
}


def __getattr__(name):
    """Import a class of the package by its name."""
    if name in _FILES:
        return getattr(importlib.import_module(f"{__package__}.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def later(file, name):
    """Return a static method that calls a function of a file of the package, which is imported at the first call."""

    def call(*arguments, **options):
        return getattr(importlib.import_module(f"{__package__}.{file}"), name)(*arguments, **options)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"See ``{__package__}.{file}.{name}``."
    return staticmethod(call)
