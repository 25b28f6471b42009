"""Every kind of file that cannot be used gives one clear sentence."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_scan import assert_one_sentence, scan_ira, stored

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.image_files import check_matrix, read_image
from LaminaLabelingLib.volumes import Volume, read_volume

CUBE = np.random.default_rng(3).integers(0, 255, (40, 40, 40), dtype=np.uint8)
VOXELS = CUBE.tobytes()
LPS_SPACE = "space: left-posterior-superior\nspace origin: (0,0,0)\n"
STRAIGHT = "space directions: (1,0,0) (0,1,0) (0,0,1)"


def nrrd(fields=LPS_SPACE + STRAIGHT, sizes="40 40 40", voxels=VOXELS):
    dimension = len(sizes.split())
    header = f"NRRD0004\ntype: uint8\ndimension: {dimension}\nsizes: {sizes}\nencoding: raw\n{fields.strip()}"
    return header.strip().encode() + b"\n\n" + voxels


def mha(**changes):
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "1 1 1",
        "DimSize": "40 40 40",
        "ElementType": "MET_UCHAR",
    }
    lines = [f"{key} = {value}\n" for key, value in (fields | changes).items()]
    return "".join([*lines, "ElementDataFile = LOCAL\n"]).encode() + VOXELS


def nifti(sform_code=1, qform_code=0, rows=None, pixdim=(1, 1, 1), dim=(3, 40, 40, 40, 1)):
    """A NIfTI-1 header is 348 bytes; the numbers are the offsets of its fields."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<5h", header, 40, *dim)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<4f", header, 76, 1, *pixdim)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<2h", header, 252, qform_code, sform_code)
    rows = rows or [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0]]
    struct.pack_into("<12f", header, 280, *np.ravel(rows))
    header[344:348] = b"n+1\0"
    return bytes(header) + VOXELS


def picture(extension, tmp_path):
    path = tmp_path / f"source{extension}"
    sitk.WriteImage(sitk.GetImageFromArray(CUBE[0]), str(path))
    content = path.read_bytes()
    path.unlink()
    return content


GEOMETRY = "axis directions or a spacing that are not valid"
DAMAGED = "cannot be read as a 3D scan"
BAD_FILES = {
    "singular.nrrd": (nrrd(LPS_SPACE + "space directions: (1,0,0) (1,0,0) (0,0,1)"), GEOMETRY),
    "zero spacing.nrrd": (nrrd(LPS_SPACE + "space directions: (0,0,0) (0,1,0) (0,0,1)"), GEOMETRY),
    "sheared.nrrd": (nrrd(LPS_SPACE + "space directions: (1,0,0) (0.3,1,0) (0,0,1)"), GEOMETRY),
    "zero spacings.nrrd": (nrrd("spacings: 1 0 1"), GEOMETRY),
    "singular.mha": (mha(TransformMatrix="1 0 0 1 0 0 0 0 1"), GEOMETRY),
    "all zero.mha": (mha(TransformMatrix="0 0 0 0 0 0 0 0 0"), GEOMETRY),
    "zero spacing.mha": (mha(ElementSpacing="0 1 1"), GEOMETRY),
    "sheared.mha": (mha(TransformMatrix="1 0 0 0.3 0.9 0 0 0 1"), GEOMETRY),
    "singular.nii": (nifti(rows=[[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]), GEOMETRY),
    "sheared.nii": (nifti(rows=[[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]), GEOMETRY),
    "nan.nii": (nifti(rows=[[np.nan] * 4] * 3), GEOMETRY),
    "zero spacing.nii": (nifti(0, 1, pixdim=(0, 1, 1)), GEOMETRY),
    "zero spacing.nii.gz": (gzip.compress(nifti(0, 1, pixdim=(1, 1, 0))), GEOMETRY),
    "flat.nrrd": (nrrd("", "40 1600"), "is a 2D image"),
    "one slice.nrrd": (nrrd(sizes="40 1600 1"), "is a 2D image"),
    "frames.nrrd": (nrrd("", "40 40 20 2"), "more than three dimensions"),
    "frames with space.nrrd": (nrrd(LPS_SPACE + STRAIGHT + " none", "40 40 20 2"), "more than three dimensions"),
    "frames.nii": (nifti(dim=(4, 40, 40, 20, 2)), "more than three dimensions"),
    "color.nrrd": (
        nrrd(
            LPS_SPACE + "space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: RGB-color domain domain domain",
            "3 40 40 40",
            VOXELS * 3,
        ),
        "has 3 values per voxel",
    ),
    "small.nrrd": (nrrd(sizes="31 40 50", voxels=VOXELS[:62000]), "31 x 40 x 50 voxels, which is too small"),
    "constant.nrrd": (nrrd(voxels=b"\7" * 64000), "is empty: every voxel has the value 7"),
    "cut short.nrrd": (nrrd()[:5000], DAMAGED),
    "text.nrrd": (b"This is not an image.", DAMAGED),
    "nothing.mha": (b"", DAMAGED),
    "text.nii": (b"This is not an image. " * 50, DAMAGED),
    "text.nii.gz": (b"This is not compressed. " * 50, DAMAGED),
    "too large.nrrd": (nrrd(sizes="40000 40000 40000"), "needs more memory"),
    "voxels elsewhere.mhd": (mha(ElementDataFile="gone.raw").replace(b"ElementDataFile = LOCAL\n", b""), DAMAGED),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_gives_one_sentence(tmp_path, name):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LaminaError, match=message) as caught:
        read_volume(tmp_path / name, "LPS")
    assert_one_sentence(caught.value)
    assert f'"{name}"' in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("straight.nrrd", nrrd()),
        ("left-handed.nrrd", nrrd(LPS_SPACE + "space directions: (-1,0,0) (0,1,0) (0,0,1)")),
        ("without space.nrrd", nrrd("")),
        ("one frame.nrrd", nrrd("", "40 40 40 1")),
        ("straight.mha", mha()),
        ("straight.nii", nifti()),
        ("by qform.nii", nifti(0, 1)),
        ("without directions.nii", nifti(0, 0)),
        ("compressed.nii.gz", gzip.compress(nifti())),
        ("one frame.nii", nifti(dim=(4, 40, 40, 40, 1))),
        ("CAPITALS.NRRD", nrrd()),
        ("Ümläut.nrrd", nrrd()),
    ],
)
def test_the_same_files_without_the_fault_are_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    volume = read_volume(tmp_path / name, "LPS")
    np.testing.assert_array_equal(volume.to_kji(), CUBE)
    assert volume.name == name


@pytest.mark.parametrize("renamed", [".nrrd", ".mha", ".nii", ".nii.gz", ".mhd"])
@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_a_renamed_picture_is_not_read_as_a_scan(tmp_path, kind, renamed):
    path = tmp_path / f"picture{renamed}"
    path.write_bytes(picture(kind, tmp_path))
    with pytest.raises(LaminaError, match=DAMAGED) as caught:
        read_volume(path)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg", "slice.dcm", "volume.tiff", "volume.npy", "volume"])
def test_other_formats_are_refused_by_their_extension(tmp_path, name):
    (tmp_path / name).write_bytes(nrrd())
    with pytest.raises(LaminaError, match="not in a format that can be read") as caught:
        read_volume(tmp_path / name)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("name", ["none.nrrd", "none.png", "n" * 300 + ".nrrd"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(LaminaError, match=f'no file "{name}"') as caught:
        read_volume(tmp_path / name)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("name", ["DICOM", "folder.nrrd"])
def test_a_folder_is_called_one_and_a_file_is_asked_for(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(LaminaError, match=f'"{name}" is a folder: give one file, or load the DICOM series') as caught:
        read_volume(tmp_path / name)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_that_are_not_finite_are_refused(tmp_path, value, dtype):
    array = CUBE.astype(dtype)
    array[11, 12, 13] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "scan.mha"))
    with pytest.raises(LaminaError, match="not numbers") as caught:
        read_volume(tmp_path / "scan.mha", "LPS")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (CUBE[0], "The scan has 2 dimensions"),
        (CUBE[None], "The scan has 4 dimensions"),
        (CUBE > 100, "voxels of type bool"),
        (CUBE.astype(complex), "voxels of type complex128"),
    ],
)
def test_an_array_that_is_no_scan_is_refused(array, message):
    with pytest.raises(LaminaError, match=message) as caught:
        Volume.from_ijk(array, np.diag([-1.0, -1.0, 1.0, 1.0]), "LPS")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((4, 4)), np.full((4, 4), np.inf), np.eye(3), np.diag([1.0, 0.0, 1.0, 1.0]), np.ones((4, 4))],
)
def test_a_matrix_that_is_no_geometry_is_refused(matrix):
    with pytest.raises(LaminaError, match=GEOMETRY) as caught:
        check_matrix(matrix, "The scan")
    assert_one_sentence(caught.value)
    with pytest.raises(LaminaError, match=GEOMETRY):
        Volume.from_ijk(CUBE, matrix, "LPS")


WHOLE_SPINE = "space directions: (2.5,0,0) (0,2.5,0) (0,0,2.5)"


def whole_spine(fields, code="LPS"):
    array, _ = stored(scan_ira(), code)
    return nrrd(fields, " ".join(str(size) for size in array.shape[::-1]), array.tobytes())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scan.nrrd", whole_spine("spacings: 2.5 2.5 2.5"), "NRRD header does not say how its directions lie"),
        ("scanner.nrrd", whole_spine("space: scanner-xyz\n" + WHOLE_SPINE), "does not say how its directions lie"),
        ("scan.nii", nifti(0, 0), "its NIfTI header marks the directions as unknown"),
    ],
)
def test_auto_refuses_directions_that_the_file_itself_calls_unknown(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LaminaError, match=message) as caught:
        read_volume(tmp_path / name)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("space", "code"), [("left-posterior-superior", "LPS"), ("LPS", "LPS"), ("right-anterior-superior", "RAS")]
)
def test_auto_accepts_the_same_scan_with_a_patients_directions(tmp_path, space, code):
    (tmp_path / "scan.nrrd").write_bytes(whole_spine(f"space: {space}\n{WHOLE_SPINE}", code))
    assert read_volume(tmp_path / "scan.nrrd").axes == code
    assert read_image(tmp_path / "scan.nrrd").unknown_directions == ""


ONE_FRAME = "space directions: (2.5,0,0,0) (0,2.5,0,0) (0,0,2.5,0) (0,0,0,1)\nspace origin: (0,0,0,0)"


def one_frame(fields):
    array, _ = stored(scan_ira(), "LPS")
    return nrrd(fields, " ".join(str(size) for size in (*array.shape[::-1], 1)), array.tobytes())


@pytest.mark.parametrize(
    "fields",
    [
        f"space: left-posterior-superior-time\n{ONE_FRAME}",
        f"space: left-posterior-superior\n{WHOLE_SPINE} none\nkinds: domain domain domain list",
    ],
)
def test_auto_reads_a_single_frame_with_a_patients_directions(tmp_path, fields):
    (tmp_path / "frame.nrrd").write_bytes(one_frame(fields))
    volume = read_volume(tmp_path / "frame.nrrd")
    assert (volume.axes, volume.warnings) == ("LPS", ())
    np.testing.assert_array_equal(volume.array, scan_ira())
    np.testing.assert_allclose(volume.spacing, 2.5)


@pytest.mark.parametrize("fields", ["spacings: 2.5 2.5 2.5 1", f"space dimension: 4\n{ONE_FRAME}"])
def test_auto_asks_for_a_3d_volume_instead_of_a_single_frame_of_unknown_directions(tmp_path, fields):
    (tmp_path / "frame.nrrd").write_bytes(one_frame(fields))
    with pytest.raises(LaminaError, match=r"fourth dimension and not as a 3D volume \(save it as one\)") as caught:
        read_volume(tmp_path / "frame.nrrd")
    assert_one_sentence(caught.value)
    assert read_volume(tmp_path / "frame.nrrd", "LPS").shape == scan_ira().shape


@pytest.mark.parametrize("millimeters", [0.04, 7.0])
def test_a_voxel_that_no_scan_has_is_refused_with_what_to_do(tmp_path, millimeters):
    image = sitk.GetImageFromArray(stored(scan_ira(), "LPS")[0])
    image.SetSpacing([millimeters] * 3)
    sitk.WriteImage(image, str(tmp_path / "scan.mha"))
    sentence = r"spacing of \"scan.mha\" looks wrong \(unit spacing or centimeters\?\).* set the spacing in millimeters"
    for axes in ("auto", "LPS"):
        with pytest.raises(LaminaError, match=sentence) as caught:
            read_volume(tmp_path / "scan.mha", axes)
        assert_one_sentence(caught.value)


def nifti_of(value, ending):
    """A NIfTI file in which every voxel but one has a value."""
    content = nifti()[:352] + b"\0" + bytes([value]) * (CUBE.size - 1)
    return gzip.compress(content) if ending.lower().endswith(".gz") else content


@pytest.mark.parametrize("endings", [(".nii", ".nii.gz"), (".NII", ".NII.GZ"), (".nii", ".Nii.gz")])
def test_the_file_that_is_asked_for_is_read_and_not_its_namesake(tmp_path, endings):
    for value, ending in enumerate(endings, start=1):
        (tmp_path / f"scan{ending}").write_bytes(nifti_of(value, ending))
    before = sorted(tmp_path.iterdir())
    for value, ending in enumerate(endings, start=1):
        assert read_image(tmp_path / f"scan{ending}").array.max() == value
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_pair_of_header_and_voxels_with_the_same_name_is_left_alone(tmp_path, ending):
    (tmp_path / f"scan{ending}").write_bytes(nifti_of(1, ending))
    sitk.WriteImage(sitk.GetImageFromArray(CUBE * 0 + 2), str(tmp_path / "scan.hdr"))
    assert (tmp_path / "scan.img").is_file()
    assert read_image(tmp_path / f"scan{ending}").array.max() == 1
    for name in ("scan.hdr", "scan.img"):
        with pytest.raises(LaminaError, match=f'"{name}" is not in a format that can be read'):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.Nii", "scan.nii.GZ", "scan.NIi.gz"])
def test_an_extension_in_mixed_case_is_read_without_a_word(tmp_path, name, capfd):
    (tmp_path / name).write_bytes(nifti_of(7, name))
    assert read_image(tmp_path / name).array.max() == 7
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_with_a_file_that_has_a_namesake_is_said_of_it(tmp_path):
    (tmp_path / "scan.nii").write_bytes(nifti())
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(nifti(dim=(4, 40, 40, 20, 2))))
    with pytest.raises(LaminaError, match=r'^"scan\.nii\.gz" has more than three dimensions') as caught:
        read_image(tmp_path / "scan.nii.gz")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("step", ["shutil.copyfile", "tempfile.mkdtemp"])
def test_a_namesake_that_leaves_no_room_for_a_copy_is_refused_with_what_to_do(tmp_path, monkeypatch, step):
    for ending in (".nii", ".nii.gz"):
        (tmp_path / f"scan{ending}").write_bytes(nifti_of(1, ending))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(LaminaError, match=r'"scan\.nii\.gz" has to be copied .* folder of its own') as caught:
        read_image(tmp_path / "scan.nii.gz")
    assert_one_sentence(caught.value)
    assert read_image(tmp_path / "scan.nii").array.max() == 1


def test_the_header_of_a_pair_of_files_is_not_read_as_voxels(tmp_path):
    content = bytearray(nifti())
    content[344:348] = b"ni1\0"
    content[108:112] = struct.pack("<f", 0)
    (tmp_path / "scan.nii").write_bytes(content)
    with pytest.raises(LaminaError, match=DAMAGED) as caught:
        read_image(tmp_path / "scan.nii")
    assert_one_sentence(caught.value)
