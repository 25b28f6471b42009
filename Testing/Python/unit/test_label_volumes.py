import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_files import as_mask
from labeled_scans import NUMBERINGS, half_voxel, jitters, laminae_in, largest_distance, scan, scans, some_of
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.image_files import write_image
from LaminaLabelingLib.label_volumes import read_labels_of_volume, write_label_volume
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.segmentation_files import write_segmentation

FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)


def written(laminae, volume, path):
    """Return the array in IRA order that a label volume file holds, and the values at its laminae."""
    write_label_volume(laminae, volume, path)
    image = sitk.ReadImage(str(path))
    lps = {name: (point * [-1, -1, 1]).tolist() for name, point in laminae.positions().items()}
    return sitk.GetArrayFromImage(image), {n: image[image.TransformPhysicalPointToIndex(p)] for n, p in lps.items()}


@pytest.mark.parametrize("code", ["LPS", "RAS", "ARI", "RPS", "SAL"])
def test_each_lamina_is_27_voxels_of_its_own_value_on_the_scans_grid(tmp_path, code):
    volume = scan(code)
    laminae = laminae_in(volume)
    array, values = written(laminae, volume, tmp_path / "labels.nrrd")
    assert array.shape == volume.to_kji().shape
    assert list(values.values()) == list(range(1, 35))
    assert np.bincount(array.ravel())[1:].tolist() == [27] * 34


def test_a_cube_at_the_border_is_clipped(tmp_path):
    volume = scan()
    corner = LaminaSet.from_positions({"T1L": volume.to_world([-0.4, 0, 0]), "T1R": volume.to_world([0, 30, 39.4])})
    array, _ = written(corner, volume, tmp_path / "labels.nrrd")
    assert np.bincount(array.ravel())[1:].tolist() == [8, 12]
    # A point on the outer edge of the last voxel is still in the scan.
    edge = LaminaSet.from_positions({"T1L": volume.to_world([171.5, 10, 10])})
    assert np.count_nonzero(written(edge, volume, tmp_path / "edge.nrrd")[0]) == 18


def test_a_voxel_of_two_cubes_goes_to_the_nearer_center(tmp_path):
    volume = scan(spacing=(1.0, 1.0, 2.0))
    points = {"T1L": (10, 10, 10), "T1R": (10, 12, 10), "T2L": (40, 10, 10), "T2R": (41, 10, 10)}
    laminae = LaminaSet.from_positions({name: volume.to_world(index) for name, index in points.items()})
    array, values = written(laminae, volume, tmp_path / "labels.nrrd")
    counts = np.bincount(array.ravel())[1:5]
    # The slab in the middle of the first two is as near to both; of the last two each keeps two slabs of 9.
    assert counts[0] + counts[1] == 45 and min(counts[:2]) >= 18
    assert counts[2:].tolist() == [18, 18]
    assert values == {"T1L": 1, "T1R": 2, "T2L": 3, "T2R": 4}


@FILES
@given(st.sets(st.tuples(*[st.integers(0, 4)] * 3), min_size=2, max_size=34), st.integers(0, 9999))
def test_crowded_cubes_keep_their_own_centers(tmp_path, voxels, seed):
    volume = scan(spacing=(1.3, 0.5, 2.0))
    offsets = np.random.default_rng(seed).uniform(-0.49, 0.49, (len(voxels), 3))
    points = volume.to_world(np.maximum(np.array(sorted(voxels)) + offsets, 0))
    laminae = LaminaSet.from_positions(dict(zip(Numbering().slots, points)))
    _, values = written(laminae, volume, tmp_path / "labels.nrrd")
    assert list(values.values()) == list(range(1, len(voxels) + 1))


@FILES
@given(st.data(), scans(), st.sampled_from(NUMBERINGS), st.sampled_from(["nrrd", "nii.gz", "mha"]))
def test_a_full_set_comes_back_with_its_names_and_within_half_a_voxel(tmp_path, data, volume, numbering, ending):
    laminae = laminae_in(volume, numbering, data.draw(jitters(len(numbering.vertebrae))))
    path = tmp_path / f"labels.{ending}"
    write_label_volume(laminae, volume, path)
    found = read_labels_of_volume(path, volume, numbering)
    assert found.numbering == numbering
    assert largest_distance(found, laminae) <= half_voxel(volume)
    assert largest_distance(read_labels_of_volume(as_mask(path), volume, numbering), laminae) <= half_voxel(volume)


def test_many_provisional_pairs_need_larger_numbers(tmp_path):
    volume = scan()
    array, values = written(LaminaSet.from_positions({"P200R": volume.to_world([9, 9, 9])}), volume, tmp_path / "a.mha")
    assert (array.dtype, values) == (np.uint16, {"P200R": 500})


def test_labels_of_a_file_that_mixes_up_lps_and_ras_are_turned_before_they_are_named(tmp_path):
    volume = scan()
    laminae = laminae_in(volume)
    write_label_volume(laminae, volume, tmp_path / "labels.nrrd")
    image = sitk.ReadImage(str(tmp_path / "labels.nrrd"))
    turn = np.diag([-1.0, -1.0, 1.0])
    image.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    image.SetOrigin((turn @ image.GetOrigin()).tolist())
    sitk.WriteImage(image, str(tmp_path / "mixed.nrrd"))
    found = read_labels_of_volume(tmp_path / "mixed.nrrd", volume, half_turn=True)
    assert largest_distance(found, laminae) <= half_voxel(volume)


def test_named_segments_need_no_scan_and_can_be_turned(tmp_path):
    volume = scan()
    laminae = some_of(laminae_in(volume), ["T3R", "T9L"])
    write_segmentation(laminae, volume, tmp_path / "labels.seg.nrrd")
    found = read_labels_of_volume(tmp_path / "labels.seg.nrrd", None)
    assert largest_distance(found, laminae) < 2 * half_voxel(volume)
    turned = read_labels_of_volume(tmp_path / "labels.seg.nrrd", None, half_turn=True)
    np.testing.assert_allclose(turned["T3R"].position, np.multiply(found["T3R"].position, (-1, -1, 1)))


def test_components_without_names_need_a_scan(tmp_path):
    volume = scan()
    write_label_volume(laminae_in(volume), volume, tmp_path / "labels.nrrd")
    with pytest.raises(LaminaError, match="load its scan first") as caught:
        read_labels_of_volume(tmp_path / "labels.nrrd", None)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("numbering", "message"),
    [(None, "36 separate labels, more than the 34 laminae from T1 to L5"), (Numbering(13, 4), "34 laminae .* to L4")],
)
def test_more_components_than_laminae_are_refused(tmp_path, numbering, message):
    volume = scan()
    write_label_volume(laminae_in(volume, Numbering(13, 5)), volume, tmp_path / "labels.nrrd")
    with pytest.raises(LaminaError, match=message) as caught:
        read_labels_of_volume(tmp_path / "labels.nrrd", volume, numbering)
    assert_one_sentence(caught.value)
    assert len(read_labels_of_volume(tmp_path / "labels.nrrd", volume, Numbering(13, 5)).positions()) == 36


def test_a_segment_that_the_numbering_does_not_have_is_refused(tmp_path):
    volume = scan()
    write_segmentation(LaminaSet.from_positions({"T13L": volume.to_world([9, 9, 9])}), volume, tmp_path / "a.seg.nrrd")
    with pytest.raises(LaminaError, match=r'"a\.seg\.nrrd" .*T13L does not exist .*change the numbering') as caught:
        read_labels_of_volume(tmp_path / "a.seg.nrrd", volume, Numbering())
    assert_one_sentence(caught.value)


def segmentation(path, changes):
    """Write two voxels, T1L and T1R, as a segmentation with some header fields changed."""
    array = np.zeros((40, 40, 40), np.uint8)
    array[10, 10, 10], array[20, 20, 20] = 1, 2
    fields = {"Segment0_Name": "T1L", "Segment0_LabelValue": "1", "Segment0_Layer": "0"}
    fields |= {"Segment1_Name": "T1R", "Segment1_LabelValue": "2", "Segment1_Layer": "0"}
    write_image(array, np.eye(4), path, fields | changes)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Segment1_Name": "T1L"}, "two segments with the name T1L"),
        ({"Segment1_Name": "P01L"}, "mixes numbered vertebrae and provisional names"),
        ({"Segment1_LabelValue": "two"}, "list of segments .* is damaged"),
        ({"Segment1_Layer": "1"}, "list of segments .* is damaged"),
        ({"Segment1_Layer": "-1"}, "list of segments .* is damaged"),
    ],
)
def test_segments_that_cannot_be_used_are_refused(tmp_path, changes, message):
    assert list(read_labels_of_volume(segmentation(tmp_path / "good.seg.nrrd", {}), None).positions()) == ["T1L", "T1R"]
    with pytest.raises(LaminaError, match=message) as caught:
        read_labels_of_volume(segmentation(tmp_path / "bad.seg.nrrd", changes), None)
    assert_one_sentence(caught.value)


def test_an_empty_segment_is_unset_and_an_empty_file_is_an_empty_set(tmp_path):
    path = segmentation(tmp_path / "labels.seg.nrrd", {"Segment1_LabelValue": "3"})
    assert list(read_labels_of_volume(path, None).positions()) == ["T1L"]
    volume = scan()
    write_image(volume.to_kji(), volume.ijk_to_ras, tmp_path / "empty.nrrd")
    assert read_labels_of_volume(tmp_path / "empty.nrrd", volume, Numbering(11, 4)) == LaminaSet(Numbering(11, 4))


@pytest.mark.parametrize(
    ("positions", "name", "message"),
    [
        ({"T1L": (-1, 5, 5), "T2R": (9, 48, 5), "T3L": (9, 9, 9)}, "a.nrrd", "T1L, T2R would be lost outside the scan"),
        ({"T1L": (5, 5, 5), "T1R": (5.2, 5.2, 5.2)}, "a.nrrd", "T1L and T1R lie in one voxel"),
        ({"T1L": (5, 5, 5)}, "a.seg.nrrd", "name of a segmentation"),
        ({"T1L": (5, 5, 5)}, "a.nhdr", "ends in"),
        ({"T1L": (5, 5, 5)}, "a.png", "ends in"),
    ],
)
def test_what_a_label_volume_cannot_hold_is_not_written(tmp_path, positions, name, message):
    volume = scan()
    laminae = LaminaSet.from_positions({lamina: volume.to_world(index) for lamina, index in positions.items()})
    with pytest.raises(LaminaError, match=message) as caught:
        write_label_volume(laminae, volume, tmp_path / name)
    assert_one_sentence(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_slots_without_a_position_leave_no_mark(tmp_path):
    volume = scan()
    laminae = LaminaSet(
        laminae=[Lamina("T1L", None, "absent"), Lamina("T2L", volume.to_world([5, 5, 5]), "placed", "manual")]
    )
    array, _ = written(laminae, volume, tmp_path / "labels.nrrd")
    assert np.unique(array).tolist() == [0, 3]
