"""The folder of a search: what its trials have in common, and the files of each.

A folder holds one search::

    tune.json                  what the trials have in common
    study.db                   Optuna's study, unless --storage names another place
    cases/training-000.npz ... the prepared scans, made once
    trials/trial-0007/         log of one training, and result.json
    trials.csv best.json tune.png
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

from .experiment import Folder, write_json
from .samples import Augmentation
from .train_command import AUGMENTED
from .training_options import TrainingOptions, loss_parameters
from .tune_space import Space
from .validation_score import SCORE

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS, STUDY = "tune.json", "study.db"


@dataclass(frozen=True)
class TuneSettings:
    """What the trials of a search have in common; it must agree for a search to be gone on with.

    Attributes
    ----------
    data : dict
        As in `experiment.Settings`.
    grid : list of int
    epochs, steps, crop_rows, precision
        As in `training.TrainingOptions`.
    training_seed : int
        Of every trial, so that trials differ in their options alone.
    seed : int
        Of the search.
    space : dict
        What is searched, see `tune_space.Space`.
    miniature : bool
        True for a trial of the command whose figures mean nothing.
    """

    data: dict[str, Any]
    grid: list[int]
    epochs: int
    steps: int | None
    crop_rows: int | None
    precision: str
    training_seed: int
    seed: int
    space: dict[str, Any]
    miniature: bool = False

    @property
    def simulated(self) -> bool:
        """Whether the scans are known to be simulated."""
        return "style" in self.data

    def searched(self) -> Space:
        """Return what is searched."""
        return Space(**{name: tuple(value) for name, value in self.space.items()})

    def training_options(self, values: Mapping[str, Any], backend: str | None) -> TrainingOptions:
        """Return the training of one trial: what ``lamina train`` makes of the same options."""
        augmentation = Augmentation(crop_rows=self.crop_rows, **(AUGMENTED if values["augment"] else {}))
        options = TrainingOptions(
            epochs=self.epochs,
            learning_rate=values["learning_rate"],
            preset=str(values["width"]),
            loss=values["loss"],
            loss_parameters=loss_parameters(values["loss"], values["loss_weight"]),
            steps_per_epoch=self.steps,
            seed=self.training_seed,
            augmentation=augmentation,
            schedule=values["schedule"],
            precision=self.precision,
            backend=backend,
            monitor=SCORE,
            normalization=values["normalization"],
            momentum=values["momentum"],
        )
        # A width that no preset has, for a miniature that is done in seconds.
        return replace(options, width=max(values["width"] // 4, 1)) if self.miniature else options


class SearchFolder(Folder):
    """The folder of one search."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.summary = path / SETTINGS
        self.trials = path / "trials"

    def read(self) -> dict | None:
        """Return what ``tune.json`` says, None where there is none.

        Raises
        ------
        LaminaError
            If it cannot be read.
        """
        if not self.summary.exists():
            return None
        try:
            content = json.loads(self.summary.read_text(encoding="utf-8"))
            TuneSettings(**content["settings"]).searched()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LaminaError(f"'{SETTINGS}' in '{self.path}' cannot be read: choose another folder.") from error
        return content

    def settings(self) -> TuneSettings:
        """Return the settings of the search that is in the folder."""
        content = self.read()
        if content is None:
            raise LaminaError(f"There is no search in '{self.path}'.")
        return TuneSettings(**content["settings"])

    def check(self, settings: TuneSettings) -> None:
        """Raise LaminaError, naming what differs, when the folder holds a search with other settings."""
        content = self.read()
        if content is None:
            return
        different = list(differences(plain(settings), content["settings"]))
        if different:
            raise LaminaError(
                f"The search in '{self.path}' was started with another {', '.join(different)}: use the same, choose "
                "another folder, or add --force to set the old search aside."
            )

    def write(self, settings: TuneSettings) -> str:
        """Write ``tune.json``, and return the code by which the trials of this folder are known."""
        owner = (self.read() or {}).get("owner") or secrets.token_hex(8)
        write_json({"settings": asdict(settings), "owner": owner}, self.summary)
        return owner


def plain(settings: TuneSettings) -> dict[str, Any]:
    """Return settings as JSON keeps them."""
    return json.loads(json.dumps(asdict(settings)))


def differences(wanted: Mapping[str, Any], kept: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    """Yield what differs between two settings, as ``name (before, now after)``."""
    for key in dict.fromkeys([*wanted, *kept]):
        before, now = kept.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from differences(now, before, f"{parent}{key}.")
        elif before != now:
            yield f"{parent}{key} ({before}, now {now})"
