"""Finds the laminae in a 3D ultrasound scan of the spine: the module that Slicer loads.

This file declares and wires. The computation is the command ``lamina segment`` of ``LaminaSegmentationLib``, run in a
child process.
"""

import subprocess
import time
from contextlib import contextmanager
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

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node
from LaminaSegmentationGui import result_nodes, scan_export
from LaminaSegmentationLib.model_list import shipped_card, shipped_models
from LaminaSegmentationLib.worker import SegmentationJob, overall_fraction, seconds_left

POLL_MILLISECONDS = 100


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
    """The panel: shows the settings, starts the logic, and shows what it reports."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._result = None
        self._started, self._stage = 0.0, ""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LaminaSegmentation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = LaminaSegmentationLogic()
        self.ui.modelComboBox.addItems(self.logic.modelNames())
        self.showCard()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self.onTimer)

        # The wrapper connects the other two. These are edited freely, or filled while running, which it cannot do.
        self.ui.axesComboBox.currentTextChanged.connect(self.onAxesChanged)
        self.ui.modelComboBox.currentTextChanged.connect(self.onModelChanged)
        self.ui.applyButton.clicked.connect(self.onApplyButton)
        self.ui.reviewButton.clicked.connect(self.onReviewButton)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        self._timer.stop()
        self.logic.cancel()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)  # a running segmentation goes on

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)
        self._result = None
        self._showIdle(_("Canceled, because the scene was closed.") if self.logic.isRunning else "")
        self.logic.cancel()

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    # Settings

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
        if self.ui.axesComboBox.currentText != self._parameterNode.axes:
            self.ui.axesComboBox.setCurrentText(self._parameterNode.axes)
        if self._parameterNode.model:
            self.ui.modelComboBox.setCurrentText(self._parameterNode.model)
        self._updateApplyButton()

    def onAxesChanged(self, text):
        if self._parameterNode:
            self._parameterNode.axes = text.strip()

    def onModelChanged(self, text):
        self.showCard()
        if self._parameterNode:
            self._parameterNode.model = text

    def showCard(self):
        """Say in the model's own words what it was trained on and what it is for."""
        self.ui.cardLabel.setText(self.logic.modelDescription(self.ui.modelComboBox.currentText))

    # Running

    def onApplyButton(self):
        """Start, or cancel what runs: the button is both."""
        if self.logic.isRunning:
            self.logic.cancel()
            self._showIdle(_("Canceled."))
            return
        settings = self._parameterNode
        self._started, self._stage = time.monotonic(), _("Starting...")
        self.ui.progressBar.setFormat(self._stage)
        self.ui.progressBar.setValue(0)
        self.ui.resultLabel.setText("")
        self._setRunning(True)
        with self._endingOnError():
            self.logic.start(
                settings.inputVolume, settings.axes or "auto", settings.model, settings.engine, self.onEvent
            )
            self._timer.start()
            self._updateApplyButton()

    def onTimer(self):
        with self._endingOnError():
            markupsNode = self.logic.poll()
            if markupsNode is not None:
                self._result = markupsNode
                self._showIdle(self.logic.resultText)

    def onReviewButton(self):
        with slicer.util.tryWithErrorDisplay(_("The result could not be opened.")):
            self.logic.review(self._result)

    def onEvent(self, event):
        """Show one event of the computation in the progress bar: the stage, and how long it will still take."""
        if event["event"] not in ("stage", "progress"):
            return
        if event["event"] == "stage":
            self._stage = event["text"]
        fraction = overall_fraction(event["stage"], event.get("fraction", 0.0))
        self.ui.progressBar.setValue(round(100 * fraction))
        left = seconds_left(time.monotonic() - self._started, fraction)
        text = _("{stage} (about {seconds} s left)").format(stage=self._stage, seconds=left and max(1, round(left)))
        self.ui.progressBar.setFormat(self._stage if left is None else text)

    @contextmanager
    def _endingOnError(self):
        """Show an exception, end what runs, and leave the sentence in the result line."""
        with slicer.util.tryWithErrorDisplay(_("The laminae could not be found.")):
            try:
                yield
            except Exception as error:
                self.logic.cancel()
                self._showIdle(str(error))
                raise

    def _showIdle(self, text):
        self._timer.stop()
        self.ui.resultLabel.setText(text)
        self._setRunning(False)

    def _setRunning(self, running):
        self.ui.progressBar.setVisible(running)
        self.ui.inputsCollapsibleButton.setEnabled(not running)
        self.ui.advancedCollapsibleButton.setEnabled(not running)
        self.ui.applyButton.setText(_("Cancel") if running else _("Apply"))
        self._updateApplyButton()
        self.ui.reviewButton.setEnabled(
            not running and self._result is not None and self._result.GetScene() is not None
        )

    def _updateApplyButton(self):
        ready = self.logic.isRunning or bool(self._parameterNode and self._parameterNode.inputVolume)
        self.ui.applyButton.setEnabled(ready)
        self.ui.applyButton.setToolTip(_("Find the laminae in the volume.") if ready else _("Load a volume first."))


class LaminaSegmentationLogic(ScriptedLoadableModuleLogic):
    """Finds the laminae of volume nodes. Everything the panel does can be done with it from a script.

    Example, which waits for the result::

        markupsNode = LaminaSegmentationLogic().process(slicer.util.getNode("scan"))
    """

    def __init__(self, program=None):
        """Use another ``program`` than this Python's ``-m LaminaSegmentationLib`` for the child process if given."""
        ScriptedLoadableModuleLogic.__init__(self)
        self._program = program
        self._job = None
        self._volumeNode = None
        self.resultText = ""

    def getParameterNode(self):
        return LaminaSegmentationParameterNode(super().getParameterNode())

    def modelNames(self):
        """Return the names of the models that can be chosen."""
        return shipped_models()

    @staticmethod
    def modelDescription(name):
        """Return what a model's card says about it in plain words."""
        card = shipped_card(name)
        return "\n".join(str(card[key]) for key in ("title", "description") if card.get(key))

    def requirements(self):
        """Return the Python packages that the computation needs."""
        return slicer.packaging.load_requirements(Path(__file__).parent / "Resources" / "requirements.txt")

    @property
    def isRunning(self):
        """Whether a segmentation has been started and has neither ended nor been canceled."""
        return self._job is not None

    def process(self, volumeNode, axes="auto", model="", engine="auto", onEvent=None):
        """Find the laminae and wait for them; the application stays responsive. Return the new markups node."""
        self.start(volumeNode, axes, model, engine, onEvent or (lambda event: None))
        while (markupsNode := self.poll()) is None:
            slicer.app.processEvents()
            qt.QThread.msleep(POLL_MILLISECONDS)
        return markupsNode

    def start(self, volumeNode, axes, model, engine, onEvent):
        """Start to find the laminae of ``volumeNode``; then call :meth:`poll` until it returns a node.

        ``onEvent`` is called with the events of the command ``lamina segment --json``, each a dict.
        Raises LaminaError with a sentence for the user if it cannot be started.
        """
        if self.isRunning:
            raise LaminaError(_("A segmentation is running: wait for it, or cancel it first."))
        self.ensurePackages()
        self._volumeNode = volumeNode
        self._job = SegmentationJob(onEvent, self._program)
        try:
            self.exportVolume(volumeNode, self._job.scan_path)
            self._job.start(axes, model, engine)
        except Exception:
            self.cancel()
            raise

    def poll(self):
        """Pass on what has happened; return the new markups node at the end, and None before."""
        try:
            result = self._job.poll()
        except Exception:
            self.cancel()
            raise
        if result is None:
            return None
        self._job = None
        if slicer.mrmlScene.GetNodeByID(self._volumeNode.GetID() or "") is not self._volumeNode:
            raise LaminaError(_("The volume was removed from the scene meanwhile, so the result was dropped."))
        self.resultText = result_nodes.describe(result)
        return self.addResult(self._volumeNode, result)

    def cancel(self):
        """End what runs, if anything does. The scene stays as it was."""
        if self._job is not None:
            self._job.cancel()
        self._job = None

    def ensurePackages(self):
        """Install the Python packages that the computation needs, after asking; raise LaminaError without them."""
        required = self.requirements()
        try:
            slicer.packaging.pip_ensure(required, requester=_("Lamina Segmentation"))
        except RuntimeError as error:
            raise LaminaError(_("The Python packages were not installed: {error}").format(error=error)) from error
        except subprocess.CalledProcessError as error:  # after a dialog with pip's log
            raise LaminaError(_("The Python packages could not be installed: is the computer online?")) from error
        if not slicer.packaging.pip_check(required):  # in testing mode nothing is installed, and nothing raised
            raise LaminaError(_("Python packages are missing: {names}").format(names=", ".join(map(str, required))))

    exportVolume = staticmethod(scan_export.exportVolume)
    addResult = staticmethod(result_nodes.addResult)

    @staticmethod
    def review(markupsNode):
        """Open a result in LaminaLabeling at the first lamina that needs a person."""
        if markupsNode is None or markupsNode.GetScene() is None:
            raise LaminaError(_("The result is no longer in the scene: press Apply again."))
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
        if not slicer.packaging.pip_check(logic.requirements()):
            # A Slicer that has just been built: testing mode installs nothing, so the module must say what it needs.
            self.assertRaisesRegex(LaminaError, "packages", logic.ensurePackages)
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
