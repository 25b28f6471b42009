"""The statistics of spines: what is learned is what was drawn, and what is read is what was written."""

import json

import numpy as np
import pytest
from made_spines_by_column import NAMES, NUMBERS, SIDES, draw

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.shape_model import ShapeModel, Smooth, generic_shape, learn_shape

FREE = 1e6  # the variance of where a spine lies, mm2


def test_what_is_learned_is_what_was_drawn():
    rng = np.random.default_rng(0)
    truth = generic_shape()
    learned = learn_shape([draw(rng, truth) for _ in range(60)])
    assert np.allclose(learned.spacing, truth.spacing, rtol=0.06)
    assert np.allclose(learned.offset, truth.offset, rtol=0.08)
    assert learned.spacing_sd == pytest.approx(truth.spacing_sd, rel=0.3)
    assert learned.size_sd == pytest.approx(truth.size_sd, rel=0.35)
    assert learned.middle[2].sd == pytest.approx(truth.middle[2].sd, rel=0.4)
    # Noise was drawn with half of the model's standard deviation.
    assert np.allclose(learned.noise, 0.5 * np.array(truth.noise), rtol=0.35)


def test_laminae_of_one_level_move_together_along_and_apart_across():
    mean, covariance = generic_shape().moments(NUMBERS, SIDES)
    left, right = NAMES.index("T6L"), NAMES.index("T6R")
    offset = generic_shape().offset[VERTEBRAE.index("T6")]
    assert mean[1, right] - mean[1, left] == pytest.approx(2 * offset)
    assert mean[0, right] == mean[0, left]
    correlation = [
        (covariance[axis][left, right] - (FREE if axis != 1 else 0.0))
        / (covariance[axis][left, left] - (FREE if axis != 1 else 0.0))
        for axis in range(3)
    ]
    assert correlation[0] < 1.0
    assert correlation[1] > 0.0


def test_the_distance_of_two_levels_varies_by_the_gaps_between_them():
    """With halves and size that do not vary, the variance of a distance is the sum of the squares of its gaps'."""
    still = Smooth(1e-6, 3.0)
    shape = ShapeModel(
        spacing=(20.0,) * 16,
        spacing_sd=0.05,
        size_sd=1e-9,
        offset=(10.0,) * 17,
        depth=(0.0,) * 17,
        middle=(still, still, still),
        half=(still, still, still),
        noise=(1.0, 1.0, 1.0),
    )
    _mean, covariance = shape.moments(np.array([2, 6]), np.array([1.0, 1.0]))
    along = covariance[0]
    assert along[0, 0] + along[1, 1] - 2 * along[0, 1] == pytest.approx(4 * 1.0**2, rel=1e-6)


def test_the_covariance_is_one():
    _mean, covariance = generic_shape().moments(NUMBERS, SIDES)
    for axis in range(3):
        assert np.allclose(covariance[axis], covariance[axis].T)
        assert np.linalg.eigvalsh(covariance[axis]).min() > -1e-6


@pytest.mark.parametrize(("thoracic", "lumbar"), [(12, 5), (11, 4), (13, 6)])
def test_other_numberings_have_a_level_more_at_each_end(thoracic, lumbar):
    shape = generic_shape()
    other = shape.of(Numbering(thoracic, lumbar))
    count = thoracic + lumbar + 2
    assert (len(other.offset), len(other.depth), len(other.spacing)) == (count, count, count - 1)
    assert other.offset[0] == other.offset[1] == shape.offset[0]
    assert other.offset[-1] == other.offset[-2]
    assert other.spacing[1] == shape.spacing[0]
    if (thoracic, lumbar) == (12, 5):
        assert other.spacing[1:-1] == shape.spacing
    if thoracic == 13:
        assert other.offset[12] == other.offset[13] == shape.offset[11]


def test_too_few_spines_or_a_level_that_none_shows_are_refused():
    rng = np.random.default_rng(1)
    spines = [draw(rng) for _ in range(12)]
    with pytest.raises(LaminaError, match="too few"):
        learn_shape(spines[:9])
    without = [{name: place for name, place in spine.items() if name != "L5R"} for spine in spines]
    with pytest.raises(LaminaError, match="L5"):
        learn_shape(without)


def test_missing_laminae_are_no_hindrance():
    rng = np.random.default_rng(2)
    spines = [draw(rng) for _ in range(15)]
    for number, spine in enumerate(spines):
        spine.pop(NAMES[(7 * number) % 34])
    learned = learn_shape(spines)
    assert np.allclose(learned.spacing, generic_shape().spacing, rtol=0.1)


def test_the_room_beyond_the_ends_is_learned_or_assumed():
    rng = np.random.default_rng(3)
    spines = [draw(rng) for _ in range(12)]
    scanned = []
    for spine in spines:
        first = 0.5 * (spine["T1L"] + spine["T1R"])[0]
        last = 0.5 * (spine["L5L"] + spine["L5R"])[0]
        scanned.append((first - 12.0, last + 25.0))
    assert learn_shape(spines, scanned).room == pytest.approx((12.0, 25.0))
    assert learn_shape(spines).room == generic_shape().room


def test_a_shape_survives_json():
    shape = generic_shape()
    assert ShapeModel.from_dict(json.loads(json.dumps(shape.as_dict()))) == shape


@pytest.mark.parametrize(
    "change",
    [
        {"spacing": [20.0] * 15},
        {"spacing": [20.0] * 15 + [-1.0]},
        {"offset": None},
        {"noise": [1.0, 1.0, float("nan")]},
        {"middle": [{"sd": 1.0}]},
        {"half": []},
        {"size_sd": 0.0},
        {"depth": [float("inf")] * 17},
    ],
)
def test_a_damaged_shape_is_refused(change):
    with pytest.raises(LaminaError, match="shape"):
        ShapeModel.from_dict({**generic_shape().as_dict(), **change})
