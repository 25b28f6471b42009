"""The laminae of a list as two rows of points down a spine, and the smooth curves on which they lie.

Everything here is in the list's own frame and size: millimeters divided by the list's scale, so that thresholds can be
given for an adult and hold for a child; x to the right, y anterior and z superior, turned about S until the laminae of
a usual pair lie side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from LaminaLabelingLib.anatomy import SIDES, Numbering, is_provisional
from LaminaLabelingLib.proportions import TYPICAL_SCALE, stations, usual_turns

MIN_PAIRS_FOR_FRAME = 3
MIN_GAPS_FOR_SCALE = 3

SURE_LEVELS = 14
"""So many unnumbered pairs can only be most of a spine."""

# Weights of the fit: bending of either side's curve, change of the left-right vector from level to level.
_BENDING = 0.4
_TWIST = 0.4
# Residual, in adult mm, from which a point counts less and less.
_ROBUST_MM = 4.0
_ROUNDS = 8
# Share of a point's own error that the curve does not follow: where it is less, the others are too far away to judge.
_MIN_FREE = 0.15


@dataclass(frozen=True)
class Rows:
    """The points of both sides by level.

    Attributes
    ----------
    vertebrae : tuple of str
        From the top down, N levels.
    points : ndarray, shape (2, N, 3)
        Left and right row in the list's own frame and size; NaN where there is no point.
    stations : ndarray, shape (N,)
        How far down an adult's spine the levels lie, mm.
    turns : ndarray, shape (N,)
        How much a usual spine turns anteriorly at each level, going down, radians: kyphosis +, lordosis -.
    scale : float
        Millimeters of the world per millimeter here.
    has_scale : bool
        Whether that is the list's own; else the usual one.
    """

    vertebrae: tuple[str, ...]
    points: np.ndarray
    stations: np.ndarray
    turns: np.ndarray
    scale: float
    has_scale: bool = True
    _fits: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def known(self) -> np.ndarray:
        """Where there is a point, shape (2, N)."""
        return np.isfinite(self.points[..., 0])

    def name(self, side: int, level: int) -> str:
        """Return a slot's name from its row and level."""
        return self.vertebrae[level] + SIDES[side]

    def without(self, slots: Sequence[tuple[int, int]]) -> Rows:
        """Return the rows without the points of some (side, level)."""
        if not slots:
            return self
        points = self.points.copy()
        for side, level in slots:
            points[side, level] = np.nan
        return replace(self, points=points, _fits={})

    def exchanged(self, levels: Sequence[int]) -> Rows:
        """Return the rows with left and right exchanged at some levels."""
        points = self.points.copy()
        points[:, levels] = points[::-1, levels]
        return replace(self, points=points, _fits={})

    def curves(self) -> np.ndarray:
        """Return smooth curves through both rows that single wrong points do not bend, shape (2, N, 3)."""
        if "curves" not in self._fits:
            self._fits["curves"] = _fitted(self)
        return self._fits["curves"]


def rows_of(vertebrae: Sequence[str], positions: Mapping[str, np.ndarray]) -> Rows:
    """Return the rows of a list.

    Parameters
    ----------
    vertebrae : sequence of str
        All levels from the top down.
    positions : mapping of name to (3,) array
        Patient RAS mm.

    Returns
    -------
    Rows
    """
    points = np.full((2, len(vertebrae), 3), np.nan)
    for level, vertebra in enumerate(vertebrae):
        for side, letter in enumerate(SIDES):
            if vertebra + letter in positions:
                points[side, level] = positions[vertebra + letter]
    turned = _turned(points)
    likely, places = _likely_levels(vertebrae, turned)
    # Where a few unnumbered pairs lie is a guess that does for distances, not for which way the spine bends.
    turns = usual_turns(likely if likely == tuple(vertebrae) or len(vertebrae) >= SURE_LEVELS else vertebrae)
    ratios = _gap_ratios(turned, places)
    has_scale = len(ratios) >= MIN_GAPS_FOR_SCALE and bool(np.median(ratios) > 1e-6)
    scale = float(np.median(ratios)) if has_scale else TYPICAL_SCALE
    return Rows(tuple(vertebrae), turned / scale, places, turns, scale, has_scale)


def _likely_levels(vertebrae: Sequence[str], points: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the vertebrae whose proportions to compare with, and their stations.

    For provisional pairs those are the vertebrae that fit best.

    A spine's levels are nearly twice as far apart at its lower end as at its upper one, so that equal distances would
    make good lists look wrong.
    """
    if not vertebrae or not is_provisional(vertebrae[0] + "L"):
        return tuple(vertebrae), stations(vertebrae)
    numbers = np.array([int(vertebra[1:]) for vertebra in vertebrae])
    numbers -= numbers[0]
    names = Numbering().vertebrae if numbers[-1] < len(Numbering().vertebrae) else Numbering(13, 6).vertebrae
    best, least = (tuple(vertebrae), stations(vertebrae)), np.inf
    whole = stations(names)
    for start in range(len(names) - numbers[-1]):
        ratios = _gap_ratios(points, whole[start + numbers])
        ratios = ratios[ratios > 1e-6]
        misfit = np.abs(np.log(ratios / np.median(ratios))).sum() if len(ratios) else 0.0
        if misfit < least:
            likely = tuple(names[start + number] for number in numbers)
            best, least = (likely, whole[start + numbers]), misfit
    return best


def _turned(points: np.ndarray) -> np.ndarray:
    """Turn points (2, N, 3) about S until the usual pair lies along x; by less than a right angle."""
    across = (points[1] - points[0])[:, :2]
    across = across[np.isfinite(across[:, 0]) & (across != 0.0).any(axis=1)]
    if len(across) < MIN_PAIRS_FOR_FRAME:
        return points
    # Exchanged pairs point the other way: only the line counts, not the sense.
    across = np.where(across[:, :1] < 0.0, -across, across)
    angle = np.median(np.arctan2(across[:, 1], across[:, 0]))
    right, anterior = points[..., 0], points[..., 1]
    return np.stack(
        [
            np.cos(angle) * right + np.sin(angle) * anterior,
            np.cos(angle) * anterior - np.sin(angle) * right,
            points[..., 2],
        ],
        axis=-1,
    )


def _gap_ratios(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the length of each gap between neighbors of a row over an adult's."""
    ratios = []
    for row in points:
        there = np.flatnonzero(np.isfinite(row[:, 0]))
        lengths = np.linalg.norm(np.diff(row[there], axis=0), axis=1)
        ratios.extend(lengths / np.diff(places[there]))
    return np.array(ratios)


def _fitted(rows: Rows) -> np.ndarray:
    """Fit both rows together by penalized least squares, repeated with smaller weights for what lies off."""
    known = rows.known.ravel()
    values = np.where(known[:, None], rows.points.reshape(-1, 3), 0.0)
    penalty = _penalty(rows.stations)
    weights = known.astype(float)
    fitted = values
    for _round in range(_ROUNDS):
        fitted = np.linalg.solve(penalty + np.diag(weights), weights[:, None] * values)
        away = np.linalg.norm(values - fitted, axis=1)
        weights = np.where(known, 1.0 / (1.0 + (away / _ROBUST_MM) ** 2), 0.0)
    return fitted.reshape(2, -1, 3)


def depth_outliers(rows: Rows, threshold: float) -> list[tuple[int, int, float]]:
    """Return the points that lie off the sagittal curve of the others.

    The curve is fitted without the point in question. The point whose absence lets the rest fit best is judged first
    and taken out when it lies off by more than the threshold; then the rest is judged anew. Its neighbors are
    therefore not named for its sake. A point that has slid along the curve is not off: what counts is its depth at
    its own height.

    Parameters
    ----------
    rows : Rows
    threshold : float
        Adult mm.

    Returns
    -------
    list of (side, level, mm)
        Adult mm, positive in front of the curve.
    """
    curves = rows.curves()
    along = np.gradient(curves, axis=1)
    slopes = np.where(np.abs(along[..., 2]) > 1e-6, along[..., 1] / np.minimum(along[..., 2], -1e-6), 0.0).ravel()
    known = rows.known.ravel()
    values = np.where(known[:, None], rows.points.reshape(-1, 3)[:, 1:], 0.0)
    penalty = _penalty(rows.stations)
    count = len(rows.stations)
    found = []
    usual = _usual_bend(rows)
    while known.sum() > 2:
        inverse = np.linalg.inv(penalty + np.diag(known.astype(float)))
        off = values - inverse @ (known[:, None] * values + usual)
        depth = off[:, 0] - slopes * off[:, 1]
        # What a point's own pull hides of its distance from the curve of the others.
        free = np.maximum(1.0 - np.diag(inverse), 1e-9)
        worst = int(np.where(known & (free >= _MIN_FREE), depth**2 / free, -1.0).argmax())
        distance = depth[worst] / free[worst]
        if free[worst] < _MIN_FREE or abs(distance) <= threshold:
            break
        found.append((worst // count, worst % count, float(distance)))
        known[worst] = False
    return found


def _usual_bend(rows: Rows) -> np.ndarray:
    """Return the right-hand side that lets the fit bend as a usual spine does in depth and not at all along it.

    Shape (2 N, 2) for depth and height. Without it the last lumbar levels, where a spine bends most, would be expected
    on a straight line.
    """
    result = np.zeros((2 * len(rows.stations), 2))
    if len(rows.stations) > 2:
        first, usual_step = _slopes(rows.stations)
        force = _BENDING * np.diff(first, axis=0).T @ (rows.turns[1:-1] * usual_step)
        result[:, 0] = np.tile(force, 2)
    return result


def _slopes(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the matrix (N - 1, N) of rises from level to level per usual step, and that step."""
    steps = np.diff(places)
    usual = float(steps.mean())
    return np.diff(np.eye(len(places)), axis=0) * (usual / steps)[:, None], usual


def _penalty(places: np.ndarray) -> np.ndarray:
    """Return the quadratic form of bending and twist, shape (2 N, 2 N)."""
    count = len(places)
    if count < 2:
        return 1e-9 * np.eye(2 * count)
    first, _usual = _slopes(places)
    bend = np.diff(first, axis=0)
    bending = _BENDING * bend.T @ bend
    twist = _TWIST * first.T @ first
    result = np.zeros((2 * count, 2 * count))
    result[:count, :count] = result[count:, count:] = bending + twist
    result[:count, count:] = result[count:, :count] = -twist
    # Solvable also where neither side has enough points.
    result[np.diag_indices(2 * count)] += 1e-9
    return result
