import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence, stored

from LaminaLabelingLib import files
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume

SCAN = np.random.default_rng(4).integers(1, 255, (60, 48, 40), dtype=np.uint8)


def volume_of(code, axes=None):
    return Volume.from_ijk(*stored(SCAN, code, 1.5), axes or code)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from(Numbering(13, 6).slots), st.tuples(*[st.floats(-500, 500)] * 3)),
    st.sampled_from(["LPS", "RAS", "PIR", "RPS"]),
)
def test_positions_and_sides_survive(tmp_path, points, code):
    laminae = LaminaSet.from_positions(points)
    files.write_verse(laminae, volume_of(code), tmp_path / "points.json")
    again = files.read_verse(tmp_path / "points.json", volume_of(code))
    assert set(again.positions()) == set(points)
    for name, point in points.items():
        np.testing.assert_allclose(again[name].position, point, atol=1e-6)


@pytest.mark.parametrize("other", ["LPS", "RAS", "PIR", "ARI", "IRA"])
def test_the_same_scan_may_be_stored_in_another_order(tmp_path, other):
    laminae = LaminaSet.from_positions({"T1L": (3, 4, -5), "L5R": (30, 4, -50)})
    files.write_verse(laminae, volume_of("LPS"), tmp_path / "points.json")
    again = files.read_verse(tmp_path / "points.json", volume_of(other))
    for name, point in laminae.positions().items():
        np.testing.assert_allclose(again[name].position, point, atol=1e-9)


def test_coordinates_are_voxels_of_the_file_whatever_the_axes_are_taken_for(tmp_path):
    array, matrix = stored(SCAN, "LPS", 1.5)
    point = (matrix @ [7, 8, 9, 1])[:3]
    for axes in ("LPS", "RIA"):
        files.write_verse(LaminaSet.from_positions({"T13L": point}), volume_of("LPS", axes), tmp_path / "points.json")
        direction, entry = json.loads((tmp_path / "points.json").read_text())
        assert direction == {"direction": ["L", "P", "S"]}
        assert (entry["label"], entry["side"]) == (28, "L")
        np.testing.assert_allclose([entry["X"], entry["Y"], entry["Z"]], [7, 8, 9])
    assert array.shape == (60, 40, 48)


def test_labels_are_those_of_verse(tmp_path):
    names = ["T1L", "T12L", "L1L", "L5L", "L6L"]
    files.write_verse(LaminaSet.from_positions(dict.fromkeys(names, (0, 0, 0))), volume_of("LPS"), tmp_path / "p.json")
    assert [entry["label"] for entry in json.loads((tmp_path / "p.json").read_text())[1:]] == [8, 19, 20, 24, 25]


POINT = {"label": 8, "side": "L", "X": 1, "Y": 2, "Z": 3}
DIRECTION = {"direction": ["L", "P", "S"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "not a list of points"),
        ("[]", "not a list of points"),
        ("{}", "not a list of points"),
        (json.dumps([POINT]), "not a list of points"),
        (json.dumps([{"direction": ["L", "R", "S"]}]), "not a list of points"),
        (json.dumps([DIRECTION, {"label": 8}]), "not a list of points"),
        (json.dumps([DIRECTION, 3]), "not a list of points"),
        (json.dumps([DIRECTION, {**POINT, "side": "X"}]), "no lamina"),
        (json.dumps([DIRECTION, {"label": 8, "X": 1, "Y": 2, "Z": 3}]), "no lamina"),
        (json.dumps([DIRECTION, {**POINT, "label": 3}]), "no lamina"),
        (json.dumps([DIRECTION, {**POINT, "X": float("nan")}]), "no lamina"),
        (json.dumps([DIRECTION, POINT, POINT]), "T1L twice"),
    ],
)
def test_what_is_no_list_of_laminae_is_refused(tmp_path, content, message):
    (tmp_path / "points.json").write_text(content)
    with pytest.raises(LaminaError, match=message) as caught:
        files.read_verse(tmp_path / "points.json", volume_of("LPS"))
    assert_one_sentence(caught.value)


def test_a_missing_file_and_provisional_names_are_refused(tmp_path):
    with pytest.raises(LaminaError, match="no file") as caught:
        files.read_verse(tmp_path / "gone.json", volume_of("LPS"))
    assert_one_sentence(caught.value)
    provisional = LaminaSet.from_positions({"P01L": (0, 0, 0)})
    with pytest.raises(LaminaError, match="no numbers yet") as caught:
        files.write_verse(provisional, volume_of("LPS"), tmp_path / "points.json")
    assert_one_sentence(caught.value)
