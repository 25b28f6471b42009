"""Scans: an array in anatomical order that travels with its matrix to the world of the file it came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from LaminaLabelingLib import orientation
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.image_files import check_matrix, read_image, write_image

MIN_VOXELS = 32
"""A side with fewer voxels than this cannot be a scan of a spine."""

WHOLE_SPINE_MM = (250.0, 600.0)
VOXEL_MM = (0.1, 3.0)
VOXEL_TOLERANCE = 2.0
"""A voxel outside `VOXEL_MM` by more than this factor is refused when a scan is read."""

MIN_DEPTH_MM = 15.0
"""No scan is shallower than this: laminae lie 15 mm and more under the skin."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan in anatomical order.

    Parameters
    ----------
    array : ndarray, shape (SI, LR, PA)
        IRA order: axis 0 increases towards inferior, axis 1 towards the patient's right, axis 2 towards anterior.
        Often a view into the array that was read, with the file's own data type.
    matrix : ndarray, shape (4, 4)
        From array indices to the file's own RAS world in mm, in which points lie on the scan in 3D Slicer. Index
        (0, 0, 0) is the center of the first voxel. When the orientation was given as an axis code, the axes of this
        world are not the patient's.
    axes : str
        Axis code of the file's i, j, k (see `orientation`), with which `to_kji` leads back to the file's grid.
    name : str
        File name without its folder.
    warnings : tuple of str
        What the user should know about this scan.

    Raises
    ------
    ValueError
        If the array has not three axes, or the matrix cannot be inverted.
    """

    array: np.ndarray
    matrix: np.ndarray
    axes: str = orientation.ARI
    name: str = ""
    warnings: tuple[str, ...] = ()
    _inverse: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"a volume has three axes, not {self.array.ndim}")
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], [0, 0, 0, 1]):
            raise ValueError("the matrix of a volume is a finite 4x4 affine matrix")
        if _is_singular(matrix):
            raise ValueError("the matrix of a volume must be invertible")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "axes", orientation.parse_code(self.axes))
        object.__setattr__(self, "warnings", tuple(self.warnings))
        object.__setattr__(self, "_inverse", np.linalg.inv(matrix[:3, :3]))

    @classmethod
    def from_ijk(cls, array_kji: np.ndarray, ijk_to_ras: np.ndarray, axes: str = "auto", name: str = "") -> "Volume":
        """Return a scan from an array as SimpleITK and `slicer.util.arrayFromVolume` give it.

        Parameters
        ----------
        array_kji : ndarray, shape (K, J, I)
            Not copied, unless its background is not 0: see Notes.
        ijk_to_ras : ndarray, shape (4, 4)
            From the file's (i, j, k) to RAS mm.
        axes : str
            ``"auto"`` reads the orientation off the matrix and checks it on the data; else an axis code, three letters.
        name : str
            File name without its folder, used in messages.

        Returns
        -------
        Volume
            With `warnings` about its physical size, handedness, background and, for an axis code, orientation.

        Raises
        ------
        LaminaError
            If it is no scan (2D, constant, too small, not finite, not scalar), or its orientation is wrong or, for
            ``"auto"``, cannot be trusted.

        Notes
        -----
        A value other than 0 that covers more than half of the scan's six faces is taken for "never scanned". The
        array then gets 0 there, and tissue starts at 1 (for floats at one 255th of its range).
        """
        called = f'"{name}"' if name else _("The scan")
        array_kji, background = _with_zero_background(_checked_array(np.asarray(array_kji), called))
        matrix = np.array(ijk_to_ras, dtype=np.float64)
        check_matrix(matrix, called)
        code, warnings = orientation.resolve_code(axes, matrix)
        array = orientation.to_ira(array_kji.transpose(2, 1, 0), code)
        volume = cls(array, matrix @ orientation.ira_to_ijk(code, array.shape), code, name)
        if _is_auto(axes):
            orientation.check_plausible(array, volume.spacing)
        else:
            warnings += orientation.code_warnings(array, volume.spacing, code, WHOLE_SPINE_MM[0])
        return replace(volume, warnings=(*warnings, *background, *_size_warnings(volume)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (SI, LR, PA)."""
        return self.array.shape

    @property
    def spacing(self) -> np.ndarray:
        """Millimeters per voxel along each array axis, shape (3,)."""
        return np.linalg.norm(self.matrix[:3, :3], axis=0)

    @property
    def extent_mm(self) -> np.ndarray:
        """Size of the array from edge to edge in mm along each axis, shape (3,)."""
        return self.spacing * self.shape

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """Matrix from the (i, j, k) indices of `to_kji`'s array to RAS mm, shape (4, 4)."""
        return self.matrix @ np.linalg.inv(orientation.ira_to_ijk(self.axes, self.shape))

    def to_world(self, indices: np.ndarray) -> np.ndarray:
        """Map array indices to RAS mm.

        Parameters
        ----------
        indices : array_like, shape (N, 3) or (3,)
            May lie between voxels and outside the array.

        Returns
        -------
        ndarray of float64, same shape
        """
        return np.asarray(indices, dtype=np.float64) @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def to_index(self, points: np.ndarray) -> np.ndarray:
        """Map points in RAS mm to array indices, the inverse of `to_world`.

        Parameters
        ----------
        points : array_like, shape (N, 3) or (3,)

        Returns
        -------
        ndarray of float64, same shape
        """
        return (np.asarray(points, dtype=np.float64) - self.matrix[:3, 3]) @ self._inverse.T

    def to_kji(self, array_ira: np.ndarray | None = None) -> np.ndarray:
        """Return an array of this volume's grid in the file's order, as SimpleITK and 3D Slicer expect it.

        Parameters
        ----------
        array_ira : ndarray, same shape as the volume, or None
            None takes the volume's own array.

        Returns
        -------
        ndarray, shape (K, J, I)
            A view.

        Raises
        ------
        ValueError
            If the shape is another one.
        """
        array_ira = self.array if array_ira is None else array_ira
        if array_ira.shape != self.shape:
            raise ValueError(f"the array has shape {array_ira.shape}, the volume {self.shape}")
        return orientation.from_ira(array_ira, self.axes).transpose(2, 1, 0)

    def crop(self, slices: Sequence[slice]) -> "Volume":
        """Return a box of the volume.

        Parameters
        ----------
        slices : sequence of 3 slices
            With step 1; the usual rules for missing and negative ends.

        Returns
        -------
        Volume
            A view, with the matrix moved to its first voxel.

        Raises
        ------
        ValueError
            If nothing is left, or a step is not 1.
        """
        if len(slices) != 3:
            raise ValueError("a crop needs three slices")
        bounds = [part.indices(size) for part, size in zip(slices, self.shape)]
        if any(step != 1 or stop <= start for start, stop, step in bounds):
            raise ValueError(f"crop to {bounds} of a volume of shape {self.shape}")
        matrix = self.matrix.copy()
        matrix[:3, 3] = self.to_world(np.array([start for start, _stop, _step in bounds]))
        box = tuple(slice(start, stop) for start, stop, _step in bounds)
        return replace(self, array=self.array[box], matrix=matrix)

    def with_array(self, array: np.ndarray, matrix: np.ndarray | None = None) -> "Volume":
        """Return a volume with another array.

        Parameters
        ----------
        array : ndarray, 3 axes, IRA order
        matrix : ndarray, shape (4, 4), or None
            None keeps the matrix, and then the shape must be the same.

        Returns
        -------
        Volume

        Raises
        ------
        ValueError
            If the shape changes without a new matrix.
        """
        if matrix is None and array.shape != self.shape:
            raise ValueError(f"an array of shape {array.shape} needs a matrix of its own; the volume has {self.shape}")
        return replace(self, array=array, matrix=self.matrix if matrix is None else matrix)


def read_volume(path: str | Path, axes: str = "auto") -> Volume:
    """Read a scan.

    Parameters
    ----------
    path : str or Path
        NRRD, NIfTI or MetaImage.
    axes : str
        ``"auto"`` or an axis code, see `Volume.from_ijk`.

    Returns
    -------
    Volume
        With the file's own data type, as a rule: see `Volume.from_ijk`.

    Raises
    ------
    LaminaError
        If the file cannot be used, or its voxels are far from the size of any scan's; the message says why.
    """
    image = read_image(path)
    spacing = np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0)
    if min(spacing) < VOXEL_MM[0] / VOXEL_TOLERANCE or max(spacing) > VOXEL_MM[1] * VOXEL_TOLERANCE:
        raise LaminaError(
            _(
                "The spacing of {called} looks wrong (unit spacing or centimeters?): a voxel is {size} mm; load it "
                "into 3D Slicer, set the spacing in millimeters in the module Volumes, and save it again."
            ).format(called=f'"{Path(path).name}"', size=_size_text(spacing))
        )
    if image.unknown_directions and _is_auto(axes):
        raise orientation.untrusted(image.unknown_directions)
    return Volume.from_ijk(image.array, image.ijk_to_ras, axes, Path(path).name)


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write a volume, compressed, either completely or not at all.

    The array is written as it lies in memory: the file's k, j, i are SI, LR and PA, the code ``ARI``, which is
    right-handed. Where a file is read with an axis code because its world is not the patient's, the written one
    needs the code ``ARI``.

    Parameters
    ----------
    volume : Volume
    path : str or Path
        Ends in .nrrd, .nii, .nii.gz or .mha.

    Raises
    ------
    LaminaError
        If the extension is another one, or the file cannot be written.
    """
    matrix = np.eye(4)
    matrix[:3] = volume.matrix[:3, [2, 1, 0, 3]]  # the file's i, j, k are the array axes 2, 1, 0
    write_image(volume.array, matrix, path)


def _is_auto(axes: str) -> bool:
    return axes.strip().lower() == "auto"


def _checked_array(array_kji: np.ndarray, called: str) -> np.ndarray:
    """Return the array if it can be a scan; see `Volume.from_ijk`."""
    if array_kji.ndim != 3:
        raise LaminaError(
            _("{called} has {count} dimensions: give one 3D scan with one value per voxel.").format(
                called=called, count=array_kji.ndim
            )
        )
    if array_kji.dtype.kind not in "iuf":
        raise LaminaError(
            _("{called} has voxels of type {type}: convert it to whole numbers or floats.").format(
                called=called, type=array_kji.dtype
            )
        )
    if min(array_kji.shape) < MIN_VOXELS:
        size = " x ".join(str(number) for number in reversed(array_kji.shape))
        raise LaminaError(
            _(
                "{called} has {size} voxels, which is too small for a scan of a spine: at least {least} are needed on "
                "each side; give the whole reconstructed volume."
            ).format(called=called, size=size, least=MIN_VOXELS)
        )
    if not array_kji.dtype.isnative:
        array_kji = array_kji.astype(array_kji.dtype.newbyteorder("="))
    low, high = array_kji.min(), array_kji.max()
    # A NaN makes both of them NaN, so that no second pass over the voxels is needed.
    if array_kji.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        raise LaminaError(
            _("{called} contains voxels that are not numbers (NaN or infinite): export it again.").format(called=called)
        )
    if low == high:
        raise LaminaError(
            _("{called} is empty: every voxel has the value {value}; check that the right volume was saved.").format(
                called=called, value=low
            )
        )
    return array_kji


def _with_zero_background(array_kji: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the array with 0 where it was never scanned, and a warning if that was another value before."""
    faces = np.concatenate([np.moveaxis(array_kji, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)])
    middle = faces.size // 2
    background = np.partition(faces, middle)[middle]  # a value that covers more than half is the median
    if background == 0 or 2 * np.count_nonzero(faces == background) <= faces.size:
        return array_kji, []
    tissue = array_kji != background
    smallest = array_kji.min(where=tissue, initial=array_kji.max())
    largest = array_kji.max(where=tissue, initial=array_kji.min())
    dtype, step = array_kji.dtype, 1
    if dtype.kind == "f":
        step = (largest - smallest) / 255 or 1
    elif (span := int(largest) - int(smallest) + 1) > np.iinfo(dtype).max:
        dtype = np.min_scalar_type(span)
    result = np.zeros_like(array_kji, dtype=dtype)
    # Whole numbers may wrap around on the way to a type of the same width without sign; the difference is right.
    np.subtract(array_kji, smallest, out=result, where=tissue, dtype=dtype, casting="unsafe")
    np.add(result, step, out=result, where=tissue, casting="unsafe")
    return result, [
        _(
            "The scan's background has the value {background:g} and not 0: it was taken for never scanned and set to 0."
        ).format(background=background)
    ]


def _size_text(spacing: np.ndarray) -> str:
    return " x ".join(f"{value:.3g}" for value in spacing)


def _size_warnings(volume: Volume) -> list[str]:
    """Return warnings about a physical size that no spine has, since every millimeter and angle depends on it."""
    spacing = volume.spacing
    length, _width, depth = orientation.scanned_extent_mm(volume.array, spacing)
    wrong_voxel = min(spacing) < VOXEL_MM[0] or max(spacing) > VOXEL_MM[1]
    if wrong_voxel or length > WHOLE_SPINE_MM[1] or depth < MIN_DEPTH_MM:
        return [
            _(
                "The spacing looks wrong (unit spacing or centimeters?): a voxel is {size} mm and the scan is "
                "{length:.0f} mm long and {depth:.0f} mm deep, and every distance and angle depends on it."
            ).format(size=_size_text(spacing), length=length, depth=depth)
        ]
    if length < WHOLE_SPINE_MM[0]:
        return [
            _(
                "The scan is {length:.0f} mm long and looks like a partial scan: a whole spine is {shortest:.0f} to "
                "{longest:.0f} mm long."
            ).format(length=length, shortest=WHOLE_SPINE_MM[0], longest=WHOLE_SPINE_MM[1])
        ]
    return []


def _is_singular(matrix: np.ndarray) -> bool:
    """Return whether the directions of a matrix do not span space, or an axis has no length."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return bool(not spacing.all() or abs(np.linalg.det(matrix[:3, :3] / spacing)) < 1e-6)
