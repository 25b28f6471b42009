"""The module LaminaLabeling on a folder of scans: switching, saving, resuming, two raters, two people."""

import csv
import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK
from labeling_tools import SHAPE_IJK, SPACING, Labeler, spine_positions

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_markups, write_markups
from LaminaLabelingLib.laminae import LaminaSet

POINT = (38.0, 27.0, 120.0)


def write_scan(path, direction=None):
    """Write a scan that lies like `labeling_tools.make_scan` in the world."""
    array = np.random.default_rng(4).integers(1, 120, size=SHAPE_IJK[::-1], dtype=np.uint8)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    # LPS: i and j run to the patient's right and anterior, as RAS says.
    image.SetDirection(direction or (-1, 0, 0, 0, -1, 0, 0, 0, 1))
    image.SetOrigin((0.0, 0.0, -5.0))
    SimpleITK.WriteImage(image, str(path), useCompression=False)


@pytest.fixture
def slicer(host):
    import slicer

    return slicer


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 10):
        write_scan(tmp_path / f"scan{number}.nrrd")
    return tmp_path


@pytest.fixture
def user(host, folder):
    """A rater who has opened the folder."""
    user = Labeler(host)
    user.ui.raterLineEdit.setText("anna")
    user.ui.casesCollapsibleButton.collapsed = False
    user.widget.casePanel.openFolder(str(folder))
    host.process_events()
    yield user
    user.widget.logic.cases.closeFolder()
    user.widget.casePanel.show()
    host.select_module("LaminaSegmentation")


def names(user):
    table = user.ui.caseTable
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]


def open_case(user, row):
    """Double-click a row of the case table."""
    from PySide6 import QtCore, QtTest

    table = user.ui.caseTable
    table.scrollToItem(table.item(row, 0))
    middle = table.visualItemRect(table.item(row, 0)).center()
    left, none = QtCore.Qt.LeftButton, QtCore.Qt.NoModifier
    QtTest.QTest.mouseClick(table.viewport(), left, none, middle)
    QtTest.QTest.mouseDClick(table.viewport(), left, none, middle)
    user.host.process_events()


def place(user, name, position=POINT):
    user.click_slot(name)
    user.key("P")
    user.click_in("Green", position)
    user.key("P")


def answer(user, button, action):
    """Run an action that asks something, and click a button of the box."""
    import qt
    import slicer

    seen = []

    def click():
        box = qt.QApplication.activeModalWidget()
        if box is None or seen:
            return
        seen.append(box.text)
        user.host.click(next(made for made in box.buttons() if made.text.replace("&", "") == button))

    watcher = qt.QTimer()
    watcher.timeout.connect(click)
    watcher.start(20)
    slicer.app.setTestingEnabled(False)
    try:
        action()
        user.host.process_events()
    finally:
        slicer.app.setTestingEnabled(True)
        watcher.stop()
    assert len(seen) == 1, seen
    return seen[0]


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
    user.ui.otherRaterComboBox.setCurrentIndex(0)
    assert slicer.mrmlScene.GetFirstNodeByName("scan1 bert (read only)") is None


def test_the_time_is_written_when_a_case_is_left(user, folder):
    open_case(user, 0)
    place(user, "T1L")
    user.session.save()
    user.press(user.ui.closeCaseButton)
    with open(folder / "times.anna.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scan"], row["rater"], row["edits"]) for row in rows] == [("scan1", "anna", "1")]


def test_a_case_that_another_process_has_open_is_refused(host, user, folder):
    program = (
        "import sys, time\n"
        "from LaminaLabelingLib.case_session import CaseSession\n"
        "session = CaseSession.open(sys.argv[1], 'scan1', 'anna')\n"
        "print('open', flush=True)\n"
        "time.sleep(120)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "open\n"
        open_case(user, 0)
        assert not user.session.isOpen
        assert [type(error).__mro__[1] for error in host.take_slot_errors()] == [LaminaError]
        assert user.ui.caseTable.item(0, 4).text().startswith("open: ")
    finally:
        other.kill()
        other.wait()
    open_case(user, 0)  # a dead process holds nothing
    assert user.widget.logic.cases.name == "scan1"


def test_a_case_of_another_computer_is_taken_over_only_after_asking(user, folder):
    from LaminaLabelingLib.case_session import CaseSession

    with CaseSession.open(folder, "scan1", "anna"):
        lock = folder / "scan1.anna.lock"
        fields = json.loads(lock.read_text(encoding="utf-8"))
        assert fields["host"] == socket.gethostname()
        foreign = json.dumps({**fields, "host": "PC7"})
    lock.write_text(foreign, encoding="utf-8")
    answer(user, "Take it over", lambda: open_case(user, 0))
    assert user.widget.logic.cases.name == "scan1"


def test_a_scan_that_is_deleted_while_it_is_open_loses_no_edit(user, folder):
    open_case(user, 0)
    (folder / "scan1.nrrd").unlink()
    place(user, "T1L")
    assert "scan1" in user.ui.problemLabel.text
    assert list(user.laminae.positions()) == ["T1L"]
    assert read_markups(folder / "scan1.anna.autosave.mrk.json").positions().keys() == {"T1L"}


def test_a_scan_that_is_no_volume_is_a_sentence(host, user, folder):
    (folder / "scan10.nrrd").write_text("no scan")
    open_case(user, 2)
    assert ["scan10" in str(error) for error in host.take_slot_errors()] == [True]
    assert not user.widget.logic.cases.isOpen
    assert not (folder / "scan10.anna.lock").exists()
    open_case(user, 0)
    assert user.widget.logic.cases.name == "scan1"


def test_damaged_labels_are_named_in_the_table_and_not_overwritten(host, user, folder):
    path = folder / "scan2.anna.mrk.json"
    write_markups(LaminaSet.from_positions(spine_positions()), path)
    damaged = path.read_bytes()[:2000]
    path.write_bytes(damaged)
    user.press(user.ui.refreshButton)
    assert "scan2.anna" in user.ui.caseTable.item(1, 4).text()
    open_case(user, 1)
    host.take_slot_errors()
    assert path.read_bytes() == damaged


def test_a_folder_that_cannot_be_opened_is_a_sentence(host, user, tmp_path):
    user.widget.casePanel.ui.raterLineEdit.setText("anna")
    with pytest.raises(LaminaError, match="nowhere"):
        user.widget.casePanel.openFolder(str(tmp_path / "nowhere"))


def test_a_scene_that_is_closed_keeps_the_draft_and_frees_the_case(host, slicer, user, folder):
    open_case(user, 0)
    place(user, "T1L")
    user.key("P")
    slicer.mrmlScene.Clear()
    host.process_events()
    assert not user.session.isOpen
    assert not (folder / "scan1.anna.lock").exists()
    assert read_markups(folder / "scan1.anna.autosave.mrk.json").positions().keys() == {"T1L"}
    open_case(user, 0)
    assert list(user.laminae.positions()) == ["T1L"]


def test_a_list_that_is_removed_closes_the_case(host, slicer, user, folder):
    open_case(user, 0)
    place(user, "T1L")
    slicer.mrmlScene.RemoveNode(user.session.listNode)
    host.process_events()
    assert not user.session.isOpen
    assert not (folder / "scan1.anna.lock").exists()
    open_case(user, 0)
    assert list(user.laminae.positions()) == ["T1L"]


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


def test_leaving_with_a_draft_that_cannot_be_stored_stays(host, slicer, user, folder):
    open_case(user, 0)
    folder.rename(folder.with_name("unreachable"))
    user.session.labeling.place("T1L", POINT)
    host.process_events()
    assert user.session.problem
    answers = []

    def read_and_close():
        import qt

        box = qt.QApplication.activeModalWidget()
        if box is None:
            return
        answers.append(box.text)
        keep = [button for button in box.buttons() if button.text.replace("&", "") == "Keep as draft"]
        host.click(keep[0] if keep else box.buttons()[0])

    import qt

    watcher = qt.QTimer()
    watcher.timeout.connect(read_and_close)
    watcher.start(20)
    slicer.app.setTestingEnabled(False)
    try:
        user.press(user.ui.closeCaseButton)
    finally:
        slicer.app.setTestingEnabled(True)
        watcher.stop()
    assert len(answers) == 2
    assert user.widget.logic.cases.name == "scan1"
    assert list(user.laminae.positions()) == ["T1L"]
    folder.with_name("unreachable").rename(folder)


def test_a_scene_that_is_closed_without_its_folder_keeps_the_edits_elsewhere(host, slicer, user, folder):
    open_case(user, 0)
    folder.rename(folder.with_name("unreachable"))
    user.session.labeling.place("T1L", POINT)
    slicer.mrmlScene.Clear()
    host.process_events()
    path = user.session.problem.partition("kept in ")[2].partition(": import")[0]
    assert read_markups(path).positions().keys() == {"T1L"}
    folder.with_name("unreachable").rename(folder)


def test_the_settings_cannot_swap_the_scan_of_a_case(host, slicer, user):
    open_case(user, 0)
    other = slicer.util.addVolumeFromArray(np.ones((40, 40, 40), dtype=np.uint8), name="other")
    user.widget._parameterNode.scan = other
    host.process_events()
    assert user.session.scanNode.GetName() == "scan1"
    assert user.ui.scanSelector.currentNode().GetName() == "scan1"


def test_refreshing_after_the_scan_is_gone_breaks_nothing(host, user, folder):
    open_case(user, 0)
    (folder / "scan1.nrrd").unlink()
    user.press(user.ui.refreshButton)
    assert [row[0] for row in names(user)] == ["scan2", "scan10"]
    host.select_module("LaminaSegmentation")
    host.select_module("LaminaLabeling")
    assert user.session.isOpen


def test_cancel_brings_the_former_rater_back(host, user, folder):
    open_case(user, 0)
    place(user, "T1L")
    user.ui.raterLineEdit.setFocus()
    user.ui.raterLineEdit.setText("carl")
    answer(user, "Cancel", lambda: user.key_in(user.ui.raterLineEdit, "Return"))
    assert user.ui.raterLineEdit.text == "anna"
    assert user.widget.logic.cases.folder.rater == "anna"
    assert user.widget.logic.cases.name == "scan1"


def test_another_rater_reads_the_folder_anew(host, user, folder):
    write_markups(LaminaSet.from_positions(spine_positions()), folder / "scan2.carl.mrk.json")
    user.ui.raterLineEdit.setFocus()
    user.ui.raterLineEdit.setText("carl")
    user.key_in(user.ui.raterLineEdit, "Return")
    assert names(user)[1][:3] == ["scan2", "done", "34/34"]


def test_the_gray_points_follow_the_axes(slicer, user, folder):
    write_markups(LaminaSet.from_positions({"T1L": POINT}), folder / "scan1.bert.mrk.json")
    user.press(user.ui.refreshButton)
    open_case(user, 0)
    place(user, "T1L")
    user.ui.otherRaterComboBox.setCurrentIndex(user.ui.otherRaterComboBox.findText("bert"))
    user.press(user.ui.flipButton)
    shown = [0.0, 0.0, 0.0]
    slicer.util.getNode("scan1 bert (read only)").GetNthControlPointPositionWorld(0, shown)
    within = 2 * user.millimeters_per_pixel("Green")
    assert shown == pytest.approx(user.session.position("T1L"), abs=within)


def test_a_damaged_scan_is_noted_and_gone_past(host, user, folder):
    (folder / "scan2.nrrd").write_text("no scan")
    open_case(user, 0)
    user.press(user.ui.nextCaseButton)
    assert not user.session.isOpen
    assert "scan2" in user.ui.caseTable.item(1, 4).text()
    user.press(user.ui.nextCaseButton)
    assert user.widget.logic.cases.name == "scan10"


def test_leaving_a_locked_case_alone_is_no_error(user, folder):
    from LaminaLabelingLib.case_session import CaseSession

    with CaseSession.open(folder, "scan1", "anna"):
        lock = folder / "scan1.anna.lock"
        foreign = json.dumps({**json.loads(lock.read_text(encoding="utf-8")), "host": "PC7"})
    lock.write_text(foreign, encoding="utf-8")
    answer(user, "Leave it", lambda: open_case(user, 0))  # fails if a second box appears
    assert not user.widget.logic.cases.isOpen


def test_without_a_rater_it_is_asked_for(host, user, folder):
    user.ui.raterLineEdit.setText("")
    with pytest.raises(LaminaError, match="Fill in Rater first"):
        user.widget.casePanel.openFolder(str(folder))
    user.ui.raterLineEdit.setText("anna")


def test_looking_at_another_rater_goes_on_after_saving(user, folder):
    write_markups(LaminaSet.from_positions(spine_positions()), folder / "scan1.bert.mrk.json")
    user.press(user.ui.refreshButton)
    open_case(user, 0)
    user.ui.otherRaterComboBox.setCurrentIndex(user.ui.otherRaterComboBox.findText("bert"))
    place(user, "T1L")
    user.key("Ctrl+Shift+S")
    assert user.ui.otherRaterComboBox.currentText == "bert"
    assert user.widget.logic.cases.shownRater == "bert"
