"""The row of levels that explains the candidates best: dynamic programming from the top of the spine to its bottom.

Each level takes a pair of candidates, a single one or none. What a row is worth is the logarithm of its probability
under the shape model and the evidence of its candidates, against the same candidates being echoes of something else: a
Viterbi search [1]_ over levels and pairs, for several sizes of the patient and every level that the row may begin with.

References
----------
.. [1] G. D. Forney. The Viterbi Algorithm. Proceedings of the IEEE 61 (1973) no. 3. doi:10.1109/PROC.1973.9030
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .candidates import Candidate
from .evidence import Evidence
from .shape_model import ShapeModel

SIZES = tuple(np.exp(np.linspace(np.log(0.6), np.log(1.5), 14)).round(3).tolist())
"""Sizes of the patient that are tried, relative to the shape model's mean."""

MOST_HYPOTHESES = 220
"""Pairs and singles that are compared; the best ones where there are more."""

# Between the sizes tried, and between a simulated and a real spine.
_SPACING_SLACK = 0.04
# The column may be off by this where the scan is poor.
_COLUMN_SD_MM = 2.5
_LEAST_STEP_MM = 6.0
# A candidate this near to the column may belong to either side.
_EITHER_SIDE_MM = 3.0
# A level with neither lamina, one beyond T1 or L5, and the room at the scan's end within which it may be cut off.
_NEITHER, _EXTRA, _EDGE_MM = np.log(0.01), np.log(0.02), 6.0
# A scan that reaches farther beyond T1 or L5 than usual: as many mm make it e times less probable, and so much at most.
_ROOM_MM, _MOST_ROOM = 15.0, 4.0
_JACOBIAN = -3.0 * np.log(2.0)
_SCAN_DEPTH_MM = 30.0


@dataclass(frozen=True)
class Row:
    """A row of levels.

    Attributes
    ----------
    levels : tuple of (int, int, int)
        Number of the level in the shape model that `ShapeModel.of` gives (0 lies above T1), and the candidates on the
        left and on the right, -1 for none. Levels without any candidate are left out.
    first, last : int
        Levels that the scan shows, whether found or not.
    size : float
    score : float
        Logarithm of its probability over that of no spine at all.
    rival : float
        The score of the best row that shows another number of levels.
    """

    levels: tuple[tuple[int, int, int], ...]
    first: int
    last: int
    size: float
    score: float
    rival: float

    @property
    def count(self) -> int:
        """How many levels the scan shows."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class _Hypotheses:
    places: np.ndarray  # of the candidates: (N, 3)
    left: np.ndarray
    right: np.ndarray
    middle: np.ndarray
    variance: np.ndarray  # of the middle: (H, 3)
    worth: np.ndarray  # (levels, H)


def find_row(
    candidates: Sequence[Candidate],
    shape: ShapeModel,
    evidence: Evidence,
    scanned: tuple[float, float],
    anchor: tuple[int, float] | None = None,
    absent: frozenset[int] = frozenset(),
) -> Row | None:
    """Find the best row.

    Parameters
    ----------
    candidates : sequence of Candidate
        Placed by the column.
    shape : ShapeModel
        As `ShapeModel.of` gives it, with a level beyond each end.
    evidence : Evidence
    scanned : (float, float)
        From where to where along the column the scan reaches, mm.
    anchor : (int, float), optional
        A level that is known and how far along the column it lies, mm.
    absent : frozenset of int
        Levels that the scan is known not to show, at its ends.

    Returns
    -------
    Row or None
        None without a candidate that fits.
    """
    if not candidates:
        return None
    places = np.array([candidate.place for candidate in candidates])
    worth = evidence.worth(np.array([candidate.confidence for candidate in candidates]))
    tried: dict[int, tuple] = {}

    def total(number: int) -> float:
        if number not in tried:
            tried[number] = _tried(places, worth, shape, evidence, SIZES[number], scanned, anchor, absent)
        return tried[number][0]

    # Every other size first; then its neighbors, for as long as one of them is better.
    best = max(range(0, len(SIZES), 2), key=total)
    while (better := max(_neighbors(best), key=total)) != best:
        best = better
    score, hypotheses, tops, bottoms = tried[best]
    if not np.isfinite(score):
        return None
    return _best_row(hypotheses, shape, SIZES[best], tops, bottoms, scanned)


def _neighbors(number: int) -> list[int]:
    return [number, *(other for other in (number - 1, number + 1) if 0 <= other < len(SIZES))]


def _tried(places, worth, shape: ShapeModel, evidence: Evidence, size: float, scanned, anchor, absent) -> tuple:
    """Return the worth of the best row at one size, and what it was found with."""
    hypotheses = _hypotheses(places, worth, shape, evidence, size)
    if hypotheses is None:
        return -np.inf, None, None, None
    if anchor is not None:
        _hold(hypotheses, shape, size, anchor)
    tops, bottoms = _ends(hypotheses, shape, size, scanned, absent)
    value, _trace = _search(hypotheses, shape, size, tops.max(axis=0)[None], single=tops)
    return float((value[0] + bottoms).max()), hypotheses, tops, bottoms


def _gauss(difference: np.ndarray, variance) -> np.ndarray:
    return -0.5 * (difference**2 / variance + np.log(2.0 * np.pi * variance))


def _hypotheses(places, worth, shape: ShapeModel, evidence: Evidence, size: float) -> _Hypotheses | None:
    near = _EITHER_SIDE_MM * size
    lefts, rights = np.flatnonzero(places[:, 1] < near), np.flatnonzero(places[:, 1] > -near)
    i, j = (one.ravel() for one in np.meshgrid(lefts, rights, indexing="ij"))
    apart = places[j] - places[i]
    widest = 2.6 * size * max(shape.offset)
    fits = (np.abs(apart[:, 0]) < 16.0 * size) & (apart[:, 1] > 4.0 * size) & (apart[:, 1] < widest)
    fits &= np.abs(apart[:, 2]) < 16.0 * size
    i, j = i[fits], j[fits]
    none = np.full(len(lefts), -1), np.full(len(rights), -1)
    left, right = np.concatenate([i, lefts, none[1]]), np.concatenate([j, none[0], rights])
    if not len(left):
        return None
    noise = np.square(shape.noise) + evidence.detection_sd**2
    half_variance = np.array([one.sd**2 for one in shape.half]) + 0.5 * noise
    half_variance[1] += (0.12 * size * np.mean(shape.offset)) ** 2
    # The learned tilt about the column holds where the column is right; it may lean by a few degrees.
    half_variance[0] += 1.0
    column = max(_COLUMN_SD_MM, shape.middle[1].sd) ** 2
    offset = size * np.array(shape.offset)[:, None]
    is_pair = (left >= 0) & (right >= 0)
    middle = np.where(
        is_pair[:, None],
        0.5 * (places[left] + places[right]),
        np.where((left >= 0)[:, None], places[left], places[right]),
    )
    # Of a single one the middle is where its partner would lie half-way; the offset of a mean level will do.
    middle[~is_pair, 1] += np.where(left[~is_pair] >= 0, 1.0, -1.0) * offset.mean()
    variance = np.where(is_pair[:, None], 0.5 * noise, noise + half_variance)
    half = 0.5 * (places[right] - places[left])
    paired = worth[left] + worth[right] + _JACOBIAN
    paired = paired + _gauss(half[:, 0], half_variance[0]) + _gauss(half[:, 2], half_variance[2])
    value = np.where(is_pair, paired + _gauss(half[:, 1][None] - offset, half_variance[1]), 0.0)
    alone = np.where(left >= 0, worth[left], worth[right]) + np.log(evidence.missing)
    value = np.where(is_pair, value, alone[None])
    order = np.argsort(-(value.max(axis=0) + _gauss(middle[:, 1], column + variance[:, 1])), kind="stable")
    order = order[:MOST_HYPOTHESES]
    order = order[np.argsort(middle[order, 0], kind="stable")]
    return _Hypotheses(places, left[order], right[order], middle[order], variance[order], value[:, order])


def _hold(hypotheses: _Hypotheses, shape: ShapeModel, size: float, anchor: tuple[int, float]) -> None:
    """Forbid what contradicts a known level: it lies there, those above it above and those below it below."""
    number, along = anchor
    reach = 0.5 * size * shape.spacing[min(number, len(shape.spacing) - 1)]
    away = hypotheses.middle[:, 0] - along
    for level in range(len(hypotheses.worth)):
        wrong = np.abs(away) > reach if level == number else (away > -reach if level < number else away < reach)
        hypotheses.worth[level, wrong] = -np.inf


def _ends(hypotheses, shape: ShapeModel, size: float, scanned, absent) -> tuple[np.ndarray, np.ndarray]:
    """Return what it costs to begin and to end at each level, (levels, H): what the scan would show beyond it."""
    count = len(shape.offset)
    station = size * np.concatenate([[0.0], np.cumsum(shape.spacing)])
    tops, bottoms = np.zeros((2, count, len(hypotheses.left)))
    first, last = 1, count - 2
    while first in absent:
        first += 1
    while last in absent:
        last -= 1
    along = hypotheses.middle[:, 0]
    for level in range(count):
        for above in range(first, level):
            room = along - (station[level] - station[above]) - scanned[0]
            tops[level] += _NEITHER * np.clip(room / _EDGE_MM, 0.0, 1.0)
        for below in range(level + 1, last + 1):
            room = scanned[1] - along - (station[below] - station[level])
            bottoms[level] += _NEITHER * np.clip(room / _EDGE_MM, 0.0, 1.0)
        if level == 1:
            tops[level] -= np.clip((along - scanned[0] - shape.room[0]) / _ROOM_MM, 0.0, _MOST_ROOM)
        if level == count - 2:
            bottoms[level] -= np.clip((scanned[1] - along - shape.room[1]) / _ROOM_MM, 0.0, _MOST_ROOM)
        if level < first:
            tops[level] = _EXTRA if first == 1 else -np.inf
        if level > last:
            bottoms[level] = _EXTRA if last == count - 2 else -np.inf
    return tops, bottoms


def _search(hypotheses: _Hypotheses, shape: ShapeModel, size: float, tops: np.ndarray, single=None):
    """Return the worth of the best row that ends at each level and hypothesis, (starts, levels, H), and its trace.

    ``tops`` (starts, H) is what each start costs at its level; with ``single`` (levels, H), one start for all.
    """
    count = hypotheses.worth.shape[0]
    middle, variance = hypotheses.middle, hypotheses.variance
    length = max(np.ptp(middle[:, 0]), 100.0)
    column = max(_COLUMN_SD_MM, shape.middle[1].sd) ** 2
    begin = _gauss(middle[:, 1], column + variance[:, 1]) - np.log(length * _SCAN_DEPTH_MM)
    starts = 1 if single is not None else count
    value = np.full((starts, count, len(middle)), -np.inf)
    trace = np.full((starts, count, len(middle)), -1, np.int32)
    step = middle[None] - middle[:, None]  # [from, to]
    both = variance[None] + variance[:, None]
    distance = np.linalg.norm(step, axis=2)
    usable = step[..., 0] > _LEAST_STEP_MM * size
    for side in (hypotheses.left, hypotheses.right):
        # On each side as well, or one candidate would stand for two levels.
        both_have = (side[None] >= 0) & (side[:, None] >= 0)
        along = hypotheses.places[side, 0]
        usable &= ~both_have | (along[None] - along[:, None] > _LEAST_STEP_MM * size)
    rho = np.exp(-0.5 / max(shape.middle[1].levels, 2.0) ** 2)
    bend = 2.0 * shape.middle[2].sd ** 2 * (1.0 - np.exp(-0.5 / shape.middle[2].levels ** 2)) + 2.0**2
    for level in range(count):
        if single is not None:
            value[0, level] = begin + single[level] + hypotheses.worth[level]
        else:
            value[level, level] = begin + tops[level] + hypotheses.worth[level]
        for skipped in (0, 1):
            before = level - 1 - skipped
            if before < 0 or not np.isfinite(value[:, before]).any():
                continue
            expected = size * sum(shape.spacing[before:level])
            spread = (_SPACING_SLACK * expected) ** 2 + (shape.spacing_sd * expected) ** 2 + both[..., 0]
            move = _gauss(distance - expected, spread)
            keep = rho ** (1 + skipped)
            lateral = step[..., 1] + (1.0 - keep) * middle[:, None, 1]
            move = move + _gauss(lateral, column * (1.0 - keep**2) + both[..., 1])
            fall = size * (shape.depth[level] - shape.depth[before])
            move = move + _gauss(step[..., 2] - fall, bend * (1 + skipped) ** 2 + both[..., 2])
            move = np.where(usable, move, -np.inf) + skipped * _NEITHER
            total = value[:, before, :, None] + move[None]
            source = total.argmax(axis=1)
            gain = np.take_along_axis(total, source[:, None], axis=1)[:, 0] + hypotheses.worth[level]
            better = gain > value[:, level]
            value[:, level] = np.where(better, gain, value[:, level])
            trace[:, level] = np.where(better, source + skipped * 100_000, trace[:, level])
    return value, trace


def _best_row(hypotheses, shape: ShapeModel, size: float, tops, bottoms, scanned) -> Row:
    value, trace = _search(hypotheses, shape, size, tops)
    total = value + bottoms[None]  # (first, last, H)
    station = size * np.concatenate([[0.0], np.cumsum(shape.spacing)])
    best_of_count: dict[int, float] = {}
    best: tuple[float, tuple[int, int, int], tuple[int, int]] | None = None
    count = len(shape.offset)
    for first in range(count):
        for last in range(first, count):
            number = int(total[first, last].argmax())
            score = float(total[first, last, number])
            if not np.isfinite(score):
                continue
            shown = _shown(first, last, number, hypotheses, trace, station, scanned, count)
            shows = shown[1] - shown[0] + 1
            best_of_count[shows] = max(score, best_of_count.get(shows, -np.inf))
            if best is None or score > best[0]:
                best = (score, (first, last, number), shown)
    score, (first, last, number), shown = best
    levels, level = [], last
    while True:
        levels.append((level, int(hypotheses.left[number]), int(hypotheses.right[number])))
        came = int(trace[first, level, number])
        if came < 0:
            break
        level, number = level - 1 - came // 100_000, came % 100_000
    shows = shown[1] - shown[0] + 1
    rival = max((other for number, other in best_of_count.items() if number != shows), default=-np.inf)
    return Row(tuple(reversed(levels)), *shown, size, score, rival)


def _shown(first, last, number, hypotheses, trace, station, scanned, count) -> tuple[int, int]:
    """Return the levels between which the scan reaches, those unseen at its ends included."""
    bottom = hypotheses.middle[number, 0]
    top, level, at = bottom, last, number
    while trace[first, level, at] >= 0:
        came = int(trace[first, level, at])
        level, at = level - 1 - came // 100_000, came % 100_000
        top = hypotheses.middle[at, 0]
    while first > 1 and top - (station[first] - station[first - 1]) - scanned[0] > 0.5 * _EDGE_MM:
        top -= station[first] - station[first - 1]
        first -= 1
    while last < count - 2 and scanned[1] - bottom - (station[last + 1] - station[last]) > 0.5 * _EDGE_MM:
        bottom += station[last + 1] - station[last]
        last += 1
    return first, last
