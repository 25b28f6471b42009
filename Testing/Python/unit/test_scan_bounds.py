import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.scan_bounds import (
    distance_outside,
    half_turn_explains,
    reversed_pairs,
    turn_round,
    turned_inside,
)
from LaminaLabelingLib.volumes import Volume

# IRA voxels of 2 x 1 x 0.5 mm; the first one is centered at RAS (10, 20, 30).
MATRIX = np.array([[0, 1, 0, 10], [0, 0, 0.5, 20], [-2, 0, 0, 30], [0, 0, 0, 1]])
VOLUME = Volume(np.zeros((40, 30, 20), np.uint8), MATRIX)


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((10, 20, 30), 0.0),
        ((9.5, 19.75, 31), 0.0),  # the outer corner of the first voxel
        ((39.5, 29.75, -49), 0.0),  # that of the last one
        ((9, 20, 30), 0.5),
        ((10, 20, 33), 2.0),
        ((42.5, 33.75, 30), 5.0),
    ],
)
def test_the_distance_is_measured_in_mm_from_the_edge_of_the_voxels(point, distance):
    assert distance_outside([point], VOLUME) == pytest.approx([distance])


def test_there_may_be_no_points():
    assert distance_outside([], VOLUME).shape == (0,)


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-100, 100)] * 3))
def test_half_a_turn_twice_is_none_and_keeps_the_height(point):
    turned = turn_round(point)
    assert tuple(turned) == (-point[0], -point[1], point[2])
    assert tuple(turn_round(turned)) == point


# Voxels of 1 mm from RAS -16 to 16, in which a half turn leads from voxel to voxel; right is the second axis.
CENTERED = Volume(
    np.zeros((33, 33, 33), np.uint8), np.array([[0, 1, 0, -16], [0, 0, 1, -16], [-1, 0, 0, 16], [0, 0, 0, 1.0]])
)


def some_pairs(count, exchanged):
    """Return pairs of which so many have their left point on the right."""
    levels = [[[-5.0, 2.0, 3.0 * level], [5.0, 2.0, 3.0 * level]] for level in range(count)]
    pairs = np.array(levels).reshape(-1, 2, 3)
    pairs[:exchanged] = pairs[:exchanged, ::-1]
    return pairs


@pytest.mark.parametrize(("count", "exchanged"), [(0, 0), (3, 0), (3, 2), (5, 5)])
def test_exchanged_pairs_are_counted_in_the_scans_own_directions(count, exchanged):
    pairs = some_pairs(count, exchanged)
    assert reversed_pairs(pairs, CENTERED) == exchanged
    mirrored = CENTERED.with_array(CENTERED.array, np.diag([-1.0, 1.0, 1.0, 1.0]) @ CENTERED.matrix)
    assert reversed_pairs(pairs, mirrored) == count - exchanged


@pytest.mark.parametrize(
    ("count", "exchanged", "explained"),
    [(5, 5, True), (5, 4, True), (5, 3, False), (4, 4, True), (4, 3, False), (3, 3, False), (0, 0, False)],
)
def test_a_half_turn_explains_nearly_all_of_several_pairs(count, exchanged, explained):
    pairs = some_pairs(count, exchanged)
    assert half_turn_explains(pairs.reshape(-1, 3), pairs, CENTERED) is explained


@pytest.mark.parametrize(("outside", "inside"), [(1, True), (2, False)])
def test_a_half_turn_explains_nothing_if_it_leads_out_of_the_scan(outside, inside):
    pairs = some_pairs(5, 5)
    points = pairs.reshape(-1, 3).copy()
    points[:outside, 0] = 22.0
    assert turned_inside(points, CENTERED) is inside
    assert half_turn_explains(points, pairs, CENTERED) is inside


def test_a_half_turn_explains_nothing_if_it_leaves_left_and_right_as_they_are():
    # The right of this scan is up in its world, which a half turn does not change.
    matrix = np.array([[1, 0, 0, -16], [0, 0, 1, -16], [0, 1, 0, -16], [0, 0, 0, 1.0]])
    volume = CENTERED.with_array(CENTERED.array, matrix)
    pairs = np.array([[[3.0 * level, 0.0, 5.0], [3.0 * level, 0.0, -5.0]] for level in range(5)])
    assert reversed_pairs(pairs, volume) == 5
    assert turned_inside(pairs.reshape(-1, 3), volume)
    assert not half_turn_explains(pairs.reshape(-1, 3), pairs, volume)
