"""The module LaminaLabeling, driven with real clicks in SlicerHost."""

import numpy as np
import pytest

from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups import to_node

LAMINAE = LaminaSet(
    laminae=[
        Lamina("T1L", (-10.0, 20.0, 300.0), "unreviewed", "detected", 0.9),
        Lamina("T1R", (10.0, 21.5, 301.0), "placed", "manual"),
        Lamina("T2L", (-9.0, 22.0, 280.0), "unreviewed", "inferred", 0.2),
        Lamina("L5R", None, "absent"),
    ]
)


@pytest.fixture
def slicer(host):
    import slicer

    return slicer


@pytest.fixture
def markups_node(slicer):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "scan laminae")
    to_node(LAMINAE, node)
    return node


@pytest.fixture
def widget(host, markups_node):
    host.select_module("LaminaSegmentation")
    widget = host.select_module("LaminaLabeling")
    host.process_events()
    return widget


def row(widget, index):
    table = widget.ui.laminaTable
    return [table.item(index, column).text() for column in range(table.columnCount)]


def test_the_latest_list_is_shown_with_every_slot(widget, markups_node):
    assert widget.ui.laminaeSelector.currentNode() is markups_node
    assert widget.ui.laminaTable.rowCount == 34
    assert row(widget, 0) == ["T1L", "-10.0, 20.0, 300.0", "unreviewed", "detected", "0.90"]
    assert row(widget, 1) == ["T1R", "10.0, 21.5, 301.0", "placed", "manual", ""]
    assert row(widget, 2) == ["T2L", "-9.0, 22.0, 280.0", "unreviewed", "suggested", "0.20"]
    assert row(widget, 4) == ["T3L", "", "unset", "", ""]
    assert row(widget, 33) == ["L5R", "", "absent", "", ""]
    assert widget.ui.summaryLabel.text == "3 of 34 laminae have a position, 1 of them suggested."


def click_row(host, widget, index):
    table = widget.ui.laminaTable
    table.scrollToItem(table.item(index, 0))
    middle = table.visualItemRect(table.item(index, 0)).center()
    host.click(table.viewport(), (middle.x(), middle.y()))


def test_a_click_on_a_row_moves_the_views_there(host, slicer, widget):
    click_row(host, widget, 1)
    layout = slicer.app.layoutManager()
    offsets = {name: layout.sliceWidget(name).sliceLogic().GetSliceOffset() for name in layout.sliceViewNames()}
    assert offsets == pytest.approx({"Red": 301.0, "Yellow": -10.0, "Green": 21.5})


def test_a_click_on_an_empty_slot_says_so(host, widget):
    click_row(host, widget, 33)
    errors = host.take_slot_errors()
    assert [str(error) for error in errors] == ["L5R has no position to jump to."]


def test_the_table_follows_the_list(host, widget, markups_node):
    markups_node.SetNthControlPointPosition(0, [1.0, 2.0, 3.0])
    markups_node.UnsetNthControlPointPosition(2)
    host.process_events()
    assert row(widget, 0)[1] == "1.0, 2.0, 3.0"
    assert row(widget, 2)[1:3] == ["", "unset"]


def test_positions_are_those_of_the_world(host, slicer, widget, markups_node):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (100, 0, -50)
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    markups_node.SetAndObserveTransformNodeID(transform.GetID())
    host.process_events()
    assert row(widget, 0)[1] == "90.0, 20.0, 250.0"


def test_another_kind_of_list_is_a_sentence_not_a_failure(host, slicer, widget):
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    other.AddControlPoint([1.0, 2.0, 3.0], "left ear")
    widget.ui.laminaeSelector.setCurrentNode(other)
    host.process_events()
    assert widget.ui.laminaTable.rowCount == 0
    assert "left ear" in widget.ui.summaryLabel.text


def test_no_list_is_an_empty_table(host, widget):
    widget.ui.laminaeSelector.setCurrentNode(None)
    host.process_events()
    assert widget.ui.laminaTable.rowCount == 0
    assert widget.ui.summaryLabel.text == ""


def test_a_list_that_is_removed_leaves_an_empty_table(host, slicer, widget, markups_node):
    slicer.mrmlScene.RemoveNode(markups_node)
    host.process_events()
    assert widget.ui.laminaTable.rowCount == 0
