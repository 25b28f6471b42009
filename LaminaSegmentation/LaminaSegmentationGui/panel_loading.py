"""Loading the parts of the panel that have a file of their own."""

from pathlib import Path

import slicer

_UI = Path(__file__).parents[1] / "Resources" / "UI"


def loadInto(section, name):
    """Load a file of ``Resources/UI`` into a collapsible section; return its widgets by name.

    Parameters
    ----------
    section : ctkCollapsibleButton
        With a layout.
    name : str
        The file without its extension.
    """
    widget = slicer.util.loadUI(str(_UI / f"{name}.ui"))
    section.layout().addWidget(widget)
    return slicer.util.childWidgetVariables(widget)
