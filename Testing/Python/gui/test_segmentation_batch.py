"""Many scans at once: the part of the panel of LaminaSegmentation, with the real command, in SlicerHost."""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from LaminaLabelingLib.case_sidecars import write_axes
from LaminaLabelingLib.files import read_markups
from LaminaLabelingLib.markups import from_node
from LaminaLabelingLib.volumes import write_volume

BROKEN = "a<b>&broken.nrrd"


@pytest.fixture(scope="module")
def two_scans(tmp_path_factory):
    """A folder with two coarse simulated scans and a file that is none."""
    from LaminaSegmentationLib.simulation import simulate_scan

    folder = tmp_path_factory.mktemp("two") / "scans"
    folder.mkdir()
    write_volume(simulate_scan(2, 1.5).volume, folder / "scan2.nrrd")
    write_volume(simulate_scan(10, 2.0).volume, folder / "scan10.nrrd")
    (folder / BROKEN).write_text("nonsense", encoding="utf-8")
    return folder


class Panel:
    """The panel in the hands of a user."""

    def __init__(self, host):
        self.host = host
        self.widget = host.select_module("LaminaSegmentation")
        self.batch = self.widget.batchPanel
        self.ui = self.batch.ui
        self.widget.ui.batchCollapsibleButton.collapsed = False
        host.process_events()

    def choose(self, scans, results):
        """Type both folders."""
        for edit, text in ((self.ui.scansLineEdit, scans), (self.ui.resultsLineEdit, results)):
            edit.setText(str(text))
            edit.editingFinished.emit()

    def press(self, button):
        assert button.enabled, f"{button.objectName} is disabled"
        self.host.window._panel.ensureWidgetVisible(button, 0, 20)
        self.host.click(button)

    def run(self):
        self.press(self.ui.startButton)
        self.wait()

    def wait(self, timeout=120):
        self.host.wait_until(lambda: not self.batch.isRunning, timeout)
        self.host.process_events()

    def texts(self):
        """Return what the table shows, by scan."""
        table = self.ui.caseTable
        rows = [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]
        return {row[0]: row[1:] for row in rows}

    def select(self, scan):
        """Click a row."""
        row = list(self.texts()).index(scan)
        item = self.ui.caseTable.item(row, 0)
        self.host.window._panel.ensureWidgetVisible(self.ui.caseTable, 0, 20)
        self.ui.caseTable.scrollToItem(item)
        middle = self.ui.caseTable.visualItemRect(item).center()
        self.host.click(self.ui.caseTable.viewport(), (middle.x(), middle.y()))
        self.host.process_events()
        return row


@pytest.fixture
def panel(host):
    panel = Panel(host)
    yield panel
    panel.batch.cancel("")
    panel.choose("", "")
    panel.widget.logic.installation.program = None
    panel.widget.ui.batchCollapsibleButton.collapsed = True
    host.select_module("LaminaLabeling")


@pytest.fixture(scope="module")
def finished(two_scans, tmp_path_factory):
    """Results of both scans, as the command leaves them."""
    from LaminaSegmentationLib.__main__ import main

    output = tmp_path_factory.mktemp("finished") / "results"
    assert main(["segment", str(two_scans), "-o", str(output), "--json"]) == 0
    return output


@pytest.fixture
def results(finished, tmp_path):
    """A copy of them that a test may change."""
    return shutil.copytree(finished, tmp_path / "results")


def test_a_folder_in_a_table_out(panel, two_scans, tmp_path):
    output = tmp_path / "results"
    panel.choose(two_scans, output)
    panel.press(panel.ui.startButton)
    assert panel.ui.startButton.text == "Cancel"
    assert not panel.ui.scansButton.enabled
    assert list(panel.texts()) == [BROKEN, "scan2.nrrd", "scan10.nrrd"]
    panel.wait()
    texts = panel.texts()
    assert texts[BROKEN] == ["failed", "", "", ""]
    for scan in ("scan2.nrrd", "scan10.nrrd"):
        state, laminae, doubtful, seconds = texts[scan]
        found = read_markups(output / scan.removesuffix(".nrrd") / "laminae.mrk.json").positions()
        assert (state, laminae) == ("done", str(len(found)))
        assert int(doubtful) <= len(found)
        assert seconds.endswith(" s")
    assert panel.ui.resultLabel.text.startswith("2 of 3 scans are done, 1 failed.")
    assert panel.ui.startButton.text == "Start"
    assert not panel.ui.progressBar.visible


def test_a_failed_scan_is_red_and_says_why(panel, two_scans, results):
    panel.choose(two_scans, results)
    row = panel.select(BROKEN)
    assert "cannot be read as a 3D scan" in panel.ui.caseLabel.text
    item = panel.ui.caseTable.item(row, 1)
    assert "cannot be read as a 3D scan" in item.toolTip()
    assert "a&lt;b&gt;&amp;broken.nrrd" in item.toolTip()  # Qt would take the name for markup
    color = item.foreground().color()
    assert color.red() > 2 * color.green()
    other = panel.ui.caseTable.item(panel.select("scan2.nrrd"), 1).foreground().color()
    assert other.red() <= 2 * other.green()
    assert "34 laminae" in panel.ui.caseLabel.text


def test_only_scans_with_results_can_be_opened(panel, two_scans, results):
    panel.choose(two_scans, results)
    assert not panel.ui.openButton.enabled
    panel.select(BROKEN)
    assert not panel.ui.openButton.enabled
    assert not panel.ui.filesButton.enabled
    panel.select("scan2.nrrd")
    assert panel.ui.openButton.enabled


def test_open_in_slicer_shows_scan_and_laminae_for_review(panel, slicer, two_scans, results):
    panel.choose(two_scans, results)
    panel.select("scan2.nrrd")
    panel.press(panel.ui.openButton)
    labeling = slicer.modules.LaminaLabelingWidget
    assert labeling.parent.isEntered
    session = labeling.logic.session
    assert session.scanNode is slicer.util.getNode("scan2")
    assert session.listNode is slicer.util.getNode("scan2 laminae")
    expected = read_markups(results / "scan2" / "laminae.mrk.json").positions()
    assert list(session.laminae.positions()) == list(expected)
    for name, point in expected.items():
        assert session.laminae.positions()[name] == pytest.approx(point, abs=1e-3)
    assert slicer.util.getNode("scan2 spinous column").GetNumberOfControlPoints() > 10
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(session.listNode)
    assert hierarchy.GetItemParent(item) == hierarchy.GetItemByDataNode(session.scanNode)
    reviewed = session.selected
    session.accept()
    assert from_node(session.listNode)[reviewed].review == "placed"


def test_opening_a_scan_again_does_not_load_it_twice(panel, slicer, host, two_scans, results):
    panel.choose(two_scans, results)
    row = panel.select("scan10.nrrd")
    panel.ui.caseTable.cellDoubleClicked.emit(row, 0)
    host.process_events()
    assert slicer.modules.LaminaLabelingWidget.parent.isEntered
    host.select_module("LaminaSegmentation")
    panel.ui.caseTable.cellDoubleClicked.emit(row, 0)
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1
    slicer.mrmlScene.Clear()
    host.process_events()
    host.select_module("LaminaSegmentation")
    panel.ui.caseTable.cellDoubleClicked.emit(row, 0)
    assert slicer.util.getNode("scan10 laminae").GetNumberOfControlPoints() > 20


def test_a_scan_with_given_axes_opens_in_patient_axes(panel, slicer, two_scans, tmp_path):
    """The file's directions say nothing; the code beside the scan does, and the list lies on the anatomy."""
    import SimpleITK

    from LaminaLabelingGui import scan_nodes

    folder, output = tmp_path / "tracked", tmp_path / "results"
    folder.mkdir()
    image = SimpleITK.ReadImage(str(two_scans / "scan10.nrrd"))
    image.SetDirection(np.eye(3).ravel().tolist())
    image.SetOrigin((7.0, -40.0, 12.0))
    SimpleITK.WriteImage(image, str(folder / "tracked.nrrd"))
    write_axes("ARI", folder / "tracked.orientation.json")
    panel.choose(folder, output)
    panel.run()
    assert panel.texts()["tracked.nrrd"][0] == "done", panel.batch.work.cases
    panel.select("tracked.nrrd")
    panel.press(panel.ui.openButton)
    session = slicer.modules.LaminaLabelingWidget.logic.session
    scan, laminae = session.scanNode, session.listNode
    assert scan_nodes.axesOf(scan) == "ARI"
    transform = scan.GetParentTransformNode()
    assert transform is not None
    assert laminae.GetParentTransformNode() is transform
    assert slicer.util.getNode("tracked spinous column").GetParentTransformNode() is transform
    world = {name: scan_nodes.pointToWorld(laminae, point) for name, point in from_node(laminae).positions().items()}
    assert world["T1L"][2] > world["L5L"][2] + 100  # superior
    assert world["T6L"][0] < world["T6R"][0]  # the patient's left
    file = read_markups(output / "tracked" / "laminae.mrk.json").positions()
    assert from_node(laminae).positions()["T6L"] == pytest.approx(file["T6L"], abs=1e-3)


def test_a_scan_that_changed_since_is_not_opened(panel, slicer, host, two_scans, results, tmp_path):
    folder = shutil.copytree(two_scans, tmp_path / "scans")
    panel.choose(folder, results)
    os.utime(folder / "scan2.nrrd")
    panel.select("scan2.nrrd")
    panel.press(panel.ui.openButton)
    assert "has changed since" in str(host.take_slot_errors()[0])
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0


def test_files_and_table_are_opened_outside(panel, two_scans, results):
    import qt

    panel.choose(two_scans, results)
    panel.select("scan2.nrrd")
    qt.QDesktopServices.opened.clear()
    panel.press(panel.ui.filesButton)
    panel.press(panel.ui.pageButton)
    opened = [Path(qt.QUrl(url).toLocalFile()) for url in qt.QDesktopServices.opened]
    assert opened == [results / "scan2", results / "results.html"]


def test_canceling_keeps_what_is_done_and_nothing_half_written(panel, host, two_scans, tmp_path):
    output = tmp_path / "results"
    panel.choose(two_scans, output)
    panel.press(panel.ui.startButton)
    states = lambda: [texts[0] for texts in panel.texts().values()]  # noqa: E731
    host.wait_until(lambda: states()[1:] == ["done", "running..."], 60)
    host.wait_until(lambda: any(output.glob(".partial-*")), 60)  # in the middle of writing
    panel.press(panel.ui.startButton)
    assert not panel.batch.isRunning
    assert panel.ui.resultLabel.text == "Canceled. 1 of 3 scans are done, and their results are kept."
    assert states() == ["failed", "done", "waiting"]
    names = {path.name for path in output.iterdir()}
    assert names == {"scan2", "results.csv", "results.html", "summary.json"}
    assert read_markups(output / "scan2" / "laminae.mrk.json").positions()


def test_going_on_does_what_is_missing(panel, two_scans, results):
    shutil.rmtree(results / "scan10")
    before = (results / "scan2" / "summary.json").stat().st_mtime_ns
    panel.choose(two_scans, results)
    panel.batch.start("resume")
    panel.wait()
    texts = panel.texts()
    assert (texts["scan2.nrrd"][0], texts["scan10.nrrd"][0], texts[BROKEN][0]) == ("done before", "done", "failed")
    assert (results / "scan2" / "summary.json").stat().st_mtime_ns == before
    assert (results / "scan10" / "laminae.mrk.json").is_file()


def test_starting_anew_does_all(panel, two_scans, results):
    before = (results / "scan2" / "summary.json").stat().st_mtime_ns
    panel.choose(two_scans, results)
    panel.batch.start("force")
    panel.wait()
    assert panel.texts()["scan2.nrrd"][0] == "done"
    assert (results / "scan2" / "summary.json").stat().st_mtime_ns > before


def test_results_that_are_there_are_asked_about(panel, slicer, host, two_scans, results):
    """The question offers to go on; closing it changes nothing."""
    import qt

    shown = []

    def read_and_close():
        box = qt.QApplication.activeModalWidget()
        if box is not None:
            shown.append((box.text, [button.text for button in box.buttons()]))
            box.reject()

    panel.choose(two_scans, results)
    watcher = qt.QTimer()
    watcher.timeout.connect(read_and_close)
    watcher.start(20)
    slicer.app.setTestingEnabled(False)
    try:
        panel.press(panel.ui.startButton)
        host.wait_until(lambda: shown)
    finally:
        slicer.app.setTestingEnabled(True)
        watcher.stop()
    assert not panel.batch.isRunning
    text, buttons = shown[0]
    assert "2 of 3 scans are done, 1 failed" in text
    assert {"Go on", "Start anew", "Cancel"} == set(buttons)
    panel.press(panel.ui.startButton)  # in testing mode nobody can be asked: nothing happens
    assert not panel.batch.isRunning


def test_an_earlier_run_is_shown_when_its_folder_is_chosen(panel, two_scans, results):
    panel.choose(two_scans, results)
    assert panel.texts()["scan2.nrrd"][0] == "done"
    assert panel.ui.resultLabel.text == "Results of an earlier run: 2 of 3 scans are done, 1 failed."
    assert panel.ui.pageButton.enabled
    panel.choose(two_scans, "")
    assert panel.texts() == {}
    assert not panel.ui.pageButton.enabled


def test_start_without_folders_is_a_sentence(panel, host):
    panel.press(panel.ui.startButton)
    assert panel.ui.resultLabel.text == "Choose the folder of the scans, and a folder for the results."
    assert not panel.batch.isRunning


@pytest.mark.parametrize("problem", ["no scan", "no folder", "other files", "same folder"])
def test_folders_that_cannot_be_used_are_a_sentence(panel, host, two_scans, tmp_path, problem):
    scans, results = two_scans, tmp_path / "results"
    if problem == "no scan":
        scans = tmp_path / "empty"
        scans.mkdir()
    elif problem == "no folder":
        scans = tmp_path / "nowhere"
    elif problem == "other files":
        results.mkdir()
        (results / "thesis.txt").write_text("mine", encoding="utf-8")
    else:
        results = scans
    panel.choose(scans, results)
    panel.run()
    sentence = {
        "no scan": 'There is no scan in the folder "empty".',
        "no folder": 'There is no folder "nowhere"',
        "other files": 'The folder "results" holds other files',
        "same folder": 'The folder "scans" holds other files',
    }[problem]
    assert panel.ui.resultLabel.text.startswith(sentence)
    assert panel.ui.startButton.text == "Start"
    host.take_slot_errors()


def test_the_dialogs_choose_the_folders_and_propose_the_second(panel, two_scans, tmp_path, monkeypatch):
    import qt

    answers = [str(two_scans), "", str(tmp_path)]
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_args: answers.pop(0))
    panel.press(panel.ui.scansButton)
    assert panel.ui.scansLineEdit.text == str(two_scans)
    assert panel.ui.resultsLineEdit.text == f"{two_scans} laminae"
    panel.press(panel.ui.resultsButton)  # closed without a choice
    assert panel.ui.resultsLineEdit.text == f"{two_scans} laminae"
    panel.press(panel.ui.resultsButton)
    assert panel.ui.resultsLineEdit.text == str(tmp_path)


def test_closing_the_scene_does_not_stop_it(panel, slicer, host, two_scans, tmp_path):
    panel.choose(two_scans, tmp_path / "results")
    panel.press(panel.ui.startButton)
    slicer.mrmlScene.Clear()
    host.process_events()
    assert panel.batch.isRunning
    panel.wait()
    assert panel.texts()["scan10.nrrd"][0] == "done"


def test_a_command_that_dies_is_a_sentence(panel, host, two_scans, tmp_path):
    panel.widget.logic.installation.program = [sys.executable, "-c", "raise SystemExit('upside down')"]
    panel.choose(two_scans, tmp_path / "results")
    panel.run()
    assert "upside down" in panel.ui.resultLabel.text
    assert panel.ui.startButton.text == "Start"
    assert len(host.take_slot_errors()) == 1


def test_a_script_needs_no_panel(slicer, two_scans, tmp_path):
    from LaminaSegmentation import LaminaSegmentationLogic

    work, events = LaminaSegmentationLogic().batch, []
    work.start(two_scans, tmp_path / "results", "auto", "", "auto", events.append)
    while (counts := work.poll()) is None:
        time.sleep(0.05)
    assert (counts["scans"], counts["done"], counts["failed"]) == (3, 2, 1)
    assert not work.isRunning
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert any("seconds_left" in event for event in events)
