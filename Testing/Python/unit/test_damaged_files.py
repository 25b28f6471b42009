"""Files that are cut short or damaged are refused, and nothing but our own sentence says so."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_scan import assert_one_sentence
from test_image_files import BAD_FILES, CUBE, DAMAGED, VOXELS, mha, nifti, nrrd

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import read_volume

NIFTI = nifti()
GZIPPED = gzip.compress(NIFTI)


def changed(content, offset, layout, *values):
    """Return the content with other values at an offset."""
    copy = bytearray(content)
    struct.pack_into(f"<{layout}", copy, offset, *values)
    return bytes(copy)


def written(tmp_path, extension, compressed=True):
    """Return what SimpleITK writes."""
    path = tmp_path / f"source{extension}"
    sitk.WriteImage(sitk.GetImageFromArray(CUBE), str(path), useCompression=compressed)
    content = path.read_bytes()
    path.unlink()
    return content


DAMAGED_FILES = {
    "half.nii": NIFTI[: len(NIFTI) // 2],
    "one byte short.nii": NIFTI[:-1],
    "cut in the header.nii": NIFTI[:300],
    "empty.nii": b"",
    "half.nii.gz": GZIPPED[: len(GZIPPED) // 2],
    "without its end.nii.gz": GZIPPED[:-4],
    "half, then compressed.nii.gz": gzip.compress(NIFTI[: len(NIFTI) // 2]),
    "half and not compressed.nii.gz": NIFTI[: len(NIFTI) // 2],
    "wrong bits.nii.gz": GZIPPED[:30000] + bytes(1000) + GZIPPED[31000:],
    "wrong sum.nii.gz": GZIPPED[:-8] + bytes(8),
    "compressed.nii": GZIPPED,
    "no such type.nii": changed(NIFTI, 70, "h", 99),
    "negative size.nii": changed(NIFTI, 42, "h", -40),
    "endless header.nii": changed(NIFTI, 108, "f", np.inf),
    "nine dimensions.nii": changed(NIFTI, 40, "h", 9),
    "half.mha": mha()[:30000],
    "lines of text.mha": b"This is not an image.\n" * 50,
    "no number.mha": mha(NDims="three"),
    "no size.mha": mha().replace(b"DimSize = 40 40 40\n", b""),
    "no type.mha": mha().replace(b"ElementType = MET_UCHAR\n", b""),
    "two sizes.mha": mha(DimSize="40 40"),
    "no such type.mha": mha(ElementType="MET_THING"),
    "not compressed.mha": mha(CompressedData="True"),
    "bytes.mha": bytes(range(256)) * 20,
    "half.nrrd": nrrd()[:30000],
}


@pytest.mark.parametrize("name", DAMAGED_FILES)
def test_a_damaged_file_is_refused_and_only_we_say_so(tmp_path, capfd, name):
    (tmp_path / name).write_bytes(DAMAGED_FILES[name])
    with pytest.raises(LaminaError, match=DAMAGED) as caught:
        read_volume(tmp_path / name, "LPS")
    assert_one_sentence(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("extension", [".mha", ".nrrd", ".nii.gz"])
def test_a_compressed_file_that_is_cut_short_is_refused_in_silence(tmp_path, capfd, extension):
    path = tmp_path / f"scan{extension}"
    content = written(tmp_path, extension)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(LaminaError, match=DAMAGED):
        read_volume(path, "LPS")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", BAD_FILES)
def test_every_other_file_that_cannot_be_used_is_refused_in_silence(tmp_path, capfd, name):
    (tmp_path / name).write_bytes(BAD_FILES[name][0])
    with pytest.raises(LaminaError):
        read_volume(tmp_path / name, "LPS")
    assert capfd.readouterr() == ("", "")


def test_a_nifti_2_file_is_called_one(tmp_path, capfd):
    path = tmp_path / "scan.nii"
    path.write_bytes(struct.pack("<i8s", 540, b"n+2\0\r\n\x1a\n").ljust(544, b"\0") + VOXELS)
    with pytest.raises(LaminaError, match="is a NIfTI-2 file") as caught:
        read_volume(path, "LPS")
    assert_one_sentence(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("not compressed.nii.gz", NIFTI),
        ("with more behind.nii", NIFTI + b"more"),
        ("no fourth size.nii", changed(changed(NIFTI, 40, "h", 4), 48, "h", 0)),
        ("Latin comment.mha", mha(Comment="name").replace(b"name", b"F\xfcr")),
        ("Latin key.mha", mha(Comment="name").replace(b"Comment", b"F\xfcr")),
        ("empty line.mha", b"\n" + mha()),
    ],
)
def test_what_is_only_unusual_is_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(read_volume(tmp_path / name, "LPS").to_kji(), CUBE)


@pytest.mark.parametrize("extension", [".mha", ".mhd", ".nii", ".nii.gz", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_whole_files_of_every_type_are_read(tmp_path, extension, compressed, dtype):
    array = CUBE.astype(dtype)
    path = tmp_path / f"scan{extension}"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), useCompression=compressed)
    np.testing.assert_array_equal(read_volume(path, "LPS").to_kji(), array)
