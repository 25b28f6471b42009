"""How much there is to compute, and how fast this machine multiplies matrices and copies memory."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np


def network_gflop(graph: Path) -> float:
    """Return the work of the convolutions of a graph in GFLOP."""
    import openvino

    total = 0
    for node in openvino.Core().read_model(graph).get_ops():
        if node.get_type_name() == "Convolution":
            # The kernel's first axis holds the output maps, which the output's shape counts already.
            kernel = node.input(1).get_shape()
            total += 2 * math.prod(node.output(0).get_shape()) * math.prod(list(kernel)[1:])
    return total / 1e9


class Multiplication:
    """Products of square float32 matrices, by NumPy's BLAS and by OpenVINO, whose network is measured against them.

    Parameters
    ----------
    size : int
        Rows and columns.
    threads : int
        Of OpenVINO; NumPy takes all cores of the process.
    """

    def __init__(self, size: int = 2048, threads: int = 1) -> None:
        import openvino
        from openvino import opset13

        self._factors = np.random.default_rng(0).standard_normal((2, size, size)).astype(np.float32)
        self._product = np.empty((size, size), np.float32)
        # Two inputs: of a constant factor OpenVINO might make something of its own beforehand.
        inputs = [opset13.parameter([size, size], np.float32) for _ in range(2)]
        model = openvino.Model([opset13.matmul(*inputs, False, False)], inputs)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._gflop = 2 * size**3 / 1e9

    def rates(self, repetitions: int = 5) -> dict[str, float]:
        """Return the best rate of some products in GFLOP/s, by library."""
        calls = {
            "NumPy": lambda: np.matmul(self._factors[0], self._factors[1], out=self._product),
            "OpenVINO": lambda: self._compiled([self._factors[0], self._factors[1]]),
        }
        return {name: self._gflop / best_seconds(call, repetitions) for name, call in calls.items()}


class Copying:
    """Copies of an array that no cache holds: how fast one core reads and writes memory.

    Parameters
    ----------
    mebibytes : int
    """

    def __init__(self, mebibytes: int = 256) -> None:
        self._source = np.ones(mebibytes * 2**20, np.uint8)
        self._target = np.zeros_like(self._source)

    def rate(self, repetitions: int = 5) -> float:
        """Return the best rate in GB/s, what is read and what is written together."""
        seconds = best_seconds(lambda: np.copyto(self._target, self._source), repetitions)
        return 2 * self._source.nbytes / seconds / 1e9


def best_seconds(call, repetitions: int) -> float:
    """Return the least time of some calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
