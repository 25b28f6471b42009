import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence, stored

from LaminaLabelingLib import files
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.volumes import Volume

SHIFT = np.array([5, -7, 11])


def grid(code="LPS", spacing=1.0):
    """Return an empty scan whose file has the axis code; its IRA index (0, 0, 0) lies at `SHIFT`."""
    matrix = np.eye(4)
    matrix[:3, :3] = spacing * np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]])
    matrix[:3, 3] = SHIFT
    return Volume(np.zeros((60, 48, 40), dtype=np.uint8), matrix, code)


@pytest.mark.parametrize("code", ["LPS", "RAS", "ARI", "RPS", "SAL", "IRA"])
def test_a_segmentation_lies_on_the_scans_own_grid(tmp_path, code):
    volume = grid(code)
    laminae = LaminaSet.from_positions(
        {"T1L": volume.to_world([10, 8, 20]), "T1R": volume.to_world([10, 30, 20]), "L5R": volume.to_world([50, 30, 5])}
    )
    path = tmp_path / "laminae.seg.nrrd"
    files.write_segmentation(laminae, volume, path)
    image = sitk.ReadImage(str(path))
    _, matrix = stored(volume.array, code, 1.0)
    assert image.GetSize() == volume.to_kji().shape[::-1]
    np.testing.assert_allclose(
        np.array(image.TransformIndexToPhysicalPoint((1, 2, 3))) * [-1, -1, 1],
        SHIFT + (matrix @ [1, 2, 3, 1])[:3],
    )
    labels = sitk.GetArrayFromImage(image)
    for number, lamina in enumerate(laminae.positions(), start=1):
        assert image.GetMetaData(f"Segment{number - 1}_Name") == lamina
        assert image.GetMetaData(f"Segment{number - 1}_LabelValue") == str(number)
        assert image.GetMetaData(f"Segment{number - 1}_Layer") == "0"
        position = laminae[lamina].position
        index = image.TransformPhysicalPointToIndex((-position[0], -position[1], position[2]))
        assert image[index] == number
        k, j, i = np.nonzero(labels == number)
        extent = f"{i.min()} {i.max()} {j.min()} {j.max()} {k.min()} {k.max()}"
        assert image.GetMetaData(f"Segment{number - 1}_Extent") == extent
    assert image.GetMetaData("Segmentation_MasterRepresentation") == "Binary labelmap"
    np.testing.assert_allclose(files.read_label_volume(path), list(laminae.positions().values()), atol=1e-9)


@pytest.mark.parametrize("code", ["LPS", "ARI", "RPS"])
def test_a_cropped_segmentation_holds_the_same_segments_in_the_same_places(tmp_path, code):
    volume = grid(code)
    places = {"T1L": [10, 8, 20], "T1R": [10, 30, 20], "L5R": [59, 30, 0]}  # the last one at the border
    laminae = LaminaSet.from_positions({name: volume.to_world(place) for name, place in places.items()})
    whole, cropped = tmp_path / "whole.seg.nrrd", tmp_path / "cropped.seg.nrrd"
    files.write_segmentation(laminae, volume, whole)
    files.write_segmentation(laminae, volume, cropped, crop=True)

    def places_of(path):
        image = sitk.ReadImage(str(path))
        indices = np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1]
        return image, {
            (*np.round(image.TransformIndexToPhysicalPoint(index.tolist()), 6), image[index.tolist()])
            for index in indices
        }

    first, all_places = places_of(whole)
    second, same_places = places_of(cropped)
    assert same_places == all_places
    # From 2 voxels before the first point to 2 after the last one, cut off at the border.
    assert sorted(second.GetSize()) == [23, 27, 52]
    assert np.prod(second.GetSize()) < np.prod(first.GetSize())


def test_a_cropped_segmentation_without_laminae_is_written_whole(tmp_path):
    files.write_segmentation(LaminaSet(), grid(), tmp_path / "x.seg.nrrd", crop=True)
    assert sorted(sitk.ReadImage(str(tmp_path / "x.seg.nrrd")).GetSize()) == [40, 48, 60]


@pytest.mark.parametrize(
    ("spacing", "count"),
    [
        (1.0, 1 + 6 + 12 + 8 + 6),  # a ball of radius 2 voxels
        (5.0, 27),  # 3 x 3 x 3 where the voxels are larger than the ball
    ],
)
def test_a_segment_is_a_ball_or_at_least_27_voxels(tmp_path, spacing, count):
    volume = grid(spacing=spacing)
    laminae = LaminaSet.from_positions({"T1L": volume.to_world([10, 8, 20])})
    files.write_segmentation(laminae, volume, tmp_path / "laminae.seg.nrrd")
    assert np.count_nonzero(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "laminae.seg.nrrd")))) == count


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=20))
def test_crowded_laminae_do_not_erase_each_other(tmp_path, indices):
    volume = grid()
    points = {name: volume.to_world(index) for name, index in zip(Numbering().slots, sorted(indices))}
    laminae = LaminaSet.from_positions(points)
    files.write_segmentation(laminae, volume, tmp_path / "laminae.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "laminae.seg.nrrd"))
    lps = [(point * [-1, -1, 1]).tolist() for point in points.values()]
    at_points = [image[image.TransformPhysicalPointToIndex(point)] for point in lps]
    assert at_points == list(range(1, len(points) + 1))


def test_a_segment_at_the_border_is_clipped_and_one_outside_is_empty(tmp_path):
    volume = grid()
    laminae = LaminaSet.from_positions({"T1L": volume.to_world([0, 0, 0]), "T1R": volume.to_world([-50, 0, 0])})
    files.write_segmentation(laminae, volume, tmp_path / "laminae.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "laminae.seg.nrrd"))
    assert np.count_nonzero(sitk.GetArrayFromImage(image)) == 1 + 3 + 3 + 1 + 3
    assert image.GetMetaData("Segment1_Name") == "T1R"
    assert image.GetMetaData("Segment1_Extent") == "0 -1 0 -1 0 -1"


def test_only_laminae_with_a_position_become_segments(tmp_path):
    laminae = LaminaSet(
        laminae=[
            Lamina("T1L", (10, 0, 0), "placed", "manual"),
            Lamina("T6L", None, "absent"),
            Lamina("L5R", (20, 0, 0), "unreviewed", "inferred", 0.2),
        ]
    )
    files.write_segmentation(laminae, grid(), tmp_path / "laminae.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "laminae.seg.nrrd"))
    assert [key for key in image.GetMetaDataKeys() if key.endswith("_Name")] == [
        f"Segment{number}_Name" for number in range(2)
    ]
    assert "suggested" in image.GetMetaData("Segment1_Tags")
    with pytest.raises(LaminaError, match=r"ends in \.seg\.nrrd") as caught:
        files.write_segmentation(laminae, grid(), tmp_path / "laminae.nii.gz")
    assert_one_sentence(caught.value)


def test_components_of_a_label_volume_touch_by_corners_and_are_told_apart_by_value():
    labels = np.zeros((40, 40, 40), dtype=np.int16)
    labels[3, 3, 3] = labels[4, 4, 4] = 1  # one component by its corner
    labels[20:23, 20:23, 20:23] = 1
    labels[23:26, 20:23, 20:23] = 300  # touches the other, with another value
    volume = Volume(labels, np.diag([2.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(files.read_label_volume(volume), [[7, 3.5, 3.5], [42, 21, 21], [48, 21, 21]])
    assert files.read_label_volume(volume.with_array(labels * 0)).shape == (0, 3)
    np.testing.assert_allclose(
        files.read_label_volume(volume.with_array(labels.astype(float))), files.read_label_volume(volume)
    )


def test_label_volumes_of_several_layers_are_read(tmp_path):
    labels = np.zeros((20, 30, 40, 2), dtype=np.uint8)
    labels[3:6, 4, 5, 0] = 1
    labels[4:7, 4, 5, 1] = 1
    image = sitk.GetImageFromArray(labels, isVector=True)
    sitk.WriteImage(image, str(tmp_path / "labels.seg.nrrd"))
    np.testing.assert_allclose(files.read_label_volume(tmp_path / "labels.seg.nrrd"), [[-5, -4, 4], [-5, -4, 5]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((40, 40, 40), 0.5), "not whole numbers"),
        (np.full((40, 40, 40), np.nan), "not whole numbers"),
        (np.arange(64000, dtype=np.uint16).reshape(40, 40, 40), "looks like a scan"),
    ],
)
def test_what_is_no_label_volume_is_refused(tmp_path, array, message):
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "labels.mha"))
    with pytest.raises(LaminaError, match=message) as caught:
        files.read_label_volume(tmp_path / "labels.mha")
    assert_one_sentence(caught.value)
