"""Minimum-cost paths through an image, one column per row: the engine behind the column and the lamina depth."""

from __future__ import annotations

import numpy as np


def minimum_cost_path(cost: np.ndarray, max_move: int, move_penalty: float) -> np.ndarray:
    """Find the cheapest path from the first row to the last.

    Dynamic programming over the rows (Viterbi): moving by m columns from one row to the next costs
    ``move_penalty * m**2``. It starts and ends wherever that is cheapest, and is exact.

    Parameters
    ----------
    cost : (N, M) array
        Cost of each cell; rows of equal cost (gaps) are crossed in a straight line.
    max_move : int
        Largest move in columns between rows.
    move_penalty : float
        Weight of the squared move.

    Returns
    -------
    (N,) int array
        The path's column in each row.
    """
    rows, columns = cost.shape
    moves = np.arange(-max_move, max_move + 1)
    penalties = move_penalty * moves.astype(float) ** 2
    total = cost[0].astype(float)
    came_from = np.zeros((rows, columns), np.int16)
    padded = np.full(columns + 2 * max_move, np.inf)
    # arriving[m, c]: the total of column c + moves[m], from which column c may be reached
    arriving = np.lib.stride_tricks.sliding_window_view(padded, columns)
    every = np.arange(columns)
    for row in range(1, rows):
        padded[max_move : max_move + columns] = total
        candidates = arriving + penalties[:, None]
        best = candidates.argmin(axis=0)
        came_from[row] = moves[best]
        total = candidates[best, every] + cost[row]
    path = np.empty(rows, int)
    path[-1] = int(total.argmin())
    for row in range(rows - 1, 0, -1):
        path[row - 1] = path[row] + came_from[row, path[row]]
    return path
