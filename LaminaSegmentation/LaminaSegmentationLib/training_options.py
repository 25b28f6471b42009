"""What determines a training run, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError

from .keras_backend import BACKENDS
from .samples import Augmentation

SCHEDULES = ("constant", "cosine")


WEIGHTED_LOSSES = ("wbce", "dice+wbce")
"""Losses in which the voxels of laminae have a weight."""


def loss_parameters(loss: str, weight: float | None) -> dict[str, float]:
    """Return the parameters of a loss for a weight of the voxels of laminae; None leaves the loss its own.

    Raises
    ------
    LaminaError
        If the loss has no weight, or it is not a number above 0.
    """
    if weight is None:
        return {}
    if loss not in WEIGHTED_LOSSES:
        raise LaminaError(f"The loss {loss} has no weight: give --loss-weight with {' or '.join(WEIGHTED_LOSSES)}.")
    if not 0 < weight < float("inf"):
        raise LaminaError(f"--loss-weight is {weight}; give a number above 0, such as 50.")
    return {"weight": float(weight)}


@dataclass(frozen=True)
class TrainingOptions:
    """Everything that determines a training run, apart from the data. The defaults are the paper's, but for the width.

    Parameters
    ----------
    epochs : int
    learning_rate : float
        Of Adam.
    preset : str
        A key of `network.PRESETS`.
    width : int, optional
        Feature maps of the first stage; None takes the preset's.
    loss : str
        A name that `losses.create_loss` knows.
    loss_parameters : mapping
        Passed to the loss, for example ``{"weight": 50}``.
    batch_size : int
    steps_per_epoch : int, optional
        None shows each case once an epoch. Any other number goes on with a newly shuffled round when all were shown.
    seed : int
        Determines initial weights, order, samples and dropout.
    augmentation : Augmentation
    schedule : {"constant", "cosine"}
        "cosine" lowers the learning rate to a hundredth. Where `max_seconds` ends a run before `epochs` do, it follows
        the time, so that such a run ends with a low rate, too; two runs then agree only if they are equally fast.
    max_seconds : float, optional
        Time limit of one call, validation included: the epoch in hand is cut short, validated and counted.
    precision : {"float32", "mixed_bfloat16"}
        See `network.build_unet`. Hidden layers in bfloat16 are 2.5 times faster on CPUs with AVX-512 BF16 or AMX and
        slower on others.
    backend : {"tensorflow", "torch", "jax"}, optional
        Keras' backend; None leaves the choice to Keras (environment variable KERAS_BACKEND, else TensorFlow).
    monitor : str
        What chooses the best epoch, lower being better: "val_loss", or "val_" and the name of a validation metric.
    also : tuple of str
        Further monitors, each of which keeps the weights of its own best epoch: one run then answers what another
        choice of the epoch would have given.
    normalization, momentum, output_bias : optional
        As for `network.build_unet`; None takes the preset's.
    recalibrate : int
        Training grids over which the moving statistics are estimated anew before each validation, see
        `moving_statistics.recalibrate`; 0 leaves them to the momentum.
    devices : int
        GPUs (or other devices of the backend) that share each step, see `devices.Devices`. Each gets `batch_size`
        samples.
    """

    epochs: int = 200
    learning_rate: float = 1e-4
    preset: str = "default"
    width: int | None = None
    loss: str = "dice"
    loss_parameters: Mapping[str, float] = field(default_factory=dict)
    batch_size: int = 1
    steps_per_epoch: int | None = None
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    schedule: str = "constant"
    max_seconds: float | None = None
    precision: str = "float32"
    backend: str | None = None
    monitor: str = "val_loss"
    also: tuple[str, ...] = ()
    normalization: str | None = None
    momentum: float | None = None
    output_bias: float | None = None
    recalibrate: int = 0
    devices: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "steps_per_epoch", "learning_rate", "max_seconds", "devices"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise LaminaError(f"The training option {name} must be positive, not {value}.")
        if self.recalibrate < 0:
            raise LaminaError(f"The training option recalibrate must not be negative: {self.recalibrate}.")
        if self.schedule not in SCHEDULES:
            raise LaminaError(f'There is no schedule "{self.schedule}"; choose one of {", ".join(SCHEDULES)}.')
        if self.backend is not None and self.backend not in BACKENDS:
            raise LaminaError(f'There is no Keras backend "{self.backend}"; choose one of {", ".join(BACKENDS)}.')


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run is, reported after each step.

    `epoch` and `step` count from 1, `loss` is the mean over the epoch so far, `seconds_left` is an estimate for the
    whole run.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds_left: float


@dataclass(frozen=True)
class Best:
    """The best epoch after one monitor: its weights, its number (from 1) and the monitored value."""

    weights: Path
    epoch: int
    value: float


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of a run.

    Parameters
    ----------
    weights : Path
        ``best.weights.h5`` of the best epoch, for `network.build_unet` of the same preset and width.
    best_epoch : int
        Counted from 1.
    best_value : float
        The monitored value of that epoch.
    history : tuple of dict
        One row an epoch: epoch, steps, loss, val_loss, further val_ metrics, learning_rate, seconds.
    seconds : float
        Training time of all sessions together.
    ended_by : {"epochs", "time", "user"}
    others : mapping of str to Best
        For each monitor of `TrainingOptions.also`, under its name.
    """

    weights: Path
    best_epoch: int
    best_value: float
    history: tuple[dict[str, float], ...]
    seconds: float
    ended_by: str
    others: Mapping[str, Best] = field(default_factory=dict)
