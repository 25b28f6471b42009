from pathlib import Path

import numpy as np
import pytest
from tiny_networks import GRID, noise, run_python, tiny_unet

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import network
from LaminaSegmentationLib.network import PRESETS, build_unet, check_grid, count_parameters

MODULES = [
    "network",
    "losses",
    "samples",
    "acceleration",
    "checkpoints",
    "training",
    "pace",
    "keras_backend",
    "models",
    "engines",
    "openvino_export",
]


def hand_count(w):
    """The parameters of the paper's Fig. 2, convolution by convolution, for a width of w."""
    kernels = (
        27 * (1 * w + w * w)
        + 27 * (w * 2 * w + 2 * w * 2 * w)
        + 27 * (2 * w * 4 * w + 4 * w * 4 * w)
        + 27 * (4 * w * 8 * w + 8 * w * 8 * w)
        + 27 * ((8 + 4) * w * 4 * w + 4 * w * 4 * w)
        + 27 * ((4 + 2) * w * 2 * w + 2 * w * 2 * w)
        + 27 * ((2 + 1) * w * w + w * w)
    )
    maps = 2 * (w + 2 * w + 4 * w + 8 * w + 4 * w + 2 * w + w)
    biases_and_normalization = maps * (1 + 4)
    return kernels + biases_and_normalization + w + 1


@pytest.mark.parametrize("width", [1, 8, 16, 64])
def test_the_parameter_count_is_the_one_counted_by_hand(width):
    assert count_parameters(width) == hand_count(width)


def test_the_papers_network_has_23_million_parameters():
    model = build_unet(preset="paper")
    assert model.count_params() == hand_count(64) == 23_350_785
    assert model.input_shape == model.output_shape == (None, 384, 96, 48, 1)


@pytest.mark.parametrize(
    ("preset", "alias", "width", "parameters"),
    [("32", "large", 32, 5_841_665), ("16", "default", 16, 1_462_401), ("8", "small", 8, 366_593)],
)
def test_the_other_presets_are_of_the_width_that_they_are_named_after(preset, alias, width, parameters):
    assert build_unet(preset=preset).count_params() == hand_count(width) == parameters
    assert PRESETS[preset] is PRESETS[alias]
    assert PRESETS[preset].width == width


@pytest.mark.parametrize("normalization", network.NORMALIZATIONS)
def test_parameters_are_counted_for_each_normalization(normalization):
    model = build_unet(4, (*GRID, 1), normalization=normalization)
    assert model.count_params() == count_parameters(4, normalization)


def test_the_stages_follow_figure_2():
    model = build_unet(preset="paper", width=4)
    sizes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert sizes["down0_2_relu"] == (384, 96, 48, 4)
    assert sizes["down1_2_relu"] == (192, 48, 24, 8)
    assert sizes["down2_2_relu"] == (96, 24, 12, 16)
    assert sizes["bottom3_2_relu"] == (48, 12, 6, 32)
    assert sizes["up2_join"] == (96, 24, 12, 48)
    assert sizes["up1_join"] == (192, 48, 24, 24)
    assert sizes["up0_join"] == (384, 96, 48, 12)


def test_layers_come_in_the_papers_order_and_number():
    kinds = [type(layer).__name__ for layer in build_unet(4).layers]
    convolution = ["Conv3D", "BatchNormalization", "LeakyReLU"] * 2
    down = [*convolution, "MaxPooling3D", "Dropout"]
    up = ["UpSampling3D", "Dropout", "Concatenate", *convolution]
    assert kinds == ["InputLayer", *down * 3, *convolution, *up * 3, "Conv3D", "Activation"]


def test_every_layer_has_the_papers_parameters():
    model = build_unet(preset="paper", width=4)
    layers = {
        kind: [x for x in model.layers if type(x).__name__ == kind] for kind in ("Dropout", "LeakyReLU", "Conv3D")
    }
    assert {layer.rate for layer in layers["Dropout"]} == {0.125}
    assert {layer.negative_slope for layer in layers["LeakyReLU"]} == {0.01}
    assert [layer.kernel_size for layer in layers["Conv3D"]] == [(3, 3, 3)] * 14 + [(1, 1, 1)]
    assert {layer.padding for layer in layers["Conv3D"][:-1]} == {"same"}
    assert {x.momentum for x in model.layers if type(x).__name__ == "BatchNormalization"} == {0.99}


@pytest.mark.parametrize(("preset", "expected"), [("default", 918 / 1769472), ("paper", 0.5)])
def test_the_output_bias_sets_what_a_network_predicts_before_it_knows_anything(preset, expected):
    model = build_unet(2, (*GRID, 1), preset=preset)
    logits = model.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([np.zeros_like(kernel), bias])
    probability = model.predict_on_batch(noise()[None, ..., None])
    np.testing.assert_allclose(probability, expected, rtol=1e-5)


def test_the_prior_bias_is_the_logit_of_34_cubes_in_the_grid():
    assert pytest.approx(-7.5635, abs=1e-4) == network.PRIOR_BIAS
    assert PRESETS["default"].momentum == 0.9


@pytest.mark.parametrize("normalization", network.NORMALIZATIONS)
def test_each_normalization_gives_probabilities_of_the_inputs_shape(normalization):
    model = build_unet(4, (*GRID, 1), normalization=normalization, output_bias=0.0)
    probability = model.predict_on_batch(noise()[None, ..., None])
    assert probability.shape == (1, *GRID, 1)
    assert probability.dtype == np.float32
    assert 0 < probability.min() < probability.max() < 1


def test_mixed_precision_ends_in_float32_and_stays_close():
    exact, mixed = tiny_unet(), tiny_unet(precision="mixed_bfloat16")
    batch = noise()[None, ..., None]
    probability = mixed.predict_on_batch(batch)
    assert probability.dtype == np.float32
    assert not np.array_equal(probability, exact.predict_on_batch(batch))
    np.testing.assert_allclose(probability, exact.predict_on_batch(batch), atol=0.1)
    assert {str(weight.dtype) for weight in mixed.weights} == {"float32"}


def test_weights_from_crops_fit_the_whole_grid():
    whole = tiny_unet()
    opened = build_unet(2, (None, None, None, 1))
    opened.set_weights(whole.get_weights())
    batch = noise()[None, ..., None]
    np.testing.assert_array_equal(opened.predict_on_batch(batch), whole.predict_on_batch(batch))


def test_48_rows_of_context_give_a_tile_exactly_its_part_of_the_whole():
    model = tiny_unet(grid=(None, None, None))
    grid = noise((192, 8, 8))[None, ..., None]
    whole = model.predict_on_batch(grid)
    tile = model.predict_on_batch(grid[:, 88 - 48 : 104 + 48])
    np.testing.assert_allclose(tile[:, 48:-48], whole[:, 88:104], atol=1e-6)
    short = model.predict_on_batch(grid[:, 88 - 16 : 104 + 16])
    assert np.abs(short[:, 16:-16] - whole[:, 88:104]).max() > 1e-5


@pytest.mark.parametrize("shape", [(380, 96, 48), (384, 96, 4), (0, 96, 48), (384, 96, -8)])
def test_a_size_that_is_no_multiple_of_8_is_refused(shape):
    with pytest.raises(LaminaError, match="multiple of 8"):
        check_grid(shape)
    with pytest.raises(LaminaError, match="multiple of 8"):
        build_unet(2, (*shape, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width"),
        ({"preset": "huge"}, "paper, 32, 16, 8, default, small, large"),
        ({"normalization": "layer"}, "batch, instance, group"),
        ({"momentum": 1.0}, "momentum"),
        ({"dropout": -0.1}, "dropout"),
        ({"precision": "float16"}, "float32, mixed_bfloat16"),
        ({"input_shape": (16, 16, 16)}, "one intensity a voxel"),
        ({"input_shape": (16, 16, 16, 3)}, "one intensity a voxel"),
    ],
)
def test_wrong_options_are_refused_with_a_reason(options, message):
    with pytest.raises(LaminaError, match=message):
        build_unet(**options)


def test_a_grid_of_two_axes_is_refused():
    with pytest.raises(LaminaError, match="three axes"):
        check_grid((16, 16))


def test_no_module_loads_anything_heavy():
    code = f"""
import importlib, json, sys
for name in {MODULES}:
    importlib.import_module("LaminaSegmentationLib." + name)
print(json.dumps(sorted({{"keras", "tensorflow", "torch", "jax", "openvino", "jsonschema"}} & set(sys.modules))))
"""
    assert run_python(code, "tensorflow") == []


FORWARD = """
import json, sys
from tiny_networks import noise, tiny_unet
import numpy as np, keras
np.save(sys.argv[1], tiny_unet().predict_on_batch(noise()[None, ..., None]))
print(json.dumps(keras.backend.backend()))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_other_backends_compute_the_same(backend, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert run_python(FORWARD, backend, tmp_path / "other.npy") == backend
    expected = tiny_unet().predict_on_batch(noise()[None, ..., None])
    assert expected.std() > 0.01
    np.testing.assert_allclose(np.load(tmp_path / "other.npy"), expected, atol=1e-5)
