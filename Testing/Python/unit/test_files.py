import csv
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import files
from LaminaLabelingLib.anatomy import Numbering, provisional_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.markups_files import description_of, lamina_from_point

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
COORDINATES = st.floats(-1000, 1000)


@st.composite
def laminae_named(draw, name):
    review = draw(st.sampled_from(Review))
    if review is Review.unset:
        return Lamina(name)
    if review is Review.absent:
        return Lamina(name, None, review, draw(st.sampled_from([None, Source.manual])))
    confidence = draw(st.none() | st.floats(0, 1))
    position = (draw(COORDINATES), draw(COORDINATES), draw(COORDINATES))
    return Lamina(name, position, review, draw(st.sampled_from(Source)), confidence)


@st.composite
def lamina_sets(draw):
    if draw(st.booleans()):
        names = draw(st.sets(st.tuples(st.integers(0, 30), st.sampled_from("LR")), min_size=1, max_size=6))
        laminae = [draw(laminae_named(provisional_name(*name))) for name in sorted(names)]
        made = LaminaSet.provisional(laminae)
        # A list without points says nothing about what its names would have been.
        return made if len(made) else LaminaSet()
    numbering = Numbering(draw(st.sampled_from([11, 12, 13])), draw(st.sampled_from([4, 5, 6])))
    names = draw(st.sets(st.sampled_from(numbering.slots), max_size=6))
    return LaminaSet(numbering, [draw(laminae_named(name)) for name in names])


@SHARED_FOLDER
@given(lamina_sets())
def test_markups_round_trip_keeps_everything(tmp_path, laminae):
    files.write_markups(laminae, tmp_path / "laminae.mrk.json")
    assert files.read_markups(tmp_path / "laminae.mrk.json") == laminae
    assert files.read_laminae(tmp_path / "laminae.mrk.json") == laminae
    assert len(list(tmp_path.iterdir())) == 1


@SHARED_FOLDER
@given(lamina_sets())
def test_table_round_trip_keeps_everything(tmp_path, laminae):
    files.write_csv(laminae, tmp_path / "laminae.csv")
    assert files.read_csv(tmp_path / "laminae.csv") == laminae
    assert files.read_laminae(tmp_path / "laminae.csv") == laminae
    assert len(list(tmp_path.iterdir())) == 1


@SHARED_FOLDER
@given(lamina_sets())
def test_laterality_survives_both_files(tmp_path, laminae):
    files.write_markups(laminae.swapped_sides(), tmp_path / "laminae.mrk.json")
    files.write_csv(files.read_markups(tmp_path / "laminae.mrk.json"), tmp_path / "laminae.csv")
    assert files.read_csv(tmp_path / "laminae.csv").swapped_sides() == laminae


def example():
    return LaminaSet(
        laminae=[
            Lamina("T1L", (-10.5, 20.25, 300.0), Review.placed, Source.manual),
            Lamina("T1R", (11.5, 21.0, 301.0), Review.unreviewed, Source.detected, 0.93),
            Lamina("L5R", (13.0, 35.0, -90.0), Review.unreviewed, Source.inferred, 0.2),
            Lamina("T6L", None, Review.absent),
        ]
    )


def points_of(path):
    (markup,) = json.loads(path.read_text())["markups"]
    return markup, {point["label"]: point for point in markup["controlPoints"]}


def test_markups_file_is_what_slicer_expects(tmp_path):
    path = tmp_path / "laminae.mrk.json"
    files.write_markups(example(), path, "Rater 1")
    markup, points = points_of(path)
    assert json.loads(path.read_text())["@schema"].endswith("markups-schema-v1.0.3.json#")
    assert (markup["type"], markup["name"], markup["coordinateSystem"]) == ("Fiducial", "Rater 1", "LPS")
    assert (markup["coordinateUnits"], markup["fixedNumberOfControlPoints"]) == ("mm", True)
    assert list(points) == list(Numbering().slots)
    assert points["T1L"]["position"] == [10.5, -20.25, 300.0]
    assert len({point["id"] for point in points.values()}) == 34
    statuses = {name: points[name]["positionStatus"] for name in ("T1L", "T1R", "T6L", "T6R")}
    assert statuses == {"T1L": "defined", "T1R": "defined", "T6L": "missing", "T6R": "undefined"}
    assert "position" not in points["T6R"]


def test_descriptions_are_one_line_of_json_and_call_inferred_points_suggested(tmp_path):
    path = tmp_path / "laminae.mrk.json"
    files.write_markups(example(), path)
    _, points = points_of(path)
    described = {name: point["description"] for name, point in points.items()}
    assert json.loads(described["T1R"]) == {"review": "unreviewed", "source": "detected", "confidence": 0.93}
    assert json.loads(described["T6R"]) == {"review": "unset", "source": None, "confidence": None}
    assert json.loads(described["L5R"])["source"] == "inferred"
    assert [name for name, text in described.items() if "suggested" in text] == ["L5R"]
    assert [name for name, point in points.items() if not point["selected"]] == ["L5R"]
    assert not any("\n" in text for text in described.values())


def test_a_provisional_list_may_grow(tmp_path):
    path = tmp_path / "laminae.mrk.json"
    files.write_markups(LaminaSet.from_positions({"P01L": (1, 2, 3)}), path)
    markup, points = points_of(path)
    assert markup["fixedNumberOfControlPoints"] is False
    assert list(points) == ["P01L"]


def markups_file(path, *points, **changes):
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": list(points)} | changes
    path.write_text(json.dumps({"markups": [markup]}))
    return path


def test_a_plain_list_of_slicer_is_placed_by_hand(tmp_path):
    path = markups_file(
        tmp_path / "F.mrk.json",
        {"label": "T1L", "position": [1, 2, 3]},
        {"label": " T1R ", "position": [4, 5, 6], "positionStatus": "defined", "description": "seen well"},
        {"label": "T2L", "position": "", "positionStatus": "undefined"},
        {"label": "T2R", "position": [0, 0, 0], "positionStatus": "preview"},
        {"label": "T3L", "position": "", "positionStatus": "missing", "description": ""},
    )
    laminae = files.read_markups(path)
    assert laminae["T1L"] == Lamina("T1L", (-1, -2, 3), Review.placed, Source.manual)
    assert laminae["T1R"].position == (-4, -5, 6)
    assert laminae["T2L"].review is laminae["T2R"].review is Review.unset
    assert laminae["T3L"].review is Review.absent


@pytest.mark.parametrize(("system", "position"), [("LPS", (-1, -2, 3)), ("RAS", (1, 2, 3)), (None, (-1, -2, 3))])
def test_both_coordinate_systems_are_read(tmp_path, system, position):
    changes = {} if system is None else {"coordinateSystem": system}
    path = markups_file(tmp_path / "F.mrk.json", {"label": "T1L", "position": [1, 2, 3]}, **changes)
    if system is None:
        content = json.loads(path.read_text())
        del content["markups"][0]["coordinateSystem"]
        path.write_text(json.dumps(content))
    assert files.read_markups(path)["T1L"].position == position


@pytest.mark.parametrize(
    ("status", "description", "expected"),
    [
        # What Slicer's own tools do: they change the status and leave the description.
        ("defined", {"review": "unset"}, ("placed", "manual", None)),
        ("defined", {"review": "absent", "source": "manual"}, ("placed", "manual", None)),
        ("undefined", {"review": "unreviewed", "source": "detected", "confidence": 0.5}, ("unset", None, None)),
        ("missing", {"review": "unreviewed", "source": "detected", "confidence": 0.5}, ("absent", None, None)),
        ("missing", {"review": "absent", "source": "manual"}, ("absent", "manual", None)),
        ("preview", {"review": "placed", "source": "manual"}, ("unset", None, None)),
        ("defined", {"review": "unreviewed", "source": "suggested"}, ("unreviewed", "inferred", None)),
        ("defined", {"review": "unreviewed"}, ("unreviewed", "manual", None)),
        ("defined", ["review"], ("placed", "manual", None)),
        ("defined", {"other": 1}, ("placed", "manual", None)),
    ],
)
def test_the_status_of_a_point_overrules_its_description(status, description, expected):
    lamina = lamina_from_point("T1L", status, (1, 2, 3), json.dumps(description))
    assert (lamina.review, lamina.source, lamina.confidence) == expected


def test_a_description_describes_its_lamina():
    for lamina in example().values():
        status = {"absent": "missing", "unset": "undefined"}.get(lamina.review, "defined")
        assert lamina_from_point(lamina.name, status, lamina.position, description_of(lamina)) == lamina


NOT_MARKUPS = "not a markups file of 3D Slicer"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", NOT_MARKUPS),
        ("[]", NOT_MARKUPS),
        ("{}", NOT_MARKUPS),
        ('{"markups": [1]}', NOT_MARKUPS),
        ('{"markups": []}', "does not hold a point list"),
        ('{"markups": [{"type": "Line"}]}', "does not hold a point list"),
        ('{"markups": [{"type": "Fiducial", "controlPoints": 3}]}', "control points cannot be read"),
        ('{"markups": [{"type": "Fiducial", "coordinateUnits": "m"}]}', "not in millimeters"),
        ('{"markups": [{"type": "Fiducial", "coordinateSystem": "IJK"}]}', "neither in LPS nor in RAS"),
    ],
)
def test_what_is_no_point_list_is_refused(tmp_path, content, message):
    path = tmp_path / "list.mrk.json"
    path.write_text(content)
    with pytest.raises(LaminaError, match=message) as caught:
        files.read_markups(path)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"label": "F-1", "position": [1, 2, 3]}, '"F-1" is not the name of a lamina'),
        ({"position": [1, 2, 3]}, '"" is not the name of a lamina'),
        ({"label": "T2L", "position": [1, 2]}, "T2L has no position of three numbers"),
        ({"label": "T2L", "position": ""}, "T2L has no position of three numbers"),
        ({"label": "T2L"}, "T2L has no position of three numbers"),
        ({"label": "T2L", "position": [1, 2, "x"]}, "T2L has no position of three numbers"),
        ({"label": "T2L", "position": [1, 2, float("nan")]}, "T2L has a position that is not finite"),
        ({"label": "T1L", "position": [1, 2, 3]}, "T1L comes twice"),
        ({"label": "P01L", "position": [1, 2, 3]}, "P01L is a provisional name"),
        ({"label": "T2L", "position": [1, 2, 3], "description": '{"review": "seen"}'}, "T2L has a value"),
        (
            {"label": "T2L", "position": [1, 2, 3], "description": '{"review": "placed", "confidence": 7}'},
            "T2L has a value that cannot be used",
        ),
    ],
)
def test_a_point_that_cannot_be_used_is_named(tmp_path, point, message):
    path = markups_file(tmp_path / "list.mrk.json", {"label": "T1L", "position": [0, 0, 0]}, point)
    with pytest.raises(LaminaError, match=message) as caught:
        files.read_markups(path)
    assert_one_sentence(caught.value)
    assert '"list.mrk.json"' in str(caught.value)


@pytest.mark.parametrize("read", [files.read_markups, files.read_curve, files.read_csv])
def test_a_missing_list_is_named(tmp_path, read):
    with pytest.raises(LaminaError, match=r'no file "gone\.json"') as caught:
        read(tmp_path / "gone.json")
    assert_one_sentence(caught.value)
    with pytest.raises(LaminaError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value)


def test_other_extensions_are_no_list_of_laminae(tmp_path):
    with pytest.raises(LaminaError, match=r"ends in \.mrk\.json or \.csv") as caught:
        files.read_laminae(tmp_path / "laminae.fcsv")
    assert_one_sentence(caught.value)


def test_the_table_has_the_agreed_header_and_every_slot(tmp_path):
    files.write_csv(example(), tmp_path / "laminae.csv")
    rows = list(csv.reader((tmp_path / "laminae.csv").read_text().splitlines()))
    assert rows[0] == ["name", "r_mm", "a_mm", "s_mm", "review", "source", "confidence"]
    assert [row[0] for row in rows[1:]] == list(Numbering().slots)
    assert rows[1] == ["T1L", "-10.5", "20.25", "300.0", "placed", "manual", ""]
    assert rows[2] == ["T1R", "11.5", "21.0", "301.0", "unreviewed", "detected", "0.93"]
    assert rows[3] == ["T2L", "", "", "", "unset", "", ""]


def test_a_short_table_in_another_order_is_read(tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbfs_mm, name, r_mm, a_mm, note\r\n3, T1L, 1, 2, good\r\n, T1R, , ,\r\n")
    laminae = files.read_csv(path)
    assert laminae["T1L"] == Lamina("T1L", (1, 2, 3), Review.placed, Source.manual)
    assert laminae["T1R"].review is Review.unset


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "it has no column name"),
        (b"name,r_mm,a_mm\nT1L,1,2\n", "it has no column s_mm"),
        (b"name;r_mm;a_mm;s_mm\nT1L;1;2;3\n", "it has no column name"),
        (b"name,r_mm,a_mm,s_mm\nT1L,1,2,x\n", "line 2 has a value"),
        (b"name,r_mm,a_mm,s_mm\nT1L,1,2,3\nT1R,1,2,\n", "line 3 has a value"),
        (b"name,r_mm,a_mm,s_mm\nT1L,1,2,nan\n", "line 2 has a value"),
        (b"name,r_mm,a_mm,s_mm\nX1,1,2,3\n", '"X1" is not the name'),
        (b"name,r_mm,a_mm,s_mm\nT1L,1,2,3\nT1L,1,2,3\n", "T1L comes twice"),
        (b"name,r_mm,a_mm,s_mm,review\nT1L,,,,placed\n", "line 2 has a value .*needs a position"),
        (b"name,r_mm,a_mm,s_mm,review\nT1L,1,2,3,seen\n", "line 2 has a value"),
        (b"name,r_mm,a_mm,s_mm,source\nT1L,1,2,3,guess\n", "line 2 has a value"),
        (b"name,r_mm,a_mm,s_mm,confidence\nT1L,1,2,3,2\n", "line 2 has a value"),
        (b"\xff\xfe\x00", "give a CSV file in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(tmp_path, text, message):
    path = tmp_path / "points.csv"
    path.write_bytes(text)
    with pytest.raises(LaminaError, match=message) as caught:
        files.read_csv(path)
    assert_one_sentence(caught.value)


@SHARED_FOLDER
@given(st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES), max_size=12))
def test_curve_round_trip(tmp_path, points):
    points = np.array(points).reshape(-1, 3)
    files.write_curve(points, tmp_path / "column.mrk.json", "Column")
    np.testing.assert_array_equal(files.read_curve(tmp_path / "column.mrk.json"), points)
    markup, _ = points_of(tmp_path / "column.mrk.json")
    assert (markup["type"], markup["name"]) == ("Curve", "Column")


def test_a_curve_is_no_point_list_and_needs_points_in_space(tmp_path):
    files.write_curve(np.zeros((2, 3)), tmp_path / "column.mrk.json")
    with pytest.raises(LaminaError, match="does not hold a point list"):
        files.read_markups(tmp_path / "column.mrk.json")
    files.write_markups(example(), tmp_path / "laminae.mrk.json")
    with pytest.raises(LaminaError, match="does not hold a curve") as caught:
        files.read_curve(tmp_path / "laminae.mrk.json")
    assert_one_sentence(caught.value)
    for wrong in (np.zeros((2, 2)), np.zeros(3), np.full((1, 3), np.nan)):
        with pytest.raises(ValueError, match="finite points"):
            files.write_curve(wrong, tmp_path / "wrong.mrk.json")


def test_an_atomic_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "result.mrk.json"
    with files.atomic_path(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert temporary.name.endswith("result.mrk.json")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError, match="in the middle"), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("in the middle")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_atomic_file_that_cannot_be_written_gives_one_sentence(tmp_path):
    (tmp_path / "folder").mkdir()
    cases = {
        tmp_path / "none" / "a.csv": "folder does not exist",
        tmp_path / "folder": "is a folder",
        tmp_path / ("n" * 300): "could not be written",
    }
    for path, message in cases.items():
        with pytest.raises(LaminaError, match=message) as caught:
            files.write_csv(LaminaSet(), path)
        assert_one_sentence(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
