"""Image files through SimpleITK: voxels and matrix in and out, one clear sentence for everything else."""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError

FORMATS = "NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz) or MetaImage (.mha, .mhd)"

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

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_NIFTI_HEADER = 348
# Format and offset of each field that is looked at.
_NIFTI_FIELDS = {
    "dim": ("8h", 40),
    "datatype": ("h", 70),
    "pixdim": ("3f", 80),
    "vox_offset": ("f", 108),
    "qform_code": ("h", 252),
    "sform_code": ("h", 254),
    "qform": ("6f", 256),
    "sform": ("12f", 280),
}
_NIFTI_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1792: 16}
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_META_TRUE = ("T", "t", "1")
_META_BYTES |= {f"U{kind}": size for kind, size in _META_BYTES.items()}


@dataclass(frozen=True)
class RawImage:
    """What an image file holds.

    Parameters
    ----------
    array : ndarray, shape (K, J, I), or (K, J, I, C) for an image with C values per voxel
    ijk_to_ras : ndarray, shape (4, 4)
        From (i, j, k) to RAS mm.
    unknown_directions : str
        Why the file's directions are not those of a patient, by what the file itself says; empty if it does not.
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
    extension = _extension(path)
    if _is_folder(path):
        raise LaminaError(
            f'"{path.name}" is a folder: give one file, or load the DICOM series in it into 3D Slicer, save it as NRRD '
            "and give that."
        )
    if not _is_file(path):
        raise LaminaError(f'There is no file "{path.name}" in that folder: check the name and the folder.')
    if extension is None:
        raise LaminaError(
            f'"{path.name}" is not in a format that can be read as a 3D scan: save it as {FORMATS}, for example with '
            "3D Slicer."
        )
    reader = sitk.ImageFileReader()
    # The format is named, not guessed: a picture that was renamed to .mha must not be read as one.
    reader.SetImageIO(_IMAGE_IO[extension])
    reader.SetFileName(str(path))
    _check_file(path, _IMAGE_IO[extension])
    try:
        with _without_warnings():
            reader.ReadImageInformation()
            _check_header(reader, path.name, components)
            unknown = _unknown_directions(reader, extension)
            image = reader.Execute()
    except RuntimeError as error:
        raise _read_error(path.name, str(error)) from error
    array = sitk.GetArrayFromImage(image)
    if image.GetDimension() == 4:
        array = array[0]
    matrix = _matrix_of(image)
    check_matrix(matrix, f'"{path.name}"')
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
        raise LaminaError(f'"{path.name}" cannot be written: give a name that ends in {", ".join(_WRITABLE)}.')
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
                f'"{path.name}" could not be written: check the space on the disk and your permission to write to '
                "the folder, or choose .nrrd."
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
        raise _bad_geometry(called)


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


def _check_header(reader, name: str, components: bool) -> None:
    """Refuse, before its voxels are read, a file that cannot be one 3D image."""
    size = reader.GetSize()
    if len(size) == 2 or (len(size) == 3 and 1 in size):
        raise LaminaError(f'"{name}" is a 2D image: give a 3D scan.')
    if len(size) > 4 or (len(size) == 4 and size[3] > 1):
        raise _too_many_dimensions(name)
    if reader.GetNumberOfComponents() != 1 and not components:
        raise LaminaError(
            f'"{name}" has {reader.GetNumberOfComponents()} values per voxel, like a color image: convert it to a '
            "scalar volume, for example with Vector to Scalar Volume in 3D Slicer."
        )


def _unknown_directions(reader, extension: str) -> str:
    """Return why the header says that its directions are not a patient's, empty if it does not say so."""
    # Other keys may be in a character set that cannot be passed back to ITK.
    keys = ("sform_code", "qform_code", "NRRD_space")
    metadata = {key: reader.GetMetaData(key) for key in keys if reader.HasMetaDataKey(key)}
    if _IMAGE_IO[extension] == "NiftiImageIO" and not any(
        int(metadata.get(key, "1")) for key in ("sform_code", "qform_code")
    ):
        return "its NIfTI header marks the directions as unknown (sform_code and qform_code are 0)"
    # ITK turns the patient spaces (RAS, LAS) into this one and passes the others, such as scanner-xyz, through.
    spaces = ("left-posterior-superior", "left-posterior-superior-time")
    if _IMAGE_IO[extension] == "NrrdImageIO" and metadata.get("NRRD_space") not in spaces:
        if reader.GetDimension() == 4:
            return "it is stored with a fourth dimension and not as a 3D volume (save it as one)"
        return "its NRRD header does not say how its directions lie in the patient (the space field)"
    return ""


def _check_file(path: Path, image_io: str) -> None:
    """Refuse a file that ITK would complain about on the terminal, or complete with zeros without a word."""
    check = {"NiftiImageIO": _check_nifti, "MetaImageIO": _check_meta_image}.get(image_io)
    try:
        if check is not None:
            check(path)
    except PermissionError as error:
        raise LaminaError(f'"{path.name}" cannot be opened: check that you may read it and its voxels.') from error
    except (EOFError, OSError, OverflowError, ValueError, struct.error, zlib.error) as error:
        raise _damaged(path.name) from error


def _check_nifti(path: Path) -> None:
    """Refuse a NIfTI file that is too short, or has no valid spacing or directions (1 mm would be taken silently)."""
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    if compressed and not path.name.lower().endswith(".gz"):
        raise _damaged(path.name)  # ITK goes by the name
    with gzip.open(path) if compressed else open(path, "rb") as file:
        header = file.read(_NIFTI_HEADER)
        length = len(header) + _rest_length(file) if compressed else path.stat().st_size
    order = next((order for order in "<>" if header[:4] == struct.pack(f"{order}i", _NIFTI_HEADER)), None)
    if order is None:
        if header[4:7] == b"n+2":
            raise LaminaError(f'"{path.name}" is a NIfTI-2 file, which cannot be read: save it as NRRD or NIfTI-1.')
        raise _damaged(path.name)
    fields = {
        key: struct.unpack_from(order + layout, header, offset) for key, (layout, offset) in _NIFTI_FIELDS.items()
    }
    (qform_code,), (sform_code,) = fields["qform_code"], fields["sform_code"]
    used = fields["sform"] if sform_code > 0 else fields["qform"] if qform_code > 0 else ()
    no_spacing = sform_code == 0 and 0.0 in fields["pixdim"]
    if no_spacing or not np.isfinite([*used, *fields["pixdim"]]).all():
        raise _bad_geometry(f'"{path.name}"')
    count, *sizes = fields["dim"]
    voxel_bytes = _NIFTI_BYTES.get(fields["datatype"][0])
    if not 1 <= count <= 7 or sizes[0] < 1 or voxel_bytes is None:
        raise _damaged(path.name)
    voxels = math.prod(max(1, size) for size in sizes[:count])
    if length < max(int(fields["vox_offset"][0]), _NIFTI_HEADER) + voxels * voxel_bytes:
        raise _damaged(path.name)


def _rest_length(file) -> int:
    """Return how many bytes are left to read."""
    return sum(len(chunk) for chunk in iter(lambda: file.read(_CHUNK), b""))


def _check_meta_image(path: Path) -> None:
    """Refuse a MetaImage whose header lacks a field, or whose voxels are not all there."""
    fields = {}
    with open(path, "rb") as file:
        while "ElementDataFile" not in fields:
            line = file.readline(_CHUNK).decode("utf-8", "surrogateescape")
            match = re.match(r"\s*([^=:]+?)\s*[=:]\s*(.*?)\s*$", line)
            if not line or (line.strip() and match is None):
                raise _damaged(path.name)
            if match is not None:
                fields[match[1]] = match[2]
        start = file.tell()
    sizes = [int(size) for size in fields.get("DimSize", "").split()]
    if "ElementType" not in fields or not sizes or len(sizes) != int(fields.get("NDims", 0)) or min(sizes) < 1:
        raise _damaged(path.name)
    voxels = fields["ElementDataFile"]
    if "%" in voxels or voxels.startswith("LIST"):
        return  # a series of files, which is left to ITK
    local = voxels.upper() == "LOCAL"
    voxel_bytes = _META_BYTES.get(fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY"), 0)
    needed = math.prod(sizes) * int(fields.get("ElementNumberOfChannels", 1)) * voxel_bytes
    if not fields.get("BinaryData", "").startswith(_META_TRUE):
        needed = 0  # written as text
    with open(path if local else path.parent / voxels, "rb") as file:
        file.seek(start if local else max(0, int(fields.get("HeaderSize", 0))))
        compressed = fields.get("CompressedData", "").startswith(_META_TRUE)
        length = _inflated_length(file) if compressed else _rest_length(file)
    if length < needed:
        raise _damaged(path.name)


def _inflated_length(file) -> int:
    """Return the length of what the rest of a file holds compressed."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out itself whether it is zlib or gzip
    length = 0
    while not inflater.eof and (chunk := file.read(_CHUNK)):
        length += len(inflater.decompress(chunk))
    return length


def _matrix_of(image) -> np.ndarray:
    """Return the matrix from a SimpleITK image's (i, j, k) to RAS mm; of a 4D image, its spatial part."""
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    matrix[:3, 3] = image.GetOrigin()[:3]
    return _LPS_TO_RAS @ matrix


def _bad_geometry(called: str) -> LaminaError:
    return LaminaError(
        f"{called} has axis directions or a spacing that are not valid (zero, parallel or not at right angles): "
        "load it into 3D Slicer, correct or resample it, and save it again."
    )


def _too_many_dimensions(name: str) -> LaminaError:
    return LaminaError(f'"{name}" has more than three dimensions: save one 3D volume of it and give that.')


def _read_error(name: str, message: str) -> LaminaError:
    """Turn what ITK says into one sentence."""
    lowered = message.lower()
    if "allocate memory" in lowered:
        return LaminaError(f'"{name}" needs more memory than this computer has free: resample it to larger voxels.')
    if "number of domain axes" in lowered:
        return _too_many_dimensions(name)
    if any(words in lowered for words in ("orthonormal", "determinant", "zero-valued spacing", "parsing spacings")):
        return _bad_geometry(f'"{name}"')
    return _damaged(name)


def _damaged(name: str) -> LaminaError:
    return LaminaError(
        f'"{name}" cannot be read as a 3D scan: it is damaged or not what its extension says; give {FORMATS}.'
    )
