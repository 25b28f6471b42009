import platform

import numpy as np
import pytest
from tiny_networks import noise, tiny_unet

from LaminaSegmentationLib import acceleration
from LaminaSegmentationLib.acceleration import accelerate, bfloat16_pays
from LaminaSegmentationLib.losses import create_loss

BATCH = noise()[None, ..., None]
TRUTH = (noise(seed=1)[None, ..., None] > 1.5).astype(np.float32)


@pytest.fixture(scope="module")
def models():
    model = tiny_unet(dropout=0.0)
    return model, accelerate(model)


def test_the_accelerated_copy_predicts_the_same(models):
    model, fast = models
    assert fast is not model
    expected = model.predict_on_batch(BATCH)
    np.testing.assert_allclose(fast.predict_on_batch(BATCH), expected, atol=1e-6)
    assert expected.std() > 0.01


def test_loss_gradients_and_moving_statistics_are_the_same(models):
    from keras import ops

    loss = create_loss("dice")
    gradients, statistics, values = [], [], []
    for model in models:
        model.zero_grad()
        value = loss(TRUTH, model(BATCH, training=True))
        value.backward()
        values.append(value.item())
        trained = [weight for weight in model.trainable_variables if "conv/bias" not in weight.path]
        gradients.append([weight.value.grad.numpy().copy() for weight in trained])
        statistics.append([ops.convert_to_numpy(weight) for weight in model.non_trainable_variables])
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    # Without the biases before a normalization: their gradient is 0, and what is computed is rounding.
    for one, other in zip(*gradients):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(one).max())
    for one, other in zip(*statistics):  # the unbiased variance differs by 1 / n, with 8 voxels at the bottom
        np.testing.assert_allclose(one, other, rtol=0.15, atol=1e-6)


def test_weights_go_back_into_the_plain_model(models):
    fast = models[1]
    plain = tiny_unet(dropout=0.0, seed=9)
    plain.set_weights(fast.get_weights())
    np.testing.assert_allclose(plain.predict_on_batch(BATCH), fast.predict_on_batch(BATCH), atol=1e-6)


@pytest.mark.parametrize("rate", [0.125, 0.5])
def test_dropout_drops_its_rate_and_keeps_the_mean(rate):
    from keras import ops

    layer = acceleration._torch_layers()["Dropout"](rate)
    ones = np.ones((1, 16, 16, 16, 9), np.float32)
    dropped = ops.convert_to_numpy(layer(ones, training=True))
    assert np.mean(dropped == 0) == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(np.unique(dropped), [0.0, 1 / (1 - rate)], rtol=1e-6)
    assert not np.array_equal(dropped, ops.convert_to_numpy(layer(ones, training=True)))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(ones, training=False)), ones)


def test_dropout_of_nothing_changes_nothing():
    from keras import ops

    layer = acceleration._torch_layers()["Dropout"](0.0)
    ones = np.ones((1, 2, 2, 2, 1), np.float32)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(ones, training=True)), ones)


def test_other_backends_keep_the_model_they_were_given(models, monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert accelerate(models[0]) is models[0]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : fpu sse2 avx512_bf16", True), ("flags : amx_bf16 avx2", True), ("flags : fpu avx2 avx512f", False)],
)
def test_bfloat16_pays_on_a_cpu_that_has_it(flags, expected, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(acceleration, "CPU_FLAGS", tmp_path / "cpuinfo")
    assert bfloat16_pays() is expected


def test_bfloat16_does_not_pay_where_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(acceleration, "CPU_FLAGS", tmp_path / "none")
    assert bfloat16_pays() is False
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert bfloat16_pays() is False
