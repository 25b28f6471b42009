import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from LaminaLabelingLib.matching import match_points

coordinates = st.floats(-50, 50, allow_nan=False, width=32)


def test_crossed_points_are_matched_for_the_least_total_distance():
    first = [[0, 0, 0], [4, 0, 0]]
    second = [[3, 0, 0], [-1, 0, 0]]
    matching = match_points(first, second, gate=5.0)
    assert matching.pairs.tolist() == [[0, 1], [1, 0]]
    assert matching.distances.tolist() == [1.0, 1.0]


def test_more_pairs_come_before_shorter_distances():
    # Greedy matching would pair 0 with 0 at 1 mm and leave the others 9 mm apart.
    first = [[0, 0, 0], [4, 0, 0]]
    second = [[1, 0, 0], [-4, 0, 0]]
    matching = match_points(first, second, gate=5.0)
    assert len(matching.pairs) == 2
    assert matching.distances.tolist() == [4.0, 3.0]


def test_the_gate_is_inclusive_and_leaves_the_rest_unmatched():
    matching = match_points([[0, 0, 0], [0, 20, 0]], [[5, 0, 0], [0, 40, 0], [0, 50, 0]], gate=5.0)
    assert matching.pairs.tolist() == [[0, 0]]
    assert matching.unmatched_first.tolist() == [1]
    assert matching.unmatched_second.tolist() == [1, 2]


@pytest.mark.parametrize(("first", "second"), [([], []), ([[0, 0, 0]], []), ([], [[0, 0, 0]])])
def test_empty_sets_have_no_pairs(first, second):
    matching = match_points(first, second, gate=5.0)
    assert len(matching.pairs) == 0
    assert len(matching.unmatched_first) == len(first)
    assert len(matching.unmatched_second) == len(second)


@given(
    arrays(float, st.tuples(st.integers(0, 6), st.just(3)), elements=coordinates),
    arrays(float, st.tuples(st.integers(0, 6), st.just(3)), elements=coordinates),
    st.floats(0.1, 60),
)
def test_each_point_is_used_once_and_swapping_the_sets_changes_nothing(first, second, gate):
    matching = match_points(first, second, gate)
    for axis in (0, 1):
        assert len(set(matching.pairs[:, axis])) == len(matching.pairs)
    assert (matching.distances <= gate).all()
    assert len(matching.pairs) + len(matching.unmatched_first) == len(first)
    swapped = match_points(second, first, gate)
    assert len(swapped.pairs) == len(matching.pairs)
    assert np.isclose(swapped.distances.sum(), matching.distances.sum())


def test_of_equally_good_matchings_the_order_of_the_points_does_not_choose():
    first, second = np.array([[0.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]]), np.array([[1.0, 0, 0], [3.0, 0, 0]])
    places = set()
    for one in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        for other in ([0, 1], [1, 0]):
            pairs = match_points(first[one], second[other], 5.0).pairs
            assert pairs[:, 0].tolist() == sorted(pairs[:, 0])
            places.add(frozenset((one[a], other[b]) for a, b in pairs))
    assert len(places) == 1
