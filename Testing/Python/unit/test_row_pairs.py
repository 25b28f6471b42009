from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.row_pairs import APART, LONE_APART, pair_rows
from LaminaLabelingLib.two_rows import TwoRows, split_rows
from LaminaSegmentationLib.simulation import STYLES
from LaminaSegmentationLib.simulation.anatomy import draw_spine


def rows(left, right, width=20.0):
    """Rows with the given places along the spine: the left points come first."""
    sides = np.repeat([False, True], [len(left), len(right)])
    return TwoRows(sides, np.zeros(len(sides), bool), np.array([*left, *right], float), width)


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [
        ([], [], []),
        ([0], [], [(0, None)]),
        ([], [0], [(None, 0)]),
        ([0, 20, 40], [1, 21, 41], [(0, 3), (1, 4), (2, 5)]),
        ([0, 40], [1, 21, 41], [(0, 2), (None, 3), (1, 4)]),
        ([20, 40], [1, 21, 41], [(None, 2), (0, 3), (1, 4)]),
        ([0, 20], [1, 21, 41], [(0, 2), (1, 3), (None, 4)]),
        ([0, 20], [10, 30], [(0, None), (None, 2), (1, None), (None, 3)]),
        # The nearer one of two on the other side.
        ([20], [15, 22], [(None, 1), (0, 2)]),
        # As near as all together can be: two pairs of 3, not one of 1.
        ([0, 4], [3, 7], [(0, 2), (1, 3)]),
        ([40, 0], [41, 1], [(1, 3), (0, 2)]),
    ],
)
def test_rows_are_paired_by_height_from_the_top_down(left, right, pairs):
    assert pair_rows(rows(left, right)) == pairs


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [
        # 20 wide: 7 at most, with another one less than 50 away, else 5.
        ([0, 49], [6.9], [(0, 2), (1, None)]),
        ([0, 49], [7.1], [(0, None), (None, 2), (1, None)]),
        ([0], [4.9], [(0, 1)]),
        ([0], [5.1], [(0, None), (None, 1)]),
        ([0, 60], [5.1], [(0, None), (None, 2), (1, None)]),
    ],
)
def test_a_pair_is_at_most_a_share_of_the_width_apart(left, right, pairs):
    assert (APART, LONE_APART) == (0.35, 0.25)
    assert pair_rows(rows(left, right)) == pairs


def test_a_pair_that_another_way_of_giving_sides_does_not_confirm_is_left_apart():
    best = rows([0, 20], [1, 21])
    # There the last two points are on one side; the first two are a pair still, with sides exchanged.
    other = replace(best, right=np.array([True, True, False, True]))
    assert pair_rows(best) == [(0, 2), (1, 3)]
    assert pair_rows(replace(best, others=(other,))) == [(0, 2), (1, None), (None, 3)]
    assert pair_rows(replace(best, others=(replace(best, right=~best.right),))) == [(0, 2), (1, 3)]


@given(st.lists(st.integers(0, 400), unique=True), st.lists(st.integers(0, 400), unique=True))
def test_each_point_is_in_one_pair_and_the_pairs_run_down_either_side(left, right):
    given_rows = rows(left, right)
    pairs = pair_rows(given_rows)
    for side, points in enumerate(zip(*pairs)):
        mine = [point for point in points if point is not None]
        assert sorted(mine) == np.flatnonzero(given_rows.right == bool(side)).tolist()
        assert (np.diff(given_rows.along[mine]) > 0).all()


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.sets(st.integers(0, 33)).map(sorted), st.sampled_from(sorted(STYLES)))
def test_pairs_of_a_simulated_spine_are_never_of_two_levels(seed, kept, style):
    spine = draw_spine(np.random.default_rng(seed), STYLES[style])
    points = np.array([v.point(0.0, sign * v.lamina_offset, 0.0) for v in spine.vertebrae for sign in (-1, 1)])
    found = split_rows(*points[kept][:, [1, 0]].T)
    if found is not None:
        levels = [{kept[point] // 2 for point in pair if point is not None} for pair in pair_rows(found)]
        assert all(len(level) == 1 for level in levels)


@pytest.mark.parametrize("missing", [[4], [4, 5], [0, 2], [5, 31, 32]])
@pytest.mark.parametrize("seed", range(10))
def test_nearly_whole_simulated_spines_are_paired(seed, missing):
    spine = draw_spine(np.random.default_rng(seed), next(iter(STYLES.values())))
    points = np.array([v.point(0.0, sign * v.lamina_offset, 0.0) for v in spine.vertebrae for sign in (-1, 1)])
    kept = [slot for slot in range(34) if slot not in missing]
    pairs = pair_rows(split_rows(*points[kept][:, [1, 0]].T))
    found = [tuple(None if point is None else kept[point] for point in pair) for pair in pairs]
    expected = [tuple(None if slot in missing else slot for slot in (2 * n, 2 * n + 1)) for n in range(17)]
    assert found == [pair for pair in expected if pair != (None, None)]
