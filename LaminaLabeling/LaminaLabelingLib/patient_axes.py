"""The transform that brings a scan of a tracker's or phantom's frame into patient axes."""

import numpy as np

from LaminaLabelingLib.orientation import code_directions


def patient_transform(ijk_to_ras: np.ndarray, shape_ijk: tuple[int, int, int], code: str) -> np.ndarray:
    """Return the transform after which a scan's axes run as an axis code says, about the middle of the scan.

    Parameters
    ----------
    ijk_to_ras : ndarray, shape (4, 4)
        What the file says.
    shape_ijk : tuple of 3 ints
        Number of voxels along i, j and k.
    code : str
        Axis code, three letters; see `orientation`.

    Returns
    -------
    ndarray, shape (4, 4)
        From the file's world to patient RAS mm: a rotation, or with a reflection when the code has the other handedness
        than the file. The middle of the scan stays in place.

    Examples
    --------
    >>> patient_transform(np.eye(4), (3, 3, 3), "RAS").tolist() == np.eye(4).tolist()
    True
    """
    own = np.asarray(ijk_to_ras, dtype=float)[:3, :3]
    own = own / np.linalg.norm(own, axis=0)
    turn = code_directions(code) @ np.linalg.inv(own)
    middle = np.asarray(ijk_to_ras, dtype=float) @ np.append((np.array(shape_ijk) - 1) / 2, 1.0)
    transform = np.eye(4)
    transform[:3, :3] = turn
    transform[:3, 3] = middle[:3] - turn @ middle[:3]
    return transform
