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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.errors import LaminaError

from . import checkpoints
from .acceleration import accelerate
from .devices import Devices
from .event_log import EventLog
from .keras_backend import set_backend
from .losses import create_loss
from .moving_statistics import recalibrate
from .network import build_unet, check_grid
from .pace import Pace
from .parallel import ahead
from .samples import Case, cube_labels, draw_sample
from .training_options import Best, TrainingOptions, TrainingProgress, TrainingResult

if TYPE_CHECKING:
    import keras

__all__ = [
    "Best",
    "Metric",
    "TrainingOptions",
    "TrainingProgress",
    "TrainingResult",
    "load_trained",
    "train",
]

logger = logging.getLogger(__name__)

FINAL_SHARE = 0.01
"""Share of the learning rate that is left at the end of a cosine schedule."""

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
    on_epoch: Callable[[Mapping[str, float], int], None] | None = None,
) -> TrainingResult:
    """Train a network and keep the weights of its best epoch.

    Ctrl-C (KeyboardInterrupt, also one raised by `progress`) ends the run and keeps the best epoch so far.

    Parameters
    ----------
    training, validation : sequence of Case
        Grids and centroids. Loading may be lazy: a case is asked for its grid when it is drawn.
    folder : str or Path
        Made if it does not exist. Gets ``best.weights.h5`` (and ``best_NAME.weights.h5`` for the further monitors),
        ``log.csv``, ``log.tfevents`` for TensorBoard, and ``state.npz``.
    options : TrainingOptions, optional
    metrics : mapping of str to callable, optional
        Further figures of each validation case, averaged into columns ``val_<name>`` of the log.
    initial_weights : str or Path, optional
        Weights to start from, of the same architecture.
    resume : bool
        Go on with the run in `folder` if there is one.
    progress : callable, optional
        Called after each step.
    on_epoch : callable, optional
        Called with the row of each epoch that is saved and the number of the best epoch so far; at the start of a run
        that is gone on with, for the epochs that it has.

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
    for monitor in (options.monitor, *options.also):
        if monitor not in known:
            raise LaminaError(f'"{monitor}" cannot choose the best epoch; choose one of {", ".join(sorted(known))}.')
    if options.steps_per_epoch is None:
        options = replace(options, steps_per_epoch=math.ceil(len(training) / (options.batch_size * options.devices)))
    set_backend(options.backend)
    run_folder = checkpoints.RunFolder(Path(folder), (options.monitor, *options.also))
    with Devices(options.devices) as devices:
        run = _Run(training, validation, run_folder, options, dict(metrics or {}), progress, on_epoch, devices)
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
        on_epoch: Callable[[Mapping[str, float], int], None] | None,
        devices: Devices,
    ) -> None:
        self.training, self.validation = training, validation
        self.folder, self.options, self.metrics = folder, options, metrics
        self.progress = progress or (lambda _: None)
        self.on_epoch = on_epoch or (lambda row, best: None)
        self.devices, self.samples = devices, options.batch_size * devices.count
        self.history: list[dict[str, float]] = []
        self.bests: dict[str, int] = {}
        self.pace = Pace(options.max_seconds, len(validation))

    def start(self, initial_weights: str | Path | None, resume: bool) -> None:
        """Build and compile the model; load what there is to go on with."""
        options = self.options
        state = self.folder.open(self._settings(), resume)
        network = compiled_network(options, self.devices, initial_weights)
        self.model, self.trained, self.loss = network.model, network.trained, network.loss
        if state is not None:
            state.restore(self.trained)
            self.history, self.bests = list(state.history), dict(state.bests)
            self.pace.earlier = sum(row["seconds"] for row in self.history)
            logger.info("Going on after epoch %d.", len(self.history))
            for row in self.history:
                self.on_epoch(row, self.bests[options.monitor])
        self.events = EventLog(self.folder.path / "log.tfevents", self.history)

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
            # It may have come while an epoch was being saved: what is on disk counts.
            self.history, self.bests = self.folder.recover()
            if not self.history:
                self.events.remove()
                raise
            logger.info("Interrupted; keeping epoch %d.", self.bests[self.options.monitor])
            ended_by = "user"
        if not self.history:
            self.events.remove()
            raise LaminaError("The time limit left no time for a single epoch: allow more seconds.")
        best, seconds = self._best(self.options.monitor), sum(row["seconds"] for row in self.history)
        others = {monitor: self._best(monitor) for monitor in self.options.also}
        return TrainingResult(best.weights, best.epoch, best.value, tuple(self.history), seconds, ended_by, others)

    def _best(self, monitor: str) -> Best:
        epoch = self.bests[monitor]
        return Best(self.folder.weights_of(monitor), epoch, float(self.history[epoch - 1][monitor]))

    def _epoch(self, epoch: int) -> None:
        import keras

        started = time.monotonic()
        # Everything random in an epoch follows from (seed, epoch): a resumed run draws what an unbroken one draws.
        sequence = np.random.SeedSequence([self.options.seed, epoch])
        generator = np.random.default_rng(sequence)
        keras.utils.set_random_seed(int(sequence.generate_state(1)[0]))
        losses: list[float] = []
        order = _order(len(self.training), self.options.steps_per_epoch * self.samples, generator)
        with ahead(lambda indices: self._batch(indices, generator), order.reshape(-1, self.samples)) as batches:
            for step in range(1, self.options.steps_per_epoch + 1):
                rate = self._set_learning_rate(epoch, step)
                with self.pace.step():
                    losses.append(self._step(*next(batches), epoch))
                self._report(epoch, step, float(np.mean(losses)))
                if not self.pace.fits_step():
                    break
        row = {"epoch": epoch, "steps": len(losses), "loss": float(np.mean(losses))}
        self.devices.synchronize(self.trained)
        with self.pace.validation():
            if self.options.recalibrate:
                chosen = generator.permutation(len(self.training))[: self.options.recalibrate]
                recalibrate(self.trained, (self.training[int(index)].grid for index in chosen))
            row |= self._validate()
        row |= {"learning_rate": rate, "seconds": round(time.monotonic() - started, 3)}
        self._keep(row)

    def _batch(self, indices: Sequence[int], generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw grids and labels of a step; on another thread, while the step before it is done."""
        pairs = [draw_sample(self.training[int(index)], self.options.augmentation, generator) for index in indices]
        check_grid(pairs[0][0].shape)
        grids, labels = (np.stack(arrays)[..., None] for arrays in zip(*pairs))
        return grids, labels

    def _step(self, grids: np.ndarray, labels: np.ndarray, epoch: int) -> float:
        loss = self.devices.train_step(self.trained, grids, labels)
        if not math.isfinite(loss):
            raise LaminaError(
                f"The training loss stopped being a finite number in epoch {epoch}: lower the learning rate, "
                "or the weight of the loss."
            )
        return loss

    def _validate(self) -> dict[str, float]:
        """Average the loss and the metrics over whole validation grids."""
        columns: dict[str, list[float]] = {"val_loss": [], **{f"val_{name}": [] for name in self.metrics}}
        for first in range(0, len(self.validation), self.devices.count):
            last = min(first + self.devices.count, len(self.validation))
            cases = [self.validation[index] for index in range(first, last)]
            for case in cases:
                check_grid(case.grid.shape)
            grids = np.stack([np.asarray(case.grid, np.float32) for case in cases])[..., None]
            for case, probability in zip(cases, self.devices.predict(self.trained, grids)):
                labels = cube_labels(case.grid.shape, case.centroids)[None, ..., None]
                columns["val_loss"].append(self.devices.loss(self.loss, labels, probability[None]))
                for name, metric in self.metrics.items():
                    columns[f"val_{name}"].append(float(metric(probability[..., 0], case)))
        return {name: float(np.mean(values)) for name, values in columns.items()}

    def _keep(self, row: dict[str, float]) -> None:
        history = [*self.history, row]
        improved = [
            monitor
            for monitor in self.folder.monitors
            if monitor not in self.bests or row[monitor] < self.history[self.bests[monitor] - 1][monitor]
        ]
        bests = self.bests | dict.fromkeys(improved, row["epoch"])
        # The accelerated layers are not for saving: the plain model takes the weights and is saved.
        if improved and self.model is not self.trained:
            self.model.set_weights(self.trained.get_weights())
        state = checkpoints.State.of(self.trained, self._settings(), history, bests)
        self.folder.commit(state, self.model, improved)
        self.history, self.bests = history, bests
        self.events.append(row)
        best = " (best so far)" if self.options.monitor in improved else ""
        logger.info("Epoch %d: %s%s", row["epoch"], _text(row), best)
        self.on_epoch(row, bests[self.options.monitor])

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


@dataclass(frozen=True)
class CompiledNetwork:
    """A network that is ready to be trained: the plain model for its files, its accelerated copy, and the loss."""

    model: keras.Model
    trained: keras.Model
    loss: keras.losses.Loss


def compiled_network(
    options: TrainingOptions, devices: Devices, initial_weights: str | Path | None = None
) -> CompiledNetwork:
    """Build and compile the network of some options, with weights to start from if there are any."""
    import keras

    keras.utils.set_random_seed(options.seed)
    with devices.scope():
        # Open sizes: training sees crops, validation whole grids, and both use the same weights.
        model = _build(options, (None, None, None))
        if initial_weights is not None:
            checkpoints.load_weights(model, initial_weights)
        trained = accelerate(model)
        loss = create_loss(options.loss, **options.loss_parameters)
        optimizer = keras.optimizers.Adam(options.learning_rate)
        trained.compile(optimizer, loss, jit_compile=devices.jit_compile())
        optimizer.build(trained.trainable_variables)
    return CompiledNetwork(model, trained, loss)


def _order(cases: int, samples: int, generator: np.random.Generator) -> np.ndarray:
    """Shuffle rounds of all cases until there are enough samples."""
    rounds = [generator.permutation(cases) for _ in range(math.ceil(samples / cases))]
    return np.concatenate(rounds)[:samples]


def _text(row: Mapping[str, float]) -> str:
    names = [name for name in row if name == "loss" or name.startswith("val_")]
    return ", ".join(f"{name} {row[name]:.4f}" for name in names)


def _build(options: TrainingOptions, shape: Sequence[int | None], precision: str | None = None) -> keras.Model:
    return build_unet(
        options.width,
        (*shape, 1),
        preset=options.preset,
        normalization=options.normalization,
        momentum=options.momentum,
        output_bias=options.output_bias,
        precision=precision or options.precision,
    )


def load_trained(weights: str | Path, options: TrainingOptions, shape: Sequence[int | None]) -> keras.Model:
    """Build the network of some options for a grid shape (SI, LR, PA), in float32, with trained weights."""
    model = _build(options, shape, "float32")
    checkpoints.load_weights(model, weights)
    return model
