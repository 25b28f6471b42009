"""Training of the network on preprocessed grids.

One loop serves every Keras backend: `train_on_batch` does the step, this file does what surrounds it: sampling,
validation on whole grids, choice of the best epoch, time limit, log, and a state from which an interrupted run goes on
exactly where its last complete epoch ended.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.errors import LaminaError

from . import checkpoints
from .acceleration import accelerate
from .keras_backend import BACKENDS, set_backend
from .losses import create_loss
from .network import build_unet, check_grid
from .pace import Pace
from .samples import Augmentation, Case, cube_labels, draw_sample

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

SCHEDULES = ("constant", "cosine")
FINAL_SHARE = 0.01
"""Share of the learning rate that is left at the end of a cosine schedule."""


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

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "steps_per_epoch", "learning_rate", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise LaminaError(f"The training option {name} must be positive, not {value}.")
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
    """

    weights: Path
    best_epoch: int
    best_value: float
    history: tuple[dict[str, float], ...]
    seconds: float
    ended_by: str


Metric = Callable[[np.ndarray, Case], float]
"""Takes a probability (SI, LR, PA) and its case; lower must be better if it is to choose the best epoch."""


def train(
    training: Sequence[Case],
    validation: Sequence[Case],
    folder: str | Path,
    options: TrainingOptions | None = None,
    *,
    metrics: Mapping[str, Metric] | None = None,
    initial_weights: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train a network and keep the weights of its best epoch.

    Ctrl-C (KeyboardInterrupt, also one raised by `progress`) ends the run and keeps the best epoch so far.

    Parameters
    ----------
    training, validation : sequence of Case
        Grids and centroids. Loading may be lazy: a case is asked for its grid when it is drawn.
    folder : str or Path
        Made if it does not exist. Gets ``best.weights.h5``, ``log.csv`` and ``state.npz``.
    options : TrainingOptions, optional
    metrics : mapping of str to callable, optional
        Further figures of each validation case, averaged into columns ``val_<name>`` of the log.
    initial_weights : str or Path, optional
        Weights to start from, of the same architecture.
    resume : bool
        Go on with the run in `folder` if there is one.
    progress : callable, optional
        Called after each step.

    Returns
    -------
    TrainingResult

    Raises
    ------
    LaminaError
        If there are no cases, the folder holds another run, the options do not fit, or the loss stops being finite.
    KeyboardInterrupt
        If the run is interrupted before its first epoch ended, when there is nothing to keep.
    """
    options = options or TrainingOptions()
    if not training or not validation:
        raise LaminaError("Training needs at least one training case and one validation case.")
    known = {"val_loss", *(f"val_{name}" for name in metrics or ())}
    if options.monitor not in known:
        raise LaminaError(
            f'"{options.monitor}" cannot choose the best epoch; choose one of {", ".join(sorted(known))}.'
        )
    if options.steps_per_epoch is None:
        options = replace(options, steps_per_epoch=math.ceil(len(training) / options.batch_size))
    set_backend(options.backend)
    run = _Run(training, validation, checkpoints.RunFolder(Path(folder)), options, dict(metrics or {}), progress)
    run.start(initial_weights, resume)
    return run.execute()


class _Run:
    """One call of `train`."""

    def __init__(
        self,
        training: Sequence[Case],
        validation: Sequence[Case],
        folder: checkpoints.RunFolder,
        options: TrainingOptions,
        metrics: dict[str, Metric],
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        self.training, self.validation = training, validation
        self.folder, self.options, self.metrics = folder, options, metrics
        self.progress = progress or (lambda _: None)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None
        self.pace = Pace(options.max_seconds, len(validation))

    def start(self, initial_weights: str | Path | None, resume: bool) -> None:
        """Build and compile the model; load what there is to go on with."""
        import keras

        options = self.options
        settings = self._settings()
        state = self.folder.open(settings, resume)
        keras.utils.set_random_seed(options.seed)
        # Open sizes: training sees crops, validation whole grids, and both use the same weights.
        shape = (None, None, None, 1)
        self.model = build_unet(options.width, shape, preset=options.preset, precision=options.precision)
        if initial_weights is not None:
            checkpoints.load_weights(self.model, initial_weights)
        self.trained = accelerate(self.model)
        self.loss = create_loss(options.loss, **options.loss_parameters)
        self.trained.compile(keras.optimizers.Adam(options.learning_rate), self.loss, jit_compile=_jit_compile())
        self.trained.optimizer.build(self.trained.trainable_variables)
        if state is not None:
            state.restore(self.trained)
            self.history, self.best = list(state.history), state.best
            self.pace.earlier = sum(row["seconds"] for row in self.history)
            logger.info("Going on after epoch %d.", len(self.history))

    def _settings(self) -> dict[str, Any]:
        """What must agree for a run to be gone on with; its length and its backend may change."""
        settings = asdict(self.options)
        for name in ("epochs", "max_seconds", "backend"):
            del settings[name]
        return {**settings, "cases": [len(self.training), len(self.validation)]}

    def execute(self) -> TrainingResult:
        ended_by = "epochs"
        try:
            while len(self.history) < self.options.epochs:
                if not self.pace.fits_step():
                    ended_by = "time"
                    break
                self._epoch(len(self.history) + 1)
        except KeyboardInterrupt:
            if self.best is None:
                raise
            logger.info("Interrupted; keeping epoch %d.", self.best["epoch"])
            ended_by = "user"
        if self.best is None:
            raise LaminaError("The time limit left no time for a single epoch: allow more seconds.")
        seconds = sum(row["seconds"] for row in self.history)
        best_epoch, best_value = int(self.best["epoch"]), float(self.best[self.options.monitor])
        return TrainingResult(self.folder.weights, best_epoch, best_value, tuple(self.history), seconds, ended_by)

    def _epoch(self, epoch: int) -> None:
        import keras

        started = time.monotonic()
        # Everything random in an epoch follows from (seed, epoch): a resumed run draws what an unbroken one draws.
        sequence = np.random.SeedSequence([self.options.seed, epoch])
        generator = np.random.default_rng(sequence)
        keras.utils.set_random_seed(int(sequence.generate_state(1)[0]))
        losses: list[float] = []
        order = _order(len(self.training), self.options.steps_per_epoch * self.options.batch_size, generator)
        for step in range(1, self.options.steps_per_epoch + 1):
            rate = self._set_learning_rate(epoch, step)
            with self.pace.step():
                losses.append(self._step(order[(step - 1) * self.options.batch_size :], generator, epoch))
            self._report(epoch, step, float(np.mean(losses)))
            if not self.pace.fits_step():
                break
        row = {"epoch": epoch, "steps": len(losses), "loss": float(np.mean(losses))}
        with self.pace.validation():
            row |= self._validate()
        row |= {"learning_rate": rate, "seconds": round(time.monotonic() - started, 3)}
        self._keep(row)

    def _step(self, indices: Sequence[int], generator: np.random.Generator, epoch: int) -> float:
        pairs = [
            draw_sample(self.training[int(index)], self.options.augmentation, generator)
            for index in indices[: self.options.batch_size]
        ]
        check_grid(pairs[0][0].shape)
        grids, labels = (np.stack(arrays)[..., None] for arrays in zip(*pairs))
        loss = float(self.trained.train_on_batch(grids, labels, return_dict=True)["loss"])
        if not math.isfinite(loss):
            raise LaminaError(
                f"The training loss stopped being a finite number in epoch {epoch}: lower the learning rate, "
                "or the weight of the loss."
            )
        return loss

    def _validate(self) -> dict[str, float]:
        """Average the loss and the metrics over whole validation grids."""
        columns: dict[str, list[float]] = {"val_loss": [], **{f"val_{name}": [] for name in self.metrics}}
        for index in range(len(self.validation)):
            case = self.validation[index]
            check_grid(case.grid.shape)
            grid = np.asarray(case.grid, np.float32)[None, ..., None]
            labels = cube_labels(case.grid.shape, case.centroids)[None, ..., None]
            probability = np.asarray(self.trained.predict_on_batch(grid))
            columns["val_loss"].append(float(self.loss(labels, probability)))
            for name, metric in self.metrics.items():
                columns[f"val_{name}"].append(float(metric(probability[0, ..., 0], case)))
        return {name: float(np.mean(values)) for name, values in columns.items()}

    def _keep(self, row: dict[str, float]) -> None:
        self.history.append(row)
        monitor = self.options.monitor
        improved = self.best is None or row[monitor] < self.best[monitor]
        if improved:
            self.best = row
            # The accelerated layers are not for saving: the plain model takes the weights and is saved.
            if self.model is not self.trained:
                self.model.set_weights(self.trained.get_weights())
            self.folder.write_weights(self.model)
        self.folder.write_log(self.history)
        self.folder.write_state(checkpoints.State.of(self.trained, self._settings(), self.history, self.best))
        logger.info("Epoch %d: %s%s", row["epoch"], _text(row), " (best so far)" if improved else "")

    def _set_learning_rate(self, epoch: int, step: int) -> float:
        options = self.options
        rate = options.learning_rate
        if options.schedule == "cosine":
            done = (epoch - 1 + (step - 1) / options.steps_per_epoch) / options.epochs
            wave = 0.5 * (1.0 + math.cos(math.pi * min(max(done, self.pace.share()), 1.0)))
            rate *= FINAL_SHARE + (1.0 - FINAL_SHARE) * wave
        self.trained.optimizer.learning_rate = rate
        return rate

    def _report(self, epoch: int, step: int, loss: float) -> None:
        options = self.options
        epochs = options.epochs - epoch + 1
        left = self.pace.estimate(epochs * options.steps_per_epoch - step, epochs)
        self.progress(TrainingProgress(epoch, options.epochs, step, options.steps_per_epoch, loss, left))


def _order(cases: int, samples: int, generator: np.random.Generator) -> np.ndarray:
    """Shuffle rounds of all cases until there are enough samples."""
    rounds = [generator.permutation(cases) for _ in range(math.ceil(samples / cases))]
    return np.concatenate(rounds)[:samples]


def _jit_compile() -> bool | str:
    """Compile where it pays: XLA on a CPU makes TensorFlow 3 to 10 times slower, and JAX needs it everywhere."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        return "auto" if tensorflow.config.list_physical_devices("GPU") else False
    return backend == "jax"


def _text(row: Mapping[str, float]) -> str:
    names = [name for name in row if name == "loss" or name.startswith("val_")]
    return ", ".join(f"{name} {row[name]:.4f}" for name in names)


def load_trained(weights: str | Path, options: TrainingOptions, shape: Sequence[int | None]) -> keras.Model:
    """Build the network of some options for a grid shape (SI, LR, PA), in float32, with trained weights."""
    model = build_unet(options.width, (*shape, 1), preset=options.preset)
    checkpoints.load_weights(model, weights)
    return model
