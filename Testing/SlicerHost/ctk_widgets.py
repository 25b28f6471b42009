"""The module ``ctk``: the few CTK widgets that the extension uses."""

import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets

from .errors import not_imitated

_HEADER = 24


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled box that folds its content away: https://commontk.org (ctkCollapsibleButton)."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text = ""
        self._collapsed = False
        self.setContentsMargins(0, _HEADER, 0, 0)
        self.setMinimumHeight(_HEADER)

    def _set_text(self, text):
        self._text = text
        self.update()

    def _set_collapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        # The content is clipped, not hidden: hidden children could not be told from those that the module hides.
        self.setMaximumHeight(_HEADER if collapsed else QtWidgets.QWidget().maximumHeight)
        self.update()
        self.contentsCollapsed.emit(collapsed)

    text = QtCore.Property(str, lambda self: self._text, _set_text)
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)

    def setText(self, text):
        self._set_text(text)

    def setCollapsed(self, collapsed):
        self._set_collapsed(collapsed)

    def mousePressEvent(self, event):
        if event.position().y() < _HEADER:
            self._set_collapsed(not self._collapsed)

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        palette = self.palette
        header = QtCore.QRectF(0.5, 0.5, self.width - 1, _HEADER - 3)
        painter.setPen(palette.mid().color())
        painter.setBrush(palette.button().color().darker(104))
        painter.drawRoundedRect(header, 3, 3)
        painter.setPen(palette.buttonText().color())
        painter.drawText(header.adjusted(24, 0, 0, 0), QtCore.Qt.AlignVCenter, self._text)
        painter.setBrush(palette.buttonText().color())
        middle = header.center().y()
        points = [(-4, -2), (4, -2), (0, 3)] if not self._collapsed else [(-2, -4), (-2, 4), (3, 0)]
        painter.drawPolygon([QtCore.QPointF(12 + x, middle + y) for x, y in points])
        painter.end()


class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box. CTK's "don't show again" is not imitated."""

    def __getattr__(self, name):
        raise not_imitated("ctkMessageBox", name)


def install_ctk():
    """Create the module ``ctk``."""
    ctk = types.ModuleType("ctk", "CTK widgets (imitated).")
    ctk.ctkCollapsibleButton = ctkCollapsibleButton
    ctk.ctkMessageBox = ctkMessageBox
    ctk.__getattr__ = lambda name: (_ for _ in ()).throw(not_imitated("ctk", name))
    sys.modules["ctk"] = ctk
    return ctk
