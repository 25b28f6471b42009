"""Parts of the grid that the network sees one after the other, so that it needs less memory; the result is the same.

A voxel of the network's output depends on no more than 48 voxels to each side: two convolutions a stage at each of four
resolutions, and the pooling between them. So the middle of a part that reaches 48 voxels farther on both sides is
exactly what the network makes of the whole (METHOD section 9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HALO = 48
"""Voxels by which a part reaches beyond what is kept of it."""

TILE_ROWS = 192
"""Voxels of a part along axis 0: three parts for the grid of 384, and about half of the memory."""

_POOLING = 8  # three times by two: a part begins where the poolings of the whole do


@dataclass(frozen=True)
class Tile:
    """A part of the grid along axis 0.

    Attributes
    ----------
    start, stop : int
        Rows that the network sees.
    first, last : int
        Rows of the result that are kept of it.
    """

    start: int
    stop: int
    first: int
    last: int


def tiles(length: int, rows: int = TILE_ROWS, halo: int = HALO) -> list[Tile]:
    """Divide a grid along axis 0.

    Parameters
    ----------
    length : int
        Rows of the grid, a multiple of 8.
    rows : int
        Rows of each part, a multiple of 8 and more than twice the halo.
    halo : int

    Returns
    -------
    list of Tile
        All of the same size, from the first row to the last; one for a grid that is no longer than a part.

    Raises
    ------
    ValueError
        If a number is no multiple of 8, or a part has no middle.

    Examples
    --------
    >>> [(tile.start, tile.first, tile.last) for tile in tiles(384)]
    [(0, 0, 144), (96, 144, 240), (192, 240, 384)]
    """
    if length % _POOLING or rows % _POOLING or halo % _POOLING:
        raise ValueError(f"{length}, {rows} and {halo} rows are not all multiples of {_POOLING}")
    if length <= rows:
        return [Tile(0, length, 0, length)]
    if rows <= 2 * halo:
        raise ValueError(f"a part of {rows} rows has no middle between two halos of {halo}")
    starts = [*range(0, length - rows, rows - 2 * halo), length - rows]
    cuts = [0, *(start + halo for start in starts[1:]), length]
    return [Tile(start, start + rows, low, high) for start, low, high in zip(starts, cuts, cuts[1:])]


def by_tiles(run: Callable[[np.ndarray], np.ndarray], batch: np.ndarray, rows: int = TILE_ROWS) -> np.ndarray:
    """Apply a network to a batch part by part.

    Parameters
    ----------
    run : callable
        Maps (1, rows, LR, PA, 1) to the probability of the same shape.
    batch : float32 array, shape (1, SI, LR, PA, 1)
    rows : int

    Returns
    -------
    float32 array of the batch's shape
    """
    result = np.empty(batch.shape, np.float32)
    for tile in tiles(batch.shape[1], rows):
        seen = run(np.ascontiguousarray(batch[:, tile.start : tile.stop]))
        result[:, tile.first : tile.last] = seen[:, tile.first - tile.start : tile.last - tile.start]
    return result
