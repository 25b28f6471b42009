"""The module LaminaLabeling in the application: keys, layout, slab, brightness, lists that come and go."""

import numpy as np
import pytest
from labeling_tools import FOUND, Labeler, fill, labeler_with_list, make_scan, spine_positions

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.markups import to_node


@pytest.fixture
def scan(slicer):
    return make_scan(slicer)


@pytest.fixture
def user(host, scan):
    yield from labeler_with_list(host)


def test_the_keys_live_only_while_the_module_is_shown(host, user):
    user.key("X")
    host.select_module("LaminaSegmentation")
    user.key("X")
    user.key("Ctrl+Z")
    assert [name for name in SLOTS if user.laminae[name].review == "absent"] == ["T1L"]


def test_keys_do_nothing_while_a_text_is_typed(host, user):
    user.ui.raterLineEdit.setFocus()
    host.process_events()
    from PySide6 import QtTest

    QtTest.QTest.keyClicks(user.ui.raterLineEdit, "xsp")
    host.process_events()
    assert all(lamina.review == "unset" for lamina in user.laminae.values())
    assert user.ui.raterLineEdit.text.endswith("xsp")
    user.ui.raterLineEdit.setText("")
    host.window.setFocus()


def test_the_layout_comes_back_on_exit(host, slicer, scan):
    host.select_module("LaminaSegmentation")
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpGreenSliceView)
    node = manager.sliceWidget("Green").mrmlSliceNode()
    node.SetSlabReconstructionEnabled(False)
    logic = slicer.app.applicationLogic()
    logic.SetIntersectingSlicesEnabled(logic.IntersectingSlicesVisibility, False)
    host.select_module("LaminaLabeling")
    green, yellow = (manager.sliceWidget(name).sliceView() for name in ("Green", "Yellow"))
    assert green.height > yellow.height
    assert node.GetSlabReconstructionEnabled()
    assert logic.GetIntersectingSlicesEnabled(logic.IntersectingSlicesVisibility)
    host.select_module("LaminaSegmentation")
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpGreenSliceView
    assert not node.GetSlabReconstructionEnabled()
    assert not logic.GetIntersectingSlicesEnabled(logic.IntersectingSlicesVisibility)


def test_the_slab_and_the_view_from_behind_are_set(slicer, user):
    node = user.slice_widget("Green").mrmlSliceNode()
    user.ui.slabSpinBox.setValue(8.0)
    user.ui.slabTypeComboBox.setCurrentIndex(1)
    assert node.GetSlabReconstructionThickness() == 8.0
    assert node.GetSlabReconstructionType() == node.GetSlabReconstructionTypeFromString("Max")
    user.ui.slabSpinBox.setValue(0.0)
    assert not node.GetSlabReconstructionEnabled()
    left, right = (user.pixel("Green", (x, 25.0, 100.0))[0] for x in (20.0, 40.0))
    assert left > right
    user.ui.viewsCollapsibleButton.collapsed = False
    user.host.process_events()
    user.check(user.ui.fromBehindCheckBox)
    left, right = (user.pixel("Green", (x, 25.0, 100.0))[0] for x in (20.0, 40.0))
    assert left < right
    assert user.widget.editPanel.grid.cell("T1L")[1] == 1
    user.check(user.ui.fromBehindCheckBox)
    assert user.widget.editPanel.grid.cell("T1R")[1] == 1


@pytest.mark.parametrize("thickness", [6.0, 16.0, 30.0])
def test_the_slab_has_the_thickness_that_is_asked_for(slicer, user, scan, thickness):
    """Measured on a bright plane across the spine, which the slab shows as long as it reaches it."""
    from vtk.util import numpy_support

    array = slicer.util.arrayFromVolume(scan)
    array[:] = 0
    array[:, 30, :] = 250  # A = 24 mm
    slicer.util.arrayFromVolumeModified(scan)
    user.ui.slabTypeComboBox.setCurrentIndex(1)
    user.ui.slabSpinBox.setValue(thickness)
    user.host.process_events()
    widget = user.slice_widget("Green")
    seen = []
    for depth in np.arange(0.0, 48.0, 0.5):
        widget.mrmlSliceNode().JumpSliceByOffsetting(30.0, depth, 100.0)
        reslice = widget.sliceLogic().GetBackgroundLayer().GetReslice()
        reslice.Update()
        if numpy_support.vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()).max() > 100:
            seen.append(depth)
    assert max(seen) - min(seen) == pytest.approx(thickness, abs=2.0)
    assert np.mean(seen) == pytest.approx(24.0, abs=0.75)
    user.ui.slabTypeComboBox.setCurrentIndex(0)
    user.ui.slabSpinBox.setValue(16.0)


def test_the_window_fits_what_was_scanned(slicer, user, scan):
    display = scan.GetDisplayNode()
    assert not display.GetAutoWindowLevel()
    assert 0 < display.GetWindowLevelMin() < display.GetWindowLevelMax() <= 120
    before = display.GetWindowLevelMin()
    user.ui.windowComboBox.setCurrentIndex(2)
    assert display.GetWindowLevelMin() > before


def test_another_kind_of_list_is_a_sentence_not_a_failure(host, slicer, user):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    other.AddControlPoint([1.0, 2.0, 3.0], "left ear")
    user.ui.laminaeSelector.setCurrentNode(other)
    host.process_events()
    assert "left ear" in user.ui.problemLabel.text
    assert not user.session.isOpen
    assert user.ui.slotTable.rowCount == 0
    assert other.GetNumberOfControlPoints() == 1


def test_the_latest_list_is_chosen_with_its_scan(host, slicer):
    make_scan(slicer, "first")
    scan = make_scan(slicer, "second")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "second laminae")
    to_node(FOUND, node)
    node.SetNodeReferenceID("LaminaScan", scan.GetID())
    user = Labeler(host)
    assert user.ui.laminaeSelector.currentNode() is node
    assert user.ui.scanSelector.currentNode() is scan
    assert user.ui.progressLabel.text.startswith("2 of 34 done")


def test_a_list_that_is_removed_in_the_middle_of_placing(host, slicer, user):
    user.key("P")
    slicer.mrmlScene.RemoveNode(user.session.listNode)
    host.process_events()
    assert not user.session.isOpen
    assert user.ui.slotTable.rowCount == 0
    assert not user.ui.placeButton.checked
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def test_a_scan_that_is_removed_leaves_the_list(host, slicer, user, scan):
    fill(user)
    slicer.mrmlScene.RemoveNode(scan)
    host.process_events()
    user.click_slot("T6R")
    user.key("Up")
    assert user.laminae["T6R"].position[2] == pytest.approx(spine_positions()["T6R"][2] + 1.0)


def test_a_scene_that_is_closed_in_the_middle_of_placing(host, slicer, user):
    user.key("P")
    user.click_in("Green", (38.0, 27.0, 120.0))
    slicer.mrmlScene.Clear()
    host.process_events()
    assert not user.session.isOpen
    assert user.ui.slotTable.rowCount == 0
    scan = make_scan(slicer, "next")
    user.ui.scanSelector.setCurrentNode(scan)
    host.process_events()
    user.press(user.ui.newListButton)
    user.key("P")
    user.click_in("Green", (38.0, 27.0, 120.0))
    assert list(user.laminae.positions()) == ["T1L"]


def test_the_help_lists_every_key(user, caplog):
    import logging

    from LaminaLabelingGui.shortcuts import KEYS, cheatSheet

    with caplog.at_level(logging.INFO):
        user.key("F1")
    assert "Ctrl+Z" in caplog.text
    assert all(key in cheatSheet() for _, keys, _ in KEYS for key in keys)
