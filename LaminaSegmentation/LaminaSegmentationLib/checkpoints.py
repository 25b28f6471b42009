"""What a training run leaves on disk: best weights, log, and the state from which it goes on.

Every file is written beside its target and moved into place. An epoch counts from the moment when its state is in
place: the weights of a new best epoch wait under the name ``pending-EPOCH.weights.h5`` until then, and take the place
of the earlier ones afterwards (`RunFolder.commit`). Whatever kills the process, and whenever, the next start finds
either the epoch with all its files or none of it (`RunFolder.settle`).
"""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError

if TYPE_CHECKING:
    import keras

STATE_VERSION = 2


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
    bests : dict of str to int
        For each monitor the number of its best epoch, from 1.
    variables, optimizer : list of array
        All variables of the model (those of the random generators of dropout, too) and of its optimizer.
    """

    settings: dict[str, Any]
    history: list[dict[str, float]]
    bests: dict[str, int]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]

    @classmethod
    def of(
        cls, model: keras.Model, settings: Mapping[str, Any], history: Sequence[dict], bests: Mapping[str, int]
    ) -> State:
        """Take the state of a compiled model."""
        from keras import ops

        variables = [ops.convert_to_numpy(variable) for variable in model.variables]
        optimizer = [ops.convert_to_numpy(variable) for variable in model.optimizer.variables]
        return cls(dict(settings), list(history), dict(bests), variables, optimizer)

    def restore(self, model: keras.Model) -> None:
        """Put the state into a compiled model of the same architecture."""
        targets = [*model.variables, *model.optimizer.variables]
        values = [*self.variables, *self.optimizer]
        if [tuple(target.shape) for target in targets] != [value.shape for value in values]:
            raise LaminaError("The saved run belongs to another network: choose another folder.")
        for target, value in zip(targets, values):
            target.assign(value)


_BLOCK = 1 << 20

_PENDING = re.compile(r"pending-(\d+)\.weights\.h5")
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}-.+")


class RunFolder:
    """The folder of one training run.

    Parameters
    ----------
    path : Path
        Made by `open` if it does not exist.
    monitors : sequence of str
        What chooses best epochs, such as ``val_loss``; the first one's weights are ``best.weights.h5``, those of
        ``val_NAME`` are ``best_NAME.weights.h5``.
    """

    def __init__(self, path: Path, monitors: Sequence[str] = ("val_loss",)) -> None:
        self.path = path
        self.monitors = tuple(dict.fromkeys(monitors))
        self.log = path / "log.csv"
        self.state = path / "state.npz"

    def weights_of(self, monitor: str) -> Path:
        """Return the file with the weights of a monitor's best epoch."""
        name = "best" if monitor == self.monitors[0] else f"best_{monitor.removeprefix('val_')}"
        return self.path / f"{name}.weights.h5"

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
        files = (self.state, self.log, *map(self.weights_of, self.monitors))
        if not resume and any(file.exists() for file in files):
            raise LaminaError(
                f'The folder "{self.path.name}" already holds a training run: resume it, or choose another folder.'
            )
        if not self.state.exists():
            self.settle({}, 0)
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
        self.settle(state.bests, len(state.history))
        self._write_log(state.history)
        return state

    def _read_state(self) -> State:
        try:
            with np.load(self.state, allow_pickle=False) as archive:
                summary = json.loads(str(archive["summary"]))
                if summary["version"] != STATE_VERSION:
                    raise ValueError("written by another version")
                variables = [archive[f"variable{index}"] for index in range(summary["variables"])]
                optimizer = [archive[f"optimizer{index}"] for index in range(summary["optimizer"])]
            return State(summary["settings"], summary["history"], summary["bests"], variables, optimizer)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise LaminaError(
                f'"{self.state.name}" in "{self.path.name}" cannot be read: start anew in another folder.'
            ) from error

    def recover(self) -> tuple[list[dict[str, float]], dict[str, int]]:
        """Return history and best epochs as they are on disk, after an interruption at any point of `commit`.

        Both are empty when no epoch was ever complete.
        """
        history, bests = [], {}
        if self.state.exists():
            state = self._read_state()
            history, bests = state.history, state.bests
        self.settle(bests, len(history))
        return history, bests

    def commit(self, state: State, model: keras.Model, improved: Iterable[str]) -> None:
        """Write an epoch: weights if it is the best one of a monitor, state, log.

        Parameters
        ----------
        state : State
            After the epoch.
        model : keras.Model
            Its weights are saved.
        improved : iterable of str
            The monitors whose best epoch this one is.

        Raises
        ------
        LaminaError
            If a file cannot be written, for example because the disk is full; the files of the epochs before are
            kept, and the run can be gone on with.
        """
        epoch = len(state.history)
        try:
            if list(improved):
                self._write_weights(model, self.path / f"pending-{epoch}.weights.h5")
            self._write_state(state)
            self.settle(state.bests, epoch)
            self._write_log(state.history)
        except (LaminaError, OSError) as error:
            raise LaminaError(
                f"Epoch {epoch} could not be saved, the epochs before it are kept: {_reason(error)}; "
                "make space on the disk, then resume the run."
            ) from error

    def settle(self, bests: Mapping[str, int], epochs: int) -> None:
        """Finish or undo what an interruption left: pending weights and temporary files.

        Parameters
        ----------
        bests : mapping of str to int
            Best epoch of each monitor, as the state on disk has it.
        epochs : int
            Complete epochs of that state.
        """
        for path in sorted(self.path.iterdir()):
            found = _PENDING.fullmatch(path.name)
            if not found:
                if _TEMPORARY.fullmatch(path.name):
                    path.unlink(missing_ok=True)
                continue
            # Pending weights of an epoch that the state does not have are those of one that has to be repeated.
            if int(found[1]) <= epochs:
                for monitor in (monitor for monitor in self.monitors if bests.get(monitor) == int(found[1])):
                    with atomic_path(self.weights_of(monitor)) as temporary:
                        shutil.copyfile(path, temporary)
            path.unlink(missing_ok=True)

    def _write_state(self, state: State) -> None:
        """Write one file, so that weights and optimizer cannot come from different epochs."""
        summary = {
            "version": STATE_VERSION,
            "settings": state.settings,
            "history": state.history,
            "bests": state.bests,
            "variables": len(state.variables),
            "optimizer": len(state.optimizer),
        }
        arrays = {f"variable{index}": array for index, array in enumerate(state.variables)}
        arrays |= {f"optimizer{index}": array for index, array in enumerate(state.optimizer)}
        with atomic_path(self.state) as temporary:
            np.savez(temporary, summary=json.dumps(summary), **arrays)

    def _write_weights(self, model: keras.Model, path: Path) -> None:
        size = sum(4 * math.prod(weight.shape) for weight in model.weights)
        with atomic_path(path) as temporary:
            # HDF5 cannot recover from a write that fails. So the space is claimed first, with writes that can.
            with open(temporary, "wb") as file:
                for _ in range(0, size, _BLOCK):
                    file.write(bytes(_BLOCK))
            try:
                model.save_weights(temporary)
            except RuntimeError as error:
                raise OSError(None, "HDF5 could not write it") from error

    def _write_log(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the whole log; a resumed run thereby drops rows of an epoch that it repeats."""
        with atomic_path(self.log) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(history[0]))
            writer.writeheader()
            writer.writerows(history)


def _reason(error: Exception) -> str:
    """Return what the system said, without the advice that `atomic_path` adds."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return getattr(cause, "strerror", None) or str(error)
