import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence, scan_ira, stored

from LaminaLabelingLib import orientation
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume, read_volume, write_volume

RNG = np.random.default_rng(5)
SMALL = RNG.integers(1, 255, (40, 34, 37), dtype=np.uint8)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@st.composite
def matrices(draw):
    """Rotated, anisotropic, shifted, left- or right-handed index-to-RAS matrices."""
    quaternion = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)))
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    spacing = draw(st.tuples(*[st.floats(0.1, 3.0)] * 3))
    matrix = np.eye(4)
    matrix[:3, :3] = turn * signs * np.array(spacing)
    matrix[:3, 3] = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    return matrix


def volume_of(matrix, array=SMALL, **arguments):
    return Volume.from_ijk(array, matrix, orientation.nearest_code(matrix)[0], **arguments)


@given(matrices(), st.lists(st.tuples(*[st.floats(-500, 500)] * 3), min_size=1, max_size=10))
def test_ras_to_index_to_ras_is_exact_to_a_millionth_of_a_millimeter(matrix, points):
    volume = volume_of(matrix)
    points = np.array(points)
    assert np.abs(volume.to_world(volume.to_index(points)) - points).max() < 1e-6
    assert np.abs(volume.to_index(volume.to_world(points)) - points).max() < 1e-6
    np.testing.assert_allclose(volume.to_world(points[0]), volume.to_world(points)[0], atol=1e-9)


@given(matrices(), st.tuples(st.integers(0, 36), st.integers(0, 33), st.integers(0, 39)))
def test_every_voxel_lies_where_the_file_says(matrix, ijk):
    volume = volume_of(matrix)
    ras = (matrix @ [*ijk, 1])[:3]
    index = volume.to_index(ras)
    assert np.abs(index - np.rint(index)).max() < 1e-6
    assert volume.array[tuple(np.rint(index).astype(int))] == SMALL[ijk[::-1]]
    # The array's axes are the patient's, as nearly as the file's axes allow: halfway between two there are ties.
    if orientation.nearest_code(matrix)[1] < orientation.MAX_OBLIQUE_DEG:
        assert orientation.nearest_code(volume.matrix)[0] == "IRA"


@given(matrices())
def test_the_way_back_to_the_file_is_exact(matrix):
    volume = volume_of(matrix)
    np.testing.assert_array_equal(volume.to_kji(), SMALL)
    np.testing.assert_array_equal(volume.to_kji(volume.array), SMALL)
    np.testing.assert_allclose(volume.ijk_to_ras, matrix, atol=1e-9)


@given(matrices(), st.data())
def test_crops_compose_the_matrix(matrix, data):
    volume = volume_of(matrix)
    starts = [data.draw(st.integers(0, size - 1)) for size in volume.shape]
    slices = [slice(start, data.draw(st.integers(start + 1, size))) for start, size in zip(starts, volume.shape)]
    crop = volume.crop(slices)
    np.testing.assert_array_equal(crop.array, volume.array[tuple(slices)])
    assert np.shares_memory(crop.array, volume.array)
    corners = np.array([[0, 0, 0], np.array(crop.shape) - 1])
    np.testing.assert_allclose(crop.to_world(corners), volume.to_world(corners + starts), atol=1e-9)
    again = crop.crop([slice(0, 1)] * 3)
    np.testing.assert_allclose(again.to_world([0, 0, 0]), volume.to_world(starts), atol=1e-9)
    # The crop's own way to a file describes the crop.
    file_index = np.linalg.inv(crop.ijk_to_ras) @ [*crop.to_world(corners[1]), 1]
    assert crop.to_kji()[tuple(np.rint(file_index[2::-1]).astype(int))] == crop.array[tuple(corners[1])]


def test_crop_takes_missing_and_negative_ends_and_refuses_nothing_left():
    volume = volume_of(np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert volume.crop([slice(None), slice(-10, None), slice(2, -2)]).shape == (40, 10, 30)
    for slices in ([slice(5, 5)] * 3, [slice(0, 10, 2)] * 3, [slice(0, 10)] * 2):
        with pytest.raises(ValueError, match="crop"):
            volume.crop(slices)


def test_geometry_of_an_anisotropic_scan():
    volume = Volume.from_ijk(SMALL, np.diag([-0.5, -0.25, 2.0, 1.0]), "LPS", "scan.nrrd")
    assert volume.shape == (40, 37, 34)
    np.testing.assert_allclose(volume.spacing, [2.0, 0.5, 0.25])
    np.testing.assert_allclose(volume.extent_mm, [80.0, 18.5, 8.5])
    assert volume.name == "scan.nrrd"
    np.testing.assert_allclose(volume.to_world([0, 0, 0]), [-18.0, -8.25, 78.0])


def test_a_scan_is_not_copied_and_keeps_its_type():
    volume = Volume.from_ijk(SMALL, np.diag([-1.0, -1.0, 1.0, 1.0]), "LPS")
    assert np.shares_memory(volume.array, SMALL)
    assert volume.array.dtype == np.uint8
    assert np.shares_memory(volume.to_kji(), SMALL)


def test_foreign_byte_order_becomes_native():
    volume = Volume.from_ijk(SMALL.astype(">i2"), np.diag([-1.0, -1.0, 1.0, 1.0]), "LPS")
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.to_kji(), SMALL)


def test_a_volume_is_immutable():
    volume = volume_of(np.eye(4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        volume.matrix[0, 0] = 2


def test_with_array_needs_a_matrix_for_another_shape():
    volume = volume_of(np.eye(4), name="scan.mha")
    doubled = volume.with_array(volume.array.astype(np.float32) * 2)
    assert (doubled.array.dtype, doubled.name, doubled.axes) == (np.float32, "scan.mha", volume.axes)
    np.testing.assert_array_equal(doubled.matrix, volume.matrix)
    other = volume.with_array(np.zeros((2, 2, 2)), np.diag([2.0, 2.0, 2.0, 1.0]))
    np.testing.assert_array_equal(other.spacing, [2, 2, 2])
    with pytest.raises(ValueError, match="matrix of its own"):
        volume.with_array(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="shape"):
        volume.to_kji(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((3, 3)), np.eye(4)),
        (np.zeros((3, 3, 3)), np.eye(3)),
        (np.zeros((3, 3, 3)), np.zeros((4, 4))),
        (np.zeros((3, 3, 3)), np.full((4, 4), np.nan)),
        (np.zeros((3, 3, 3)), np.diag([1.0, 1.0, 0.0, 1.0])),
    ],
)
def test_a_volume_without_a_usable_array_or_matrix_is_a_programming_error(arguments):
    with pytest.raises(ValueError):
        Volume(*arguments)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(matrices(), st.sampled_from([".nrrd", ".mha", ".nii", ".nii.gz"]))
def test_a_written_volume_is_read_back_in_place(tmp_path, matrix, extension):
    volume = volume_of(matrix)
    path = tmp_path / f"scan{extension}"
    write_volume(volume, path)
    again = read_volume(path, "ARI")
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.array.dtype == np.uint8
    # NIfTI keeps the matrix in single precision.
    tolerance = 2e-3 if "nii" in extension else 1e-6
    np.testing.assert_allclose(again.matrix, volume.matrix, atol=tolerance)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    path.unlink()


@pytest.mark.parametrize("extension", [".nrrd", ".mha", ".nii.gz", ".nhdr", ".mhd", ".nii"])
@pytest.mark.parametrize("code", ["LPS", "RPS", "ARI", "PIR", "SAL"])
def test_files_that_simpleitk_wrote_are_read_where_simpleitk_puts_them(tmp_path, extension, code):
    scan = scan_ira()
    array, matrix = stored(scan, code)
    image = image_of(array, matrix)
    path = tmp_path / f"scan{extension}"
    sitk.WriteImage(image, str(path))
    volume = read_volume(path)
    assert (volume.axes, volume.name, volume.warnings) == (code, path.name, ())
    np.testing.assert_array_equal(volume.array, scan)
    lps = np.array(image.TransformIndexToPhysicalPoint((3, 5, 7)))
    index = np.rint(volume.to_index(lps * [-1, -1, 1])).astype(int)
    assert volume.array[tuple(index)] == array[7, 5, 3]
    np.testing.assert_allclose(volume.to_world(index), lps * [-1, -1, 1], atol=1e-3)


def test_a_patient_scan_that_was_written_is_read_with_auto(tmp_path):
    volume = Volume.from_ijk(*stored(scan_ira(), "LAI"))
    write_volume(volume, tmp_path / "scan.nrrd")
    again = read_volume(tmp_path / "scan.nrrd")
    assert again.axes == "ARI"
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.matrix, volume.matrix, atol=1e-9)


@pytest.mark.parametrize(("dtype", "read_as"), [(bool, np.uint8), (np.float16, np.float32), (np.float64, np.float64)])
def test_types_that_no_format_has_are_widened(tmp_path, dtype, read_as):
    array = (SMALL % 2).astype(dtype)
    write_volume(Volume(array, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / "mask.nrrd")
    again = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "mask.nrrd")))
    assert again.dtype == read_as
    np.testing.assert_array_equal(again, array)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "scan.nrrd"
    path.write_text("old")

    def fail(image, name, **_):
        with open(name, "w") as file:
            file.write("half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(LaminaError, match="could not be written") as caught:
        write_volume(volume_of(np.eye(4)), path)
    assert_one_sentence(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["scan.png", "scan.mhd", "scan.nhdr", "scan"])
def test_only_formats_of_one_file_are_written(tmp_path, name):
    with pytest.raises(LaminaError, match=r"give a name that ends in \.nrrd") as caught:
        write_volume(volume_of(np.eye(4)), tmp_path / name)
    assert_one_sentence(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_as_the_reason(tmp_path):
    with pytest.raises(LaminaError, match="folder does not exist") as caught:
        write_volume(volume_of(np.eye(4)), tmp_path / "none" / "scan.nrrd")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("millimeters", "message"),
    [
        (1.0, "looks like a partial scan"),
        (4.0, "spacing looks wrong"),
        (0.025, "spacing looks wrong"),
        (2.5, None),
    ],
)
def test_the_physical_size_is_checked(millimeters, message):
    volume = Volume.from_ijk(*stored(scan_ira(), "LPS", millimeters))
    if message is None:
        assert volume.warnings == ()
    else:
        assert [message in warning for warning in volume.warnings] == [True]


@pytest.mark.parametrize("millimeters", [0.04, 0.1, 0.25])
def test_a_whole_spine_in_centimeters_is_not_called_partial(millimeters):
    (warning,) = Volume.from_ijk(*stored(scan_ira(), "LPS", millimeters)).warnings
    assert "spacing looks wrong (unit spacing or centimeters?)" in warning
    assert "partial" not in warning


def test_a_whole_spine_with_unit_spacing_is_too_long():
    scan = np.repeat(scan_ira(), 5, axis=0)
    (warning,) = Volume.from_ijk(*stored(scan, "LPS", 1.0)).warnings
    assert "spacing looks wrong (unit spacing or centimeters?)" in warning


def image_of(array, matrix):
    """Return a SimpleITK image, written without the library's own functions."""
    image = sitk.GetImageFromArray(array)
    lps = LPS_TO_RAS @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image
