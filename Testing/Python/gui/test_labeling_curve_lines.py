"""The lines that LaminaLabeling draws through the end vertebrae of the curves."""

import numpy as np
import pytest
from curve_tools import FIVE_PAIRS, curved, curved_positions, line_pixels, measurer_with_list
from labeling_tools import make_scan

from LaminaLabelingLib.laminae import LaminaSet


@pytest.fixture
def scan(slicer):
    return make_scan(slicer)


@pytest.fixture
def user(host, scan):
    yield from measurer_with_list(host)


def test_the_lines_lie_through_the_end_vertebrae_in_the_coronal_view_only(slicer, user):
    user.put(curved())
    pictures = {name: line_pixels(user.picture(name)) for name in ("Green", "Yellow", "Red")}
    user.show_lines()
    assert line_pixels(user.picture("Green")) > pictures["Green"] + 100
    assert line_pixels(user.picture("Yellow")) == pictures["Yellow"]
    assert line_pixels(user.picture("Red")) == pictures["Red"]
    model = user.panel.lines.modelNode.GetPolyData()
    upper = [np.array(model.GetPoint(index)) for index in range(4)]  # two pieces beside T2
    level = user.panel.measurement.level("T2")
    for point in upper:
        away = point - level.midpoint
        assert np.degrees(np.arctan2(away[2], away[0])) % 180 == pytest.approx(level.tilt.value % 180, abs=1e-3)
    assert set(user.texts()) == {"T2", "L4", f"apex {user.rows()[0][2]}: {user.angle().split()[0]}"}


def test_the_lines_follow_an_edit_and_its_undo(user):
    user.show_lines()
    user.put(curved())
    node, before = user.panel.lines.modelNode, user.texts()
    user.click_slot("T2R")
    for _ in range(5):
        user.key("Up")
    user.settle()
    assert user.texts() != before
    assert user.panel.lines.modelNode is node
    for _ in range(5):
        user.key("Ctrl+Z")
    user.settle()
    assert user.texts() == before


def test_the_lines_leave_no_trace_in_the_scene(slicer, host, user):
    user.put(curved())
    scene = slicer.mrmlScene
    count, edits = scene.GetNumberOfNodes(), len(user.session.labeling.edits)
    selection = slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID()
    changed = []
    tag = user.session.listNode.AddObserver("ModifiedEvent", lambda *_args: changed.append(1))
    user.show_lines()
    for node in user.nodes:
        display = node.GetDisplayNode()
        assert node.GetHideFromEditors()
        assert not node.GetSaveWithScene() and not display.GetSaveWithScene()
        assert list(display.GetViewNodeIDs()) == ["vtkMRMLSliceNodeGreen"]
        assert not display.GetVisibility3D()
        assert node.GetStorageNode() is None
    assert user.panel.lines.textNode.GetLocked()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert not any(hierarchy.GetItemByDataNode(node) for node in user.nodes)
    assert user.widget.logic.latestList() is user.session.listNode
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID() == selection
    assert user.ui.earlierSelector.nodeCount() == 1
    time = scene.GetMTime()
    user.click_slot("T2R")
    user.key("Up")
    user.settle()
    assert scene.GetMTime() == time  # they are moved, not made anew
    assert len(user.session.labeling.edits) == edits + 1
    assert scene.GetNumberOfUndoLevels() == 0
    user.key("Ctrl+Z")
    user.settle()
    changed.clear()
    user.check(user.ui.endLinesCheckBox)
    user.settle()
    assert user.nodes == []
    assert scene.GetNumberOfNodes() == count
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID() == selection
    assert changed == []
    user.session.listNode.RemoveObserver(tag)


def test_a_saved_scene_holds_the_setting_and_not_the_lines(slicer, host, user, tmp_path):
    user.put(curved())
    user.show_lines()
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    assert slicer.mrmlScene.Commit()
    text = (tmp_path / "scene.mrml").read_text()
    assert "end vertebra lines" not in text
    assert "angles of the curves" not in text


def test_lines_that_appear_while_laminae_are_placed_do_not_end_it(slicer, host, user):
    user.show_lines()
    positions = curved_positions(40.0)
    user.put(LaminaSet.from_positions({name: positions[name] for name in FIVE_PAIRS[:-1]}))
    user.click_slot("T8R")
    user.key("P")
    user.click_in("Green", positions["T8R"])
    user.settle()
    assert len(user.nodes) == 2
    assert user.ui.placeButton.checked
    user.click_slot("T9L")
    user.click_in("Green", positions["T9L"])
    assert user.laminae["T9L"].position is not None
    user.key("P")


def test_the_text_cannot_be_dragged(user):
    user.put(curved())
    user.show_lines()
    before = user.texts()
    text, point = next(iter(before.items()))
    user.drag_in("Green", point, (point[0] - 2.0, point[1], point[2] - 8.0))
    user.settle()
    assert user.texts()[text] == point


def test_the_lines_go_when_the_module_is_left_and_come_back(host, user):
    user.put(curved())
    user.show_lines()
    texts = user.texts()
    former = user.nodes
    host.select_module("LaminaSegmentation")
    assert user.nodes == [] and all(node.GetScene() is None for node in former)
    host.select_module("LaminaLabeling")
    user.settle()
    assert user.texts() == texts
    assert user.ui.endLinesCheckBox.checked


def test_the_lines_go_with_the_scene(slicer, host, user):
    user.put(curved())
    user.show_lines()
    slicer.mrmlScene.Clear()
    user.settle()
    assert user.nodes == []
    assert not user.ui.curveTable.visible
    assert user.ui.curveProblemLabel.text == "Choose a list of laminae first."
    assert not user.ui.reportButton.enabled


def test_the_lines_go_with_the_list(slicer, host, user):
    user.put(curved())
    user.show_lines()
    slicer.mrmlScene.RemoveNode(user.session.listNode)
    user.settle()
    assert user.nodes == []
    assert user.ui.curveProblemLabel.text == "Choose a list of laminae first."


def test_another_list_has_other_lines(slicer, host, user, scan):
    user.put(curved())
    user.show_lines()
    before = user.texts()
    steeper = LaminaSet.from_positions(curved_positions(20.0))
    user.widget._parameterNode.laminae = user.widget.logic.newList(scan, steeper)
    user.settle()
    assert user.texts() != before
    user.widget._parameterNode.laminae = None
    user.settle()
    assert user.nodes == []


def test_lines_that_somebody_removes_are_drawn_again(slicer, user):
    user.put(curved())
    user.show_lines()
    for node in user.nodes:
        slicer.mrmlScene.RemoveNode(node)
    user.click_slot("T2R")
    user.key("Up")
    user.settle()
    assert len(user.nodes) == 2
    user.key("Ctrl+Z")


def test_a_scan_that_is_removed_leaves_the_curves(slicer, user, scan):
    user.put(curved())
    before = user.rows()
    slicer.mrmlScene.RemoveNode(scan)
    user.click_slot("T3R")
    user.settle()
    assert user.rows() == before


def test_a_view_that_is_turned_loses_the_lines_and_gets_them_back(user):
    user.put(curved())
    user.show_lines()
    node = user.slice_widget("Green").mrmlSliceNode()
    node.SetOrientation("Axial")
    user.settle()
    assert user.nodes == []
    node.SetOrientation("Coronal")
    user.settle()
    assert len(user.nodes) == 2


def test_the_texts_stand_on_the_right_of_the_view_also_from_behind(user):
    user.put(curved())
    user.show_lines()

    def pixel_columns():
        user.slice_widget("Green").sliceLogic().FitSliceToBackground()
        middle = user.pixel("Green", user.panel.measurement.level("T2").midpoint)[0]
        return middle, user.pixel("Green", user.texts()["T2"])[0]

    middle, text = pixel_columns()
    assert text > middle
    user.widget._parameterNode.fromBehind = True
    user.settle()
    middle, text = pixel_columns()
    assert text > middle
    user.widget._parameterNode.fromBehind = False
    user.settle()
