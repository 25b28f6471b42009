"""Which way round a scan is stored: axis codes, and whether the file's directions can be those of a patient.

An axis code has one letter of R, L, A, P, S, I for each of the file's axes i, j, k. The letter names the direction in
which that index increases (nibabel's sense). Inside the library every array has the order ``IRA``: axis 0 increases
towards inferior, axis 1 towards the patient's right, axis 2 towards anterior.
"""

import itertools

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.orientation_checks import (
    check_plausible,
    code_warnings,
    depth_asymmetry,
    scanned_extent_mm,
    untrusted,
)

__all__ = [
    "ARI",
    "IRA",
    "MAX_OBLIQUE_DEG",
    "check_plausible",
    "code_directions",
    "code_warnings",
    "depth_asymmetry",
    "from_ira",
    "ira_to_ijk",
    "is_right_handed",
    "nearest_code",
    "parse_code",
    "resolve_code",
    "scanned_extent_mm",
    "to_ira",
    "untrusted",
]

IRA = "IRA"
"""The order of every array inside the library."""

ARI = "ARI"
"""The code of a file that is written from an IRA array as it lies in memory: k is SI, j is LR, i is PA."""

MAX_OBLIQUE_DEG = 40.0
"""A file axis further than this from every patient axis has no trustworthy reading."""

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
# RAS component and sign of each letter.
_VECTOR = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def parse_code(code: str) -> str:
    """Check an axis code and return it in capitals.

    Parameters
    ----------
    code : str
        Three letters, such as ``"RIA"``.

    Returns
    -------
    str

    Raises
    ------
    LaminaError
        If it has not three letters, a letter that names no direction, or names one axis twice.
    """
    letters = code.strip().upper()
    if len(letters) != 3:
        raise LaminaError(
            _('The axis code "{code}" must have three letters, one for each axis of the file, for example LPS.').format(
                code=code
            )
        )
    wrong = [letter for letter in letters if letter not in _VECTOR]
    if wrong:
        raise LaminaError(
            _('The axis code "{code}" contains "{letter}": use only R, L, A, P, S and I, for example LPS.').format(
                code=code, letter=wrong[0]
            )
        )
    if len({_VECTOR[letter][0] for letter in letters}) != 3:
        raise LaminaError(
            _(
                "The axis code {code} names one axis twice: use one letter of R or L, one of A or P and one of S or I, "
                "for example LPS."
            ).format(code=f'"{code}"')
        )
    return letters


def code_directions(code: str) -> np.ndarray:
    """Return the RAS unit vectors along which the file's indices increase.

    Returns
    -------
    ndarray, shape (3, 3)
        One column for each of i, j, k.
    """
    directions = np.zeros((3, 3))
    for axis, letter in enumerate(code):
        component, sign = _VECTOR[letter]
        directions[component, axis] = sign
    return directions


def is_right_handed(code: str) -> bool:
    """Return whether the axes i, j, k of an axis code are right-handed, as ``LPS`` and ``RAS`` are."""
    return bool(np.linalg.det(code_directions(code)) > 0)


def nearest_code(matrix: np.ndarray) -> tuple[str, float]:
    """Read the axis code off a file's directions, as the signed permutation that is nearest to them.

    Parameters
    ----------
    matrix : ndarray, shape (3, 3) or (4, 4)
        Index to RAS; only the directions of its columns count.

    Returns
    -------
    code : str
        Has the handedness of the matrix, because a permutation of the other handedness is never the nearest one.
    angle : float
        The largest angle in degrees between a file axis and the patient axis it is taken for.
    """
    directions = np.asarray(matrix, dtype=float)[:3, :3]
    directions = directions / np.linalg.norm(directions, axis=0)
    components = max(
        itertools.permutations(range(3)),
        key=lambda order: sum(abs(directions[component, axis]) for axis, component in enumerate(order)),
    )
    code = ""
    cosines = []
    for axis, component in enumerate(components):
        value = directions[component, axis]
        code += "RAS"[component] if value > 0 else "LPI"[component]
        cosines.append(abs(value))
    return code, float(np.degrees(np.arccos(np.clip(min(cosines), 0.0, 1.0))))


def to_ira(array_ijk: np.ndarray, code: str) -> np.ndarray:
    """Permute and flip a file's array to IRA order.

    Parameters
    ----------
    array_ijk : ndarray, 3 axes
        Indexed by the file's i, j, k.
    code : str
        The file's axis code.

    Returns
    -------
    ndarray
        A view.
    """
    order, flipped = _order(code)
    return array_ijk.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]


def from_ira(array_ira: np.ndarray, code: str) -> np.ndarray:
    """Permute and flip an IRA array to a file's i, j, k order: the inverse of `to_ira`. Returns a view."""
    order, flipped = _order(code)
    return array_ira[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)].transpose(np.argsort(order))


def ira_to_ijk(code: str, shape_ira: tuple[int, ...]) -> np.ndarray:
    """Return the matrix from IRA indices to the file's i, j, k.

    Parameters
    ----------
    code : str
        The file's axis code.
    shape_ira : tuple of 3 ints
        Shape of the IRA array, needed for the flipped axes.

    Returns
    -------
    ndarray, shape (4, 4)
        Of integers stored as float64, so exact.
    """
    order, flipped = _order(code)
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1.0
    for axis_ira, (axis_file, flip) in enumerate(zip(order, flipped)):
        matrix[axis_file, axis_ira] = -1.0 if flip else 1.0
        matrix[axis_file, 3] = shape_ira[axis_ira] - 1 if flip else 0.0
    return matrix


def _order(code: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return for each IRA axis the file axis that it is, and whether it runs the other way."""
    order = tuple(
        next(axis for axis, letter in enumerate(code) if letter in (wanted, _OPPOSITE[wanted])) for wanted in IRA
    )
    return order, tuple(code[axis] != wanted for axis, wanted in zip(order, IRA))


def resolve_code(requested: str, ijk_to_ras: np.ndarray) -> tuple[str, list[str]]:
    """Decide which axis code a file has.

    Parameters
    ----------
    requested : str
        ``"auto"``, or the code that the user gives.
    ijk_to_ras : ndarray, shape (4, 4)
        What the file says.

    Returns
    -------
    code : str
    warnings : list of str

    Raises
    ------
    LaminaError
        If the code is not one, if its handedness would mirror the patient, or, for ``"auto"``, if the directions are
        too oblique to be read.
    """
    own, angle = nearest_code(ijk_to_ras)
    if requested.strip().lower() == "auto":
        if angle > MAX_OBLIQUE_DEG:
            problem = _(
                "The orientation of this scan cannot be trusted because its axes are up to {angle:.0f} degrees away "
                "from the patient's"
            )
            raise untrusted(problem.format(angle=angle))
        return own, []
    code = parse_code(requested)
    file_is_right_handed = bool(np.linalg.det(np.asarray(ijk_to_ras, dtype=float)[:3, :3]) > 0)
    if not is_right_handed(code) and code != own:
        mirror = code.translate(str.maketrans("LR", "RL"))
        raise LaminaError(
            _(
                "The axis code {code} is left-handed and would swap the patient's left and right: check it, perhaps "
                "{mirror} is meant."
            ).format(code=code, mirror=mirror)
        )
    if is_right_handed(code) and not file_is_right_handed:
        return code, [
            _(
                "The file's own axes are left-handed ({own}) but {code} is right-handed, so the scan is shown mirrored "
                "in 3D Slicer: check left and right."
            ).format(own=own, code=code)
        ]
    return code, []
