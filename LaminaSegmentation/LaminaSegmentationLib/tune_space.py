"""What ``lamina tune`` searches: the options of ``lamina train`` and the values that each may take."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from LaminaLabelingLib.errors import LaminaError

from .losses import LOSSES, POSITIVE_WEIGHT
from .network import NORMALIZATIONS
from .training_options import SCHEDULES, WEIGHTED_LOSSES

SEARCHED = ("loss", "learning_rate", "width", "loss_weight", "augment", "normalization", "momentum", "schedule")
"""Names of what can be searched, in the order in which it is drawn. Dropout is no option of a training."""

WIDTHS = (8, 16, 32)
"""Each is a preset of `network` that differs from the others in its width alone."""

MOMENTA = (0.8, 0.99)

FIXED: dict[str, Any] = {
    "learning_rate": 1e-4,
    "loss_weight": POSITIVE_WEIGHT,
    "augment": False,
    "normalization": "batch",
    "momentum": 0.9,
    "schedule": "constant",
}
"""What is not searched, as ``lamina train`` takes it; of loss and width the first of their lists is taken."""


class Trial(Protocol):
    """What draws values: a trial of Optuna, or a stand-in."""

    def suggest_categorical(self, name: str, choices: Sequence) -> Any:
        """Draw one of some values."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number."""


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes
    ----------
    searched : tuple of str
        Of `SEARCHED`.
    losses : tuple of str
    widths : tuple of int
    learning_rates, loss_weights : tuple of two float
        Lowest and highest; drawn on a logarithmic scale.
    """

    searched: tuple[str, ...] = SEARCHED
    losses: tuple[str, ...] = LOSSES
    widths: tuple[int, ...] = WIDTHS
    learning_rates: tuple[float, float] = (1e-5, 1e-2)
    loss_weights: tuple[float, float] = (5.0, 500.0)

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Draw the options of one training; what has no meaning with the others is None.

        Parameters
        ----------
        trial : Trial
            A value that it has drawn before it draws again.
        """
        loss = self._choice(trial, "loss", self.losses)
        rate = self._number(trial, "learning_rate", self.learning_rates, log=True)
        width = self._choice(trial, "width", self.widths)
        weight = self._number(trial, "loss_weight", self.loss_weights, log=True) if loss in WEIGHTED_LOSSES else None
        augment = self._choice(trial, "augment", (False, True))
        normalization = self._choice(trial, "normalization", NORMALIZATIONS)
        momentum = self._number(trial, "momentum", MOMENTA) if normalization == "batch" else None
        schedule = self._choice(trial, "schedule", SCHEDULES)
        values = (loss, rate, width, weight, augment, normalization, momentum, schedule)
        return dict(zip(SEARCHED, values, strict=True))

    def _choice(self, trial: Trial, name: str, choices: Sequence) -> Any:
        if name not in self.searched or len(choices) == 1:
            return FIXED.get(name, choices[0])
        return trial.suggest_categorical(name, list(choices))

    def _number(self, trial: Trial, name: str, bounds: tuple[float, float], log: bool = False) -> float:
        if name not in self.searched:
            return FIXED[name]
        # What is printed and typed again must be what was trained: four digits are enough of any of them.
        return float(f"{trial.suggest_float(name, *bounds, log=log):.4g}")


def parse_space(search: str | None, losses: str | None, widths: str | None, rates: str | None) -> Space:
    """Turn the options of the command line into what is searched.

    Parameters
    ----------
    search, losses, widths : str or None
        Lists with commas; None stands for all.
    rates : str or None
        Lowest and highest learning rate with a comma between them.

    Raises
    ------
    LaminaError
        If one cannot be read or names what there is not.
    """
    known = [str(width) for width in WIDTHS]
    space = Space(
        searched=_names("--search", search, SEARCHED),
        losses=_names("--losses", losses, LOSSES),
        widths=tuple(int(width) for width in _names("--widths", widths, known)),
    )
    if rates is None:
        return space
    try:
        low, high = (float(part) for part in rates.split(","))
    except ValueError:
        low = high = math.nan
    if not 0 < low < high < math.inf:
        raise LaminaError(f"--learning-rates is '{rates}'; give the lowest and the highest, such as 1e-5,1e-2.")
    return Space(space.searched, space.losses, space.widths, (low, high))


def _names(option: str, text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    if text is None:
        return tuple(known)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise LaminaError(f"{option} names {', '.join(unknown) or 'nothing'}; choose from {', '.join(known)}.")
    return names


def train_command_line(values: Mapping[str, Any], common: Sequence[str]) -> str:
    """Return the ``lamina train`` command of a trial.

    Parameters
    ----------
    values : mapping
        As `Space.suggest` returns it.
    common : sequence of str
        The arguments that all trials have in common.
    """
    arguments = ["lamina", "train", *common, "--preset", str(values["width"]), "--loss", values["loss"]]
    for name in ("loss_weight", "learning_rate", "schedule", "normalization", "momentum"):
        if values[name] is not None:
            arguments += [f"--{name.replace('_', '-')}", str(values[name])]
    return shlex.join(arguments + (["--augment"] if values["augment"] else []))
