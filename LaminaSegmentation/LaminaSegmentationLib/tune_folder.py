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

    KIND, FILE = "search", SETTINGS

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.trials = path / "trials"

    def parse(self, settings: Mapping[str, Any]) -> TuneSettings:
        """Return settings from what ``tune.json`` says."""
        result = TuneSettings(**settings)
        result.searched()
        return result

    def differences(self, wanted: TuneSettings, kept: Mapping[str, Any]) -> list[str]:
        """Return what differs between settings and those of ``tune.json``."""
        return list(differences(plain(wanted), kept))

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
