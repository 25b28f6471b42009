"""What runs a trained network: OpenVINO or TensorFlow, behind one small interface.

OpenVINO is the lighter and, on a CPU, the faster; TensorFlow is for machines with an NVIDIA GPU. Nothing heavy is
imported before an engine is made.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import logging
import os
import shutil
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.errors import LaminaError

from .keras_backend import set_backend
from .tiling import TILE_ROWS, by_tiles

if TYPE_CHECKING:
    from .models import ModelBundle

logger = logging.getLogger(__name__)

ENGINES = ("auto", "tensorflow", "openvino")

REQUIREMENTS = {"tensorflow": ("tensorflow", "keras"), "openvino": ("openvino",)}
"""Packages of each engine; their names on PyPI and at import are the same."""

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
"""What the network may compute with, and OpenVINO's word for it."""

NVIDIA_DRIVER = Path("/proc/driver/nvidia")


class Engine(ABC):
    """A network that is ready to run.

    Parameters
    ----------
    shape : tuple of three int
        Voxels of the grid along SI, LR and PA.
    low_memory : bool
        Run the network on one part of the grid after the other, see `tiling`.
    """

    def __init__(self, shape: tuple[int, int, int], low_memory: bool = False) -> None:
        self.shape = shape
        self.rows = min(TILE_ROWS, shape[0]) if low_memory else shape[0]

    @property
    @abstractmethod
    def description(self) -> str:
        """Name, version and device, such as "OpenVINO 2025.4 on CPU (2 threads)"."""

    def predict(self, grid: np.ndarray) -> np.ndarray:
        """Run the network on one preprocessed grid.

        Parameters
        ----------
        grid : array (SI, LR, PA)
            Intensities with zero mean and unit variance over the scanned voxels, 0 elsewhere.

        Returns
        -------
        array (SI, LR, PA), float32
            Probability of lamina.

        Raises
        ------
        LaminaError
            If the grid has another shape than the model's.
        """
        if np.shape(grid) != tuple(self.shape):
            wanted, given = (" x ".join(map(str, shape)) for shape in (self.shape, np.shape(grid)))
            raise LaminaError(f"This model takes a grid of {wanted} voxels, not {given}: prepare the scan for it.")
        batch = np.ascontiguousarray(grid, np.float32)[None, ..., None]
        # A copy: some engines hand out a view of memory that their next run overwrites.
        result = self._run(batch) if self.rows == self.shape[0] else by_tiles(self._run, batch, self.rows)
        return np.array(result, np.float32).reshape(self.shape)

    @abstractmethod
    def _run(self, batch: np.ndarray) -> np.ndarray:
        """Map (1, rows, LR, PA, 1) to the probability of the same shape."""


class OpenVinoEngine(Engine):
    """OpenVINO on the CPU."""

    def __init__(
        self,
        bundle: ModelBundle,
        threads: int | None = None,
        low_memory: bool = False,
        precision: str = "float32",
    ) -> None:
        super().__init__(bundle.grid_shape, low_memory)
        import openvino

        # CPUs with bfloat16 would use it unasked, and the result would depend on the machine.
        # Pinned threads gain nothing, and those of two processes are pinned to the same cores.
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            core = openvino.Core()
            if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                # Emulated it would be slower than float32.
                logger.warning("This processor does not compute in bfloat16; the network runs in float32.")
                settings["INFERENCE_PRECISION_HINT"] = "f32"
            graph = core.read_model(bundle.graph)
            if low_memory:
                graph.reshape([1, self.rows, *self.shape[1:], 1])
            self._model = core.compile_model(graph, "CPU", settings)
        except RuntimeError as error:
            raise LaminaError(
                f'OpenVINO {_short(openvino.__version__)} cannot load the model "{bundle.name}": update it with '
                "pip install --upgrade openvino, or choose the engine tensorflow."
            ) from error
        self._version = _short(openvino.__version__)
        self._threads = int(self._model.get_property("INFERENCE_NUM_THREADS"))
        self._precision = "" if settings["INFERENCE_PRECISION_HINT"] == "f32" else f", {precision}"

    @property
    def description(self) -> str:
        """Name, version and device."""
        return f"OpenVINO {self._version} on {_cpu(self._threads)}{self._precision}"

    def _run(self, batch: np.ndarray) -> np.ndarray:
        return self._model([batch])[0]


class TensorFlowEngine(Engine):
    """Keras on TensorFlow, on a GPU if TensorFlow sees one."""

    def __init__(self, bundle: ModelBundle, threads: int | None = None, low_memory: bool = False) -> None:
        super().__init__(bundle.grid_shape, low_memory)
        # Its notes on instruction sets and missing CUDA libraries say nothing to a clinician.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        set_backend("tensorflow")
        import tensorflow

        self._version = _short(tensorflow.__version__)
        self._gpu = _gpu_name(tensorflow)
        if threads is not None:
            _limit_threads(tensorflow, threads)
        self._threads = tensorflow.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1
        model = bundle.build(self.rows)
        # XLA, which Keras would turn on by itself on a GPU, is 3 to 10 times slower on a CPU, and for a single scan
        # its compilation takes longer than it saves.
        self._function = tensorflow.function(lambda batch: model(batch, training=False), jit_compile=False)

    @property
    def description(self) -> str:
        """Name, version and device."""
        return f"TensorFlow {self._version} on {self._gpu or _cpu(self._threads)}"

    def _run(self, batch: np.ndarray) -> np.ndarray:
        return self._function(batch).numpy()


def create_engine(
    bundle: ModelBundle,
    name: str = "auto",
    threads: int | None = None,
    low_memory: bool = False,
    precision: str = "float32",
) -> Engine:
    """Make a network ready to run.

    Parameters
    ----------
    bundle : ModelBundle
        As `models.load_model` returns it, its files verified.
    name : {"auto", "tensorflow", "openvino"}
        "auto" takes TensorFlow if it is installed and there is an NVIDIA driver, else OpenVINO, else TensorFlow on
        the CPU. Where TensorFlow turns out not to see the GPU (on Windows it never does), OpenVINO is taken after all.
    threads : int, optional
        CPU threads; None leaves the number to the engine.
    low_memory : bool
        Run the network part by part: about two thirds of the memory, a third more time, the same result.
    precision : {"float32", "bfloat16"}
        What the network computes with. bfloat16 takes OpenVINO half the time where the processor has it (elsewhere
        float32 is taken, with a warning), and moves laminae by hundredths of a millimeter.

    Returns
    -------
    Engine

    Raises
    ------
    LaminaError
        If there is no such engine, it is not installed, or it cannot load the model or run it part by part.
    """
    if low_memory and bundle.normalization != "batch":
        raise LaminaError(
            f'The model "{bundle.name}" normalizes over the whole grid, so it cannot be run part by part: leave '
            "--low-memory out."
        )
    kinds = {"openvino": OpenVinoEngine, "tensorflow": TensorFlowEngine}
    chosen = check_engine(name, threads, precision)
    options = {"precision": precision} if chosen == "openvino" else {}
    engine = kinds[chosen](bundle, threads, low_memory, **options)
    logger.info("The network runs with %s.", engine.description)
    return engine


def check_engine(name: str = "auto", threads: int | None = None, precision: str = "float32") -> str:
    """Return the engine that a name stands for on this machine, without loading it; raise as `create_engine` does."""
    if name not in ENGINES:
        raise LaminaError(f'There is no engine "{name}"; choose one of {", ".join(ENGINES)}.')
    if threads is not None and threads < 1:
        raise LaminaError(f"The number of threads must be 1 or more, not {threads}.")
    if precision not in PRECISIONS:
        raise LaminaError(f'There is no precision "{precision}"; choose one of {", ".join(PRECISIONS)}.')
    if name == "auto":
        name = choose_engine()
    elif missing := _missing(name):
        raise LaminaError(f"The engine {name} is not installed; install it with: pip install {' '.join(missing)}")
    if precision != "float32" and name != "openvino":
        raise LaminaError(
            f"Only the engine openvino computes in {precision}, not {name}: add --engine openvino, or leave "
            "--precision out."
        )
    return name


def choose_engine() -> str:
    """Return the engine that "auto" stands for on this machine.

    Returns
    -------
    {"tensorflow", "openvino"}

    Raises
    ------
    LaminaError
        If neither is installed.
    """
    installed = [name for name in REQUIREMENTS if not _missing(name)]
    if not installed:
        raise LaminaError("No engine is installed that could run the network; install one with: pip install openvino")
    if len(installed) == 1:
        return installed[0]
    return "tensorflow" if has_nvidia_driver() and _tensorflow_sees_gpu() else "openvino"


def has_nvidia_driver() -> bool:
    """Tell whether an NVIDIA driver is installed, without importing anything heavy."""
    if NVIDIA_DRIVER.exists() or shutil.which("nvidia-smi") is not None:
        return True
    return sys.platform == "win32" and ctypes.util.find_library("nvcuda") is not None


def _tensorflow_sees_gpu() -> bool:
    """Import TensorFlow and ask it; only done where there is a driver."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow

    return bool(tensorflow.config.list_physical_devices("GPU"))


def _missing(name: str) -> list[str]:
    return [package for package in REQUIREMENTS[name] if importlib.util.find_spec(package) is None]


def _gpu_name(tensorflow) -> str | None:
    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return None
    for gpu in gpus:
        try:
            # Otherwise TensorFlow takes all of the GPU's memory, which Slicer needs for its views.
            tensorflow.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            logger.debug("TensorFlow was used before: its GPU memory cannot be limited any more.")
    details = tensorflow.config.experimental.get_device_details(gpus[0])
    return f"GPU ({details.get('device_name', 'unknown')})"


def _limit_threads(tensorflow, threads: int) -> None:
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        logger.warning("TensorFlow was used before in this process: its number of threads stays as it was.")


def _cpu(threads: int) -> str:
    return f"CPU ({threads} thread{'' if threads == 1 else 's'})"


def _short(version: str) -> str:
    """Return the first two parts of a version: "2025.4.1-123-abc" gives "2025.4"."""
    return ".".join(version.split("-")[0].split(".")[:2])
