"""The spinous process column: the dark curve in the coronal projection (paper Section II, Fig. 1d)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from LaminaLabelingLib.volumes import Volume

from .footprint import Survey
from .paths import minimum_cost_path

# Half width of the shadow and the reach of the flanks it is compared with, mm from the column.
_SHADOW_MM = 2.0
_FLANKS_MM = (4.5, 13.0)
# A 60 degree curve tilts its end vertebrae by 30 to 45 degrees.
_STEEPEST = 1.0


@dataclass(frozen=True)
class Column:
    """The dark spinous process column.

    Attributes
    ----------
    position : (S,) float array
        Array index along axis 1 for each row of the survey.
    rows : (S,) float array
        Array index along axis 0 of these rows.
    contrast : float
        How much brighter its flanks are, as a share of the scan's mean grey value; what is faint, `prepare` decides.
    seen : (S,) bool array
        Rows with image data; the others were bridged.
    projection : (S, L) float array
        The coronal projection in which it was found, NaN where nothing was scanned.
    """

    position: np.ndarray
    rows: np.ndarray
    contrast: float
    seen: np.ndarray
    projection: np.ndarray

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Return the column's index along axis 1 at the given indices along axis 0."""
        return np.interp(rows, self.rows, self.position)

    def points(self, volume: Volume, depth_index: np.ndarray) -> np.ndarray:
        """Return the curve (N, 3) in RAS mm at the given indices along axis 2, one per row, superior to inferior."""
        return volume.to_world(np.stack([self.rows, self.position, depth_index], axis=-1))


def coronal_projection(survey: Survey, top_mm, bottom_mm) -> np.ndarray:
    """Return the mean over a slab below the skin, (S, L); NaN where nothing was scanned.

    Parameters
    ----------
    survey : Survey
    top_mm, bottom_mm : float or (S,) array
        The slab's depths below the skin in mm.
    """
    depths = survey.depths
    top, bottom = (np.broadcast_to(np.asarray(value, float), len(survey.rows)) for value in (top_mm, bottom_mm))
    slab = (depths >= top[:, None]) & (depths <= bottom[:, None])
    weight = slab[:, None, :] & survey.mask
    count = weight.sum(axis=2)
    total = np.einsum("sld,sld->sl", survey.values, weight.astype(np.float32))
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def find_column(survey: Survey, lamina_depth: np.ndarray | None = None) -> Column:
    """Find the spinous process column as a minimum-cost path from the superior to the inferior edge.

    Each place is rated by how much darker a strip of 4 mm is than the *darker* of the two flanks beside it, so that
    one-sided edges (the side of the fan, a rib's shadow) do not pass for a column. The path is the cheapest one by
    dynamic programming with a penalty on lateral moves; rows without data cost the same everywhere and are bridged
    straight.

    Parameters
    ----------
    survey : Survey
        The flattened scan.
    lamina_depth : (S,) array, optional
        Depth of the laminae below the skin in mm. The shadow is purest just above and at the laminae; without it a
        fixed slab of 8 to 24 mm is used.

    Returns
    -------
    Column
    """
    projection, rating = _rated(survey, lamina_depth)
    known = np.isfinite(projection)
    step = survey.step

    cost = -rating
    cost[~known] = 0.0
    # Outside the sweep there is no column; but a row without any data must not push the path anywhere.
    some = known.any(axis=1)
    cost[~known & some[:, None]] = 1.0
    cost += 0.15 * _off_center(known, step[1]) ** 2
    max_move = max(1, round(_STEEPEST * step[0] / step[1]))
    path = minimum_cost_path(cost, max_move, move_penalty=0.04)

    position = _subcell(cost, path)
    position = gaussian_filter1d(position, 5.0 / step[0], mode="nearest")
    factor = survey.columns[1] - survey.columns[0]
    contrast = _contrast(rating, path, some)
    return Column(survey.columns[0] + position * factor, survey.rows, contrast, some, projection)


def column_at(survey: Survey, position: np.ndarray, lamina_depth: np.ndarray | None = None) -> Column:
    """Return the column at given places, with the contrast and the projection that `find_column` would give it.

    Parameters
    ----------
    survey : Survey
    position : (S,) array
        Array index along axis 1 for each row of the survey.
    lamina_depth : (S,) array, optional
        See `find_column`.
    """
    projection, rating = _rated(survey, lamina_depth)
    some = np.isfinite(projection).any(axis=1)
    cells = np.round((position - survey.columns[0]) / (survey.columns[1] - survey.columns[0])).astype(int)
    contrast = _contrast(rating, np.clip(cells, 0, rating.shape[1] - 1), some)
    return Column(np.asarray(position, float), survey.rows, contrast, some, projection)


def _rated(survey: Survey, lamina_depth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the coronal projection, (S, L), and how well each of its places fits the column."""
    if lamina_depth is None:
        projection = coronal_projection(survey, 8.0, 24.0)
    else:
        projection = coronal_projection(survey, np.maximum(6.0, 0.45 * lamina_depth), lamina_depth + 3.0)
    mean = float(np.nanmean(projection))
    return projection, column_rating(projection, survey.step) / max(mean, 1e-6)


def _contrast(rating: np.ndarray, path: np.ndarray, some: np.ndarray) -> float:
    """Return the typical rating along a path, one cell for each row, in the rows with data."""
    return float(np.median(rating[np.flatnonzero(some), path[some]])) if some.any() else 0.0


def column_rating(projection: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return flank minus shadow, (S, L), in grey values; the darker flank counts, and unknown flanks count nothing."""
    known = np.isfinite(projection).astype(float)
    values = np.where(known > 0, projection, 0.0)
    # Speckle and the gaps between processes average out along the spine.
    along = 4.0 / step[0]
    values = gaussian_filter1d(values, along, axis=0, mode="nearest")
    weight = gaussian_filter1d(known, along, axis=0, mode="nearest")

    def mean(low: float, high: float) -> np.ndarray:
        offsets = np.arange(round(low / step[1]), round(high / step[1]) + 1)
        total, count = np.zeros_like(values), np.zeros_like(values)
        for offset in offsets:
            total += _shifted(values, -offset)
            count += _shifted(weight, -offset)
        # A flank of which less than a third was scanned says nothing.
        return np.where(count > len(offsets) / 3, total / np.maximum(count, 1e-6), np.nan)

    center = mean(-_SHADOW_MM, _SHADOW_MM)
    left, right = mean(-_FLANKS_MM[1], -_FLANKS_MM[0]), mean(*_FLANKS_MM)
    return np.nan_to_num(np.minimum(left, right) - center, nan=0.0)


def _shifted(values: np.ndarray, by: int) -> np.ndarray:
    """Shift along axis 1, zeros coming in."""
    result = np.zeros_like(values)
    if by > 0:
        result[:, by:] = values[:, :-by]
    elif by < 0:
        result[:, :by] = values[:, -by:]
    else:
        result[:] = values
    return result


def _off_center(known: np.ndarray, step: float) -> np.ndarray:
    """Distance from the middle of each row's footprint in units of 25 mm: the operator keeps the spine in view."""
    columns = np.arange(known.shape[1])
    some = known.any(axis=1)
    middle = np.full(len(known), known.shape[1] / 2.0)
    middle[some] = (known[some] * columns).sum(axis=1) / known[some].sum(axis=1)
    middle = np.interp(np.arange(len(known)), np.flatnonzero(some), middle[some]) if some.any() else middle
    return (columns[None, :] - middle[:, None]) * step / 25.0


def _subcell(cost: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Refine a path to a fraction of a cell by a parabola through each minimum and its neighbours."""
    rows = np.arange(len(path))
    inside = np.clip(path, 1, cost.shape[1] - 2)
    before, here, after = (cost[rows, inside + offset] for offset in (-1, 0, 1))
    curvature = before - 2 * here + after
    with np.errstate(invalid="ignore", divide="ignore"):
        offset = np.where(curvature > 1e-9, 0.5 * (before - after) / curvature, 0.0)
    return np.where(inside == path, path + np.clip(offset, -0.5, 0.5), path.astype(float))
