"""Training labels on the network's grid: a 3x3x3 cube around each centroid (paper Section II)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from LaminaLabelingLib.volumes import Volume


@dataclass(frozen=True)
class CubeReport:
    """What became of each centroid.

    ``outside`` and ``merged`` hold indices into the points: those whose centre is not on the grid, and those whose
    cube touches another's so that the label has fewer components than points.
    """

    outside: tuple[int, ...]
    merged: tuple[int, ...]
    components: int


def stamp_cubes(points_ras: np.ndarray, grid: Volume) -> tuple[np.ndarray, CubeReport]:
    """Stamp a 3x3x3 cube around each centroid, clipped at the border.

    Parameters
    ----------
    points_ras : (N, 3) array
        Centroids in the scan's RAS mm.
    grid : Volume
        The network's grid; only its shape and matrix are used.

    Returns
    -------
    labels : uint8 array of the grid's shape, 1 inside a cube
    report : CubeReport
    """
    labels = np.zeros(grid.array.shape, np.uint8)
    points = np.asarray(points_ras, float).reshape(-1, 3)
    if not len(points):
        return labels, CubeReport((), (), 0)
    centers = np.floor(grid.to_index(points) + 0.5).astype(int)
    inside = ((centers >= 0) & (centers < labels.shape)).all(axis=1)
    for center in centers[inside]:
        labels[tuple(slice(max(c - 1, 0), c + 2) for c in center)] = 1
    components, count = label(labels, structure=np.ones((3, 3, 3)))
    belongs = components[tuple(centers[inside].T)]
    numbers, sizes = np.unique(belongs, return_counts=True)
    merged = np.isin(belongs, numbers[sizes > 1])
    kept = np.flatnonzero(inside)
    return labels, CubeReport(
        tuple(int(i) for i in np.flatnonzero(~inside)), tuple(int(i) for i in kept[merged]), int(count)
    )
