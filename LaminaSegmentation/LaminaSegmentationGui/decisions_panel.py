"""The part of the panel that says why laminae are suggested, and why echoes were left out."""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LaminaLabelingGui import appearance, scan_nodes
from LaminaLabelingGui.decision_nodes import decisionsOf
from LaminaLabelingGui.panel_tools import fillTable, prepareTable
from LaminaLabelingGui.slot_grid import COLORS
from LaminaLabelingGui.views import LabelingViews
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Source
from LaminaLabelingLib.markups import from_node

_WARNING_STYLE = (
    "color: #7a0018; background: #fde7ea; border: 1px solid #b00020; border-radius: 3px; padding: 4px; "
    "font-weight: bold"
)
_MARKER_COLOR, _MARKER_SCALE, _MARKER_TEXT_SCALE = (1.0, 0.3, 0.3), 2.4, 2.6
_WHAT, _WHY = 0, 1
_MOST_ROWS_HEIGHT = 240


class DecisionsPanel(VTKObservationMixin):
    """Lists the decisions about a result, goes to their places, and warns of a result that is not reliable.

    Parameters
    ----------
    ui : namespace of widgets
    """

    def __init__(self, ui):
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self._list = self._marker = None
        self._places = []
        ui.unreliableLabel.setStyleSheet(_WARNING_STYLE)
        table = ui.decisionsTable
        prepareTable(table, [_("What"), _("Why"), _("Confidence")])
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(_WHY, qt.QHeaderView.Stretch)
        table.cellClicked.connect(lambda row, column: self.goTo(row))
        ui.decisionsCollapsibleButton.contentsCollapsed.connect(self.onCollapsed)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)

    def cleanup(self):
        """Forget the scene: the panel is taken away."""
        self.show(None)
        self.removeObservers()

    def show(self, markupsNode):
        """Show the decisions about a list of laminae; nothing for None, and where nothing is to be told."""
        self._list = markupsNode
        self.update()

    def update(self):
        """Show what is known now: the list may have been renumbered, edited or removed meanwhile."""
        self.unmark()
        if self._list is not None and self._list.GetScene() is None:
            self._list = None
        ui, decisions = self.ui, decisionsOf(self._list)
        suggested = [] if self._list is None else _suggested(self._list, decisions)
        leftOut = sorted(decisions.left_out, key=lambda decision: -self._world(decision.position)[2])
        self._places = [lamina.position for lamina, _why in suggested] + [decision.position for decision in leftOut]
        rows = [(lamina.name, why, _confidence(lamina)) for lamina, why in suggested]
        rows += [(_("left out"), decision.why, "") for decision in leftOut]
        fillTable(ui.decisionsTable, rows)
        for row in range(len(suggested)):
            ui.decisionsTable.item(row, _WHAT).setForeground(qt.QBrush(qt.QColor(COLORS[Source.inferred])))
        ui.decisionsTable.clearSelection()
        self._fit()
        title = _("Suggested: {suggested}, left out: {left}").format(suggested=len(suggested), left=len(leftOut))
        ui.decisionsCollapsibleButton.setText(title)
        ui.decisionsCollapsibleButton.setVisible(bool(rows))
        ui.unreliableLabel.setVisible(not decisions.reliable)

    def onCollapsed(self, collapsed):
        """Take the mark away with the rows, or give the rows their height, which they have once they are seen."""
        if collapsed:
            self.ui.decisionsTable.clearSelection()
            self.unmark()
        else:
            self._fit()

    def _fit(self):
        """Make the table as high as its rows, up to a limit."""
        table = self.ui.decisionsTable
        table.resizeRowsToContents()
        rows = sum(table.rowHeight(row) for row in range(table.rowCount))
        height = table.horizontalHeader().height + rows + 2 * table.frameWidth
        table.setFixedHeight(min(height, _MOST_ROWS_HEIGHT))

    def onNodeRemoved(self, caller, event):
        """Show nothing of a result that was removed."""
        if self._list is not None and self._list.GetScene() is None:
            self.update()

    # Places

    def goTo(self, row):
        """Show the place of a row in all slice views; one where no lamina is gets a mark."""
        if self._list is None or row >= len(self._places):
            return
        place = self._world(self._places[row])
        self.unmark()
        if row >= len(self._places) - len(decisionsOf(self._list).left_out):
            self._mark(place)
        LabelingViews().jump(place)

    def _world(self, position):
        return scan_nodes.pointToWorld(self._list, position)

    def _mark(self, place):
        """Show a place by a point that no editor shows and no scene keeps."""
        self._marker = appearance.addHidden("vtkMRMLMarkupsFiducialNode", _("left out"))
        self._marker.AddControlPoint(list(place), _("left out"))
        appearance.styleReadOnly(self._marker, _MARKER_COLOR)
        for index in range(self._marker.GetNumberOfDisplayNodes()):
            display = self._marker.GetNthDisplayNode(index)
            display.SetSaveWithScene(False)
            display.SetPointLabelsVisibility(True)
            display.SetGlyphType(display.ThickCross2D)
            display.SetGlyphScale(_MARKER_SCALE)
            display.SetTextScale(_MARKER_TEXT_SCALE)

    def unmark(self):
        """Take the mark away."""
        if not slicer.mrmlScene.IsClosing():  # else the scene takes it away
            appearance.removeList(self._marker)
        self._marker = None


def _suggested(markupsNode, decisions):
    """Return the laminae of a list that are still where they were suggested, each with its reason."""
    try:
        laminae = from_node(markupsNode)
    except LaminaError:  # somebody has made another list of it
        return []
    reasons = ((lamina, decisions.why(lamina)) for lamina in laminae.values())
    return [(lamina, why) for lamina, why in reasons if why]


def _confidence(lamina):
    return "" if lamina.confidence is None else f"{lamina.confidence:.2f}"
