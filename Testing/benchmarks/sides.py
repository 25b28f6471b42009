"""How often the laminae of a label volume, which has no names, are given the wrong side.

    python Testing/benchmarks/sides.py
    python Testing/benchmarks/sides.py --seeds 200 --noise 1.0

The points are the true laminae of simulated spines in the numbers of METHOD section 8, of which some are left out.
"Wrong" counts the spines in which a lamina is given the wrong side, "unnoticed" those in which such a lamina is not
even called doubtful, "doubtful" those in which some lamina is, and "refused" those that are said to form no two rows.
With one side only every answer but a refusal is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from LaminaLabelingLib.two_rows import split_rows
from LaminaSegmentationLib.simulation import STYLES
from LaminaSegmentationLib.simulation.anatomy import draw_spine

LAMINAE = 34
# Slots from the top down, left before right: T1L is 0, T1R is 1, T12R is 23.
LEFT, RIGHT = np.arange(0, LAMINAE, 2), np.arange(1, LAMINAE, 2)

CASES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "none missing": lambda rng: without([]),
    "L5R missing": lambda rng: without([33]),
    "2 random ones missing": lambda rng: some(rng, 32),
    "5 random ones missing": lambda rng: some(rng, 29),
    "10 random ones missing": lambda rng: some(rng, 24),
    "15 random ones missing": lambda rng: some(rng, 19),
    "20 random ones missing": lambda rng: some(rng, 14),
    "T1L-T3L missing": lambda rng: without(LEFT[:3]),
    "T1L-T6L missing": lambda rng: without(LEFT[:6]),
    "all left lumbar ones missing": lambda rng: without(LEFT[12:]),
    "T6-L2 only": lambda rng: np.arange(10, 28),
    "T6-T8 only": lambda rng: np.arange(10, 16),
    "one pair only": lambda rng: np.arange(2) + 2 * rng.integers(17),
    "left side and three right ones": lambda rng: np.union1d(LEFT, [5, 15, 27]),
    "left side and T8R": lambda rng: np.union1d(LEFT, [15]),
    "left above, right below T8": lambda rng: np.concatenate([LEFT[:8], RIGHT[8:]]),
    "left side only": lambda rng: LEFT,
    "8 random left ones only": lambda rng: np.sort(rng.choice(LEFT, 8, replace=False)),
}


def without(missing) -> np.ndarray:
    """Return all slots but some."""
    return np.delete(np.arange(LAMINAE), missing)


def some(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return so many slots, drawn at random."""
    return np.sort(rng.choice(LAMINAE, count, replace=False))


def true_points(seed: int, style) -> np.ndarray:
    """Return coordinates across (to the right) and down of the laminae of a simulated spine, mm, shape (34, 2)."""
    spine = draw_spine(np.random.default_rng(seed), style)
    points = [v.point(0.0, sign * v.lamina_offset, 0.0) for v in spine.vertebrae for sign in (-1, 1)]
    return np.array(points)[:, [1, 0]]


def judge(points: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return whether points are given a wrong side, a wrong one without doubt, are doubtful, or are refused."""
    rows = split_rows(*points.T)
    if rows is None:
        return np.array([False, False, False, True])
    wrong = rows.right != right
    if right.all() or not right.any():
        wrong[:] = True
    return np.array([wrong.any(), (wrong & ~rows.doubtful).any(), rows.doubtful.any(), False])


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="simulated spines of either kind")
    parser.add_argument("--noise", type=float, default=0.0, help="error of every point along each axis, sd in mm")
    arguments = parser.parse_args()

    usual = next(iter(STYLES.values()))
    styles = {"usual": usual, "60 degrees": replace(usual, cobb_mean=60.0, cobb_sd=0.0, cobb_range=(60.0, 60.0))}
    print(f"{arguments.seeds} spines of either kind, points {arguments.noise:g} mm off along each axis (sd)")
    for kind, style in styles.items():
        print(f"\n{kind:31} {'wrong':>7} {'unnoticed':>10} {'doubtful':>9} {'refused':>8}")
        counts, seconds = {name: np.zeros(4) for name in CASES}, 0.0
        for seed in range(arguments.seeds):
            rng = np.random.default_rng([seed, 7])
            points = true_points(seed, style) + rng.normal(0.0, arguments.noise, (LAMINAE, 2))
            for name, choose in CASES.items():
                kept = choose(rng)
                started = time.perf_counter()
                counts[name] += judge(points[kept], kept % 2 == 1)
                seconds += time.perf_counter() - started
        for name, count in counts.items():
            wrong, unnoticed, doubtful, refused = count / arguments.seeds
            print(f"{name:31} {wrong:7.1%} {unnoticed:10.1%} {doubtful:9.1%} {refused:8.1%}")
    print(f"\n{1000 * seconds / (arguments.seeds * len(CASES)):.1f} ms a call (the last kind)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
