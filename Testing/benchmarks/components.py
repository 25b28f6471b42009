"""Our connected components beside SciPy's and beside plain propagation, on five families of masks, on the CPU.

    python Testing/benchmarks/components.py
    python Testing/benchmarks/components.py --backend jax

SciPy labels in one pass on the host, which no compiled training step can do. Plain propagation is what max-pooling
alone can do: it repeats until no label changes, as many rounds as the longest component is long.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "Python" / "unit"))

from mask_families import families


def plain_propagation(mask):
    """Label a batch of masks by max-pooling alone; return the labels and the rounds."""
    from keras import ops

    mask = ops.not_equal(ops.convert_to_tensor(mask), 0)
    count = int(np.prod(mask.shape))
    labels = ops.where(mask, ops.reshape(ops.arange(1, count + 1, dtype="float32"), mask.shape), 0.0)

    def spread(labels, changed, rounds):
        pooled = ops.max_pool(labels[..., None], 3, strides=1, padding="same", data_format="channels_last")[..., 0]
        pooled = ops.where(mask, pooled, 0.0)
        return pooled, ops.any(ops.not_equal(pooled, labels)), rounds + 1

    start = (labels, ops.convert_to_tensor(True), ops.convert_to_tensor(0, dtype="int32"))
    labels, _, rounds = ops.while_loop(lambda labels, changed, rounds: changed, spread, start)
    return labels, rounds


def compiled(function):
    """Compile a function as a training step would be: with XLA on JAX, as a graph on TensorFlow."""
    from keras import backend

    if backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if backend.backend() == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    return function


def seconds_of(function, repeats: int) -> float:
    """Return the median time of a call, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=384)
    parser.add_argument("--columns", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backend", default="torch", choices=("torch", "tensorflow", "jax"))
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend

    from keras import ops

    from LaminaSegmentationLib.components import component_centroids, label_components, most_components

    bound = most_components((arguments.rows, arguments.columns))

    def measure(mask):
        found = label_components(mask)
        return found, component_centroids(found.labels, bound)

    ours, labelled, plain = compiled(measure), compiled(label_components), compiled(plain_propagation)
    print(f"masks of {arguments.rows} x {arguments.columns}, {arguments.backend} on the CPU, 8-connectivity")
    print(f"{'family':12} {'components':>10} {'rounds':>7} {'label':>9} {'/ SciPy':>8} {'+ centroids':>12} ", end="")
    print(f"{'/ SciPy':>8} {'plain':>9} {'rounds':>7} {'plain / ours':>13}")
    most = 0
    for name, mask in families(arguments.rows, arguments.columns).items():
        batch = ops.convert_to_tensor(mask[None])
        count = ndimage.label(mask, np.ones((3, 3)))[1]
        found = labelled(batch)
        if int(found.counts[0]) != count:
            print(f"{name}: {int(found.counts[0])} components, SciPy finds {count}")
            return 1
        propagated, plain_rounds = plain(batch)
        if len(np.unique(ops.convert_to_numpy(propagated))) - (not mask.all()) != count:
            print(f"{name}: plain propagation is wrong")
            return 1

        def by_scipy(mask=mask):
            ndimage.label(mask, np.ones((3, 3)))

        def with_centroids(mask=mask):
            wanted, count = ndimage.label(mask, np.ones((3, 3)))
            ndimage.center_of_mass(mask, wanted, range(1, count + 1))

        def wait(result):
            return ops.convert_to_numpy(result)

        label = seconds_of(lambda batch=batch: wait(labelled(batch).labels), arguments.repeats)
        both = seconds_of(lambda batch=batch: wait(ours(batch)[1].positions), arguments.repeats)
        slow = seconds_of(lambda batch=batch: wait(plain(batch)[0]), max(1, arguments.repeats // 2))
        host, host_both = seconds_of(by_scipy, arguments.repeats), seconds_of(with_centroids, arguments.repeats)
        rounds = int(found.rounds)
        most = max(most, rounds)
        print(f"{name:12} {count:10d} {rounds:7d} {1e3 * label:6.2f} ms {label / host:8.1f} ", end="")
        print(f"{1e3 * both:9.2f} ms {both / host_both:8.1f} {1e3 * slow:6.1f} ms ", end="")
        print(f"{int(plain_rounds):7d} {slow / label:13.1f}", flush=True)
    print(f"most rounds of any family: {most}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
