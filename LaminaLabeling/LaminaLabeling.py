"""The list of laminae of a scan: the module that Slicer loads.

This file declares and wires. What a list of laminae is, and how it is kept in a markups node, is in
``LaminaLabelingLib``.
"""

import qt
import slicer
import vtk
from slicer import vtkMRMLMarkupsFiducialNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups import from_node, to_node


class LaminaLabeling(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lamina Labeling")
        self.parent.categories = ["Ultrasound"]
        self.parent.dependencies = ["Markups"]
        self.parent.contributors = ["The LaminaUltrasound developers"]
        self.parent.helpText = _(
            "Lists the laminae of a scan of the spine: where each one is, whether a person has reviewed it, where its "
            "position comes from and how certain it is. Click a row to see the lamina in the slice views."
        )
        self.parent.acknowledgementText = ""  # Slicer's default thanks others


@parameterNodeWrapper
class LaminaLabelingParameterNode:
    """The settings; they are saved with the scene.

    laminae - the point list that is shown.
    """

    laminae: vtkMRMLMarkupsFiducialNode


class LaminaLabelingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: a table of the chosen list."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._observedList = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LaminaLabeling.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = LaminaLabelingLogic()
        # One of many points moved, say: the table is filled once when the event loop comes round, not 34 times.
        self._refresh = qt.QTimer()
        self._refresh.setSingleShot(True)
        self._refresh.setInterval(0)
        self._refresh.timeout.connect(self.fillTable)
        header = self.ui.laminaTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)
        self.ui.laminaTable.cellClicked.connect(self.onCellClicked)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        self._refresh.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.laminae:
            self._parameterNode.laminae = self.logic.latestList()

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self.onParameterNodeModified()

    def onParameterNodeModified(self, caller=None, event=None):
        """Watch the list that is chosen now, and no other."""
        markupsNode = self._parameterNode.laminae if self._parameterNode else None
        if markupsNode is not self._observedList:
            for watched, observe in ((self._observedList, self.removeObserver), (markupsNode, self.addObserver)):
                for listEvent in self.logic.listEvents(watched) if watched is not None else ():
                    observe(watched, listEvent, self.onListModified)
            self._observedList = markupsNode
        self._refresh.start()

    def onListModified(self, caller=None, event=None):
        self._refresh.start()

    def fillTable(self):
        table, markupsNode = self.ui.laminaTable, self._observedList
        table.setRowCount(0)
        self.ui.summaryLabel.setText("")
        if markupsNode is None:
            return
        try:
            rows = self.logic.rows(markupsNode)
        except LaminaError as error:  # any point list can be chosen: not a failure, but a sentence
            self.ui.summaryLabel.setText(str(error))
            return
        table.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        self.ui.summaryLabel.setText(self.logic.summary(markupsNode))

    def onCellClicked(self, row, column):
        with slicer.util.tryWithErrorDisplay(_("The lamina could not be shown.")):
            self.logic.jumpTo(self._observedList, self.ui.laminaTable.item(row, 0).text())


class LaminaLabelingLogic(ScriptedLoadableModuleLogic):
    """Reads the laminae of point lists. Everything the panel does can be done with it from a script."""

    def getParameterNode(self):
        return LaminaLabelingParameterNode(super().getParameterNode())

    @staticmethod
    def listEvents(markupsNode):
        """Return the events after which a list may read differently."""
        return (
            vtk.vtkCommand.ModifiedEvent,
            markupsNode.PointModifiedEvent,
            markupsNode.PointAddedEvent,
            markupsNode.PointRemovedEvent,
            markupsNode.PointPositionDefinedEvent,
            markupsNode.PointPositionUndefinedEvent,
            markupsNode.PointPositionMissingEvent,
        )

    def latestList(self):
        """Return the point list of laminae that was added last, or None."""
        for markupsNode in reversed(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")):
            try:
                if len(from_node(markupsNode).positions()) > 0:
                    return markupsNode
            except LaminaError:
                continue  # another kind of list
        return None

    def rows(self, markupsNode):
        """Return a row for each lamina: name, position in the world (R, A, S in mm), review, source, confidence.

        Raises LaminaError if the list holds something else than laminae.
        """
        rows = []
        for index, lamina in enumerate(self._inListOrder(markupsNode)):
            position = [0.0, 0.0, 0.0]
            markupsNode.GetNthControlPointPositionWorld(index, position)
            where = ", ".join(f"{round(value, 1) + 0.0:.1f}" for value in position)  # + 0.0 turns -0.0 into 0.0
            source = _("suggested") if lamina.is_suggested else str(lamina.source or "")
            confidence = "" if lamina.confidence is None else f"{lamina.confidence:.2f}"
            rows.append((lamina.name, where if lamina.position else "", str(lamina.review), source, confidence))
        return rows

    def summary(self, markupsNode):
        """Return how many laminae of the list have a position, in a sentence."""
        laminae = from_node(markupsNode)
        found = len(laminae.positions())
        suggested = sum(lamina.is_suggested for lamina in laminae.values())
        text = _("{found} of {total} laminae have a position").format(found=found, total=len(laminae))
        return text + (_(", {suggested} of them suggested.").format(suggested=suggested) if suggested else ".")

    @staticmethod
    def replaceOnScan(volumeNode, *nodes):
        """Put new markups nodes under their scan in the subject hierarchy, and hide the scan's earlier ones."""
        for node in slicer.util.getNodesByClass("vtkMRMLMarkupsNode"):
            if node.GetNodeReference("LaminaScan") is volumeNode and node not in nodes:
                node.SetDisplayVisibility(False)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        parent = hierarchy.GetItemByDataNode(volumeNode) if hierarchy else 0
        for node in nodes:
            node.SetNodeReferenceID("LaminaScan", volumeNode.GetID())
            if parent and hierarchy.GetItemByDataNode(node):
                hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), parent)

    @staticmethod
    def style(markupsNode, curveNode=None):
        """Give a list of laminae, and the curve of the spinous column, their colors and sizes.

        Laminae lie at very different depths, so that a coronal slice meets only a few: coronal views show all of them.
        """
        markupsNode.CreateDefaultDisplayNodes()
        display = markupsNode.GetDisplayNode()
        display.SetSelectedColor(0.25, 0.95, 0.55)
        display.SetColor(1.0, 0.65, 0.1)  # suggested laminae are not selected
        display.SetGlyphScale(1.6)
        display.SetTextScale(2.2)
        projectInCoronalViews(markupsNode)
        if curveNode is not None:
            curveNode.CreateDefaultDisplayNodes()
            display = curveNode.GetDisplayNode()
            display.SetSelectedColor(0.35, 0.75, 1.0)
            display.SetGlyphScale(0.5)
            display.SetPointLabelsVisibility(False)
            display.SetPropertiesLabelVisibility(False)
            projectInCoronalViews(curveNode)
            curveNode.SetLocked(True)

    @staticmethod
    def show(markupsNode, volumeNode):
        """Show a list on its scan in the slice views, jump to its first lamina, and make it the active list."""
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
        logic = slicer.modules.markups.logic()
        logic.SetActiveList(markupsNode)
        for index in range(markupsNode.GetNumberOfControlPoints()):
            if markupsNode.GetNthControlPointPositionStatus(index) == markupsNode.PositionDefined:
                logic.JumpSlicesToNthPointInMarkup(markupsNode.GetID(), index, False)
                break

    def jumpTo(self, markupsNode, name):
        """Move all slice views to the lamina ``name``; raise LaminaError if it has no position."""
        lamina = from_node(markupsNode).get(name)
        if lamina is None or lamina.position is None:
            raise LaminaError(_("{name} has no position to jump to.").format(name=name))
        index = markupsNode.GetControlPointIndexByLabel(name)
        slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(markupsNode.GetID(), index, False)

    @staticmethod
    def _inListOrder(markupsNode):
        laminae = from_node(markupsNode)
        count = markupsNode.GetNumberOfControlPoints()
        return [laminae[markupsNode.GetNthControlPointLabel(index)] for index in range(count)]


def projectInCoronalViews(markupsNode):
    """Show the points that lie off the slice in the coronal views too, fainter, by a second display node for these."""
    coronal = [
        node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode") if node.GetOrientation() == "Coronal"
    ]
    if not coronal:
        return
    main = markupsNode.GetDisplayNode()
    projected = slicer.mrmlScene.AddNewNodeByClass(main.GetClassName())
    projected.CopyContent(main)
    projected.SetSliceProjection(True)
    projected.SetSliceProjectionUseFiducialColor(True)
    projected.SetSliceProjectionOpacity(0.8)
    for viewId in coronal:
        projected.AddViewNodeID(viewId)
    markupsNode.AddAndObserveDisplayNodeID(projected.GetID())


class LaminaLabelingTest(ScriptedLoadableModuleTest):
    """The self-test, from the module's menu in developer mode or with ctest."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            getattr(self, name)()
        self.delayDisplay(_("LaminaLabeling passed its tests."))

    def listOfTwo(self):
        markupsNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "scan laminae")
        left = Lamina("T6L", (-9.0, 20.0, 100.0), "unreviewed", "detected", 0.875)
        right = Lamina("T6R", (9.0, 20.0, 100.0), "unreviewed", "inferred", 0.25)
        to_node(LaminaSet(laminae=[left, right]), markupsNode)
        return markupsNode

    def test_listsEverySlot(self):
        rows = LaminaLabelingLogic().rows(self.listOfTwo())
        self.assertEqual(len(rows), 34)
        self.assertEqual(rows[10], ("T6L", "-9.0, 20.0, 100.0", "unreviewed", "detected", "0.88"))
        self.assertEqual(rows[11], ("T6R", "9.0, 20.0, 100.0", "unreviewed", "suggested", "0.25"))
        self.assertEqual(rows[12], ("T7L", "", "unset", "", ""))

    def test_findsTheLatestList(self):
        logic = LaminaLabelingLogic()
        self.assertIsNone(logic.latestList())
        laminae = self.listOfTwo()
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
        other.AddControlPoint([1.0, 2.0, 3.0], "left ear")
        self.assertIs(logic.latestList(), laminae)

    def test_refusesToJumpNowhere(self):
        markupsNode = self.listOfTwo()
        LaminaLabelingLogic().jumpTo(markupsNode, "T6R")
        self.assertRaises(LaminaError, LaminaLabelingLogic().jumpTo, markupsNode, "T7L")
