"""Corrections of the preprocessing by hand: what they are, what follows from them, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib.commands import region_of
from LaminaSegmentationLib.preprocessing import Corrections, Options, prepare, read_corrections
from LaminaSegmentationLib.preprocessing.corrections import at_places, corners_of

SPACING = (2.0, 1.0, 0.5)
SHAPE = (60, 80, 90)


def dark_line_volume():
    """A box of tissue on the grid above with a dark column at index 40 and bone on either side, RAS by hand."""
    rng = np.random.default_rng(0)
    array = np.zeros(SHAPE, np.uint8)
    array[1:-1, 8:72, 6:84] = rng.integers(90, 110, (58, 64, 78))
    array[1:-1, 38:43, 16:84] = 20
    array[1:-1, 26:37, 50:54] = array[1:-1, 44:55, 50:54] = 220  # laminae 22 mm below the skin
    array[1:-1, 26:55, 54:84] = 15
    return Volume(array, line_matrix(), "ARI", "line")


def line_matrix():
    """IRA indices to RAS: superior first, the patient's left first, posterior first."""
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[0, 1], matrix[1, 2], matrix[3, 3] = -SPACING[0], SPACING[1], SPACING[2], 1.0
    matrix[:3, 3] = (-40.0, 10.0, 30.0)
    return matrix


OPTIONS = Options(shape=(48, 24, 16), least_extent=(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def volume():
    return dark_line_volume()


@pytest.fixture(scope="module")
def automatic(volume):
    return prepare(volume, OPTIONS)


def corrected(volume, **parts):
    return prepare(volume, OPTIONS, corrections=Corrections(**parts))


# Column


def test_a_column_by_hand_is_straight_between_its_points_and_goes_on_beyond_them(volume):
    # At rows 10, 30 and 40 (RAS S 10, -30, -50) at the indices 30, 50 and 45 (RAS R -10, 10, 5).
    points = np.array([[-10.0, 25.0, 10.0], [10.0, 25.0, -30.0], [5.0, 25.0, -50.0]])
    found = corrected(volume, column=points)
    assert found.column.at(np.array([0, 10, 20, 30, 35, 40, 58])) == pytest.approx([30, 30, 40, 50, 47.5, 45, 45])
    assert found.corrected == ("column",)


def test_the_order_of_the_points_does_not_matter(volume):
    points = np.array([[5.0, 25.0, -50.0], [-10.0, 25.0, 10.0], [10.0, 25.0, -30.0]])
    assert corrected(volume, column=points).column.at(np.array([10, 30, 40])) == pytest.approx([30, 50, 45])


def test_of_points_at_one_height_the_mean_counts(volume):
    points = np.array([[-10.0, 25.0, 10.0], [10.0, 25.0, -30.0], [20.0, 25.0, -30.0]])
    assert corrected(volume, column=points).column.at(np.array([10, 30])) == pytest.approx([30, 55])


def test_a_column_on_the_automatic_one_has_its_contrast(volume, automatic):
    found = corrected(volume, column=automatic.column_points)
    assert found.column.contrast == pytest.approx(automatic.column.contrast, rel=0.02)
    # The first and the last row of the survey hold no image: the automatic column bridges them, ours goes on straight.
    assert found.column.position[1:-1] == pytest.approx(automatic.column.position[1:-1], abs=1e-9)


def test_a_column_beside_the_dark_line_rates_less_and_is_warned_about(volume, automatic):
    beside = automatic.column_points + np.array([12.0, 0.0, 0.0])
    found = corrected(volume, column=beside)
    assert found.column.contrast < 0.12 < automatic.column.contrast
    assert found.warnings[0].startswith("The column that was corrected by hand does not lie on a dark shadow")
    assert corrected(volume, column=automatic.column_points).warnings == ()


def test_region_and_top_layer_follow_from_the_column(volume, automatic):
    found = corrected(volume, column=automatic.column_points - np.array([6.0, 0.0, 0.0]))
    assert found.box[1].start == max(0, automatic.box[1].start - 6)
    assert not np.array_equal(found.top_layer.cut, automatic.top_layer.cut)


# Top layer


def cut_points(volume, prepared, rows, deeper_mm=(0.0,)):
    """Return points on the cut above the column, moved by some mm towards anterior."""
    rows = np.asarray(rows, float)
    columns = prepared.column.at(rows)
    depth = at_places(prepared.survey, prepared.top_layer.cut, rows, columns)
    points = volume.to_world(np.stack([rows, columns, depth], axis=1))
    points[:, 1] += deeper_mm
    return points


def test_points_on_the_cut_change_nothing(volume, automatic):
    found = corrected(volume, top_layer=cut_points(volume, automatic, [3, 30, 55]))
    assert found.top_layer.cut == pytest.approx(automatic.top_layer.cut, abs=1e-9)
    assert found.box == automatic.box
    assert np.array_equal(found.scanned, automatic.scanned)


def test_each_row_of_the_cut_moves_as_a_whole_by_what_the_points_lack(volume, automatic):
    points = cut_points(volume, automatic, [10.5, 30.5, 50.5], deeper_mm=(-2.0, 4.0, 1.0))
    found = corrected(volume, top_layer=points)
    moved = (found.top_layer.cut - automatic.top_layer.cut) * SPACING[2]
    assert np.ptp(moved, axis=1) == pytest.approx(0.0, abs=1e-9)
    rows = automatic.survey.rows
    expected = np.interp(rows, [10.5, 30.5, 50.5], [-2.0, 4.0, 1.0])
    assert moved[:, 0] == pytest.approx(expected, abs=1e-6)
    assert moved[0, 0] == pytest.approx(-2.0)
    assert moved[-1, 0] == pytest.approx(1.0)
    assert found.top_layer.depth - automatic.top_layer.depth == pytest.approx(expected, abs=1e-6)


def test_what_lies_above_a_deeper_cut_is_blanked(volume, automatic):
    points = cut_points(volume, automatic, [5, 50], deeper_mm=6.0)
    found = corrected(volume, top_layer=points)
    assert found.box[2].start == automatic.box[2].start + 12  # voxels of 0.5 mm
    assert np.array_equal(found.column.position, automatic.column.position)


# Region


def test_the_automatic_region_given_back_changes_nothing(volume, automatic):
    found = corrected(volume, region=region_of(volume, automatic.box))
    assert found.box == automatic.box
    assert np.array_equal(found.grid.array, automatic.grid.array)


def test_a_region_holds_the_voxels_whose_centers_lie_in_it_and_is_clipped_to_the_scan(volume):
    # Along S from 5 to -35: rows 12.5 to 32.5. Along R from -20.2 to 60: columns 19.8 on. Along A 20 to 45: 20 to 70.
    region = {
        "center_ras_mm": [19.9, 32.5, -15.0],
        "size_mm": [40.0, 80.2, 25.0],
        "directions": [[0, 0, -1], [1, 0, 0], [0, 1, 0]],
    }
    assert corrected(volume, region=region).box == (slice(13, 33), slice(20, 80), slice(20, 71))


def test_of_a_turned_region_the_box_around_its_corners_is_taken(volume):
    root = np.sqrt(0.5)
    region = {
        "center_ras_mm": [0.0, 32.5, -30.0],
        "size_mm": [20.0, 20.0, 25.0],
        "directions": [[root, 0, -root], [root, 0, root], [0, 1, 0]],
    }
    half = 20 * root
    box = corrected(volume, region=region).box
    assert box[1] == slice(int(np.ceil(40 - half)), int(np.floor(40 + half)) + 1)
    assert box[0] == slice(int(np.ceil(30 - half / 2)), int(np.floor(30 + half / 2)) + 1)


def test_the_corners_of_a_region_by_hand():
    region = {"center_ras_mm": [1, 2, 3], "size_mm": [2, 4, 6], "directions": np.eye(3)}
    expected = [[x, y, z] for x in (0, 2) for y in (0, 4) for z in (0, 6)]
    assert corners_of(region).tolist() == expected


# Nothing corrected


@pytest.mark.parametrize("corrections", [None, Corrections(), Corrections.from_dict({"column": None})])
def test_without_corrections_nothing_changes(coarse_scan, prepared_scan, corrections):
    found = prepare(coarse_scan.volume, corrections=corrections)
    assert np.array_equal(found.grid.array, prepared_scan.grid.array)
    assert np.array_equal(found.grid.matrix, prepared_scan.grid.matrix)
    assert np.array_equal(found.column_points, prepared_scan.column_points)
    assert (found.box, found.warnings, found.corrected) == (prepared_scan.box, prepared_scan.warnings, ())


def test_a_step_that_the_model_does_without_is_warned_about(volume, automatic):
    options = Options(shape=(48, 24, 16), crop_top_layer=False, crop_region=False)
    parts = {"top_layer": cut_points(volume, automatic, [5, 50]), "region": region_of(volume, automatic.box)}
    found = prepare(volume, options, corrections=Corrections(**parts))
    assert [text.split(" crop")[0] for text in found.warnings] == [
        "The model was trained without the top layer",
        "The model was trained without the region of interest",
    ]


# Reading and writing

numbers = st.floats(-900.0, 900.0).map(lambda value: round(value, 3))
point_lists = st.lists(st.tuples(numbers, numbers, numbers), min_size=2, max_size=6).filter(
    lambda points: len(set(points)) > 1
)
sizes = st.floats(0.5, 900.0)


@st.composite
def regions(draw):
    turn = np.linalg.qr(
        np.array(draw(st.lists(st.floats(-1, 1), min_size=9, max_size=9))).reshape(3, 3) + 3 * np.eye(3)
    )[0]
    center, size = (draw(st.tuples(each, each, each)) for each in (numbers, sizes))
    return {"center_ras_mm": list(center), "size_mm": list(size), "directions": turn.tolist()}


@given(st.none() | point_lists, st.none() | point_lists, st.none() | regions())
def test_corrections_survive_json(column, top_layer, region):
    given_parts = {"column": column, "top_layer": top_layer, "region": region}
    corrections = Corrections.from_dict(json.loads(json.dumps(given_parts)))
    again = Corrections.from_dict(json.loads(json.dumps(corrections.to_dict())))
    assert again.parts == corrections.parts == tuple(part for part, value in given_parts.items() if value is not None)
    for part in ("column", "top_layer"):
        if given_parts[part] is not None:
            assert np.array_equal(getattr(again, part), np.array(given_parts[part]))
    assert again.region == corrections.region == region


def region(**changes):
    good = {"center_ras_mm": [0, 30, 0], "size_mm": [50, 40, 20], "directions": np.eye(3).tolist()}
    return {"region": {**good, **changes}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "are a JSON object with the keys column, top_layer, region."),
        ({"colum": []}, "have no 'colum'; they have column, top_layer, region."),
        ({"column": []}, "The corrected spinous process column has no points; give at least 2."),
        ({"column": [[1, 2, 3], [1, 2, 3]]}, "All points of the corrected spinous process column are the same"),
        ({"column": [[True, False, True], [1, 2, 3]]}, "must be a list of points of three finite numbers"),
        ({"column": [[1, 2, 3]], "surface": {}}, "This is what lamina preprocess has written: copy the parts"),
        ({"column": [[1, 2, 3]]}, "The corrected spinous process column has 1 point; give at least 2."),
        ({"top_layer": [[1, 2], [3, 4]]}, "The corrected top layer must be a list of points of three finite numbers"),
        ({"top_layer": [[1, 2, 3], [3, 4]]}, "The corrected top layer must be a list of points"),
        ({"column": [[1, 2, float("nan")], [1, 2, 3]]}, "three finite numbers"),
        ({"column": [[1, 2, float("inf")], [1, 2, 3]]}, "three finite numbers"),
        ({"column": [["1", 2, 3], [1, 2, 3]]}, "three finite numbers"),
        ({"column": 7}, "three finite numbers"),
        ({"column": {"a": 1}}, "three finite numbers"),
        ({"region": [1, 2]}, "must have exactly the keys center_ras_mm, size_mm, directions."),
        (region(rotation=1), "must have exactly the keys"),
        (region(size_mm=[50, 0, 20]), "The corrected region of interest is empty"),
        (region(size_mm=[50, -4, 20]), "The corrected region of interest is empty"),
        (region(center_ras_mm=[0, 30]), "must have a center and a size of three finite numbers"),
        (region(center_ras_mm=[0, 30, 1e300]), "must have a center and a size of three finite numbers"),
        (region(directions=[[1, 0, 0], [0, 1, 0], [0, 0, 2]]), "must be three axes of length 1."),
        (region(directions=[[1, 0, 0], [0, 1, 0], [0, 1, 0]]), "must be three axes of length 1."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps(content))
    with pytest.raises(LaminaError) as caught:
        read_corrections(path)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""])
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    (tmp_path / "corrections.json").write_bytes(content)
    with pytest.raises(LaminaError, match=r"'corrections.json' are not a JSON file"):
        read_corrections(tmp_path / "corrections.json")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LaminaError, match=r"'nothing.json' cannot be read"):
        read_corrections(tmp_path / "nothing.json")


# What does not fit the scan


@pytest.mark.parametrize("part", ["column", "top_layer"])
def test_a_point_outside_of_the_scan_is_refused(volume, part):
    points = np.array([[0.0, 30.0, 0.0], [0.0, 30.0, -30.0], [60.0, 30.0, -40.0]])  # the scan ends at R 39
    with pytest.raises(LaminaError, match=r"Point 3 of the corrected .* lies outside of the scan; move it back"):
        corrected(volume, **{part: points})


def test_a_point_on_the_rim_is_not_outside(volume):
    points = np.array([[0.0, 30.0, 34.0], [0.0, 30.0, -30.0]])  # 4 mm above the first row
    assert corrected(volume, column=points).column.at(np.array([5])) == pytest.approx([40])


def test_a_region_outside_of_the_scan_is_refused(volume):
    with pytest.raises(LaminaError, match=r"The corrected region of interest lies outside of the scan"):
        corrected(volume, **region(center_ras_mm=[300, 30, 0]))


def test_a_region_that_holds_nothing_scanned_is_refused(volume):
    # Beside the tissue, which begins at index 8 (R -32).
    parts = region(center_ras_mm=[-37, 30, -30], size_mm=[4, 20, 40])
    with pytest.raises(LaminaError, match=r"nothing that was scanned is left.*correct the region of interest again"):
        corrected(volume, **parts)


def test_a_cut_below_the_scan_is_refused(volume, automatic):
    points = cut_points(volume, automatic, [5, 50])
    points[:, 1] = 10.0 + 0.5 * 89
    with pytest.raises(LaminaError, match=r"nothing that was scanned is left.*correct the top layer again"):
        corrected(volume, top_layer=points)
