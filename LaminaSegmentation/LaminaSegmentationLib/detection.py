"""How well points found in a scan fit its true laminae: matching, counts by region, localization, tilts and curves.

All of it knows positions alone, in grid voxels with their size in mm; what they were found by, `metrics` knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from LaminaLabelingLib.anatomy import REGIONS, Numbering, is_name, is_provisional, split_name
from LaminaLabelingLib.matching import Matching, match_points

GATES_MM = (3.0, 5.0, 10.0)
"""Distances in mm within which a point may stand for a lamina (METHOD section 5)."""

GATE_MM = 5.0
"""The gate of the counts, the localization error, the pairs and the angles."""


@dataclass(frozen=True)
class Truth:
    """The true laminae of a scan as the scores need them.

    Attributes
    ----------
    names : tuple of str
        ``T1L`` and so on; empty strings where a lamina has no name.
    voxels : (N, 3) float array
        Centers in grid voxels (SI, LR, PA); those outside the grid belong to the truth, too.
    mm : (N, 3) float array
        The same times the voxels' size.
    spacing : (3,) float array
        Size of a voxel in mm.
    regions : (N,) array of str
        A key of `anatomy.REGIONS` each, or empty for provisional and missing names.
    levels : dict of int to (int, int)
        Rows of the left and the right lamina by the number of the level, for the levels that have both.
    """

    names: tuple[str, ...]
    voxels: np.ndarray
    mm: np.ndarray
    spacing: np.ndarray
    regions: np.ndarray
    levels: Mapping[int, tuple[int, int]]

    @classmethod
    def of(cls, centroids: np.ndarray, spacing: np.ndarray, names: Sequence[str] = ()) -> Truth:
        """Return the truth of a list of centroids (N, 3) in voxels, of ``spacing`` mm each."""
        voxels = np.asarray(centroids, float).reshape(-1, 3)
        spacing = np.asarray(spacing, float)
        names = tuple(names) if names else ("",) * len(voxels)
        numbering = Numbering.of(name for name in names if is_name(name))
        rows: dict[int, dict[str, int]] = {}
        regions = []
        for row, name in enumerate(names):
            if not is_name(name):
                regions.append("")
                continue
            vertebra, side = split_name(name)
            provisional = is_provisional(name)
            regions.append("" if provisional else numbering.region(vertebra))
            level = int(vertebra[1:]) - 1 if provisional else numbering.vertebrae.index(vertebra)
            rows.setdefault(level, {})[side] = row
        levels = {level: (sides["L"], sides["R"]) for level, sides in sorted(rows.items()) if len(sides) == 2}
        return cls(names, voxels, voxels * spacing, spacing, np.array(regions, dtype="U8"), levels)

    def regions_of(self, points: np.ndarray) -> np.ndarray:
        """Return the region of each point (M, 3) in mm: that of the true lamina nearest to it.

        Of two regions that are equally near the upper one counts, whatever the order of the truth. Without any true
        lamina no point has a region.
        """
        points = np.asarray(points, float).reshape(-1, 3)
        if not len(self.mm):
            return np.full(len(points), "", dtype="U8")
        there = [region for region in (*REGIONS, "") if (self.regions == region).any()]
        distances = [cKDTree(self.mm[self.regions == region]).query(points)[0] for region in there]
        return np.array(there, dtype="U8")[np.round(distances, 6).argmin(axis=0)]


@dataclass(frozen=True)
class LaminaOutcome:
    """What became of one true lamina.

    Attributes
    ----------
    name : str
    region : str
        A key of `anatomy.REGIONS`, or empty.
    found : bool
        Whether a found point was matched to it within 5 mm.
    error_mm : float
        Distance to that point; NaN for a missed lamina.
    nearest_mm, nearest_vox : float
        Distance to the nearest found point whosever partner that is, the term of eq. 7.
    """

    name: str
    region: str
    found: bool
    error_mm: float
    nearest_mm: float
    nearest_vox: float


def match(truth: Truth, found_mm: np.ndarray, gate: float = GATE_MM) -> Matching:
    """Match true laminae (first) and found points (second; (M, 3) in mm) one to one within ``gate`` mm."""
    return match_points(truth.mm, found_mm, gate)


def detection_figures(truth: Truth, found_mm: np.ndarray) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return what matching says of found points.

    Parameters
    ----------
    truth : Truth
    found_mm : (M, 3) array
        Found points in mm, in the frame of ``truth.mm``.

    Returns
    -------
    values : dict of str to float
        ``recall_*``, ``precision_*`` and ``f1_*`` at 3, 5 and 10 mm; ``missed``, ``false``, ``mean_error_mm``,
        ``p95_error_mm``, ``complete_pairs``, ``tilt_error_deg`` and ``curve_angle_error_deg`` at 5 mm. A share of
        nothing and the mean of nothing are NaN; a count of nothing is 0.
    by_region : dict of str to dict
        The same by region, without the curve's angle. A true lamina belongs to the region of its name, a false point to
        that of the true lamina nearest to it, a pair to that of its vertebra.
    """
    found_mm = np.asarray(found_mm, float).reshape(-1, 3)
    found_regions = truth.regions_of(found_mm)
    values: dict[str, float] = {}
    by_region: dict[str, dict[str, float]] = {region: {} for region in REGIONS}
    for gate in GATES_MM:
        matching = match(truth, found_mm, gate)
        values |= _shares(matching, gate)
        for region, figures in by_region.items():
            figures |= _shares(_within(matching, truth.regions == region, found_regions == region), gate)
    matching = match(truth, found_mm)
    partner = partners(matching, len(truth.mm))
    values |= _localization(matching) | _pairs(truth, found_mm, partner, truth.levels)
    for region, figures in by_region.items():
        figures |= _localization(_within(matching, truth.regions == region, found_regions == region))
        levels = {level: rows for level, rows in truth.levels.items() if truth.regions[rows[0]] == region}
        figures |= _pairs(truth, found_mm, partner, levels)
    values["curve_angle_error_deg"] = curve_angle_error(truth, found_mm, partner)
    return values, by_region


def partners(matching: Matching, count: int) -> np.ndarray:
    """Return for each of ``count`` true laminae the row of its found point, -1 for a missed one."""
    result = np.full(count, -1)
    result[matching.pairs[:, 0]] = matching.pairs[:, 1]
    return result


def _within(matching: Matching, true: np.ndarray, found: np.ndarray) -> Matching:
    """Return the part of a matching that belongs to a region: a pair counts where its true lamina is."""
    inside = true[matching.pairs[:, 0]]
    return Matching(
        matching.pairs[inside],
        matching.distances[inside],
        matching.unmatched_first[true[matching.unmatched_first]],
        matching.unmatched_second[found[matching.unmatched_second]],
    )


def _shares(matching: Matching, gate: float) -> dict[str, float]:
    hits, missed, false = len(matching.pairs), len(matching.unmatched_first), len(matching.unmatched_second)
    return {
        f"recall_{gate:g}mm": _ratio(hits, hits + missed),
        f"precision_{gate:g}mm": _ratio(hits, hits + false),
        f"f1_{gate:g}mm": _ratio(2 * hits, 2 * hits + missed + false),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _localization(matching: Matching) -> dict[str, float]:
    errors = matching.distances
    return {
        "missed": float(len(matching.unmatched_first)),
        "false": float(len(matching.unmatched_second)),
        "mean_error_mm": float(errors.mean()) if len(errors) else math.nan,
        "p95_error_mm": float(np.percentile(errors, 95)) if len(errors) else math.nan,
    }


def _pairs(
    truth: Truth, found_mm: np.ndarray, partner: np.ndarray, levels: Mapping[int, tuple[int, int]]
) -> dict[str, float]:
    complete = [rows for rows in levels.values() if (partner[list(rows)] >= 0).all()]
    errors = [
        abs(_turn(coronal_tilt(*found_mm[partner[list(rows)]]) - coronal_tilt(*truth.mm[list(rows)])))
        for rows in complete
    ]
    return {
        "complete_pairs": float(len(complete)),
        "tilt_error_deg": float(np.mean(errors)) if errors else math.nan,
    }


def coronal_tilt(left: np.ndarray, right: np.ndarray) -> float:
    """Return the coronal tilt of a level in degrees: the angle of the vector from its left to its right lamina.

    Parameters
    ----------
    left, right : (3,) arrays
        Positions in mm along inferior, right and anterior.

    Returns
    -------
    float
        -180 to 180; positive when the right lamina is the higher one (METHOD section 7).
    """
    inferior, rightwards = (np.asarray(right, float) - np.asarray(left, float))[:2]
    return math.degrees(math.atan2(-inferior, rightwards))


def _turn(angle: float) -> float:
    """Return the same angle in -180 to 180 degrees."""
    return (angle + 180.0) % 360.0 - 180.0


def curve_angle_error(truth: Truth, found_mm: np.ndarray, partner: np.ndarray) -> float:
    """Return by how many degrees the angle of the largest curve is wrong.

    The end vertebrae i and j are those of the truth: the levels whose tilts differ most, or the first and the last
    where all tilts are the same. Their found tilts come from the levels with both laminae found; that of a level in
    between is interpolated linearly over the levels, that of one beyond them is the nearest level's. The error is the
    absolute difference of a_i - a_j, signs included, so that a curve to the wrong side is no success.

    Parameters
    ----------
    truth : Truth
    found_mm : (M, 3) array
    partner : (N,) int array
        See `partners`.

    Returns
    -------
    float
        NaN with fewer than two true or two found levels.
    """
    true = {level: coronal_tilt(*truth.mm[list(rows)]) for level, rows in truth.levels.items()}
    found = {
        level: coronal_tilt(*found_mm[partner[list(rows)]])
        for level, rows in truth.levels.items()
        if (partner[list(rows)] >= 0).all()
    }
    if len(true) < 2 or len(found) < 2:
        return math.nan
    levels, tilts = np.array(list(true)), np.array(list(true.values()))
    ends = [int(tilts.argmin()), int(tilts.argmax())]
    if ends[0] == ends[1]:
        ends = [0, len(levels) - 1]
    estimated = np.interp(levels[ends], list(found), np.array(list(found.values())))
    return float(abs((estimated[1] - estimated[0]) - (tilts[ends[1]] - tilts[ends[0]])))
