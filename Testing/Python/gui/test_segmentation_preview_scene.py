"""The preview of the preprocessing in scenes: saved and loaded ones, several volumes, transforms, scripts."""

import numpy as np
import pytest
from preview_tools import add_scan, load_scene, move_point, node, previewer_of, save_scene, world_points

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.simulation import simulate_scan


@pytest.fixture(scope="module")
def simulated():
    return simulate_scan(7, spacing=1.5)


@pytest.fixture
def scan(slicer, simulated):
    return add_scan(slicer, simulated)


@pytest.fixture
def user(host, scan):
    yield from previewer_of(host)


@pytest.fixture
def previewer(user):
    """A user who has pressed Show preprocessing."""
    user.preview()
    return user


def transform(slicer, matrix, name="moved"):
    made = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    slicer.util.updateTransformMatrixFromArray(made, matrix)
    return made


def turned():
    matrix = np.array([[0, -1, 0, 30], [1, 0, 0, -12], [0, 0, 1, 5], [0, 0, 0, 1]], float)
    return matrix


# Scenes, volumes, transforms


def test_a_scene_that_is_saved_and_loaded_keeps_the_corrections(previewer, slicer, host, scan, tmp_path):
    point = move_point(node(scan, "column"), 5, (11.0, 0.0, 2.0))
    node(scan, "region").SetSize(200.0, 60.0, 40.0)
    before = previewer.work.corrections(scan)
    save_scene(slicer, tmp_path)
    load_scene(slicer, host, tmp_path)
    loaded = slicer.util.getNode("scan")
    corrections = previewer.work.corrections(loaded)
    assert list(corrections) == ["column", "region"]
    assert corrections["column"][5] == pytest.approx(point, abs=1e-3)
    assert corrections["region"]["size_mm"] == pytest.approx(before["region"]["size_mm"], abs=1e-3)
    assert corrections["region"]["center_ras_mm"] == pytest.approx(before["region"]["center_ras_mm"], abs=1e-3)
    assert previewer.lines[2:4] == ["Column: changed by hand", "Top layer: automatic"]
    previewer.press(previewer.ui.automaticButton)
    previewer.wait()
    assert previewer.work.corrections(loaded) is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsCurveNode") == 2


def test_corrections_belong_to_their_own_volume(previewer, slicer, scan, simulated, tmp_path):
    other = add_scan(slicer, simulated, "other")
    move_point(node(scan, "column"), 5, (11.0, 0.0, 0.0))
    previewer.choose(other)
    assert previewer.ui.previewLabel.text == ""
    previewer.preview()
    assert previewer.work.corrections(other) is None
    move_point(node(other, "top_layer"), 5, (0.0, 3.0, 0.0))
    assert list(previewer.work.corrections(other)) == ["top_layer"]
    assert list(previewer.work.corrections(scan)) == ["column"]
    _arguments, corrections = previewer.record_apply(tmp_path)
    assert list(corrections) == ["top_layer"]
    previewer.choose(scan)
    assert previewer.lines[2:4] == ["Column: changed by hand", "Top layer: automatic"]


def test_the_nodes_of_a_volume_under_a_transform_lie_on_it_and_move_with_it(user, slicer, scan, simulated, tmp_path):
    moved = transform(slicer, np.array([[1, 0, 0, 7], [0, 1, 0, -9], [0, 0, 1, 11], [0, 0, 0, 1]], float))
    scan.SetAndObserveTransformNodeID(moved.GetID())
    user.preview()
    column = world_points(node(scan, "column"))
    midline = simulated.midline[np.argsort(simulated.midline[:, 2])] + (7, -9, 11)
    middle = column[4:-4]
    assert np.abs(middle[:, 0] - np.interp(middle[:, 2], midline[:, 2], midline[:, 0])).mean() < 3.0
    point = move_point(node(scan, "column"), 5, (10.0, 0.0, 0.0))
    slicer.util.updateTransformMatrixFromArray(moved, turned())
    back = np.append(point - (7, -9, 11), 1.0)
    _arguments, corrections = user.record_apply(tmp_path)
    assert list(corrections) == ["column"]
    assert corrections["column"][5] == pytest.approx((turned() @ back)[:3], abs=1e-6)


def test_the_nodes_follow_a_volume_that_is_put_under_a_transform_later(previewer, slicer, scan, tmp_path):
    point = move_point(node(scan, "column"), 5, (10.0, 0.0, 0.0))
    node(scan, "region").SetSize(300.0, 60.0, 40.0)
    center = np.array(node(scan, "region").GetCenter())
    scan.SetAndObserveTransformNodeID(transform(slicer, turned()).GetID())
    previewer.host.process_events()
    assert world_points(node(scan, "column"))[5] == pytest.approx((turned() @ np.append(point, 1))[:3], abs=1e-6)
    _arguments, corrections = previewer.record_apply(tmp_path)
    assert list(corrections) == ["column", "region"]
    assert corrections["column"][5] == pytest.approx((turned() @ np.append(point, 1))[:3], abs=1e-6)
    assert corrections["region"]["center_ras_mm"] == pytest.approx((turned() @ np.append(center, 1))[:3], abs=1e-3)
    assert corrections["region"]["size_mm"] == pytest.approx([300.0, 60.0, 40.0], abs=1e-3)
    assert np.array(corrections["region"]["directions"])[1] == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)


def test_corrections_of_a_volume_whose_own_geometry_was_changed_are_refused(previewer, slicer, host, scan):
    move_point(node(scan, "column"), 5, (10.0, 0.0, 0.0))
    scan.SetAndObserveTransformNodeID(transform(slicer, turned()).GetID())
    scan.HardenTransform()
    host.process_events()
    assert 'press "Back to automatic"' in previewer.ui.previewLabel.text
    previewer.press(previewer.widget.ui.applyButton)
    assert 'The volume "scan" was moved or resampled' in previewer.widget.ui.resultLabel.text
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]
    previewer.widget.ui.axesComboBox.setEditText("auto")
    previewer.work.reset(scan)
    assert previewer.work.corrections(scan) is None


def test_a_node_that_was_put_elsewhere_than_its_volume_is_refused(previewer, slicer, host, scan):
    move_point(node(scan, "column"), 5, (10.0, 0.0, 0.0))
    node(scan, "column").SetAndObserveTransformNodeID(transform(slicer, turned()).GetID())
    with pytest.raises(LaminaError, match="lies under another transform than its volume"):
        previewer.work.corrections(scan)


def test_a_script_needs_no_panel(slicer, scan, host):
    from LaminaSegmentation import LaminaSegmentationLogic

    logic = LaminaSegmentationLogic()
    events = []
    logic.preview.start(scan, onEvent=events.append)
    host.wait_until(lambda: logic.preview.poll() is not None)
    assert [event["stage"] for event in events if event["event"] == "stage"] == ["read", "preprocess", "write"]
    move_point(node(scan, "column"), 5, (10.0, 0.0, 0.0))
    assert list(logic.preview.corrections(scan)) == ["column"]
    logic.preview.reset(scan, "column")
    assert logic.preview.corrections(scan) is None
    logic.preview.remove(scan)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
