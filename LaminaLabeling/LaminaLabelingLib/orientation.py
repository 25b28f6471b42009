"""Which way round a scan is stored: axis codes, and whether the file's directions can be those of a patient.

An axis code has one letter of R, L, A, P, S, I for each of the file's axes i, j, k. The letter names the direction in
which that index increases (nibabel's sense). Inside the library every array has the order ``IRA``: axis 0 increases
towards inferior, axis 1 towards the patient's right, axis 2 towards anterior.
"""

import itertools

import numpy as np

from LaminaLabelingLib.errors import LaminaError

IRA = "IRA"
"""The order of every array inside the library."""

ARI = "ARI"
"""The code of a file that is written from an IRA array as it lies in memory: k is SI, j is LR, i is PA."""

MAX_OBLIQUE_DEG = 40.0
"""A file axis further than this from every patient axis has no trustworthy reading."""

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
# RAS component and sign of each letter.
_VECTOR = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}

_MIN_LENGTH_RATIO = 1.2
_MIN_ASYMMETRY = 0.12
_SAMPLED_VOXELS = 2_000_000


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
            f'The axis code "{code}" must have three letters, one for each axis of the file, for example LPS.'
        )
    wrong = [letter for letter in letters if letter not in _VECTOR]
    if wrong:
        raise LaminaError(
            f'The axis code "{code}" contains "{wrong[0]}": use only R, L, A, P, S and I, for example LPS.'
        )
    if len({_VECTOR[letter][0] for letter in letters}) != 3:
        raise LaminaError(
            f'The axis code "{code}" names one axis twice: use one letter of R or L, one of A or P and one of S or I, '
            "for example LPS."
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
            raise untrusted(f"its axes are up to {angle:.0f} degrees away from the patient's")
        return own, []
    code = parse_code(requested)
    file_is_right_handed = bool(np.linalg.det(np.asarray(ijk_to_ras, dtype=float)[:3, :3]) > 0)
    if not is_right_handed(code) and code != own:
        mirror = code.translate(str.maketrans("LR", "RL"))
        raise LaminaError(
            f"The axis code {code} is left-handed and would swap the patient's left and right: check it, perhaps "
            f"{mirror} is meant."
        )
    if is_right_handed(code) and not file_is_right_handed:
        return code, [
            f"The file's own axes are left-handed ({own}) but {code} is right-handed, so the scan is shown mirrored in "
            "3D Slicer: check left and right."
        ]
    return code, []


def untrusted(reason: str) -> LaminaError:
    """Return the error that says that the orientation cannot be trusted, and what to give instead."""
    return LaminaError(
        f"The orientation of this scan cannot be trusted because {reason}: give the axis code with --axes, for example "
        "--axes LPS, one letter for the direction in which each of the file's axes runs."
    )


def scanned_extent_mm(array: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return the size of the box around everything that was scanned (is not zero).

    Measured on a subsampled array, so good to a few voxels.

    Parameters
    ----------
    array : ndarray, 3 axes
    spacing : ndarray, shape (3,)
        Millimeters per axis.

    Returns
    -------
    ndarray, shape (3,)
        Millimeters per axis; zeros if nothing was scanned.
    """
    sampled, steps = _subsample(array)
    scanned = sampled != 0
    extent = np.zeros(3)
    for axis in range(3):
        occupied = np.flatnonzero(scanned.any(axis=tuple(other for other in range(3) if other != axis)))
        if len(occupied):
            voxels = min((occupied[-1] - occupied[0] + 1) * steps[axis], array.shape[axis])
            extent[axis] = voxels * spacing[axis]
    return extent


def check_plausible(array: np.ndarray, spacing: np.ndarray) -> None:
    """Check from the data that an array which should be in IRA order can be a patient's spine in that order.

    A tracked freehand volume is often stored in the tracker's or the phantom's frame, and its directions then look
    like a patient's without being so. Two things give it away: the spine runs along the longest side, and the probe
    stands on the back, so that along axis 2 a scan begins with bright skin and ends in dark shadow. Left and right,
    or a spine that is upside down, cannot be told from the data.

    Parameters
    ----------
    array : ndarray, 3 axes
        IRA order, by the file's own directions.
    spacing : ndarray, shape (3,)
        Millimeters per axis.

    Raises
    ------
    LaminaError
        If it cannot be.
    """
    if reason := _implausible_length(array, spacing) or _implausible_side(array):
        raise untrusted(f"by its directions {reason}")


def code_warnings(array: np.ndarray, spacing: np.ndarray, code: str, whole_mm: float) -> list[str]:
    """Check from the data, as `check_plausible` does, an axis code that the user gave, who may know better.

    Parameters
    ----------
    array : ndarray, 3 axes
        IRA order, by the code.
    spacing : ndarray, shape (3,)
        Millimeters per axis.
    code : str
    whole_mm : float
        A scan without a side of this length is partial: it need not be longest along the spine nor show skin and
        shadow, so that only a probe on the wrong side counts.

    Returns
    -------
    list of str
        One warning or none.
    """
    partial = scanned_extent_mm(array, spacing).max() < whole_mm
    reason = "" if partial else _implausible_length(array, spacing)
    reason = reason or _implausible_side(array, only_opposite=partial)
    if not reason:
        return []
    return [f"With the axes {code} the scan does not look like a spine seen from behind ({reason}): check the code."]


def _implausible_length(array: np.ndarray, spacing: np.ndarray) -> str:
    """Return why the array cannot have the spine along axis 0; empty if it can."""
    extent = scanned_extent_mm(array, spacing)
    if extent[0] >= _MIN_LENGTH_RATIO * max(extent[1:]):
        return ""
    return (
        f"the spine would be {extent[0]:.0f} mm long, but the scan is {extent[1]:.0f} mm wide and "
        f"{extent[2]:.0f} mm deep"
    )


def _implausible_side(array: np.ndarray, only_opposite: bool = False) -> str:
    """Return why the probe cannot have stood at the start of axis 2; empty if it can."""
    depth = depth_asymmetry(array, axis=2)
    width = depth_asymmetry(array, axis=1)
    if depth <= -_MIN_ASYMMETRY and abs(depth) > abs(width):
        return "the probe would have stood on the patient's front"
    if not only_opposite and (depth < _MIN_ASYMMETRY or depth <= abs(width)):
        return "no bright skin lies on the patient's back with dark shadow in front of it"
    return ""


def depth_asymmetry(array: np.ndarray, axis: int) -> float:
    """Measure how much brighter a scan is where an axis enters it than where the axis leaves it.

    Each line along the axis is followed from its first to its last scanned voxel, so that a curved skin surface and
    empty borders do not matter; zeros in between count as dark, because deep shadow reaches zero. Lines that shadow
    or the edge of the fan cut short are left out.

    Parameters
    ----------
    array : ndarray, 3 axes
    axis : int

    Returns
    -------
    float
        (near - far) / (near + far) of the mean brightness in the first and the last 30 % of the lines, above the
        scan's darkest value: 1 if all brightness is near, 0 if it is symmetric, -1 if all is far.
    """
    lines = np.moveaxis(_subsample(array)[0], axis, -1)
    lines = lines.reshape(-1, lines.shape[-1])
    scanned = lines != 0
    kept = scanned.any(axis=1)
    lines, scanned = lines[kept], scanned[kept]
    if not len(lines):
        return 0.0
    first = scanned.argmax(axis=1)
    last = scanned.shape[1] - 1 - scanned[:, ::-1].argmax(axis=1)
    lengths = last - first + 1
    long = lengths >= 0.75 * np.percentile(lengths, 90)
    lines, first, lengths = lines[long].astype(np.float32), first[long], lengths[long]
    lines -= min(0.0, float(lines.min()))  # normalized scans have negative values; zero stays dark in all others
    relative = (np.arange(lines.shape[1]) - first[:, None]) / lengths[:, None]
    near = lines[(relative >= 0.0) & (relative < 0.3)].mean(dtype=np.float64)
    far = lines[(relative >= 0.7) & (relative < 1.0)].mean(dtype=np.float64)
    return float((near - far) / (near + far)) if near + far > 0 else 0.0


def _subsample(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a strided view of at most about two million voxels, and the steps; thin axes are kept whole."""
    steps = np.ones(3, dtype=int)
    while np.prod(-(-np.array(array.shape) // steps)) > _SAMPLED_VOXELS:
        steps[np.argmax(np.array(array.shape) / steps)] += 1
    return array[tuple(slice(None, None, step) for step in steps)], steps
