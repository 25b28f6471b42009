"""``qt.QUiLoader`` that knows the CTK and qMRML widgets and connects their MRML signals."""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .ctk_widgets import ctkCollapsibleButton
from .errors import NotImitatedError
from .mrml_widgets import qMRMLNodeComboBox, qMRMLWidget

_CUSTOM_WIDGETS = (ctkCollapsibleButton, qMRMLNodeComboBox, qMRMLWidget)


class SlicerUiLoader(QtUiTools.QUiLoader):
    """Loads a .ui file as Slicer does.

    The connections of the file are made here, one by one: those between MRML widgets carry C++ types that Qt's own
    loader could not match, since the widgets are written in Python.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        for cls in _CUSTOM_WIDGETS:
            self.registerCustomWidget(cls)

    def load(self, device, parent=None):
        """Return the widget described by the open ``device`` (a ``QFile``)."""
        root = ElementTree.fromstring(bytes(device.readAll().data()))
        known = {cls.__name__ for cls in _CUSTOM_WIDGETS}
        unknown = {element.text for element in root.iterfind("customwidgets/customwidget/class")} - known
        if unknown:
            raise NotImitatedError(f"SlicerHost does not imitate the widgets {sorted(unknown)}.")
        connections = [
            [element.findtext(part) for part in ("sender", "signal", "receiver", "slot")]
            for element in root.iterfind("connections/connection")
        ]
        for element in root.findall("connections"):
            root.remove(element)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root, encoding="utf-8"))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        for sender, signal, receiver, slot in connections:
            target = getattr(_find(widget, receiver), slot.partition("(")[0])
            _find(widget, sender).connect(signal, target)
        return widget


def _find(root, name):
    """Return ``root`` or its descendant with the object name ``name``."""
    found = root if root.objectName == name else root.findChild(QtWidgets.QWidget, name)
    if found is None:
        raise ValueError(f"The .ui file connects a widget {name} that it does not contain.")
    return found
