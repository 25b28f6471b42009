"""The devices that share a training step: one, or several through the backend's own data parallelism.

JAX: `keras.distribution.DataParallel` splits each batch, and batch normalization sees the statistics of all of it.
TensorFlow: `tf.distribute.MirroredStrategy`, under which each device normalizes its own samples and the moving
statistics are averaged. PyTorch: one device only, since Keras has no data parallelism for it within one process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.errors import LaminaError

if TYPE_CHECKING:
    import keras


class Devices:
    """Runs training steps and predictions on some devices; a context manager that releases them.

    Parameters
    ----------
    count : int
        How many. GPUs are taken where there are any.

    Raises
    ------
    LaminaError
        If there are fewer, or the backend cannot use several.
    """

    def __init__(self, count: int = 1) -> None:
        import keras

        self.count = count
        self.backend = keras.backend.backend()
        self.strategy: Any = None
        if count == 1:
            return
        if self.backend not in ("jax", "tensorflow"):
            raise LaminaError(
                f"Several devices need Keras' backend jax or tensorflow, not {self.backend}: choose another backend, "
                "or one device."
            )
        names = device_names()
        if len(names) < count:
            raise LaminaError(
                f"Training was asked to use {count} devices, but {self.backend} finds {len(names)}: use fewer."
            )
        self._names = names[:count]

    def __enter__(self) -> Devices:
        if self.count > 1 and self.backend == "jax":
            import keras

            self._before = keras.distribution.distribution()
            keras.distribution.set_distribution(keras.distribution.DataParallel(devices=self._names))
        elif self.count > 1:
            import tensorflow

            self.strategy = tensorflow.distribute.MirroredStrategy(self._names)
        return self

    def __exit__(self, *error: object) -> None:
        if self.count > 1 and self.backend == "jax":
            import keras

            keras.distribution.set_distribution(self._before)

    def scope(self) -> contextlib.AbstractContextManager:
        """Return the context in which a model is built and compiled."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def jit_compile(self) -> bool | str:
        """Compile where it pays: XLA on a CPU makes TensorFlow 3 to 10 times slower, and JAX needs it everywhere."""
        if self.backend == "tensorflow":
            import tensorflow

            # XLA cannot compile what several replicas do together.
            alone = self.strategy is None
            return "auto" if alone and tensorflow.config.list_physical_devices("GPU") else False
        return self.backend == "jax"

    def train_step(self, model: keras.Model, grids: np.ndarray, labels: np.ndarray) -> float:
        """Do one step with a batch of a multiple of `count` samples (batch, SI, LR, PA, 1); return its mean loss."""
        if self.strategy is None:
            return float(model.train_on_batch(grids, labels, return_dict=True)["loss"])
        # What `train_on_batch` does, with a part of the batch for each replica instead of all of it for all.
        model._maybe_symbolic_build(data_batch=(grids, labels, None))
        model.make_train_function()
        model.reset_metrics()
        logs = model.train_function(iter([(self._parts(grids), self._parts(labels), None)]))
        return float(logs["loss"])

    def synchronize(self, model: keras.Model) -> None:
        """Average the moving statistics over the devices, so that each predicts with the same network."""
        if self.strategy is None:
            return
        for variable in model.non_trainable_variables:
            if "float" in str(variable.dtype):
                copies = [copy.numpy() for copy in self.strategy.experimental_local_results(variable.value)]
                variable.assign(np.mean(copies, axis=0))

    def predict(self, model: keras.Model, grids: np.ndarray) -> np.ndarray:
        """Return the probabilities of at most `count` grids (batch, SI, LR, PA, 1), one a device."""
        if self.count == 1:
            return np.asarray(model.predict_on_batch(grids))
        # Every device needs a grid: the last one is repeated.
        filled = np.concatenate([grids, np.repeat(grids[-1:], self.count - len(grids), axis=0)])
        batch = self._parts(filled) if self.strategy else _over_devices(filled)
        return np.asarray(model.predict_on_batch(batch))[: len(grids)]

    def loss(self, loss: keras.losses.Loss, labels: np.ndarray, probability: np.ndarray) -> float:
        """Return the loss of one prediction (1, SI, LR, PA, 1)."""
        if self.backend == "jax":
            return float(_compiled(loss)(labels, probability))
        return float(loss(labels, probability))

    def _parts(self, batch: np.ndarray) -> Any:
        """Hand each replica its part of a batch."""
        import tensorflow

        parts = [tensorflow.constant(part) for part in np.split(batch, self.count)]
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )


def device_names() -> list[str]:
    """Return the names of the devices that the present backend can train on: its GPUs, or else its CPUs."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        kinds = (tensorflow.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
        return [device.name for device in next(filter(None, kinds), [])]
    return list(keras.distribution.list_devices())


def check_devices(count: int, backend: str | None) -> None:
    """Check that a backend has so many devices, in a process of its own, before hours of preparation.

    Asking starts the backend, whose threads and GPU memory must not be in a process that yet has to start others.

    Raises
    ------
    LaminaError
        As for `Devices`.
    """
    if count <= 1:
        return
    code = "import sys; from LaminaSegmentationLib.devices import _report; _report(int(sys.argv[1]), *sys.argv[2:])"
    paths = os.pathsep.join(dict.fromkeys(path for path in sys.path if path))
    command = [sys.executable, "-c", code, str(count), *filter(None, [backend])]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if line.strip()]
        raise LaminaError(reason[-1] if reason else f"The devices of {backend} could not be counted: use one.")


def _report(count: int, backend: str | None = None) -> None:
    from .keras_backend import set_backend

    try:
        set_backend(backend)
        Devices(count)
    except LaminaError as error:
        sys.exit(str(error))


def gpu_name() -> str | None:
    """Return the name of the GPU that the present backend uses, or None when it has only a CPU."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return str(jax.devices()[0].device_kind) if jax.default_backend() == "gpu" else None
    if backend == "tensorflow":
        import tensorflow

        gpus = tensorflow.config.list_physical_devices("GPU")
        return (
            str(tensorflow.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else None
        )
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return None


def _over_devices(batch: np.ndarray) -> Any:
    import keras

    layout = keras.distribution.distribution().get_data_layout(batch.shape)
    return keras.distribution.distribute_tensor(batch, layout)


@functools.lru_cache(maxsize=4)
def _compiled(loss: keras.losses.Loss) -> Any:
    """Compile a loss once: without it JAX would trace its loops anew for every case."""
    import jax

    return jax.jit(lambda labels, probability: loss(labels, probability))
