"""The curves in LaminaLabeling: measured while the list is edited."""

import numpy as np
import pytest
from curve_tools import FIVE_PAIRS, curved, curved_positions, measurer_with_list
from labeling_tools import make_scan

from LaminaLabelingLib.laminae import Lamina, LaminaSet


@pytest.fixture
def scan(slicer):
    return make_scan(slicer)


@pytest.fixture
def user(host, scan):
    yield from measurer_with_list(host)


def test_the_angles_appear_with_the_fifth_pair_that_is_clicked(user):
    positions = curved_positions(40.0)
    assert "0 vertebrae have both laminae" in user.ui.curveProblemLabel.text
    assert not user.ui.curveTable.visible
    user.click_slot("T4L")
    user.key("P")
    for name in FIVE_PAIRS[:-1]:
        user.click_in("Green", positions[name])
    user.settle()
    assert "4 vertebrae have both laminae" in user.ui.curveProblemLabel.text
    user.click_in("Green", positions[FIVE_PAIRS[-1]])
    user.settle()
    user.key("P")
    assert user.ui.curveTable.visible
    assert not user.ui.curveProblemLabel.visible
    assert [row[1:5] for row in user.rows()] == [["T4", "T6", "T8", "right"]]
    assert "where the labeled part of the spine ends" in user.ui.curveNotesLabel.text


def test_the_table_says_what_the_library_measures(user):
    from LaminaLabelingLib.curvature import measure

    user.put(curved())
    curve = measure(curved()).curves[0]
    assert user.rows() == [
        ["main thoracic", "T2", curve.apex, "L4", "right", f"{curve.angle.value:.0f}° ± {1.96 * curve.angle.sd:.0f}°"]
    ]
    assert f"Curves: T2–L4 {curve.angle.value:.0f}°" == user.ui.curvesCollapsibleButton.text
    assert user.ui.sagittalLabel.text.startswith("Kyphosis T1–T12: 0°")
    assert "to" in user.ui.curveTable.item(0, 5).toolTip()


def test_a_move_changes_the_angle_and_undo_brings_it_back(user):
    user.put(curved())
    before = user.angle()
    user.click_slot("T2R")
    for _ in range(5):
        user.key("Up")
    user.settle()
    assert user.angle() != before
    for _ in range(5):
        user.key("Ctrl+Z")
    user.settle()
    assert user.angle() == before


def test_the_angle_follows_a_drag_before_it_ends(host, user):
    from PySide6 import QtCore, QtTest

    user.put(curved())
    user.key("L")
    before = user.angle()
    start = np.array(user.laminae["T2R"].position)
    user.slice_widget("Green").mrmlSliceNode().JumpSliceByOffsetting(*start)
    host.process_events()
    view = user.slice_widget("Green").sliceView()
    first, last = (np.array(user.pixel("Green", point)) for point in (start, start + np.array([0.0, 0.0, 9.0])))
    for approach in (20, 6, 0):
        QtTest.QTest.mouseMove(view, QtCore.QPoint(*(first + approach).tolist()))
        host.process_events()
    left, none = QtCore.Qt.LeftButton, QtCore.Qt.NoModifier
    QtTest.QTest.mousePress(view, left, none, QtCore.QPoint(*first.tolist()))
    QtTest.QTest.mouseMove(view, QtCore.QPoint(*last.tolist()))
    user.settle()
    assert user.angle() != before
    assert user.session.labeling.edits == ()
    QtTest.QTest.mouseRelease(view, left, none, QtCore.QPoint(*last.tolist()))
    user.settle()
    assert len(user.session.labeling.edits) == 1
    user.key("Ctrl+Z")
    user.settle()
    assert user.angle() == before
    user.key("L")


def test_many_changes_are_measured_once(host, user, monkeypatch):
    user.put(curved())
    seen = []
    monkeypatch.setattr(user.panel, "_show", lambda *_args: seen.append(1))
    node = user.session.listNode
    for step in range(50):
        node.SetNthControlPointPosition(0, (20.0, 25.0, 184.0 + 0.01 * step))
    user.settle()
    assert len(seen) <= 2  # the change itself, and the edit that it becomes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"T5L": (20.0, 25.0, 30.0), "T5R": (36.0, 25.0, 30.0)}, "does not lie below"),
        ({"T5L": (40.0, 25.0, 140.0), "T5R": (24.0, 25.0, 140.0)}, "does not lie on the right"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(user, changes, sentence):
    user.show_lines()
    user.put(curved())
    assert len(user.nodes) == 2
    user.put(curved(**changes))
    assert sentence in user.ui.curveProblemLabel.text
    assert not user.ui.curveTable.visible
    assert not user.ui.sagittalLabel.visible
    assert user.ui.curvesCollapsibleButton.text == "Curves"
    assert user.nodes == []


def test_a_straight_spine_has_no_curve(user):
    user.put(LaminaSet.from_positions(curved_positions(0.0)))
    assert user.ui.curveProblemLabel.text == "No curve of 10° or more."
    assert user.ui.sagittalLabel.visible


def test_a_numbered_list_is_measured_too(slicer, host, user):
    positions = list(curved_positions().values())
    names = [f"P{number:02d}{side}" for number in range(1, 18) for side in "LR"]
    laminae = LaminaSet.provisional().with_laminae(
        [Lamina(name, point, "unreviewed", "detected", 0.9) for name, point in zip(names, positions)]
    )
    user.widget._parameterNode.laminae = user.widget.logic.newList(user.session.scanNode, laminae)
    user.show_lines()
    assert user.rows()[0][:5] == ["–", "P02", user.rows()[0][2], "P16", "right"]
    assert {"P02", "P16"} < set(user.texts())
    user.click_cell(0, 3)
    assert user.session.selected == "P16L"


def test_suggested_laminae_are_marked(user):
    laminae = curved().with_lamina(Lamina("L4L", curved_positions()["L4L"], "unreviewed", "inferred", 0.3))
    user.show_lines()
    user.put(laminae)
    assert user.rows()[0][3] == "L4*"
    assert "suggested" in user.ui.curveTable.item(0, 3).toolTip()
    assert "Laminae of L4 are" in user.ui.curveNotesLabel.text
    assert "L4*" in user.texts()
    user.click_slot("L4L")
    user.press(user.ui.acceptButton)
    user.settle()
    assert user.rows()[0][3] == "L4*"  # accepted, but still nobody saw it there
    user.key("Up")
    user.settle()
    assert user.rows()[0][3] == "L4"


def test_a_click_on_a_row_goes_to_the_apex_or_an_end_vertebra(user):
    user.put(curved())
    apex = user.rows()[0][2]
    user.click_slot("T3R")
    user.click_cell(0, 0)
    assert user.session.selected == f"{apex}R"
    assert user.views.intersection() == pytest.approx(curved_positions()[f"{apex}R"])
    user.click_cell(0, 3)
    assert user.session.selected == "L4R"


def test_angles_are_those_of_the_patient_after_the_axes_are_chosen(slicer, host, user, scan):
    from LaminaLabelingGui import scan_nodes

    user.put(curved())
    before = user.rows()
    turned = {name: (-y, x, z) for name, (x, y, z) in curved_positions().items()}
    matrix = scan_nodes.ijkToRas(scan)
    turn = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    scan.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(turn @ matrix))
    user.put(LaminaSet.from_positions(turned))
    assert not user.ui.curveTable.visible
    user.ui.axesComboBox.setEditText("RAS")
    user.ui.orientationCollapsibleButton.collapsed = False
    user.press(user.ui.axesButton)
    user.settle()
    user.ui.orientationCollapsibleButton.collapsed = True
    assert user.rows() == before
    measured = user.widget.logic.measure(user.session.listNode, scan)
    assert measured.curves == user.panel.measurement.curves


def test_a_scan_whose_directions_are_no_patients_is_doubted_until_its_axes_are_chosen(slicer, user, scan):
    from LaminaLabelingGui import scan_nodes

    def is_doubted():
        user.settle()
        notes = user.widget.logic.measure(user.session.listNode, scan).notes
        shown = "do not look like a patient's" in user.ui.curveNotesLabel.text
        assert any("do not look like a patient's" in note for note in notes) == shown
        return shown

    matrix = scan_nodes.ijkToRas(scan)
    oblique = np.eye(4)
    oblique[:2, :2] = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2.0)
    scan.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(oblique @ matrix))
    user.put(curved())
    assert is_doubted()
    assert len(user.rows()) == 1
    user.ui.axesComboBox.setEditText("RAS")
    user.ui.orientationCollapsibleButton.collapsed = False
    user.press(user.ui.axesButton)
    user.put(curved())
    assert not is_doubted()
    user.ui.orientationCollapsibleButton.collapsed = True


def test_a_screen_reader_can_name_everything(user):
    ui = user.ui
    assert ui.curveTable.accessibleName and ui.earlierSelector.accessibleName
    for widget in (ui.endLinesCheckBox, ui.reportButton, ui.curvesCollapsibleButton):
        assert widget.text
    titles = [ui.curveTable.horizontalHeaderItem(column).text() for column in range(ui.curveTable.columnCount)]
    assert titles == ["Curve", "Upper", "Apex", "Lower", "Side", "Angle"]
    assert all(getattr(ui, name).toolTip for name in ("curveTable", "endLinesCheckBox", "earlierSelector"))
