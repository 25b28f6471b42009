"""LaminaLabeling and the rest of Slicer: scenes that are saved and loaded, other tools, other settings of the user."""

import subprocess
import sys

import numpy as np
import pytest
from gui_paths import MODULES, ROOT
from labeling_tools import Labeler, make_scan, spine_positions

from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups import from_node, to_node

OURS = 53417


@pytest.fixture
def user(host, slicer):
    make_scan(slicer)
    user = Labeler(host)
    user.press(user.ui.newListButton)
    yield user
    host.select_module("LaminaSegmentation")


def placed(user, *names):
    positions = spine_positions()
    user.session.labeling.reset(LaminaSet(laminae=[Lamina(n, positions[n], "placed", "manual") for n in names]))
    user.host.process_events()


# Scenes


def save_and_load(slicer, host, folder):
    """Save the scene as .mrml with its data, clear it, and load it again, as Slicer's scene reader does."""
    scene = slicer.mrmlScene
    for class_name in ("vtkMRMLScalarVolumeNode", "vtkMRMLMarkupsFiducialNode"):
        for node in slicer.util.getNodesByClass(class_name):
            if node.GetSaveWithScene() and not node.GetHideFromEditors():
                node.AddDefaultStorageNode()
                ending = "nrrd" if "Volume" in class_name else "mrk.json"
                node.GetStorageNode().SetFileName(str(folder / f"{node.GetName()}.{ending}"))
                assert node.GetStorageNode().WriteData(node)
    scene.SetRootDirectory(str(folder))
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Commit()
    scene.Clear()
    host.process_events()
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Import()
    host.process_events()


@pytest.mark.parametrize("from_behind", [False, True])
def test_a_saved_scene_is_loaded_with_its_list_while_the_module_is_shown(host, slicer, user, tmp_path, from_behind):
    if from_behind:
        user.widget._parameterNode.fromBehind = True
    placed(user, "T6L", "T6R")
    save_and_load(slicer, host, tmp_path)
    assert user.session.isOpen
    assert user.session.listNode is user.ui.laminaeSelector.currentNode()
    assert user.session.laminae.positions().keys() == {"T6L", "T6R"}
    assert user.session.scanNode.GetName() == "scan"
    user.click_slot("T6R")
    user.key("Up")
    assert user.laminae["T6R"].position[2] == pytest.approx(spine_positions()["T6R"][2] + 1.0)
    user.widget._parameterNode.fromBehind = False


def test_a_scene_is_saved_with_the_users_own_layout(slicer, user):
    seen = []
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.StartSaveEvent)
    seen.append(node.GetViewArrangement())
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.EndSaveEvent)
    seen.append(node.GetViewArrangement())
    assert seen == [node.SlicerLayoutFourUpView, OURS]


def test_our_layout_that_a_scene_brought_is_not_given_back(host, slicer, user):
    host.select_module("LaminaSegmentation")
    slicer.app.layoutManager().setLayout(OURS)
    host.select_module("LaminaLabeling")
    host.select_module("LaminaSegmentation")
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_the_first_visit_leaves_the_views_as_they_were(tmp_path):
    """In a process of its own: the panel is made by the first visit."""
    program = f"""
import sys
sys.path.insert(0, {str(ROOT / "Testing")!r})
from pathlib import Path
from SlicerHost import Host
host = Host.start([Path(path) for path in {[str(path) for path in MODULES]!r}])
host.select_module("LaminaSegmentation")
import slicer
node = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
def state():
    return (node.GetSlabReconstructionEnabled(), node.GetSliceSpacingMode(), node.GetOrientation(),
            slicer.app.layoutManager().layout)
before = state()
slicer.modules.laminalabeling.widgetRepresentation()
assert state() == before, "making the panel changed the views"
host.select_module("LaminaLabeling")
assert state() != before
host.select_module("LaminaSegmentation")
assert state() == before, (state(), before)
print("as before", flush=True)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "as before" in finished.stdout, finished.stderr


def test_an_oblique_coronal_view_survives_a_visit_and_a_setting(host, slicer, user):
    host.select_module("LaminaSegmentation")
    node = user.slice_widget("Green").mrmlSliceNode()
    node.RotateToVolumePlane(slicer.util.getNode("scan"))
    matrix = node.GetSliceToRAS()
    turn = np.radians(10)
    for row, values in enumerate(((-np.cos(turn), 0, np.sin(turn)), (np.sin(turn), 0, np.cos(turn)), (0, 1, 0))):
        for column, value in enumerate(values):
            matrix.SetElement(row, column, value)
    node.UpdateMatrices()
    before = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, :3]
    host.select_module("LaminaLabeling")
    assert node.GetOrientation() == "Coronal"
    host.select_module("LaminaSegmentation")
    assert slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, :3] == pytest.approx(before)
    node.SetOrientation("Coronal")


def test_the_brightness_that_a_user_has_set_stays(host, slicer):
    host.select_module("LaminaSegmentation")
    scan = make_scan(slicer)
    scan.CreateDefaultDisplayNodes()
    scan.GetDisplayNode().SetAutoWindowLevel(False)
    scan.GetDisplayNode().SetWindowLevelMinMax(10, 33)
    host.select_module("LaminaLabeling")
    display = scan.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (10, 33)
    host.select_module("LaminaSegmentation")


# Lists


def test_what_changes_while_the_module_is_left_is_taken_over(host, user):
    placed(user, "T6L")
    node = user.session.listNode
    host.select_module("LaminaSegmentation")
    node.SetNthControlPointPosition(node.GetControlPointIndexByLabel("T6L"), (20.0, 25.0, 120.0))
    host.select_module("LaminaLabeling")
    assert user.session.laminae["T6L"].position == (20.0, 25.0, 120.0)
    user.click_slot("T6R")
    user.views.jump((40.0, 25.0, 120.0))
    user.key("Space")
    assert user.laminae["T6L"].position == (20.0, 25.0, 120.0)


def test_choosing_a_list_does_not_touch_it(host, slicer, user):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "notes")
    for name, x in (("T1L", 22.0), ("T1R", 38.0)):
        other.AddControlPoint([x, 25.0, 150.0], name)
    other.SetNthControlPointDescription(0, "my note")
    user.ui.laminaeSelector.setCurrentNode(other)
    host.process_events()
    assert user.session.laminae.positions().keys() == {"T1L", "T1R"}
    assert other.GetNumberOfControlPoints() == 2
    assert other.GetNthControlPointDescription(0) == "my note"
    user.click_slot("T2L")
    user.views.jump((22.0, 25.0, 140.0))
    user.key("Space")
    assert other.GetNumberOfControlPoints() == 34
    assert other.GetNthControlPointDescription(0) == "my note"
    assert other.GetNodeReference("LaminaScan") is user.session.scanNode
    host.select_module("LaminaSegmentation")
    assert not other.GetLocked()


def test_choosing_a_list_keeps_the_scan_that_was_chosen(host, slicer, user):
    second = make_scan(slicer, "second")
    user.ui.scanSelector.setCurrentNode(second)
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "loaded")
    to_node(LaminaSet(laminae=[Lamina("T6L", (22.0, 25.0, 100.0), "placed", "manual")]), loaded)
    user.ui.laminaeSelector.setCurrentNode(loaded)
    host.process_events()
    assert user.session.scanNode is second
    landmarks = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    landmarks.AddControlPoint([1.0, 2.0, 3.0], "left ear")
    user.ui.laminaeSelector.setCurrentNode(landmarks)
    user.ui.scanSelector.setCurrentNode(slicer.util.getNode("scan"))
    host.process_events()
    assert user.ui.scanSelector.currentNode().GetName() == "scan"


def test_a_label_map_is_no_scan(host, slicer):
    host.select_module("LaminaSegmentation")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    user = Labeler(host)
    assert user.ui.scanSelector.currentNode() is None
    assert not user.ui.newListButton.enabled
    scan = make_scan(slicer)
    host.process_events()
    assert user.ui.scanSelector.currentNode() is scan  # loaded while the module is shown
    host.select_module("LaminaSegmentation")


def test_hardening_a_transform_keeps_what_is_known_about_each_lamina(host, slicer, user):
    found = [Lamina(f"T{n}L", (22.0, 25.0, 150.0 - 10 * n), "unreviewed", "detected", 0.9) for n in (1, 2, 3)]
    user.session.labeling.reset(LaminaSet(laminae=found))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (0, 0, 5)
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    user.session.listNode.SetAndObserveTransformNodeID(transform.GetID())
    user.session.listNode.HardenTransform()
    host.process_events()
    assert user.session.laminae["T2L"] == Lamina("T2L", (22.0, 25.0, 135.0), "unreviewed", "detected", 0.9)
    assert len(user.session.labeling.edits) == 1


# Keys and tools


@pytest.mark.parametrize("field", ["raterLineEdit", "slabSpinBox", "thresholdSpinBox", "thoracicSpinBox"])
def test_enter_in_a_field_belongs_to_the_field(host, user, field):
    user.session.labeling.reset(LaminaSet(laminae=[Lamina("T1L", (22.0, 25.0, 150.0), "unreviewed", "detected", 0.9)]))
    host.process_events()
    widget = getattr(user.ui, field)
    widget.setFocus()
    host.process_events()
    user.key_in(widget, "PgUp")
    user.key_in(widget, "Return")
    assert user.laminae["T1L"].review == "unreviewed"
    assert user.session.selected == "T1L"
    # Then the keys are the lamina's again.
    user.key("Return")
    assert user.laminae["T1L"].review == "placed"
    user.ui.slabSpinBox.setValue(16.0)
    user.ui.thresholdSpinBox.setValue(0.9)


def test_a_real_right_click_gives_slicers_place_mode_back(host, slicer, user):
    from PySide6 import QtCore, QtTest

    markups = slicer.modules.markups.logic()
    own = slicer.mrmlScene.GetNodeByID(markups.AddNewFiducialNode("own"))
    markups.SetActiveList(own)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(0)
    user.key("P")
    assert interaction.GetPlaceModePersistence() == 1
    view = user.slice_widget("Green").sliceView()
    for x in (80, 90, 100):
        QtTest.QTest.mouseMove(view, QtCore.QPoint(x, 90))
        host.process_events()
    QtTest.QTest.mouseClick(view, QtCore.Qt.RightButton, QtCore.Qt.NoModifier, QtCore.QPoint(100, 90))
    host.process_events()
    assert not user.ui.placeButton.checked
    assert interaction.GetPlaceModePersistence() == 0
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID() == own.GetID()


def test_another_place_tool_takes_the_clicks(host, slicer, user):
    user.key("P")
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "line")
    selection = slicer.app.applicationLogic().GetSelectionNode()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsLineNode")
    selection.SetActivePlaceNodeID(line.GetID())
    host.process_events()
    assert not user.ui.placeButton.checked
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert selection.GetActivePlaceNodeID() == line.GetID()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)


def test_limits_hold_for_what_is_typed(user):
    user.ui.slabSpinBox.setValue(1600.0)
    assert user.ui.slabSpinBox.value == 60.0
    user.ui.thresholdSpinBox.setValue(9.0)
    assert user.ui.thresholdSpinBox.value == 1.0
    user.ui.slabSpinBox.setValue(16.0)
    user.ui.thresholdSpinBox.setValue(0.9)


def test_a_note_stays_until_it_says_something_else(slicer):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.AddControlPoint([1.0, 2.0, 3.0], "T1L")
    node.SetNthControlPointDescription(0, "looked at twice")
    laminae = from_node(node)
    to_node(laminae, node)
    assert node.GetNthControlPointDescription(node.GetControlPointIndexByLabel("T1L")) == "looked at twice"
    to_node(laminae.with_lamina(Lamina("T1L", (1, 2, 3), "unreviewed", "detected", 0.5)), node)
    assert from_node(node)["T1L"].confidence == 0.5
