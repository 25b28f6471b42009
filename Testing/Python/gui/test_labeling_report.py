"""The report of the curves, written by LaminaLabeling."""

import json

import numpy as np
import pytest
from case_tools import answer, fill_folder, open_case
from curve_tools import Measurer, curved, curved_positions, measurer_with_list
from labeling_tools import make_scan

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups import to_node


@pytest.fixture
def scan(slicer):
    return make_scan(slicer)


@pytest.fixture
def user(host, scan):
    yield from measurer_with_list(host)


@pytest.fixture
def labeled(user):
    user.put(curved())
    return user


def save_as(user, path, action):
    """Run an action that asks for a file, and accept the dialog with a name."""
    import qt

    seen = []

    def accept():
        dialog = qt.QApplication.activeModalWidget()
        if isinstance(dialog, qt.QFileDialog) and not seen:
            seen.append(dialog.selectedFiles()[0])
            dialog.findChild(qt.QLineEdit).setText(str(path))
            dialog.accept()

    watcher = qt.QTimer()
    watcher.timeout.connect(accept)
    watcher.start(20)
    action()
    user.host.process_events()
    watcher.stop()
    return seen[0]


def test_the_button_writes_the_report(labeled, tmp_path):
    page = tmp_path / "mine.html"
    proposed = save_as(labeled, page, lambda: labeled.press(labeled.ui.reportButton))
    assert proposed.endswith("scan-report.html")
    text = page.read_text(encoding="utf-8")
    assert "main thoracic" in text and "data:image/png" in text
    assert page.with_suffix(".csv").exists() and page.with_suffix(".json").exists()


def test_the_report_is_replaced_only_after_asking(labeled, tmp_path):
    page = tmp_path / "mine.html"
    page.write_text("mine")
    labeled.panel.writeReport(str(page))  # where nobody can be asked, nothing is replaced
    assert page.read_text() == "mine"
    asked = answer(labeled, "Keep them", lambda: labeled.panel.writeReport(str(page)))
    assert "mine.html" in asked
    assert page.read_text() == "mine"
    page.unlink()
    page.with_suffix(".csv").write_text("a table of something else")
    asked = answer(labeled, "Keep them", lambda: labeled.panel.writeReport(str(page)))
    assert "mine.csv" in asked
    assert not page.exists()


def test_the_report_is_opened_only_when_it_is_wanted(labeled, tmp_path):
    import qt

    qt.QDesktopServices.opened.clear()
    page = tmp_path / "mine.html"
    answer(labeled, "Close", lambda: labeled.panel.writeReport(str(page)))
    assert qt.QDesktopServices.opened == []
    answer(labeled, "Open it", lambda: labeled.panel.writeReport(str(tmp_path / "second.html")))
    assert [address.rpartition("/")[2] for address in qt.QDesktopServices.opened] == ["second.html"]
    qt.QDesktopServices.opened.clear()


def test_the_report_compares_with_an_earlier_list(slicer, labeled, scan, tmp_path):
    earlier = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "a year ago")
    to_node(LaminaSet.from_positions(curved_positions(6.0)), earlier)
    labeled.host.process_events()
    labeled.ui.earlierSelector.setCurrentNode(earlier)
    labeled.panel.writeReport(str(tmp_path / "follow.html"))
    assert "a year ago" in (tmp_path / "follow.html").read_text(encoding="utf-8")


def test_a_list_is_not_compared_with_itself(labeled, tmp_path):
    labeled.ui.earlierSelector.setCurrentNode(labeled.session.listNode)
    with pytest.raises(LaminaError, match="compared with itself"):  # in Slicer's testing mode nothing is shown
        labeled.panel.writeReport(str(tmp_path / "self.html"))
    assert not (tmp_path / "self.html").exists()


def test_a_script_writes_the_report_and_measures(slicer, labeled, scan, tmp_path):
    logic = labeled.widget.logic
    files = logic.writeReport(labeled.session.listNode, tmp_path / "script.html", scan)
    figures = json.loads(files["figures"].read_text(encoding="utf-8"))
    assert "scan" in json.dumps(figures)
    with pytest.raises(LaminaError, match="would be replaced"):
        logic.writeReport(labeled.session.listNode, tmp_path / "script.html", scan)
    curve = logic.measure(labeled.session.listNode).curves[0]
    assert (curve.upper, curve.lower) == ("T2", "L4")


def test_the_report_of_too_few_laminae_says_why(labeled, tmp_path):
    labeled.put(curved("T1L", "T1R"))
    labeled.panel.writeReport(str(tmp_path / "few.html"))
    assert "vertebrae have both laminae" in (tmp_path / "few.html").read_text(encoding="utf-8")


def test_the_pictures_lie_in_patient_axes(slicer, labeled, scan):
    from LaminaLabelingGui import scan_nodes

    scan_nodes.setAxes(scan, "LPS", [labeled.session.listNode])
    volume = scan_nodes.worldVolumeOf(scan)
    ijk = np.array([10.0, 20.0, 30.0, 1.0])
    index = np.rint(np.linalg.inv(volume.matrix) @ scan_nodes.ijkToWorld(scan) @ ijk)[:3].astype(int)
    assert volume.array[tuple(index)] == slicer.util.arrayFromVolume(scan)[30, 20, 10]


def test_in_a_folder_the_report_lies_beside_the_scan(host, slicer, tmp_path):
    user = Measurer(host)
    user.ui.raterLineEdit.setText("anna")
    user.ui.casesCollapsibleButton.collapsed = False
    fill_folder(tmp_path)
    user.widget.casePanel.openFolder(str(tmp_path))
    open_case(user, 0)
    user.put(curved())
    proposed = save_as(user, tmp_path / "scan1-report.html", user.panel.chooseReport)
    assert proposed == str(tmp_path / "scan1-report.html")
    assert "scan1" in (tmp_path / "scan1-report.html").read_text(encoding="utf-8")
    user.widget.casePanel.refresh()
    assert [case.name for case in user.widget.logic.cases.folder.cases] == ["scan1", "scan2", "scan10"]
    user.widget.logic.cases.closeFolder()
    user.widget.casePanel.show()
    user.ui.casesCollapsibleButton.collapsed = True
    host.select_module("LaminaSegmentation")
