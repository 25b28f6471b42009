"""What preprocessing keeps and removes, on simulated scans.

    python Testing/benchmarks/preprocessing.py --scans 500 --coarse

Reports, over simulated scans with seeds that no model is trained on: laminae removed by the crops, how much of the
tissue more than 8 mm above the laminae was removed, the width of the region of interest beside the column, the error of
the spinous process column, and seconds for each scan. Exits with 1 when a bound of METHOD section 2 does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter

from LaminaSegmentationLib.preprocessing import GRID_SHAPE, Options, prepare
from LaminaSegmentationLib.simulation import simulate_scan

ABOVE_MM = 8.0


def lamina_surface(left: np.ndarray, right: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Array index along axis 2 of the true laminae's surface, (rows, columns): linear between levels and sides."""
    order = np.argsort(left[:, 0]), np.argsort(right[:, 0])
    left, right = left[order[0]], right[order[1]]
    at = {
        side: [np.interp(rows, points[:, 0], points[:, axis]) for axis in (1, 2)]
        for side, points in (("left", left), ("right", right))
    }
    share = (columns[None, :] - at["left"][0][:, None]) / (at["right"][0] - at["left"][0])[:, None]
    share = np.clip(share, 0.0, 1.0)
    return at["left"][1][:, None] * (1 - share) + at["right"][1][:, None] * share


def measure(seed: int, spacing: float, style: str) -> dict:
    """Prepare one simulated scan and compare it with the truth."""
    scan = simulate_scan(seed, spacing, style)
    volume = scan.volume
    start = time.perf_counter()
    prepared = prepare(volume, Options())
    seconds = time.perf_counter() - start

    names = list(scan.truth.positions())
    points = volume.to_index(np.array(list(scan.truth.positions().values())))
    shape = volume.array.shape
    cut = prepared.survey.at_full_size(prepared.top_layer.cut, shape[:2])
    nearest = tuple(np.clip(np.round(points[:, axis]).astype(int), 0, shape[axis] - 1) for axis in (0, 1))
    clearance = (points[:, 2] - cut[nearest]) * volume.spacing[2]
    # Kept means: below the cut, inside the box, and with scanned voxels of the grid in the cube that would label it. A
    # lamina in a gap, where the probe was lifted, has no voxel to keep.
    within = np.ones(len(points), bool)
    for axis, part in enumerate(prepared.box):
        within &= (points[:, axis] >= part.start - 0.5) & (points[:, axis] <= part.stop - 0.5)
    voxel = tuple(np.clip(np.round(points[:, axis]).astype(int), 0, shape[axis] - 1) for axis in range(3))
    near = maximum_filter(prepared.scanned, size=3)
    on_grid = prepared.grid.to_index(np.array(list(scan.truth.positions().values())))
    on_grid = np.clip(np.round(on_grid).astype(int), 0, np.array(GRID_SHAPE) - 1)
    blanked = ~near[tuple(on_grid.T)] & (volume.array[voxel] > 0)
    removed = [name for name, gone in zip(names, (clearance < 0) | ~within | blanked) if gone]

    left = points[[name.endswith("L") for name in names]]
    right = points[[name.endswith("R") for name in names]]
    rows = np.arange(int(points[:, 0].min()), int(points[:, 0].max()) + 1)
    surface = lamina_surface(left, right, rows, np.arange(shape[1]))
    depth = np.arange(shape[2])
    above = (volume.array[rows] > 0) & (depth < (surface - ABOVE_MM / volume.spacing[2])[:, :, None])
    kept = above & (depth >= cut[rows][:, :, None])
    inside = np.zeros(shape, bool)
    inside[prepared.box] = True
    kept &= inside[rows]

    midline = volume.to_index(scan.midline)
    error = np.abs(prepared.column.at(midline[:, 0]) - midline[:, 1]) * volume.spacing[1]
    column = prepared.column.position
    margins = [
        (column.min() - prepared.box[1].start) * volume.spacing[1],
        (prepared.box[1].stop - 1 - column.max()) * volume.spacing[1],
    ]
    return {
        "seed": seed,
        "removed": removed,
        "tissue_removed": float(1.0 - kept.sum() / max(above.sum(), 1)),
        "midline_mean_mm": float(error.mean()),
        "midline_max_mm": float(error.max()),
        "margin_mm": float(max(margins)),
        "clearance_min_mm": float(clearance.min()),
        "column_contrast": prepared.column.contrast,
        "seconds": seconds,
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=50)
    parser.add_argument("--coarse", action="store_true", help="simulate at 1 mm instead of 0.38 mm")
    parser.add_argument("--first-seed", type=int, default=100_000)
    parser.add_argument("--style", default="clinic")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=None, help="write the figures to this JSON file")
    options = parser.parse_args()
    spacing = 1.0 if options.coarse else 0.38
    seeds = range(options.first_seed, options.first_seed + options.scans)
    results = []
    with ProcessPoolExecutor(options.workers) as pool:
        for result in pool.map(partial(measure, spacing=spacing, style=options.style), seeds):
            results.append(result)
            if len(results) % 10 == 0 or len(results) == options.scans:
                sys.stderr.write(f"\r{len(results)} of {options.scans} scans")
                sys.stderr.flush()
    sys.stderr.write("\n")

    def column(key: str) -> np.ndarray:
        return np.array([result[key] for result in results])

    removed = sum(len(result["removed"]) for result in results)
    tissue, midline, margin = column("tissue_removed"), column("midline_mean_mm"), column("margin_mm")
    rows = [
        ("simulated scans", f"{len(results)} at {spacing:g} mm, style {options.style}, seeds from {seeds.start}"),
        ("laminae removed", f"{removed}   (bound: 0)"),
        ("least clearance above a lamina", f"{column('clearance_min_mm').min():.2f} mm"),
        ("tissue > 8 mm above removed", f"mean {tissue.mean():.1%}, least {tissue.min():.1%}   (bound: 80 %)"),
        ("region beside the column", f"at most {margin.max():.1f} mm   (bound: 30 mm and one voxel)"),
        (
            "midline error, mean of a scan",
            f"mean {midline.mean():.2f} mm, worst {midline.max():.2f} mm   (bound: 3 mm)",
        ),
        ("midline error, single point", f"worst {column('midline_max_mm').max():.2f} mm"),
        ("column contrast", f"least {column('column_contrast').min():.2f}"),
        ("seconds a scan", f"median {np.median(column('seconds')):.2f}, worst {column('seconds').max():.2f}"),
    ]
    for name, value in rows:
        print(f"{name:<32} {value}")
    for result in results:
        if result["removed"]:
            print(f"seed {result['seed']}: removed {', '.join(result['removed'])}")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    good = removed == 0 and tissue.min() >= 0.8 and margin.max() <= 30.0 + 2 * spacing and midline.mean() <= 3.0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
