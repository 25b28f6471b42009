import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.scan_bounds import distance_outside, turn_round
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
