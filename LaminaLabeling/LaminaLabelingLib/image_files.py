"""Image files through SimpleITK: voxels and matrix in and out, one clear sentence for everything else."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.image_checks import bad_geometry, check_file, damaged, formats

_IMAGE_IO = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
# Formats of two files are left out because two files cannot be replaced at once.
_WRITABLE = (".nrrd", ".nii", ".nii.gz", ".mha")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MAX_SHEAR = np.sin(np.radians(1.0))


@dataclass(frozen=True)
class RawImage:
    """What an image file holds.

    Parameters
    ----------
    array : ndarray, shape (K, J, I), or (K, J, I, C) for an image with C values per voxel
    ijk_to_ras : ndarray, shape (4, 4)
        From (i, j, k) to RAS mm.
    unknown_directions : str
        That the orientation cannot be trusted, and why, by what the file itself says: translated, a whole sentence
        but for its full stop. Empty if the file does not say so.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    unknown_directions: str = ""


def read_image(path: str | Path, components: bool = False) -> RawImage:
    """Read a 3D image.

    Parameters
    ----------
    path : str or Path
        NRRD, NIfTI or MetaImage. A fourth dimension of size 1 is dropped.
    components : bool
        Whether more than one value per voxel is allowed.

    Returns
    -------
    RawImage

    Raises
    ------
    LaminaError
        If there is no such file, or it is not a 3D image in one of these formats with valid directions.
    """
    import SimpleITK as sitk

    path = Path(path)
    called = f'"{path.name}"'
    extension = _extension(path)
    if _is_file(path) and not os.access(path, os.R_OK):
        raise LaminaError(_("{called} cannot be opened: check that you may read it.").format(called=called))
    if _is_folder(path):
        raise LaminaError(
            _(
                "{called} is a folder: give one file, or load the DICOM series in it into 3D Slicer, save it as NRRD "
                "and give that."
            ).format(called=called)
        )
    if not _is_file(path):
        raise LaminaError(
            _("There is no file {called} in that folder: check the name and the folder.").format(called=called)
        )
    if extension is None:
        raise LaminaError(
            _(
                "{called} is not in a format that can be read as a 3D scan: save it as {formats}, for example with "
                "3D Slicer."
            ).format(called=called, formats=formats())
        )
    reader = sitk.ImageFileReader()
    # The format is named, not guessed: a picture that was renamed to .mha must not be read as one.
    reader.SetImageIO(_IMAGE_IO[extension])
    check_file(path, _IMAGE_IO[extension])
    try:
        with _named_for_itk(path, extension) as readable, _without_warnings():
            reader.SetFileName(str(readable))
            reader.ReadImageInformation()
            _check_header(reader, called, components)
            unknown = _unknown_directions(reader, extension)
            image = reader.Execute()
    except RuntimeError as error:
        raise _read_error(called, str(error)) from error
    array = sitk.GetArrayFromImage(image)
    if image.GetDimension() == 4:
        array = array[0]
    matrix = _matrix_of(image)
    check_matrix(matrix, called)
    return RawImage(array, matrix, unknown)


def write_image(
    array_kji: np.ndarray, ijk_to_ras: np.ndarray, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a 3D image, compressed, either completely or not at all.

    Parameters
    ----------
    array_kji : ndarray, shape (K, J, I)
        Booleans are written as 8-bit numbers, 16-bit floats as 32-bit ones.
    ijk_to_ras : ndarray, shape (4, 4)
        From (i, j, k) to RAS mm.
    path : str or Path
        Ends in .nrrd, .nii, .nii.gz or .mha.
    metadata : mapping of str to str, or None
        Key and value pairs for the header of an NRRD file.

    Raises
    ------
    LaminaError
        If the extension is another one, or the file cannot be written.
    """
    import SimpleITK as sitk

    path = Path(path)
    if _extension(path) not in _WRITABLE:
        raise LaminaError(
            _("{called} cannot be written: give a name that ends in {extensions}.").format(
                called=f'"{path.name}"', extensions=", ".join(_WRITABLE)
            )
        )
    if array_kji.dtype in (np.bool_, np.float16):  # no image format has these
        array_kji = array_kji.astype(np.uint8 if array_kji.dtype == np.bool_ else np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array_kji))
    matrix = _LPS_TO_RAS @ ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    for key, value in (metadata or {}).items():
        image.SetMetaData(key, value)
    with atomic_path(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise LaminaError(
                _(
                    "{called} could not be written: check the space on the disk and your permission to write to the "
                    "folder, or choose .nrrd."
                ).format(called=f'"{path.name}"')
            ) from error


def check_matrix(matrix: np.ndarray, called: str) -> None:
    """Refuse a matrix whose axes have no length, are not finite or not at right angles.

    Distances along the axes are added as if they were at right angles everywhere in the library.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        From indices to mm.
    called : str
        The scan, as a message names it.

    Raises
    ------
    LaminaError
    """
    valid = matrix.shape == (4, 4) and bool(np.isfinite(matrix).all())
    if valid:
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        valid = bool((spacing > 0).all())
    if valid:
        directions = matrix[:3, :3] / spacing
        valid = bool(np.abs(directions.T @ directions - np.eye(3)).max() <= _MAX_SHEAR)
    if not valid:
        raise bad_geometry(called)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def _named_for_itk(path: Path, extension: str) -> Iterator[Path]:
    """Give a file by a name under which ITK reads the voxels of this file and of no other.

    ITK's NIfTI reader takes the voxels of ``scan.nii.gz`` from ``scan.nii`` without a word where there is one, and
    refuses extensions in mixed case. Such a file is read from a copy in a folder of its own.
    """
    ending = path.name[-len(extension) :]
    shadowed = extension == ".nii.gz" and path.with_name(path.name.removesuffix(ending[-3:])).exists()
    mixed = _IMAGE_IO[extension] == "NiftiImageIO" and ending not in (extension, extension.upper())
    if not shadowed and not mixed:
        yield path
        return
    with ExitStack() as stack:
        try:
            # What may be left of the copy on a system that does not delete open files is no reason to fail.
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            copy = Path(folder) / f"scan{extension}"
            shutil.copyfile(path, copy)
        except OSError as error:
            raise LaminaError(
                _(
                    "{called} has to be copied to be read, which failed: check the space on the disk for temporary "
                    "files, or move the file to a folder of its own and let its name end in {extension}."
                ).format(called=f'"{path.name}"', extension=extension)
            ) from error
        yield copy


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep ITK from printing warnings."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _extension(path: Path) -> str | None:
    """Return the extension by which the format is known, None for others."""
    name = path.name.lower()
    return next((extension for extension in sorted(_IMAGE_IO, key=len, reverse=True) if name.endswith(extension)), None)


def _check_header(reader, called: str, components: bool) -> None:
    """Refuse, before its voxels are read, a file that cannot be one 3D image."""
    size = reader.GetSize()
    if len(size) == 2 or (len(size) == 3 and 1 in size):
        raise LaminaError(_("{called} is a 2D image: give a 3D scan.").format(called=called))
    if len(size) > 4 or (len(size) == 4 and size[3] > 1):
        raise _too_many_dimensions(called)
    if reader.GetNumberOfComponents() != 1 and not components:
        raise LaminaError(
            _(
                "{called} has {count} values per voxel, like a color image: convert it to a scalar volume, for example "
                "with Vector to Scalar Volume in 3D Slicer."
            ).format(called=called, count=reader.GetNumberOfComponents())
        )


def _unknown_directions(reader, extension: str) -> str:
    """Return what a header says that does not know how its directions lie in the patient; see `RawImage`."""
    # Other keys may be in a character set that cannot be passed back to ITK.
    keys = ("sform_code", "qform_code", "NRRD_space")
    metadata = {key: reader.GetMetaData(key) for key in keys if reader.HasMetaDataKey(key)}
    if _IMAGE_IO[extension] == "NiftiImageIO" and not any(
        int(metadata.get(key, "1")) for key in ("sform_code", "qform_code")
    ):
        return _(
            "The orientation of this scan cannot be trusted because its NIfTI header marks the directions as unknown "
            "(sform_code and qform_code are 0)"
        )
    # ITK turns the patient spaces (RAS, LAS) into this one and passes the others, such as scanner-xyz, through.
    spaces = ("left-posterior-superior", "left-posterior-superior-time")
    if _IMAGE_IO[extension] == "NrrdImageIO" and metadata.get("NRRD_space") not in spaces:
        if reader.GetDimension() == 4:
            return _(
                "The orientation of this scan cannot be trusted because it is stored with a fourth dimension and not "
                "as a 3D volume (save it as one)"
            )
        return _(
            "The orientation of this scan cannot be trusted because its NRRD header does not say how its directions "
            "lie in the patient (the space field)"
        )
    return ""


def _matrix_of(image) -> np.ndarray:
    """Return the matrix from a SimpleITK image's (i, j, k) to RAS mm; of a 4D image, its spatial part."""
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    matrix[:3, 3] = image.GetOrigin()[:3]
    return _LPS_TO_RAS @ matrix


def _too_many_dimensions(called: str) -> LaminaError:
    return LaminaError(
        _("{called} has more than three dimensions: save one 3D volume of it and give that.").format(called=called)
    )


def _read_error(called: str, message: str) -> LaminaError:
    """Turn what ITK says into one sentence."""
    lowered = message.lower()
    if "allocate memory" in lowered:
        return LaminaError(
            _("{called} needs more memory than this computer has free: resample it to larger voxels.").format(
                called=called
            )
        )
    if "number of domain axes" in lowered:
        return _too_many_dimensions(called)
    if any(words in lowered for words in ("orthonormal", "determinant", "zero-valued spacing", "parsing spacings")):
        return bad_geometry(called)
    return damaged(called)
