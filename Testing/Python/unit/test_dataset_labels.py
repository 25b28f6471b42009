import json

import numpy as np
import pytest

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import write_csv, write_markups, write_segmentation
from LaminaLabelingLib.image_files import write_image
from LaminaLabelingLib.label_volumes import name_points
from LaminaLabelingLib.laminae import LaminaSet
from LaminaSegmentationLib.dataset_labels import check_truth, read_truth


@pytest.fixture(scope="module")
def volume(coarse_scan):
    return coarse_scan.volume


@pytest.fixture(scope="module")
def truth(coarse_scan):
    return coarse_scan.truth


def labels_of(truth, volume, value=lambda number: 1):
    """A label array with a cube at each lamina."""
    array = np.zeros(volume.shape, np.uint8)
    for number, point in enumerate(truth.positions().values()):
        center = np.rint(volume.to_index(point)).astype(int)
        array[tuple(slice(c - 1, c + 2) for c in center)] = value(number)
    return array


def assert_near(found, truth, volume):
    positions, expected = found.positions(), truth.positions()
    assert list(positions) == list(expected)
    # Labels lie on voxels: half a voxel along each axis.
    for name, point in expected.items():
        assert np.linalg.norm(np.subtract(positions[name], point)) <= np.linalg.norm(volume.spacing) / 2 + 1e-6


@pytest.mark.parametrize(("ending", "write"), [("mrk.json", write_markups), ("csv", write_csv)])
def test_point_lists_are_read(truth, volume, tmp_path, ending, write):
    write(truth, tmp_path / f"labels.{ending}")
    found = read_truth(tmp_path / f"labels.{ending}", volume)
    for name, point in truth.positions().items():
        np.testing.assert_allclose(found.positions()[name], point, atol=1e-3)


def test_the_segments_of_a_segmentation_give_the_names(truth, volume, tmp_path):
    some = LaminaSet.from_positions({name: truth.positions()[name] for name in ("T3R", "T9L", "L4R")})
    write_segmentation(some, volume, tmp_path / "labels.seg.nrrd")
    found = read_truth(tmp_path / "labels.seg.nrrd", volume)
    assert list(found.positions()) == ["T3R", "T9L", "L4R"]
    for name, point in some.positions().items():
        assert np.linalg.norm(np.subtract(found.positions()[name], point)) < np.linalg.norm(volume.spacing)


@pytest.mark.parametrize("value", [lambda number: 1, lambda number: number + 1])
def test_a_complete_label_volume_is_named_from_the_top(truth, volume, tmp_path, value):
    path = tmp_path / "labels.nii.gz"
    write_image(volume.to_kji(labels_of(truth, volume, value)), volume.ijk_to_ras, path)
    assert_near(read_truth(path, volume), truth, volume)


def test_an_incomplete_label_volume_is_numbered(truth, volume, tmp_path):
    some = LaminaSet.from_positions({name: p for name, p in truth.positions().items() if name != "T7L"})
    path = tmp_path / "labels.nrrd"
    write_image(volume.to_kji(labels_of(some, volume)), volume.ijk_to_ras, path)
    found = read_truth(path, volume)
    assert found.is_provisional
    assert len(found.positions()) == 33
    # The gap stays in its own pair.
    assert "P07R" in found and "P07L" not in found and "P17L" in found


def test_a_segment_in_two_parts_is_refused(truth, volume, tmp_path):
    write_segmentation(LaminaSet.from_positions({"T1L": truth["T1L"].position}), volume, tmp_path / "a.seg.nrrd")
    from LaminaLabelingLib.segmentation_files import _segment_metadata

    array = volume.to_kji(labels_of(truth, volume, lambda number: int(number < 2)))
    metadata = _segment_metadata([truth["T1L"]], array)
    write_image(array, volume.ijk_to_ras, tmp_path / "b.seg.nrrd", metadata)
    assert list(read_truth(tmp_path / "a.seg.nrrd", volume).positions()) == ["T1L"]
    with pytest.raises(LaminaError, match=r"segment T1L in 'b.seg.nrrd' has 2 separate parts"):
        read_truth(tmp_path / "b.seg.nrrd", volume)


def test_no_laminae_are_refused(volume, tmp_path):
    write_markups(LaminaSet(), tmp_path / "none.mrk.json")
    with pytest.raises(LaminaError, match=r"'none.mrk.json' has no laminae"):
        read_truth(tmp_path / "none.mrk.json", volume)
    write_image(volume.to_kji(np.zeros(volume.shape, np.uint8)), volume.ijk_to_ras, tmp_path / "none.nrrd")
    with pytest.raises(LaminaError, match=r"'none.nrrd' has no laminae"):
        read_truth(tmp_path / "none.nrrd", volume)


def test_35_laminae_are_refused(truth, volume, tmp_path):
    inside = volume.to_world(np.array(volume.shape) / 2)
    more = LaminaSet.from_positions({**truth.positions(), "T13L": tuple(inside)})
    write_markups(more, tmp_path / "many.mrk.json")
    with pytest.raises(LaminaError, match=r"'many.mrk.json' has 35 laminae, more than the 34"):
        read_truth(tmp_path / "many.mrk.json", volume)
    points = np.array([*truth.positions().values(), inside])
    with pytest.raises(LaminaError, match="has 35 separate labels"):
        name_points(points, volume, "labels.nrrd")


def test_a_name_that_comes_twice_is_refused(truth, volume, tmp_path):
    path = tmp_path / "twice.mrk.json"
    write_markups(truth, path)
    content = json.loads(path.read_text())
    points = content["markups"][0]["controlPoints"]
    points.append(dict(points[0]))
    path.write_text(json.dumps(content))
    with pytest.raises(LaminaError, match=r"twice\.mrk\.json.*T1L"):
        read_truth(path, volume)


def test_a_patient_with_13_thoracic_vertebrae_has_36_laminae(volume):
    names = Numbering(13, 5).slots
    indices = np.linspace(0.1, 0.9, len(names))[:, None] * np.array(volume.shape)
    points = dict(zip(names, map(tuple, volume.to_world(indices))))
    check_truth(LaminaSet.from_positions(points), volume, "labels.csv")
    del points["T5L"]
    with pytest.raises(LaminaError, match="35 laminae"):
        check_truth(LaminaSet.from_positions(points), volume, "labels.csv")


def test_labels_outside_their_scan_are_refused(truth, volume):
    shifted = {name: np.add(point, (0.0, 0.0, 300.0)) for name, point in truth.positions().items()}
    with pytest.raises(LaminaError, match=r"T1L and \d+ more outside the scan .* mm away.*coordinates"):
        check_truth(LaminaSet.from_positions(shifted), volume, "labels.csv")


@pytest.mark.parametrize(("beyond", "fits"), [(4.0, True), (6.0, False)])
def test_a_label_may_lie_a_little_outside(volume, beyond, fits):
    index = np.array(volume.shape) / 2
    index[1] = volume.shape[1] - 0.5 + beyond / volume.spacing[1]
    truth = LaminaSet.from_positions({"T6R": volume.to_world(index)})
    if fits:
        check_truth(truth, volume, "labels.csv")
    else:
        with pytest.raises(LaminaError, match=r"T6R outside the scan .*6 mm away"):
            check_truth(truth, volume, "labels.csv")
