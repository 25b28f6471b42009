"""How often the checks of a list of laminae speak without a reason, and how often they find a mistake.

    python Testing/benchmarks/checks.py
    python Testing/benchmarks/checks.py --seeds 300 --noise 1.0

The lists are the true laminae of simulated spines, of every style of the simulator and of severe curves besides, in
the numbers of METHOD section 8. Each mistake is made in each of them at a place drawn from the seed. "Found" counts
the lists in which a finding names a slot of the mistake; "findings" is how many there are then in one list, "others"
how many of these name nothing of the mistake.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.checks import check
from LaminaLabelingLib.laminae import LaminaSet
from LaminaSegmentationLib.simulation import STYLES, style_named
from LaminaSegmentationLib.simulation.anatomy import draw_spine
from LaminaSegmentationLib.simulation.bones import lamina_surface
from LaminaSegmentationLib.simulation.scan import to_ras

SEVERE = "60 degrees"


def styles() -> dict:
    """Return every style, and the first with curves of 60 degrees."""
    severe = replace(next(iter(STYLES.values())), cobb_mean=60.0, cobb_sd=0.0, cobb_range=(60.0, 60.0))
    return {name: style_named(name) for name in STYLES} | {SEVERE: severe}


def true_points(seed: int, style) -> dict[str, np.ndarray]:
    """Return the positions of all 34 laminae of a simulated spine, RAS mm by name."""
    spine = draw_spine(np.random.default_rng([seed, 0x1A31]), style)
    sides = ((-1, "L"), (1, "R"))
    return {v.name + letter: to_ras(lamina_surface(v, side)) for v in spine.vertebrae for side, letter in sides}


def pair_swapped(points, rng):
    """Exchange left and right of one pair."""
    vertebra = rng.choice(VERTEBRAE)
    return exchanged(points, vertebra + "L", vertebra + "R")


def neighbors_exchanged(points, rng):
    """Exchange a lamina with the next one of its side."""
    level, side = rng.integers(0, 16), rng.choice(["L", "R"])
    return exchanged(points, VERTEBRAE[level] + side, VERTEBRAE[level + 1] + side)


def exchanged(points, first, second):
    """Return points with two exchanged, and their names."""
    return points | {first: points[second], second: points[first]}, {first, second}


def moved_along(points, rng):
    """Move a point by 12 mm along its side."""
    level, side = rng.integers(0, 17), rng.choice(["L", "R"])
    names = [vertebra + side for vertebra in VERTEBRAE]
    direction = points[names[min(level + 1, 16)]] - points[names[max(level - 1, 0)]]
    step = 12.0 * rng.choice([-1, 1]) * direction / np.linalg.norm(direction)
    return points | {names[level]: points[names[level]] + step}, {names[level]}


def moved_in_depth(points, rng):
    """Move a point by 10 mm forwards or backwards."""
    name = rng.choice(list(points))
    return points | {name: points[name] + np.array([0.0, 10.0 * rng.choice([-1, 1]), 0.0])}, {name}


def level_left_out(points, rng):
    """Leave a level out, so that all below carry the name of the one above; the last slots stay empty."""
    left_out = rng.integers(1, 16)
    seen = [vertebra for level, vertebra in enumerate(VERTEBRAE) if level != left_out]
    renamed = {VERTEBRAE[level] + side: points[seen[level] + side] for level in range(16) for side in "LR"}
    return renamed, {VERTEBRAE[level] + side for level in (left_out - 1, left_out) for side in "LR"}


def level_doubled(points, rng):
    """Take a false pair halfway between two levels for a level; the last one falls off."""
    level = rng.integers(1, 16)
    between = {side: (points[VERTEBRAE[level - 1] + side] + points[VERTEBRAE[level] + side]) / 2 for side in "LR"}
    renamed = dict(points)
    for side in "LR":
        renamed[VERTEBRAE[level] + side] = between[side]
        for lower in range(level + 1, 17):
            renamed[VERTEBRAE[lower] + side] = points[VERTEBRAE[lower - 1] + side]
    return renamed, {VERTEBRAE[near] + side for near in (level - 1, level, level + 1) for side in "LR"}


def all_mirrored(points, rng):
    """Mirror the whole list."""
    return {name: point * [-1, 1, 1] for name, point in points.items()}, set(points)


MISTAKES = {
    "one pair swapped": pair_swapped,
    "two neighbors exchanged": neighbors_exchanged,
    "12 mm along the spine": moved_along,
    "10 mm in depth": moved_in_depth,
    "a level left out": level_left_out,
    "a level doubled": level_doubled,
    "whole list mirrored": all_mirrored,
}


def listed(points) -> LaminaSet:
    """Return the set of these points with the usual numbering."""
    return LaminaSet.from_positions(points, Numbering())


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300, help="simulated spines of every style")
    parser.add_argument("--noise", type=float, default=0.0, help="error of every point along each axis, sd in mm")
    arguments = parser.parse_args()

    print(f"{arguments.seeds} simulated spines of each style, points {arguments.noise:g} mm off along each axis (sd)")
    print(f"{'style':14} {'findings / list':>15} {'worst':>6}  kinds")
    lists = []
    for name, style in styles().items():
        counts, kinds = [], {}
        for seed in range(arguments.seeds):
            rng = np.random.default_rng([seed, 7])
            points = {key: p + rng.normal(0, arguments.noise, 3) for key, p in true_points(seed, style).items()}
            lists.append((points, rng))
            found = check(listed(points))
            counts.append(len(found))
            for finding in found:
                kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
        print(f"{name:14} {np.mean(counts):15.3f} {max(counts):6d}  {kinds or ''}")

    print(f"\n{'mistake':25} {'found':>8} {'findings':>9} {'others':>7}  kinds")
    for name, make in MISTAKES.items():
        hits, totals, strays, kinds = [], [], [], {}
        for points, rng in lists:
            wrong, slots = make(points, rng)
            found = check(listed(wrong))
            right = [finding for finding in found if slots & {finding.name, *finding.others}]
            hits.append(bool(right))
            totals.append(len(found))
            strays.append(len(found) - len(right))
            for finding in found:
                kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
        print(f"{name:25} {np.mean(hits):8.1%} {np.mean(totals):9.2f} {np.mean(strays):7.3f}  {kinds}")

    whole = listed(lists[0][0])
    started = time.perf_counter()
    for _round in range(100):
        check(whole)
    print(f"\n34 points: {10 * (time.perf_counter() - started):.2f} ms a call")
    return 0


if __name__ == "__main__":
    sys.exit(main())
