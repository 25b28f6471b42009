import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import REGIONS, SLOTS, VERTEBRAE, Numbering, opposite, split_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.guidance import (
    ORDERS,
    next_to_place,
    next_to_review,
    nudged,
    order_of,
    order_text,
    predicted_position,
    progress,
    renumbered,
    review_queue,
    with_scan_range,
)
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.proportions import offset_mm, stations


def placed(name, *position):
    return Lamina(name, position or (1.0, 2.0, 3.0), Review.placed, Source.manual)


def found(name, confidence, source=Source.detected):
    return Lamina(name, (1.0, 2.0, 3.0), Review.unreviewed, source, confidence)


def absent(name):
    return Lamina(name, None, Review.absent, Source.manual)


def straight(vertebrae=VERTEBRAE, scale=1.0, origin=(0.0, 0.0, 0.0)):
    """Points of an adult's straight spine: laminae beside the midline, levels straight below each other."""
    points = {}
    for vertebra, station in zip(vertebrae, stations(VERTEBRAE)[: len(vertebrae)]):
        for side, sign in (("L", -1), ("R", 1)):
            points[vertebra + side] = np.array(origin) + scale * np.array([sign * offset_mm(vertebra), 0.0, -station])
    return points


def curved(seed):
    """Points of a smooth spine that winds in both planes, with its own proportions."""
    rng = np.random.default_rng(seed)
    points = straight(scale=rng.uniform(0.8, 1.1))
    lateral, depth, phase = rng.uniform(-15, 15), rng.uniform(-15, 15), rng.uniform(0, 6)
    for name, point in points.items():
        winding = np.array([lateral * np.sin(point[2] / 70 + phase), depth * np.cos(point[2] / 90 + phase), 0.0])
        points[name] = point + winding
    return points


def named(points):
    return LaminaSet.from_positions(points, Numbering())


def without(points, *names):
    return named({name: point for name, point in points.items() if name not in names})


# Orders


def test_pairs_go_down_with_the_first_side_first():
    laminae = LaminaSet()
    assert order_of(laminae, "pairs down") == SLOTS
    assert order_of(laminae, "pairs down", "R")[:4] == ("T1R", "T1L", "T2R", "T2L")


def test_pairs_go_up_with_the_first_side_first():
    assert order_of(LaminaSet(), "pairs up")[:4] == ("L5L", "L5R", "L4L", "L4R")
    assert order_of(LaminaSet(), "pairs up", "R")[-2:] == ("T1R", "T1L")


@pytest.mark.parametrize(("order", "sides"), [("left side then right", "LR"), ("right side then left", "RL")])
@pytest.mark.parametrize("first_side", ["L", "R"])
def test_one_side_goes_down_before_the_other(order, sides, first_side):
    expected = tuple(vertebra + side for side in sides for vertebra in VERTEBRAE)
    assert order_of(LaminaSet(), order, first_side) == expected


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_has_every_slot_of_the_numbering_once(order):
    laminae = LaminaSet(Numbering(13, 6))
    assert sorted(order_of(laminae, order)) == sorted(laminae)


def test_a_provisional_list_has_both_sides_of_its_pairs():
    laminae = LaminaSet.provisional([placed("P01R"), placed("P03L")])
    assert order_of(laminae, "pairs down") == ("P01L", "P01R", "P03L", "P03R")


def test_each_order_has_a_text_of_its_own():
    assert len({order_text(key) for key in ORDERS}) == len(ORDERS)


@pytest.mark.parametrize("call", [lambda: order_of(LaminaSet(), "sideways"), lambda: order_text("sideways")])
def test_an_unknown_order_is_a_mistake(call):
    with pytest.raises(ValueError, match="sideways"):
        call()


def test_an_unknown_side_is_a_mistake():
    with pytest.raises(ValueError, match="side 'X'"):
        order_of(LaminaSet(), "pairs down", "X")


# The next slot


def test_the_first_unset_slot_comes_first():
    assert next_to_place(LaminaSet(), "pairs down", None) == "T1L"
    assert next_to_place(LaminaSet(), "pairs up", None, "R") == "L5R"


def test_placed_absent_and_unreviewed_slots_are_passed_over():
    laminae = LaminaSet(laminae=[placed("T1L"), absent("T1R"), found("T2L", 0.9)])
    assert next_to_place(laminae, "pairs down", None) == "T2R"
    assert next_to_place(laminae, "pairs down", "T1L") == "T2R"


def test_a_skipped_slot_comes_back_after_the_end():
    laminae = LaminaSet(laminae=[placed(name) for name in SLOTS if name not in ("T3L", "L5R")])
    assert next_to_place(laminae, "pairs down", "T3L") == "L5R"
    assert next_to_place(laminae, "pairs down", "L5R") == "T3L"


def test_the_only_unset_slot_follows_itself_and_then_there_is_none():
    laminae = LaminaSet(laminae=[placed(name) for name in SLOTS if name != "T3L"])
    assert next_to_place(laminae, "pairs down", "T3L") == "T3L"
    assert next_to_place(laminae.with_lamina(placed("T3L")), "pairs down", "T3L") is None


def test_a_slot_that_the_list_lost_starts_at_the_beginning():
    assert next_to_place(LaminaSet(), "pairs down", "T13L") == "T1L"


def test_a_provisional_list_misses_partners_only():
    laminae = LaminaSet.provisional([placed("P01L"), placed("P01R"), placed("P02L")])
    assert next_to_place(laminae, "pairs down", "P01L") == "P02R"
    assert next_to_place(LaminaSet.provisional(), "pairs down", None) is None


# Review


def test_doubtful_slots_come_first_lumbar_first_empty_first_then_by_confidence():
    laminae = LaminaSet(
        laminae=[
            *[placed(name) for name in SLOTS],
        ]
    ).with_laminae(
        [
            found("T1L", 0.1),
            found("T1R", 0.05),
            found("T8L", 0.3),
            Lamina("T9R"),
            found("L1L", 0.4),
            found("L1R", 0.99, Source.inferred),
            Lamina("L4R"),
            Lamina("L4L"),
            Lamina("L2L", (1, 2, 3), Review.unreviewed, Source.detected),
            found("L3L", 0.9),
            found("L3R", 0.8),
            found("T2L", 0.6),
        ]
    )
    lumbar = ("L4L", "L4R", "L2L", "L1L", "L1R")
    assert review_queue(laminae) == (*lumbar, "T9R", "T8L", "T1R", "T1L", "L3R", "L3L", "T2L")
    assert review_queue(laminae, doubtful_below=0.7)[-4:] == ("T1L", "T2L", "L3R", "L3L")


def test_a_confidence_at_the_threshold_is_certain():
    laminae = LaminaSet(laminae=[placed(name) for name in SLOTS]).with_laminae([found("L1L", 0.5), found("T1L", 0.49)])
    assert review_queue(laminae) == ("T1L", "L1L")


def test_what_a_person_has_decided_is_not_in_the_queue():
    laminae = LaminaSet(laminae=[placed(name) for name in SLOTS[:-1]] + [absent("L5R")])
    assert review_queue(laminae) == ()
    assert next_to_review(laminae) is None
    assert next_to_review(laminae, "T1L") is None


def accept(laminae, name):
    lamina = laminae[name]
    return laminae.with_lamina(
        Lamina(name, lamina.position, Review.placed, lamina.source, lamina.confidence)
        if lamina.position is not None
        else placed(name)
    )


@given(st.lists(st.sampled_from(["unset", "placed", 0.2, 0.7, None]), min_size=34, max_size=34), st.booleans())
def test_accepting_one_slot_after_the_other_goes_through_the_queue_once(kinds, refuse):
    made = {
        "unset": lambda name: Lamina(name),
        "placed": placed,
        None: lambda name: found(name, 0.9, Source.inferred),
    }
    laminae = LaminaSet(
        laminae=[made[kind](name) if kind in made else found(name, kind) for name, kind in zip(SLOTS, kinds)]
    )
    expected, seen = review_queue(laminae), []
    name = next_to_review(laminae)
    while name is not None:
        seen.append(name)
        empty = laminae[name].position is None
        laminae = laminae.with_lamina(absent(name)) if refuse and empty else accept(laminae, name)
        name = next_to_review(laminae, name)
    assert tuple(seen) == expected


def test_skipping_goes_on_and_comes_round():
    laminae = LaminaSet(laminae=[placed(name) for name in SLOTS]).with_laminae([found("L1L", 0.1), found("T1L", 0.1)])
    assert next_to_review(laminae) == "L1L"
    assert next_to_review(laminae, "L1L") == "T1L"
    assert next_to_review(laminae, "T1L") == "L1L"
    assert next_to_review(laminae.with_lamina(placed("L1L")), "T1L") == "T1L"
    assert next_to_review(laminae, "T13L") == "L1L"


def test_a_provisional_list_is_reviewed_by_confidence():
    laminae = LaminaSet.provisional([found("P01L", 0.4), found("P01R", 0.2), found("P02L", 0.9)])
    assert review_queue(laminae) == ("P02R", "P01R", "P01L", "P02L")


# Progress


def test_progress_counts_each_state_and_region():
    laminae = LaminaSet(laminae=[placed("T1L"), absent("T1R"), found("T7L", 0.5), found("L5R", 0.5), placed("L5L")])
    whole = progress(laminae)
    assert (whole.total, whole.placed, whole.absent, whole.unreviewed, whole.unset) == (34, 2, 1, 2, 29)
    assert whole.done == 3
    assert list(whole.by_region) == list(REGIONS)
    assert [(part.total, part.done, part.unreviewed) for part in whole.by_region.values()] == [
        (12, 2, 0),
        (12, 0, 1),
        (10, 1, 1),
    ]


def test_progress_of_other_numberings_counts_all_slots():
    whole = progress(LaminaSet(Numbering(13, 6)))
    assert whole.total == 38
    assert [part.total for part in whole.by_region.values()] == [12, 14, 12]


def test_progress_of_a_provisional_list_has_no_regions():
    whole = progress(LaminaSet.provisional([placed("P01L"), found("P02L", 0.5), found("P02R", 0.5)]))
    assert (whole.total, whole.placed, whole.unreviewed, whole.unset, whole.by_region) == (4, 1, 2, 1, {})


# Predicted places


@pytest.mark.parametrize("name", SLOTS)
def test_a_missing_lamina_of_a_straight_spine_is_found_between_its_neighbors(name):
    points = straight()
    # The side's own line is not quite straight, since the spine widens: that much is left. Beyond the last point the
    # spine is expected to bend as usual.
    tolerance = 6.0 if name[:-1] in ("T1", "L5") else 0.6
    assert predicted_position(without(points, name), name) == pytest.approx(points[name], abs=tolerance)


def test_a_partner_alone_is_mirrored_by_the_usual_width():
    laminae = named({"T6L": (-10.0, 5.0, 7.0)})
    assert predicted_position(laminae, "T6R") == pytest.approx((-10 + 2 * 8.6 * 0.91, 5, 7))


def test_a_single_point_is_followed_straight_down():
    # From T6 to T7: half of 17.4, the disc of 3.6 and half of 18.2 mm, at the usual scale.
    laminae = named({"T6L": (-10.0, 5.0, 7.0)})
    assert predicted_position(laminae, "T7L") == pytest.approx((-10, 5, 7 - 0.91 * 21.4))
    assert predicted_position(laminae, "T7R") == pytest.approx((-10 + 2 * 8.6 * 0.91, 5, 7 - 0.91 * 21.4))


def test_two_levels_of_a_side_give_the_scale():
    # T6 to T8 are 21.4 and 18.2 / 2 + 4 + 18.7 / 2 = 22.45 mm apart: T7 lies at the same share of 87.7 mm.
    laminae = named({"T6L": (0.0, 0.0, 0.0), "T8L": (0.0, 0.0, -87.7)})
    assert predicted_position(laminae, "T7L") == pytest.approx((0, 0, -87.7 * 21.4 / 43.85))


def test_a_side_without_points_is_the_other_one_mirrored():
    points = straight()
    laminae = named({name: point for name, point in points.items() if name.endswith("L")})
    for name in ("T1R", "T8R", "L5R"):
        # The width is the usual one on an adult's list; its own line leans a little where the spine widens.
        assert predicted_position(laminae, name) == pytest.approx(points[name], abs=1.5)


def test_one_point_of_a_side_carries_the_other_sides_curve_over():
    points = straight(origin=(0, 0, 0))
    left = {name: point for name, point in points.items() if name.endswith("L")}
    del left["T9L"]
    # The right side lies 5 mm further to the front than mirroring tells.
    laminae = named(left | {"T8R": points["T8R"] + [0, 5, 0]})
    assert predicted_position(laminae, "T9R") == pytest.approx(points["T9R"] + [0, 5, 0], abs=0.6)


def test_a_near_point_of_the_other_side_counts_more_than_a_far_one_of_the_same():
    points = straight()
    right = {name: point for name, point in points.items() if name.endswith("R") and name != "L3R"}
    laminae = named(right | {"T1L": points["T1L"] + [-20, 0, 0], "T2L": points["T2L"]})
    # The bent line through T1L and T2L would end far to the right at L3.
    assert abs(predicted_position(laminae, "L3L")[2] - points["L3L"][2]) < 1.0


def test_the_slots_own_position_does_not_count():
    points = straight()
    elsewhere = points | {"T6L": points["T6L"] + 50}
    assert predicted_position(named(elsewhere), "T6L") == predicted_position(without(points, "T6L"), "T6L")
    assert predicted_position(named({"T6L": (1, 2, 3)}), "T6L") is None


def test_without_points_the_levels_are_spread_over_the_box():
    box = [[-50, 30], [-100, 0], [-160, 240]]
    laminae = LaminaSet()
    assert predicted_position(laminae, "T6L") is None
    places = {name: np.array(predicted_position(laminae, name, box)) for name in SLOTS}
    scale = 400 / (stations(VERTEBRAE)[-1] + 14.1 / 2 + 22.9 / 2)
    assert places["T1L"] == pytest.approx([-10 - 10.8 * scale, -80, 240 - 14.1 / 2 * scale])
    assert places["L5R"] == pytest.approx([-10 + 13.5 * scale, -80, -160 + 22.9 / 2 * scale])
    assert all(a[2] > b[2] for a, b in zip(list(places.values())[::2], list(places.values())[2::2]))


def test_a_thin_box_has_its_laminae_in_the_middle():
    assert predicted_position(LaminaSet(), "T6L", [[-50, 50], [10, 30], [0, 400]])[1] == 20.0


@pytest.mark.parametrize("box", [np.zeros((2, 3)), np.full((3, 2), np.nan)])
def test_a_box_that_is_none_is_a_mistake(box):
    with pytest.raises(ValueError, match="box"):
        predicted_position(LaminaSet(), "T6L", box)


def test_a_slot_that_does_not_exist_is_refused():
    with pytest.raises(LaminaError, match="T13L") as caught:
        predicted_position(named(straight()), "T13L")
    assert_one_sentence(caught.value)


def test_provisional_pairs_are_equally_spaced():
    laminae = LaminaSet.from_positions({"P01L": (0, 0, 0), "P03L": (0, 0, -40)})
    assert predicted_position(laminae, "P02L") == pytest.approx((0, 0, -20))
    assert predicted_position(laminae, "P05L") == pytest.approx((0, 0, -80))
    # 2 x 10 mm at the scale of 20 / 22.
    assert predicted_position(laminae, "P03R") == pytest.approx((200 / 11, 0, -40))


def test_a_provisional_list_without_points_is_spread_over_the_box():
    first = predicted_position(LaminaSet.provisional(), "P01L", [[0, 10], [0, 100], [0, 340]])
    last = predicted_position(LaminaSet.provisional(), "P17L", [[0, 10], [0, 100], [0, 340]])
    assert (first[2], last[2]) == pytest.approx((330, 10))


turns = st.floats(-0.7, 0.7)
shifts = st.tuples(*[st.floats(-200, 200)] * 3)
scales = st.floats(0.5, 2.0)


@given(st.integers(0, 50), st.sets(st.sampled_from(SLOTS), min_size=1, max_size=20), turns, shifts, scales)
def test_a_prediction_moves_turns_and_grows_with_the_list(seed, gone, turn, shift, scale):
    points = curved(seed)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])

    def moved(point):
        return scale * rotation @ point + shift

    name = sorted(gone)[0]
    before = without(points, *gone)
    after = named({key: moved(point) for key, point in points.items() if key not in gone})
    if not before.complete_pairs():
        return  # the left-right direction is the patient's then
    assert predicted_position(after, name) == pytest.approx(moved(np.array(predicted_position(before, name))), abs=1e-6)


@given(st.integers(0, 50), st.sets(st.sampled_from(SLOTS), min_size=1, max_size=20))
def test_a_mirrored_list_has_the_mirrored_prediction(seed, gone):
    points = curved(seed)
    name = sorted(gone)[0]
    kept = {key: point for key, point in points.items() if key not in gone}
    mirrored = {opposite(key): point * [-1, 1, 1] for key, point in kept.items()}
    expected = np.array(predicted_position(named(kept), name)) * [-1, 1, 1]
    assert predicted_position(named(mirrored), opposite(name)) == pytest.approx(expected, abs=1e-6)


# Small moves


def matrices():
    """Rotated, anisotropic, left-handed volumes."""
    return st.tuples(
        st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(0.1, 3)] * 3), st.booleans(), shifts
    ).map(lambda drawn: matrix_of(*drawn))


def matrix_of(angles, spacing, flip, origin):
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [number for number in range(3) if number != axis]
        turn = np.eye(3)
        turn[[first, first, second, second], [first, second, first, second]] = [
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        ]
        rotation = rotation @ turn
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * spacing
    if flip:
        matrix[:3, 0] *= -1
    matrix[:3, 3] = origin
    return matrix


def test_a_nudge_goes_one_voxel_along_the_nearest_axis():
    # i runs to the left, j down, k to the front.
    matrix = np.array([[-0.5, 0, 0, 9], [0, 0, 2, 9], [0, -1, 0, 9], [0, 0, 0, 1]], float)
    assert nudged((1, 2, 3), (1, 0, 0), matrix) == (1.5, 2, 3)
    assert nudged((1, 2, 3), (-9, 1, 2), matrix) == (0.5, 2, 3)
    assert nudged((1, 2, 3), (0.1, 0.1, 0.2), matrix) == (1, 2, 4)
    assert nudged((1, 2, 3), (0, -1, 0), matrix) == (1, 0, 3)


@given(matrices(), shifts, st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_a_nudge_there_and_back_is_exact_and_one_voxel_long(matrix, position, direction):
    there = nudged(position, direction, matrix)
    step = np.linalg.inv(matrix[:3, :3]) @ np.subtract(there, position)
    assert np.sort(np.abs(step)) == pytest.approx([0, 0, 1], abs=1e-6)
    assert np.dot(np.subtract(there, position), direction) > 0
    assert nudged(there, -np.array(direction), matrix) == pytest.approx(position, abs=1e-9)


@pytest.mark.parametrize(
    ("direction", "matrix"),
    [((0, 0, 0), np.eye(4)), ((np.nan, 0, 0), np.eye(4)), ((1, 0, 0), np.diag([1.0, 0, 1, 1]))],
)
def test_a_nudge_without_direction_is_a_mistake(direction, matrix):
    with pytest.raises(ValueError, match="nudge"):
        nudged((0, 0, 0), direction, matrix)


# Renumbering


def test_this_pair_is_t12_moves_all_pairs_along():
    laminae = LaminaSet(laminae=[placed("T3L", 1, 1, 1), found("T11R", 0.4), absent("L1L")])
    moved = renumbered(laminae, "T11", "T12")
    assert moved["T4L"] == placed("T4L", 1, 1, 1)
    assert moved["T12R"] == found("T12R", 0.4)
    assert moved["L2L"] == absent("L2L")
    assert [name for name, lamina in moved.items() if lamina.review is not Review.unset] == ["T4L", "T12R", "L2L"]


def test_renumbering_keeps_the_numbering_and_crosses_its_own_border():
    laminae = LaminaSet(Numbering(13, 4), [placed("T12L")])
    assert list(renumbered(laminae, "T12", "L1").positions()) == ["L1L"]
    assert renumbered(laminae, "T12", "T13").numbering == Numbering(13, 4)


@pytest.mark.parametrize(
    ("name", "becomes", "words"),
    [("T1R", "T5", ("T1R", "above T1")), ("L5L", "T7", ("L5L", "below L5"))],
)
def test_a_lamina_that_would_fall_off_is_refused(name, becomes, words):
    laminae = LaminaSet(laminae=[placed("T6L"), placed(name)])
    with pytest.raises(LaminaError) as caught:
        renumbered(laminae, "T6", becomes)
    assert_one_sentence(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_absent_slots_fall_off_silently_and_the_free_end_is_unset():
    laminae = LaminaSet(laminae=[absent("T1L"), absent("T1R"), absent("T2L"), placed("T6L"), absent("L5R")])
    moved = renumbered(laminae, "T6", "T5")
    assert [name for name, lamina in moved.items() if lamina.review is Review.absent] == ["T1L", "L4R"]
    assert moved["L5R"].review is Review.unset


def test_provisional_pairs_are_counted_from_the_one_that_is_known():
    laminae = LaminaSet.provisional([placed("P01L", 1, 1, 1), placed("P03R", 3, 3, 3), found("P04L", 0.3)])
    moved = renumbered(laminae, "P03", "T12")
    assert not moved.is_provisional
    assert moved.numbering == Numbering()
    assert moved["T10L"].position == (1, 1, 1)
    assert moved["T12R"].position == (3, 3, 3)
    assert moved["L1L"] == found("L1L", 0.3)


def test_provisional_pairs_can_get_another_numbering():
    laminae = LaminaSet.provisional([placed("P01L"), placed("P02L")])
    assert list(renumbered(laminae, "P01", "T13", Numbering(13, 5)).positions()) == ["T13L", "L1L"]


def test_provisional_pairs_that_would_fall_off_are_refused():
    laminae = LaminaSet.provisional([placed("P01L"), placed("P03L")])
    with pytest.raises(LaminaError, match="P01L would lie above T1 if P03 were T2"):
        renumbered(laminae, "P03", "T2")


@pytest.mark.parametrize(("vertebra", "becomes"), [("T13", "T12"), ("P01", "T12"), ("T6", "T13"), ("T6", "P01")])
def test_renumbering_needs_vertebrae_that_exist(vertebra, becomes):
    with pytest.raises(LaminaError) as caught:
        renumbered(LaminaSet(laminae=[placed("T6L")]), vertebra, becomes)
    assert_one_sentence(caught.value)


@given(st.sets(st.sampled_from(SLOTS[8:26]), min_size=1), st.integers(-4, 4))
def test_renumbering_there_and_back_changes_nothing(names, shift):
    laminae = LaminaSet(laminae=[placed(name, number, 0, 0) for number, name in enumerate(sorted(names))])
    vertebra = split_name(min(names))[0]
    becomes = VERTEBRAE[VERTEBRAE.index(vertebra) + shift]
    assert renumbered(renumbered(laminae, vertebra, becomes), becomes, vertebra) == laminae


# Partial scans


def test_everything_outside_the_scans_range_is_absent():
    ranged = with_scan_range(LaminaSet(laminae=[placed("T6L")]), "T4", "L2")
    gone = [vertebra for vertebra, pair in ranged.pairs().items() if all(one.review is Review.absent for one in pair)]
    assert gone == ["T1", "T2", "T3", "L3", "L4", "L5"]
    assert ranged["T4R"].review is Review.unset
    assert ranged["T6L"] == placed("T6L")


def test_a_wider_range_takes_back_what_was_outside_but_not_what_a_person_saw():
    seen = LaminaSet(laminae=[absent("T6R"), absent("T7L"), absent("T7R")])
    narrow = with_scan_range(seen, "T5", "T8")
    assert with_scan_range(narrow, "T1", "L5") == seen
    assert with_scan_range(narrow, "T3", "T8")["T3L"].review is Review.unset
    assert with_scan_range(narrow, "T3", "T8")["T2R"].review is Review.absent


@pytest.mark.parametrize("lamina", [placed("L1R"), found("L1R", 0.9)])
def test_a_lamina_outside_the_range_is_refused(lamina):
    with pytest.raises(LaminaError, match="L1R has a position") as caught:
        with_scan_range(LaminaSet(laminae=[lamina]), "T1", "T12")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("laminae", "first", "last"),
    [
        (LaminaSet(), "T6", "T5"),
        (LaminaSet(), "T13", "L5"),
        (LaminaSet(), "T1", "S1"),
        (LaminaSet.provisional([placed("P01L")]), "T1", "L5"),
    ],
)
def test_a_range_that_is_none_is_refused(laminae, first, last):
    with pytest.raises(LaminaError) as caught:
        with_scan_range(laminae, first, last)
    assert_one_sentence(caught.value)


@given(st.integers(0, 16), st.integers(0, 16), st.integers(0, 16), st.integers(0, 16))
def test_the_last_range_counts(a, b, c, d):
    first, second = sorted((a, b)), sorted((c, d))
    twice = with_scan_range(LaminaSet(), *(VERTEBRAE[index] for index in first))
    twice = with_scan_range(twice, *(VERTEBRAE[index] for index in second))
    assert twice == with_scan_range(LaminaSet(), *(VERTEBRAE[index] for index in second))


@pytest.mark.parametrize(
    "module", ["guidance", "prediction", "proportions", "renumbering", "checks", "spacing", "spine_curve", "snapping"]
)
def test_the_files_load_without_anything_heavy(module):
    heavy = ["vtk", "slicer", "qt", "SimpleITK", "scipy", "LaminaSegmentationLib"]
    code = f"import sys, LaminaLabelingLib.{module}; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
