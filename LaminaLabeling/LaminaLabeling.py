"""Places, reviews and compares the laminae of a scan: the module that Slicer loads.

This file declares and wires. What laminae are and how they are checked, stored and compared is in
``LaminaLabelingLib``; the parts of the panel are in ``LaminaLabelingGui``.
"""

from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from LaminaLabelingGui import appearance, sample_data
from LaminaLabelingGui.agreement_panel import AgreementPanel
from LaminaLabelingGui.agreement_work import AgreementWork
from LaminaLabelingGui.case_panel import CasePanel
from LaminaLabelingGui.case_work import CaseWork
from LaminaLabelingGui.edit_panel import EditPanel
from LaminaLabelingGui.scan_nodes import SCAN_REFERENCE
from LaminaLabelingGui.scan_panel import ScanPanel
from LaminaLabelingGui.session import LabelingSession
from LaminaLabelingGui.shortcuts import Shortcuts
from LaminaLabelingGui.views import SLAB_TYPES, LabelingViews
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.guidance import ORDERS
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
            "Marks the laminae of the vertebrae in 3D ultrasound scans of the spine, by hand or starting from what "
            "Lamina Segmentation has found, in coronal, sagittal and axial views; checks them, goes through a folder "
            "of scans, and compares raters. F1 shows the keys."
        )
        self.parent.acknowledgementText = ""  # Slicer's default thanks others
        slicer.app.connect("startupCompleted()", sample_data.register)


@parameterNodeWrapper
class LaminaLabelingParameterNode:
    """The settings; they are saved with the scene.

    laminae - the point list that is edited.
    scan - the volume that it belongs to.
    order - the order in which empty slots follow each other.
    lock - whether points are protected against the mouse.
    snap - whether a click is moved to the bone surface next to it.
    follow - whether the views move on to the next slot.
    fromBehind - whether the coronal view shows the patient's left on the left.
    slabThickness, slabType - what the coronal view shows; mm.
    acceptThreshold - confidence from which laminae are accepted together.
    """

    laminae: vtkMRMLMarkupsFiducialNode
    scan: vtkMRMLScalarVolumeNode
    order: Annotated[str, Choice(list(ORDERS))] = ORDERS[0]
    lock: bool = True
    snap: bool = False
    follow: bool = True
    fromBehind: bool = False
    slabThickness: float = 16.0
    slabType: Annotated[str, Choice(list(SLAB_TYPES))] = SLAB_TYPES[0]
    acceptThreshold: float = 0.9


class LaminaLabelingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: makes its parts and keeps them, the parameter node and the scene together."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LaminaLabeling.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = logic = LaminaLabelingLogic()
        self.views = LabelingViews()
        settings = lambda: self._parameterNode  # noqa: E731 - the node changes with the scene
        self.editPanel = EditPanel(self.ui, logic.session, self.views, settings)
        self.scanPanel = ScanPanel(self.ui, logic.session, logic.cases, self.views, settings)
        self.casePanel = CasePanel(self.ui, logic.session, logic.cases, self.onCaseOpened)
        self.agreementPanel = AgreementPanel(self.ui, logic.session, logic.agreement, self.views, self.onCaseOpened)
        self.shortcuts = Shortcuts({**self.editPanel.actions(), **self.casePanel.actions()})
        self.ui.newListButton.clicked.connect(self.onNewList)

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        self.initializeParameterNode()

    def cleanup(self):
        self.exit()
        self.logic.cases.closeFolder()
        self.removeObservers()

    def enter(self):
        self.views.show()
        self.shortcuts.install()
        self.initializeParameterNode()
        self.editPanel.enter()
        self.agreementPanel.refreshSources()

    def exit(self):
        self.editPanel.leave()
        self.shortcuts.remove()
        self.views.restore()
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.editPanel.leave()
        self.setParameterNode(None)
        self.logic.cases.forgetNodes()
        self.logic.session.close()

    def onSceneEndClose(self, caller, event):
        self.agreementPanel.scanChanged()
        self.casePanel.show()
        if self.parent.isEntered:
            self.views.showAgain()
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        """Choose a scan that is loaded while there is none; once its voxels are there."""
        if self._parameterNode and not self._parameterNode.scan and node.IsA("vtkMRMLScalarVolumeNode"):
            qt.QTimer.singleShot(0, self.chooseMissing)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """Let go of a list or scan that somebody removes; the draft of a case stays in its folder."""
        session = self.logic.session
        if node is session.listNode:
            self.editPanel.leave()
            session.close()
            self.casePanel.show()
            self.editPanel.enter()
        elif node is session.scanNode:
            session.scanNode = None

    # Settings

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        self.chooseMissing()

    def chooseMissing(self):
        """Choose a list and a scan where none is chosen."""
        settings = self._parameterNode
        if not settings:  # left in the meantime
            return
        if not settings.laminae:
            settings.laminae = self.logic.latestList()
        if not settings.scan:
            settings.scan = self.logic.scanOf(settings.laminae)

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
        """Work on the list and the scan that are chosen now, in the way that is set."""
        settings, session = self._parameterNode, self.logic.session
        if settings.laminae is not session.listNode and not self.logic.cases.isOpen:
            scanNode = self.logic.scanOf(settings.laminae)
            if scanNode is not None and scanNode is not settings.scan:
                settings.scan = scanNode  # comes back here with both
                return
            self._openList(settings.laminae)
        self._showScan(settings.scan)
        isCase = self.logic.cases.isOpen
        self.ui.scanSelector.setEnabled(not isCase)
        self.ui.laminaeSelector.setEnabled(not isCase)
        self.ui.newListButton.setEnabled(not isCase and settings.scan is not None)
        self.editPanel.applySettings(settings)
        self.scanPanel.applySettings(settings)

    def _openList(self, markupsNode):
        session = self.logic.session
        session.close()
        if markupsNode is not None:
            try:
                session.open(markupsNode, self._parameterNode.scan)
                appearance.projectInCoronalViews(markupsNode)
            except LaminaError as error:  # any point list can be chosen: not a failure, but a sentence
                session.problem = str(error)
        self.agreementPanel.scanChanged()
        self.editPanel.enter()

    def _showScan(self, volumeNode):
        self.logic.session.scanNode = volumeNode
        if volumeNode is not self.scanPanel.shownScan:
            self.scanPanel.showScan(volumeNode)
            self.editPanel.jump()

    def onNewList(self):
        with slicer.util.tryWithErrorDisplay(_("The list could not be made.")):
            self._parameterNode.laminae = self.logic.newList(self._parameterNode.scan)

    def onCaseOpened(self):
        """Show the list and the scan of the case that was opened or left."""
        session, settings = self.logic.session, self._parameterNode
        if settings is not None:
            with slicer.util.NodeModify(settings.parameterNode):
                settings.scan = session.scanNode
                settings.laminae = session.listNode
                if session.case is not None:
                    order = session.case.state.get("order")
                    settings.order = order if order in ORDERS else settings.order
        self.agreementPanel.scanChanged()
        self.editPanel.enter()
        self.editPanel.jump()


class LaminaLabelingLogic(ScriptedLoadableModuleLogic):
    """Everything that the panel does can be done with it from a script.

    Example::

        logic = LaminaLabelingLogic()
        logic.session.open(logic.newList(scanNode), scanNode)
        logic.session.select("T6R")
        logic.session.place((9.0, 20.0, 100.0))   # R, A, S in mm
        logic.session.undo()

    Attributes
    ----------
    session : LabelingSession
        The list that is edited.
    cases : CaseWork
        A folder of scans.
    agreement : AgreementWork
        The comparison of two lists.
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = LabelingSession()
        self.cases = CaseWork(self.session)
        self.agreement = AgreementWork(self.session, self.cases)

    # Used by other modules
    style = staticmethod(appearance.style)
    replaceOnScan = staticmethod(appearance.replaceOnScan)

    def getParameterNode(self):
        return LaminaLabelingParameterNode(super().getParameterNode())

    def latestList(self):
        """Return the point list of laminae that was added last, or None."""
        for markupsNode in reversed(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")):
            try:
                if not markupsNode.GetHideFromEditors() and len(from_node(markupsNode).positions()) > 0:
                    return markupsNode
            except LaminaError:
                continue  # another kind of list
        return None

    @staticmethod
    def scanOf(markupsNode):
        """Return the scan that a list belongs to, else the first volume of the scene, or None."""
        scan = markupsNode.GetNodeReference(SCAN_REFERENCE) if markupsNode is not None else None
        return scan or slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    @staticmethod
    def newList(volumeNode, laminae=None):
        """Make a point list for a scan, empty or with a set of laminae in the scan's coordinates; return its node."""
        if volumeNode is None:
            raise LaminaError(_("Choose a scan first."))
        name = slicer.mrmlScene.GenerateUniqueName(_("{name} laminae").format(name=volumeNode.GetName()))
        markupsNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        markupsNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        to_node(LaminaSet() if laminae is None else laminae, markupsNode)
        appearance.style(markupsNode)
        appearance.belongToScan(volumeNode, markupsNode)
        return markupsNode

    @staticmethod
    def show(markupsNode, volumeNode):
        """Show a list on its scan in the slice views, jump to its first lamina, and make it the active list."""
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
        slicer.modules.markups.logic().SetActiveList(markupsNode)
        for index in range(markupsNode.GetNumberOfControlPoints()):
            if markupsNode.GetNthControlPointPositionStatus(index) == markupsNode.PositionDefined:
                slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(markupsNode.GetID(), index, False)
                break


class LaminaLabelingTest(ScriptedLoadableModuleTest):
    """The self-test, from the module's menu in developer mode or with ctest."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            getattr(self, name)()
        self.delayDisplay(_("LaminaLabeling passed its tests."))

    def openSample(self):
        logic = LaminaLabelingLogic()
        volumeNode = sample_data.load()[0]
        logic.session.open(logic.newList(volumeNode), volumeNode)
        return logic

    def test_placesChecksAndTakesBack(self):
        session = self.openSample().session
        session.select("T6L")
        right = session.placeOf("T6R")
        session.place(session.placeOf("T6L"))
        self.assertEqual(session.selected, "T6R")
        self.assertEqual(from_node(session.listNode)["T6L"].review, "placed")
        session.place((right[0] - 60.0, *right[1:]))  # on the left of the left one
        self.assertIn("T6", "".join(finding.text for finding in session.findings()))
        session.undo()
        session.undo()
        self.assertEqual(from_node(session.listNode).positions(), {})
        session.redo()
        self.assertEqual(list(from_node(session.listNode).positions()), ["T6L"])

    def test_reviewsAResult(self):
        logic = self.openSample()
        session = logic.session
        found = [Lamina("L4L", (0.0, 0.0, 0.0), "unreviewed", "detected", 0.95)]
        found.append(Lamina("L4R", (9.0, 0.0, 0.0), "unreviewed", "inferred", 0.2))
        session.open(logic.newList(session.scanNode, LaminaSet(laminae=found)), session.scanNode)
        self.assertEqual(session.acceptAbove(0.9), 1)
        session.select("L4R")
        session.reject()
        session.markAbsent()
        self.assertEqual([session.laminae[name].review for name in ("L4L", "L4R")], ["placed", "absent"])

    def test_findsTheLatestList(self):
        logic = LaminaLabelingLogic()
        self.assertIsNone(logic.latestList())
        markupsNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "scan laminae")
        to_node(LaminaSet(laminae=[Lamina("T6L", (-9.0, 20.0, 100.0), "placed", "manual")]), markupsNode)
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
        other.AddControlPoint([1.0, 2.0, 3.0], "left ear")
        self.assertIs(logic.latestList(), markupsNode)
