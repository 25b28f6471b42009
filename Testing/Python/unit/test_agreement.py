import csv
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.agreement import (
    CSV_COLUMNS,
    QUANTITIES,
    STATES,
    compare,
    coronal_tilt,
    pool,
    state_text,
    write_agreement_csv,
)
from LaminaLabelingLib.anatomy import REGIONS, Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

POINTS = st.dictionaries(st.sampled_from(Numbering().slots), st.tuples(*[st.integers(-400, 400)] * 3))


def named(points, numbering=None):
    return LaminaSet.from_positions(points, numbering or Numbering())


def example():
    """Return two raters' sets: distances 5, 2 and 1 mm, one slot each of every other state."""
    first = named({"T1L": (0, 0, 0), "T1R": (20, 0, 0), "T8L": (0, 0, 0), "L1L": (1, 1, 1), "L2L": (2, 2, 2)})
    second = named({"T1L": (3, 0, 4), "T1R": (20, 2, 0), "T8L": (0, 0, -1), "L1R": (9, 9, 9)})
    absent = [Lamina("L5L", None, Review.absent)]
    return first.with_laminae(absent), second.with_laminae([*absent, Lamina("L2L", None, Review.absent)])


def test_each_slot_has_a_state_and_a_difference():
    slots = {slot.name: slot for slot in compare(*example()).differences}
    assert list(slots) == list(Numbering().slots)
    assert (slots["T1L"].distance_mm, slots["T1L"].difference) == (5.0, (3.0, 0.0, 4.0))
    states = {name: slots[name].state for name in ("T1L", "L1L", "L1R", "L2L", "L5L", "L5R")}
    assert list(states.values()) == ["both", "first only", "second only", "absent differs", "absent", "unset"]
    assert set(states.values()) == set(STATES)
    assert math.isnan(slots["L1L"].distance_mm) and slots["L1L"].difference is None
    assert (slots["L1L"].first.position, slots["L1L"].second) == ((1, 1, 1), Lamina("L1L"))


def test_the_figures_by_hand():
    agreement = compare(*example())
    assert agreement.count == 3
    assert agreement.mean_mm == pytest.approx(8 / 3)
    assert agreement.sd_mm == pytest.approx(math.sqrt(13 / 3))  # squares of 7/3, -2/3 and -5/3, by 2
    assert agreement.median_mm == 2.0
    assert agreement.p95_mm == pytest.approx(2 + 0.9 * 3)
    assert agreement.max_mm == 5.0
    assert agreement.first_only == ("L1L", "L2L")
    assert agreement.second_only == ("L1R",)
    assert agreement.notes == ()


def test_the_worst_slots_are_those_of_one_rater_and_then_the_farthest():
    agreement = compare(*example())
    assert [slot.name for slot in agreement.worst()] == ["L1L", "L1R", "L2L", "T1L", "T1R", "T8L"]
    assert [slot.name for slot in agreement.worst(4)] == ["L1L", "L1R", "L2L", "T1L"]
    assert agreement.worst(0) == ()


def test_each_region_has_its_own_figures():
    regions = compare(*example()).by_region
    assert list(regions) == list(REGIONS)
    assert (regions["T1-T6"].count, regions["T1-T6"].mean_mm) == (2, 3.5)
    assert (regions["T7-T12"].count, regions["T7-T12"].max_mm) == (1, 1.0)
    assert (regions["L1-L5"].count, regions["L1-L5"].first_only) == (0, ("L1L", "L2L"))
    assert math.isnan(regions["L1-L5"].mean_mm)


def test_t13_and_l6_count_to_a_region():
    other = named({"T13L": (0, 0, 0), "L6R": (0, 0, 0)}, Numbering(13, 6))
    regions = compare(other, other).by_region
    assert [regions[region].count for region in REGIONS] == [0, 1, 1]


@pytest.mark.parametrize(
    ("left", "right", "degrees"),
    [
        ((-10, 0, 0), (10, 0, 0), 0.0),
        ((-10, 0, 0), (10, 7, 20), 45.0),
        ((-10, 0, 0), (10, 0, -20), -45.0),
        ((10, 0, 0), (-10, 0, 0), 180.0),
    ],
)
def test_the_tilt_is_positive_when_the_right_side_is_higher(left, right, degrees):
    assert coronal_tilt(left, right) == pytest.approx(degrees)


def test_a_pair_in_one_place_has_no_tilt():
    assert math.isnan(coronal_tilt((1, 2, 3), (1, 9, 3)))
    pair = named({"T1L": (0, 0, 0), "T1R": (0, 5, 0)})
    assert compare(pair, pair).bland_altman("tilt").names == ()


def test_tilts_are_compared_for_the_pairs_that_both_have():
    first = named({"T1L": (0, 0, 0), "T1R": (10, 0, 0), "T2L": (0, 0, 0), "T2R": (10, 0, 10), "T3L": (0, 0, 0)})
    second = named({"T1L": (0, 0, 0), "T1R": (10, 0, 10), "T2L": (0, 0, 0), "T2R": (10, 0, -10), "T3R": (9, 0, 0)})
    result = compare(first, second).bland_altman("tilt")
    assert result.names == ("T1", "T2")
    np.testing.assert_allclose(result.differences, [45, -90])
    np.testing.assert_allclose(result.means, [22.5, 0])


def test_tilts_of_exchanged_pairs_do_not_differ_by_a_whole_turn():
    first = named({"T1L": (10, 0, 0), "T1R": (-10, 0, 1)})
    second = named({"T1L": (10, 0, 1), "T1R": (-10, 0, 0)})
    (difference,) = compare(first, second).bland_altman("tilt").differences
    assert abs(difference) == pytest.approx(2 * math.degrees(math.atan2(1, 20)))


@pytest.mark.parametrize(("quantity", "axis"), list(zip("RAS", range(3))))
def test_coordinates_are_compared_lamina_by_lamina(quantity, axis):
    result = compare(*example()).bland_altman(quantity)
    assert result.names == ("T1L", "T1R", "T8L")
    np.testing.assert_array_equal(result.differences, np.array([[3, 0, 4], [0, 2, 0], [0, 0, -1]])[:, axis])
    assert result.bias == pytest.approx(result.differences.mean())


def test_an_unknown_quantity_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="'X'"):
        compare(*example()).bland_altman("X")


def test_the_correlation_of_coordinates_by_hand():
    # R is 1 and 3 for the first rater, one more for the second; see the statistics' own test.
    first, second = ({name: (x + more, 0, 0) for name, x in (("T1L", 1), ("T2L", 3))} for more in (0, 1))
    icc = compare(named(first), named(second)).icc
    assert list(icc) == list(QUANTITIES)
    assert icc["R"] == pytest.approx(0.8)
    assert math.isnan(icc["A"]) and math.isnan(icc["tilt"])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_slots_give_no_error_and_no_warning(count):
    points = dict(list({"T1L": (0, 0, 0), "T1R": (10, 0, 0)}.items())[:count])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agreement = compare(named(points), named(points))
        figures = [agreement.mean_mm, agreement.median_mm, agreement.p95_mm, agreement.max_mm]
        results = [agreement.bland_altman(quantity) for quantity in QUANTITIES]
        icc = agreement.icc
    assert agreement.count == count
    assert figures == [0.0] * 4 if count else all(map(math.isnan, figures))
    assert math.isnan(agreement.sd_mm) == (count < 2)
    assert [len(result.names) for result in results] == [count, count, count, count // 2]
    assert icc["R"] == 1.0 if count == 2 else math.isnan(icc["R"])


@settings(max_examples=40, deadline=None)
@given(POINTS, POINTS)
def test_the_second_against_the_first_is_the_first_against_the_second_turned_round(first, second):
    one, other = compare(named(first), named(second)), compare(named(second), named(first))
    assert one.count == other.count == len(set(first) & set(second))
    assert one.first_only == other.second_only
    np.testing.assert_array_equal(
        [slot.distance_mm for slot in one.differences], [s.distance_mm for s in other.differences]
    )
    for quantity in QUANTITIES:
        both = one.bland_altman(quantity).differences + other.bland_altman(quantity).differences
        assert all(math.remainder(value, 360.0) == pytest.approx(0, abs=1e-9) for value in both)


@settings(max_examples=40, deadline=None)
@given(POINTS, st.tuples(*[st.integers(-50, 50)] * 3))
def test_a_shift_is_the_bias_and_has_no_spread(points, shift):
    moved = {name: tuple(np.add(point, shift)) for name, point in points.items()}
    agreement = compare(named(points), named(moved))
    for quantity, value in zip("RAS", shift):
        result = agreement.bland_altman(quantity)
        np.testing.assert_array_equal(result.differences, np.full(len(points), value))
        assert result.bias == value if points else math.isnan(result.bias)
    assert agreement.max_mm == pytest.approx(np.linalg.norm(shift), nan_ok=True) or not points
    np.testing.assert_allclose(agreement.bland_altman("tilt").differences, 0, atol=1e-9)


def test_other_numberings_are_compared_by_name_and_noted():
    first = named({"T12L": (0, 0, 0)}, Numbering(12, 5))
    second = named({"T12L": (0, 0, 1), "T13L": (0, 0, 0)}, Numbering(13, 4))
    agreement = compare(first, second)
    names = [slot.name for slot in agreement.differences]
    assert names[22:28] == ["T12L", "T12R", "T13L", "T13R", "L1L", "L1R"] and names[-1] == "L5R"
    assert (agreement.count, agreement.second_only) == (1, ("T13L",))
    (note,) = agreement.notes
    assert "12 thoracic and 5 lumbar ones in the first and 13 and 4 in the second" in note


def test_provisional_lists_are_compared_with_each_other_only():
    provisional = named({"P01L": (0, 0, 0), "P01R": (9, 0, 0)})
    agreement = compare(provisional, named({"P01L": (0, 0, 2), "P02L": (0, 0, 0)}))
    assert (agreement.count, agreement.first_only, agreement.second_only) == (1, ("P01R",), ("P02L",))
    assert len(agreement.notes) == 1
    assert all(region.differences == () for region in agreement.by_region.values())
    for pair in ((provisional, LaminaSet()), (LaminaSet(), provisional)):
        with pytest.raises(LaminaError, match="without numbers") as caught:
            compare(*pair)
        assert_one_sentence(caught.value)


def test_a_folder_is_pooled_over_all_slots_of_all_scans():
    one = compare(named({"T1L": (0, 0, 0), "T1R": (10, 0, 0)}), named({"T1L": (0, 0, 1), "T1R": (10, 0, 3)}), "scan 1")
    other = compare(named({"T1L": (5, 5, 5)}), named({"T1L": (5, 5, 5)}, Numbering(13, 5)), "scan 2")
    pooled = pool([one, other])
    assert (pooled.count, pooled.mean_mm, pooled.max_mm) == (3, pytest.approx(4 / 3), 3.0)
    result = pooled.bland_altman("S")
    assert list(zip(result.scans, result.names)) == [("scan 1", "T1L"), ("scan 1", "T1R"), ("scan 2", "T1L")]
    assert pooled.bland_altman("tilt").names == ("T1",)
    assert [(slot.scan, slot.distance_mm) for slot in pooled.worst(1)] == [("scan 1", 3.0)]
    assert pooled.notes == other.notes
    assert pool([]).count == 0
    with pytest.raises(ValueError, match="names of their scans"):
        pool([one, one])


def test_every_state_has_a_text():
    assert len({state_text(state) for state in STATES}) == len(STATES)


def test_the_table_holds_every_slot_with_all_digits(tmp_path):
    path = tmp_path / "agreement.csv"
    first, second = example()
    write_agreement_csv(compare(first, second, "scan 1"), path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["name"] for row in rows] == list(Numbering().slots)
    assert list(rows[0].values())[:7] == ["scan 1", "T1L", "both", "5.0", "3.0", "0.0", "4.0"]
    assert list(rows[0].values())[7:] == ["placed", "0.0", "0.0", "0.0", "placed", "3.0", "0.0", "4.0"]
    by_name = {row["name"]: row for row in rows}
    assert (by_name["L2L"]["distance_mm"], by_name["L2L"]["second_review"]) == ("", "absent")
    assert by_name["L1R"]["second_a_mm"] == "9.0"
    assert [entry.name for entry in tmp_path.iterdir()] == ["agreement.csv"]
    with pytest.raises(LaminaError, match="folder does not exist"):
        write_agreement_csv(compare(first, second), tmp_path / "none" / "a.csv")


def test_unreviewed_positions_count_like_placed_ones():
    model = LaminaSet(laminae=[Lamina("T1L", (0, 0, 2), Review.unreviewed, Source.detected, 0.9)])
    assert compare(named({"T1L": (0, 0, 0)}), model).mean_mm == 2.0
