"""What every script of a peer shares: it loads, says what it is, then predicts whenever it is asked to.

A script answers each line of its input with one line of JSON. ``predict`` is timed around the prediction alone, with a
grid in and an array out; ``save FILE`` writes the last result. Imports only what every environment has.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Loaded:
    """A network that is ready, and what it is.

    Parameters
    ----------
    predict : callable
        Takes nothing and returns the result of the grid that it was loaded with.
    configuration : str
        In words.
    parameters : int or None
        None where the format does not tell.
    gflop : float or None
        Of a whole prediction, convolutions only; a multiplication and an addition are two.
    packages : tuple of str
        Whose versions are told.
    """

    predict: Callable[[], np.ndarray]
    configuration: str
    parameters: int | None = None
    gflop: float | None = None
    packages: tuple[str, ...] = field(default=())


@dataclass
class Answer:
    """What is told of one prediction."""

    seconds: float
    cpu_seconds: float
    peak_mib: float | None


def parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of a script's arguments, which a peer extends."""
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    made.add_argument("grid", type=Path, help="file with the grid, (SI, LR, PA), and its spacing in mm")
    made.add_argument("--threads", type=int, required=True)
    made.add_argument("--gpu", action="store_true", help="show it the GPUs")
    return made


def keep_to(cores: int, gpu: bool = False) -> None:
    """Keep this process to so many cores; to be called before anything heavy is imported."""
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["OMP_NUM_THREADS"] = str(cores)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def read_grid(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the grid and its spacing."""
    with np.load(path) as stored:
        return stored["grid"], tuple(float(value) for value in stored["spacing"])


def serve(load: Callable[[argparse.Namespace], Loaded], options: argparse.Namespace) -> int:
    """Load, then answer until the input ends."""
    # Libraries print to the standard output as they like: it becomes the error output, the answers have their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    keep_to(options.threads, options.gpu)
    start = time.perf_counter()
    loaded = load(options)
    tell(
        {
            "configuration": loaded.configuration,
            "parameters": loaded.parameters,
            "gflop": loaded.gflop,
            "versions": {name: importlib.metadata.version(name) for name in loaded.packages},
            "load_seconds": time.perf_counter() - start,
        }
    )
    result = None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "predict":
            start, start_cpu = time.perf_counter(), time.process_time()
            result = loaded.predict()
            seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
            tell(asdict(Answer(seconds, cpu_seconds, peak_mib())))
        elif word == "save":
            np.save(rest, result)
            tell({"saved": True})
    return 0


def peak_mib() -> float | None:
    """Return the largest resident size of this process so far, in MiB; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `getrusage`, whose figure starts with that of the process which this one was forked from.
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def torch_gflop(network: Any, shape: tuple[int, ...]) -> float:
    """Return the work of one pass of a PyTorch network, without doing it."""
    import copy

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        copy.deepcopy(network).to("meta")(torch.empty(shape, device="meta"))
    return counter.get_total_flops() / 1e9
