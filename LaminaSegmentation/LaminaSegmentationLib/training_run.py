"""A training that a graphical interface starts: its settings as the commands' arguments, and what its folder tells.

The folder holds ``dataset.json``, ``cases.csv``, ``run.json`` (the settings, and how it ended), what ``lamina train``
writes, and ``evaluation/`` with what ``lamina evaluate`` writes. It is all that is needed to go on after a restart.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.processes import start_of

from .parent_watch import is_running

PRESETS = ("8", "16", "32", "paper")
LOSSES = ("dice", "wbce", "dice+wbce", "centroid", "lamina_dice")
MONITORS = ("val_loss", "val_d3d", "val_missed")
BACKENDS = ("", "tensorflow", "torch", "jax")

ENDED = ("epochs", "user", "time")
"""How a run ends that has a model; one that was paused or killed has none yet."""

PLANNED = "planned"
"""In the place of an end: the scans were split and the time was estimated, but nothing has begun."""


@dataclass(frozen=True)
class TrainingSettings:
    """What a user chooses for a training.

    Attributes
    ----------
    cases : str
        Folder of labeled scans.
    rater : str
        Whose labels are taken.
    output : str
        Folder of the run.
    name : str
        Of the model.
    ratio : tuple of three int
        Training, validation and test scans.
    split_seed : int
    preset, loss, monitor, backend : str
        As ``lamina train`` takes them; an empty backend is Keras' own.
    epochs : int
    learning_rate : float
    crop_rows : int
        Rows of a sample; 0 for whole grids.
    steps : int
        Steps an epoch; 0 for one a scan.
    augment : bool
    """

    cases: str = ""
    rater: str = ""
    output: str = ""
    name: str = "custom"
    ratio: tuple[int, int, int] = (50, 10, 10)
    split_seed: int = 0
    preset: str = "16"
    loss: str = "centroid"
    monitor: str = "val_loss"
    backend: str = ""
    epochs: int = 200
    learning_rate: float = 1e-4
    crop_rows: int = 0
    steps: int = 0
    augment: bool = False

    def check(self) -> None:
        """Raise LaminaError for what a user has to fill in or change before anything can start."""
        if not self.cases:
            raise LaminaError("Choose the folder of the labeled scans first.")
        if not self.rater:
            raise LaminaError("Choose whose labels are to be taken.")
        if not self.output:
            raise LaminaError("Choose a folder for the results of the training.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name) or self.name in ("training", "evaluation"):
            raise LaminaError(
                f"'{self.name}' cannot be the name of a model: use letters, digits, dots, dashes and underscores."
            )
        if Path(self.output).absolute() == Path(self.cases).absolute():
            raise LaminaError("The results would lie among the labeled scans: choose another folder for them.")
        if self.ratio[0] < 1 or self.ratio[1] < 1:
            raise LaminaError("Training and validation each need scans: choose shares of 1 or more.")

    def split_arguments(self, read_scans: bool) -> list[str]:
        """Return the arguments of ``lamina split`` for the dataset file of the run."""
        arguments = ["split", "--cases", self.cases, "--rater", self.rater, "--ratio", ",".join(map(str, self.ratio))]
        arguments += ["--seed", str(self.split_seed), "-o", str(Path(self.output, "dataset.json")), "--force", "--json"]
        return arguments + ([] if read_scans else ["--quick"])

    def train_arguments(self) -> list[str]:
        """Return the arguments of ``lamina train``, without ``--resume``, ``--estimate`` and ``--control``."""
        output = Path(self.output)
        arguments = ["train", "--data", str(output / "dataset.json"), "-o", self.output, "--name", self.name]
        arguments += ["--preset", self.preset, "--loss", self.loss, "--monitor", self.monitor]
        arguments += ["--epochs", str(self.epochs), "--learning-rate", repr(self.learning_rate)]
        arguments += ["--cache", str(output / "prepared"), "--json", "--verbose"]
        for option, value in (("--crop-rows", self.crop_rows), ("--steps", self.steps), ("--backend", self.backend)):
            if value:
                arguments += [option, str(value)]
        return arguments + (["--augment"] if self.augment else [])

    def evaluate_arguments(self, split: str) -> list[str]:
        """Return the arguments of ``lamina evaluate`` for one list of the dataset."""
        output = Path(self.output)
        arguments = ["evaluate", "--data", str(output / "dataset.json"), "--split", split, "--model"]
        arguments += [str(output / self.name), "-o", str(output / "evaluation"), "--cache", str(output / "prepared")]
        return [*arguments, "--force", "--json"]


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it.

    Attributes
    ----------
    settings : TrainingSettings
    ended_by : str
        One of `ENDED`, or `PLANNED`; empty if it was begun and can be gone on with.
    process : tuple of (int, str)
        Number and start of the interface that runs it, (0, "") if none does.
    history : tuple of dict
        The log, a row an epoch, numbers as floats.
    metrics : dict
        ``metrics.json`` of its evaluation, empty if there is none.
    """

    settings: TrainingSettings
    ended_by: str = ""
    history: tuple[dict[str, float], ...] = ()
    metrics: Mapping = field(default_factory=dict)
    process: tuple[int, str] = (0, "")

    @property
    def can_resume(self) -> bool:
        """Whether it was begun and has not ended."""
        return not self.ended_by

    @property
    def has_ended(self) -> bool:
        """Whether it has come to an end with a model."""
        return self.ended_by in ENDED

    @property
    def runs_elsewhere(self) -> bool:
        """Whether another process than this one, an interface that is open, runs it now."""
        number, start = self.process
        return number not in (0, os.getpid()) and is_running(number, start)

    @property
    def has_model(self) -> bool:
        """Whether its model lies in its folder."""
        return Path(self.settings.output, self.settings.name, "card.json").is_file()


def read_run(folder: str | Path) -> Run | None:
    """Return the run in a folder, None if there is none.

    Raises
    ------
    LaminaError
        If ``run.json`` is damaged.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LaminaError(f"'run.json' in '{folder.name}' cannot be read: choose another folder.") from error
    try:
        known = {each.name for each in fields(TrainingSettings)}
        given = {key: value for key, value in content["settings"].items() if key in known}
        given["ratio"] = tuple(given["ratio"])
        # The folder may have been moved since.
        settings = replace(TrainingSettings(**given), output=str(folder))
    except (AttributeError, KeyError, TypeError) as error:
        raise LaminaError(f"'run.json' in '{folder.name}' is no training's: choose another folder.") from error
    process = content.get("process")
    known = isinstance(process, list) and len(process) == 2 and isinstance(process[0], int)
    return Run(
        settings,
        content.get("ended_by") or "",
        _read_log(folder / "training" / "log.csv"),
        _metrics(folder),
        (process[0], str(process[1])) if known else (0, ""),
    )


def write_run(settings: TrainingSettings, ended_by: str = "", running: bool = False) -> None:
    """Write ``run.json``, with this process as the one that runs it if it does.

    Raises
    ------
    LaminaError
        If the folder cannot be written.
    """
    content = {"settings": asdict(settings), "ended_by": ended_by}
    if running:
        content["process"] = [os.getpid(), start_of(os.getpid()) or ""]
    with atomic_path(Path(settings.output, "run.json")) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def list_sizes(settings: TrainingSettings) -> dict[str, int]:
    """Return how many scans are in each list of a run's dataset file, nothing if it cannot be read."""
    try:
        content = json.loads(Path(settings.output, "dataset.json").read_text(encoding="utf-8"))
        return {name: len(content.get(name, ())) for name in ("training", "validation", "test")}
    except (AttributeError, OSError, TypeError, ValueError):
        return {}


def plan_run(settings: TrainingSettings) -> None:
    """Make the folder of a run, and mark it as the folder of one that is planned.

    Raises
    ------
    LaminaError
        If it cannot be written, or holds a training or other files: nothing that is there is written over.
    """
    folder = Path(settings.output)
    called = f"The folder '{folder.name}'"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(not path.name.startswith(".") for path in folder.iterdir())
        writable = os.access(folder, os.W_OK)
    except OSError:
        occupied, writable = False, False
    if not writable:
        raise LaminaError(f"{called} cannot be written: choose another one.")
    run = read_run(folder)
    if run is None and occupied:
        raise LaminaError(f"{called} holds other files: choose an empty one for the results.")
    if run is not None and run.has_ended:
        raise LaminaError(f"{called} holds a training that has ended: choose another one for the next.")
    if run is not None and run.can_resume:
        raise LaminaError(f"{called} holds a training that has begun: go on with it, or choose another one.")
    write_run(settings, PLANNED)


def _read_log(path: Path) -> tuple[dict[str, float], ...]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return tuple({key: float(value) for key, value in row.items()} for row in csv.DictReader(file))
    except (OSError, TypeError, ValueError):  # a run that has no epoch yet has no log
        return ()


def _metrics(folder: Path) -> dict:
    try:
        content = json.loads((folder / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
