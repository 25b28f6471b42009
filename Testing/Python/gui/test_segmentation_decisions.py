"""Why laminae are suggested and echoes were left out: told by LaminaSegmentation, with real clicks in SlicerHost."""

import json
import shutil

import numpy as np
import pytest
from fake_lamina import LEFT_OUT, REASONS
from segmentation_tools import expected_positions, ijk_to_ras, oblique_scan, panel_with_fake

FAINT, NO_ECHO = REASONS["T7R"], REASONS["L2L"]
DEEPER, MIDLINE = LEFT_OUT


@pytest.fixture
def scan(slicer):
    return oblique_scan(slicer)


@pytest.fixture
def panel(host, scan):
    for panel in panel_with_fake(host):
        panel.use_fake("decided")
        yield panel
        panel.ui.decisionsCollapsibleButton.collapsed = True


def apply(panel):
    panel.click_apply()
    panel.wait()


def unfold(panel):
    panel.host.window._panel.ensureWidgetVisible(panel.ui.decisionsCollapsibleButton, 0, 20)
    panel.host.click(panel.ui.decisionsCollapsibleButton, (40, 8))
    panel.host.process_events()


def rows(panel):
    table = panel.ui.decisionsTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def click_row(panel, row):
    table = panel.ui.decisionsTable
    panel.host.window._panel.ensureWidgetVisible(table, 0, 20)
    table.scrollToItem(table.item(row, 1))
    middle = table.visualItemRect(table.item(row, 1)).center()
    panel.host.click(table.viewport(), (middle.x(), middle.y()))
    panel.host.process_events()


def place_in_views(slicer):
    """Return the place in the world where the three slices meet."""
    offsets = {}
    for name, axis in (("Yellow", 0), ("Green", 1), ("Red", 2)):
        offsets[axis] = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS().GetElement(axis, 3)
    return [offsets[axis] for axis in range(3)]


def left_out_place(slicer, scan, why, world=None):
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras(slicer, scan))
    index = np.array(LEFT_OUT[why]) * (np.array(scan.GetImageData().GetDimensions()) - 1)
    return ((np.eye(4) if world is None else world) @ matrix @ np.append(index, 1.0))[:3]


def markers(slicer):
    return [node for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") if node.GetHideFromEditors()]


def test_nothing_is_shown_before_a_result_and_without_decisions(panel):
    assert not panel.ui.decisionsCollapsibleButton.visible
    panel.use_fake("good")
    apply(panel)
    assert not panel.ui.decisionsCollapsibleButton.visible
    assert not panel.ui.unreliableLabel.visible


def test_the_title_counts_and_the_table_says_why(panel):
    apply(panel)
    section = panel.ui.decisionsCollapsibleButton
    assert section.visible
    assert section.collapsed
    assert section.text == "Suggested: 2, left out: 2"
    unfold(panel)
    assert not section.collapsed
    assert rows(panel) == [
        ["T7R", FAINT, "0.90"],
        ["L2L", NO_ECHO, "0.90"],
        ["left out", MIDLINE, ""],
        ["left out", DEEPER, ""],
    ]
    assert not panel.ui.unreliableLabel.visible


def test_all_rows_are_seen_at_their_full_height(panel):
    apply(panel)
    unfold(panel)
    table = panel.ui.decisionsTable
    last = table.visualItemRect(table.item(table.rowCount - 1, 0))
    assert 0 < last.bottom() <= table.viewport().height


def test_a_click_on_a_suggested_lamina_goes_there(panel, slicer, scan):
    apply(panel)
    unfold(panel)
    click_row(panel, 1)
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras(slicer, scan))
    assert place_in_views(slicer) == pytest.approx(expected_positions((60, 40, 36), matrix)["L2L"], abs=1e-3)
    assert markers(slicer) == []


def test_a_click_on_an_echo_that_was_left_out_goes_there_and_marks_it(panel, slicer, scan, host):
    apply(panel)
    unfold(panel)
    place = slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID()
    click_row(panel, 3)
    expected = left_out_place(slicer, scan, DEEPER)
    assert place_in_views(slicer) == pytest.approx(expected, abs=1e-3)
    [marker] = markers(slicer)
    assert marker.GetNthControlPointPositionWorld(0) == pytest.approx(expected, abs=1e-3)
    assert not marker.GetSaveWithScene()
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID() == place
    click_row(panel, 2)
    [marker] = markers(slicer)
    assert marker.GetNthControlPointPositionWorld(0) == pytest.approx(left_out_place(slicer, scan, MIDLINE), abs=1e-3)
    click_row(panel, 0)
    assert markers(slicer) == []


@pytest.mark.parametrize("how", ["fold", "leave", "remove", "apply", "close"])
def test_the_mark_goes_with_what_it_belongs_to(panel, slicer, host, how):
    apply(panel)
    unfold(panel)
    click_row(panel, 2)
    assert len(markers(slicer)) == 1
    if how == "fold":
        unfold(panel)
    elif how == "leave":
        host.select_module("LaminaLabeling")
        host.select_module("LaminaSegmentation")
    elif how == "remove":
        slicer.mrmlScene.RemoveNode(slicer.util.getNode("case 12 laminae"))
    elif how == "apply":
        panel.click_apply()
    else:
        slicer.mrmlScene.Clear()
    host.process_events()
    assert markers(slicer) == []
    displays = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialDisplayNode")
    assert all(node.GetSaveWithScene() for node in displays)  # those of the mark are gone as well
    panel.wait()
    if how in ("remove", "close"):
        assert not panel.ui.decisionsCollapsibleButton.visible
        assert rows(panel) == []
    else:
        assert len(rows(panel)) == 4


def test_the_places_follow_a_scan_that_was_moved_while_it_was_computed(panel, slicer, scan):
    panel.click_apply()
    turn = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "table")
    shift = np.array([[0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]], dtype=float)
    slicer.util.updateTransformMatrixFromArray(turn, shift)
    scan.SetAndObserveTransformNodeID(turn.GetID())
    panel.wait()
    unfold(panel)
    assert len(rows(panel)) == 4
    click_row(panel, 3)
    assert place_in_views(slicer) == pytest.approx(left_out_place(slicer, scan, DEEPER, shift), abs=1e-3)
    matrix = shift @ slicer.util.arrayFromVTKMatrix(ijk_to_ras(slicer, scan))
    click_row(panel, 0)
    assert place_in_views(slicer) == pytest.approx(expected_positions((60, 40, 36), matrix)["T7R"], abs=1e-3)


def test_the_places_follow_a_transform_that_the_result_is_put_under(panel, slicer, scan):
    apply(panel)
    unfold(panel)
    turn = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "table")
    shift = np.eye(4)
    shift[:3, 3] = (100, -50, 25)
    slicer.util.updateTransformMatrixFromArray(turn, shift)
    slicer.util.getNode("case 12 laminae").SetAndObserveTransformNodeID(turn.GetID())
    click_row(panel, 3)
    assert place_in_views(slicer) == pytest.approx(left_out_place(slicer, scan, DEEPER, shift), abs=1e-3)


def test_a_second_apply_shows_its_own_decisions(panel):
    apply(panel)
    unfold(panel)
    panel.use_fake("good")
    panel.click_apply()
    assert not panel.ui.decisionsCollapsibleButton.visible
    panel.wait()
    assert not panel.ui.decisionsCollapsibleButton.visible
    panel.use_fake("decided")
    apply(panel)
    assert panel.ui.decisionsCollapsibleButton.visible
    assert len(rows(panel)) == 4


def test_a_lamina_that_a_person_has_moved_or_renamed_is_listed_as_it_is_now(panel, slicer, host):
    apply(panel)
    host.click(panel.ui.reviewButton)
    session = slicer.modules.LaminaLabelingWidget.logic.session
    session.swapSides()
    session.select("L2R")
    session.nudge((5.0, 0.0, 0.0))
    host.select_module("LaminaSegmentation")
    assert [row[:2] for row in rows(panel)] == [["T7L", FAINT], ["left out", MIDLINE], ["left out", DEEPER]]
    assert panel.ui.decisionsCollapsibleButton.text == "Suggested: 1, left out: 2"


def test_a_result_that_is_not_reliable_is_said_so_without_a_dialog(panel, host):
    panel.use_fake("unreliable")
    apply(panel)
    label = panel.ui.unreliableLabel
    assert label.visible
    assert label.text.startswith("The result is not reliable")
    assert "background" in label.styleSheet  # no line among others
    assert panel.ui.resultLabel.text.startswith("34 laminae")
    panel.use_fake("good")
    panel.click_apply()
    assert not label.visible
    panel.wait()
    assert not label.visible


def test_closing_the_scene_takes_the_warning_away(panel, slicer, host):
    panel.use_fake("unreliable")
    apply(panel)
    slicer.mrmlScene.Clear()
    host.process_events()
    assert not panel.ui.unreliableLabel.visible


def test_the_reason_is_told_beside_the_lamina_under_review(panel, slicer, host):
    apply(panel)
    host.click(panel.ui.reviewButton)
    labeling = slicer.modules.LaminaLabelingWidget
    assert labeling.logic.session.selected == "L2L"  # lumbar ones first
    assert labeling.ui.hintLabel.text == f"Suggested 0.90, to be reviewed: {NO_ECHO}."


# Results of a folder


@pytest.fixture(scope="module")
def folder_of_scans(tmp_path_factory):
    """A coarse simulated scan and its results, as the command leaves them."""
    from LaminaLabelingLib.volumes import write_volume
    from LaminaSegmentationLib.__main__ import main
    from LaminaSegmentationLib.simulation import simulate_scan

    folder = tmp_path_factory.mktemp("folder")
    (folder / "scans").mkdir()
    write_volume(simulate_scan(2, 1.5).volume, folder / "scans" / "scan2.nrrd")
    assert main(["segment", str(folder / "scans"), "-o", str(folder / "results"), "--json"]) == 0
    return folder


def test_a_result_that_is_opened_from_a_folder_brings_its_decisions(host, slicer, folder_of_scans, tmp_path):
    results = shutil.copytree(folder_of_scans / "results", tmp_path / "results")
    path = results / "scan2" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    place = [1.0, 2.0, -30.0]
    summary["rejected_candidates"] = [{"position_ras_mm": place, "why": "on the midline"}]
    summary["reliable"] = False
    path.write_text(json.dumps(summary), encoding="utf-8")
    for panel in panel_with_fake(host):
        batch = panel.widget.batchPanel
        panel.ui.batchCollapsibleButton.collapsed = False
        batch.setFolders(str(folder_of_scans / "scans"), str(results))
        batch.open(0)
        assert slicer.modules.LaminaLabelingWidget.parent.isEntered
        host.select_module("LaminaSegmentation")
        assert panel.ui.inputSelector.currentNode() is slicer.util.getNode("scan2")
        assert panel.ui.resultLabel.text.startswith("scan2.nrrd: 34 laminae")
        assert panel.ui.unreliableLabel.visible
        assert panel.ui.reviewButton.enabled
        suggested = len(summary["suggested"])
        assert panel.ui.decisionsCollapsibleButton.text == f"Suggested: {suggested}, left out: 1"
        unfold(panel)
        click_row(panel, suggested)
        assert place_in_views(slicer) == pytest.approx(place, abs=1e-3)
        batch.setFolders("", "")
        panel.ui.batchCollapsibleButton.collapsed = True
        panel.ui.decisionsCollapsibleButton.collapsed = True
