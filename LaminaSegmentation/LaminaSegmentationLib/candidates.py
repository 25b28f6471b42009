"""Candidates for laminae: the peaks of the network's probability map, and where they lie beside the column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from LaminaLabelingLib.volumes import Volume

LEAST_PROBABILITY = 0.02
"""Of a peak, after smoothing: what is fainter says nothing. A lamina whose echo is weak peaks far below 0.5."""

# The label that the network learns is a cube of 27 voxels.
_CUBE_VOXELS = 27
# Two laminae of one side are never closer along the spine; two peaks nearer than this are one lamina.
_SAME_LAMINA_MM = 8.0
# Peaks nearer than this are one ridge unless a valley lies between them, lower than the lower one by a share of it.
_ONE_RIDGE_MM, _VALLEY = 20.0, 0.05
# What belongs to a peak: within this distance and above this share of its height, nearer to it than to another peak.
_REACH_MM = 6.0
_SHARE = 0.4
# A map with more peaks is no row of laminae but a network that has not learned yet; the highest ones are taken.
MOST_PEAKS = 300


@dataclass(frozen=True)
class Candidate:
    """A peak of the probability map.

    Attributes
    ----------
    index : ndarray, shape (3,)
        Its centroid in grid voxels.
    position : ndarray, shape (3,)
        The same in RAS mm.
    voxels : int
        That belong to it.
    confidence : float
        Mean probability of the 27 most probable voxels within 6 mm: a full cube that the network is sure of has 1.
    along, lateral, depth : float
        Millimeters from the superior end of the spinous process column along it, beside it to the patient's right,
        and into the patient, on the grid.
    """

    index: np.ndarray
    position: np.ndarray
    voxels: int
    confidence: float
    along: float = 0.0
    lateral: float = 0.0
    depth: float = 0.0

    @property
    def side(self) -> str:
        """The patient's side, ``L`` or ``R``."""
        return "R" if self.lateral > 0 else "L"

    @property
    def place(self) -> np.ndarray:
        """Along, lateral and depth, (3,) mm."""
        return np.array([self.along, self.lateral, self.depth])


def find_candidates(
    probability: np.ndarray, grid: Volume, least: float = LEAST_PROBABILITY, minimum_voxels: int = 3
) -> list[Candidate]:
    """Find the peaks of a probability map and the centroid of each.

    Peaks and not components of a thresholded map, because cubes of neighboring laminae may merge, and because the
    place of a faint lamina is needed as well.

    Parameters
    ----------
    probability : float array of the grid's shape
    grid : Volume
        Maps grid indices to RAS.
    least : float
        Smallest height of a peak, see `LEAST_PROBABILITY`.
    minimum_voxels : int
        Smaller ones are speckle.

    Returns
    -------
    list of Candidate
        From superior to inferior; not yet placed by the column.
    """
    smooth = gaussian_filter(probability.astype(np.float32, copy=False), 0.7)
    reach = np.maximum(1, np.floor(0.5 * _SAME_LAMINA_MM / grid.spacing)).astype(int)
    # The filter goes only where something is, which is a small part of the grid.
    box = _box(smooth >= least, reach)
    if box is None:
        return []
    inside = smooth[box]
    is_peak = (maximum_filter(inside, size=tuple(2 * reach + 1)) == inside) & (inside >= least)
    peaks = np.argwhere(is_peak) + [part.start for part in box]
    heights = smooth[tuple(peaks.T)]
    order = np.argsort(-heights, kind="stable")[:MOST_PEAKS]
    peaks = _separate_peaks(peaks[order], smooth, grid.spacing)
    found = [_candidate(number, peaks, smooth, probability, grid) for number in range(len(peaks))]
    kept = [candidate for candidate in found if candidate is not None and candidate.voxels >= minimum_voxels]
    return sorted(kept, key=lambda candidate: tuple(candidate.index))


def _box(mask: np.ndarray, margin: np.ndarray) -> tuple[slice, ...] | None:
    sides = []
    for axis, more in enumerate(margin):
        rows = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(rows):
            return None
        sides.append(slice(max(0, rows[0] - more), min(mask.shape[axis], rows[-1] + more + 1)))
    return tuple(sides)


def _separate_peaks(peaks: np.ndarray, smooth: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Keep the peaks (N, 3), highest first, that a valley divides from every higher one in their neighborhood."""
    kept: list[np.ndarray] = []
    for peak in peaks:
        for other in kept:
            distance = np.linalg.norm((peak - other) * spacing)
            if distance > _ONE_RIDGE_MM:
                continue
            line = np.linspace(peak, other, 2 * int(np.abs(peak - other).max()) + 1)
            valley = smooth[tuple(np.round(line).astype(int).T)].min()
            if distance < 0.5 * _SAME_LAMINA_MM or smooth[tuple(peak)] - valley < _VALLEY * smooth[tuple(peak)]:
                break
        else:
            kept.append(peak)
    return np.array(kept).reshape(-1, 3)


def _candidate(number: int, peaks: np.ndarray, smooth, probability, grid: Volume) -> Candidate | None:
    peak, spacing = peaks[number], grid.spacing
    half = np.ceil(_REACH_MM / spacing).astype(int)
    low, high = np.maximum(peak - half, 0), np.minimum(peak + half + 1, probability.shape)
    values = probability[tuple(slice(a, b) for a, b in zip(low, high))].astype(float)
    places = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high)), indexing="ij"), axis=-1)
    away = np.linalg.norm((places - peak) * spacing, axis=-1)
    near = away <= _REACH_MM
    belongs = near & (values >= _SHARE * smooth[tuple(peak)])
    distances = np.linalg.norm((peaks - peak) * spacing, axis=1)
    for other in np.flatnonzero((distances > 0) & (distances < 2 * _REACH_MM)):
        belongs &= away <= np.linalg.norm((places - peaks[other]) * spacing, axis=-1)
    weights = values[belongs]
    if not len(weights):
        return None
    index = (places[belongs] * weights[:, None]).sum(axis=0) / weights.sum()
    confidence = float(np.sort(values[near])[::-1][:_CUBE_VOXELS].sum() / _CUBE_VOXELS)
    return Candidate(index, grid.to_world(index[None])[0], len(weights), min(confidence, 1.0))


def place_by_column(candidates: Sequence[Candidate], grid: Volume, column_ras: np.ndarray) -> list[Candidate]:
    """Give each candidate its distance along the column and beside it, in the coronal plane, and its depth.

    Parameters
    ----------
    candidates : sequence of Candidate
    grid : Volume
    column_ras : (N, 3) array
        The spinous process column, superior to inferior.
    """
    places = by_column(np.array([candidate.index for candidate in candidates]).reshape(-1, 3), grid, column_ras)
    return [
        replace(candidate, along=float(along), lateral=float(lateral), depth=float(depth))
        for candidate, (along, lateral, depth) in zip(candidates, places)
    ]


def by_column(indices: np.ndarray, grid: Volume, column_ras: np.ndarray) -> np.ndarray:
    """Return along, lateral and depth of points in mm, see `Candidate`.

    Parameters
    ----------
    indices : (N, 3) array
        Grid voxels.
    grid : Volume
    column_ras : (M, 3) array
        RAS mm, superior to inferior.

    Returns
    -------
    ndarray, shape (N, 3)
    """
    points = indices * grid.spacing
    line, starts, lengths, steps = _coronal_line(grid, column_ras)
    offsets = points[:, None, :2] - line[None, :-1]
    share = np.clip((offsets * steps).sum(axis=2) / lengths**2, 0.0, 1.0)
    away = offsets - share[..., None] * steps
    nearest = (away**2).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(points))
    direction = steps[nearest] / lengths[nearest, None]
    offset = offsets[rows, nearest]
    # The perpendicular that points to the patient's right, so that the sign is the side.
    lateral = -offset[:, 0] * direction[:, 1] + offset[:, 1] * direction[:, 0]
    along = starts[nearest] + (offset * direction).sum(axis=1)
    return np.stack([along, lateral, points[:, 2]], axis=1)


def from_column(places: np.ndarray, grid: Volume, column_ras: np.ndarray) -> np.ndarray:
    """Return the grid indices (N, 3) of points given by `by_column`: its inverse beside a line that bends gently."""
    line, starts, lengths, steps = _coronal_line(grid, column_ras)
    number = np.clip(np.searchsorted(starts, places[:, 0], side="right") - 1, 0, len(steps) - 1)
    direction = steps[number] / lengths[number, None]
    across = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    coronal = line[number] + direction * (places[:, :1] - starts[number, None]) + across * places[:, 1:2]
    return np.concatenate([coronal, places[:, 2:]], axis=1) / grid.spacing


def _coronal_line(grid: Volume, column_ras: np.ndarray):
    line = (grid.to_index(np.asarray(column_ras, float)) * grid.spacing)[:, :2]
    steps = np.diff(line, axis=0)
    lengths = np.maximum(np.linalg.norm(steps, axis=1), 1e-9)
    return line, np.concatenate([[0.0], np.cumsum(lengths)[:-1]]), lengths, steps


def scanned_range(grid: Volume, column_ras: np.ndarray) -> tuple[float, float]:
    """Return from where to where along the column the scan reaches, mm.

    Never-scanned voxels of the network's grid are exactly 0; a grid that is 0 everywhere counts as scanned.
    """
    rows = np.flatnonzero((grid.array != 0).any(axis=(1, 2)))
    if not len(rows):
        rows = np.arange(grid.array.shape[0])
    ends = np.array([[rows[0] - 0.5, 0.0, 0.0], [rows[-1] + 0.5, 0.0, 0.0]])
    line = grid.to_index(np.asarray(column_ras, float))
    ends[:, 1] = np.interp(ends[:, 0], line[:, 0], line[:, 1])
    along = by_column(ends, grid, column_ras)[:, 0]
    return float(along[0]), float(along[1])
