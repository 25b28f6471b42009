"""One-to-one matching of two sets of points, such as found laminae and true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True)
class Matching:
    """Pairs of points that belong together.

    Attributes
    ----------
    pairs : (M, 2) int array
        Indices into the first and the second set.
    distances : (M,) float array
        Their distances in the points' own unit.
    unmatched_first, unmatched_second : int arrays
        Points of either set without a partner (missed and false, when the first set is the truth).
    """

    pairs: np.ndarray
    distances: np.ndarray
    unmatched_first: np.ndarray
    unmatched_second: np.ndarray


def match_points(first: np.ndarray, second: np.ndarray, gate: float) -> Matching:
    """Match two point sets one to one, at most ``gate`` apart.

    As many pairs as possible are formed, and among all such matchings the one with the least sum of distances is
    taken (Hungarian method; Kuhn 1955, doi:10.1002/nav.3800020109). Of several with the same sum, which one is taken
    depends on the places alone and not on the order in which they are given.

    Parameters
    ----------
    first, second : (N, 3) and (M, 3) arrays
        Points in the same frame and unit.
    gate : float
        Largest distance of a pair, inclusive.

    Returns
    -------
    Matching

    Examples
    --------
    >>> match_points([[0, 0, 0], [10, 0, 0]], [[9, 0, 0]], gate=5.0).pairs.tolist()
    [[1, 0]]
    """
    first = np.asarray(first, float).reshape(-1, 3)
    second = np.asarray(second, float).reshape(-1, 3)
    # In one order, whatever the caller's: the method takes the first of equally good matchings.
    orders = np.lexsort(first.T[::-1]), np.lexsort(second.T[::-1])
    distances = np.linalg.norm(first[:, None, :] - second[None, :, :], axis=-1)
    # A pair beyond the gate costs more than all pairs within it together, so it is only formed where nothing is lost.
    forbidden = gate * (min(distances.shape) + 1.0) + 1.0
    sorted_distances = distances[np.ix_(*orders)]
    rows, columns = linear_sum_assignment(np.where(sorted_distances <= gate, sorted_distances, forbidden))
    rows, columns = orders[0][rows], orders[1][columns]
    by_row = np.argsort(rows)
    rows, columns = rows[by_row], columns[by_row]
    close = distances[rows, columns] <= gate
    rows, columns = rows[close], columns[close]
    return Matching(
        np.stack([rows, columns], axis=-1).astype(int),
        distances[rows, columns],
        np.setdiff1d(np.arange(len(first)), rows),
        np.setdiff1d(np.arange(len(second)), columns),
    )
