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
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from LaminaLabelingGui import parts
from LaminaLabelingGui.views import SLAB_TYPES
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.guidance import ORDERS


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
        slicer.app.connect("startupCompleted()", lambda: parts.onStartup())


@parameterNodeWrapper
class LaminaLabelingParameterNode:
    """The settings; they are saved with the scene.

    laminae - the point list that is edited.
    scan - the volume that it belongs to.
    earlier - the list of an earlier scan that the report compares with.
    order - the order in which empty slots follow each other.
    lock - whether points are protected against the mouse.
    snap - whether a click is moved to the bone surface next to it.
    follow - whether the views move on to the next slot.
    fromBehind - whether the coronal view shows the patient's left on the left.
    slabThickness, slabType - what the coronal view shows; mm.
    acceptThreshold - confidence from which laminae are accepted together.
    showEndLines - whether the end vertebrae are drawn in the coronal view.
    """

    laminae: vtkMRMLMarkupsFiducialNode
    scan: vtkMRMLScalarVolumeNode
    earlier: vtkMRMLMarkupsFiducialNode
    order: Annotated[str, Choice(list(ORDERS))] = ORDERS[0]
    lock: bool = True
    snap: bool = False
    follow: bool = True
    fromBehind: bool = False
    slabThickness: Annotated[float, WithinRange(0.0, 60.0)] = 16.0
    slabType: Annotated[str, Choice(list(SLAB_TYPES))] = SLAB_TYPES[0]
    acceptThreshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.9
    showEndLines: bool = False


class LaminaLabelingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: makes its parts and keeps them, the parameter node and the scene together."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._connection = (None, None)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LaminaLabeling.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = logic = LaminaLabelingLogic()
        self.views = parts.LabelingViews()
        settings = lambda: self._parameterNode  # noqa: E731 - the node changes with the scene
        self.editPanel = parts.EditPanel(self.ui, logic.session, self.views, settings)
        self.scanPanel = parts.ScanPanel(self.ui, logic.session, logic.cases, self.views, settings, self.editPanel.say)
        self.curvePanel = parts.CurvePanel(self.ui, logic.session, settings, self.editPanel.onSlot)
        self.casePanel = parts.CasePanel(self.ui, logic.session, logic.cases, self.onCaseOpened)
        self.agreementPanel = parts.AgreementPanel(
            self.ui, logic.session, logic.agreement, self.views, self.casePanel, self.onCaseOpened
        )
        self.shortcuts = parts.Shortcuts({**self.editPanel.actions(), **self.casePanel.actions()})
        self.ui.newListButton.clicked.connect(self.onNewList)

        scene = slicer.mrmlScene
        for event, method in (  # settings are read when the module is entered: until then the views are the user's
            (scene.StartCloseEvent, self.onSceneStartClose),
            (scene.EndCloseEvent, self.onSceneEndClose),
            (scene.EndImportEvent, self.onSceneLoaded),
            (scene.EndRestoreEvent, self.onSceneLoaded),
            (scene.StartSaveEvent, lambda caller, event: self.views.pauseLayout(True)),
            (scene.EndSaveEvent, lambda caller, event: self.views.pauseLayout(False)),
            (scene.NodeAddedEvent, self.onNodeAdded),
            (scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved),
        ):
            self.addObserver(scene, event, method)

    def cleanup(self):
        try:
            self.logic.cases.closeFolder()  # first: the application may be half gone
            self.exit()
            self._disconnect()
        finally:
            self.removeObservers()

    def enter(self):
        self.views.show()
        self.shortcuts.install()
        self.initializeParameterNode()
        self.editPanel.enter()
        self.agreementPanel.scanChanged()

    def exit(self):
        self.editPanel.leave()
        self.curvePanel.leave()
        self.logic.agreement.hideBoth()
        self.shortcuts.remove()
        self.views.restore()
        self.scanPanel.shownScan = None
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.editPanel.leave()
        self.curvePanel.leave()
        self.setParameterNode(None)
        self._disconnect()
        self.logic.cases.forgetNodes()
        if self.logic.session.isOpen:
            self.logic.session.close()
        self.scanPanel.shownScan = None

    def onSceneEndClose(self, caller, event):
        self.agreementPanel.scanChanged()
        self.casePanel.show()
        if self.parent.isEntered:
            self.views.showAgain()
            self.initializeParameterNode()

    def onSceneLoaded(self, caller, event):
        qt.QTimer.singleShot(0, self.afterSceneLoaded)  # references are resolved after this event

    def afterSceneLoaded(self):
        if self.parent.isEntered:
            self.views.showAgain()
            self._disconnect()  # the widgets were written before the references were resolved
            self.initializeParameterNode()
            self.editPanel.enter()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        """Choose a scan that is loaded while there is none; once its voxels are there."""
        if self._parameterNode and not slicer.mrmlScene.IsBatchProcessing() and parts.lists.isScan(node):
            qt.QTimer.singleShot(0, self.chooseMissing)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """Let go of a list or scan that somebody removes; the draft of a case stays in its folder."""
        session = self.logic.session
        if node is session.listNode:
            self.editPanel.leave()
            session.close()
            self.casePanel.show()
            self.agreementPanel.scanChanged()
            self.editPanel.enter()
        elif node is session.scanNode:
            session.scanNode = None
            self.scanPanel.shownScan = None

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
            settings.scan = self.logic.firstScan()

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self._parameterNode = self._connected(parameterNode) if parameterNode else None
        if self._parameterNode:
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
            self.onParameterNodeModified()

    def _connected(self, parameterNode):
        """Connect the widgets once with a parameter node of the scene: not every Slicer takes a connection back."""
        connected, _tag = self._connection
        if connected and connected.parameterNode is parameterNode.parameterNode:
            return connected
        self._disconnect()
        # Not connectGui, which gives no tag to take the connection back by.
        widgets = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
        mapping = {name: widget for name, widget in widgets.items() if name}
        self._connection = (parameterNode, parameterNode.connectParametersToGui(mapping))
        return parameterNode

    def _disconnect(self):
        """Let go of the parameter node, whose parameters a closing scene empties."""
        (connected, tag), self._connection = self._connection, (None, None)
        if connected:
            connected.disconnectGui(tag)

    def onParameterNodeModified(self, caller=None, event=None):
        """Work on the list and the scan that are chosen now, in the way that is set."""
        settings, session = self._parameterNode, self.logic.session
        if not settings or slicer.mrmlScene.IsBatchProcessing():
            return  # while a scene is loaded, references lead nowhere yet
        isCase = self.logic.cases.isOpen
        if isCase and (settings.laminae, settings.scan) != (session.listNode, session.scanNode):
            self._chooseNodes(session.listNode, session.scanNode)  # a case has nodes of its own; comes back here
            return
        if not isCase and settings.laminae is session.listNode and settings.scan is not session.scanNode:
            if self.logic.scanOf(settings.laminae) not in (None, settings.scan):
                settings.laminae = self.logic.latestList(settings.scan)  # another scan: its own list; comes back here
                return
        elif not isCase and settings.laminae is not session.listNode:
            scanNode = self.logic.scanOf(settings.laminae)
            if scanNode is not None and scanNode is not settings.scan:
                settings.scan = scanNode  # comes back here with both
                return
            self._openList(settings.laminae)
        self._showScan(settings.scan)
        self.ui.scanSelector.setEnabled(not isCase)
        self.ui.laminaeSelector.setEnabled(not isCase)
        self.ui.newListButton.setEnabled(not isCase and settings.scan is not None)
        self.editPanel.applySettings(settings)
        self.scanPanel.applySettings(settings)
        self.curvePanel.changed()

    def _chooseNodes(self, markupsNode, volumeNode):
        with slicer.util.NodeModify(self._parameterNode.parameterNode):
            self._parameterNode.scan = volumeNode
            self._parameterNode.laminae = markupsNode

    def _openList(self, markupsNode):
        (session := self.logic.session).close()
        if markupsNode is not None:
            try:
                session.open(markupsNode, self._parameterNode.scan)
                parts.decision_nodes.takeFromFolder(markupsNode)
                parts.appearance.projectInCoronalViews(markupsNode)
                parts.appearance.showOnly(markupsNode, session.scanNode)
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
            self.editPanel.jump()

    def review(self, markupsNode):
        """Open a result at the first slot that needs a person: for other modules, after they have selected this one."""
        if self.logic.cases.isOpen:  # the result goes into the case
            self.logic.cases.takeOver(markupsNode)
        else:
            self._parameterNode.laminae = markupsNode
        self.editPanel.nextToReview()

    def onCaseOpened(self):
        """Show the list and the scan of the case that was opened or left."""
        session = self.logic.session
        if settings := self._parameterNode:
            self._chooseNodes(session.listNode, session.scanNode)
            if session.case is not None and session.case.state.get("order") in ORDERS:
                settings.order = session.case.state["order"]
        self.agreementPanel.scanChanged()
        self.editPanel.enter()
        self.editPanel.jump()


class LaminaLabelingLogic(ScriptedLoadableModuleLogic):
    """Everything that the panel does can be done with it from a script::

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
        self.session = parts.LabelingSession()
        self.cases = parts.CaseWork(self.session)
        self.agreement = parts.AgreementWork(self.session, self.cases)

    latestList = parts.later("lists", "latestList")
    scanOf = parts.later("lists", "scanOf")
    firstScan = parts.later("lists", "firstScan")
    newList = parts.later("lists", "newList")
    show = parts.later("lists", "show")
    measure = parts.later("curve_work", "measureList")
    writeReport = parts.later("curve_work", "writeReport")
    style = parts.later("appearance", "style")
    replaceOnScan = parts.later("appearance", "replaceOnScan")

    def getParameterNode(self):
        return LaminaLabelingParameterNode(super().getParameterNode())


class LaminaLabelingTest(ScriptedLoadableModuleTest):
    """The self-test, from the module's menu in developer mode or with ctest."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in parts.self_tests.TESTS:
            self.setUp()
            test(self, LaminaLabelingLogic())
        self.delayDisplay(_("LaminaLabeling passed its tests."))
