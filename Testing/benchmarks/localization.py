"""How long localization takes, and how it grows with the number of candidates.

    python Testing/benchmarks/localization.py [--repeats 9] [--json FILE]

The whole localization of a probability map on the network's grid: a spine of 34 laminae, and false echoes at random
beside its column until there are 100 and 300 candidates. The time to find the candidates is given beside it. Made-up
maps: the figures say how fast, not how right.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.candidates import find_candidates
from LaminaSegmentationLib.localization import localize
from LaminaSegmentationLib.models import load_model

SHAPE = (384, 96, 48)
GOAL_SECONDS = 0.2


def make_map(count, seed):
    """Return a map with so many peaks, the grid and the column; 34 of them are a spine."""
    rng = np.random.default_rng(seed)
    rows = 15.0 + np.concatenate([[0.0], np.cumsum(np.linspace(0.7, 1.3, 16) * 21.0)])
    points = [(row, 48.0 + 10.0 * side, 20.0) for row in rows for side in (-1, 1)]
    while len(points) < count:
        place = rng.uniform([3.0, 22.0, 4.0], [380.0, 74.0, 44.0])
        if min(np.linalg.norm(place - np.array(other)) for other in points) > 7.0:
            points.append(tuple(place))
    probability = np.zeros(SHAPE, np.float32)
    for number, point in enumerate(points):
        low = np.round(point).astype(int) - 1
        value = 0.95 if number < 34 else rng.uniform(0.1, 0.8)
        probability[tuple(slice(a, a + 3) for a in low)] = value
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[0, 1], matrix[1, 2], matrix[3, 3] = -1.0, 1.0, 1.0, 1.0
    grid = Volume(array=np.ones(SHAPE, np.float32), matrix=matrix, axes="ARI", name="grid")
    line = np.arange(0.0, SHAPE[0], 5.0)
    column = grid.to_world(np.stack([line, np.full_like(line, 48.0), np.full_like(line, 20.0)], axis=-1))
    return probability, grid, column


def timed(action, repeats):
    """Return the median of the seconds that an action takes."""
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args()
    calibration = load_model(DEFAULT_MODEL).calibration
    table = []
    for count in (34, 100, 300):
        probability, grid, column = make_map(count, count)
        found = find_candidates(probability, grid)
        whole = timed(lambda p=probability, g=grid, c=column: localize(p, g, c, 0.2, 3, calibration), options.repeats)
        peaks = timed(lambda p=probability, g=grid: find_candidates(p, g), options.repeats)
        table.append({"candidates": len(found), "seconds": whole, "seconds_finding": peaks})
    print(f"{'candidates':>11} {'seconds':>8} {'of it finding':>14} {'ratio':>6}   (median of {options.repeats})")
    for row in table:
        ratio = row["seconds"] / table[0]["seconds"]
        print(f"{row['candidates']:11} {row['seconds']:8.3f} {row['seconds_finding']:14.3f} {ratio:6.2f}")
    print(f"The goal for a scan, which has 30 to 40 candidates, is {GOAL_SECONDS:g} s.")
    if options.json:
        options.json.write_text(json.dumps({"table": table}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
