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
from dataclasses import dataclass

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

_EXCHANGE_REACH = 5
_SAME = 1e-9


@dataclass(frozen=True)
class TwoRows:
    """The sides of points.

    Attributes
    ----------
    right : (N,) bool array
        Whether a point lies in the right row.
    doubtful : (N,) bool array
        Whether it could as well lie in the other one, as a point may that has no neighbor near it.
    """

    right: np.ndarray
    doubtful: np.ndarray


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
    across, down = np.asarray(across, dtype=np.float64), np.asarray(down, dtype=np.float64)
    unit = _nearest_distance(across, down)
    if unit == 0.0:
        return None
    across, down = (across - across.mean()) / unit, (down - down.mean()) / unit
    fit = _Fit(across, _precision(down), _clashes(down))
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
    if fit.one_row() - misfit < _BITS * len(across):
        return None
    runners_up = np.where(moves < 0.0, misfits[:, None], np.inf).min(axis=0)
    return TwoRows(sides > 0.0, runners_up - misfit < _DOUBT)


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
    distance = math.sqrt(5.0) * np.abs(down[:, None] - down) / _BEND_LENGTH
    covariance = _BEND**2 * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)  # Matern, 5/2
    covariance += _SLOPE**2 * np.outer(down, down) + _ERROR**2 * np.eye(len(down))
    inverse = np.linalg.inv(covariance)
    ones = inverse.sum(axis=1)
    return inverse - np.outer(ones, ones) / ones.sum()


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

    def one_row(self) -> float:
        """Return the misfit of one row, which has no half-width and in which points may lie at any heights."""
        return float(self.across @ self.precision @ self.across)


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
