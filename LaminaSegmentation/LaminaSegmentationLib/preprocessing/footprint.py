"""Where the probe looked: the swept footprint, its gaps, and the skin surface, on a coarse survey of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, grey_closing, map_coordinates, median_filter

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

from ..parallel import for_each

SURVEY_STEP_MM = (2.0, 1.0, 0.75)
"""Cells of the survey: along the spine, across it, and in depth below the skin."""

# A footprint thinner than this holds no spine.
_MINIMUM_THICKNESS_MM = 8.0
# The face of a convex probe is never steeper than this at its rim; the side of its fan always is.
_STEEPEST_SKIN = 0.55

_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Survey:
    """A coarse copy of a scan with depth measured from the followed skin surface.

    Attributes
    ----------
    values : (S, L, D) float32 array
        Mean grey value of each cell, 0 where nothing was scanned.
    mask : (S, L, D) bool array
        Cells inside the swept footprint; shadow of grey value 0 is inside.
    rows, columns : (S,), (L,) float arrays
        Array indices (axes 0 and 1 of the volume) of the cells' centres.
    skin, bottom : (S, L) float arrays
        Array index along axis 2 of the skin and of the far end of the fan. The skin goes on smoothly beyond the
        probe's face and across gaps.
    seen : (S, L) bool array
        False where the probe never looked (outside the sweep, or lifted).
    step : (3,) float array
        Size of a cell in mm.
    """

    values: np.ndarray
    mask: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    skin: np.ndarray
    bottom: np.ndarray
    seen: np.ndarray
    step: np.ndarray
    voxel: np.ndarray

    @property
    def depths(self) -> np.ndarray:
        """Depth below the skin of each cell's centre, (D,) mm."""
        return (np.arange(self.values.shape[2]) + 0.5) * self.step[2]

    def at_full_size(
        self,
        surface: np.ndarray,
        shape: tuple[int, int],
        order: int = 1,
        part: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> np.ndarray:
        """Interpolate a (S, L) map at every voxel column of a scan of ``shape`` (axes 0 and 1), or of a part of it."""
        rows = (np.arange(shape[0]) - self.rows[0]) / (self.rows[1] - self.rows[0])
        columns = (np.arange(shape[1]) - self.columns[0]) / (self.columns[1] - self.columns[0])
        mesh = np.meshgrid(rows[part[0]], columns[part[1]], indexing="ij")
        return map_coordinates(surface.astype(np.float32), mesh, order=order, mode="nearest", prefilter=False)


def survey(volume: Volume) -> Survey:
    """Survey a scan: find the swept footprint and the skin, and flatten a coarse copy to depth below the skin.

    Value 0 outside the sweep means "never scanned", not dark tissue. Columns of voxels without any echo are gaps or
    lie beside the sweep. In the others the footprint reaches from the first echo to the far end of the fan; that end
    is closed over notches narrower than 16 mm, because deep shadow also reaches 0 (METHOD section 2.0).

    Parameters
    ----------
    volume : Volume
        The scan, IRA order.

    Returns
    -------
    Survey

    Raises
    ------
    LaminaError
        If there is no swept region thick enough to hold a spine.
    """
    voxel = volume.spacing
    factors = np.maximum(1, np.round(np.array(SURVEY_STEP_MM) / voxel)).astype(int)[:2]
    counts = np.array(volume.array.shape[:2]) // factors
    coarse = _block_mean(volume.array, factors, counts)
    step = np.array([*(factors * voxel[:2]), SURVEY_STEP_MM[2]])
    rows = (np.arange(counts[0]) + 0.5) * factors[0] - 0.5
    columns = (np.arange(counts[1]) + 0.5) * factors[1] - 0.5

    echo = coarse > 0.5 * max(1e-6, float(np.quantile(coarse[coarse > 0], 0.02))) if (coarse > 0).any() else coarse > 0
    first = echo.argmax(axis=2).astype(float)
    last = (echo.shape[2] - 1 - echo[:, :, ::-1].argmax(axis=2)).astype(float)
    seen = echo.any(axis=2) & ((last - first) * voxel[2] > _MINIMUM_THICKNESS_MM)
    if seen.sum() * step[0] * step[1] < 400.0:
        raise LaminaError(
            f"'{volume.name or 'The scan'}' holds no swept region thick enough for a spine "
            f"({_MINIMUM_THICKNESS_MM:.0f} mm); check that it is a reconstructed ultrasound volume and that its "
            "voxel spacing and axes are right."
        )
    skin = _skin(first, seen, step, voxel[2])
    bottom = _bottom(last, seen, step)

    depth_index = (np.arange(int(60.0 / SURVEY_STEP_MM[2])) + 0.5) * SURVEY_STEP_MM[2] / voxel[2]
    index = skin[:, :, None] + depth_index
    mask = seen[:, :, None] & (index <= bottom[:, :, None]) & (index >= first[:, :, None] - 0.5)
    used = max(8, int(np.flatnonzero(mask.any(axis=(0, 1)))[-1]) + 1)
    index, mask = index[:, :, :used], mask[:, :, :used]
    whole = np.clip(index.astype(int), 0, coarse.shape[2] - 2)
    share = np.clip(index - whole, 0.0, 1.0).astype(np.float32)
    values = np.take_along_axis(coarse, whole, 2) * (1 - share) + np.take_along_axis(coarse, whole + 1, 2) * share
    values[~mask] = 0.0
    return Survey(values, mask, rows, columns, skin, bottom, seen, step, voxel)


def _block_mean(array: np.ndarray, factors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over blocks of axes 0 and 1, slab by slab so that no second full-size array is needed."""
    trimmed = array[: counts[0] * factors[0], : counts[1] * factors[1]]
    result = np.empty((*counts, array.shape[2]), np.float32)

    def fill(first: int) -> None:
        for row in range(first, min(first + _ROWS_AT_ONCE, counts[0])):
            slab = trimmed[row * factors[0] : (row + 1) * factors[0]].sum(axis=0, dtype=np.float32)
            result[row] = slab.reshape(counts[1], factors[1], -1).sum(axis=1)

    for_each(fill, range(0, counts[0], _ROWS_AT_ONCE))
    result /= float(factors.prod())
    return result


def _fill(surface: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Continue a (S, L) map to cells that are not known, from the nearest known one."""
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return surface[tuple(nearest)]


def _skin(first: np.ndarray, seen: np.ndarray, step: np.ndarray, voxel_depth: float) -> np.ndarray:
    """Follow the skin: the probe's face where it touched, continued with a bounded slope beside it.

    Beside the face the first echo is the slanted side of the fan, deep below the skin; a slope that no probe face has
    tells the two apart.
    """
    top = np.where(seen, first, np.inf)
    limit = _STEEPEST_SKIN * step[1] / voxel_depth
    for ordered in (slice(None), slice(None, None, -1)):
        view = top[:, ordered]
        for column in range(1, view.shape[1]):
            np.minimum(view[:, column], view[:, column - 1] + limit, out=view[:, column])
    known = np.isfinite(top)
    top = _fill(np.where(known, top, 0.0), known)
    top = median_filter(top, size=(5, 3), mode="nearest")
    return gaussian_filter(top, (3.0 / step[0], 1.5 / step[1]), mode="nearest")


def _bottom(last: np.ndarray, seen: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the far end of the fan, closed over the notches that shadows cut into it."""
    filled = _fill(last, seen)
    size = tuple(int(2 * (8.0 // cell) + 1) for cell in step[:2])
    return np.maximum(filled, grey_closing(filled, size=size, mode="nearest"))
