"""Region of interest, resampling to the network's grid, and normalization."""

from __future__ import annotations

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

from ..parallel import for_each
from .column import Column
from .footprint import Survey
from .top_layer import TopLayer

GRID_SHAPE = (384, 96, 48)
"""Voxels of the network's input along SI, LR and PA (paper Section II)."""

LEAST_EXTENT_MM = (330.0, 70.0, 45.0)
"""What the grid spans at the least; no whole spine is smaller, a partial scan keeps its scale by it."""

DEFAULT_MARGIN_MM = 30.0
LARGEST_MARGIN_MM = 40.0

_ROWS_AT_ONCE = 8


def region_of_interest(
    volume: Volume,
    survey: Survey,
    column: Column,
    top_layer: TopLayer | None = None,
    margin: float = DEFAULT_MARGIN_MM,
) -> tuple[slice, slice, slice]:
    """Return the box around the spine as slices of the scan's array.

    Along the spine it holds everything scanned; laterally the column's extent plus ``margin`` on each side, not
    straightened; in depth what is left between the top layer's surface and the far end of the fan.

    Parameters
    ----------
    volume : Volume
    survey : Survey
    column : Column
    top_layer : TopLayer, optional
        Without it the box begins at the skin.
    margin : float
        Millimetres beside the column, at most 40.

    Raises
    ------
    LaminaError
        If the margin is not between 10 and 40 mm.
    """
    if not 10.0 <= margin <= LARGEST_MARGIN_MM:
        raise LaminaError(
            f"The margin beside the spinous column is {margin:g} mm; give one from 10 to {LARGEST_MARGIN_MM:g} mm."
        )
    shape, voxel = volume.array.shape, volume.spacing
    rows = np.flatnonzero(survey.seen.any(axis=1))
    half = 0.5 * (survey.rows[1] - survey.rows[0])
    low0, high0 = survey.rows[rows[0]] - half, survey.rows[rows[-1]] + half
    position = column.position[rows[0] : rows[-1] + 1]
    low1, high1 = position.min() - margin / voxel[1], position.max() + margin / voxel[1]
    inside = survey.seen & (survey.columns >= low1) & (survey.columns <= high1)
    if not inside.any():
        inside = survey.seen
    start = survey.skin if top_layer is None else np.maximum(top_layer.cut, survey.skin)
    low2, high2 = start[inside].min(), survey.bottom[inside].max()
    box = []
    for low, high, size in zip((low0, low1, low2), (high0, high1, high2), shape):
        first = int(np.clip(np.floor(low), 0, size - 2))
        box.append(slice(first, int(np.clip(np.ceil(high) + 1, first + 2, size))))
    return tuple(box)


class ScannedVoxels:
    """Which voxels of a box were scanned and lie below the top layer, worked out for the rows that are asked for.

    Voxels of value 0 count as never scanned near the skin and as shadow further down, inside the footprint.

    Parameters
    ----------
    volume : Volume
    survey : Survey
    box : tuple of slice
        The region of interest.
    top_layer : TopLayer, optional
    """

    def __init__(
        self, volume: Volume, survey: Survey, box: tuple[slice, slice, slice], top_layer: TopLayer | None = None
    ) -> None:
        self._values = volume.array[box]
        self.shape = self._values.shape

        def full(surface: np.ndarray, order: int = 1) -> np.ndarray:
            return survey.at_full_size(surface, volume.array.shape[:2], order, box[:2])[:, :, None]

        self._index = np.arange(box[2].start, box[2].stop, dtype=np.float32)
        self._seen = full(survey.seen, order=0) > 0.5
        self._bottom = full(survey.bottom)
        self._deep = full(survey.skin) + np.float32(4.0 / survey.voxel[2])
        self._cut = None if top_layer is None else full(top_layer.cut)

    def at(self, rows: slice) -> np.ndarray:
        """Return the mask of some rows of the box, bool array of their shape."""
        echo = self._values[rows] != 0
        mask = self._index >= self._deep[rows]
        mask |= echo
        # Whole slices of zeros are gaps, however thin.
        mask &= self._seen[rows] & echo.any(axis=2, keepdims=True)
        mask &= self._index <= self._bottom[rows]
        if self._cut is not None:
            mask &= self._index >= self._cut[rows]
        return mask


def _places(size: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower neighbor and the share of the upper one, for linear interpolation of edge-aligned grids."""
    at = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0.0, source - 1.0)
    below = np.minimum(at.astype(int), max(source - 2, 0))
    return below, (at - below).astype(np.float32)


def _interpolate(array: np.ndarray, below: np.ndarray, share: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate along one axis at the places that `_places` gives."""
    share = share.reshape([-1 if a == axis else 1 for a in range(3)])
    low = array.take(below, axis=axis)
    high = array.take(np.minimum(below + 1, array.shape[axis] - 1), axis=axis)
    return low * (1 - share) + high * share


def resample(
    volume: Volume,
    box: tuple[slice, slice, slice],
    mask: ScannedVoxels | np.ndarray | None = None,
    shape: tuple[int, int, int] = GRID_SHAPE,
    least_extent: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> tuple[Volume, np.ndarray]:
    """Resample a box of the scan to the network's grid by trilinear interpolation of the scanned voxels.

    The edges of the box and of the grid coincide, so grid index g is at ``(g + 0.5) * n / N - 0.5`` of the box, half
    voxels included. A grid voxel that is nearer to unscanned voxels than to scanned ones is unscanned; the others
    interpolate between scanned voxels only.

    Parameters
    ----------
    volume : Volume
    box : tuple of slice
        The region of interest.
    mask : ScannedVoxels or bool array of the box's shape, optional
        Scanned voxels; all by default.
    shape : tuple of int
    least_extent : (float, float, float)
        Millimetres along each axis that the grid spans at the least: a smaller box is surrounded by never-scanned
        voxels, so that a partial scan does not appear magnified.

    Returns
    -------
    grid : Volume
        float32 array of ``shape`` whose matrix maps grid indices to the scan's RAS.
    scanned : bool array of ``shape``

    Notes
    -----
    A few rows of the grid at a time, so that all that is between stays in the processor's cache, on several threads.
    """
    cropped = volume.crop(box)
    source = np.array(cropped.array.shape)
    lacking = np.maximum(0, np.ceil(np.array(least_extent) / cropped.spacing).astype(int) - source)
    before = lacking // 2
    padded = source + lacking
    places = [_places(size, int(length)) for size, length in zip(shape, padded)]
    around = [(0, 0), *zip(before[1:], (lacking - before)[1:])]
    grid, scanned = np.zeros(shape, np.float32), np.zeros(shape, bool)

    def fill(first: int) -> None:
        rows = slice(first, min(first + _ROWS_AT_ONCE, shape[0]))
        below, share = places[0][0][rows], places[0][1][rows]
        low, high = int(below[0]), min(int(below[-1]) + 2, int(padded[0]))
        there = slice(*np.clip([low - before[0], high - before[0]], 0, source[0]))
        values = cropped.array[there]
        if mask is None:
            weights = np.ones(values.shape, np.float32)
        else:
            weights = mask.at(there) if isinstance(mask, ScannedVoxels) else mask[there]
            values = np.where(weights, values, values.dtype.type(0))
        if lacking.any():
            start = int(np.clip(before[0] - low, 0, high - low))
            around_here = [(start, high - low - start - len(values)), *around[1:]]
            values, weights = np.pad(values, around_here), np.pad(weights, around_here)
        for axis, (at, part) in enumerate([(below - low, share), *places[1:]]):
            values, weights = _interpolate(values, at, part, axis), _interpolate(weights, at, part, axis)
        scanned[rows] = weights >= 0.5
        grid[rows] = np.where(scanned[rows], values / np.maximum(weights, 0.5), 0.0)

    for_each(fill, range(0, shape[0], _ROWS_AT_ONCE))
    ratio = padded / np.array(shape)
    to_box = np.diag([*ratio, 1.0])
    to_box[:3, 3] = 0.5 * ratio - 0.5 - before
    return cropped.with_array(grid, cropped.matrix @ to_box), scanned


def normalize(array: np.ndarray, scanned: np.ndarray) -> np.ndarray:
    """Return the array with zero mean and unit variance over the scanned voxels, and 0 elsewhere, as float32.

    Raises
    ------
    LaminaError
        If nothing was scanned or all of it has one value.
    """
    values = array[scanned].astype(np.float64)
    spread = values.std() if values.size else 0.0
    if spread < 1e-9:
        raise LaminaError(
            "The region of interest holds no image: all its voxels have one value; check the scan and its axes."
        )
    return np.where(scanned, (array - values.mean()) / spread, 0.0).astype(np.float32)
