import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.rater_statistics import bland_altman_of, icc_2_1, mean, percentile, standard_deviation

# Six targets and four judges: Shrout and Fleiss 1979, table 2.
SHROUT_AND_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
RATINGS = st.lists(st.tuples(*[st.integers(-50, 50)] * 3), min_size=3, max_size=12).filter(
    lambda rows: np.ptp(np.mean(rows, axis=1)) > 0
)


def test_the_worked_example_of_shrout_and_fleiss():
    assert round(icc_2_1(SHROUT_AND_FLEISS), 2) == 0.29
    # From the mean squares of their table 3: 11.24, 32.49 and 1.02.
    assert icc_2_1(SHROUT_AND_FLEISS) == pytest.approx(
        (11.24 - 1.02) / (11.24 + 3 * 1.02 + 4 * (32.49 - 1.02) / 6), 0.002
    )


def test_an_example_by_hand():
    # Mean squares 4 between subjects, 1 between raters, 0 of the residuals: 4 / (4 + 2 * 1 / 2).
    assert icc_2_1([[1, 2], [3, 4]]) == pytest.approx(0.8)


def test_raters_who_say_the_same_agree_completely():
    assert icc_2_1([[1, 1], [5, 5], [-3, -3]]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "ratings",
    [
        np.zeros((0, 2)),
        [[1, 2]],
        [[1], [2], [3]],
        [[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]],
        [[0, 1], [1, 0]],
        [[1, 2], [np.nan, 4]],
    ],
)
def test_what_cannot_be_told_is_nan_without_a_warning(ratings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(icc_2_1(ratings))


def test_rows_that_are_not_complete_are_left_out():
    assert icc_2_1([[1, 2], [np.nan, 7], [3, 4]]) == pytest.approx(0.8)


def test_ratings_need_two_axes():
    with pytest.raises(ValueError, match="shape"):
        icc_2_1([1, 2, 3])


@settings(max_examples=60, deadline=None)
@given(RATINGS, st.integers(-1000, 1000), st.integers(1, 100), st.randoms())
def test_the_correlation_ignores_order_origin_and_unit(rows, shift, scale, random):
    expected = icc_2_1(rows)
    shuffled = random.sample(range(3), 3)
    changed = scale * np.array(rows)[:, shuffled] + shift
    assert icc_2_1(changed[::-1]) == pytest.approx(expected, abs=1e-9)
    assert expected <= 1 + 1e-9


@settings(max_examples=40, deadline=None)
@given(RATINGS, st.integers(1, 50))
def test_a_rater_who_measures_more_than_the_other_agrees_less(rows, offset):
    first = np.array(rows)[:, :1]
    if np.ptp(first) == 0:
        first = first + np.arange(len(first))[:, None]
    assert icc_2_1(np.hstack([first, first + offset])) < icc_2_1(np.hstack([first, first])) - 1e-6


def test_bland_altman_by_hand():
    result = bland_altman_of(["a", "b", "c"], [[1, 2], [4, 4], [10, 12]])
    np.testing.assert_array_equal(result.means, [1.5, 4, 11])
    np.testing.assert_array_equal(result.differences, [1, 0, 2])
    assert (result.names, result.bias, result.sd) == (("a", "b", "c"), 1.0, 1.0)
    assert (result.lower, result.upper) == pytest.approx((-0.96, 2.96))


@pytest.mark.parametrize("count", [0, 1])
def test_bland_altman_of_too_little_is_nan_without_a_warning(count):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = bland_altman_of(["a"][:count], np.array([[1.0, 3.0]])[:count])
    assert len(result.differences) == len(result.means) == count
    assert math.isnan(result.sd) and math.isnan(result.lower) and math.isnan(result.upper)
    assert result.bias == 2.0 if count else math.isnan(result.bias)


def test_figures_of_nothing_are_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = np.array([])
        values = [mean(nothing), standard_deviation(nothing), percentile(nothing, 95), standard_deviation(np.ones(1))]
    assert all(math.isnan(value) for value in values)
    assert (mean(np.array([1, 3])), standard_deviation(np.array([1, 3]))) == (2.0, pytest.approx(math.sqrt(2)))
    assert percentile(np.arange(21.0), 95) == 19.0
