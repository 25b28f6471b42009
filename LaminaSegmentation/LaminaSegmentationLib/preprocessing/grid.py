"""Region of interest, resampling to the network's grid, and normalization."""

from __future__ import annotations

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

from .column import Column
from .footprint import Survey
from .top_layer import TopLayer

GRID_SHAPE = (384, 96, 48)
"""Voxels of the network's input along SI, LR and PA (paper Section II)."""

LEAST_EXTENT_MM = (330.0, 70.0, 45.0)
"""What the grid spans at the least; no whole spine is smaller, a partial scan keeps its scale by it."""

DEFAULT_MARGIN_MM = 30.0
LARGEST_MARGIN_MM = 40.0


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


def scanned_mask(
    volume: Volume, survey: Survey, box: tuple[slice, slice, slice], top_layer: TopLayer | None = None
) -> np.ndarray:
    """Return which voxels of the box were scanned and lie below the top layer, bool array of the box's shape.

    Voxels of value 0 count as never scanned near the skin and as shadow further down, inside the footprint.
    """
    shape = volume.array.shape[:2]
    rows, columns, depth = box
    index = np.arange(depth.start, depth.stop, dtype=np.float32)

    def full(surface: np.ndarray) -> np.ndarray:
        return survey.at_full_size(surface, shape)[rows, columns, None]

    skin, bottom = full(survey.skin), full(survey.bottom)
    seen = survey.at_full_size(survey.seen, shape, order=0)[rows, columns, None] > 0.5
    mask = seen & (index <= bottom)
    deep = index >= skin + np.float32(4.0 / survey.voxel[2])
    mask &= deep | (volume.array[box] != 0)
    # Whole slices of zeros are gaps, however thin.
    mask &= (volume.array[box] != 0).any(axis=2, keepdims=True)
    if top_layer is not None:
        mask &= index >= full(top_layer.cut)
    return mask


def _interpolate(array: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Linear interpolation along one axis between edge-aligned grids."""
    source = array.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0.0, source - 1.0)
    below = np.minimum(at.astype(int), max(source - 2, 0))
    share = (at - below).astype(np.float32)
    share = share.reshape([-1 if a == axis else 1 for a in range(3)])
    low = array.take(below, axis=axis)
    high = array.take(np.minimum(below + 1, source - 1), axis=axis)
    return low * (1 - share) + high * share


def resample(
    volume: Volume,
    box: tuple[slice, slice, slice],
    mask: np.ndarray | None = None,
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
    mask : bool array of the box's shape, optional
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
    """
    cropped = volume.crop(box)
    values = cropped.array if mask is None else np.where(mask, cropped.array, cropped.array.dtype.type(0))
    weights = np.ones(values.shape, np.float32) if mask is None else mask
    lacking = np.maximum(0, np.ceil(np.array(least_extent) / cropped.spacing).astype(int) - values.shape)
    before = lacking // 2
    if lacking.any():
        around = list(zip(before, lacking - before))
        values, weights = np.pad(values, around), np.pad(weights, around)
    padded = np.array(values.shape)
    for axis, size in enumerate(shape):
        values = _interpolate(values, size, axis)
        weights = _interpolate(weights, size, axis)
    scanned = weights >= 0.5
    grid = np.where(scanned, values / np.maximum(weights, 0.5), 0.0).astype(np.float32)
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
