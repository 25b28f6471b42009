"""What each choice about normalization does in the first epochs, beside the paper's (momentum 0.99, bias 0).

    python Testing/benchmarks/normalization.py --width 4 --scans 8 --epochs 6

Trains every variant from the same weights on the same simulated scans in the same order and prints, for some epochs,
the validation loss, the missed laminae, and how much of the moving statistics is still their initial value (momentum
to the power of the steps). Simulated scans only, and at a small scale: what it shows is how soon validation can be
trusted, not how good a network becomes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

VARIANTS = {
    "paper: momentum 0.99, bias 0": {"momentum": 0.99, "output_bias": 0.0},
    "momentum 0.99, prior bias": {"momentum": 0.99},
    "momentum 0.9, bias 0": {"momentum": 0.9, "output_bias": 0.0},
    "momentum 0.9, prior bias": {"momentum": 0.9},
    "momentum 0.99, bias 0, recalibrated": {"momentum": 0.99, "output_bias": 0.0, "recalibrate": 4},
    "instance normalization, prior bias": {"normalization": "instance"},
    "group normalization, prior bias": {"normalization": "group"},
}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4, help="feature maps of the first stage")
    parser.add_argument("--scans", type=int, default=8, help="simulated training scans, and half as many to validate")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--report", type=int, nargs="*", default=None, help="epochs to print; 1, 2, 3 and the last")
    parser.add_argument("--steps", type=int, default=None, help="steps an epoch; one for each scan when left out")
    parser.add_argument("--crop-rows", type=int, default=64, help="rows of a training crop")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="ten times the paper's, since runs are short")
    parser.add_argument("--loss", default="dice")
    parser.add_argument("--spacing", type=float, default=1.0, help="voxel size of the simulated scans in mm")
    parser.add_argument("--style", default="clinic")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the prepared scans")
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    training, validation = _cases(options)
    epochs = sorted({epoch for epoch in options.report or (1, 2, 3, options.epochs) if epoch <= options.epochs})
    steps = options.steps or len(training)
    print(
        f"Width {options.width}, {options.loss} loss, {len(training)} simulated training scans (style {options.style}, "
        f"{options.spacing:g} mm), {steps} steps an epoch on {options.crop_rows} rows, learning rate "
        f"{options.learning_rate:g}, {len(validation)} validation scans on the whole grid, Keras on {options.backend}, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads"
    )
    print(f"{'variant':37}" + "".join(f"| epoch {epoch}: loss, missed, initial " for epoch in epochs) + "| seconds")
    for name, changes in VARIANTS.items():
        started = time.monotonic()
        rows = _train(options, changes, training, validation)
        print(f"{name:37}" + _cells(rows, epochs, steps, changes) + f"| {time.monotonic() - started:.0f}", flush=True)
    return 0


def _cases(options: argparse.Namespace) -> tuple[list, list]:
    from LaminaSegmentationLib.dataset import FIRST_TRAINING_SEED, simulated_cases

    count = options.scans + max(options.scans // 2, 1)
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + count)
    cases = list(simulated_cases(seeds, options.style, options.spacing, options.cache))
    return cases[: options.scans], cases[options.scans :]


def _train(options: argparse.Namespace, changes: dict, training: Sequence, validation: Sequence) -> Sequence[dict]:
    from LaminaSegmentationLib.metrics import missed_laminae
    from LaminaSegmentationLib.samples import Augmentation
    from LaminaSegmentationLib.training import TrainingOptions, train

    settings = TrainingOptions(
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        width=options.width,
        loss=options.loss,
        learning_rate=options.learning_rate,
        augmentation=Augmentation(crop_rows=options.crop_rows),
        backend=options.backend,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = replace(settings, **changes)
        return train(training, validation, Path(folder) / "run", run, metrics={"missed": missed_laminae}).history


def _cells(rows: Sequence[dict], epochs: Sequence[int], steps: int, changes: dict) -> str:
    cells = []
    for epoch in epochs:
        initial = "none kept"
        if "normalization" not in changes:
            share = 0.0 if changes.get("recalibrate") else changes["momentum"] ** (epoch * steps)
            initial = f"{100 * share:.1f} %"
        row = rows[epoch - 1]
        cells.append(f"| {row['val_loss']:.4f}, {row['val_missed']:.1f}, {initial}".ljust(32))
    return "".join(cells)


if __name__ == "__main__":
    sys.exit(main())
