"""Means and deviations of figures over scans, by hand."""

import math

import pytest

from LaminaSegmentationLib.metrics import CaseScore, summarize

NAN = math.nan


def score_of(name, values, by_region=None):
    return CaseScore(name, values, {"T1-T6": by_region or {}, "T7-T12": {}, "L1-L5": {}})


def test_a_summary_is_mean_and_sample_deviation_of_what_is_defined():
    scores = [
        score_of("a", {"dice": 0.2, "mean_error_mm": NAN}, {"dice": 0.5}),
        score_of("b", {"dice": 0.4, "mean_error_mm": 3.0}, {"dice": NAN}),
        score_of("c", {"dice": 0.9, "mean_error_mm": NAN}, {"dice": 0.7}),
    ]
    summary = summarize(scores)
    # Squared deviations from 0.5: 0.09 + 0.01 + 0.16, divided by 2.
    assert summary["dice"]["mean"] == 0.5
    assert summary["dice"]["std"] == pytest.approx(math.sqrt(0.13), abs=1e-6)
    assert summary["dice"]["n"] == 3
    assert summary["dice"]["by_region"] == {"T1-T6": {"mean": 0.6, "std": pytest.approx(0.141421), "n": 2}}
    assert summary["mean_error_mm"] == {"mean": 3.0, "std": None, "n": 1, "by_region": {}}


def test_no_scans_have_no_summary():
    assert summarize([]) == {}
