"""Finds the laminae in a 3D ultrasound scan of the spine: the module that Slicer loads.

This file declares and wires. The computation is the command ``lamina`` of ``LaminaSegmentationLib``, run in a child
process; the parts of the panel are in ``LaminaSegmentationGui``.
"""

import tempfile
from pathlib import Path
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

from LaminaSegmentationGui import parts


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
    lowMemory - run the network on one part of the scan after the other.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    axes: str = "auto"
    model: str = ""
    engine: Annotated[str, Choice(["auto", "openvino", "tensorflow"])] = "auto"
    lowMemory: bool = False


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
        self.segmentPanel = parts.SegmentPanel(self.ui, logic, settings)
        self.previewPanel = parts.PreviewPanel(self.ui.previewCollapsibleButton, logic, settings)
        self.batchPanel = parts.BatchPanel(
            self.ui.batchCollapsibleButton, logic, settings, self.segmentPanel.showResult
        )
        self.trainPanel = parts.TrainPanel(self.ui.trainCollapsibleButton, logic, self.segmentPanel.chooseModel)
        self.settingsPanel = parts.SettingsPanel(self.ui, logic, self.segmentPanel.chooseModel)
        self.panels = (self.segmentPanel, self.previewPanel, self.batchPanel, self.trainPanel, self.settingsPanel)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        for panel in self.panels:
            panel.cancel("")
        self.segmentPanel.cleanup()
        self.previewPanel.cleanup()
        self.trainPanel.cleanup()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self.segmentPanel.decisions.update()
        self.settingsPanel.enter()
        self.trainPanel.enter()

    def exit(self):
        self.segmentPanel.decisions.unmark()
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
            # Not connectGui, which not every Slicer takes back: it gives no tag.
            self._parameterNodeGuiTag = self._parameterNode.connectParametersToGui(
                {"inputVolume": self.ui.inputSelector}
            )
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
        self.installation = parts.Installation()
        self.installation.program = program
        self.models = parts.Models()
        self.segmentation = parts.SegmentWork(self.installation, self.models)
        self.preview = parts.PreviewWork(self.installation, self.models)
        self.batch = parts.BatchWork(self.installation, self.models)
        self.training = parts.TrainWork(self.installation, self.models)

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

    def process(self, volumeNode, axes="auto", model="", engine="auto", onEvent=None, lowMemory=False):
        """Find the laminae and wait for them; the application stays responsive. Return the new markups node."""
        self.start(volumeNode, axes, model, engine, onEvent or (lambda event: None), lowMemory)
        while (markupsNode := self.poll()) is None:
            slicer.app.processEvents()
            qt.QThread.msleep(100)
        return markupsNode

    def start(self, volumeNode, axes, model, engine, onEvent, lowMemory=False):
        """Start to find the laminae, with the corrections of the preprocessing; see :meth:`SegmentWork.start`."""
        corrections = self.preview.corrections(volumeNode)
        self.segmentation.start(volumeNode, axes, model, engine, onEvent, corrections, lowMemory)

    def poll(self):
        """Pass on what has happened; return the new markups node at the end, and None before."""
        return self.segmentation.poll()

    def cancel(self):
        """End the segmentation that runs, if one does. The scene stays as it was."""
        self.segmentation.cancel()

    exportVolume = parts.later("scan_export", "exportVolume")
    addResult = parts.later("result_nodes", "addResult")

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

    # Slicer's process imports no network, simulation or the like: where such is needed, a command does it.

    def test_findsTheLaminaeOfTheSampleAndReviewsThem(self):
        """One click on the sample scan, which no model has seen; its true laminae come with it."""
        from LaminaLabelingGui import sample_data
        from LaminaLabelingLib.markups import from_node
        from LaminaLabelingLib.markups_files import read_markups

        logic = LaminaSegmentationLogic()
        if not self.hasPackages(logic, "segment"):
            return
        volumeNode = sample_data.load()[0]
        truth = read_markups(sample_data.TRUTH_FILE).positions()
        markupsNode = logic.process(volumeNode)
        found = from_node(markupsNode).positions()
        near = [name for name in truth if name in found and np.linalg.norm(found[name] - truth[name]) <= 5.0]
        self.assertGreaterEqual(len(near), 25, f"only {near} were found and named")
        self.assertEqual(markupsNode.GetName(), volumeNode.GetName() + " laminae")
        if slicer.util.mainWindow() is not None:
            logic.review(markupsNode)
            session = slicer.modules.LaminaLabelingWidget.logic.session
            self.assertIs(session.listNode, markupsNode)
            self.assertEqual(session.laminae[session.selected].review, "unreviewed")

    def test_cancelsAtOnceAndLeavesTheSceneAsItWas(self):
        logic = LaminaSegmentationLogic()
        if not self.hasPackages(logic, "segment"):
            return
        volumeNode = slicer.util.addVolumeFromArray(np.zeros((300, 80, 60), np.uint8), name="nothing")
        before = slicer.mrmlScene.GetNumberOfNodes()
        logic.start(volumeNode, "auto", "", "auto", lambda event: None)
        folder = logic.segmentation.job.scan_path.parent
        logic.cancel()
        self.assertFalse(folder.exists())
        self.assertFalse(logic.isRunning)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_trainsThreeStepsAndListsTheModel(self):
        from LaminaSegmentationLib.training_run import TrainingSettings

        logic = LaminaSegmentationLogic()
        if not self.hasPackages(logic, "train"):
            return
        with tempfile.TemporaryDirectory() as folder:
            cases, output = Path(folder, "cases"), Path(folder, "run")
            command = logic.installation.command("segment", lambda event: None)
            command.start(["simulate", "-n", "2", "--seed", "1000300", "--spacing", "2", "-o", str(cases), "--json"])
            self.waitFor(command.poll)
            command.close()
            for path in cases.glob("scan_*.mrk.json"):
                path.rename(path.with_name(path.name.replace(".mrk", ".tester.mrk")))
            small = {"preset": "8", "crop_rows": 32, "epochs": 1, "steps": 3, "loss": "centroid"}
            settings = TrainingSettings(str(cases), "tester", str(output), "self-test", (1, 1, 0), **small)
            events = []
            logic.training.startEstimate(settings, [], events.append)
            self.assertGreater(self.waitFor(logic.training.poll)["seconds"], 0.0)
            logic.training.start(settings, events.append)
            self.waitFor(logic.training.poll)
            self.assertEqual([event["steps"] for event in events if event["event"] == "epoch"], [3])
            self.assertIn(logic.training.modelName, logic.models.names())
            logic.models.remove(logic.training.modelName)

    def test_refusesNonsense(self):
        from LaminaLabelingLib.errors import LaminaError

        logic = LaminaSegmentationLogic()
        self.assertRaises(LaminaError, logic.exportVolume, None, "nowhere.nrrd")
        self.assertRaises(LaminaError, logic.exportVolume, slicer.vtkMRMLScalarVolumeNode(), "nowhere.nrrd")

    def hasPackages(self, logic, purpose):
        """Return whether the packages are there. In a Slicer that has just been built they are not.

        Testing mode installs nothing, so what is tested then is that the module says what it needs.
        """
        from LaminaLabelingLib.errors import LaminaError

        if not logic.installation.missing(purpose):
            return True
        self.assertRaisesRegex(LaminaError, "packages|TensorFlow", logic.installation.ensurePackages, purpose)
        return False

    @staticmethod
    def waitFor(poll):
        """Wait for a command while the application stays responsive; return its result."""
        while (result := poll()) is None:
            slicer.app.processEvents()
            qt.QThread.msleep(100)
        return result
