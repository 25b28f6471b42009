"""From where a person clicked to the brightest bone surface close by along the beam."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STEP_MM = 0.25
"""Distance of the samples along the beam, or a third of a voxel where voxels are smaller than three times this."""

FLAT = 1e-6
"""Brightness that varies less than this along the line, relative to its size, is no surface."""

# Smoothing along the line: a surface is brighter than its neighborhood over more than one sample.
_KERNEL = np.array([0.25, 0.5, 0.25])


def snapped(
    position: Sequence[float],
    array_kji: np.ndarray,
    ijk_to_ras: np.ndarray,
    beam: Sequence[float],
    reach_mm: float = 3.0,
) -> tuple[float, float, float]:
    """Return the brightest point of the line through a position along the beam.

    Only the voxels around the line are read, so that a volume of any size costs the same.

    Parameters
    ----------
    position : 3 floats
        World mm, in the world of `ijk_to_ras`.
    array_kji : ndarray, shape (K, J, I)
        Any number type; never copied.
    ijk_to_ras : array_like, shape (4, 4)
        From the array's (i, j, k) to the world; any handedness.
    beam : 3 floats
        Direction of the beam in the world, of any length.
    reach_mm : float
        How far the position may move, either way.

    Returns
    -------
    (r, a, s)
        The position itself where it lies outside the volume, or nothing along the line is brighter than the rest.
        Of several points of the same brightness the nearest.

    Raises
    ------
    ValueError
        If the beam has no length, the array has not three axes, or the reach is negative.
    """
    start = np.asarray(position, float)
    direction = np.asarray(beam, float)
    length = np.linalg.norm(direction)
    if array_kji.ndim != 3 or not length > 0.0 or not reach_mm >= 0.0:
        raise ValueError("snapping needs a volume with three axes, a beam with a length and a reach of 0 or more")
    unchanged = tuple(float(value) for value in start)
    matrix = np.asarray(ijk_to_ras, float)
    shape_ijk = np.array(array_kji.shape[::-1])
    to_ijk = np.linalg.inv(matrix[:3, :3])
    if not _inside((start - matrix[:3, 3]) @ to_ijk.T, shape_ijk):
        return unchanged
    step = min(STEP_MM, np.linalg.norm(matrix[:3, :3], axis=0).min() / 3)
    count = int(np.floor(reach_mm / step + 1e-9))
    # One sample more at each end, so that smoothing has a neighbor there.
    offsets = step * np.arange(-count - 1, count + 2)
    points = start + offsets[:, None] * direction / length
    indices = (points - matrix[:3, 3]) @ to_ijk.T
    values = _sampled(array_kji, indices)
    known = _inside(indices, shape_ijk) & np.isfinite(values)
    brightness = _smoothed(np.where(known, values, 0.0), known)[1:-1]
    usable = known[1:-1]
    if not usable.any():
        return unchanged
    highest, lowest = brightness[usable].max(), brightness[usable].min()
    tolerance = FLAT * max(abs(highest), abs(lowest))
    if highest - lowest <= tolerance:
        return unchanged
    brightest = np.flatnonzero(usable & (brightness >= highest - tolerance))
    chosen = brightest[np.abs(offsets[1:-1][brightest]).argmin()]
    return tuple(float(value) for value in points[1:-1][chosen])


def beam_direction(ijk_to_ras_world: np.ndarray) -> np.ndarray:
    """Return the direction in which the beam runs through a scan: the volume axis nearest to anterior.

    Parameters
    ----------
    ijk_to_ras_world : array_like, shape (4, 4)

    Returns
    -------
    ndarray, shape (3,)
        RAS unit vector that points anteriorly, away from the probe.

    Raises
    ------
    ValueError
        If an axis of the volume has no length.
    """
    axes = np.asarray(ijk_to_ras_world, float)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not (lengths > 0.0).all():
        raise ValueError("the axes of a volume have a length")
    axes = axes / lengths
    nearest = axes[:, np.abs(axes[1]).argmax()]
    return np.where(nearest == 0.0, 0.0, nearest if nearest[1] >= 0.0 else -nearest)


def _inside(indices: np.ndarray, shape_ijk: np.ndarray) -> np.ndarray:
    """Return whether (i, j, k) indices lie in a voxel of the volume, its edges included."""
    slack = 1e-6
    return ((indices >= -0.5 - slack) & (indices <= shape_ijk - 0.5 + slack)).all(axis=-1)


def _sampled(array_kji: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return trilinear values (N,) at (i, j, k) indices (N, 3); beyond the outermost centers those centers' values."""
    last = np.array(array_kji.shape[::-1]) - 1
    clipped = np.clip(indices, 0, last)
    low = np.floor(clipped).astype(np.intp)
    share = clipped - low
    high = np.minimum(low + 1, last)
    total = np.zeros(len(indices))
    for corner in np.ndindex(2, 2, 2):
        chosen = np.array(corner, bool)
        i, j, k = np.where(chosen, high, low).T
        weight = np.where(chosen, share, 1.0 - share).prod(axis=1)
        # A corner of no weight must not count, since it may be NaN.
        corner_values = array_kji[k, j, i].astype(float)
        total += np.where(weight > 0.0, weight * corner_values, 0.0)
    return total


def _smoothed(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Average along the line over the samples that are known."""
    weights = np.convolve(known.astype(float), _KERNEL, mode="same")
    return np.convolve(values * known, _KERNEL, mode="same") / np.maximum(weights, 1e-12)
