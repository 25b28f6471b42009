"""Image files that ITK must not read, because it would complain on the terminal or fill up with zeros silently."""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _

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
    "magic": ("4s", 344),
}
_NIFTI_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1792: 16}
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_META_TRUE = ("T", "t", "1")
_META_BYTES |= {f"U{kind}": size for kind, size in _META_BYTES.items()}


def check_file(path: Path, image_io: str) -> None:
    """Refuse a file that ITK would complain about on the terminal, or complete with zeros without a word."""
    check = {"NiftiImageIO": _check_nifti, "MetaImageIO": _check_meta_image}.get(image_io)
    try:
        if check is not None:
            check(path)
    except PermissionError as error:
        raise LaminaError(
            _("{called} cannot be opened: check that you may read it and its voxels.").format(called=_called(path))
        ) from error
    except (EOFError, OSError, OverflowError, ValueError, struct.error, zlib.error) as error:
        raise damaged(_called(path)) from error


def _check_nifti(path: Path) -> None:
    """Refuse a NIfTI file that is too short, whose voxels are elsewhere, or without valid spacing or directions.

    ITK would take the header for voxels, or 1 mm for the spacing, silently.
    """
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    if compressed and not path.name.lower().endswith(".gz"):
        raise damaged(_called(path))  # ITK goes by the name
    with gzip.open(path) if compressed else open(path, "rb") as file:
        header = file.read(_NIFTI_HEADER)
        length = len(header) + _rest_length(file) if compressed else path.stat().st_size
    order = next((order for order in "<>" if header[:4] == struct.pack(f"{order}i", _NIFTI_HEADER)), None)
    if order is None:
        if header[4:7] == b"n+2":
            raise LaminaError(
                _("{called} is a NIfTI-2 file, which cannot be read: save it as NRRD or NIfTI-1.").format(
                    called=_called(path)
                )
            )
        raise damaged(_called(path))
    fields = {
        key: struct.unpack_from(order + layout, header, offset) for key, (layout, offset) in _NIFTI_FIELDS.items()
    }
    (qform_code,), (sform_code,) = fields["qform_code"], fields["sform_code"]
    used = fields["sform"] if sform_code > 0 else fields["qform"] if qform_code > 0 else ()
    no_spacing = sform_code == 0 and 0.0 in fields["pixdim"]
    if no_spacing or not np.isfinite([*used, *fields["pixdim"]]).all():
        raise bad_geometry(_called(path))
    count, *sizes = fields["dim"]
    voxel_bytes = _NIFTI_BYTES.get(fields["datatype"][0])
    if not 1 <= count <= 7 or sizes[0] < 1 or voxel_bytes is None:
        raise damaged(_called(path))
    voxels = math.prod(max(1, size) for size in sizes[:count])
    if fields["magic"][0][:3] != b"n+1" and fields["vox_offset"][0] < _NIFTI_HEADER:
        raise damaged(_called(path))  # the header of a pair of files
    if length < max(int(fields["vox_offset"][0]), _NIFTI_HEADER) + voxels * voxel_bytes:
        raise damaged(_called(path))


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
                raise damaged(_called(path))
            if match is not None:
                fields[match[1]] = match[2]
        start = file.tell()
    sizes = [int(size) for size in fields.get("DimSize", "").split()]
    if "ElementType" not in fields or not sizes or len(sizes) != int(fields.get("NDims", 0)) or min(sizes) < 1:
        raise damaged(_called(path))
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
        raise damaged(_called(path))


def _inflated_length(file) -> int:
    """Return the length of what the rest of a file holds compressed."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out itself whether it is zlib or gzip
    length = 0
    while not inflater.eof and (chunk := file.read(_CHUNK)):
        length += len(inflater.decompress(chunk))
    return length


def formats() -> str:
    """Return the formats that can be read, as a message names them."""
    return _("NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz) or MetaImage (.mha, .mhd)")


def bad_geometry(called: str) -> LaminaError:
    """Return the error for directions or a spacing that cannot be used.

    Parameters
    ----------
    called : str
        The scan, as a message names it.

    Returns
    -------
    LaminaError
    """
    return LaminaError(
        _(
            "{called} has axis directions or a spacing that are not valid (zero, parallel or not at right angles): "
            "load it into 3D Slicer, correct or resample it, and save it again."
        ).format(called=called)
    )


def damaged(called: str) -> LaminaError:
    """Return the error for a file that is not what its name says; `called` as for `bad_geometry`."""
    return LaminaError(
        _("{called} cannot be read as a 3D scan: it is damaged or not what its extension says; give {formats}.").format(
            called=called, formats=formats()
        )
    )


def _called(path: Path) -> str:
    return f'"{path.name}"'
