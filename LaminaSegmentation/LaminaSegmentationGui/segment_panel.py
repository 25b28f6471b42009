"""The part of the panel that finds the laminae of one volume."""

import time

import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.lists import scanOf
from LaminaLabelingGui.panel_tools import chooseKey, chosenKey, fillCombo
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui.decisions_panel import DecisionsPanel
from LaminaSegmentationGui.job_timer import JobTimer
from LaminaSegmentationLib.worker import overall_fraction, seconds_left


class SegmentPanel:
    """Starts the segmentation, shows how far it is, and opens its result for review.

    Parameters
    ----------
    ui : namespace of widgets
    logic : LaminaSegmentationLogic
    settings : callable
        Returns the parameter node, None while there is none.
    """

    def __init__(self, ui, logic, settings):
        self.ui, self.logic, self._settings = ui, logic, settings
        self._result = None
        self.decisions = DecisionsPanel(ui)
        self._chosenMeanwhile = ""
        self._started, self._stage = 0.0, ""
        self._timer = JobTimer(_("The laminae could not be found."), self.onEnd, self.onFailure)
        ui.applyButton.clicked.connect(lambda *_args: self.toggle())
        ui.reviewButton.clicked.connect(lambda *_args: self.review())
        ui.axesComboBox.addItems(["auto", "ARI", "RIA"])
        ui.axesComboBox.currentTextChanged.connect(self.onAxes)
        ui.modelComboBox.currentIndexChanged.connect(lambda *_args: self.onModel())
        fillCombo(
            ui.engineComboBox,
            [
                ("auto", _("Automatic (GPU if there is one)")),
                ("openvino", _("Processor (OpenVINO)")),
                ("tensorflow", _("TensorFlow (GPU if there is one)")),
            ],
        )
        ui.engineComboBox.currentIndexChanged.connect(lambda *_args: self.onEngine())
        ui.lowMemoryCheckBox.toggled.connect(self.onLowMemory)
        logic.models.onChanged.append(self.fillModels)
        self.fillModels()

    # Settings

    def fillModels(self):
        """List the models that can be chosen."""
        current = chosenKey(self.ui.modelComboBox)
        fillCombo(self.ui.modelComboBox, [(name, name) for name in self.logic.models.names()], current)
        self.onModel()

    def chooseModel(self, name):
        """Choose a model of the list, now or when the module is entered."""
        if self._settings() is None:
            self._chosenMeanwhile = name
        self.ui.modelComboBox.setCurrentIndex(self.ui.modelComboBox.findData(name))

    def onAxes(self, text):
        """Remember the axes, which may be typed."""
        if settings := self._settings():
            settings.axes = text.strip()

    def onModel(self):
        """Remember the model."""
        name = chosenKey(self.ui.modelComboBox) or ""
        self._showModel(name)
        if settings := self._settings():
            settings.model = name

    def _showModel(self, name):
        """Say in a model's own words what it was trained on and what it is for."""
        self.ui.cardLabel.setText(self.logic.models.describe(name))
        self.ui.removeModelButton.setEnabled(self.logic.models.isAdded(name))

    def onEngine(self):
        """Remember what runs the network."""
        if settings := self._settings():
            settings.engine = chosenKey(self.ui.engineComboBox)

    def onLowMemory(self, isChosen):
        """Remember whether the network is run part by part."""
        if settings := self._settings():
            settings.lowMemory = isChosen

    def applySettings(self, settings):
        """Show the settings of the parameter node."""
        if self.ui.axesComboBox.currentText != settings.axes:
            self.ui.axesComboBox.setCurrentText(settings.axes)
        if self._chosenMeanwhile:
            settings.model, self._chosenMeanwhile = self._chosenMeanwhile, ""  # comes back here
            return
        # An empty name, and one of a model that is not on this computer, stand for the first of the list.
        chooseKey(self.ui.modelComboBox, settings.model)
        shown = chosenKey(self.ui.modelComboBox) or ""
        if shown != settings.model:
            settings.model = shown  # what is shown is what runs; comes back here
            return
        self._showModel(shown)
        chooseKey(self.ui.engineComboBox, settings.engine)
        self.ui.lowMemoryCheckBox.setChecked(settings.lowMemory)
        self.update()

    # Running

    @property
    def isRunning(self):
        """Whether a segmentation is going on."""
        return self.logic.isRunning

    def toggle(self):
        """Start, or cancel what runs: the button is both."""
        if self.logic.isRunning:
            self.cancel(_("Canceled."))
            return
        settings = self._settings()
        self._started, self._stage = time.monotonic(), _("Starting...")
        self.ui.progressBar.setFormat(self._stage)
        self.ui.progressBar.setValue(0)
        self.ui.resultLabel.setText("")
        self.decisions.show(None)
        self.showRunning(True)
        self._timer.begin(
            lambda: self.logic.start(
                settings.inputVolume,
                settings.axes or "auto",
                settings.model,
                settings.engine,
                self.onEvent,
                settings.lowMemory,
            ),
            self.logic.poll,
        )
        self.update()

    def cancel(self, text):
        """End what runs, and say why."""
        self._timer.stop()
        self.logic.cancel()
        self.showIdle(text)

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

    def onEnd(self, markupsNode):
        """Show what was found."""
        self._show(markupsNode, self.logic.resultText)

    def showResult(self, markupsNode, text):
        """Show a result that was computed before and has been opened, unless another one is being computed."""
        if self.logic.isRunning:
            return
        if (settings := self._settings()) and scanOf(markupsNode) is not None:
            settings.inputVolume = scanOf(markupsNode)
        self._show(markupsNode, text)

    def _show(self, markupsNode, text):
        self._result = markupsNode
        self.decisions.show(markupsNode)
        self.showIdle(text)

    def onFailure(self, sentence):
        """Leave the sentence of an error in the result line."""
        self.logic.cancel()
        self.showIdle(sentence)

    def review(self):
        """Open the result in LaminaLabeling at the first lamina that needs a person."""
        with slicer.util.tryWithErrorDisplay(_("The result could not be opened.")):
            if self._result is None or self._result.GetScene() is None:
                self.update()
                raise LaminaError(_("The result is no longer in the scene: press Apply again."))
            self.logic.review(self._result)

    def forget(self):
        """Forget the result: its scene is closed."""
        self._result = None
        self.decisions.show(None)

    def cleanup(self):
        """Forget the scene: the panel is taken away."""
        self.decisions.cleanup()

    # Showing

    def showIdle(self, text):
        """Show that nothing runs, and a text about what did."""
        self.ui.resultLabel.setText(text)
        self.showRunning(False)

    def showRunning(self, running):
        """Show Cancel and the progress, or Apply."""
        self.ui.progressBar.setVisible(running)
        self.ui.inputsCollapsibleButton.setEnabled(not running)
        self.ui.applyButton.setText(_("Cancel") if running else _("Apply"))
        self.update()

    def update(self):
        """Enable what can be done."""
        settings, running = self._settings(), self.logic.isRunning
        ready = running or bool(settings and settings.inputVolume)
        self.ui.applyButton.setEnabled(ready)
        self.ui.applyButton.setToolTip(_("Find the laminae in the volume.") if ready else _("Load a volume first."))
        self.ui.reviewButton.setEnabled(
            not running and self._result is not None and self._result.GetScene() is not None
        )
