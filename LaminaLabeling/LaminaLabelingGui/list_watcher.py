"""Notices when somebody else than the panel changes the point list: a drag, or Slicer's own tools."""

import qt
from slicer.util import VTKObservationMixin

from LaminaLabelingGui.session import listEvents


class ListWatcher(VTKObservationMixin):
    """Calls back once after a change of the list, however many events it took, and not in the middle of a drag.

    Parameters
    ----------
    session : LabelingSession
        Whose own changes are not reported.
    onChanged : callable
        Called without arguments from the event loop.
    """

    def __init__(self, session, onChanged):
        VTKObservationMixin.__init__(self)
        self._session = session
        self._node = None
        self._dragging = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(onChanged)

    def watch(self, node):
        """Watch a list instead of the former one; None watches nothing."""
        if node is self._node:
            return
        self._timer.stop()
        self._dragging = False
        self.removeObservers()
        self._node = node
        if node is not None:
            for event in listEvents(node):
                self.addObserver(node, event, self._onEvent)
            self.addObserver(node, node.PointStartInteractionEvent, self._onDragBegun)
            self.addObserver(node, node.PointEndInteractionEvent, self._onDragEnded, priority=1.0)

    def _onDragBegun(self, caller, event):
        self._dragging = True

    def _onDragEnded(self, caller, event):
        self._dragging = False

    def _onEvent(self, caller, event):
        if not self._session.isWriting and not self._dragging:
            self._timer.start()
