import numpy as np
import pytest
from tiny_networks import noise, tiny_unet

from LaminaSegmentationLib.acceleration import accelerate
from LaminaSegmentationLib.moving_statistics import recalibrate

GRIDS = [noise(seed=seed) * (seed + 1) + seed for seed in range(3)]


def statistics(model):
    return {weight.path: np.array(weight.value) for weight in model.weights if "moving_" in weight.path}


def first_layer(model, grid):
    """Mean and variance of the first convolution's output: what the first normalization should hold."""
    import keras

    part = keras.Model(model.inputs, model.get_layer("down0_1_conv").output)
    maps = part.predict_on_batch(grid[None, ..., None])
    return maps.mean(axis=(0, 1, 2, 3)), maps.var(axis=(0, 1, 2, 3))


@pytest.mark.parametrize("fast", [False, True])
def test_the_statistics_become_the_mean_of_those_of_the_grids(fast):
    plain = tiny_unet()
    model = accelerate(plain) if fast else plain
    momenta = [layer.momentum for layer in model.layers if hasattr(layer, "momentum")]
    assert recalibrate(model, GRIDS) == 3
    means, variances = zip(*(first_layer(plain, grid) for grid in GRIDS))
    layer = model.get_layer("down0_1_norm")
    np.testing.assert_allclose(layer.moving_mean.value, np.mean(means, axis=0), rtol=1e-3, atol=1e-5)
    # PyTorch's variance is the unbiased one.
    np.testing.assert_allclose(layer.moving_variance.value, np.mean(variances, axis=0), rtol=2e-3)
    assert [layer.momentum for layer in model.layers if hasattr(layer, "momentum")] == momenta
    assert {layer.rate for layer in model.layers if "Dropout" in type(layer).__name__} == {0.125}


def test_every_layer_is_estimated_anew_and_no_weight_is_changed():
    model = tiny_unet()
    before, weights = statistics(model), model.get_weights()
    recalibrate(model, GRIDS[:1])
    after = statistics(model)
    assert len(after) == 28
    assert all(not np.allclose(after[name], before[name]) for name in before)
    changed = sum(not np.array_equal(old, new) for old, new in zip(weights, model.get_weights()))
    assert changed == len(after)


def test_nothing_of_what_was_there_is_left():
    first, second = tiny_unet(), tiny_unet()
    for layer in second.layers:
        if "Normalization" in type(layer).__name__:
            layer.moving_mean.assign(layer.moving_mean + 7.0)
    recalibrate(first, GRIDS)
    recalibrate(second, GRIDS)
    for name, value in statistics(first).items():
        np.testing.assert_allclose(statistics(second)[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalization", ["instance", "group"])
def test_networks_without_moving_statistics_are_left_alone(normalization):
    model = tiny_unet(normalization=normalization)
    weights = model.get_weights()
    assert recalibrate(model, GRIDS) == 0
    assert all(np.array_equal(old, new) for old, new in zip(weights, model.get_weights()))
