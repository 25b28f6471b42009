"""The top layer: skin, fat and superficial muscle above the laminae, blanked along a surface that follows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from .column import Column
from .footprint import Survey
from .paths import minimum_cost_path

# Laminae lie 4 to 15 mm beside the column, on either side.
_BAND_MM = (4.0, 15.0)
# No lamina is shallower or deeper than this below the skin of a patient of 10 to 16 years.
_DEPTH_RANGE_MM = (10.0, 45.0)
# Left and right differ by the axial rotation: 30 degrees over 10 mm.
_SIDE_RANGE_MM = 7.0
_SIDE_CENTER_MM = 10.0
# Length along the spine over which the best rating holds, about the gap between two laminae.
_GAP_MM = 16.0
# Depths above the best one that are rated at least this share of it belong to the same plateau.
_PLATEAU = 0.75
_PLATEAU_MM = 6.0
# Share of the mean grey value below which brightness is noise.
_DARKEST = 0.2


@dataclass(frozen=True)
class TopLayer:
    """The surface above which the scan is blanked.

    Attributes
    ----------
    cut : (S, L) float array
        Array index along axis 2 of the surface, on the cells of the survey.
    left, right : (S,) float arrays
        Depth of the laminae below the skin in mm beside the column, on the patient's left and right.
    clearance : float
        Distance in mm that was kept above the laminae.
    """

    cut: np.ndarray
    left: np.ndarray
    right: np.ndarray
    clearance: float

    @property
    def depth(self) -> np.ndarray:
        """Depth of the laminae below the skin in mm, both sides' mean, (S,)."""
        return 0.5 * (self.left + self.right)


def find_top_layer(survey: Survey, column: Column, clearance: float = 7.0) -> TopLayer:
    """Find the depth of the laminae along the spine, and from it the surface of the top layer crop.

    Bone returns a bright echo and shades what lies below. So each depth in the band beside the column is rated by the
    step from the tissue above it to the shadow below it plus the bright line itself; the best depth is followed along
    the spine as a minimum-cost path, first for both sides together, then for each side near the common path. The
    surface runs ``clearance`` mm above, tilted with the line from the left to the right laminae.

    Parameters
    ----------
    survey : Survey
        The flattened scan.
    column : Column
        The spinous process column.
    clearance : float
        What to keep above the laminae, mm.

    Returns
    -------
    TopLayer
    """
    step = survey.step
    cell = (survey.columns[1] - survey.columns[0]) / step[1]
    lateral = (survey.columns[None, :] - column.position[:, None]) / cell
    depths = survey.depths
    allowed = (depths >= _DEPTH_RANGE_MM[0]) & (depths <= _DEPTH_RANGE_MM[1])
    ratings = []
    for sign in (-1, 1):
        band = (sign * lateral >= _BAND_MM[0]) & (sign * lateral <= _BAND_MM[1])
        rating = depth_rating(survey, band)
        # Bone shows at the laminae and hardly between them, fascia everywhere: let the laminae speak for their gaps.
        ratings.append(maximum_filter1d(rating, int(_GAP_MM / step[0]) | 1, axis=0, mode="nearest"))
    both = 0.5 * (ratings[0] + ratings[1])
    common = _follow(both, allowed, step)
    sides = []
    for rating in ratings:
        near = np.abs(depths[None, :] - common[:, None]) <= _SIDE_RANGE_MM
        sides.append(_follow(rating, near & allowed, step))
    left, right = sides

    share = np.clip((lateral + _SIDE_CENTER_MM) / (2 * _SIDE_CENTER_MM), -0.2, 1.2)
    surface = left[:, None] * (1 - share) + right[:, None] * share
    # Near the column the skin's own arc is what depth is measured from; beyond it the cut goes on level with it.
    skin_here = _beside_column(survey.skin, lateral)
    cut = skin_here + np.maximum(surface - clearance, 0.0) / survey.voxel[2]
    return TopLayer(cut, left, right, clearance)


def depth_rating(survey: Survey, band: np.ndarray) -> np.ndarray:
    """Return how well each depth fits the bone's surface, (S, D): tissue over shadow, plus the bright line itself.

    Parameters
    ----------
    survey : Survey
    band : (S, L) bool array
        Cells of the survey beside the column.
    """
    weight = (survey.mask & band[:, :, None]).astype(np.float32)
    count = weight.sum(axis=1)
    profile = np.einsum("sld,sld->sd", survey.values, weight) / np.maximum(count, 1.0)
    brightest = (survey.values * weight).max(axis=1)
    along = 5.0 / survey.step[0]
    profile, brightest, count = (
        gaussian_filter1d(array, along, axis=0, mode="nearest") for array in (profile, brightest, count)
    )
    step = survey.step[2]
    # Past the end of the fan nothing is seen, which is not the same as shadow: only depths that half of the band
    # reaches say anything.
    reached = (count >= 0.5 * np.maximum(band.sum(axis=1), 1)[:, None]).astype(float)

    def window(array: np.ndarray, low: float, high: float) -> np.ndarray:
        """Mean over what was reached from ``low`` to ``high`` mm below each depth; NaN if less than half of it was."""
        index = np.arange(array.shape[1])
        first = np.clip(index + round(low / step), 0, array.shape[1])
        last = np.clip(index + round(high / step), 0, array.shape[1])

        def total(values: np.ndarray) -> np.ndarray:
            sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
            return sums[:, last] - sums[:, first]

        seen = total(reached)
        return np.where(seen >= 0.5 * (high - low) / step, total(array * reached) / np.maximum(seen, 1.0), np.nan)

    scale = max(abs(float(survey.values[survey.mask].mean())), 1e-6) if survey.mask.any() else 1.0

    def contrast(near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Return the step in units between grey values and ratios.

        Plain differences favor bright fat near the skin, plain ratios favor noise in the dark; dividing by the square
        root of the local brightness finds the bone in both.
        """
        brightness = np.maximum((near + far) / 2, 0.0) + _DARKEST * scale
        return (near - far) / np.sqrt(brightness * scale)

    rating = contrast(window(profile, -5.0, 0.5), window(profile, 3.0, 11.0))
    rating += 0.5 * contrast(window(brightest, -0.8, 1.6), window(brightest, 3.0, 9.0))
    return np.nan_to_num(rating, nan=0.0)


def _follow(rating: np.ndarray, allowed: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Follow the best depth along the spine; return it in mm, smoothed over about a vertebra."""
    allowed = np.broadcast_to(allowed, rating.shape)
    cost = np.where(allowed, -rating, 1e3)
    path = minimum_cost_path(cost, max_move=max(1, round(0.5 * step[0] / step[2])), move_penalty=0.05)
    edge = _leading_edge(np.where(allowed, rating, -np.inf), path, round(_PLATEAU_MM / step[2]))
    depth = (edge + 0.5) * step[2]
    return gaussian_filter1d(depth, 6.0 / step[0], mode="nearest")


def _leading_edge(rating: np.ndarray, path: np.ndarray, reach: int) -> np.ndarray:
    """Move each place of a path up to where its plateau begins, at most ``reach`` cells.

    Where one side's laminae are rotated towards the probe, or beside gaps between bones, a range of depths fits alike;
    the shallow end of it is where the bone may begin, and no lamina may be cut off.
    """
    edge = path.copy()
    rows = np.arange(len(path))
    level = _PLATEAU * rating[rows, path]
    moving = np.ones(len(path), bool)
    for _ in range(reach):
        above = np.maximum(edge - 1, 0)
        moving &= (edge > 0) & (rating[rows, above] >= level)
        edge = np.where(moving, above, edge)
    return edge.astype(float)


def _beside_column(skin: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Flatten the skin's arc beside the column: the laminae do not curve with the probe's face."""
    rows = []
    for surface, offset in zip(skin, lateral):
        near = np.abs(offset) <= 12.0
        level = surface[near].mean() if near.any() else surface.mean()
        slope = np.polyfit(offset[near], surface[near], 1)[0] if near.sum() > 3 else 0.0
        rows.append(level + slope * np.clip(offset, -15.0, 15.0))
    return gaussian_filter1d(np.array(rows), 2.0, axis=0, mode="nearest")
