"""Left or right for points that have no names: the two rows of laminae beside a smooth midline.

A midline through all points bends to the side that has more of them, and then lies on the wrong side of the others.
Here the midline and its distance from either row are fitted together, for one way of giving sides after another, and
the way that fits best is taken. Lengths count in the distance from a point to its nearest neighbor, so that children
and adults, and any unit, are treated alike.

For sides s (+1 right, -1 left) the points' coordinates to the right are modeled as

    x = midline(down) + half_width * s + error,

with a Gaussian process as the midline [1]_ and a normal prior on the half-width. Both are fitted in closed form, which
leaves minus twice the log posterior of the sides up to a constant. With a cost for two points of one side at the same
height, which two laminae never are, it is called the misfit here.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning, MIT Press 2006, sections 2.2, 2.7
   and 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

# All in distances to the nearest neighbor, about 20 mm in an adult; `Testing/benchmarks/sides.py` shows how they do.
_ERROR = 0.14  # of a point, sd
_HALF_WIDTH, _HALF_WIDTH_SD = 0.5, 0.1
_SLOPE = 0.4  # of the whole midline, sd: a patient who lies askew
_BEND, _BEND_LENGTH = 1.2, 5.0  # how far the midline winds, sd, and over which length

_APART = 0.55  # two laminae of one side are never nearer in height
_CLASH = 20.0  # misfit of two points of one side at the same height, falling to 0 where they lie that far apart

_BITS = 2.0 * math.log(2.0)
"""By so much for each point must two rows fit better than one: what it costs not to know beforehand which side."""

_DOUBT = 3.0
"""A point is in doubt when a way with the point on its other side fits worse by less than this."""

_NEARLY = 6.0
"""Other ways of giving sides are told when they fit worse by less than this."""

_CONTRADICTION = 120.0
"""Sides that are given are wrong when others fit better by more than this divided by the number of points: few points
bend the midline as they like. The true sides of simulated spines with curves of 60 degrees, of which any laminae are
missing, came to 1.8 of 7.5 for 16 points and to 19 of 20 for 6."""

_EXCHANGE_REACH = 5
_SAME = 1e-9
_STEP = 0.05  # over which the slope of the midline is taken


@dataclass(frozen=True)
class TwoRows:
    """The sides of points.

    Attributes
    ----------
    right : (N,) bool array
        Whether a point lies in the right row.
    doubtful : (N,) bool array
        Whether it could as well lie in the other one, as a point may that has no neighbor near it.
    along : (N,) array
        Where along the spine a point lies, downwards: the coordinate down of the place on the midline that is level
        with the point. Two laminae of one vertebra lie at nearly the same place however much the spine is tilted.
    width : float
        Distance between the rows, in the unit of the coordinates.
    others : tuple of TwoRows
        Other ways of giving sides to the same points that fit nearly as well.
    """

    right: np.ndarray
    doubtful: np.ndarray
    along: np.ndarray
    width: float
    others: tuple[TwoRows, ...] = ()


def split_rows(across: np.ndarray, down: np.ndarray) -> TwoRows | None:
    """Divide points in the coronal plane into a right and a left row.

    Parameters
    ----------
    across, down : (N,) arrays
        Coordinates to the patient's right and downwards, both in one unit. A few dozen points: time grows with N^4.

    Returns
    -------
    TwoRows or None
        None if the points fit one row as well as two, so that nothing says which side they are: a single point, one
        side of a spine, points in one place.

    Examples
    --------
    >>> split_rows(np.array([-9.0, 10.0, -9.0, 8.0]), np.array([0.0, 2.0, 20.0, 21.0])).right.tolist()
    [False, True, False, True]
    >>> split_rows(np.array([9.0, 10.0, 11.0]), np.array([0.0, 20.0, 40.0])) is None
    True
    """
    spine = _Spine.of(across, down)
    if spine is None:
        return None
    best = _best_sides(spine)
    if spine.fit.one_row() - best.misfit < _BITS * len(best.sides):
        return None
    doubtful = best.cost_of_other_side < _DOUBT
    others = tuple(spine.rows(sides, doubtful) for sides in best.nearly)
    return replace(spine.rows(best.sides, doubtful), others=others)


def rows_of_sides(across: np.ndarray, down: np.ndarray, right: np.ndarray) -> TwoRows | None:
    """Return the rows of points whose sides are known from elsewhere, unless the points contradict them.

    Points that form no two rows, such as a single one, contradict nothing.

    Parameters
    ----------
    across, down : (N,) arrays
        As for `split_rows`.
    right : (N,) bool array
        Whether a point is said to lie in the right row.

    Returns
    -------
    TwoRows or None
        With the sides that were given, none of them doubtful. None if others fit the points far better.

    Examples
    --------
    >>> across, down = np.array([-9.0, 10.0, -9.0, 8.0]), np.array([0.0, 2.0, 20.0, 21.0])
    >>> rows_of_sides(across, down, np.array([False, True, False, True])).width > 15.0
    True
    >>> rows_of_sides(across, down, np.array([True, False, True, False])) is None
    True
    """
    right = np.asarray(right, dtype=bool)
    undoubted = np.zeros(len(right), dtype=bool)
    spine = _Spine.of(across, down)
    if spine is None:
        return TwoRows(right, undoubted, np.array(down, dtype=np.float64), 0.0)
    sides = np.where(right, 1.0, -1.0)
    if spine.fit.misfits(sides[None])[0] - _best_sides(spine).misfit > _CONTRADICTION / len(sides):
        return None
    return spine.rows(sides, undoubted)


def _nearest_distance(across: np.ndarray, down: np.ndarray) -> float:
    """Return the median distance from a point to its nearest neighbor, 0 if no two points lie apart."""
    distances = np.hypot(across[:, None] - across, down[:, None] - down)
    nearest = np.where(distances > 0.0, distances, np.inf).min(axis=0, initial=np.inf)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if len(nearest) else 0.0


def _precision(down: np.ndarray) -> np.ndarray:
    """Return the matrix P, shape (N, N), with which x @ P @ x is the misfit of one smooth row through points x.

    The inverse covariance of midline and error, from which the row's place across has been projected out.
    """
    covariance = _covariance(down, down) + _ERROR**2 * np.eye(len(down))
    inverse = np.linalg.inv(covariance)
    ones = inverse.sum(axis=1)
    return inverse - np.outer(ones, ones) / ones.sum()


def _covariance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the prior covariance of the midline at heights (M,) with that at heights (N,), shape (M, N)."""
    distance = math.sqrt(5.0) * np.abs(first[:, None] - second) / _BEND_LENGTH
    bend = _BEND**2 * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)  # Matern, 5/2
    return bend + _SLOPE**2 * np.outer(first, second)


def _clashes(down: np.ndarray) -> np.ndarray:
    """Return what it costs that two points are on one side, shape (N, N), 0 on the diagonal."""
    clashes = _CLASH * np.maximum(1.0 - np.abs(down[:, None] - down) / _APART, 0.0)
    np.fill_diagonal(clashes, 0.0)
    return clashes


@dataclass(frozen=True)
class _Fit:
    """What decides how well sides fit: coordinates across (N,), and what `_precision` and `_clashes` return."""

    across: np.ndarray
    precision: np.ndarray
    clashes: np.ndarray

    def misfits(self, sides: np.ndarray) -> np.ndarray:
        """Return the misfits (M,) of ways of giving sides (M, N), -1 or 1, each with its best midline and half-width.

        Minimizes (x - w s)' P (x - w s) + ((w - w0) / sd)^2 over half-widths w >= 0, which is quadratic in w.
        """
        prior = _HALF_WIDTH_SD**-2
        linear = sides @ (self.precision @ self.across) + _HALF_WIDTH * prior
        square = ((sides @ self.precision) * sides).sum(axis=1) + prior
        # 1 + s s' is 2 for two points of one side and 0 for others, and each two of them are counted twice.
        clash = (self.clashes.sum() + ((sides @ self.clashes) * sides).sum(axis=1)) / 4.0
        return self.one_row() + _HALF_WIDTH**2 * prior - np.maximum(linear, 0.0) ** 2 / square + clash

    def half_width(self, sides: np.ndarray) -> float:
        """Return the best half-width for sides (N,)."""
        prior = _HALF_WIDTH_SD**-2
        linear = sides @ self.precision @ self.across + _HALF_WIDTH * prior
        return max(float(linear / (sides @ self.precision @ sides + prior)), 0.0)

    def one_row(self) -> float:
        """Return the misfit of one row, which has no half-width and in which points may lie at any heights."""
        return float(self.across @ self.precision @ self.across)


@dataclass(frozen=True)
class _Spine:
    """Points in units of the distance to the nearest neighbor, centered, and what decides how well sides fit them."""

    across: np.ndarray
    down: np.ndarray
    unit: float
    middle: float  # of the coordinate down, in the caller's unit
    fit: _Fit

    @classmethod
    def of(cls, across: np.ndarray, down: np.ndarray) -> _Spine | None:
        """Return the points, or None if no two lie apart."""
        across, down = np.asarray(across, dtype=np.float64), np.asarray(down, dtype=np.float64)
        unit = _nearest_distance(across, down)
        if unit == 0.0:
            return None
        middle = float(down.mean())
        across, down = (across - across.mean()) / unit, (down - middle) / unit
        return cls(across, down, unit, middle, _Fit(across, _precision(down), _clashes(down)))

    def rows(self, sides: np.ndarray, doubtful: np.ndarray) -> TwoRows:
        """Return the rows that sides (N,) make, with the places along the midline that is fitted to them."""
        half = self.fit.half_width(sides)
        weights = self.fit.precision @ (self.across - half * sides)
        above, below = (_covariance(self.down + step, self.down) @ weights for step in (-_STEP, _STEP))
        # Two points say nothing about a slope: they would be a pair across any.
        slope = (below - above) / (2.0 * _STEP) if len(sides) > 2 else np.zeros(len(sides))
        # A point half a width beside the midline, perpendicular to it, lies higher or lower than its foot.
        along = self.down + half * sides * slope / (1.0 + slope**2)
        return TwoRows(sides > 0.0, doubtful, self.middle + along * self.unit, 2.0 * half * self.unit)


@dataclass(frozen=True)
class _Best:
    """The sides that fit best, (N,) of -1 and 1, their misfit, the ways that fit nearly as well, (M, N), and by how
    much the misfit grows at least when a point changes sides, (N,)."""

    sides: np.ndarray
    misfit: float
    nearly: np.ndarray
    cost_of_other_side: np.ndarray


def _best_sides(spine: _Spine) -> _Best:
    """Search for the sides that fit best."""
    across, down, fit = spine.across, spine.down, spine.fit
    moves = _moves(down)
    sides = np.where(across > down * (across @ down) / max(down @ down, _SAME), 1.0, -1.0)
    misfit = fit.misfits(sides[None])[0]
    while True:
        tried = sides * moves
        misfits = fit.misfits(tried)
        best = int(misfits.argmin())
        if misfits[best] >= misfit - _SAME:
            break
        sides, misfit = tried[best], misfits[best]
    runners_up = np.where(moves < 0.0, misfits[:, None], np.inf).min(axis=0)
    return _Best(sides, float(misfit), tried[misfits - misfit < _NEARLY], runners_up - misfit)


def _moves(down: np.ndarray) -> np.ndarray:
    """Return what may change sides at once, as factors, shape (M, N): -1 for points that go to the other side.

    These are every run of neighbors in height, a single point being the shortest, and two points with others between
    them. Single points alone would leave the search where a whole stretch is on the wrong side.
    """
    count, order = len(down), np.argsort(down, kind="stable")
    chosen = [order[first:last] for first in range(count) for last in range(first + 1, count + 1)]
    chosen += [
        order[[first, second]]
        for first in range(count)
        for second in range(first + 2, min(first + _EXCHANGE_REACH, count))
    ]
    moves = np.ones((len(chosen), count))
    for factors, points in zip(moves, chosen):
        factors[points] = -1.0
    return moves
