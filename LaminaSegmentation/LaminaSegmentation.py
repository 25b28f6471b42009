"""Finds the laminae in a 3D ultrasound scan of the spine: the module that Slicer loads.

This file declares and wires. The computation is the command ``lamina`` of ``LaminaSegmentationLib``, run in a child
process; the parts of the panel are in ``LaminaSegmentationGui``.
"""

from typing import Annotated

import numpy as np
import qt
import slicer
import slicer.packaging
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node
from LaminaSegmentationGui import result_nodes, scan_export
from LaminaSegmentationGui.batch_panel import BatchPanel
from LaminaSegmentationGui.batch_work import BatchWork
from LaminaSegmentationGui.installation import Installation
from LaminaSegmentationGui.job_timer import POLL_MILLISECONDS
from LaminaSegmentationGui.models import Models
from LaminaSegmentationGui.preview_panel import PreviewPanel
from LaminaSegmentationGui.preview_work import PreviewWork
from LaminaSegmentationGui.segment_panel import SegmentPanel
from LaminaSegmentationGui.segment_work import SegmentWork
from LaminaSegmentationGui.settings_panel import SettingsPanel
from LaminaSegmentationGui.train_panel import TrainPanel
from LaminaSegmentationGui.train_work import TrainWork


class LaminaSegmentation(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lamina Segmentation")
        self.parent.categories = ["Ultrasound"]
        self.parent.dependencies = ["LaminaLabeling", "Markups"]
        self.parent.contributors = ["The LaminaUltrasound developers"]
        self.parent.helpText = _(
            "Finds the laminae of the vertebrae in a 3D ultrasound scan of the spine and names them T1L to L5R. "
            "The network was trained on simulated scans: research use only."
        )
        self.parent.acknowledgementText = ""  # Slicer's default thanks others


@parameterNodeWrapper
class LaminaSegmentationParameterNode:
    """The settings; they are saved with the scene.

    inputVolume - the scan.
    axes - "auto", or one letter of R L A P S I for each of the volume's axes.
    model - name of the model; empty for the one that comes first.
    engine - the software that runs the network.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    axes: str = "auto"
    model: str = ""
    engine: Annotated[str, Choice(["auto", "openvino", "tensorflow"])] = "auto"


class LaminaSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: makes its parts and keeps them, the parameter node and the scene together."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LaminaSegmentation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = logic = LaminaSegmentationLogic()
        settings = lambda: self._parameterNode  # noqa: E731 - the node changes with the scene
        self.segmentPanel = SegmentPanel(self.ui, logic, settings)
        self.previewPanel = PreviewPanel(self.ui.previewCollapsibleButton, logic, settings)
        self.batchPanel = BatchPanel(self.ui.batchCollapsibleButton, logic, settings)
        self.trainPanel = TrainPanel(self.ui.trainCollapsibleButton, logic)
        self.settingsPanel = SettingsPanel(self.ui, logic)
        self.panels = (self.segmentPanel, self.previewPanel, self.batchPanel, self.trainPanel, self.settingsPanel)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        for panel in self.panels:
            panel.cancel("")
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self.settingsPanel.enter()
        self.trainPanel.enter()

    def exit(self):
        self.setParameterNode(None)  # what runs goes on

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)
        self.segmentPanel.forget()
        for panel in (self.segmentPanel, self.previewPanel):  # folders and trainings do not need the scene
            panel.cancel(_("Canceled, because the scene was closed.") if panel.isRunning else "")

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            self._parameterNode.inputVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

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
        self.segmentPanel.applySettings(self._parameterNode)
        self.previewPanel.applySettings(self._parameterNode)


class LaminaSegmentationLogic(ScriptedLoadableModuleLogic):
    """Everything that the panel does can be done with it from a script; this waits for the result::

        markupsNode = LaminaSegmentationLogic().process(slicer.util.getNode("scan"))

    Attributes
    ----------
    installation : Installation
        The Python that computes.
    models : Models
        The models that can be chosen.
    segmentation : SegmentWork
        The laminae of one volume.
    preview : PreviewWork
        The preprocessing of a volume, and what was corrected by hand.
    batch : BatchWork
        A folder of scans.
    training : TrainWork
        A training run.
    """

    def __init__(self, program=None):
        """Use another ``program`` than this Python's ``-m LaminaSegmentationLib`` for the child process if given."""
        ScriptedLoadableModuleLogic.__init__(self)
        self.installation = Installation()
        self.installation.program = program
        self.models = Models()
        self.segmentation = SegmentWork(self.installation, self.models)
        self.preview = PreviewWork(self.installation, self.models)
        self.batch = BatchWork(self.installation, self.models)
        self.training = TrainWork(self.installation, self.models)

    def getParameterNode(self):
        return LaminaSegmentationParameterNode(super().getParameterNode())

    @property
    def isRunning(self):
        """Whether a segmentation has been started and has neither ended nor been canceled."""
        return self.segmentation.isRunning

    @property
    def resultText(self):
        """What the last segmentation found, in sentences."""
        return self.segmentation.resultText

    def process(self, volumeNode, axes="auto", model="", engine="auto", onEvent=None):
        """Find the laminae and wait for them; the application stays responsive. Return the new markups node."""
        self.start(volumeNode, axes, model, engine, onEvent or (lambda event: None))
        while (markupsNode := self.poll()) is None:
            slicer.app.processEvents()
            qt.QThread.msleep(POLL_MILLISECONDS)
        return markupsNode

    def start(self, volumeNode, axes, model, engine, onEvent):
        """Start to find the laminae, with the corrections of the preprocessing; see :meth:`SegmentWork.start`."""
        corrections = self.preview.corrections(volumeNode)
        self.segmentation.start(volumeNode, axes, model, engine, onEvent, corrections)

    def poll(self):
        """Pass on what has happened; return the new markups node at the end, and None before."""
        return self.segmentation.poll()

    def cancel(self):
        """End the segmentation that runs, if one does. The scene stays as it was."""
        self.segmentation.cancel()

    exportVolume = staticmethod(scan_export.exportVolume)
    addResult = staticmethod(result_nodes.addResult)

    @staticmethod
    def review(markupsNode):
        """Open a result in LaminaLabeling at the first lamina that needs a person."""
        slicer.util.selectModule("LaminaLabeling")
        slicer.modules.LaminaLabelingWidget.review(markupsNode)


class LaminaSegmentationTest(ScriptedLoadableModuleTest):
    """The self-test, from the module's menu in developer mode or with ctest."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            getattr(self, name)()
        self.delayDisplay(_("LaminaSegmentation passed its tests."))

    def test_findsLaminae(self):
        """Most laminae of a simulated scan that no model has seen are found within 5 mm of where they are."""
        logic = LaminaSegmentationLogic()
        if not slicer.packaging.pip_check(logic.installation.requirements()):
            # A Slicer that has just been built: testing mode installs nothing, so the module must say what it needs.
            self.assertRaisesRegex(LaminaError, "packages", logic.installation.ensurePackages)
            return
        volumeNode, truth = self.simulatedScan()
        markupsNode = logic.process(volumeNode)
        found = from_node(markupsNode).positions()
        self.assertEqual(markupsNode.GetName(), volumeNode.GetName() + " laminae")
        distances = [min(np.linalg.norm(point - other) for other in found.values()) for point in truth.values()]
        self.assertGreaterEqual(sum(distance <= 5.0 for distance in distances), 20)

    def test_refusesNonsense(self):
        logic = LaminaSegmentationLogic()
        self.assertRaises(LaminaError, logic.exportVolume, None, "nowhere.nrrd")
        self.assertRaises(LaminaError, logic.exportVolume, slicer.vtkMRMLScalarVolumeNode(), "nowhere.nrrd")

    @staticmethod
    def simulatedScan():
        """Return a coarse simulated scan as a volume node, and the true positions by name."""
        from LaminaSegmentationLib.simulation import simulate_scan

        scan = simulate_scan(7, spacing=1.0)
        ijkToRAS = slicer.util.vtkMatrixFromArray(scan.volume.ijk_to_ras)
        return slicer.util.addVolumeFromArray(scan.volume.to_kji(), ijkToRAS, "simulated"), scan.truth.positions()
