import math

import numpy as np
import pytest
from tiny_networks import run_python

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import losses
from LaminaSegmentationLib.losses import (
    LOSSES,
    create_loss,
    dice_loss,
    dice_weighted_binary_crossentropy,
    weighted_binary_crossentropy,
)

TRUTH = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
PROBABILITY = np.array([[0.8, 0.2, 0.5, 0.1], [0.1, 0.2, 0.3, 0.4]])
DICE = [1 - 2 * 1.3 / (2 + 1.6), 1 - 2 * 0.4 / (1 + 1.0)]


def numbers(tensor):
    from keras import ops

    return ops.convert_to_numpy(tensor)


def volumes(rows):
    """The rows as volumes (batch, 2, 2, 1, 1), as the network gives them."""
    return np.asarray(rows).reshape(-1, 2, 2, 1, 1)


@pytest.mark.parametrize("shape", [(2, 4), (2, 2, 2, 1, 1)])
def test_dice_matches_the_formula_for_each_sample(shape):
    loss = numbers(dice_loss(TRUTH.reshape(shape), PROBABILITY.reshape(shape)))
    assert loss.shape == (2,)
    np.testing.assert_allclose(loss, DICE, rtol=1e-5)


def test_dice_is_never_pooled_over_the_batch():
    pooled = 1 - 2 * (1.3 + 0.4) / (2 + 1.6 + 1 + 1.0)
    mean = float(create_loss("dice")(volumes(TRUTH), volumes(PROBABILITY)))
    assert mean == pytest.approx(np.mean(DICE), rel=1e-5)
    assert abs(mean - pooled) > 0.04


def test_dice_of_a_perfect_prediction_is_0_and_of_a_disjoint_one_1():
    np.testing.assert_allclose(numbers(dice_loss(TRUTH, TRUTH)), 0, atol=1e-5)
    np.testing.assert_allclose(numbers(dice_loss(TRUTH, 1 - TRUTH)), 1, atol=1e-5)


def test_dice_of_nothing_is_1_not_nan():
    assert numbers(dice_loss(np.zeros((1, 8)), np.zeros((1, 8))))[0] == 1.0


def test_epsilon_stands_in_the_denominator_only():
    loss = numbers(dice_loss(TRUTH, PROBABILITY, epsilon=1.0))
    np.testing.assert_allclose(loss, [1 - 2.6 / 4.6, 1 - 0.8 / 3.0], rtol=1e-5)


def test_dice_of_a_true_size_grid_keeps_its_digits():
    truth = np.zeros((1, 384 * 96 * 48), np.float32)
    truth[0, :918] = 1
    probability = np.full_like(truth, 5e-4)
    expected = 1 - 2 * 918 * 5e-4 / (918 + truth.size * 5e-4)
    assert numbers(dice_loss(truth, probability))[0] == pytest.approx(expected, abs=1e-6)


def hand_entropy(truth, probability, weight):
    terms = [weight * t * math.log(p) + (1 - t) * math.log(1 - p) for t, p in zip(truth, probability)]
    return -sum(terms) / len(terms)


@pytest.mark.parametrize("weight", [1.0, 50.0])
def test_weighted_cross_entropy_matches_the_formula(weight):
    expected = [hand_entropy(truth, row, weight) for truth, row in zip(TRUTH, PROBABILITY)]
    np.testing.assert_allclose(numbers(weighted_binary_crossentropy(TRUTH, PROBABILITY, weight)), expected, rtol=1e-5)


def test_the_default_weight_is_50():
    expected = hand_entropy(TRUTH[0], PROBABILITY[0], 50.0)
    assert numbers(weighted_binary_crossentropy(TRUTH, PROBABILITY))[0] == pytest.approx(expected, rel=1e-5)


def test_certain_and_wrong_is_expensive_but_finite():
    loss = numbers(weighted_binary_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])))[0]
    assert loss == pytest.approx(51 * -math.log(1e-7) / 2, rel=0.02)


def test_the_sum_is_the_sum():
    expected = numbers(dice_loss(TRUTH, PROBABILITY)) + 0.5 * numbers(weighted_binary_crossentropy(TRUTH, PROBABILITY))
    combined = dice_weighted_binary_crossentropy(TRUTH, PROBABILITY, share=0.5)
    np.testing.assert_allclose(numbers(combined), expected, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_survives_being_saved(name):
    import keras

    loss = create_loss(name, **({"weight": 7.0} if "wbce" in name else {"epsilon": 0.5}))
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(loss)
    truth, probability = volumes(TRUTH), volumes(PROBABILITY)
    assert float(again(truth, probability)) == float(loss(truth, probability))
    assert float(again(truth, probability)) != float(create_loss(name)(truth, probability))
    assert config["registered_name"].startswith("LaminaSegmentation>")


@pytest.mark.parametrize("name", LOSSES)
def test_losses_stay_in_float32_under_a_bfloat16_default(name):
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("bfloat16")
    try:
        loss = create_loss(name)(volumes(TRUTH), volumes(PROBABILITY))
    finally:
        keras.config.set_floatx(before)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == pytest.approx(float(create_loss(name)(volumes(TRUTH), volumes(PROBABILITY))), rel=1e-6)


def test_classes_are_importable_by_name():
    assert type(create_loss("dice")) is losses.DiceLoss
    assert type(create_loss("wbce")) is losses.WeightedBinaryCrossentropy
    assert type(create_loss("dice+wbce")) is losses.DiceWeightedBinaryCrossentropy
    with pytest.raises(AttributeError, match="NoSuchLoss"):
        losses.NoSuchLoss  # noqa: B018


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(LaminaError, match=r"dice, wbce, dice\+wbce"):
        create_loss("hinge")


def test_an_unknown_parameter_is_refused():
    with pytest.raises(LaminaError, match="gamma"):
        create_loss("dice", gamma=2.0)


VALUES = """
import json
from LaminaSegmentationLib.losses import *
from keras import ops
import numpy as np
truth, probability = np.array({truth}), np.array({probability})
functions = dice_loss, weighted_binary_crossentropy, dice_weighted_binary_crossentropy
print(json.dumps([ops.convert_to_numpy(function(truth, probability)).tolist() for function in functions]))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_other_backends_give_the_same_losses(backend):
    values = run_python(VALUES.format(truth=TRUTH.tolist(), probability=PROBABILITY.tolist()), backend)
    functions = dice_loss, weighted_binary_crossentropy, dice_weighted_binary_crossentropy
    expected = [numbers(function(TRUTH, PROBABILITY)) for function in functions]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
