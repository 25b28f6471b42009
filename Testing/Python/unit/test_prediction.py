"""Where an empty slot probably is, told by the other laminae."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_spines import curved, named, straight, without
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import SLOTS, VERTEBRAE, opposite
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.guidance import (
    predicted_position,
)
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.proportions import stations

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
