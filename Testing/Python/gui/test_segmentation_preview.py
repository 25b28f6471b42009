"""The preview of the preprocessing and its corrections by hand, with the real command in SlicerHost."""

import numpy as np
import pytest
from preview_tools import add_scan, move_point, node, previewer_of, world_points

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node
from LaminaSegmentationLib.simulation import simulate_scan

PARTS = ("column", "top_layer", "region")


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


def node_ids(scene):
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


# What is shown


def test_the_nodes_lie_where_the_anatomy_is(previewer, slicer, scan, simulated):
    laminae = np.array(list(simulated.truth.positions().values()))
    column = world_points(node(scan, "column"))
    midline = simulated.midline[np.argsort(simulated.midline[:, 2])]
    inside = (column[:, 2] > midline[0, 2]) & (column[:, 2] < midline[-1, 2])
    assert inside.sum() > 10
    error = column[inside, 0] - np.interp(column[inside, 2], midline[:, 2], midline[:, 0])
    assert np.abs(error).mean() < 3.0
    bounds = np.zeros(6)
    node(scan, "region").GetRASBounds(bounds)
    toNode = slicer.util.arrayFromVTKMatrix(node(scan, "region").GetObjectToNodeMatrix())
    assert np.linalg.det(toNode) == pytest.approx(1.0), "Slicer's boxes are right-handed"
    assert ((laminae > bounds[::2]) & (laminae < bounds[1::2])).all()
    surface = slicer.util.arrayFromModelPoints(node(scan, "surface"))
    for lamina in laminae:
        nearest = np.linalg.norm((surface - lamina)[:, [0, 2]], axis=1).argmin()
        assert surface[nearest, 1] < lamina[1] + 1.0  # posterior of it
    for point in world_points(node(scan, "top_layer")):
        nearest = np.linalg.norm((surface - point)[:, [0, 2]], axis=1).argmin()
        assert abs(surface[nearest, 1] - point[1]) < 3.0


def test_the_nodes_lie_under_their_scan_and_cannot_be_dragged_at_first(previewer, slicer, scan):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemByDataNode(scan)
    for part in (*PARTS, "surface"):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node(scan, part))) == parent
        assert node(scan, part).GetDisplayVisibility()
    for part in PARTS:
        assert node(scan, part).GetLocked()
    assert node(scan, "column").GetCurveTypeAsString(node(scan, "column").GetCurveType()) == "linear"


def test_the_panel_says_what_was_found(previewer):
    lines = previewer.lines
    assert lines[0].startswith("The spinous process column is clear (contrast 0.")
    assert lines[1].startswith("The laminae are expected ")
    assert lines[2:4] == ["Column: automatic", "Top layer: automatic"]
    assert lines[4].startswith("Region of interest: automatic (")
    assert len(lines) == 5
    assert not previewer.ui.automaticButton.enabled


def colored(view, test):
    picture = view.grab().toImage()
    pixels = (picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height()))
    return sum(test(pixel.red(), pixel.green(), pixel.blue()) for pixel in pixels)


def cyan(red, green, blue):
    return green > 180 and blue > 180 and red < 120


def orange(red, green, blue):
    return red > 200 and 100 < green < 190 and blue < 90


def test_the_column_is_seen_from_behind_and_the_top_layer_from_the_side_and_from_below(previewer, slicer, scan):
    views = {name: previewer.slice_widget(name).sliceView() for name in ("Green", "Yellow", "Red")}
    assert colored(views["Green"], cyan) > 300
    assert colored(views["Yellow"], orange) > 300
    assert colored(views["Red"], orange) > 50  # the cut through the surface
    previewer.check(previewer.ui.showColumnCheckBox)
    assert colored(views["Green"], cyan) == 0
    previewer.check(previewer.ui.showTopLayerCheckBox)
    assert colored(views["Yellow"], orange) == colored(views["Red"], orange) == 0
    assert not node(scan, "surface").GetDisplayVisibility()
    node(scan, "column").SetDisplayVisibility(True)  # elsewhere, in the list of nodes
    previewer.host.process_events()
    assert previewer.ui.showColumnCheckBox.checked


def test_what_the_network_sees_is_shown_in_front_and_taken_away_again(previewer, slicer, scan):
    other = slicer.util.addVolumeFromArray(np.ones((40, 40, 40), np.uint8), name="other")
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    previewer.choose(scan)
    for view in views:
        view.SetForegroundVolumeID(other.GetID())
        view.SetForegroundOpacity(0.25)
    previewer.check(previewer.ui.preparedCheckBox)
    prepared = node(scan, "prepared")
    assert {(view.GetForegroundVolumeID(), view.GetForegroundOpacity()) for view in views} == {(prepared.GetID(), 1.0)}
    bounds, scanned = np.zeros(6), np.zeros(6)
    prepared.GetRASBounds(bounds)
    node(scan, "region").GetRASBounds(scanned)
    assert bounds == pytest.approx(scanned, abs=8.0)
    assert prepared not in [previewer.widget.ui.inputSelector.nodeFromIndex(index) for index in range(2)]
    assert not prepared.GetSaveWithScene()
    previewer.check(previewer.ui.preparedCheckBox)
    assert {(view.GetForegroundVolumeID(), view.GetForegroundOpacity()) for view in views} == {(other.GetID(), 0.25)}
    previewer.check(previewer.ui.preparedCheckBox)
    previewer.choose(other)  # which has no preview
    assert not previewer.ui.preparedCheckBox.checked
    assert {view.GetForegroundVolumeID() for view in views} == {other.GetID()}


# Corrections


def test_a_point_that_is_dragged_in_the_coronal_view_feeds_the_run(previewer, slicer, scan, tmp_path):
    column = node(scan, "column")
    before = world_points(column)
    target = before[6] + (14.0, 0.0, 3.0)
    previewer.drag_in("Green", tuple(before[6]), tuple(target))
    assert np.array_equal(world_points(column), before), "it could be dragged while it was locked"
    previewer.check(previewer.ui.adjustColumnCheckBox)
    previewer.drag_in("Green", tuple(before[6]), tuple(target))
    after = world_points(column)
    assert after[6] == pytest.approx(target, abs=1.5)
    assert np.array_equal(np.delete(after, 6, axis=0), np.delete(before, 6, axis=0))
    assert previewer.lines[2] == "Column: changed by hand"
    assert previewer.lines[-1] == 'Press "Update" to see what follows from your changes.'
    assert previewer.ui.automaticButton.enabled
    arguments, corrections = previewer.record_apply(tmp_path)
    assert arguments[0] == "segment"
    assert list(corrections) == ["column"]
    assert np.array(corrections["column"]) == pytest.approx(after, abs=1e-6)


def test_without_changes_the_run_gets_no_corrections(previewer, scan, tmp_path):
    arguments, corrections = previewer.record_apply(tmp_path)
    assert "--corrections" not in arguments
    assert corrections is None
    assert not node(scan, "column").GetDisplayVisibility(), "the result would be covered"
    assert not node(scan, "surface").GetDisplayVisibility()
    assert not previewer.ui.showTopLayerCheckBox.checked


def test_a_face_of_the_region_is_dragged(previewer, scan, tmp_path):
    previewer.check(previewer.ui.adjustRegionCheckBox)
    region = node(scan, "region")
    bounds = np.zeros(6)
    region.GetRASBounds(bounds)
    center = bounds.reshape(3, 2).mean(axis=1)
    face = (bounds[1], center[1], center[2])
    previewer.drag_in("Red", face, (bounds[1] - 12.0, center[1], center[2]))
    after = np.zeros(6)
    region.GetRASBounds(after)
    assert after[1] == pytest.approx(bounds[1] - 12.0, abs=1.5)
    assert after[[0, 2, 3, 4, 5]] == pytest.approx(bounds[[0, 2, 3, 4, 5]], abs=0.1)
    assert previewer.lines[4].startswith("Region of interest: changed by hand (")
    _arguments, corrections = previewer.record_apply(tmp_path)
    assert list(corrections) == ["region"]
    assert corrections["region"]["center_ras_mm"] == pytest.approx(after.reshape(3, 2).mean(axis=1), abs=1e-3)
    assert sorted(corrections["region"]["size_mm"]) == pytest.approx(sorted(after[1::2] - after[::2]), abs=1e-3)


def test_update_keeps_what_was_changed_and_replaces_what_follows(previewer, slicer, scan):
    column, top_layer = node(scan, "column"), node(scan, "top_layer")
    region_before, top_before = node(scan, "region").GetCenter()[0], world_points(top_layer)
    moved = world_points(column) + np.array([6.0, 0.0, 0.0])
    slicer.util.updateMarkupsControlPointsFromArray(column, moved)
    assert previewer.work.isPending(scan)
    previewer.update()
    assert node(scan, "column") is column
    assert world_points(column) == pytest.approx(moved)
    assert node(scan, "region").GetCenter()[0] == pytest.approx(region_before + 6.0, abs=1.6)
    assert np.mean(world_points(top_layer)[:, 0] - top_before[:, 0]) == pytest.approx(6.0, abs=1.0)
    assert previewer.lines[2:4] == ["Column: changed by hand", "Top layer: automatic"]
    assert not previewer.work.isPending(scan)
    assert list(previewer.work.corrections(scan)) == ["column"]


def test_the_surface_follows_a_top_layer_that_was_moved(previewer, slicer, scan):
    top_layer, surface = node(scan, "top_layer"), node(scan, "surface")
    before = slicer.util.arrayFromModelPoints(surface).copy()
    slicer.util.updateMarkupsControlPointsFromArray(top_layer, world_points(top_layer) + np.array([0.0, 5.0, 0.0]))
    previewer.update()
    after = slicer.util.arrayFromModelPoints(surface)
    assert after[:, 1] - before[:, 1] == pytest.approx(5.0, abs=0.05)
    assert previewer.lines[3] == "Top layer: changed by hand"


def test_what_is_dragged_while_the_update_runs_is_kept(previewer, slicer, scan):
    previewer.press(previewer.ui.updateButton)
    assert previewer.panel.isRunning
    point = move_point(node(scan, "column"), 5, (8.0, 0.0, 0.0))
    previewer.wait()
    assert world_points(node(scan, "column"))[5] == pytest.approx(point)
    assert previewer.lines[2] == "Column: changed by hand"
    assert previewer.work.isPending(scan)


def test_back_to_automatic_restores_all_parts(previewer, slicer, scan):
    shapes = {part: world_points(node(scan, part)) for part in ("column", "top_layer")}
    size, center = node(scan, "region").GetSize(), node(scan, "region").GetCenter()
    move_point(node(scan, "column"), 4, (9.0, 0.0, 0.0))
    previewer.update()
    move_point(node(scan, "top_layer"), 4, (0.0, 4.0, 0.0))
    node(scan, "region").SetSize(200.0, 60.0, 40.0)
    assert list(previewer.work.corrections(scan)) == list(PARTS)
    previewer.press(previewer.ui.automaticButton)
    previewer.wait()
    for part, points in shapes.items():
        assert world_points(node(scan, part)) == pytest.approx(points, abs=1e-6)
    assert node(scan, "region").GetSize() == pytest.approx(size)
    assert node(scan, "region").GetCenter() == pytest.approx(center)
    assert previewer.work.corrections(scan) is None
    assert not previewer.ui.automaticButton.enabled


def test_a_node_that_was_deleted_is_automatic_and_comes_back(previewer, slicer, scan):
    move_point(node(scan, "column"), 4, (9.0, 0.0, 0.0))
    slicer.mrmlScene.RemoveNode(node(scan, "column"))
    previewer.host.process_events()
    assert previewer.work.corrections(scan) is None
    assert not previewer.ui.adjustColumnCheckBox.enabled
    previewer.update()
    assert node(scan, "column") is not None
    assert previewer.lines[2] == "Column: automatic"


def test_what_is_changed_by_less_than_a_hair_is_not_changed(previewer, scan):
    move_point(node(scan, "column"), 4, (0.009, 0.0, 0.0))
    assert previewer.work.corrections(scan) is None
    move_point(node(scan, "column"), 4, (0.009, 0.0, 0.0))
    assert list(previewer.work.corrections(scan)) == ["column"]


def test_the_real_run_starts_from_the_correction_and_says_so(previewer, slicer, scan):
    column = node(scan, "column")
    straight = world_points(column)
    straight[:, 0] = straight[:, 0].mean()
    slicer.util.updateMarkupsControlPointsFromArray(column, straight)
    previewer.press(previewer.widget.ui.applyButton)
    previewer.host.wait_until(lambda: not previewer.logic.isRunning, timeout=120)
    assert "Corrected by hand: Column." in previewer.widget.ui.resultLabel.text.splitlines()
    found = slicer.util.arrayFromMarkupsControlPoints(slicer.util.getNode("scan spinous column"))
    assert found[:, 0] == pytest.approx(straight[0, 0], abs=1e-3)
    assert len(from_node(slicer.util.getNode("scan laminae")).positions()) > 10


# Canceling, closing, failing


def test_the_button_turns_into_cancel_and_cancel_leaves_the_scene_as_it_was(user, slicer, host):
    before = node_ids(slicer.mrmlScene)
    user.press(user.ui.previewButton)
    folder = user.work._command.folder
    assert user.ui.previewButton.text == "Cancel"
    assert user.ui.previewProgressBar.visible
    host.wait_until(lambda: user.ui.previewProgressBar.format != "Starting...")
    user.press(user.ui.previewButton)
    assert user.ui.previewButton.text == "Show preprocessing"
    assert user.ui.previewLabel.text == "Canceled."
    assert not user.ui.previewProgressBar.visible
    assert node_ids(slicer.mrmlScene) == before
    assert not folder.exists()


def test_closing_the_scene_cancels_and_empties_the_section(previewer, slicer, host, scan):
    previewer.check(previewer.ui.preparedCheckBox)
    previewer.press(previewer.ui.updateButton)
    slicer.mrmlScene.Clear()
    host.process_events()
    assert not previewer.panel.isRunning
    assert not previewer.ui.previewButton.enabled
    assert not previewer.ui.updateButton.enabled
    assert not previewer.ui.preparedCheckBox.checked
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0


def test_a_volume_that_is_removed_takes_its_preview_along(previewer, slicer, host, scan):
    slicer.mrmlScene.RemoveNode(scan)
    host.process_events()
    for class_name in ("vtkMRMLMarkupsNode", "vtkMRMLModelNode", "vtkMRMLScalarVolumeNode"):
        left = [
            each for each in slicer.util.getNodesByClass(class_name) if each.GetAttribute("LaminaUltrasound.Preview")
        ]
        assert left == []


def test_an_error_is_a_sentence_and_leaves_the_scene_as_it_was(user, slicer, host):
    before = node_ids(slicer.mrmlScene)
    user.widget.ui.axesComboBox.setEditText("RRA")
    user.press(user.ui.previewButton)
    user.wait()
    assert "RRA" in user.ui.previewLabel.text
    assert node_ids(slicer.mrmlScene) == before
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_a_correction_that_is_refused_is_a_sentence_and_stays(previewer, slicer, host, scan):
    point = move_point(node(scan, "column"), 0, (400.0, 0.0, 0.0))
    previewer.update()
    assert previewer.lines[0].startswith("Point 1 of the corrected spinous process column lies outside of the scan")
    assert world_points(node(scan, "column"))[0] == pytest.approx(point)
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_a_volume_that_is_removed_meanwhile_is_a_sentence(user, slicer, host, scan):
    user.press(user.ui.previewButton)
    slicer.mrmlScene.RemoveNode(scan)
    user.wait()
    assert "removed from the scene" in user.ui.previewLabel.text
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]
