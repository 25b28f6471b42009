import dataclasses

import numpy as np
import pytest
from checked_lists import exchanged, findings, named, renamed_from, shifted, straight

from LaminaLabelingLib.anatomy import SLOTS, VERTEBRAE, Numbering, opposite, provisional_name
from LaminaLabelingLib.checks import Finding, check
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.proportions import stations


@pytest.mark.parametrize("laminae", [LaminaSet(), LaminaSet.provisional(), named(straight()), named(straight(0.82))])
def test_nothing_is_said_about_a_good_list(laminae):
    assert check(laminae) == ()


@pytest.mark.parametrize("order", [SLOTS, SLOTS[::-1], SLOTS[::2] + SLOTS[1::2]])
def test_nothing_is_said_while_a_good_list_grows(order):
    points = straight()
    assert [findings({name: points[name] for name in order[:count]}) for count in range(35)] == [[]] * 35


def test_absent_and_unset_slots_are_left_out():
    points = straight()
    laminae = named(points).with_laminae([Lamina("T6L", None, Review.absent, Source.manual), Lamina("L2R")])
    assert check(laminae) == ()


def test_a_finding_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Finding("order", "T6L", "").name = "T7L"


# Left and right


def test_a_swapped_pair_is_named_once():
    points = exchanged(straight(), "T6L", "T6R")
    (finding,) = check(named(points))
    assert (finding.kind, finding.name, finding.others) == ("swapped", "T6L", ("T6R",))
    assert finding.text == "T6L lies 17 mm to the right of T6R: left and right are exchanged."


def test_a_pair_is_not_swapped_when_it_lies_in_line():
    assert check(named({"T6L": (0, 0, 0), "T6R": (0, 8, 0)})) == ()
    assert [finding.kind for finding in check(named({"T6L": (0.1, 0, 0), "T6R": (0, 8, 0)}))] == ["swapped"]


def test_a_mirrored_list_is_one_finding():
    points = {name: point * [-1, 1, 1] for name, point in straight().items()}
    (finding,) = check(named(points))
    assert (finding.kind, finding.name, len(finding.others)) == ("swapped", "T1L", 33)
    assert "mirrored" in finding.text
    assert "17 of 17" in finding.text


def test_a_list_that_is_mirrored_but_for_a_few_pairs_is_one_finding_still():
    points = straight()
    for vertebra in VERTEBRAE[:14]:
        points = exchanged(points, vertebra + "L", vertebra + "R")
    assert [(kind, name) for kind, name, _others in findings(points)] == [("swapped", "T1L")]


def test_two_swapped_pairs_alone_are_named_each():
    points = {name: straight()[opposite(name)] for name in ("T1L", "T1R", "T2L", "T2R")}
    assert findings(points) == [("swapped", "T1L", ("T1R",)), ("swapped", "T2L", ("T2R",))]


# Order


def test_two_neighbors_that_were_exchanged_are_named_once():
    found = findings(exchanged(straight(), "T6L", "T7L"))
    assert len(found) == 1
    kind, name, others = found[0]
    assert kind == "order"
    assert {name, *others} == {"T6L", "T7L"}


def test_a_point_far_above_its_place_is_named_with_what_it_passed():
    points = straight()
    wrong = points | {"T9R": (points["T5R"] + points["T6R"]) / 2}
    (finding,) = check(named(wrong))
    assert (finding.kind, finding.name, finding.others) == ("order", "T9R", ("T6R", "T7R", "T8R"))
    assert finding.text == "T9R lies above T6R, T7R, T8R."


def test_a_point_far_below_its_place_is_named_with_what_it_passed():
    points = straight()
    (finding,) = check(named(points | {"T5R": (points["T8R"] + points["T9R"]) / 2}))
    assert (finding.name, finding.text) == ("T5R", "T5R lies below T6R, T7R, T8R.")


def test_a_list_upside_down_is_one_finding():
    points = {name: point * [1, 1, -1] for name, point in straight().items()}
    (finding,) = check(named(points))
    assert (finding.kind, finding.name) == ("order", "T1L")
    assert "upside down" in finding.text


# Spacing


@pytest.mark.parametrize(("by", "word"), [(12, "high"), (-12, "low")])
@pytest.mark.parametrize("name", ["T2L", "T6R", "T12L", "L4R"])
def test_a_point_that_slid_along_the_spine_is_named_alone(name, by, word):
    (finding,) = check(named(shifted(straight(), name, 0, 0, by)))
    assert (finding.kind, finding.name, finding.others) == ("spacing", name, ())
    assert f"too {word}" in finding.text


@pytest.mark.parametrize(("name", "by"), [("T1L", 12), ("T1R", -9), ("L5L", 12), ("L5R", -12)])
def test_a_point_that_slid_at_an_end_is_named_alone(name, by):
    assert findings(shifted(straight(), name, 0, 0, by)) == [("spacing", name, ())]


@pytest.mark.parametrize("level", [1, 5, 12, 15])
def test_a_level_left_out_is_one_finding_at_the_gap(level):
    points = {name: point for name, point in straight().items() if name[:-1] != VERTEBRAE[level]}
    (finding,) = check(named(renamed_from(points, level, -1)))
    upper, lower = VERTEBRAE[level - 1], VERTEBRAE[level]
    assert (finding.kind, finding.name) == ("spacing", lower + "L")
    assert finding.others == (lower + "R", upper + "L", upper + "R")
    assert f"missing between {upper} and {lower}" in finding.text


def test_the_text_of_a_missing_level_has_both_distances():
    # T5 to T7: 20 and 21.4 mm; T5 to T6 is usual: 16.2 / 2 + 3.2 + 17.4 / 2.
    points = {name: point for name, point in straight().items() if name[:-1] != "T6"}
    (finding,) = check(named(renamed_from(points, VERTEBRAE.index("T6"), -1)))
    assert "41 mm instead of" in finding.text


@pytest.mark.parametrize("level", [3, 8, 13])
def test_a_false_level_between_two_is_one_finding(level):
    points = straight()
    upper, lower = VERTEBRAE[level - 1], VERTEBRAE[level]
    between = {lower + side: (points[upper + side] + points[lower + side]) / 2 for side in "LR"}
    (finding,) = check(named(renamed_from(points, level, 1) | between))
    assert (finding.kind, finding.name) == ("spacing", lower + "L")
    assert "too close" in finding.text


def test_a_gap_of_empty_slots_is_not_a_missing_level():
    points = straight()
    assert findings({name: points[name] for name in SLOTS if name[:-1] not in ("T6", "T7", "L2")}) == []


# Pairs


def test_a_pair_that_is_not_perpendicular_is_named_once():
    points = shifted(shifted(straight(), "T6L", 0, 0, 5), "T6R", 0, 0, -5)
    (finding,) = check(named(points))
    assert (finding.kind, finding.name, finding.others) == ("perpendicular", "T6L", ("T6R",))
    # 10 mm over 17.2 mm: the angle is atan(10 / 17.2).
    assert finding.text == "T6R lies too low or T6L too high: the pair is 30° off the perpendicular."


def test_a_tilted_spine_has_perpendicular_pairs():
    tilt = np.radians(35)
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    assert findings({name: turn @ point for name, point in straight().items()}) == []


def test_one_side_a_level_too_low_is_not_named_pair_by_pair():
    points = straight()
    wrong = {name: point for name, point in points.items() if name.endswith("L")}
    right = {name: point for name, point in points.items() if name.endswith("R") and name != "T6R"}
    found = findings(wrong | renamed_from(right, VERTEBRAE.index("T6"), -1))
    assert len(found) <= 3
    assert ("spacing", "T6R") in [(kind, name) for kind, name, _others in found]


# Depth


@pytest.mark.parametrize(("by", "word"), [(10, "in front of"), (-10, "behind")])
@pytest.mark.parametrize("name", ["T1L", "T2R", "T6R", "L1L", "L4L", "L5R"])
def test_a_point_that_is_too_deep_or_too_shallow_is_named_alone(name, by, word):
    (finding,) = check(named(shifted(straight(), name, 0, by, 0)))
    assert (finding.kind, finding.name, finding.others) == ("sagittal", name, ())
    assert f"mm {word} its neighbors' curve." in finding.text


def test_the_text_of_a_sagittal_finding_has_the_distance():
    (finding,) = check(named(shifted(straight(), "T6R", 0, 9, 0)))
    assert finding.text == "T6R lies 9 mm in front of its neighbors' curve."


def test_two_wrong_points_are_both_named():
    points = shifted(shifted(straight(), "T4L", 0, 12, 0), "L2R", 0, 0, 12)
    assert findings(points) == [("sagittal", "T4L", ()), ("spacing", "L2R", ())]


# The scan


def test_points_outside_the_scan_are_named_and_voxel_edges_are_inside():
    # 10 voxels of 2 mm: centers from 0 to 18 mm, edges at -1 and 19 mm. The first axis runs to the left.
    matrix = np.diag([-2.0, 2.0, 2.0, 1.0])
    laminae = named({"T1L": (1, 0, 0), "T1R": (-19, 19, 19), "T5L": (1.01, 0, 0), "L5R": (-18, 19.01, 0)})
    found = [finding for finding in check(laminae, matrix, (10, 10, 10)) if finding.kind == "outside"]
    assert [(finding.name, finding.text) for finding in found] == [
        ("T5L", "T5L lies outside the scan."),
        ("L5R", "L5R lies outside the scan."),
    ]


def test_without_the_scan_nothing_lies_outside():
    laminae = named({"T1L": (1e6, 0, 0)})
    assert check(laminae) == ()
    assert check(laminae, np.eye(4)) == ()
    assert check(LaminaSet(), np.eye(4), (10, 10, 10)) == ()


def test_each_axis_has_its_own_size():
    laminae = named({"T1L": (0, 0, 4), "T6L": (4, 0, 0)})
    assert [finding.name for finding in check(laminae, np.eye(4), (9, 9, 4))] == ["T1L"]
    assert [finding.name for finding in check(laminae, np.eye(4), (4, 9, 9))] == ["T6L"]


def test_two_points_in_one_place_are_named_once():
    (finding,) = check(named({"T1L": (0, 0, 0), "T6R": (2.9, 0, 0)}))
    assert (finding.kind, finding.name, finding.others) == ("same place", "T6R", ("T1L",))
    assert finding.text == "T6R lies within 2.9 mm of T1L."
    assert check(named({"T1L": (0, 0, 0), "T6R": (3.0, 0, 0)})) == ()


def test_all_points_in_one_place_do_not_crash():
    found = check(named(dict.fromkeys(SLOTS, (1.0, 2.0, 3.0))))
    assert "same place" in {finding.kind for finding in found}


# Provisional lists


@pytest.mark.parametrize(("first", "last"), [(0, 17), (0, 9), (5, 17), (10, 17)])
def test_nothing_is_said_about_good_pairs_without_numbers(first, last):
    points = straight()
    pairs = enumerate(VERTEBRAE[first:last])
    laminae = {provisional_name(index, side): points[vertebra + side] for index, vertebra in pairs for side in "LR"}
    assert check(LaminaSet.from_positions(laminae)) == ()


def test_a_level_missing_among_pairs_without_numbers_is_found():
    points = straight()
    kept = [vertebra for vertebra in VERTEBRAE if vertebra != "T9"]
    laminae = {provisional_name(index, side): points[name + side] for index, name in enumerate(kept) for side in "LR"}
    (finding,) = check(LaminaSet.from_positions(laminae))
    assert (finding.kind, finding.name) == ("spacing", "P09L")
    assert "between P08 and P09" in finding.text


@pytest.mark.parametrize("numbering", [Numbering(11, 4), Numbering(13, 6), Numbering(11, 6)])
def test_other_numberings_are_checked_by_their_own_levels(numbering):
    places = stations(numbering.vertebrae)
    points = {
        vertebra + side: (sign * 10.0, 0.0, -place)
        for vertebra, place in zip(numbering.vertebrae, places)
        for side, sign in (("L", -1), ("R", 1))
    }
    assert check(LaminaSet.from_positions(points, numbering)) == ()


def test_more_provisional_pairs_than_a_spine_has_do_not_crash():
    points = {
        provisional_name(index, side): (x, 0, -20 * index) for index in range(25) for side, x in (("L", 0), ("R", 18))
    }
    assert check(LaminaSet.from_positions(points)) == ()
