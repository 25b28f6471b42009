import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.two_rows import _clashes, _Fit, _moves, _nearest_distance, _precision, rows_of_sides, split_rows
from LaminaSegmentationLib.simulation import STYLES
from LaminaSegmentationLib.simulation.anatomy import draw_spine

MANY = settings(max_examples=60, deadline=None)
LEVELS = 17
RIGHT = np.tile([False, True], LEVELS)


@st.composite
def spines(draw, error=1.0):
    """Coordinates across and down, shape (34, 2): levels 20 mm apart down a winding midline, rows 9 mm beside it."""
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    amplitude, phase = draw(st.sampled_from([0.0, 12.0, 20.0])), rng.uniform(0, 2 * np.pi)
    down = np.repeat(20.0 * np.arange(LEVELS), 2)
    across = amplitude * np.sin(down / 50.0 + phase) + np.where(RIGHT, 9.0, -9.0)
    return np.stack([across, down], axis=1) + rng.uniform(-error, error, (2 * LEVELS, 2))


def subsets(least):
    """Slots that are kept, at least so many."""
    return st.sets(st.integers(0, 2 * LEVELS - 1), min_size=least).map(sorted)


def simulated(seed):
    """Coordinates across and down of the laminae of a simulated spine, shape (34, 2)."""
    spine = draw_spine(np.random.default_rng(seed), next(iter(STYLES.values())))
    points = [v.point(0.0, sign * v.lamina_offset, 0.0) for v in spine.vertebrae for sign in (-1, 1)]
    return np.array(points)[:, [1, 0]]


def assert_same(first, second):
    assert (first is None) == (second is None)
    if first is not None:
        np.testing.assert_array_equal(first.right, second.right)
        np.testing.assert_array_equal(first.doubtful, second.doubtful)


@MANY
@given(spines())
def test_a_complete_spine_is_divided_without_a_doubt(points):
    rows = split_rows(*points.T)
    np.testing.assert_array_equal(rows.right, RIGHT)
    assert not rows.doubtful.any()


@MANY
@given(spines(), st.sets(st.integers(0, 2 * LEVELS - 1), max_size=5))
def test_up_to_five_may_be_missing(points, missing):
    kept = [slot for slot in range(2 * LEVELS) if slot not in missing]
    rows = split_rows(*points[kept].T)
    wrong = rows.right != RIGHT[kept]
    assert not (wrong & ~rows.doubtful).any()


@pytest.mark.parametrize("missing", [[], [33], [0, 2, 4], [1, 3, 5], [29, 31, 33], [0, 2, 4, 6, 8, 10]])
@pytest.mark.parametrize("seed", range(10))
def test_simulated_spines_are_divided_rightly_whatever_is_missing_at_an_end(seed, missing):
    points, right = np.delete(simulated(seed), missing, axis=0), np.delete(RIGHT, missing)
    np.testing.assert_array_equal(split_rows(*points.T).right, right)


@MANY
@given(spines(), subsets(0))
def test_mirrored_points_have_mirrored_sides(points, kept):
    across, down = points[kept].T
    rows, mirrored = split_rows(across, down), split_rows(-across, down)
    assert (rows is None) == (mirrored is None)
    if rows is not None:
        np.testing.assert_array_equal(mirrored.right, ~rows.right)
        np.testing.assert_array_equal(mirrored.doubtful, rows.doubtful)


@MANY
@given(spines(), subsets(0), st.floats(0.01, 100.0), st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
def test_unit_and_origin_make_no_difference(points, kept, unit, origin):
    points = points[kept]
    assert_same(split_rows(*((points + origin) * unit).T), split_rows(*points.T))


@MANY
@given(spines(), subsets(10), st.randoms(use_true_random=False))
def test_the_order_of_the_points_makes_no_difference(points, kept, random):
    points, order = points[kept], list(range(len(kept)))
    random.shuffle(order)
    rows, shuffled = split_rows(*points.T), split_rows(*points[order].T)
    assert (rows is None) == (shuffled is None)
    if rows is not None:
        np.testing.assert_array_equal(shuffled.right, rows.right[order])


@MANY
@given(spines(), st.sampled_from([0, 1]), st.sets(st.integers(0, LEVELS - 1)).map(sorted))
def test_one_side_alone_is_no_two_rows(points, side, levels):
    assert split_rows(*points[side::2][levels].T) is None


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        np.zeros((1, 2)),
        np.full((4, 2), 7.0),
        np.array([[0.0, 0.0], [2.0, 20.0]]),
        np.array([[0.0, 0.0], [20.0, 200.0]]),
    ],
)
def test_points_that_say_nothing_about_sides_are_no_two_rows(points):
    assert split_rows(*points.T) is None


def test_one_pair_is_two_rows():
    rows = split_rows(np.array([110.0, 92.0]), np.array([41.0, 38.0]))
    assert (rows.right.tolist(), rows.doubtful.tolist()) == ([True, False], [False, False])


def test_only_a_point_on_the_midline_far_from_the_others_is_in_doubt():
    down = np.array([0.0, 0.0, 20.0, 20.0, 40.0, 40.0, 60.0, 60.0, 160.0])
    across = np.array([-9.0, 9.0, -9.0, 9.0, -9.0, 9.0, -9.0, 9.0, 0.1])
    rows = split_rows(across, down)
    assert rows.doubtful.tolist() == [False] * 8 + [True]
    assert rows.right[:8].tolist() == [False, True] * 4


@pytest.mark.parametrize("degrees", [-30.0, 0.0, 10.0, 30.0])
def test_two_of_a_level_lie_at_one_place_along_a_tilted_spine(degrees):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    down = np.repeat(20.0 * np.arange(8), 2)
    points = np.stack([np.tile([-9.0, 9.0], 8), down], axis=1) @ turn
    rows = split_rows(*points.T)
    assert np.abs(points[1::2, 1] - points[::2, 1]).max() == pytest.approx(18.0 * abs(np.sin(angle)))
    assert np.abs(rows.along[1::2] - rows.along[::2]).max() < 3.0
    assert rows.width == pytest.approx(18.0, rel=0.2)
    # Downwards, and in the coordinate down of the caller.
    assert np.abs(rows.along[::2] + rows.along[1::2] - points[::2, 1] - points[1::2, 1]).max() < 1.0


def test_ways_that_fit_nearly_as_well_are_told():
    # The third point may lie on either side.
    rows = split_rows(np.array([14.0, 33.0, 19.0]), np.array([109.0, 127.0, 150.0]))
    assert rows.right.tolist() == [False, True, True]
    assert [False, True, False] in [other.right.tolist() for other in rows.others]
    down = np.repeat(20.0 * np.arange(8), 2)
    assert split_rows(np.tile([-9.0, 9.0], 8), down).others == ()


@MANY
@given(spines(), subsets(1))
def test_true_sides_are_not_contradicted_and_kept(points, kept):
    rows = rows_of_sides(*points[kept].T, RIGHT[kept])
    np.testing.assert_array_equal(rows.right, RIGHT[kept])
    assert not rows.doubtful.any() and rows.others == ()


@MANY
@given(spines(), st.sets(st.integers(0, 2 * LEVELS - 1), min_size=1, max_size=12).map(sorted))
def test_wrong_sides_in_a_complete_spine_are_contradicted(points, wrong):
    sides = RIGHT.copy()
    sides[wrong] = ~sides[wrong]
    assert rows_of_sides(*points.T, sides) is None
    assert rows_of_sides(*points.T, ~RIGHT) is None


def test_a_point_alone_lies_where_it_lies():
    rows = rows_of_sides(np.array([3.0]), np.array([70.0]), np.array([True]))
    assert (rows.right.tolist(), rows.along.tolist(), rows.width) == ([True], [70.0], 0.0)
    assert rows_of_sides(np.zeros(0), np.zeros(0), np.zeros(0, bool)).along.shape == (0,)


def fit_of(points):
    across, down = ((points - points.mean(axis=0)) / _nearest_distance(*points.T)).T
    return _Fit(across, _precision(down), _clashes(down))


@settings(max_examples=15, deadline=None)
@given(spines(error=3.0), st.integers(0, 24), st.data())
def test_no_way_of_giving_sides_fits_better_than_the_one_that_is_found(points, first, data):
    chosen = data.draw(st.sets(st.integers(first, first + 9), min_size=5).map(sorted))
    points = points[chosen]
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=len(points))))
    misfits = fit_of(points).misfits(every)
    rows = split_rows(*points.T)
    if rows is not None:
        np.testing.assert_array_equal(rows.right, every[misfits.argmin()] > 0)


def test_the_misfit_is_that_of_the_best_half_width():
    across, precision = np.array([-0.6, 0.4, -0.5, 0.7]), np.diag([50.0, 50.0, 40.0, 40.0])
    clashes = np.zeros((4, 4))
    clashes[0, 2] = clashes[2, 0] = 3.0
    sides = np.array([[-1.0, 1.0, -1.0, 1.0], [-1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]])
    found = _Fit(across, precision, clashes).misfits(sides)
    widths = np.linspace(0.0, 1.0, 100001)
    for side, misfit, clash in zip(sides, found, (3.0, 0.0, 3.0)):
        off = across - widths[:, None] * side
        whole = (off**2 @ np.diag(precision)) + ((widths - 0.5) / 0.1) ** 2
        assert misfit == pytest.approx(whole.min() + clash, abs=1e-6)


def test_the_place_of_a_row_across_costs_nothing_and_a_bend_does():
    precision = _precision(np.arange(6.0))
    np.testing.assert_allclose(precision @ np.ones(6), 0.0, atol=1e-9)
    straight, zigzag = np.arange(6.0) / 10, np.array([0.5, -0.5] * 3)
    assert straight @ precision @ straight < 2.0
    assert zigzag @ precision @ zigzag > 40.0


def test_clashes_are_between_points_at_one_height():
    np.testing.assert_allclose(
        _clashes(np.array([0.0, 0.0, 0.275, 1.0])), [[0, 20, 10, 0], [20, 0, 10, 0], [10, 10, 0, 0], [0] * 4]
    )


def test_moves_are_runs_in_height_and_exchanges():
    moves = _moves(np.array([2.0, 0.0, 1.0]))
    flipped = {tuple(np.flatnonzero(move < 0)) for move in moves}
    assert flipped == {(0,), (1,), (2,), (1, 2), (0, 2), (0, 1, 2), (0, 1)}
