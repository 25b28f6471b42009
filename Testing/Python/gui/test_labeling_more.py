"""The module LaminaLabeling: provisional lists, one slot's history, the sample scan, scripts, transforms."""

import subprocess
import sys

import numpy as np
import pytest
from gui_paths import ROOT
from labeling_tools import SPACING, Labeler, make_scan, spine_positions

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups import from_node


@pytest.fixture
def user(host):
    import slicer

    make_scan(slicer)
    user = Labeler(host)
    user.press(user.ui.newListButton)
    yield user
    host.select_module("LaminaSegmentation")


def provisional(count=17):
    """The test spine under provisional names."""
    points = list(spine_positions().values())
    names = [f"P{level + 1:02d}{side}" for level in range(count) for side in "LR"]
    return LaminaSet.from_positions(dict(zip(names, points)), review="unreviewed", source="detected", confidence=0.8)


def test_a_provisional_list_is_reviewed_and_then_named(host, user):
    user.session.open(user.widget.logic.newList(user.session.scanNode, provisional()), user.session.scanNode)
    host.process_events()
    assert user.ui.slotTable.rowCount == 17
    assert user.ui.promptLabel.text == "P01 left"
    assert not user.ui.thoracicSpinBox.enabled
    user.key("Return")
    assert user.laminae["P01L"].review == "placed"
    user.click_slot("P03L")
    user.key("Del")
    assert "P03L" not in user.laminae
    user.click_slot("P03R")
    user.key("O")
    assert user.session.selected == "P03L"
    user.key("P")
    user.click_in("Green", (22.0, 30.0, 160.0))
    user.key("P")
    assert user.laminae["P03L"].review == "placed"
    user.click_slot("P12L")
    user.ui.renumberComboBox.setCurrentIndex(user.ui.renumberComboBox.findText("T12"))
    user.press(user.ui.renumberButton)
    assert user.session.selected == "T12L"
    assert not user.laminae.is_provisional
    assert user.laminae["L5R"].position == pytest.approx(spine_positions()["L5R"])
    assert user.ui.thoracicSpinBox.enabled
    user.key("Ctrl+Z")
    assert user.laminae.is_provisional


def test_names_that_would_fall_off_the_spine_are_a_sentence(host, user):
    user.session.labeling.reset(LaminaSet.from_positions(spine_positions()))
    host.process_events()
    user.click_slot("T11L")
    user.ui.renumberComboBox.setCurrentIndex(user.ui.renumberComboBox.findText("T12"))
    user.press(user.ui.renumberButton)
    assert ["L5" in str(error) for error in host.take_slot_errors()] == [True]
    assert user.laminae["T11L"].position == pytest.approx(spine_positions()["T11L"])


def test_the_last_change_of_one_slot_is_taken_back(user):
    for name, position in (("T1L", (20.0, 25.0, 150.0)), ("T9R", (40.0, 25.0, 90.0))):
        user.click_slot(name)
        user.views.jump(position)
        user.key("Space")
    user.click_slot("T1L")
    user.key("Ctrl+Alt+Z")
    assert user.laminae.positions().keys() == {"T9R"}
    user.key("Ctrl+Z")
    assert user.laminae.positions().keys() == {"T1L", "T9R"}


def test_the_sample_is_registered_and_lies_as_a_patient_does(host, slicer):
    import SampleData

    from LaminaLabelingGui import sample_data, scan_nodes
    from LaminaLabelingLib.orientation import nearest_code

    scan = SampleData.SampleDataLogic().downloadSamples(sample_data.SAMPLE_NAME)[0]
    assert scan.GetName() == "SimulatedSpineUltrasound"
    assert scan_nodes.axesDoubt(scan) == ""
    assert nearest_code(scan_nodes.ijkToRas(scan))[1] == pytest.approx(0.0, abs=1e-6)
    truth = read_markups(sample_data.TRUTH_FILE)
    user = Labeler(host)
    user.press(user.ui.newListButton)
    user.session.labeling.reset(truth)
    host.process_events()
    assert user.session.findings() == ()
    shape = np.array(scan.GetImageData().GetDimensions())
    inverse = np.linalg.inv(scan_nodes.ijkToWorld(scan))
    for point in truth.positions().values():
        index = (inverse @ (*point, 1.0))[:3]
        assert (index > 0).all() and (index < shape - 1).all()


def test_clicks_and_checks_follow_the_transform_of_the_scan(host, slicer, user):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]], dtype=float)
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    scan = user.session.scanNode
    scan.SetAndObserveTransformNodeID(transform.GetID())
    node = user.widget.logic.newList(scan)
    user.widget._parameterNode.laminae = node
    user.views.fit()
    host.process_events()
    place = (-25.0, 38.0, 125.0)
    user.click_slot("T6R")
    user.key("P")
    user.click_in("Green", place)
    user.key("P")
    within = user.millimeters_per_pixel("Green")
    assert user.session.position("T6R") == pytest.approx(place, abs=within)
    assert from_node(node)["T6R"].position == pytest.approx((38.0, 25.0, 120.0), abs=within)
    before = user.session.position("T6R")
    user.click_slot("T6R")
    user.key("Up")
    assert user.session.position("T6R") == pytest.approx((*before[:2], before[2] + SPACING[2]))
    assert user.session.findings() == ()


def test_a_script_needs_no_panel(slicer):
    from LaminaLabeling import LaminaLabelingLogic

    scan = make_scan(slicer, "scripted")
    logic = LaminaLabelingLogic()
    logic.session.open(logic.newList(scan), scan)
    logic.session.select("T6R")
    assert logic.session.place((38.0, 25.0, 120.0)) == "T7L"
    assert from_node(logic.session.listNode)["T6R"].position == (38.0, 25.0, 120.0)
    assert logic.session.undo() == "T6R placed"
    with pytest.raises(LaminaError, match="case"):
        logic.session.save()
    with pytest.raises(LaminaError, match="no slot"):
        logic.session.select("T13L")
    with pytest.raises(LaminaError, match="no position to move"):
        logic.session.nudge((0, 0, 1))
    logic.session.close()


def test_an_empty_session_says_what_to_do(slicer):
    from LaminaLabeling import LaminaLabelingLogic

    session = LaminaLabelingLogic().session
    for action in (session.markAbsent, session.accept, lambda: session.place((0, 0, 0)), session.undoSlot):
        with pytest.raises(LaminaError, match="Choose"):
            action()


def test_a_list_under_a_bent_transform_is_a_sentence(slicer):
    from LaminaLabeling import LaminaLabelingLogic

    scan = make_scan(slicer, "bent")
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    logic = LaminaLabelingLogic()
    logic.session.open(logic.newList(scan, LaminaSet(laminae=[Lamina("T1L", (1, 2, 3), "placed", "manual")])), scan)
    scan.SetAndObserveTransformNodeID(grid.GetID())
    with pytest.raises(LaminaError, match="harden"):
        logic.session.findings()
    logic.session.close()


def test_a_scan_that_is_bent_meanwhile_is_a_sentence_in_the_panel(host, slicer, user):
    user.session.labeling.reset(LaminaSet.from_positions(spine_positions()))
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    user.session.scanNode.SetAndObserveTransformNodeID(grid.GetID())
    user.click_slot("T6R")
    assert "harden" in user.ui.problemLabel.text
    user.key("Up")
    assert "harden" in user.ui.hintLabel.text or "harden" in user.ui.problemLabel.text
    assert user.laminae["T6R"].position == pytest.approx(spine_positions()["T6R"])


NOT_IN_SLICER = (
    "skimage",
    "matplotlib",
    "openvino",
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "rich",
    "jsonschema",
    "pandas",
)


def test_the_module_works_with_what_slicer_brings(tmp_path):
    """The self-test, a comparison with its plot, and every format, in a process where nothing else can be imported."""
    program = f"""
import sys
from pathlib import Path
for name in {NOT_IN_SLICER!r}:
    sys.modules[name] = None  # an import of it fails
sys.path.insert(0, {str(ROOT / "Testing")!r})
from SlicerHost import Host
host = Host.start([Path({str(ROOT)!r}) / "LaminaLabeling" / "LaminaLabeling.py"])
import slicer
slicer.modules.LaminaLabelingInstance.runTest()
widget = host.select_module("LaminaLabeling")
from LaminaLabelingGui import sample_data
from LaminaLabelingLib.files import read_markups
scan = sample_data.load()[0]
session, logic = widget.logic.session, widget.logic
truth = read_markups(sample_data.TRUTH_FILE)
widget._parameterNode.laminae = logic.newList(scan, truth)
other = logic.newList(scan, truth)
host.process_events()
for ending in (".mrk.json", ".csv", ".verse.json", ".seg.nrrd", ".nrrd", ".nii.gz"):
    path = Path({str(tmp_path)!r}) / ("laminae" + ending)
    widget.scanPanel.exportFile(path)
    widget.scanPanel.importFile(str(path))
    assert len(session.laminae.positions()) == 34, ending
logic.agreement.compare("current", "node:" + other.GetID())
widget.agreementPanel.show()
widget.ui.plotButton.setChecked(True)
widget.agreementPanel.plot()
assert session.snappedPosition((0.0, 0.0, 0.0))
assert not host.take_slot_errors()
print("worked", flush=True)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "worked" in finished.stdout, finished.stderr


def test_a_new_list_shows_where_the_first_lamina_probably_is(host, slicer):
    from LaminaLabelingGui import sample_data

    sample_data.load()
    user = Labeler(host)
    user.press(user.ui.newListButton)
    truth = read_markups(sample_data.TRUTH_FILE).positions()["T1L"]
    assert user.views.intersection()[1] == pytest.approx(truth[1], abs=6.0)  # depth
    assert user.views.intersection() == pytest.approx(truth, abs=12.0)
    host.select_module("LaminaSegmentation")


def test_another_list_of_the_scan_hides_the_former_one(user):
    first = user.session.listNode
    user.press(user.ui.newListButton)
    assert user.session.listNode is not first
    assert not first.GetDisplayVisibility()
    assert user.session.listNode.GetDisplayVisibility()
    user.ui.laminaeSelector.setCurrentNode(first)
    assert first.GetDisplayVisibility()


def test_a_typed_threshold_is_taken_when_it_is_complete(host, user):
    from PySide6 import QtTest

    box = user.ui.thresholdSpinBox
    box.setFocus()
    box.selectAll()
    QtTest.QTest.keyClicks(box, "0.80")
    assert user.widget._parameterNode.acceptThreshold == 0.9
    user.key_in(box, "Return")
    assert user.widget._parameterNode.acceptThreshold == pytest.approx(0.8)
    box.setValue(0.9)


@pytest.mark.parametrize("from_behind", [False, True])
def test_deeper_is_away_from_the_probe_in_every_view(host, user, from_behind):
    user.session.labeling.reset(LaminaSet.from_positions(spine_positions()))
    user.widget._parameterNode.fromBehind = from_behind
    host.process_events()
    user.click_slot("T6R")
    user.key("Ctrl+Up")
    assert user.laminae["T6R"].position[1] == pytest.approx(spine_positions()["T6R"][1] + SPACING[1])
    user.widget._parameterNode.fromBehind = False


def test_the_views_follow_a_nudge(user):
    user.session.labeling.reset(LaminaSet.from_positions(spine_positions()))
    user.click_slot("T6R")
    user.key("Up")
    assert user.views.intersection() == pytest.approx(user.session.position("T6R"))


def test_what_is_left_is_said_when_the_last_empty_slot_is_filled(host, user):
    found = {name: point for name, point in spine_positions().items() if name != "T6R"}
    user.session.labeling.reset(LaminaSet.from_positions(found, review="unreviewed", source="detected"))
    host.process_events()
    user.click_slot("T6R")
    user.key("X")
    assert "33 are left to review" in user.ui.hintLabel.text
    user.press(user.ui.acceptAboveButton)
    assert user.ui.hintLabel.text == "0 laminae accepted."
    user.key("Ctrl+Z")
    assert user.ui.hintLabel.text == "Taken back: T6R absent."
    user.key("Ctrl+Y")
    assert user.ui.hintLabel.text == "Done again: T6R absent."


def test_a_partial_scan_goes_on_with_a_lamina_that_it_shows(user):
    user.ui.firstComboBox.setCurrentIndex(user.ui.firstComboBox.findText("T5"))
    user.press(user.ui.rangeButton)
    assert user.session.selected == "T5L"


def test_every_row_is_seen_with_the_most_vertebrae(host, user):
    user.ui.thoracicSpinBox.setValue(13)
    user.ui.lumbarSpinBox.setValue(6)
    host.process_events()
    table = user.ui.slotTable
    assert table.visualItemRect(table.item(18, 0)).bottom() <= table.viewport().height


def test_a_real_volume_in_its_trackers_frame_is_turned_and_labeled(host, slicer, phantom_path):
    """The phantom's two laminae, at the places that its README gives."""
    from LaminaLabelingGui.scan_nodes import ijkToRas, ijkToWorld

    scan = slicer.util.loadVolume(str(phantom_path))
    user = Labeler(host)
    assert "do not look like a patient's" in user.ui.orientationLabel.text
    user.press(user.ui.newListButton)
    user.ui.orientationCollapsibleButton.collapsed = False
    user.ui.axesComboBox.setEditText("RIA")
    user.press(user.ui.axesButton)
    assert "R, I, A" in user.ui.orientationLabel.text
    for combo in (user.ui.firstComboBox, user.ui.lastComboBox):
        combo.setCurrentIndex(combo.findText("L3"))
    user.press(user.ui.rangeButton)
    user.key("P")
    for name, ijk in (("L3L", (54, 50, 43)), ("L3R", (85, 48, 45))):
        assert user.session.selected == name
        place = (ijkToWorld(scan) @ (*ijk, 1.0))[:3]
        assert np.linalg.norm(np.array(user.session.placeOf(name)) - place) < 12.0
        user.click_in("Red", tuple(place))
        own = np.linalg.inv(ijkToRas(scan)) @ (*user.laminae[name].position, 1.0)
        assert own[:3] == pytest.approx(ijk, abs=1.5)  # in the file's own frame
    assert user.session.findings() == ()
    assert user.ui.progressLabel.text.startswith("34 of 34 done · 32 absent")
    host.select_module("LaminaSegmentation")
