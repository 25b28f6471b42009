"""What may change while laminae are found: the model that is shown, the scan, somebody's mind."""

import sys

import numpy as np
import pytest
from gui_paths import FAKE_LAMINA
from segmentation_tools import (
    assert_same_positions,
    expected_positions,
    ijk_to_ras,
    oblique_scan,
    panel_with_fake,
    world_positions,
)

from LaminaLabelingLib.errors import LaminaError


@pytest.fixture
def panel(host):
    yield from panel_with_fake(host)


@pytest.fixture
def scan(slicer):
    return oblique_scan(slicer)


def test_what_is_shown_as_the_model_is_what_runs(panel, slicer, host):
    """An empty name, and one of a model of another computer, stand for the first model of the list."""
    settings = panel.widget._parameterNode
    for name in ("theirs", ""):
        settings.model = name
        host.process_events()
        assert settings.model == panel.ui.modelComboBox.currentText == "simulated-unet"
    slicer.mrmlScene.Clear()
    host.process_events()
    assert panel.widget._parameterNode.model == panel.ui.modelComboBox.currentText


def test_a_model_that_is_chosen_while_another_module_is_open_is_kept(panel, host, monkeypatch):
    monkeypatch.setattr(panel.widget.logic.models, "names", lambda: ["simulated-unet", "ours"])
    host.select_module("LaminaLabeling")
    panel.widget.segmentPanel.fillModels()
    panel.widget.segmentPanel.chooseModel("ours")
    host.select_module("LaminaSegmentation")
    assert panel.widget._parameterNode.model == panel.ui.modelComboBox.currentText == "ours"
    monkeypatch.undo()
    panel.widget.segmentPanel.fillModels()


def test_a_result_follows_a_scan_that_was_moved_while_it_was_computed(panel, slicer, scan):
    panel.click_apply()
    turn = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "table")
    shift = np.array([[0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]], dtype=float)
    slicer.util.updateTransformMatrixFromArray(turn, shift)
    scan.SetAndObserveTransformNodeID(turn.GetID())
    panel.wait()
    matrix = shift @ slicer.util.arrayFromVTKMatrix(ijk_to_ras(slicer, scan))
    node = slicer.util.getNode("case 12 laminae")
    assert_same_positions(world_positions(node), expected_positions((60, 40, 36), matrix))


def test_a_scan_that_was_changed_meanwhile_gets_no_result(panel, slicer, scan, host):
    panel.click_apply()
    scan.SetSpacing(1.0, 1.0, 1.0)
    panel.wait()
    assert "was changed meanwhile" in panel.ui.resultLabel.text
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert len(host.take_slot_errors()) == 1


def test_a_script_that_waits_is_told_when_somebody_cancels(slicer, scan):
    import qt

    from LaminaSegmentation import LaminaSegmentationLogic

    logic = LaminaSegmentationLogic([sys.executable, str(FAKE_LAMINA), "slow"])
    timer = qt.QTimer()
    timer.timeout.connect(logic.cancel)
    timer.start(500)
    with pytest.raises(LaminaError, match="Canceled"):
        logic.process(scan)
    timer.stop()
