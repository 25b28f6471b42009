"""Laminae in real MRML nodes and in files that the real MRML storage nodes read and write."""

import json

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from LaminaLabelingLib import files, markups
from LaminaLabelingLib.anatomy import Numbering, opposite
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

UNDEFINED, PREVIEW, DEFINED, MISSING = 0, 1, 2, 3
# MRML writes 15 or more digits, and LPS and RAS differ only in signs.
EXACT_MM = 1e-9


@pytest.fixture
def scene():
    scene = slicer.vtkMRMLScene()
    yield scene
    scene.Clear(1)


@pytest.fixture
def node(scene):
    return scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")


def laminae_in(numbering):
    """One lamina in every state that there is."""
    return LaminaSet(
        numbering,
        [
            Lamina("T1L", (-10.123456789, 20.25, 300.0), Review.placed, Source.manual),
            Lamina("T1R", (11.5, -21.0, 301.0), Review.unreviewed, Source.detected, 0.93),
            Lamina("T2L", (0.0, 0.0, 0.0), Review.unreviewed, Source.inferred, 0.0),
            Lamina("T2R", (1e-7, 1e3, -1e3), Review.placed, Source.inferred, 1.0),
            Lamina("T6L", None, Review.absent),
            Lamina("L4R", None, Review.absent, Source.manual),
        ],
    )


PROVISIONAL = LaminaSet.provisional(
    [
        Lamina("P01R", (1.0, 2.0, 3.0), Review.unreviewed, Source.detected, 0.5),
        Lamina("P02L", (4.0, 5.0, 6.0), Review.placed, Source.manual),
    ]
)
SETS = [
    *(laminae_in(Numbering(thoracic, lumbar)) for thoracic in (11, 12, 13) for lumbar in (4, 5, 6)),
    LaminaSet(),
    PROVISIONAL,
]


def storage(path):
    node = slicer.vtkMRMLMarkupsJsonStorageNode()
    node.SetFileName(str(path))
    return node


@pytest.mark.parametrize("laminae", SETS, ids=repr)
def test_a_set_survives_a_node(node, laminae):
    markups.to_node(laminae, node)
    assert markups.from_node(node) == laminae
    assert node.GetNumberOfControlPoints() == len(laminae)
    assert bool(node.GetFixedNumberOfControlPoints()) is not laminae.is_provisional


@pytest.mark.parametrize("laminae", SETS, ids=repr)
def test_what_we_write_is_what_slicer_reads(node, tmp_path, laminae):
    files.write_markups(laminae, tmp_path / "laminae.mrk.json", "Rater 1")
    reader = storage(tmp_path / "laminae.mrk.json")
    assert reader.ReadData(node) == 1
    assert reader.GetUserMessages().GetNumberOfMessages() == 0
    assert [node.GetNthControlPointLabel(index) for index in range(len(laminae))] == list(laminae)
    for index, lamina in enumerate(laminae.values()):
        expected = {Review.unset: UNDEFINED, Review.absent: MISSING}.get(lamina.review, DEFINED)
        assert node.GetNthControlPointPositionStatus(index) == expected
        if lamina.position:
            np.testing.assert_allclose(node.GetNthControlPointPosition(index), lamina.position, atol=EXACT_MM)
    assert bool(node.GetFixedNumberOfControlPoints()) is not laminae.is_provisional
    assert markups.from_node(node) == laminae


@pytest.mark.parametrize("laminae", SETS, ids=repr)
def test_what_slicer_writes_is_what_we_read(node, tmp_path, laminae):
    markups.to_node(laminae, node)
    assert storage(tmp_path / "laminae.mrk.json").WriteData(node) == 1
    assert files.read_markups(tmp_path / "laminae.mrk.json") == laminae


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(Numbering().slots), st.tuples(*[st.floats(-1000, 1000)] * 3), min_size=1, max_size=34
    )
)
def test_positions_and_sides_survive_the_way_through_slicer(node, tmp_path, points):
    laminae = LaminaSet.from_positions(points, source="detected", review="unreviewed", confidence=0.5)
    files.write_markups(laminae, tmp_path / "ours.mrk.json")
    storage(tmp_path / "ours.mrk.json").ReadData(node)
    storage(tmp_path / "theirs.mrk.json").WriteData(node)
    again = files.read_markups(tmp_path / "theirs.mrk.json")
    assert set(again.positions()) == set(points)
    for name, point in points.items():
        np.testing.assert_allclose(again[name].position, point, atol=EXACT_MM)
    files.write_markups(laminae.swapped_sides(), tmp_path / "ours.mrk.json")
    storage(tmp_path / "ours.mrk.json").ReadData(node)
    assert set(markups.from_node(node).positions()) == {opposite(name) for name in points}


def test_a_plain_list_of_slicer_is_placed_by_hand(node, tmp_path):
    for name, point in (("T1L", (1, 2, 3)), ("T13R", (4, 5, 6))):
        node.AddControlPoint(point, name)
    laminae = markups.from_node(node)
    assert laminae.numbering == Numbering(13, 5)
    assert laminae["T1L"] == Lamina("T1L", (1, 2, 3), Review.placed, Source.manual)
    storage(tmp_path / "F.mrk.json").WriteData(node)
    assert files.read_markups(tmp_path / "F.mrk.json") == laminae


def test_a_label_that_is_no_name_is_refused(node):
    node.AddControlPoint([0, 0, 0], "F-1")
    with pytest.raises(LaminaError, match='"F-1" is not the name of a lamina'):
        markups.from_node(node)


def test_what_slicers_own_tools_do_is_understood(node):
    markups.to_node(laminae_in(Numbering()), node)
    node.SetNthControlPointPosition(node.GetControlPointIndexByLabel("T3L"), 7.0, 8.0, 9.0)  # a click in a view
    node.UnsetNthControlPointPosition(node.GetControlPointIndexByLabel("T1R"))
    node.SetNthControlPointPositionMissing(node.GetControlPointIndexByLabel("T1L"))
    node.SetNthControlPointPosition(node.GetControlPointIndexByLabel("T6L"), 1.0, 1.0, 1.0)
    laminae = markups.from_node(node)
    assert laminae["T3L"] == Lamina("T3L", (7, 8, 9), Review.placed, Source.manual)
    assert laminae["T1R"] == Lamina("T1R")
    assert laminae["T1L"] == Lamina("T1L", None, Review.absent)
    assert laminae["T6L"].review is Review.placed


def test_a_preview_point_is_not_placed(node):
    markups.to_node(LaminaSet(), node)
    node.SetNthControlPointPosition(0, [1.0, 2.0, 3.0], node.PositionPreview)
    assert node.GetNthControlPointPositionStatus(0) == PREVIEW
    assert markups.from_node(node)["T1L"].review is Review.unset
    markups.to_node(LaminaSet(), node)
    assert node.GetNthControlPointPositionStatus(0) in (UNDEFINED, PREVIEW)


def test_an_update_keeps_the_control_points_and_changes_only_what_differs(node):
    laminae = laminae_in(Numbering())
    markups.to_node(laminae, node)
    before = [node.GetNthControlPointID(index) for index in range(34)]
    changed = []
    node.AddObserver(node.PointModifiedEvent, lambda *_: changed.append("point"))
    markups.to_node(laminae, node)
    assert changed == []
    edited = (
        laminae.with_lamina(Lamina("T1L"))
        .with_lamina(Lamina("T6L", (1, 2, 3), "placed", "manual"))
        .with_lamina(Lamina("T1R", None, "absent"))
        .with_lamina(Lamina("L4R"))
        .with_lamina(Lamina("T2L", (0.5, 0, 0), "placed", "manual"))
    )
    markups.to_node(edited, node)
    assert changed
    assert markups.from_node(node) == edited
    assert [node.GetNthControlPointID(index) for index in range(34)] == before


def test_a_fixed_list_is_filled_anew_for_other_names(node):
    for laminae in (laminae_in(Numbering()), PROVISIONAL, laminae_in(Numbering(13, 6)), LaminaSet.provisional()):
        markups.to_node(laminae, node)
        assert node.GetNumberOfControlPoints() == len(laminae)
        assert bool(node.GetFixedNumberOfControlPoints()) is not laminae.is_provisional
    assert node.GetNumberOfControlPoints() == 0


def test_one_point_can_be_updated_alone(node):
    markups.to_node(LaminaSet(), node)
    lamina = Lamina("T5R", (1, 2, 3), Review.unreviewed, Source.inferred, 0.3)
    markups.lamina_to_node(lamina, node)
    index = node.GetControlPointIndexByLabel("T5R")
    assert markups.lamina_from_node(node, index) == lamina
    assert markups.from_node(node) == LaminaSet(laminae=[lamina])
    with pytest.raises(KeyError):
        markups.lamina_to_node(Lamina("T13R"), node)


def test_inferred_points_have_the_other_color_and_the_word_suggested(node):
    laminae = laminae_in(Numbering())
    markups.to_node(laminae, node)
    inferred = [name for name, lamina in laminae.items() if lamina.is_suggested]
    rows = range(node.GetNumberOfControlPoints())
    labels = [node.GetNthControlPointLabel(row) for row in rows]
    assert [labels[row] for row in rows if not node.GetNthControlPointSelected(row)] == inferred == ["T2L", "T2R"]
    assert [labels[row] for row in rows if "suggested" in node.GetNthControlPointDescription(row)] == inferred
    assert json.loads(node.GetNthControlPointDescription(1))["confidence"] == 0.93


def test_the_first_point_to_place_is_the_first_undefined_one(node):
    markups.to_node(laminae_in(Numbering()), node)
    assert node.GetNumberOfUndefinedControlPoints() == 34 - 6
    assert node.GetNumberOfDefinedControlPoints() == 4


@pytest.mark.parametrize("count", [0, 2, 150])
def test_a_curve_survives_nodes_and_files(scene, tmp_path, count):
    points = np.random.default_rng(0).uniform(-300, 300, (count, 3))
    curve = scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode")
    curve.AddControlPoint([9, 9, 9], "old")
    markups.curve_to_node(points, curve)
    np.testing.assert_array_equal(markups.curve_from_node(curve), points)
    assert storage(tmp_path / "theirs.mrk.json").WriteData(curve) == 1
    np.testing.assert_allclose(files.read_curve(tmp_path / "theirs.mrk.json"), points, atol=EXACT_MM)
    files.write_curve(points, tmp_path / "ours.mrk.json")
    again = scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode")
    assert storage(tmp_path / "ours.mrk.json").ReadData(again) == 1
    np.testing.assert_allclose(markups.curve_from_node(again), points, atol=EXACT_MM)
