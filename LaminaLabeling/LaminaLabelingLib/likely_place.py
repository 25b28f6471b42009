"""Where an empty slot probably is in a scan: what the other laminae say, and the skin that the scan shows.

Laminae alone tell well where one between them is. Beyond the last one, and in an empty list, depth and side would be
guessed from a usual spine and drift away from this patient's. The scan shows the skin, and laminae lie under it at a
depth that changes little from one level to the next.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from LaminaLabelingLib.anatomy import opposite, split_name
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.prediction import predicted_position
from LaminaLabelingLib.volumes import Volume

# Depth of a lamina under the skin of an adolescent: 15 to 25 mm thoracic, increasing over the lumbar spine with the
# muscles; METHOD section 8 gives 0.4 mm/kg + 8 mm there, 28 mm at 50 kg.
_THORACIC_MM, _LUMBAR_MM = 19.0, 28.0
# Levels whose depth under the skin is taken over to the next ones.
_NEAREST = 4
# As many scanned voxels in a row are skin, not a speck in front of it.
_RUN = 3
# A gap where the probe was lifted is looked across so far, in such steps.
_GAP_MM, _GAP_STEP_MM = 30.0, 3.0
# A point between others that are no more levels away is told by them better than by the skin.
_BETWEEN_LEVELS = 3


def likely_position(laminae: LaminaSet, name: str, volume: Volume) -> tuple[float, float, float] | None:
    """Return where a lamina probably is.

    Parameters
    ----------
    laminae : LaminaSet
        In the world of the scan's file, mm.
    name : str
        A slot of the set.
    volume : Volume
        The scan, in anatomical order; its own axes tell where superior, right and anterior are.

    Returns
    -------
    (x, y, z) or None
        In the world of the scan's file, inside the scan; None if nothing was scanned and no lamina is known.

    Raises
    ------
    LaminaError
        If the set has no such slot.

    See Also
    --------
    predicted_position : what the other laminae alone say.
    """
    known = {other: volume.to_index(point) for other, point in laminae.positions().items() if other != name}
    scanned = _scanned_box(volume)
    guess = predicted_position(_in_patient_axes(laminae, volume), name, _bounds_mm(scanned, volume))
    if guess is None:
        return None
    index = _to_index(guess, volume)
    if not _is_between(laminae, name, known):
        row = int(np.clip(round(index[0]), scanned[0, 0], scanned[0, 1]))
        index[0] = np.clip(index[0], scanned[0, 0], scanned[0, 1])
        if not known:
            index[1] += _middle_of_row(volume, row) - scanned[1].mean()
        skin = _skin_near(volume, row, round(index[1]))
        if skin is not None:
            index[2] = skin + _depth_mm(name, laminae, known, volume) / volume.spacing[2]
    index = np.clip(index, 0.0, np.array(volume.shape) - 1.0)
    return tuple(volume.to_world(index).tolist())


def skin_index(volume: Volume, row: int, column: int) -> int | None:
    """Return where the beam through a place enters the scanned tissue.

    Parameters
    ----------
    volume : Volume
    row, column : int
        Indices along SI and LR; outside the array nothing was scanned.

    Returns
    -------
    int or None
        Index along PA; None if nothing was scanned there.
    """
    if not (0 <= row < volume.shape[0] and 0 <= column < volume.shape[1]):
        return None
    scanned = volume.array[row, column] != _background(volume)
    run = np.convolve(scanned.astype(np.int8), np.ones(_RUN, np.int8), mode="valid") == _RUN
    return int(run.argmax()) if run.any() else None


def _skin_near(volume: Volume, row: int, column: int) -> int | None:
    """Return where the beam enters at a place, or at the nearest height where something was scanned: past a gap."""
    step = max(1, round(_GAP_STEP_MM / volume.spacing[0]))
    for away in range(0, round(_GAP_MM / volume.spacing[0]) + 1, step):
        for near in (row - away, row + away):
            skin = skin_index(volume, near, column)
            if skin is not None:
                return skin
    return None


def _depth_mm(name: str, laminae: LaminaSet, known: dict[str, np.ndarray], volume: Volume) -> float:
    """Return the depth under the skin: that of the nearest laminae, or a usual one."""
    levels = list(laminae.pairs())
    own = _level(name, levels)
    depths, weights = [], []
    for other in sorted(known, key=lambda other: abs(_level(other, levels) - own))[: 2 * _NEAREST]:
        row, column, place = known[other]
        skin = skin_index(volume, round(row), round(column))
        if skin is not None:
            usual = _usual_depth(name) - _usual_depth(other)
            depths.append((place - skin) * volume.spacing[2] + usual)
            weights.append(1.0 / (1.0 + abs(_level(other, levels) - own)))
    return float(np.average(depths, weights=weights)) if depths else _usual_depth(name)


def _usual_depth(name: str) -> float:
    """Return the usual depth of a lamina under the skin in mm; the lower thoracic ones lead over to the lumbar ones."""
    vertebra = split_name(name)[0]
    number = int(vertebra[1:])
    if vertebra[0] == "L":
        return float(np.interp(number, (1, 3), (0.5 * (_THORACIC_MM + _LUMBAR_MM), _LUMBAR_MM)))
    if vertebra[0] == "T":
        return float(np.interp(number, (10, 13), (_THORACIC_MM, 0.5 * (_THORACIC_MM + _LUMBAR_MM))))
    return _THORACIC_MM


def _is_between(laminae: LaminaSet, name: str, known: dict[str, np.ndarray]) -> bool:
    """Return whether the other laminae tell the place well: its partner, or levels on both sides of it."""
    if opposite(name) in known:
        return True
    levels = list(laminae.pairs())
    away = [_level(other, levels) - _level(name, levels) for other in known]
    return any(-_BETWEEN_LEVELS <= n < 0 for n in away) and any(0 < n <= _BETWEEN_LEVELS for n in away)


def _level(name: str, levels: list[str]) -> int:
    """Return the number of a lamina's level from the top; a provisional one that is not there counts by its name."""
    vertebra = split_name(name)[0]
    if vertebra in levels:
        return levels.index(vertebra)
    return int(vertebra[1:]) - int(levels[0][1:]) if levels else 0


def _background(volume: Volume) -> float:
    """Return the value of what was never scanned: that of a corner."""
    return volume.array[0, 0, 0]


def _scanned_box(volume: Volume) -> np.ndarray:
    """Return the first and last scanned index along each axis, shape (3, 2), good to a few voxels."""
    steps = [max(1, size // 128) for size in volume.shape]
    scanned = volume.array[tuple(slice(None, None, step) for step in steps)] != _background(volume)
    box = np.array([(0, size - 1) for size in volume.shape], dtype=float)
    for axis in range(3):
        occupied = np.flatnonzero(scanned.any(axis=tuple(other for other in range(3) if other != axis)))
        if len(occupied):
            box[axis] = occupied[0] * steps[axis], min(occupied[-1] * steps[axis], volume.shape[axis] - 1)
    return box


def _middle_of_row(volume: Volume, row: int) -> float:
    """Return the middle of what was scanned at one height, an index along LR: there the probe went along the spine."""
    occupied = np.flatnonzero((volume.array[row] != _background(volume)).any(axis=1))
    return float(occupied[[0, -1]].mean()) if len(occupied) else 0.5 * (volume.shape[1] - 1)


def _to_patient(index: np.ndarray, volume: Volume) -> np.ndarray:
    """Return R, A and S in mm, from the first voxel."""
    inferior, right, anterior = index * volume.spacing
    return np.array([right, anterior, -inferior])


def _to_index(point: tuple[float, float, float], volume: Volume) -> np.ndarray:
    right, anterior, superior = point
    return np.array([-superior, right, anterior]) / volume.spacing


def _in_patient_axes(laminae: LaminaSet, volume: Volume) -> LaminaSet:
    moved = [
        replace(lamina, position=_to_patient(volume.to_index(np.array(lamina.position)), volume))
        for lamina in laminae.values()
        if lamina.review not in (Review.unset, Review.absent)
    ]
    return laminae.with_laminae(moved)


def _bounds_mm(scanned: np.ndarray, volume: Volume) -> np.ndarray:
    """Return the scanned box along R, A and S, shape (3, 2), in mm."""
    corners = np.array([_to_patient(scanned[:, end], volume) for end in (0, 1)])
    return np.sort(corners, axis=0).T
