"""What the voxels of a scan say about its orientation: whether they can be a spine, scanned from behind.

Every array has the order ``IRA``, see `orientation`.
"""

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _

_MIN_LENGTH_RATIO = 1.2
_MIN_ASYMMETRY = 0.12
_SAMPLED_VOXELS = 2_000_000


def untrusted(problem: str) -> LaminaError:
    """Return the error for an orientation that cannot be trusted, which says what to give instead.

    Parameters
    ----------
    problem : str
        That it cannot be trusted, and why: translated, a whole sentence but for its full stop.

    Returns
    -------
    LaminaError
    """
    return LaminaError(
        _(
            "{problem}: give the axis code with --axes, for example --axes LPS, one letter for the direction in which "
            "each of the file's axes runs."
        ).format(problem=problem)
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
    if problem := _implausible_length(array, spacing) or _implausible_side(array):
        raise untrusted(problem)


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
    warning = "" if partial else _implausible_length(array, spacing, code)
    warning = warning or _implausible_side(array, code, only_opposite=partial)
    return [warning] if warning else []


def _implausible_length(array: np.ndarray, spacing: np.ndarray, code: str | None = None) -> str:
    """Return why the array cannot have the spine along axis 0; empty if it can.

    For the file's own directions (None) it is the problem that `untrusted` takes, for a code a warning: two texts,
    because few languages could put one reason into both sentences.
    """
    extent = scanned_extent_mm(array, spacing)
    if extent[0] >= _MIN_LENGTH_RATIO * max(extent[1:]):
        return ""
    if code is None:
        text = _(
            "The orientation of this scan cannot be trusted because by its directions the spine would be "
            "{length:.0f} mm long, but the scan is {width:.0f} mm wide and {depth:.0f} mm deep"
        )
    else:
        text = _(
            "With the axes {code} the scan does not look like a spine seen from behind (the spine would be "
            "{length:.0f} mm long, but the scan is {width:.0f} mm wide and {depth:.0f} mm deep): check the code."
        )
    return text.format(code=code, length=extent[0], width=extent[1], depth=extent[2])


def _implausible_side(array: np.ndarray, code: str | None = None, only_opposite: bool = False) -> str:
    """Return why the probe cannot have stood at the start of axis 2, as `_implausible_length` does; empty if it can."""
    depth = depth_asymmetry(array, axis=2)
    width = depth_asymmetry(array, axis=1)
    if depth <= -_MIN_ASYMMETRY and abs(depth) > abs(width):
        if code is None:
            return _(
                "The orientation of this scan cannot be trusted because by its directions the probe would have stood "
                "on the patient's front"
            )
        return _(
            "With the axes {code} the scan does not look like a spine seen from behind (the probe would have stood on "
            "the patient's front): check the code."
        ).format(code=code)
    if not only_opposite and (depth < _MIN_ASYMMETRY or depth <= abs(width)):
        if code is None:
            return _(
                "The orientation of this scan cannot be trusted because by its directions no bright skin lies on the "
                "patient's back with dark shadow in front of it"
            )
        return _(
            "With the axes {code} the scan does not look like a spine seen from behind (no bright skin lies on the "
            "patient's back with dark shadow in front of it): check the code."
        ).format(code=code)
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
