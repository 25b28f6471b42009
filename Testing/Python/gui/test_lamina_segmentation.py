"""The module LaminaSegmentation, driven with real clicks in SlicerHost."""

import sys

import numpy as np
import pytest
from gui_paths import FAKE_LAMINA
from segmentation_tools import (
    Panel,
    assert_same_positions,
    expected_positions,
    ijk_to_ras,
    oblique_scan,
    panel_with_fake,
    world_positions,
)

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Source
from LaminaLabelingLib.markups import from_node


@pytest.fixture
def panel(host):
    yield from panel_with_fake(host)


@pytest.fixture
def scan(slicer):
    return oblique_scan(slicer)


def node_ids(scene):
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


def test_apply_puts_named_laminae_on_the_anatomy(panel, slicer, scan):
    panel.click_apply()
    panel.wait()
    node = slicer.util.getFirstNodeByClassByName("vtkMRMLMarkupsFiducialNode", "case 12 laminae")
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras(slicer, scan))
    assert_same_positions(world_positions(node), expected_positions((60, 40, 36), matrix))
    laminae = from_node(node)
    assert laminae["T7R"].source is Source.inferred
    assert laminae["T7L"].confidence == 0.9
    assert not laminae.is_provisional


def test_the_points_follow_the_transforms_that_the_volume_lies_under(panel, slicer, scan):
    outer = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "table")
    inner = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "tracker")
    shift = np.eye(4)
    shift[:3, 3] = (100, -50, 25)
    turn = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]], dtype=float)
    slicer.util.updateTransformMatrixFromArray(outer, shift)
    slicer.util.updateTransformMatrixFromArray(inner, turn)
    inner.SetAndObserveTransformNodeID(outer.GetID())
    scan.SetAndObserveTransformNodeID(inner.GetID())
    panel.click_apply()
    panel.wait()
    node = slicer.util.getNode("case 12 laminae")
    matrix = shift @ turn @ slicer.util.arrayFromVTKMatrix(ijk_to_ras(slicer, scan))
    assert_same_positions(world_positions(node), expected_positions((60, 40, 36), matrix))


def test_a_transform_that_bends_is_refused(panel, slicer, scan, host):
    import vtk

    bending = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bending")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (20, 30, 10)):
        points.InsertNextPoint(point)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(points)
    bending.SetAndObserveTransformToParent(spline)
    scan.SetAndObserveTransformNodeID(bending.GetID())
    panel.click_apply()
    assert "harden the transform" in panel.ui.resultLabel.text
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_the_column_is_a_curve_and_both_lie_under_the_scan(panel, slicer, scan):
    panel.click_apply()
    panel.wait()
    curve = slicer.util.getFirstNodeByClassByName("vtkMRMLMarkupsCurveNode", "case 12 spinous column")
    assert curve.GetNumberOfControlPoints() == 17
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemByDataNode(scan)
    for name in ("case 12 laminae", "case 12 spinous column"):
        item = hierarchy.GetItemByDataNode(slicer.util.getNode(name))
        assert hierarchy.GetItemParent(item) == parent


def test_the_views_show_the_scan_and_jump_to_the_first_lamina(panel, slicer, scan):
    panel.click_apply()
    panel.wait()
    right, anterior, superior = world_positions(slicer.util.getNode("case 12 laminae"))["T1L"]
    layout = slicer.app.layoutManager()
    for name, expected in (("Red", superior), ("Yellow", -right), ("Green", anterior)):
        view = layout.sliceWidget(name)
        assert view.sliceLogic().GetSliceOffset() == pytest.approx(expected, abs=1e-3)
        assert view.mrmlSliceCompositeNode().GetBackgroundVolumeID() == scan.GetID()


def test_the_laminae_can_be_seen_in_the_coronal_view(panel, slicer, scan):
    panel.click_apply()
    panel.wait()
    picture = slicer.app.layoutManager().sliceWidget("Green").sliceView().grab().toImage()
    green = sum(
        (pixel := picture.pixelColor(x, y)).green() > 150 and pixel.red() < 120
        for x in range(picture.width())
        for y in range(picture.height())
    )
    assert green > 500


def test_the_result_line_says_what_was_found_and_warned_of(panel, scan):
    panel.click_apply()
    panel.wait()
    assert panel.ui.resultLabel.text.splitlines() == [
        "34 laminae (1 of them suggested), 17 pairs, named T1 to L5.",
        "Warning: looks like a partial scan",
    ]
    assert "research use only" in panel.ui.noticeLabel.text


def test_apply_turns_into_cancel_and_back(panel, scan):
    assert panel.ui.applyButton.text == "Apply"
    assert not panel.ui.progressBar.visible
    panel.click_apply()
    assert panel.ui.applyButton.text == "Cancel"
    assert panel.ui.progressBar.visible
    assert not panel.ui.inputSelector.enabled
    panel.wait()
    assert panel.ui.applyButton.text == "Apply"
    assert not panel.ui.progressBar.visible
    assert panel.ui.inputSelector.enabled


def test_the_progress_bar_names_the_stage(panel, scan, host):
    panel.use_fake("slow")
    panel.click_apply()
    host.wait_until(lambda: panel.ui.progressBar.format.startswith("Reading the scan"))
    panel.click_apply()


def test_cancel_leaves_the_scene_as_it_was(panel, slicer, scan, host):
    panel.use_fake("slow")
    before = node_ids(slicer.mrmlScene)
    panel.click_apply()
    folder = panel.widget.logic.segmentation.job.scan_path.parent
    assert folder.is_dir()
    host.wait_until(lambda: panel.ui.progressBar.format.startswith("Reading the scan"))
    panel.click_apply()
    assert not panel.widget.logic.isRunning
    assert panel.ui.resultLabel.text == "Canceled."
    assert panel.ui.applyButton.text == "Apply"
    assert node_ids(slicer.mrmlScene) == before
    assert not folder.exists()


def test_a_second_apply_makes_a_new_list_and_keeps_the_edited_one(panel, slicer, scan):
    panel.click_apply()
    panel.wait()
    first = slicer.util.getNode("case 12 laminae")
    first.SetNthControlPointPosition(0, [1.0, 2.0, 3.0])
    panel.click_apply()
    panel.wait()
    second = slicer.util.getNode("case 12 laminae_1")
    assert world_positions(first)["T1L"] == pytest.approx((1, 2, 3))
    assert world_positions(second)["T1L"] != pytest.approx((1, 2, 3))
    assert not first.GetDisplayVisibility()
    assert second.GetDisplayVisibility()


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [("refuse", "The orientation of the volume cannot be trusted"), ("crash", "the network is upside down")],
)
def test_an_error_is_a_sentence_in_the_panel_and_adds_nothing(panel, slicer, scan, host, mode, sentence):
    panel.use_fake(mode)
    before = node_ids(slicer.mrmlScene)
    panel.click_apply()
    panel.wait()
    assert sentence in panel.ui.resultLabel.text
    assert panel.ui.applyButton.text == "Apply"
    assert node_ids(slicer.mrmlScene) == before
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_an_error_is_shown_in_a_message_box(panel, slicer, scan, host):
    import qt

    shown = []

    def read_and_close():
        box = qt.QApplication.activeModalWidget()
        if box is not None:
            shown.append(box.text)
            box.reject()

    panel.use_fake("refuse")
    watcher = qt.QTimer()
    watcher.timeout.connect(read_and_close)
    watcher.start(20)
    slicer.app.setTestingEnabled(False)
    try:
        panel.click_apply()
        host.wait_until(lambda: shown and not panel.widget.logic.isRunning)
    finally:
        slicer.app.setTestingEnabled(True)
        watcher.stop()
    assert "give --axes, for example RIA" in shown[0]
    assert len(host.take_slot_errors()) == 1


def test_closing_the_scene_cancels(panel, slicer, scan, host):
    panel.use_fake("slow")
    panel.click_apply()
    slicer.mrmlScene.Clear()
    host.process_events()
    assert not panel.widget.logic.isRunning
    assert "scene was closed" in panel.ui.resultLabel.text


def test_apply_needs_a_volume(host, slicer):
    panel = Panel(host)
    assert not panel.ui.applyButton.enabled
    volume = slicer.util.addVolumeFromArray(np.zeros((40, 40, 40), dtype=np.uint8), name="scan")
    host.process_events()
    assert panel.ui.inputSelector.currentNode() is volume
    assert panel.ui.applyButton.enabled
    host.select_module("LaminaLabeling")


def test_the_settings_are_kept_in_the_parameter_node(panel, scan):
    panel.ui.axesComboBox.setEditText("RIA")
    panel.ui.engineComboBox.setCurrentIndex(1)
    settings = panel.widget.logic.getParameterNode()
    assert (settings.inputVolume, settings.axes, settings.engine) == (scan, "RIA", "openvino")
    settings.axes = "auto"
    settings.engine = "tensorflow"
    assert panel.ui.axesComboBox.currentText == "auto"
    assert panel.ui.engineComboBox.itemData(panel.ui.engineComboBox.currentIndex) == "tensorflow"


def test_less_memory_is_a_setting_and_an_option_of_the_command(panel, scan, monkeypatch):
    settings = panel.widget.logic.getParameterNode()
    assert not settings.lowMemory and not panel.ui.lowMemoryCheckBox.checked
    panel.ui.lowMemoryCheckBox.click()
    assert settings.lowMemory
    from LaminaSegmentationLib.worker import LaminaCommand

    given = []
    start = LaminaCommand.start
    monkeypatch.setattr(LaminaCommand, "start", lambda self, options: (given.append(options), start(self, options))[1])
    panel.click_apply()
    panel.wait()
    assert "--low-memory" in given[0]
    assert panel.ui.resultLabel.text.startswith("34 laminae")
    settings.lowMemory = False
    assert not panel.ui.lowMemoryCheckBox.checked


def test_missing_packages_are_named(panel, scan, host, monkeypatch):
    from packaging.requirements import Requirement

    panel.widget.logic.installation.program = None
    monkeypatch.setattr(
        panel.widget.logic.installation, "requirements", lambda purpose: [Requirement("no-such-package>=1.0")]
    )
    panel.click_apply()
    assert "no-such-package>=1.0" in panel.ui.resultLabel.text
    assert len(host.take_slot_errors()) == 1


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ("declined", "The Python packages were not installed: User declined package installation"),
        ("failed", "The Python packages could not be installed: is the computer online?"),
    ],
)
def test_packages_that_are_declined_or_fail_to_install_are_a_sentence(
    panel, slicer, scan, host, monkeypatch, ending, sentence
):
    panel.widget.logic.installation.program = None
    monkeypatch.setattr(panel.widget.logic.installation, "requirements", lambda purpose: ["no-such-package>=1.0"])
    monkeypatch.setattr(slicer.packaging, "imitated_ending", ending)
    panel.click_apply()
    assert panel.ui.resultLabel.text.startswith(sentence)
    assert panel.ui.applyButton.text == "Apply"
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_leaving_the_module_does_not_stop_the_segmentation(panel, slicer, scan, host):
    panel.click_apply()
    host.select_module("LaminaLabeling")
    panel.wait()
    assert slicer.util.getFirstNodeByClassByName("vtkMRMLMarkupsFiducialNode", "case 12 laminae") is not None
    host.select_module("LaminaSegmentation")
    assert panel.ui.applyButton.text == "Apply"
    assert panel.ui.applyButton.enabled


def test_a_volume_that_is_removed_meanwhile_is_a_sentence(panel, slicer, scan, host):
    panel.click_apply()
    slicer.mrmlScene.RemoveNode(scan)
    panel.wait()
    assert "removed from the scene" in panel.ui.resultLabel.text
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert len(host.take_slot_errors()) == 1


def test_a_script_needs_no_panel(slicer, scan):
    from LaminaSegmentation import LaminaSegmentationLogic

    logic = LaminaSegmentationLogic([sys.executable, str(FAKE_LAMINA), "good"])
    events = []
    node = logic.process(scan, onEvent=events.append)
    assert len(from_node(node).positions()) == 34
    assert {event["event"] for event in events} == {"stage", "progress", "warning"}


def test_the_result_is_reviewed_in_the_labeling_module(panel, slicer, scan, host):
    assert not panel.ui.reviewButton.enabled
    panel.click_apply()
    panel.wait()
    host.click(panel.ui.reviewButton)
    labeling = slicer.modules.LaminaLabelingWidget
    assert labeling.parent.isEntered
    assert labeling.logic.session.listNode is slicer.util.getNode("case 12 laminae")
    assert labeling.logic.session.scanNode is scan
    assert labeling.logic.session.selected == "T7R"  # the suggested one


def test_the_result_lies_under_its_scan(panel, slicer, scan):
    panel.click_apply()
    panel.wait()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemByDataNode(scan)
    for name in ("case 12 laminae", "case 12 spinous column"):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(slicer.util.getNode(name))) == parent


def test_the_models_card_is_told_in_plain_words(panel):
    assert panel.ui.modelComboBox.currentText == "simulated-unet"
    assert "simulated scans" in panel.ui.cardLabel.text
    assert "research" in panel.ui.cardLabel.text


def test_the_time_left_is_told_once_something_is_done(panel, monkeypatch):
    panel.widget.segmentPanel._started = 100.0
    monkeypatch.setattr("LaminaSegmentationGui.segment_panel.time.monotonic", lambda: 106.0)
    panel.widget.segmentPanel.onEvent({"event": "stage", "stage": "read", "text": "Reading the scan"})
    assert panel.ui.progressBar.format == "Reading the scan"
    panel.widget.segmentPanel.onEvent({"event": "progress", "stage": "preprocess", "fraction": 0.8})
    assert panel.ui.progressBar.format == "Reading the scan (about 18 s left)"
    assert panel.ui.progressBar.value == 25
