"""What share of a training step each loss takes.

    python Testing/benchmarks/loss.py --width 16 --rows 384
    python Testing/benchmarks/loss.py --backend jax --width 64        (on a GPU)

The whole step (forward, loss, backward, Adam) is timed with each loss, and the loss alone with its gradient towards the
prediction. The prediction is that of a network which finds most laminae, since the work depends on the components.
The paper's steps took 2.4 % longer with the centroid loss than with Dice (259 minutes against 253).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

import numpy as np


def volumes(rows: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and a plausible prediction, (1, rows, 96, 48, 1): shifted cubes, some missed, a few false."""
    from LaminaSegmentationLib.samples import cube_labels

    levels = np.linspace(8, rows - 9, max(rows * 17 // 384, 1))
    laminae = np.array([(row, 48 + side * 9, 18) for row in levels for side in (-1, 1)])
    found = laminae[generator.random(len(laminae)) > 0.12] + generator.normal(0.0, 1.0, 3)
    false = np.stack([generator.uniform(4, size - 5, 3) for size in (rows, 96, 48)], axis=-1)
    shape = (rows, 96, 48)
    truth = cube_labels(shape, laminae)
    predicted = cube_labels(shape, np.concatenate([found, false]))
    probability = np.clip(0.9 * predicted + generator.uniform(0.0, 0.05, shape), 0.0, 1.0)
    return truth[None, ..., None].astype(np.float32), probability[None, ..., None].astype(np.float32)


def median_seconds(function, repeats: int) -> float:
    """Return the median time of a call, after two that are not counted."""
    times = []
    for number in range(repeats + 2):
        started = time.perf_counter()
        function()
        if number >= 2:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def loss_with_gradient(loss, truth: np.ndarray, probability: np.ndarray):
    """Return a function that computes a loss and its gradient and waits for both."""
    from keras import backend

    if backend.backend() == "torch":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        label, start = torch.tensor(truth, device=device), torch.tensor(probability, device=device)

        def run():
            tensor = start.clone().requires_grad_()
            loss(label, tensor).backward()
            return float(tensor.grad.sum())

        return run
    if backend.backend() == "jax":
        import jax

        step = jax.jit(jax.value_and_grad(lambda p, t: loss(t, p)))
        label, start = jax.numpy.asarray(truth), jax.numpy.asarray(probability)
        return lambda: jax.block_until_ready(step(start, label))
    import tensorflow

    label, start = tensorflow.constant(truth), tensorflow.constant(probability)
    on_gpu = bool(tensorflow.config.list_physical_devices("GPU"))

    @tensorflow.function(jit_compile=on_gpu)
    def step():
        with tensorflow.GradientTape() as tape:
            tape.watch(start)
            value = loss(label, start)
        return value, tape.gradient(value, start)

    return lambda: step()[1].numpy()


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rows", type=int, default=384, help="rows of the grid; 384 is the whole one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--backend", default="torch", choices=("torch", "tensorflow", "jax"))
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend

    import keras

    from LaminaSegmentationLib.acceleration import accelerate
    from LaminaSegmentationLib.losses import create_loss
    from LaminaSegmentationLib.network import build_unet
    from LaminaSegmentationLib.train_command import hardware

    truth, probability = volumes(arguments.rows, np.random.default_rng(0))
    grid = np.random.default_rng(1).normal(size=truth.shape).astype(np.float32)
    model = accelerate(build_unet(arguments.width, (None, None, None, 1), precision=arguments.precision))
    # A tiny rate: the steps are timed, and the prediction must not drift towards an empty one meanwhile.
    model.compile(keras.optimizers.Adam(1e-9), create_loss("dice"), jit_compile="auto")
    step = median_seconds(lambda: model.train_on_batch(grid, truth), arguments.repeats)
    print(
        f"width {arguments.width}, grid {arguments.rows} x 96 x 48, {arguments.precision}, {arguments.backend}, ",
        end="",
    )
    print(f"{hardware(arguments.backend)}")
    print(f"a training step with Dice: {step:.3f} s")
    print(f"{'loss':12} {'with gradient':>14} {'share of the step':>18} {'more than Dice':>15}")
    dice = None
    for name in ("dice", "wbce", "centroid", "lamina_dice"):
        own = median_seconds(loss_with_gradient(create_loss(name), truth, probability), max(5, arguments.repeats))
        dice = own if dice is None else dice
        share, more = own / (step - dice + own), (own - dice) / step
        print(f"{name:12} {1e3 * own:11.1f} ms {100 * share:16.2f} % {100 * more:13.2f} %", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
