"""Small networks, cards and data for the tests of the network, its training and its engines."""

import json
import os
import subprocess
import sys

# PyTorch takes the least time for networks this small. The tests of the other backends start processes of their own.
os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np

from LaminaSegmentationLib.samples import TrainingCase, cube_labels

WIDTH = 2
GRID = (32, 16, 8)


def tiny_unet(width=WIDTH, grid=GRID, seed=0, **options):
    """A network whose every weight is random, moving statistics included, so that no error can hide behind a zero."""
    from LaminaSegmentationLib.network import build_unet

    model = build_unet(width, (*grid, 1), **options)
    model.set_weights(random_weights(model.get_weights(), seed))
    return model


def random_weights(weights, seed=0):
    """Random weights of the given shapes, scaled so that maps neither vanish nor grow; variances are positive."""
    generator = np.random.default_rng(seed)

    def draw(shape):
        if len(shape) == 1:
            return generator.uniform(0.3, 0.7, shape)
        return generator.normal(0.0, np.sqrt(1.0 / np.prod(shape[:-1])), shape)

    return [draw(weight.shape).astype(np.float32) for weight in weights]


def noise(shape=GRID, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def bright_case(seed, grid=GRID, laminae=3):
    """Bright cubes in noise: what a network learns within a few epochs."""
    generator = np.random.default_rng(seed)
    centroids = generator.uniform(1.5, np.array(grid) - 2.5, (laminae, 3))
    intensities = generator.normal(size=grid) + 4.0 * cube_labels(grid, centroids)
    return TrainingCase(intensities.astype(np.float16), centroids, f"case{seed}")


def tiny_card(**changes):
    """A valid card for `tiny_unet`, without what `write_bundle` fills in."""
    from LaminaSegmentationLib.network import count_parameters

    card = {
        "name": "tiny",
        "title": "Tiny network",
        "description": "For tests.",
        "version": "1",
        "created": "2026-11-23",
        "input": {"grid": list(GRID), "axes": "IRA", "normalization": "zero mean, unit variance", "preprocessing": {}},
        "architecture": {"width": WIDTH, "preset": "default", "parameters": count_parameters(WIDTH)},
        "training": {
            "data": "2 simulated scans",
            "style": "clinic",
            "style_version": "1",
            "seeds": [1_000_000, 1_000_001],
            "scans": 2,
            "loss": "dice",
            "epochs": 1,
            "steps": 2,
            "hardware": "none",
            "backend": "torch",
            "seconds": 1.0,
        },
        "evaluation": {"data": "1 simulated scan", "figures": {"dice": 0.0}},
        "license": "MIT",
        "intended_use": "research only",
        "decision": {"threshold": 0.5, "minimum_voxels": 3},
    }
    return card | changes


def run_python(code, backend, *arguments):
    """Run code in a process of its own on a Keras backend; return what it wrote last, decoded from JSON."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
