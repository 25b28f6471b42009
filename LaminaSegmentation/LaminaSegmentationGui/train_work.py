"""Training a model on the labeled scans of a folder, in child processes."""

import logging
from dataclasses import replace
from pathlib import Path

from slicer.i18n import tr as _

from LaminaLabelingLib.case_files import FolderFiles, natural_key
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui.command_chain import CommandChain
from LaminaSegmentationGui.installation import SEGMENT, TRAIN
from LaminaSegmentationLib.case_list import write_case_list
from LaminaSegmentationLib.train_control import PAUSE, STOP, tell
from LaminaSegmentationLib.training_run import ENDED, list_sizes, plan_run, read_run, write_run

_logger = logging.getLogger(__name__)


class TrainWork:
    """Looks at labeled scans, estimates how long a training takes, trains, evaluates, and lists the model.

    Everything is a `lamina` command; only one of them runs at a time.

    Parameters
    ----------
    installation : Installation
    models : Models
    """

    def __init__(self, installation, models):
        self._installation, self._models = installation, models
        self._chain = None
        self._settings = None
        self.dataset = {}
        """What ``lamina split`` said last: how many scans are in which list."""
        self.modelName = ""
        """The model of the last training in the list of models."""

    @property
    def isRunning(self):
        """Whether a command runs."""
        return self._chain is not None and self._chain.isRunning

    @staticmethod
    def raters(folder):
        """Return who has saved labels in a folder; "consensus" first. Raises LaminaError if it cannot be listed."""
        found = {rater for raters in FolderFiles.of(folder).raters.values() for rater in raters}
        return sorted(found, key=lambda rater: (rater != "consensus", natural_key(rater)))

    # Looking at the scans

    def startLook(self, settings, onEvent):
        """Start to read the scans of a folder and their labels; events "case" say what is wrong with any of them."""
        if not settings.cases or not settings.rater:
            raise LaminaError(_("Choose the folder of the labeled scans, and whose labels are to be taken."))
        self._installation.ensurePackages(SEGMENT)
        # Only looked at: the dataset file lies in the temporary folder of the command, and goes with it.
        looked = replace(settings, output=".", ratio=(1, 0, 0))
        self._begin(onEvent, SEGMENT, [lambda result: looked.split_arguments(read_scans=True)])

    # Training

    def startEstimate(self, settings, rows, onEvent):
        """Start to split the scans and to time a training step.

        Parameters
        ----------
        settings : TrainingSettings
        rows : sequence of (scan, patient, use)
            The scans; those that are not used were left out by hand, or cannot be used.
        onEvent : callable

        ``poll`` returns a dict with "seconds", "gpu" and "hardware" in the end.
        """
        settings.check()
        self._installation.ensurePackages(TRAIN)
        plan_run(settings)
        cases = Path(settings.output, "cases.csv")
        if rows:
            write_case_list(rows, cases)

        def split(result):
            # Scans that have been looked at need not be read again.
            return [*settings.split_arguments(read_scans=not rows), *(["--list", str(cases)] if rows else [])]

        def estimate(result):
            self.dataset = result
            return [*settings.train_arguments(), "--estimate"]

        self._begin(onEvent, TRAIN, [split, estimate])

    def start(self, settings, onEvent):
        """Start the training of a dataset that `startEstimate` has split; then its evaluation."""
        settings.check()
        plan_run(settings)
        self._run(settings, onEvent, resume=False)

    def resume(self, folder, onEvent):
        """Go on with the training in a folder; return its settings."""
        run = read_run(folder)
        if run is None or not run.can_resume:
            raise LaminaError(_("There is no training to go on with in this folder."))
        if run.runs_elsewhere:
            raise LaminaError(_("Another Slicer runs this training now: pause it there first."))
        self._installation.ensurePackages(TRAIN)
        self._run(run.settings, onEvent, resume=True)
        return run.settings

    def evaluate(self, folder, onEvent):
        """Evaluate the model of a training that has ended; return its settings."""
        run = read_run(folder)
        if run is None or not run.has_model:
            raise LaminaError(_("There is no model to evaluate in this folder."))
        self._installation.ensurePackages(SEGMENT)
        self.modelName = self._models.add(Path(folder, run.settings.name))
        self._begin(onEvent, SEGMENT, [lambda result: self._evaluateArguments(run.settings)])
        return run.settings

    @property
    def isTraining(self):
        """Whether ``lamina train`` runs, which can be paused and stopped."""
        return self.isRunning and self._settings is not None and self._chain.step == 1

    def pause(self):
        """End the training after the step it is at; it can be gone on with after the last whole epoch."""
        self._tell(PAUSE)

    def stop(self):
        """End the training after the step it is at, and keep the best epoch's model."""
        self._tell(STOP)

    def poll(self):
        """Pass on what has happened; return the last result at the end, and None before."""
        try:
            result = self._chain.poll()
        except Exception:
            self._letGo()
            raise
        if result is not None:
            self._letGo()
        return result

    def cancel(self):
        """End what runs at once. A training can be gone on with after its last whole epoch."""
        if self._chain is not None:
            self._chain.cancel()
        self._letGo()

    def _tell(self, word):
        if not self.isTraining:
            raise LaminaError(_("No training is running."))
        tell(self._control(self._settings), word)

    @staticmethod
    def _control(settings):
        return Path(settings.output, "control.txt")

    def _letGo(self):
        """Say in the folder that nobody runs the training any more."""
        settings, self._settings = self._settings, None
        if settings is not None and (run := read_run(settings.output)) is not None:
            write_run(settings, run.ended_by)

    def _run(self, settings, onEvent, resume):
        self._control(settings).unlink(missing_ok=True)  # a word that came too late for an earlier run
        write_run(settings, running=True)
        self.modelName = ""

        def train(result):
            arguments = [*settings.train_arguments(), "--control", str(self._control(settings))]
            # The folder holds the dataset, so that it is not empty; what an earlier run left is set aside, not lost.
            return [*arguments, "--resume" if resume and self._hasState(settings) else "--force"]

        def evaluate(result):
            if result["ended_by"] not in ENDED:
                return None  # paused
            if not result["model"]:
                return None  # stopped before the first epoch ended
            write_run(settings, result["ended_by"], running=True)
            self.modelName = self._models.add(Path(settings.output, settings.name))
            return self._evaluateArguments(settings)

        self._begin(onEvent, TRAIN, [train, evaluate])
        self._settings = settings

    @staticmethod
    def _evaluateArguments(settings):
        return settings.evaluate_arguments("test" if list_sizes(settings).get("test") else "validation")

    @staticmethod
    def _hasState(settings):
        return Path(settings.output, "training", "state.npz").is_file()

    def _begin(self, onEvent, purpose, steps):
        if self.isRunning:
            raise LaminaError(_("A training is running: wait for it, or stop it first."))

        def show(event):
            try:
                onEvent(event)
            except Exception:  # what cannot be shown must not end what is computed
                _logger.exception("An event of a training could not be shown.")

        self._chain = CommandChain(lambda: self._installation.command(purpose, show), steps)
        self._chain.start()
