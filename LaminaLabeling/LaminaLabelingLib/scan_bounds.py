"""Whether points lie in a scan, and the half turn that mixing up LPS and RAS coordinates amounts to."""

import numpy as np

from LaminaLabelingLib.volumes import Volume

OUTSIDE_MM = 5.0
"""A label may lie this far outside its scan, which is the distance at which a lamina still counts as found; one that
lies farther was made on another scan or in other axes."""

MOST_INSIDE = 0.9
"""Share of the laminae that must lie inside the scan after a half turn for LPS and RAS to be what was mixed up."""

SOME_PAIRS = 4
MOST_REVERSED = 0.8
"""Of `SOME_PAIRS` or more pairs this share has left and right exchanged where the whole list has."""


def distance_outside(points: np.ndarray, volume: Volume) -> np.ndarray:
    """Return how far points lie outside a scan.

    Parameters
    ----------
    points : array_like, shape (N, 3)
        RAS mm in the world of the scan's file.
    volume : Volume

    Returns
    -------
    ndarray, shape (N,)
        Distance to the outer edges of the scan's voxels in mm, 0 inside.

    Examples
    --------
    >>> volume = Volume(np.zeros((32, 32, 32)), np.eye(4))
    >>> distance_outside([[0, 0, 0], [-3.5, 0, 0], [34.5, 0, -4.5]], volume).tolist()
    [0.0, 3.0, 5.0]
    """
    index = volume.to_index(np.asarray(points, dtype=np.float64).reshape(-1, 3))
    # The edges of the first and the last voxel, not their centers.
    beyond = np.maximum(np.maximum(-0.5 - index, index - (np.array(volume.shape) - 0.5)), 0.0)
    return np.linalg.norm(beyond * volume.spacing, axis=1)


def reversed_pairs(pairs: np.ndarray, volume: Volume) -> int:
    """Return in how many pairs the left point lies right of the right one.

    Parameters
    ----------
    pairs : array_like, shape (N, 2, 3)
        Left and right points in RAS mm.
    volume : Volume
        Its second axis says where right is, whatever its world does.

    Returns
    -------
    int

    Examples
    --------
    >>> volume = Volume(np.zeros((32, 32, 32)), np.eye(4))
    >>> reversed_pairs([[[0, 3, 0], [0, 9, 0]], [[5, 9, 0], [5, 3, 0]]], volume)
    1
    """
    points = volume.to_index(np.asarray(pairs, dtype=np.float64).reshape(-1, 3)).reshape(-1, 2, 3)
    return int(np.count_nonzero(points[:, 0, 1] > points[:, 1, 1]))


def half_turn_explains(points: np.ndarray, pairs: np.ndarray, volume: Volume) -> bool:
    """Return whether left and right are exchanged in nearly all pairs, and a half turn puts them right and inside.

    Parameters
    ----------
    points : array_like, shape (M, 3)
        All points, RAS mm.
    pairs : array_like, shape (N, 2, 3)
        Left and right points of the complete pairs.
    volume : Volume

    Returns
    -------
    bool
        False for fewer than `SOME_PAIRS` pairs, which may be mistakes in them.
    """
    count = len(pairs)
    if count < SOME_PAIRS or reversed_pairs(pairs, volume) < MOST_REVERSED * count:
        return False
    if count - reversed_pairs(turn_round(pairs), volume) < MOST_REVERSED * count:
        return False
    return turned_inside(points, volume)


def turned_inside(points: np.ndarray, volume: Volume) -> bool:
    """Return whether nearly all points lie in a scan after a half turn.

    Parameters
    ----------
    points : array_like, shape (N, 3)
        RAS mm.
    volume : Volume

    Returns
    -------
    bool
    """
    return bool(np.mean(distance_outside(turn_round(points), volume) <= OUTSIDE_MM) >= MOST_INSIDE)


def turn_round(points: np.ndarray) -> np.ndarray:
    """Negate R and A, as reading LPS coordinates for RAS ones does; it is its own inverse.

    Parameters
    ----------
    points : array_like, shape (..., 3)
        mm.

    Returns
    -------
    ndarray, same shape
    """
    # Adding zero turns -0.0 into 0.0.
    return np.asarray(points, dtype=np.float64) * (-1.0, -1.0, 1.0) + 0.0
