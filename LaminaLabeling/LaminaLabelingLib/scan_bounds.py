"""Whether points lie in a scan, and the half turn that mixing up LPS and RAS coordinates amounts to."""

import numpy as np

from LaminaLabelingLib.volumes import Volume

OUTSIDE_MM = 5.0
"""A label may lie this far outside its scan, which is the distance at which a lamina still counts as found; one that
lies farther was made on another scan or in other axes."""


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
