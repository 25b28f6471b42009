"""From the network's probability map to laminae: components, centroids, sides, pairs and names (METHOD section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter
from skimage.measure import label, regionprops

from LaminaLabelingLib.anatomy import Numbering, provisional_name
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.volumes import Volume

# The label that the network learns is a cube of 27 voxels.
_CUBE_VOXELS = 27
# Two laminae of one side are never closer along the spine; two peaks nearer than this are one lamina.
_SAME_LAMINA_MM = 8.0
# Probability by which a valley between two peaks of one component must be lower than the lower peak.
_VALLEY = 0.05
# A component with more peaks is no row of laminae but a network that has not learned yet.
_MOST_PEAKS = 100
# Laminae lie 7 to 15 mm beside the midline (METHOD section 8); the column and the rotation add their errors.
_LATERAL_RANGE_MM = (1.5, 24.0)
# The two laminae of a vertebra differ along the spine by the tilt that the column does not show.
_PAIR_MM = 9.0
# Neighboring levels are about 15 mm (a small child's T1) to 35 mm (a large adult's L4) apart, give or take a few mm.
_LEVEL_RANGE_MM = (11.0, 42.0)
# From T1 to L5 the spacing nearly doubles (METHOD section 8): the last gaps are at least this much wider.
_GROWTH = 1.15
_END_GAPS = 5
# A whole spine of 17 levels spans at least this.
_WHOLE_SPINE_MM = 230.0


@dataclass(frozen=True)
class Candidate:
    """One component of the thresholded probability map.

    ``index`` (3,) is its centroid in grid voxels, ``position`` (3,) in RAS mm; ``along`` and ``lateral`` locate it by
    the spinous process column: millimetres from the column's superior end and to the patient's right.
    """

    index: np.ndarray
    position: np.ndarray
    voxels: int
    confidence: float
    along: float = 0.0
    lateral: float = 0.0

    @property
    def side(self) -> str:
        """The patient's side, ``L`` or ``R``."""
        return "R" if self.lateral > 0 else "L"


@dataclass(frozen=True)
class Localization:
    """The laminae of a scan.

    ``laminae`` is named T1 to L5 when the count allows it, else provisional. ``rejected`` pairs each candidate that
    was left out with the reason in one phrase. ``notes`` are sentences for the user.
    """

    laminae: LaminaSet
    candidates: tuple[Candidate, ...]
    rejected: tuple[tuple[Candidate, str], ...]
    notes: tuple[str, ...]


def find_candidates(
    probability: np.ndarray, grid: Volume, threshold: float = 0.5, minimum_voxels: int = 3
) -> list[Candidate]:
    """Find the components of the thresholded map (26-connectivity) and their centroids.

    A component with several peaks further apart than two laminae can be is divided at its peaks, because cubes of
    neighboring laminae may merge. The confidence is the mean probability over the 27 most probable voxels of the
    component, missing ones counting 0: a full cube that the network is sure of has 1.

    Parameters
    ----------
    probability : float array of the grid's shape
    grid : Volume
        Maps grid indices to RAS.
    threshold : float
    minimum_voxels : int
        Smaller components are speckle.

    Returns
    -------
    list of Candidate
        From superior to inferior.
    """
    above = probability >= threshold
    smooth = gaussian_filter(probability.astype(np.float32), 0.7)
    reach = np.maximum(1, np.floor(0.5 * _SAME_LAMINA_MM / grid.spacing)).astype(int)
    peaks = (maximum_filter(smooth, size=tuple(2 * reach + 1)) == smooth) & above
    found = []
    for region in regionprops(label(above, connectivity=3)):
        group = region.coords
        centers = _separate_peaks(group[peaks[tuple(group.T)]], smooth, grid.spacing)
        if len(centers) > 1:
            away = np.linalg.norm((group[:, None, :] - centers[None]) * grid.spacing, axis=-1)
            nearest = away.argmin(axis=1)
            parts = [group[nearest == number] for number in range(len(centers))]
        else:
            parts = [group]
        for part in parts:
            if len(part) < minimum_voxels:
                continue
            weights = probability[tuple(part.T)].astype(float)
            index = (part * weights[:, None]).sum(axis=0) / weights.sum()
            confidence = float(np.sort(weights)[::-1][:_CUBE_VOXELS].sum() / _CUBE_VOXELS)
            found.append(Candidate(index, grid.to_world(index[None])[0], len(part), min(confidence, 1.0)))
    return sorted(found, key=lambda candidate: tuple(candidate.index))


def _separate_peaks(peaks: np.ndarray, smooth: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Keep the peaks (N, 3) that a valley divides from every higher one at least two laminae's distance away."""
    kept: list[np.ndarray] = []
    for peak in peaks[np.argsort(-smooth[tuple(peaks.T)], kind="stable")[:_MOST_PEAKS]]:
        for other in kept:
            line = np.linspace(peak, other, 2 * int(np.abs(peak - other).max()) + 1)
            valley = smooth[tuple(np.round(line).astype(int).T)].min()
            if np.linalg.norm((peak - other) * spacing) < _SAME_LAMINA_MM or smooth[tuple(peak)] - valley < _VALLEY:
                break
        else:
            kept.append(peak)
    return np.array(kept).reshape(-1, 3)


def place_by_column(candidates: Sequence[Candidate], grid: Volume, column_ras: np.ndarray) -> list[Candidate]:
    """Give each candidate its distance along the column and beside it, in the coronal plane.

    Parameters
    ----------
    candidates : sequence of Candidate
    grid : Volume
    column_ras : (N, 3) array
        The spinous process column, superior to inferior.
    """
    line = (grid.to_index(column_ras) * grid.spacing)[:, :2]
    steps = np.diff(line, axis=0)
    lengths = np.maximum(np.linalg.norm(steps, axis=1), 1e-9)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    placed = []
    for candidate in candidates:
        offset = candidate.index[:2] * grid.spacing[:2] - line[:-1]
        share = np.clip((offset * steps).sum(axis=1) / lengths**2, 0.0, 1.0)
        away = offset - share[:, None] * steps
        nearest = int((away**2).sum(axis=1).argmin())
        direction = steps[nearest] / lengths[nearest]
        # The perpendicular that points to the patient's right, so that the sign is the side.
        lateral = float(offset[nearest] @ np.array([-direction[1], direction[0]]))
        along = float(starts[nearest] + offset[nearest] @ direction)
        placed.append(replace(candidate, along=along, lateral=lateral))
    return placed


def localize(
    probability: np.ndarray,
    grid: Volume,
    column_ras: np.ndarray,
    threshold: float = 0.5,
    minimum_voxels: int = 3,
) -> Localization:
    """Turn a probability map into laminae with sides, pairs and, when the count allows it, names.

    Sides come from the spinous process column, pairs from the order along it. Levels are named T1 to L5 from the top
    down when exactly 17 are found over a whole spine without a gap; else pairs are numbered P01, P02, ... from the
    top, because a wrong name is worse than none.

    Parameters
    ----------
    probability : float array of the grid's shape
    grid : Volume
        Maps grid indices to RAS.
    column_ras : (N, 3) array
        The spinous process column, RAS mm, superior to inferior.
    threshold : float
        Probability from which a voxel counts.
    minimum_voxels : int

    Returns
    -------
    Localization
        Every lamina ``unreviewed`` and ``detected``.
    """
    candidates = place_by_column(find_candidates(probability, grid, threshold, minimum_voxels), grid, column_ras)
    kept, rejected = _plausible(candidates)
    levels = pair_levels(kept)
    notes = []
    if not levels:
        notes.append("No lamina was found; check the axes and the region of interest, or place the laminae by hand.")
    numbering = Numbering()
    reason = _why_unnamed(levels, len(numbering.vertebrae))
    if not reason:
        names = [(vertebra + "L", vertebra + "R") for vertebra in numbering.vertebrae]
        laminae = LaminaSet()
    else:
        names = [(provisional_name(number, "L"), provisional_name(number, "R")) for number in range(len(levels))]
        laminae = LaminaSet.provisional()
        if levels:
            notes.append(f"The pairs are numbered P01, P02, ... from the top and not named T1 to L5: {reason}.")
    points = [
        Lamina(name, tuple(candidate.position), Review.unreviewed, Source.detected, round(candidate.confidence, 4))
        for level, pair in zip(levels, names)
        for candidate, name in zip(level, pair)
        if candidate is not None
    ]
    return Localization(laminae.with_laminae(points), tuple(candidates), tuple(rejected), tuple(notes))


def _plausible(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """Leave out what cannot be a lamina: on the midline, far beside it, or a second echo of a lamina."""
    kept: list[Candidate] = []
    rejected: list[tuple[Candidate, str]] = []
    for candidate in sorted(candidates, key=lambda c: (-c.confidence, tuple(c.index))):
        if abs(candidate.lateral) < _LATERAL_RANGE_MM[0]:
            rejected.append((candidate, "on the midline"))
        elif abs(candidate.lateral) > _LATERAL_RANGE_MM[1]:
            rejected.append((candidate, "too far beside the midline"))
        elif any(c.side == candidate.side and abs(c.along - candidate.along) < _SAME_LAMINA_MM for c in kept):
            rejected.append((candidate, "too close to a more certain lamina of the same side"))
        else:
            kept.append(candidate)
    return sorted(kept, key=lambda c: c.along), rejected


def pair_levels(candidates: Sequence[Candidate]) -> list[tuple[Candidate | None, Candidate | None]]:
    """Pair left and right candidates into levels, superior to inferior.

    The two ordered sequences are aligned by dynamic programming: a pair costs its squared difference along the column
    in units of 9 mm, a lamina without a partner costs 0.8 for itself, and pairs never cross.

    Returns
    -------
    list of (left, right)
        None where a side has no lamina.
    """
    sides = {side: sorted((c for c in candidates if c.side == side), key=lambda c: c.along) for side in "LR"}
    left, right = sides["L"], sides["R"]
    alone = 0.8
    cost = np.full((len(left) + 1, len(right) + 1), np.inf)
    step = np.zeros(cost.shape, np.int8)
    cost[0, 0] = 0.0
    for i in range(len(left) + 1):
        for j in range(len(right) + 1):
            if i and cost[i - 1, j] + alone < cost[i, j]:
                cost[i, j], step[i, j] = cost[i - 1, j] + alone, 1
            if j and cost[i, j - 1] + alone < cost[i, j]:
                cost[i, j], step[i, j] = cost[i, j - 1] + alone, 2
            if i and j:
                both = cost[i - 1, j - 1] + ((left[i - 1].along - right[j - 1].along) / _PAIR_MM) ** 2
                if both < cost[i, j]:
                    cost[i, j], step[i, j] = both, 3
    levels: list[tuple[Candidate | None, Candidate | None]] = []
    i, j = len(left), len(right)
    while i or j:
        moved = step[i, j]
        levels.append((left[i - 1] if moved & 1 else None, right[j - 1] if moved & 2 else None))
        i, j = i - (moved & 1), j - ((moved & 2) >> 1)
    return sorted(levels, key=_level_along)


def _level_along(level: tuple[Candidate | None, Candidate | None]) -> float:
    return float(np.mean([candidate.along for candidate in level if candidate is not None]))


def _why_unnamed(levels: Sequence[tuple[Candidate | None, Candidate | None]], expected: int) -> str:
    """Return why the levels cannot be named from the top down, or an empty string when they can."""
    if len(levels) != expected:
        found = "1 level was" if len(levels) == 1 else f"{len(levels)} levels were"
        return f"{found} found where a whole spine has {expected}"
    along = np.array([_level_along(level) for level in levels])
    if along[-1] - along[0] < _WHOLE_SPINE_MM:
        return "they span less than a whole spine"
    gaps = np.diff(along)
    if gaps.min() < _LEVEL_RANGE_MM[0] or gaps.max() > _LEVEL_RANGE_MM[1]:
        return "their spacing is not that of neighboring vertebrae"
    # Levels grow further apart from T1 to L5; a jump to nearly twice the neighbors' spacing is a missing level.
    usual = np.array([np.median(gaps[max(0, k - 2) : k + 3]) for k in range(len(gaps))])
    if (gaps > 1.6 * usual).any() or (gaps < 0.5 * usual).any():
        return "a level seems to be missing between them, or one to be too many"
    if gaps[-_END_GAPS:].mean() < _GROWTH * gaps[:_END_GAPS].mean():
        return (
            "their spacing does not grow downwards as it does in a spine; the scan may be upside down, and then left "
            "and right are swapped: check its axes"
        )
    single = sum(None in level for level in levels)
    if single > 4:
        return f"{single} levels show one lamina only"
    return ""
