"""``lamina train --estimate``: how long a training would take on this computer, before it is begun."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np

from .dataset_file import read_dataset
from .devices import Devices, gpu_name
from .keras_backend import set_backend
from .network import GRID_SHAPE
from .samples import cube_labels
from .training import compiled_network
from .training_options import TrainingOptions

ROWS = 64
"""Rows of the stretch that is timed. The time of a step is proportional to the rows: the network is convolutional."""

STEPS = 5


def count_scans(arguments: argparse.Namespace) -> tuple[int, int]:
    """Return how many scans would be trained on and validated with, without reading any."""
    if arguments.data is None:
        return arguments.simulated, arguments.validation
    splits = read_dataset(arguments.data, needed=("training", "validation"))
    return len(splits["training"]), len(splits["validation"])


def estimate(options: TrainingOptions, training: int, validation: int, hardware: str) -> dict[str, Any]:
    """Time some steps on noise, and return what the whole training would take.

    Parameters
    ----------
    options : TrainingOptions
    training, validation : int
        Numbers of scans.
    hardware : str
        Said in words, for the result.

    Returns
    -------
    dict
        ``seconds`` of the whole training, ``step_seconds``, ``epoch_seconds``, ``gpu`` (its name or an empty string)
        and ``hardware``. Preparing the scans, reading them again and scoring the validation scans come on top.
    """
    set_backend(options.backend)
    rows = options.augmentation.crop_rows or GRID_SHAPE[0]
    generator = np.random.default_rng(0)
    shape = (ROWS, *GRID_SHAPE[1:])
    centers = np.array([[ROWS / 2, 30, 20], [ROWS / 2, 60, 20]])
    samples = options.batch_size * options.devices
    grids = np.stack([generator.normal(size=shape).astype(np.float32)] * samples)[..., None]
    labels = np.stack([cube_labels(shape, centers)] * samples)[..., None]
    with Devices(options.devices) as devices:
        network = compiled_network(replace(options, seed=0), devices)
        seconds = []
        for _ in range(1 + STEPS):  # the first one compiles
            begun = time.monotonic()
            devices.train_step(network.trained, grids, labels)
            seconds.append(time.monotonic() - begun)
        devices.predict(network.trained, grids[: devices.count])  # compiles as well
        begun = time.monotonic()
        devices.predict(network.trained, grids[: devices.count])
        forward = (time.monotonic() - begun) / devices.count
    step = float(np.median(seconds[1:])) * rows / ROWS
    steps = options.steps_per_epoch or -(-training // samples)
    epoch = steps * step + validation * forward * GRID_SHAPE[0] / ROWS
    return {
        "seconds": round(options.epochs * epoch, 1),
        "step_seconds": round(step, 3),
        "epoch_seconds": round(epoch, 2),
        "gpu": gpu_name() or "",
        "hardware": hardware,
    }
