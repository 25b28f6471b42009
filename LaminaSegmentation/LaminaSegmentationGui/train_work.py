"""Training a model on the labeled scans of a folder, in child processes."""

from dataclasses import replace
from pathlib import Path

from slicer.i18n import tr as _

from LaminaLabelingLib.case_files import FolderFiles, natural_key
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui.command_chain import CommandChain
from LaminaSegmentationGui.installation import SEGMENT, TRAIN
from LaminaSegmentationLib.case_list import write_case_list
from LaminaSegmentationLib.train_control import PAUSE, STOP, tell
from LaminaSegmentationLib.training_run import ENDED, list_sizes, make_folder, read_run, write_run


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
        self._refuseRun(settings)
        self._installation.ensurePackages(TRAIN)
        make_folder(settings.output)
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
        self._refuseRun(settings)
        self._run(settings, onEvent, resume=False)

    def resume(self, folder, onEvent):
        """Go on with the training in a folder; return its settings."""
        run = read_run(folder)
        if run is None or run.ended_by in ENDED:
            raise LaminaError(_("There is no training to go on with in this folder."))
        self._installation.ensurePackages(TRAIN)
        self._run(run.settings, onEvent, resume=True)
        return run.settings

    def pause(self):
        """End the training after the step it is at; it can be gone on with after the last whole epoch."""
        self._tell(PAUSE)

    def stop(self):
        """End the training after the step it is at, and keep the best epoch's model."""
        self._tell(STOP)

    def poll(self):
        """Pass on what has happened; return the last result at the end, and None before."""
        return self._chain.poll()

    def cancel(self):
        """End what runs at once. A training can be gone on with after its last whole epoch."""
        if self._chain is not None:
            self._chain.cancel()

    def _tell(self, word):
        if not self.isRunning or self._settings is None:
            raise LaminaError(_("No training is running."))
        tell(self._control(self._settings), word)

    @staticmethod
    def _control(settings):
        return Path(settings.output, "control.txt")

    @staticmethod
    def _refuseRun(settings):
        if read_run(settings.output) is not None:
            raise LaminaError(
                _('The folder "{name}" already holds a training: go on with it, or choose another folder.').format(
                    name=Path(settings.output).name
                )
            )

    def _run(self, settings, onEvent, resume):
        write_run(settings)
        self._settings, self.modelName = settings, ""

        def train(result):
            arguments = [*settings.train_arguments(), "--control", str(self._control(settings))]
            # The folder holds the dataset, so that it is not empty; what an earlier run left is set aside, not lost.
            return [*arguments, "--resume" if resume and self._hasState(settings) else "--force"]

        def evaluate(result):
            if result["ended_by"] not in ENDED:
                return None  # paused
            write_run(settings, result["ended_by"])
            if not result["model"]:
                return None
            self.modelName = self._models.add(Path(settings.output, settings.name))
            counts = list_sizes(settings)
            return settings.evaluate_arguments("test" if counts.get("test") else "validation")

        self._begin(onEvent, TRAIN, [train, evaluate])

    @staticmethod
    def _hasState(settings):
        return Path(settings.output, "training", "state.npz").is_file()

    def _begin(self, onEvent, purpose, steps):
        if self.isRunning:
            raise LaminaError(_("A training is running: wait for it, or stop it first."))
        self._chain = CommandChain(lambda: self._installation.command(purpose, onEvent), steps)
        self._chain.start()
