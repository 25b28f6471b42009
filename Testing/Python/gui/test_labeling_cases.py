"""The module LaminaLabeling on a folder of scans: switching, saving, resuming, two raters, axes."""

import csv

import numpy as np
import pytest
from case_tools import answer, fill_folder, names, open_case, place, rater_in, write_scan
from labeling_tools import SPACING, spine_positions

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_markups, write_markups
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups import to_node


@pytest.fixture
def folder(tmp_path):
    return fill_folder(tmp_path)


@pytest.fixture
def user(host, folder):
    yield from rater_in(host, folder)


def test_the_folder_is_listed_in_natural_order(user):
    assert [row[:3] for row in names(user)] == [
        ["scan1", "untouched", "0/34"],
        ["scan2", "untouched", "0/34"],
        ["scan10", "untouched", "0/34"],
    ]
    assert "3 untouched" in user.ui.folderLabel.text


def test_a_case_is_opened_edited_saved_and_listed_as_done(user, folder):
    open_case(user, 0)
    assert user.session.scanNode.GetName() == "scan1"
    assert user.ui.laminaeSelector.currentNode().GetName() == "scan1 anna"
    assert not user.ui.laminaeSelector.enabled
    place(user, "T1L")
    draft = folder / "scan1.anna.autosave.mrk.json"
    assert read_markups(draft).positions().keys() == {"T1L"}
    assert user.ui.saveButton.text == "Save *"
    user.session.labeling.replace(LaminaSet.from_positions(spine_positions()), "all")
    user.key("Ctrl+Shift+S")
    assert not draft.exists()
    assert len(read_markups(folder / "scan1.anna.mrk.json").positions()) == 34
    assert names(user)[0][:3] == ["scan1", "done", "34/34"]
    user.press(user.ui.reviewedButton)
    assert names(user)[0][1] == "reviewed"


def test_every_edit_is_in_the_draft_at_once(user, folder):
    open_case(user, 0)
    draft = folder / "scan1.anna.autosave.mrk.json"
    place(user, "T6R")
    before = read_markups(draft)["T6R"].position
    user.click_slot("T6R")
    user.key("Up")
    assert read_markups(draft)["T6R"].position == pytest.approx(np.add(before, (0, 0, SPACING[2])))
    user.key("X")
    assert read_markups(draft)["T6R"].review == "absent"
    user.key("Ctrl+Z")
    user.key("Ctrl+Z")
    assert read_markups(draft)["T6R"].position == pytest.approx(before)


def test_the_work_is_resumed_where_it_stopped(host, user, folder):
    open_case(user, 1)
    place(user, "T9R")
    user.ui.orderComboBox.setCurrentIndex(1)
    user.click_slot("T4L")
    state = user.laminae
    user.widget.logic.cases.closeFolder()
    host.process_events()
    user.widget.casePanel.openFolder(str(folder))
    assert names(user)[1][:3] == ["scan2", "begun", "1/34"]
    open_case(user, 1)
    assert user.laminae == state
    assert user.session.selected == "T4L"
    assert user.session.order == "pairs up"
    assert "not saved" in user.ui.caseLabel.text


@pytest.mark.parametrize(
    ("button", "saved", "draft", "opened"),
    [
        ("Save", True, False, "scan2"),
        ("Keep as draft", False, True, "scan2"),
        ("Discard", False, False, "scan2"),
        ("Cancel", False, True, "scan1"),
    ],
)
def test_switching_with_unsaved_edits_asks(user, folder, button, saved, draft, opened):
    open_case(user, 0)
    place(user, "T1L")
    text = answer(user, button, lambda: user.key("Ctrl+PgDown"))
    assert "scan1" in text
    assert (folder / "scan1.anna.mrk.json").exists() == saved
    assert (folder / "scan1.anna.autosave.mrk.json").exists() == draft
    assert user.widget.logic.cases.name == opened


def test_switching_without_edits_does_not_ask(user):
    open_case(user, 0)
    user.press(user.ui.nextCaseButton)
    assert user.widget.logic.cases.name == "scan2"
    user.press(user.ui.previousCaseButton)
    assert user.widget.logic.cases.name == "scan1"
    user.press(user.ui.previousCaseButton)
    assert user.widget.logic.cases.name == "scan1"
    assert "no such scan" in user.ui.caseLabel.text


def test_next_unfinished_skips_what_is_done(user, folder):
    write_markups(LaminaSet.from_positions(spine_positions()), folder / "scan2.anna.mrk.json")
    open_case(user, 0)
    user.press(user.ui.nextUnfinishedButton)
    assert user.widget.logic.cases.name == "scan10"


def test_the_nodes_of_a_case_leave_with_it(slicer, user):
    open_case(user, 0)
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    user.press(user.ui.nextCaseButton)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before == 1
    user.press(user.ui.closeCaseButton)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    assert user.ui.laminaeSelector.enabled


def test_another_raters_labels_are_shown_to_look_at_only(slicer, user, folder):
    others = LaminaSet.from_positions(spine_positions())
    write_markups(others, folder / "scan1.bert.mrk.json")
    user.press(user.ui.refreshButton)
    assert names(user)[0][3] == "bert"
    open_case(user, 0)
    user.ui.otherRaterComboBox.setCurrentIndex(user.ui.otherRaterComboBox.findText("bert"))
    shown = slicer.util.getNode("scan1 bert (read only)")
    assert shown.GetLocked()
    assert shown.GetNumberOfDefinedControlPoints() == 34
    assert user.laminae.positions() == {}
    kept = [shown, *(shown.GetNthDisplayNode(index) for index in range(shown.GetNumberOfDisplayNodes()))]
    assert len(kept) > 1 and not any(node.GetSaveWithScene() for node in kept)
    displays = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsDisplayNode")
    user.ui.otherRaterComboBox.setCurrentIndex(0)
    assert slicer.mrmlScene.GetFirstNodeByName("scan1 bert (read only)") is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsDisplayNode") == displays - len(kept) + 1


def result_on(slicer, scan, name="result"):
    """A list as a segmentation of the scan leaves it."""
    from LaminaLabelingGui.appearance import belongToScan

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    to_node(LaminaSet.from_positions(spine_positions(), review="unreviewed", source="detected"), node)
    belongToScan(scan, node)
    return node


def test_a_result_on_the_open_case_is_reviewed_in_the_case(slicer, user, folder):
    open_case(user, 0)
    list_of_case = user.session.listNode
    user.widget.review(result_on(slicer, user.session.scanNode))
    assert user.widget.logic.cases.name == "scan1"
    assert user.session.listNode is list_of_case
    assert user.laminae.positions().keys() == spine_positions().keys()
    assert user.session.selected == "L1L"  # of equally sure ones a lumbar one first: these are missed most
    with pytest.raises(LaminaError, match="holds labels already"):
        user.widget.review(result_on(slicer, user.session.scanNode, "again"))
    user.key("Ctrl+Z")
    assert user.laminae.positions() == {}


def test_a_result_on_another_scan_does_not_get_into_the_case(slicer, user, folder):
    open_case(user, 0)
    other = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(LaminaError, match="another scan"):
        user.widget.review(result_on(slicer, other))
    assert user.laminae.positions() == {}


def test_the_time_is_written_when_a_case_is_left(user, folder):
    open_case(user, 0)
    place(user, "T1L")
    user.session.save()
    user.press(user.ui.closeCaseButton)
    with open(folder / "times.anna.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scan"], row["rater"], row["edits"]) for row in rows] == [("scan1", "anna", "1")]


def test_leaving_the_module_keeps_the_case_open(host, user):
    open_case(user, 0)
    place(user, "T1L")
    host.select_module("LaminaSegmentation")
    host.select_module("LaminaLabeling")
    assert user.widget.logic.cases.name == "scan1"
    assert list(user.laminae.positions()) == ["T1L"]
    user.key("Ctrl+Z")
    assert user.laminae.positions() == {}


def test_the_axes_are_set_by_a_transform_and_kept_for_everybody(slicer, host, user, folder):
    # In truth i runs to superior, j to the right and k to anterior, as in a tracker's frame.
    write_scan(folder / "turned.nrrd", direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))
    user.press(user.ui.refreshButton)
    open_case(user, 3)
    place(user, "T1L", (-30.0, -24.0, 100.0))
    before = user.laminae
    voxels = slicer.util.arrayFromVolume(user.session.scanNode).copy()
    user.ui.axesComboBox.setEditText("SRA")
    user.press(user.ui.axesButton)
    assert "S, R, A" in user.ui.orientationLabel.text
    assert user.laminae == before  # in the file's own coordinates nothing has moved
    assert np.array_equal(slicer.util.arrayFromVolume(user.session.scanNode), voxels)
    place_in_world = user.session.position("T1L")
    index = np.linalg.inv(ijk_to_world(user)) @ (*place_in_world, 1.0)
    own = np.linalg.inv(ijk_to_ras(slicer, user)) @ (*before["T1L"].position, 1.0)
    assert index == pytest.approx(own)
    directions = ijk_to_world(user)[:3, :3] / SPACING
    assert pytest.approx(np.array([(0, 0, 1), (1, 0, 0), (0, 1, 0)]), abs=1e-9) == directions.T
    user.press(user.ui.closeCaseButton)
    open_case(user, 3)
    assert ijk_to_world(user)[:3, :3] / SPACING == pytest.approx(directions)
    user.press(user.ui.flipButton)
    assert "S, L, A" in user.ui.orientationLabel.text


def ijk_to_world(user):
    from LaminaLabelingGui.scan_nodes import ijkToWorld

    return ijkToWorld(user.session.scanNode)


def ijk_to_ras(slicer, user):
    from LaminaLabelingGui.scan_nodes import ijkToRas

    return ijkToRas(user.session.scanNode)


@pytest.mark.parametrize("code", ["RRA", "RA", "LAS"])
def test_axes_that_make_no_sense_are_a_sentence(host, slicer, user, code):
    open_case(user, 0)
    user.ui.axesComboBox.setEditText(code)
    user.press(user.ui.axesButton)
    assert [code in str(error) for error in host.take_slot_errors()] == [True]
    assert user.session.scanNode.GetParentTransformNode() is None


def test_all_slots_of_a_case_are_absent_or_placed_after_a_partial_scan(user, folder):
    open_case(user, 0)
    user.ui.lastComboBox.setCurrentIndex(user.ui.lastComboBox.findText("T1"))
    user.press(user.ui.rangeButton)
    place(user, "T1L", (30.0, 27.0, 120.0))
    place(user, "T1R", (46.0, 27.0, 120.0))
    user.key("Ctrl+Shift+S")
    assert names(user)[0][:3] == ["scan1", "done", "34/34"]
    assert set(read_markups(folder / "scan1.anna.mrk.json")) == set(SLOTS)
