"""Clicks in the views that place laminae."""

import qt
import slicer
from slicer.i18n import tr as _


class Placing:
    """Lets the user click in any view, and hands over the position.

    The clicks go to a list of one's own that nobody sees, not to the list of laminae. Slicer's place mode would fill
    the next empty slot of a list whenever the chosen one is placed already, and stop with the last one; here every
    click is the chosen slot's, and the list of laminae changes by edits only.

    Parameters
    ----------
    onPlaced : callable
        Called with the position in the world, from the event loop and not from inside the view's own event.
    onStopped : callable
        Called without arguments when place mode has ended otherwise: by a right click or another tool.
    """

    def __init__(self, onPlaced, onStopped):
        self._onPlaced = onPlaced
        self._onStopped = onStopped
        self._node = None
        self._tags = []
        self._active = False
        self._before = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._takeClicks)

    @property
    def isActive(self):
        """Whether a click in a view places a lamina now."""
        return self._active

    def start(self, label):
        """Begin, or go on with another label at the mouse."""
        selection, interaction = self._selectionNode(), self._interactionNode()
        if self._before is None:  # before our list is made, which Slicer makes the active one at once
            self._before = (
                selection.GetActivePlaceNodeClassName(),
                selection.GetActivePlaceNodeID(),
                interaction.GetPlaceModePersistence(),
            )
        self._makeNode()
        self._node.SetControlPointLabelFormat(label)
        for index in range(self._node.GetNumberOfControlPoints()):  # the preview that follows the mouse
            self._node.SetNthControlPointLabel(index, label)
        if self._active:
            return
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SetPlaceModePersistence(1)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self._active = True

    def stop(self):
        """End place mode and take the hidden list away."""
        self._timer.stop()
        self._active = False
        before, self._before = self._before, None
        if before is not None and self._isOurs():
            className, nodeId, persistence = before
            selection, interaction = self._selectionNode(), self._interactionNode()
            interaction.SetPlaceModePersistence(persistence)
            if interaction.GetCurrentInteractionMode() == interaction.Place:
                interaction.SetCurrentInteractionMode(interaction.ViewTransform)
            if className and nodeId and slicer.mrmlScene.GetNodeByID(nodeId):
                selection.SetReferenceActivePlaceNodeClassName(className)
                selection.SetActivePlaceNodeID(nodeId)
            else:
                selection.SetActivePlaceNodeID(None)
        self._removeNode()

    def _isOurs(self):
        """Whether it is still our list that clicks go to, and not that of another tool."""
        selection = self._selectionNode()
        return self._node is not None and selection.GetActivePlaceNodeID() == self._node.GetID()

    @staticmethod
    def _selectionNode():
        return slicer.app.applicationLogic().GetSelectionNode()

    @staticmethod
    def _interactionNode():
        return slicer.app.applicationLogic().GetInteractionNode()

    def _makeNode(self):
        if self._node is not None and self._node.GetScene() is not None:
            return
        self._removeNode()
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
        node.UnRegister(None)
        node.SetName(_("lamina to place"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(1.0, 1.0, 0.3)
        display.SetActiveColor(1.0, 1.0, 0.3)
        display.SetGlyphScale(1.6)
        display.SetTextScale(3.0)
        self._node = node
        interaction, selection = self._interactionNode(), self._selectionNode()
        self._tags = [
            (node, node.AddObserver(node.PointPositionDefinedEvent, lambda *_args: self._timer.start())),
            (interaction, interaction.AddObserver(interaction.InteractionModeChangedEvent, self._onToolChanged)),
            (selection, selection.AddObserver(selection.ActivePlaceNodeIDChangedEvent, self._onToolChanged)),
        ]

    def _removeNode(self):
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._tags = []
        node, self._node = self._node, None
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def _onToolChanged(self, caller, event):
        """Notice a right click, which ends place mode, and another tool that takes the clicks.

        Not at once: Slicer gives the clicks to every point list that is added, and `appearance.addHidden` back.
        """
        if self._active:
            qt.QTimer.singleShot(0, self._checkTool)

    def _checkTool(self):
        interaction = self._interactionNode()
        if self._active and (interaction.GetCurrentInteractionMode() != interaction.Place or not self._isOurs()):
            self._active = False
            self._takeClicks()  # one may have been made just before
            self.stop()
            self._onStopped()

    def _takeClicks(self):
        """Hand over the points that were clicked and remove them, but not the preview under the mouse."""
        node = self._node
        if node is None:
            return
        clicked = []
        for index in reversed(range(node.GetNumberOfControlPoints())):
            if node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
                position = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(index, position)
                clicked.insert(0, tuple(position))
                node.RemoveNthControlPoint(index)
        for position in clicked:
            self._onPlaced(position)
