"""What the value of a voxel says in a label volume: the lamina's slot, or the number of a pair without a vertebra."""

from __future__ import annotations

import numpy as np

from LaminaLabelingLib.anatomy import SIDES, Numbering, is_provisional, provisional_name, split_name
from LaminaLabelingLib.two_rows import TwoRows, rows_of_sides

PROVISIONAL_BASE = 100
"""The values of provisional names start above this, so that nobody can take them for those of numbered vertebrae."""

# In distances between the rows: by so much may a lamina lie above one of a higher level on the other side.
_OUT_OF_ORDER = 0.25


def label_value(name: str, numbering: Numbering) -> int:
    """Return the value of a lamina in a label volume: its slot counted from 1, from the top down, left before right.

    Parameters
    ----------
    name : str
        Provisional ones are counted likewise from 101 on.
    numbering : Numbering
        Of the list; it must have the name unless that is provisional.

    Returns
    -------
    int

    Examples
    --------
    >>> label_value("T1R", Numbering()), label_value("L5R", Numbering()), label_value("L5R", Numbering(13, 5))
    (2, 34, 36)
    >>> label_value("P02L", Numbering())
    103
    """
    if is_provisional(name):
        vertebra, side = split_name(name)
        return PROVISIONAL_BASE + 2 * int(vertebra[1:]) - 1 + SIDES.index(side)
    return numbering.slots.index(name) + 1


def names_of_values(values: np.ndarray, numbering: Numbering) -> list[str] | None:
    """Return the names that the values of labels can stand for, the inverse of `label_value`.

    Parameters
    ----------
    values : (N,) array of whole numbers
        One for each label.
    numbering : Numbering

    Returns
    -------
    list of str, or None
        Slots if all values are from 1 to their number, provisional names if all are above 100. None if the values are
        something else, or one comes twice.
    """
    numbers = [int(value) for value in values]
    if len(set(numbers)) < len(numbers):
        return None
    if all(1 <= number <= len(numbering.slots) for number in numbers):
        return [numbering.slots[number - 1] for number in numbers]
    counts = [number - PROVISIONAL_BASE - 1 for number in numbers]
    if all(0 <= count < 2 * 9999 for count in counts):
        return [provisional_name(count // 2, SIDES[count % 2]) for count in counts]
    return None


def names_fit(values: np.ndarray, across: np.ndarray, down: np.ndarray) -> bool:
    """Return whether labels lie as their values say: on their side, and lower the lower their level is.

    Parameters
    ----------
    values : (N,) array of whole numbers
        Those of `label_value`, each once: odd on the left, and two for each level.
    across, down : (N,) arrays
        Coordinates of the labels to the patient's right and downwards, both in one unit.

    Returns
    -------
    bool
        Points that do not show where they lie, such as a single one, fit.

    Examples
    --------
    >>> across, down = np.array([-9.0, 9.0, -9.0, 9.0]), np.array([0.0, 1.0, 40.0, 41.0])
    >>> names_fit(np.array([1, 2, 5, 6]), across, down), names_fit(np.array([1, 2, 3, 5]), across, down)
    (True, False)
    """
    numbers = np.array([int(value) for value in values])
    right, levels = numbers % 2 == 0, (numbers + 1) // 2
    rows = rows_of_sides(across, down, right)
    if rows is None:
        return False
    across, down = np.asarray(across, dtype=np.float64), np.asarray(down, dtype=np.float64)
    # Along a spine that is fitted badly the order may be wrong, and in a tilted one it may be downwards.
    return _are_in_order(levels, rows, across, [down[None] - down[:, None], rows.along[None] - rows.along[:, None]])


def _are_in_order(levels: np.ndarray, rows: TwoRows, across: np.ndarray, below: list[np.ndarray]) -> bool:
    """Return whether every two are in order: the lower level below, the left one of a level left of its right one.

    `below` says in two ways how far each point lies below each other one, (N, N): one of them is enough.
    """
    lower = levels > levels[:, None]
    same_side = rows.right == rows.right[:, None]
    least = np.where(same_side, 0.0, -_OUT_OF_ORDER * rows.width)
    if (lower & (np.maximum(*below) <= least)).any():
        return False
    # The first one is the left one of a pair, the second the right one.
    pair = (levels == levels[:, None]) & ~rows.right[:, None] & rows.right
    apart = np.minimum(*map(np.abs, below))
    return not (pair & (across - across[:, None] <= apart)).any()  # no vertebra is tilted by 45 degrees
