"""The module LaminaLabeling on a folder of scans when something is in the way: locks, damage, a folder that is gone."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
from case_tools import POINT, answer, fill_folder, names, open_case, place, rater_in
from labeling_tools import spine_positions

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_markups, write_markups
from LaminaLabelingLib.laminae import LaminaSet


@pytest.fixture
def folder(tmp_path):
    return fill_folder(tmp_path)


@pytest.fixture
def user(host, folder):
    yield from rater_in(host, folder)


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
