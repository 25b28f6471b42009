"""What a model's candidates are worth, and that the confidence of a lamina is the probability that it says."""

import json

import numpy as np
import pytest
from made_spines_by_column import candidate, draw

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.matching import match_points
from LaminaSegmentationLib.calibration import Calibration, LabeledScan, calibrate, read_calibration
from LaminaSegmentationLib.evidence import Evidence, fit_logistic, logistic, logit
from LaminaSegmentationLib.shape_model import generic_shape
from LaminaSegmentationLib.spine_chain import find_row
from LaminaSegmentationLib.spine_fit import fit_spine


def scan(rng, seen=0.97):
    """A labeled scan: most laminae with a candidate, a few false ones, and as many that lie wrong."""
    truth = draw(rng)
    candidates = []
    for place in truth.values():
        if rng.random() < seen:
            wrong = rng.random() < 0.12
            shift = rng.normal(0.0, 3.5 if wrong else 0.5, 3)
            candidates.append(candidate(place + shift, rng.uniform(0.2, 0.8) if wrong else rng.uniform(0.5, 1.0)))
    for _ in range(3):
        place = rng.uniform([0.0, -20.0, 5.0], [380.0, 20.0, 40.0])
        candidates.append(candidate(place, rng.uniform(0.02, 0.4)))
    along = np.array(list(truth.values()))[:, 0]
    return LabeledScan(truth, tuple(candidates), (along.min() - 10.0, along.max() + 15.0))


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(0)
    return calibrate([scan(rng) for _ in range(25)], "25 drawn spines")


def test_a_logistic_regression_finds_its_weights():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(4000, 2))
    outcomes = rng.random(4000) < logistic(0.5 + features @ [1.5, -1.0])
    assert np.allclose(fit_logistic(features, outcomes), [0.5, 1.5, -1.0], atol=0.15)


def test_separable_data_give_finite_weights():
    weights = fit_logistic(np.array([[-1.0], [-2.0], [1.0], [2.0]]), [False, False, True, True])
    assert np.isfinite(weights).all()
    assert weights[1] > 0


def test_a_weight_keeps_the_sign_that_is_known():
    features, outcomes = np.array([[-1.0], [-2.0], [1.0], [2.0]]), [False, False, True, True]
    assert fit_logistic(features, outcomes, (-1,))[1] == 0.0
    assert fit_logistic(features, outcomes, (1,))[1] > 0.5


def test_odds_by_hand():
    evidence = Evidence(level=1.0, slope=2.0)
    assert evidence.odds(0.5) == pytest.approx(1.0)
    assert evidence.odds(0.75) == pytest.approx(1.0 + 2.0 * np.log(3.0))
    assert logit(1.0) == pytest.approx(np.log(999.0))


def test_confidence_is_worth_what_it_was_in_the_scans(calibration):
    evidence = calibration.evidence
    assert evidence.slope > 0
    assert evidence.odds(0.1) < 0.0 < evidence.odds(0.9)
    assert 0.02 <= evidence.missing < 0.1
    assert evidence.detection_sd == pytest.approx(1.0, abs=0.4)


def test_the_confidence_of_other_scans_is_the_share_that_is_right(calibration):
    """Brier score and mean: the confidence says on average what comes true, and tells right from wrong."""
    rng = np.random.default_rng(99)
    shape = calibration.shape.of(Numbering())
    said, right = [], []
    for _ in range(25):
        one = scan(rng)
        row = find_row(one.candidates, shape, calibration.evidence, one.scanned)
        slots = fit_spine(row, one.candidates, shape, calibration.evidence)
        places = np.array([slot.place for slot in slots])
        hits = match_points(np.array(list(one.truth.values())), places, 5.0).pairs[:, 1]
        said += [slot.confidence for slot in slots]
        right += [number in hits for number in range(len(slots))]
    said, right = np.array(said), np.array(right, float)
    assert said.mean() == pytest.approx(right.mean(), abs=0.02)
    assert ((said - right) ** 2).mean() < right.mean() * (1.0 - right.mean())


def test_a_calibration_survives_its_file(calibration, tmp_path):
    path = tmp_path / "localization.json"
    path.write_text(json.dumps(calibration.as_dict()))
    assert read_calibration(path, "mine") == calibration
    assert calibration.shape.learned_from == "25 drawn spines"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 2}, "version"),
        ({"shape": None}, "shape"),
        ({"evidence": {}}, "worth"),
        ({"evidence": {**Evidence().as_dict(), "trust": [1.0]}}, "numbers"),
        ({"evidence": {**Evidence().as_dict(), "missing": 1.5}}, "range"),
    ],
)
def test_a_damaged_calibration_is_refused_by_name(change, says, tmp_path):
    path = tmp_path / "localization.json"
    path.write_text(json.dumps({**Calibration().as_dict(), **change}))
    with pytest.raises(LaminaError, match=says) as caught:
        read_calibration(path, "mine")
    assert "mine" in str(caught.value)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "localization.json"
    path.write_text("{")
    with pytest.raises(LaminaError, match="mine"):
        read_calibration(path, "mine")


def test_a_model_that_finds_nothing_is_not_calibrated():
    rng = np.random.default_rng(5)
    with pytest.raises(LaminaError, match="too few to learn"):
        calibrate([scan(rng, seen=0.1) for _ in range(10)], "nothing")


def test_the_generic_calibration_says_where_it_is_from():
    assert Calibration().shape == generic_shape()
    assert "assumed" in Calibration().shape.learned_from
    assert Calibration.from_dict(Calibration().as_dict()) == Calibration()
