"""The transform that brings a scan of a tracker's or phantom's frame into patient axes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.orientation import IRA, code_directions, nearest_code

if TYPE_CHECKING:
    from LaminaLabelingLib.volumes import Volume


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


def turn_to_patient(directions: np.ndarray, is_chosen: bool | None = None) -> np.ndarray:
    """Return the transform from a scan's own world to patient axes, which every angle is measured in.

    Parameters
    ----------
    directions : ndarray, shape (3, 3)
        How the array axes of a scan in anatomical order (inferior, right, anterior) run in its world: one column each.
    is_chosen : bool or None
        True where a person gave the axis code: then the array's axes are the patient's. False where the code was read
        off the directions: then the world is the patient's, and the transform does nothing. None takes a code for
        given where it is not the one that the directions say.

    Returns
    -------
    ndarray, shape (4, 4)
        Turns about the origin, with a reflection where the given code has the other handedness than the world.
    """
    transform = np.eye(4)
    own = np.asarray(directions, dtype=float)[:3, :3]
    if is_chosen is None:
        is_chosen = nearest_code(own)[0] != IRA
    if is_chosen:
        own = own / np.linalg.norm(own, axis=0)
        transform[:3, :3] = code_directions(IRA) @ np.linalg.inv(own)
    return transform


def in_patient_axes(laminae: LaminaSet, volume: Volume, is_chosen: bool | None = None) -> tuple[LaminaSet, Volume]:
    """Return laminae and their scan in patient axes.

    Parameters
    ----------
    laminae : LaminaSet
        In the world of the scan's file, RAS mm.
    volume : Volume
        As it was read, see `volumes.read_volume`.
    is_chosen : bool or None
        Whether a person gave the scan's axis code, see `turn_to_patient`.

    Returns
    -------
    laminae : LaminaSet
    volume : Volume
        The same voxels with another matrix.
    """
    transform = turn_to_patient(volume.matrix[:3, :3], is_chosen)
    return moved_laminae(laminae, transform), replace(volume, matrix=transform @ volume.matrix)


def moved_laminae(laminae: LaminaSet, transform: np.ndarray) -> LaminaSet:
    """Return laminae whose positions went through an affine transform, shape (4, 4)."""
    return laminae.with_laminae(
        [
            replace(lamina, position=transform[:3, :3] @ lamina.position + transform[:3, 3])
            for lamina in laminae.values()
            if lamina.position is not None
        ]
    )
