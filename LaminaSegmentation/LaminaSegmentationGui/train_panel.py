"""The part of the panel that trains a model."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import ask, chosenKey, fillCombo
from LaminaLabelingLib.case_files import is_file
from LaminaSegmentationGui.durations import duration
from LaminaSegmentationGui.job_timer import JobTimer
from LaminaSegmentationGui.panel_loading import loadInto
from LaminaSegmentationGui.train_cases_panel import TrainCasesPanel
from LaminaSegmentationGui.train_charts import TrainingCharts, chartTitles
from LaminaSegmentationGui.train_form import TrainForm
from LaminaSegmentationGui.train_scores import TrainScores
from LaminaSegmentationLib.training_run import read_run

_RUN_SETTING = "LaminaUltrasound/Training"
_IDLE, _LOOKING, _ESTIMATING, _TRAINING = range(4)


class TrainPanel:
    """Chooses scans and options, trains, shows how it goes, and evaluates the model.

    Parameters
    ----------
    section : ctkCollapsibleButton
    logic : LaminaSegmentationLogic
    chooseModel : callable
        Called with the name of a model that was trained, to choose it for segmenting.
    """

    def __init__(self, section, logic, chooseModel):
        self.work, self._chooseModel = logic.training, chooseModel
        self.ui = ui = loadInto(section, "TrainPanel")
        self.casesPanel = TrainCasesPanel(ui, self.work)
        self.form = TrainForm(ui, self.casesPanel)
        self.charts, self.scores = TrainingCharts(), TrainScores(ui)
        self._doing, self._kept, self._run, self._entered = _IDLE, {}, None, False
        self._planned = None
        self._ending, self._stage = "", ""
        self._timer = JobTimer(_("The training could not go on."), self.onEnd, self.onFailure)
        fillCombo(ui.chartComboBox, chartTitles())
        for button, action in (
            (ui.lookButton, self.look),
            (ui.outputButton, self.askForOutput),
            (ui.trainButton, self.toggle),
            (ui.stopButton, self.stop),
            (ui.filesButton, self.showFiles),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        ui.chartButton.toggled.connect(lambda *_args: self.showChart())
        ui.chartComboBox.currentIndexChanged.connect(lambda *_args: self.showChart())
        self.show()

    @property
    def isRunning(self):
        """Whether scans are looked at, or something is trained."""
        return self._timer.isActive

    def enter(self):
        """Show the training of the last time, which may be gone on with after a restart."""
        if not self._entered:
            self._entered = True
            last = slicer.app.settings().value(_RUN_SETTING) or ""
            if last and is_file(Path(last, "run.json")):
                self.openRun(last)

    def cleanup(self):
        """Give the views back: the panel is taken away."""
        if self.charts.shown:
            self.charts.show("")

    # The folder of the run

    def askForOutput(self):
        """Ask for the folder of the results, which may hold a training to go on with."""
        last = self.ui.outputEdit.text
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder for the results"), last)
        if path:
            self.openRun(path)

    def openRun(self, path):
        """Choose the folder of the results, and show the training in it if there is one."""
        self.ui.outputEdit.setText(str(path))
        self.ui.statusLabel.setText("")
        self._run = None
        with slicer.util.tryWithErrorDisplay(_("The training in this folder cannot be shown.")):
            self._run = read_run(path)
        self.charts.begin(self._run.history if self._run is not None else ())
        self.scores.show(self._run)
        if self._run is not None:
            self.form.show(self._run.settings)
            epochs = len(self._run.history)
            if self._run.has_ended:
                self.ui.statusLabel.setText(_("This training has ended after {epochs} epochs.").format(epochs=epochs))
            elif self._run.can_resume:
                self.ui.statusLabel.setText(
                    _("This training was left after {epochs} of {all} epochs: press Resume to go on.").format(
                        epochs=epochs, all=self._run.settings.epochs
                    )
                )
        self.show()

    # Doing

    def look(self):
        """Look at the scans."""
        self._kept = self.casesPanel.begin()
        self._begin(
            _LOOKING, lambda: self.work.startLook(self.form.settings(), self.onEvent), _("Looking at the scans...")
        )

    def toggle(self):
        """Train, pause or resume: the button is all three."""
        if self._doing == _TRAINING and self.work.isTraining and not self._ending:
            self._end("pause")
        elif self._doing == _TRAINING:
            self.cancel(_("Ended at once."))
        elif self._doing != _IDLE:
            self.cancel(_("Canceled."))
        elif self._canEvaluate():
            start = lambda: self.work.evaluate(self.ui.outputEdit.text, self.onEvent)  # noqa: E731
            self._begin(_TRAINING, start, _("Evaluating..."))
        elif self._canResume():
            self.charts.begin(self._run.history)
            self._begin(_TRAINING, lambda: self.work.resume(self.ui.outputEdit.text, self.onEvent), _("Resuming..."))
        else:
            settings, rows = self.form.settings(), self.casesPanel.rows()
            self._planned = settings
            start = lambda: self.work.startEstimate(settings, rows, self.onEvent)  # noqa: E731
            self._begin(_ESTIMATING, start, _("Estimating the time..."))

    def stop(self):
        """End the training and keep the best."""
        self._end("stop")

    def cancel(self, text):
        """End what runs at once; a training can be gone on with after its last whole epoch."""
        self._timer.stop()
        self.work.cancel()
        if self._doing != _IDLE:
            self._doing = _IDLE
            self._reread()
            self.ui.statusLabel.setText(text)
            self.show()

    def onEvent(self, event):
        """Show one event of a command."""
        kind, bar = event["event"], self.ui.trainProgressBar
        if kind == "case":
            self.casesPanel.add(event, self._kept)
        elif kind == "stage":
            self._stage = event["text"]
            bar.setValue(0)
            bar.setFormat(self._stage)
            self.show()  # after the training comes the evaluation, which cannot be paused
        elif kind == "progress":
            bar.setValue(round(1000 * event["fraction"]))
            text = self._stage
            if "epoch" in event:
                text = _("Epoch {epoch}, loss {loss:.4f}").format(epoch=event["epoch"], loss=event["loss"])
            if event.get("seconds_left"):
                text = _("{text} ({time} left)").format(text=text, time=duration(event["seconds_left"]))
            bar.setFormat(text)
        elif kind == "epoch":
            self.charts.add(event)
            self.ui.chartButton.setEnabled(True)
            text = _(
                "After epoch {epoch} of {epochs}: {missed:.1f} missed and {false:.1f} false in a validation scan. "
                "Best so far: epoch {best}."
            )
            missed, false = event["val_missed"], event["val_false"]
            epoch, epochs, best = event["epoch"], event["epochs"], event["best_epoch"]
            text = text.format(epoch=epoch, epochs=epochs, missed=missed, false=false, best=best)
            self.ui.statusLabel.setText(text)
        elif kind == "warning" and self._doing != _LOOKING:
            self.ui.statusLabel.setText(_("Note: {text}").format(text=event["text"]))

    def onEnd(self, result):
        """Show what came out, and go on with what follows."""
        doing, self._doing = self._doing, _IDLE
        if doing in (_LOOKING, _ESTIMATING):
            self.casesPanel.end()
        if doing == _LOOKING:
            self.ui.statusLabel.setText("")
        elif doing == _ESTIMATING:
            self.show()
            self._afterEstimate(result)
            return
        else:
            self._reread()
            if result.get("ended_by") == "pause":
                text = _("Paused after {epochs} epochs: press Resume to go on, also after a restart.")
                self.ui.statusLabel.setText(text.format(epochs=result["epochs"]))
            elif "summary" in result:
                text = _(
                    'The model "{name}" has been added to the list above and is chosen there. Its figures on {data}:'
                )
                self.ui.statusLabel.setText(text.format(name=self.work.modelName, data=result["data"]["text"]))
                self._chooseModel(self.work.modelName)
            else:
                self.ui.statusLabel.setText(_("Stopped before the first epoch ended: there is no model yet."))
        self.show()

    def onFailure(self, sentence):
        """Say what went wrong; what was trained is kept."""
        doing, self._doing = self._doing, _IDLE
        self.work.cancel()
        self._reread()
        if doing == _TRAINING and self._canResume() and self._run.history:
            sentence += "\n" + _("The epochs before are kept: press Resume to go on.")
        self.ui.statusLabel.setText(sentence)
        self.show()

    def _begin(self, doing, start, text):
        self._doing, self._ending, self._stage = doing, "", text
        self.ui.statusLabel.setText("")
        self.ui.trainProgressBar.setValue(0)
        self.ui.trainProgressBar.setFormat(text)
        self._timer.begin(start, self.work.poll)
        self.show()

    def _end(self, word):
        with slicer.util.tryWithErrorDisplay(_("The training could not be told to end.")):
            (self.work.pause if word == "pause" else self.work.stop)()
            self._ending = word
            self.show()
            self.ui.trainProgressBar.setFormat(_("Ending after this step..."))

    def _afterEstimate(self, result):
        """Warn before a training on a processor, and begin it."""
        settings = self._planned
        if not result["gpu"] and not self.confirm(result):
            self.ui.statusLabel.setText(_("Not begun."))
            return
        slicer.app.settings().setValue(_RUN_SETTING, settings.output)
        self.charts.begin()
        self._begin(_TRAINING, lambda: self.work.start(settings, self.onEvent), _("Preparing..."))
        self._run = read_run(settings.output)
        self.show()

    def confirm(self, estimate):
        """Ask whether to train without a GPU; nobody is asked in Slicer's testing mode, which begins nothing long."""
        question = _(
            "No GPU can be used: this training will take about {time} on {hardware}. Slicer can be used meanwhile, "
            "and the training can be paused.\n\nBegin it?"
        ).format(time=duration(estimate["seconds"]), hardware=estimate["hardware"])
        return ask(question, (("begin", _("Begin")), ("no", _("Do not begin"))), "no") == "begin"

    def _reread(self):
        output = self.ui.outputEdit.text
        with slicer.util.tryWithErrorDisplay(_("The folder of the results cannot be read.")):
            self._run = read_run(output) if output else None
        self.scores.show(self._run)

    def _canResume(self):
        return self._run is not None and self._run.can_resume

    def _canEvaluate(self):
        """Whether a training has ended without its evaluation, which may have been canceled."""
        return self._run is not None and self._run.has_ended and self._run.has_model and not self._run.metrics

    # Showing

    def show(self):
        """Enable what can be done."""
        ui, doing = self.ui, self._doing
        idle, training = doing == _IDLE, doing == _TRAINING
        resumable = idle and self._canResume()
        text = _("Resume") if resumable else _("Evaluate") if self._canEvaluate() else _("Train")
        if not idle:
            text = _("Cancel")
        if training and self.work.isTraining:
            text = _("End at once") if self._ending else _("Pause")
        ui.trainButton.setText(text)
        ui.stopButton.setEnabled(training and self.work.isTraining and not self._ending)
        ui.trainProgressBar.setVisible(not idle)
        self.form.setEnabled(idle, asBegun=resumable)
        ui.chartButton.setEnabled(bool(self.charts.rows) or ui.chartButton.checked)
        ui.filesButton.setEnabled(self._run is not None)

    def showChart(self):
        """Show the chart that is chosen, or put the views back."""
        self.charts.show(chosenKey(self.ui.chartComboBox) if self.ui.chartButton.checked else "")

    def showFiles(self):
        """Open the folder of the results in the system's file manager."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.ui.outputEdit.text))
