"""What a training run leaves on disk: best weights, log, and the state from which it goes on.

Every file is written beside its target and moved into place, so that a crash leaves the last complete epoch.
"""

from __future__ import annotations

import csv
import json
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError

if TYPE_CHECKING:
    import keras

STATE_VERSION = 1


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Load a ``.weights.h5`` file into a model.

    Raises
    ------
    LaminaError
        If the file does not exist, is damaged, or belongs to another architecture.
    """
    path = Path(path)
    if not path.is_file():
        raise LaminaError(f'There are no weights "{path.name}": check the path.')
    try:
        # Keras warns of each layer that does not fit before it raises; the sentence below says it once.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise LaminaError(
            f'The weights "{path.name}" do not fit this network: they are damaged, or were trained with another width.'
        ) from error


@dataclass(frozen=True)
class State:
    """A run after a complete epoch.

    Parameters
    ----------
    settings : dict
        The options that must agree for the run to be gone on with.
    history : list of dict
        The log, one row an epoch.
    best : dict
        The row of the best epoch.
    variables, optimizer : list of array
        All variables of the model (those of the random generators of dropout, too) and of its optimizer.
    """

    settings: dict[str, Any]
    history: list[dict[str, float]]
    best: dict[str, float]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]

    @classmethod
    def of(
        cls, model: keras.Model, settings: Mapping[str, Any], history: Sequence[dict], best: Mapping[str, float]
    ) -> State:
        """Take the state of a compiled model."""
        from keras import ops

        variables = [ops.convert_to_numpy(variable) for variable in model.variables]
        optimizer = [ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
        return cls(dict(settings), list(history), dict(best), variables, optimizer)

    def restore(self, model: keras.Model) -> None:
        """Put the state into a compiled model of the same architecture."""
        targets = [*model.variables, *model.optimizer.variables]
        values = [*self.variables, *self.optimizer]
        if [tuple(target.shape) for target in targets] != [value.shape for value in values]:
            raise LaminaError("The saved run belongs to another network: choose another folder.")
        for target, value in zip(targets, values):
            target.assign(value)


class RunFolder:
    """The folder of one training run.

    Parameters
    ----------
    path : Path
        Made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = path / "best.weights.h5"
        self.log = path / "log.csv"
        self.state = path / "state.npz"

    def open(self, settings: Mapping[str, Any], resume: bool) -> State | None:
        """Make the folder and return the state to go on with, if there is one.

        Raises
        ------
        LaminaError
            If the folder holds a run and `resume` is false, or a run with other settings or a damaged state.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LaminaError(f'The folder "{self.path.name}" cannot be made ({error.strerror}).') from error
        if not resume and any(file.exists() for file in (self.state, self.weights, self.log)):
            raise LaminaError(
                f'The folder "{self.path.name}" already holds a training run: resume it, or choose another folder.'
            )
        if not self.state.exists():
            return None
        state = self._read_state()
        # Through JSON, which makes lists of tuples, as the saved ones were.
        wanted = json.loads(json.dumps(dict(settings)))
        different = sorted(key for key in wanted if wanted[key] != state.settings.get(key))
        if different:
            raise LaminaError(
                f'The run in "{self.path.name}" was started with another {", ".join(different)}: '
                "use the same, or choose another folder."
            )
        return state

    def _read_state(self) -> State:
        try:
            with np.load(self.state, allow_pickle=False) as archive:
                summary = json.loads(str(archive["summary"]))
                variables = [archive[f"variable{index}"] for index in range(summary["variables"])]
                optimizer = [archive[f"optimizer{index}"] for index in range(summary["optimizer"])]
            if summary["version"] != STATE_VERSION:
                raise ValueError("written by another version")
            return State(summary["settings"], summary["history"], summary["best"], variables, optimizer)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise LaminaError(
                f'"{self.state.name}" in "{self.path.name}" cannot be read: start anew in another folder.'
            ) from error

    def write_state(self, state: State) -> None:
        """Write the state: one file, so that weights and optimizer cannot come from different epochs."""
        summary = {
            "version": STATE_VERSION,
            "settings": state.settings,
            "history": state.history,
            "best": state.best,
            "variables": len(state.variables),
            "optimizer": len(state.optimizer),
        }
        arrays = {f"variable{index}": array for index, array in enumerate(state.variables)}
        arrays |= {f"optimizer{index}": array for index, array in enumerate(state.optimizer)}
        with atomic_path(self.state) as temporary:
            np.savez(temporary, summary=json.dumps(summary), **arrays)

    def write_weights(self, model: keras.Model) -> None:
        """Write the weights of the best epoch."""
        with atomic_path(self.weights) as temporary:
            model.save_weights(temporary)

    def write_log(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the whole log; a resumed run thereby drops rows of an epoch that it repeats."""
        with atomic_path(self.log) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(history[0]))
            writer.writeheader()
            writer.writerows(history)
