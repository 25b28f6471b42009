import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_spines import absent, found, placed

from LaminaLabelingLib.anatomy import REGIONS, SLOTS, VERTEBRAE, Numbering
from LaminaLabelingLib.guidance import (
    ORDERS,
    next_to_place,
    next_to_review,
    nudged,
    order_of,
    order_text,
    progress,
    review_queue,
)
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

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


# Small moves

shifts = st.tuples(*[st.floats(-200, 200)] * 3)


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


@pytest.mark.parametrize(
    "module", ["guidance", "prediction", "proportions", "renumbering", "checks", "spacing", "spine_curve", "snapping"]
)
def test_the_files_load_without_anything_heavy(module):
    heavy = ["vtk", "slicer", "qt", "SimpleITK", "scipy", "LaminaSegmentationLib"]
    code = f"import sys, LaminaLabelingLib.{module}; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
