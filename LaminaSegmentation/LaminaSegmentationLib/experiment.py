"""The paper's experiment (its Section III.C) and the two rivals of METHOD section 4: what is trained, and where
it is kept.

A folder holds one experiment::

    experiment.json            settings, versions, and what each run gave
    cases/test-000.npz ...     the prepared scans, made once
    runs/centroid-0/           one training run: log, weights, state, result.json with the scores of the test scans
    table1.csv report.md ...   what `experiment_report` makes of the results

Everything is written under a temporary name first, so that the same command goes on wherever it was ended.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

from . import __version__
from .commands import write_json as write_plain_json
from .dataset import SPLITS, Case, load_case
from .samples import Augmentation

if TYPE_CHECKING:
    from .training import TrainingOptions

SUMMARY = "experiment.json"
BY_LOSS, BY_D3D = "val_loss", "val_d3d"
SAID_OF_A_MINIATURE = "This is a miniature that tries out the command: its figures mean nothing."

CHOICES = (BY_LOSS, BY_D3D)
"""What chooses a run's best epoch: each run keeps the weights of both."""


@dataclass(frozen=True)
class Arm:
    """One row of the table: a loss, and what chooses the epoch.

    Attributes
    ----------
    name, label : str
        For files and for readers.
    loss : str
        A name that `losses.create_loss` knows. Arms of the same loss share its training runs.
    choice : str
        One of `CHOICES`.
    """

    name: str
    label: str
    loss: str
    choice: str = BY_LOSS


ARMS = {
    arm.name: arm
    for arm in (
        Arm("dice", "D-U-net", "dice"),
        Arm("wbce", "B-U-net", "wbce"),
        Arm("centroid", "C-U-net", "centroid"),
        Arm("lamina_dice", "lamina Dice", "lamina_dice"),
        Arm("dice_by_d3d", "D-U-net, epoch by d3D", "dice", BY_D3D),
    )
}


@dataclass(frozen=True)
class Run:
    """One training: a loss and the seed of its initial weights, order and dropout."""

    loss: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.loss}-{self.seed}"


@dataclass(frozen=True)
class Settings:
    """What an experiment's runs have in common; it must agree for an experiment to be gone on with.

    Arms and training seeds are not among it: more of them can be added to an experiment later.

    Attributes
    ----------
    data : dict
        Either of simulated scans ``style, style_version, spacing_mm, seed, test_seed`` or of a dataset file ``dataset,
        content``; with both the version of the ``preprocessing`` and ``scans``, which counts training, validation and
        test scans.
    grid : list of int
        The network's grid.
    preset, width, epochs, steps, crop_rows, learning_rate, precision
        As in `training.TrainingOptions`; one step a training scan when ``steps`` is None.
    miniature : bool
        True for a trial whose figures mean nothing.
    """

    data: dict[str, Any]
    grid: list[int]
    preset: str
    width: int | None
    epochs: int
    steps: int | None
    crop_rows: int | None
    learning_rate: float
    precision: str
    miniature: bool = False

    @property
    def simulated(self) -> bool:
        """Whether the scans are known to be simulated."""
        return "style" in self.data

    def training_options(self, run: Run, backend: str | None) -> TrainingOptions:
        """Return the paper's training of one network: Adam, batches of one, flips alone."""
        from .training import TrainingOptions

        return TrainingOptions(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            preset=self.preset,
            width=self.width,
            loss=run.loss,
            steps_per_epoch=self.steps,
            seed=run.seed,
            augmentation=Augmentation(crop_rows=self.crop_rows),
            precision=self.precision,
            backend=backend,
            also=(BY_D3D,),
        )


def parse_arms(text: str | None) -> list[Arm]:
    """Turn ``dice,centroid`` into arms; all of them for None.

    Raises
    ------
    LaminaError
        For an unknown arm or none at all.
    """
    names = list(ARMS) if text is None else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in ARMS]
    if unknown or not names:
        raise LaminaError(f"--arms names {unknown or 'no arm'}; choose from {', '.join(ARMS)}.")
    return [ARMS[name] for name in dict.fromkeys(names)]


def parse_seeds(text: str) -> list[int]:
    """Turn ``0,1,2`` into training seeds.

    Raises
    ------
    LaminaError
        If they are not whole numbers of 0 or more.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
        if min(seeds) < 0:
            raise ValueError
    except ValueError:
        raise LaminaError(f"--training-seeds is '{text}'; give whole numbers such as 0,1,2.") from None
    return list(dict.fromkeys(seeds))


def runs_of(arms: Sequence[Arm], seeds: Sequence[int]) -> list[Run]:
    """List the trainings that the arms need, seed by seed: after the first seed all arms can be compared."""
    return [Run(loss, seed) for seed in seeds for loss in dict.fromkeys(arm.loss for arm in arms)]


def choices_of(arms: Sequence[Arm], loss: str) -> list[str]:
    """List what chooses the epochs that the arms want of the runs with a loss."""
    return [choice for choice in CHOICES if any(arm.loss == loss and arm.choice == choice for arm in arms)]


class Folder:
    """The folder of one experiment.

    Attributes
    ----------
    KIND, FILE : str
        What it holds, and the file that says what was asked for.
    """

    KIND, FILE = "experiment", SUMMARY

    def __init__(self, path: Path) -> None:
        self.path = path
        self.summary = path / self.FILE
        self.cases = path / "cases"
        self.runs = path / "runs"
        self.logs = path / "logs"

    def parse(self, settings: Mapping[str, Any]) -> Any:
        """Return settings from what a file says; raise ValueError, KeyError or TypeError if they cannot be any."""
        return Settings(**settings)

    def differences(self, wanted: Any, kept: Mapping[str, Any]) -> list[str]:
        """Return what differs between settings and those of a file, as ``name (before, now after)``."""
        now, before = _flat(asdict(wanted)), _flat(kept)
        return [
            f"{key} ({before.get(key)}, now {now.get(key)})"
            for key in dict.fromkeys([*now, *before])
            if now.get(key) != before.get(key)
        ]

    def read(self) -> dict | None:
        """Return what the file says, None where there is none.

        Raises
        ------
        LaminaError
            If it cannot be read.
        """
        if not self.summary.exists():
            return None
        try:
            content = json.loads(self.summary.read_text(encoding="utf-8"))
            self.parse(content["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LaminaError(f"'{self.FILE}' in '{self.path}' cannot be read: choose another folder.") from error
        return content

    def settings(self) -> Any:
        """Return the settings of what is in the folder."""
        content = self.read()
        if content is None:
            raise LaminaError(f"There is no {self.KIND} in '{self.path}'.")
        return self.parse(content["settings"])

    def check(self, settings: Any) -> None:
        """Raise LaminaError, naming what differs, when what is in the folder has other settings."""
        content = self.read()
        if content is None:
            return
        different = self.differences(settings, content["settings"])
        if different:
            raise LaminaError(
                f"The {self.KIND} in '{self.path}' was started with another {', '.join(different)}: use the same, "
                f"choose another folder, or add --force to set the old {self.KIND} aside."
            )

    def set_aside(self) -> None:
        """Move an old experiment to ``old-1``, ``old-2``, ...: nothing trained is ever deleted."""
        if not self.summary.exists():
            return
        number = 1
        while (backup := self.path / f"old-{number}").exists():
            number += 1
        backup.mkdir()
        for path in sorted(self.path.iterdir()):
            if not path.name.startswith("old-") and path.name != ".lock":
                path.rename(backup / path.name)

    def case_files(self, settings: Settings, split: str) -> list[Path]:
        """Return where the prepared scans of a split are."""
        count = settings.data["scans"][SPLITS.index(split)]
        return [self.cases / f"{split}-{number:03d}.npz" for number in range(count)]

    def load_cases(self, settings: Settings, split: str) -> list[Case]:
        """Read the prepared scans of a split.

        Raises
        ------
        LaminaError
            If one cannot be read.
        """
        cases = []
        for path in self.case_files(settings, split):
            try:
                cases.append(load_case(path))
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise LaminaError(
                    f"The prepared scan '{path.name}' in '{self.cases}' cannot be read: delete it, and the same "
                    "command makes it anew."
                ) from error
        return cases

    def result(self, run: Run) -> dict | None:
        """Return the results of a run; None as long as it is not finished."""
        path = self.runs / run.name / "result.json"
        if not path.exists():
            return None
        return json.loads(path.read_text(encoding="utf-8"))

    def finished(self, run: Run, choices: Sequence[str]) -> bool:
        """Tell whether a run is trained and the epochs of these choices are scored."""
        result = self.result(run)
        return result is not None and all(choice in result["choices"] for choice in choices)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the settings of the data to the level of the others, and tuples to the lists that JSON makes of them."""
    plain = json.loads(json.dumps(settings))
    return {**plain.pop("data"), **plain}


class Record:
    """``experiment.json``: what was asked for, what ran on what, and what came out."""

    def __init__(self, folder: Folder, settings: Settings, arms: Sequence[Arm], seeds: Sequence[int]) -> None:
        self.folder, self.settings = folder, settings
        before = folder.read() or {}
        # Arms and seeds of earlier calls stay in the table: an experiment only grows.
        names = dict.fromkeys([*before.get("arms", ()), *(arm.name for arm in arms)])
        self.arms = [arm for arm in ARMS.values() if arm.name in names]
        self.seeds = sorted({*before.get("training_seeds", ()), *seeds})
        self.started = before.get("started") or _now()
        self.seconds = float(before.get("seconds", 0.0))
        self.begun = time.monotonic()

    def runs(self) -> list[Run]:
        """List all trainings of the experiment."""
        return runs_of(self.arms, self.seeds)

    def count(self) -> tuple[int, int]:
        """Return how many trainings are finished, and of how many."""
        runs = self.runs()
        return sum(self.folder.finished(run, choices_of(self.arms, run.loss)) for run in runs), len(runs)

    def write(self) -> None:
        """Write the file, with the results that there are."""
        results = {run.name: self.folder.result(run) for run in self.runs()}
        done, total = self.count()
        content: dict[str, Any] = {
            "software": f"LaminaUltrasound {__version__}",
            "versions": _versions(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "started": self.started,
            "written": _now(),
            "seconds": round(self.seconds + time.monotonic() - self.begun, 1),
            "complete": done == total,
            "settings": asdict(self.settings),
            "arms": [arm.name for arm in self.arms],
            "training_seeds": self.seeds,
            "runs": {name: result and _run_summary(result) for name, result in results.items()},
        }
        if self.settings.miniature:
            content["note"] = SAID_OF_A_MINIATURE
        write_json(content, self.folder.summary)


def _run_summary(result: Mapping[str, Any]) -> dict:
    """Shorten ``result.json`` of a run: no history and no single scans."""
    choices = {
        choice: {key: scored[key] for key in ("epoch", "value", "weights", "prediction_seconds")}
        for choice, scored in result["choices"].items()
    }
    plain = {key: value for key, value in result.items() if key not in ("run", "history", "choices")}
    return {**plain, "choices": choices}


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "keras", "tensorflow", "jax", "torch")
    found = {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name) is not None}
    return {"python": platform.python_version(), **found}


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def write_json(content: Any, path: Path) -> None:
    """Write JSON under a temporary name first; a number that is not finite becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_plain_json(_finite(content), path)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
