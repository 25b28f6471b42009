"""A training step: what is not the network, the centroid loss, the rate beside matrix products, and MONAI beside it.

    python Testing/benchmarks/training.py [--widths 8 16] [--steps 6] [--epochs 3] [--no-peer] [--json FILE]
    python Testing/benchmarks/training.py --backend jax --widths 16 32 64 --gpu          (on a GPU)

Trains with `train`, as `lamina train --augment --loss centroid` does, on simulated scans; times each call of the step
(network, loss, gradients, optimizer, the way of the batch to the device) and what lies between two calls. "Drawing" is
what cropping and augmenting a batch takes; it is done while the step before it runs, so what is between two steps shows
whether it is ever waited for. After each epoch MONAI's DynUNet of as many feature maps a level does as many steps in an
environment of its own, on the same grids' size with a Dice loss and Adam; ratios are taken within an epoch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shlex
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

# The files and the package beside this one.
from loss import loss_with_gradient, median_seconds, volumes
from peers import machine
from peers.catalog import ENVIRONMENTS
from peers.environments import DEFAULT_FOLDER, make_environment
from peers.rounds import PeerError, Process
from peers.work import best_seconds

SCRIPTS = Path(__file__).resolve().parent / "peers"
GOALS = {"not_the_network": 0.02, "centroid_loss": 0.01}
FIRST_SEED = 700


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16], help="feature maps of the first level")
    parser.add_argument("--steps", type=int, default=6, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="the first is not counted: it compiles")
    parser.add_argument("--rows", type=int, default=384, help="rows of the crops; 384 is the whole grid")
    parser.add_argument("--backend", default="torch", choices=("torch", "tensorflow", "jax"))
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--gpu", action="store_true", help="let MONAI use a GPU, as ours does where there is one")
    parser.add_argument("--no-peer", action="store_true", help="leave MONAI out")
    parser.add_argument("--environments", type=Path, default=DEFAULT_FOLDER, help="where MONAI is installed")
    parser.add_argument("--pip", default="", help='further arguments of pip, such as "--extra-index-url ADDRESS"')
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args(arguments)
    if options.epochs < 2 or options.steps < 2:
        parser.error("--epochs and --steps must be 2 or more")
    if options.rows % 8 or not 8 <= options.rows <= 384:
        parser.error("--rows must be a multiple of 8 up to 384")
    return options


def cases(count: int) -> list:
    """Return simulated scans, prepared."""
    from LaminaSegmentationLib.preprocessing import prepare
    from LaminaSegmentationLib.samples import TrainingCase
    from LaminaSegmentationLib.simulation import simulate_scan

    made = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scan = simulate_scan(seed, 1.0)
        grid = prepare(scan.volume).grid
        points = grid.to_index(np.array(list(scan.truth.positions().values())))
        made.append(TrainingCase(grid.array.astype(np.float16), points, str(seed)))
    return made


def forward_gflop(width: int, rows: int) -> float:
    """Return the work of the convolutions of one pass in GFLOP."""
    from LaminaSegmentationLib.network import build_unet

    total = 0
    for layer in build_unet(width, (rows, 96, 48, 1)).layers:
        if type(layer).__name__ == "Conv3D":
            total += 2 * math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:-1])
    return total / 1e9


class Clock:
    """When each training step and each drawing of a sample begins and ends."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []
        self.drawing: list[float] = []

    @contextlib.contextmanager
    def watching(self):
        """Take the times while the block runs."""
        from LaminaSegmentationLib import training
        from LaminaSegmentationLib.devices import Devices

        step, draw = Devices.train_step, training.draw_sample

        def timed_step(*arguments):
            begun = time.perf_counter()
            loss = step(*arguments)
            self.steps.append((begun, time.perf_counter()))
            return loss

        def timed_draw(*arguments):
            begun = time.perf_counter()
            sample = draw(*arguments)
            self.drawing.append(time.perf_counter() - begun)
            return sample

        Devices.train_step, training.draw_sample = timed_step, timed_draw
        try:
            yield
        finally:
            Devices.train_step, training.draw_sample = step, draw


def product_rate(precision: str, size: int = 4096) -> float:
    """Return the backend's rate of matrix products in this precision, GFLOP/s."""
    import keras

    kind = "bfloat16" if precision == "mixed_bfloat16" else "float32"
    factors = [keras.ops.cast(keras.random.normal((size, size)), kind) for _ in range(2)]
    times = 20 if machine_gpu() else 1

    def products() -> None:
        for _ in range(times):
            product = keras.ops.matmul(*factors)
        # One number is fetched, so that the time ends when the products are done.
        float(keras.ops.convert_to_numpy(product[0, 0]))

    return times * 2 * size**3 / 1e9 / best_seconds(products, 3)


def machine_gpu() -> str | None:
    """Return the name of the backend's GPU."""
    from LaminaSegmentationLib.devices import gpu_name

    return gpu_name()


def train_width(width: int, given: list, options: argparse.Namespace, peer: Process | None, folder: Path) -> dict:
    """Train some epochs and let the peer do as many steps after each."""
    from LaminaSegmentationLib.samples import Augmentation
    from LaminaSegmentationLib.train_command import AUGMENTED
    from LaminaSegmentationLib.training import TrainingOptions, train

    clock, theirs = Clock(), []

    def on_epoch(row, best) -> None:
        if peer is not None:
            theirs.append([peer.ask("predict")["seconds"] for _ in range(options.steps)])

    settings = TrainingOptions(
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        width=width,
        loss="centroid",
        backend=options.backend,
        precision=options.precision,
        recalibrate=0,
        augmentation=Augmentation(crop_rows=None if options.rows == 384 else options.rows, **AUGMENTED),
    )
    with clock.watching():
        train(given, given[:1], folder, settings, on_epoch=on_epoch)
    return summarize(clock, theirs, options.steps)


def summarize(clock: Clock, theirs: list[list[float]], steps: int) -> dict:
    """Return the figures of all epochs but the first; of an epoch, its first step is left out."""
    ours, between, ratios = [], [], []
    for epoch in range(1, len(clock.steps) // steps):
        times = clock.steps[epoch * steps : (epoch + 1) * steps]
        seconds = [end - begin for begin, end in times[1:]]
        ours += seconds
        between += [begin - end for (_, end), (begin, _) in pairwise(times)]
        if theirs:
            ratios.append(statistics.median(theirs[epoch]) / statistics.median(seconds))
    step = statistics.median(ours)
    # The sum: a single long wait must show.
    gaps, drawing = sum(between) / len(between), statistics.median(clock.drawing[steps:])
    return {
        "step_s": step,
        "between_s": gaps,
        "drawing_s": drawing,
        "not_the_network": gaps / (gaps + step),
        "if_drawn_in_between": (gaps + drawing) / (gaps + drawing + step),
        "monai_step_s": statistics.median(value for epoch in theirs[1:] for value in epoch) if theirs else None,
        "monai_over_ours": statistics.median(ratios) if ratios else None,
    }


def start_peer(width: int, options: argparse.Namespace, scratch: Path) -> Process:
    """Start MONAI's training in its environment."""
    python = make_environment(options.environments / "monai", ENVIRONMENTS["monai"], shlex.split(options.pip))
    grid = scratch / "grid.npz"
    np.savez(grid, grid=np.zeros((options.rows, 96, 48), np.float32), spacing=np.ones(3))
    command = [str(python), str(SCRIPTS / "train_monai.py"), str(grid), "--threads", str(machine.cores())]
    command += ["--width", str(width), "--precision", options.precision, *(["--gpu"] if options.gpu else [])]
    return Process(command, scratch / "monai.log")


def measure(options: argparse.Namespace, scratch: Path) -> dict:
    """Return everything that the JSON file holds."""
    from LaminaSegmentationLib.losses import create_loss

    given, rows, failed = cases(3), [], None
    loads = [machine.load_average()]
    truth, probability = volumes(options.rows, np.random.default_rng(0))
    for width in options.widths:
        sys.stderr.write(f"width {width}\n")
        peer = None
        try:
            peer = None if options.no_peer else start_peer(width, options, scratch)
        except (PeerError, RuntimeError) as error:
            failed = str(error)
        with contextlib.ExitStack() as stack:
            if peer is not None:
                stack.callback(peer.close)
            row = {"width": width, **train_width(width, given, options, peer, scratch / f"width{width}")}
        loss = median_seconds(loss_with_gradient(create_loss("centroid"), truth, probability), 5)
        rate, gflop = product_rate(options.precision), 3 * forward_gflop(width, options.rows)
        row |= {"centroid_loss_s": loss, "centroid_loss": loss / row["step_s"]}
        row |= {"gflop": gflop, "product_gflop_per_s": rate, "rate": gflop / row["step_s"] / rate}
        rows.append(row)
    loads.append(machine.load_average())
    return {
        "machine": {**machine.describe(), "gpu": machine_gpu(), "load_average": loads},
        "backend": options.backend,
        "precision": options.precision,
        "rows": options.rows,
        "widths": rows,
        "failed": failed,
    }


_COLUMNS = (
    ("width", "width", "{}"),
    ("step, s", "step_s", "{:.3f}"),
    ("between two, s", "between_s", "{:.4f}"),
    ("share", "not_the_network", "{:.2%}"),
    ("drawing, s", "drawing_s", "{:.4f}"),
    ("share if not ahead", "if_drawn_in_between", "{:.2%}"),
    ("centroid loss, s", "centroid_loss_s", "{:.4f}"),
    ("share", "centroid_loss", "{:.2%}"),
    ("of the product rate", "rate", "{:.0%}"),
    ("MONAI, s", "monai_step_s", "{:.3f}"),
    ("x ours", "monai_over_ours", "{:.2f}"),
)


def report(figures: dict, markdown: bool) -> None:
    """Print the figures."""
    told = figures["machine"]
    print(
        f"{told['gpu'] or told['processor']}, {told['cores']} cores; {figures['backend']}, {figures['precision']}, "
        f"grids of {figures['rows']} x 96 x 48"
    )
    cells = [[heading for heading, _, _ in _COLUMNS]]
    for row in figures["widths"]:
        cells.append(["-" if row[key] is None else pattern.format(row[key]) for _, key, pattern in _COLUMNS])
    if markdown:
        cells.insert(1, ["---:"] * len(_COLUMNS))
        print("\n".join(f"| {' | '.join(line)} |" for line in cells))
    else:
        widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
        for line in cells:
            print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))
    for key, words in (("not_the_network", "What is not the network"), ("centroid_loss", "The centroid loss")):
        for row in figures["widths"]:
            met = "is met" if row[key] <= GOALS[key] else f"is missed by {row[key] / GOALS[key] - 1:.0%}"
            print(f"{words}, width {row['width']}: {row[key]:.2%} of a step; the goal of {GOALS[key]:.0%} {met}.")
    if figures["failed"]:
        print(f"MONAI failed: {figures['failed']}")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    options = parse(arguments)
    os.environ["KERAS_BACKEND"] = options.backend
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(options, Path(scratch))
    report(figures, options.markdown)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
