"""Which lamina of the left row and which of the right one belong to the same vertebra, for laminae without names."""

from __future__ import annotations

import numpy as np

from LaminaLabelingLib.two_rows import TwoRows

APART = 0.35
"""Two laminae of one vertebra lie at most this share of the distance between the rows apart along the spine. In
simulated spines 99 % of them lay less than 0.15 apart, and laminae of neighboring vertebrae 0.56 and more."""

LONE_APART = 0.25
"""The same for two with no other label near them, which would show how the spine is tilted there."""

# In distances between the rows: what lies farther off along the spine shows nothing.
_NEAR = 2.5

Pair = tuple[int | None, int | None]


def pair_rows(rows: TwoRows) -> list[Pair]:
    """Pair the points of a left and a right row by their height along the spine.

    Counting along each side would pair different vertebrae below the first one that is missing. Here the two rows are
    aligned as sequences are (Needleman and Wunsch 1970, doi:10.1016/0022-2836(70)90057-4): a pair costs the distance
    of its points along the spine, and a point alone half of the largest distance that a pair may have. Pairs that other
    ways of giving sides do not confirm, where these fit the points nearly as well, are left apart.

    Parameters
    ----------
    rows : TwoRows

    Returns
    -------
    list of (int or None, int or None)
        Index of the left and of the right point of each level from the top down. None where there is none.

    Examples
    --------
    >>> right, along = np.array([False, True, False, False, True]), np.array([0.0, 1.0, 20.0, 40.0, 41.0])
    >>> pair_rows(TwoRows(right, np.zeros(5, bool), along, 18.0))
    [(0, 1), (2, None), (3, 4)]
    """
    pairs = _aligned(rows)
    confirmed = [{frozenset(pair) for pair in _aligned(other)} for other in rows.others]
    sure: list[Pair] = []
    for left, right in pairs:
        if None in (left, right) or all(frozenset((left, right)) in found for found in confirmed):
            sure.append((left, right))
        else:
            sure += [(left, None), (None, right)]
    return _in_order(sure, rows.along)


def _aligned(rows: TwoRows) -> list[Pair]:
    """Return the cheapest alignment of the left and the right row."""
    left, right = (_downwards(side, rows.along) for side in (~rows.right, rows.right))
    distances = np.abs(rows.along[left][:, None] - rows.along[right])
    distances[_are_lone(left, right, rows) & (distances > LONE_APART * rows.width)] = np.inf
    steps = _cheapest_steps(distances, APART * rows.width)
    pairs: list[Pair] = []
    i, j = len(left), len(right)
    while i or j:
        take_left, take_right = steps[i, j]
        i, j = i - int(take_left), j - int(take_right)
        pairs.append((int(left[i]) if take_left else None, int(right[j]) if take_right else None))
    return pairs


def _downwards(side: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the indices of the points of one side from the top down."""
    mine = np.flatnonzero(side)
    return mine[np.argsort(along[mine], kind="stable")]


def _are_lone(left: np.ndarray, right: np.ndarray, rows: TwoRows) -> np.ndarray:
    """Return whether two points, given by their indices (M,) and (N,), have no third one near them, shape (M, N)."""
    near = np.abs(rows.along[:, None] - rows.along) < _NEAR * rows.width
    around = near[left][:, None] | near[right][None]
    # The two themselves are among those that are near.
    return around.sum(axis=-1) <= 2


def _cheapest_steps(distances: np.ndarray, largest: float) -> np.ndarray:
    """Return whether the last level of the first i left and j right points has a left and a right one.

    Bool array of shape (M + 1, N + 1, 2) for distances of shape (M, N).
    """
    rows, columns = distances.shape
    costs = np.full((rows + 1, columns + 1), np.inf)
    costs[0, 0] = 0.0
    steps = np.zeros((rows + 1, columns + 1, 2), dtype=bool)
    for i in range(rows + 1):
        for j in range(columns + 1):
            ways = []
            if i and j and distances[i - 1, j - 1] <= largest:
                ways.append((costs[i - 1, j - 1] + distances[i - 1, j - 1], (True, True)))
            if i:
                ways.append((costs[i - 1, j] + largest / 2.0, (True, False)))
            if j:
                ways.append((costs[i, j - 1] + largest / 2.0, (False, True)))
            if ways:
                costs[i, j], steps[i, j] = min(ways, key=lambda way: way[0])
    return steps


def _in_order(pairs: list[Pair], along: np.ndarray) -> list[Pair]:
    """Return the levels from the top down; the alignment leaves open how points that are alone follow each other."""

    def place(pair: Pair) -> float:
        return float(np.mean([along[point] for point in pair if point is not None]))

    return sorted(pairs, key=place)
