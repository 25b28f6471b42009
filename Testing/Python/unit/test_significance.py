"""The paired tests, against values worked out by hand and against SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from LaminaSegmentationLib.significance import bootstrap_interval, compare_pairs, holm


def test_the_t_test_is_the_one_worked_out_by_hand():
    # Gains 1, 2, 3: mean 2, deviation 1, t = 2 / (1 / sqrt 3). With two degrees of freedom the upper tail is
    # 1/2 - t / (2 sqrt(2 + t^2)), and t^2 = 12.
    result = compare_pairs([10.0, 10.0, 10.0], [11.0, 12.0, 13.0], "lower")
    assert result.t == pytest.approx(2 * math.sqrt(3))
    assert result.p_t == pytest.approx(0.5 - math.sqrt(12) / (2 * math.sqrt(14)))
    assert result.difference == -2.0
    assert (result.n, result.wins, result.ties, result.losses) == (3, 3, 0, 0)


def test_one_tail_asks_whether_the_first_is_better():
    better, worse = ([1.0, 2.0, 4.0], [2.0, 4.0, 5.0])
    assert compare_pairs(better, worse, "lower").p_t < 0.5 < compare_pairs(worse, better, "lower").p_t
    assert compare_pairs(worse, better, "higher").p_t == compare_pairs(better, worse, "lower").p_t
    assert compare_pairs(better, worse, "lower").p_t + compare_pairs(worse, better, "lower").p_t == pytest.approx(1)


@pytest.mark.parametrize(
    "gains, expected",
    [
        ([1.0, 2.0, 3.0], 1 / 8),  # only all three positive reach a rank sum of 6
        ([-1.0, 2.0, 3.0], 2 / 8),  # 5 or 6
        ([1.0, -2.0, 3.0], 3 / 8),  # 4, 5 or 6
        ([-1.0, -2.0, -3.0], 1.0),
        ([1.0, 1.0], 1 / 4),  # tied ranks 1.5 and 1.5
        ([-1.0, 1.0], 3 / 4),  # 1.5 or 3
        ([0.0, 1.0, 2.0], 1 / 4),  # the zero is dropped
    ],
)
def test_the_signed_rank_test_counts_signs(gains, expected):
    assert compare_pairs(gains, np.zeros(len(gains)), "higher").p_wilcoxon == pytest.approx(expected)


@given(st.lists(st.integers(-500, 500).filter(bool), min_size=5, max_size=30, unique_by=abs))
def test_without_ties_both_tests_agree_with_scipy(gains):
    gains = np.array(gains, float)
    result = compare_pairs(gains, np.zeros(len(gains)), "higher")
    assert result.p_wilcoxon == pytest.approx(stats.wilcoxon(gains, alternative="greater", method="exact").pvalue)
    assert result.p_t == pytest.approx(stats.ttest_1samp(gains, 0.0, alternative="greater").pvalue)


def test_many_pairs_take_the_normal_distribution():
    gains = np.random.default_rng(0).normal(0.1, 1.0, 400)
    result = compare_pairs(gains, np.zeros(400), "higher")
    expected = stats.wilcoxon(gains, alternative="greater", method="approx", correction=True).pvalue
    assert result.p_wilcoxon == pytest.approx(expected, rel=1e-2)


def test_nothing_can_be_said_of_differences_that_are_all_zero():
    result = compare_pairs([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "lower")
    assert (result.t, result.p_t, result.p_wilcoxon) == (None, None, None)
    assert (result.difference, result.interval, result.ties) == (0.0, (0.0, 0.0), 3)
    assert "all differences are zero: nothing can be tested" in result.notes


def test_equal_differences_have_no_t_but_a_sign():
    result = compare_pairs([0.1, 0.2, 0.3, 0.4, 0.5], [1.1, 1.2, 1.3, 1.4, 1.5], "lower")
    assert result.p_t is None
    assert result.p_wilcoxon == pytest.approx(1 / 32)
    assert "all differences are equal: a t-test cannot be made" in result.notes


def test_too_few_pairs_are_told():
    assert "a t-test needs two pairs or more" in compare_pairs([1.0], [2.0], "lower").notes
    assert "with 4 differences other than zero the signed rank test cannot give less than 0.0625" in (
        compare_pairs([1.0, 2, 3, 4], [2.0, 4, 6, 8], "lower").notes
    )
    assert compare_pairs([1.0, 2, 3, 4, 5], [2.0, 4, 6, 8, 10], "lower").notes == ()
    nothing = compare_pairs([math.nan], [1.0], "lower")
    assert (nothing.n, nothing.difference, nothing.interval, nothing.p_wilcoxon) == (0, None, None, None)


def test_scans_without_a_value_are_left_out_and_counted():
    result = compare_pairs([1.0, math.nan, 3.0, 5.0], [2.0, 1.0, 5.0, math.nan], "lower")
    assert (result.n, result.difference) == (2, -1.5)
    assert "2 of 4 scans have no value and are left out" in result.notes


def test_pairs_must_fit():
    with pytest.raises(ValueError, match="same length"):
        compare_pairs([1.0], [1.0, 2.0], "lower")
    with pytest.raises(ValueError, match="lower"):
        compare_pairs([1.0], [1.0], "smaller")


def test_the_interval_of_two_values_is_their_range():
    # Resampled means are 0, 1/2 and 1 with chances 1/4, 1/2, 1/4: both tails of 2.5 % lie at the ends.
    assert bootstrap_interval([0.0, 1.0]) == (0.0, 1.0)
    assert bootstrap_interval([0.0, 1.0], confidence=0.4) == (0.5, 0.5)


def test_the_interval_is_about_as_wide_as_theory_says():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    error = values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert bootstrap_interval(values) == (low, high)


def test_holm_multiplies_the_smallest_most():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.5, "b": 0.6}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": None, "b": 0.02}) == {"a": None, "b": 0.02}
    assert holm({}) == {}
