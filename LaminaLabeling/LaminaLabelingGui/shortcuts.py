"""The keyboard: everything that the panel does, while it is shown."""

import qt
import slicer
from slicer.i18n import tr as _

KEYS = (
    ("place", ("P",), lambda: _("Click to place: on or off")),
    ("placeHere", ("Space",), lambda: _("Place the lamina where the three views meet")),
    ("skip", ("S",), lambda: _("Skip to the next empty slot")),
    ("absent", ("X",), lambda: _("Mark as absent")),
    ("unset", ("Del", "Backspace"), lambda: _("Empty the slot")),
    ("next", ("PgDown",), lambda: _("Next slot")),
    ("previous", ("PgUp",), lambda: _("Previous slot")),
    ("otherSide", ("O",), lambda: _("The other side of the vertebra")),
    ("up", ("Up",), lambda: _("Move up by a voxel, in the view under the mouse")),
    ("down", ("Down",), lambda: _("Move down by a voxel")),
    ("left", ("Left",), lambda: _("Move to the left by a voxel")),
    ("right", ("Right",), lambda: _("Move to the right by a voxel")),
    ("deeper", ("Ctrl+Up",), lambda: _("Move deeper by a voxel, away from the probe")),
    ("shallower", ("Ctrl+Down",), lambda: _("Move towards the probe by a voxel")),
    ("snap", ("B",), lambda: _("Snap to bone: on or off")),
    ("accept", ("Return", "Enter"), lambda: _("Accept, and go to the next to review")),
    ("reject", ("R",), lambda: _("Reject the position")),
    ("nextToReview", ("N",), lambda: _("Next to review: doubtful and lumbar ones first")),
    ("undo", ("Ctrl+Z",), lambda: _("Undo")),
    ("redo", ("Ctrl+Y", "Ctrl+Shift+Z"), lambda: _("Redo")),
    ("undoSlot", ("Ctrl+Alt+Z",), lambda: _("Undo the last change of this slot only")),
    ("protect", ("L",), lambda: _("Lock against accidental moves: on or off")),
    ("fit", ("F",), lambda: _("Show the whole scan")),
    ("save", ("Ctrl+Shift+S",), lambda: _("Save the case")),
    ("nextCase", ("Ctrl+PgDown",), lambda: _("Next case")),
    ("previousCase", ("Ctrl+PgUp",), lambda: _("Previous case")),
    ("nextUnfinished", ("Ctrl+Shift+PgDown",), lambda: _("Next unfinished case")),
    ("help", ("F1", "?"), lambda: _("This list")),
)
"""Name of the action, its keys, and what it does. Ctrl+S is Slicer's own."""

# Controls that use keys themselves. Asked by name: PythonQt's classes do not inherit from each other.
_INPUTS = ("QLineEdit", "QAbstractSpinBox", "QComboBox", "QTextEdit", "QPlainTextEdit")
_SLIDER = "QAbstractSlider"
_ARROWS = ("up", "down", "left", "right")


class Shortcuts:
    """The keys, which live only while the module is shown, and leave a control alone that has the keyboard.

    A shortcut of the main window would take Enter, arrows and page keys away from a text, a number or a slider that is
    being set. So all keys without Ctrl are switched off while such a control has the focus; of a slider, such as those
    of the slice views, which keep the focus after a click, the arrows only.

    Parameters
    ----------
    actions : dict of str to callable
        By the names in `KEYS`; every name must be there.
    """

    def __init__(self, actions):
        self._actions = actions
        self._shortcuts = []
        self._plain = []

    def install(self):
        """Make the keys work. Nothing happens without a main window."""
        window = slicer.util.mainWindow()
        if window is None or self._shortcuts:
            return
        for name, keys, _text in KEYS:
            for key in keys:
                shortcut = qt.QShortcut(window)
                shortcut.setKey(qt.QKeySequence(key))
                shortcut.activated.connect(self._actions[name])
                self._shortcuts.append(shortcut)
                if "Ctrl" not in key:
                    self._plain.append((name, shortcut))
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        self._onFocusChanged(None, qt.QApplication.focusWidget())

    def remove(self):
        """Give the keys back to Slicer."""
        if not self._shortcuts:
            return
        slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        shortcuts, self._shortcuts, self._plain = self._shortcuts, [], []
        for shortcut in shortcuts:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()

    def _onFocusChanged(self, old, new):
        takesKeys = new is not None and any(new.inherits(kind) for kind in _INPUTS)
        takesArrows = new is not None and new.inherits(_SLIDER)
        for name, shortcut in self._plain:
            shortcut.setEnabled(not takesKeys and not (takesArrows and name in _ARROWS))


def cheatSheet():
    """Return the keys as an HTML table."""
    rows = "".join(
        f"<tr><td><b>{' '.join(keys)}</b>&nbsp;&nbsp;</td><td>{describe()}</td></tr>" for _name, keys, describe in KEYS
    )
    return f"<table>{rows}</table>"
