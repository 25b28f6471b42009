import json
import re
import shutil
import sys

import numpy as np
import pytest
from tiny_networks import GRID, noise, run_python, tiny_unet

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import engines
from LaminaSegmentationLib.engines import choose_engine, create_engine, has_nvidia_driver
from LaminaSegmentationLib.models import ModelBundle

TENSORFLOW = """
import json, sys
import numpy as np
from LaminaSegmentationLib.engines import create_engine
from LaminaSegmentationLib.models import load_model
engine = create_engine(load_model(sys.argv[1]), "tensorflow", threads=1)
grids = np.load(sys.argv[2])
np.save(sys.argv[3], [engine.predict(grid) for grid in grids])
print(json.dumps([engine.description, engine.predict(grids[0]).dtype.name]))
"""


@pytest.fixture(scope="module")
def openvino(tiny_bundle):
    return create_engine(tiny_bundle, "openvino", threads=1)


def installed(monkeypatch, *names):
    """Pretend that of the engines' packages only these are installed."""
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: object() if name in names else None)


def test_openvino_computes_what_keras_computes(openvino):
    probability = openvino.predict(noise())
    expected = tiny_unet().predict_on_batch(noise()[None, ..., None])[0, ..., 0]
    assert expected.std() > 0.01
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    assert probability.shape == GRID
    assert probability.dtype == np.float32


def test_tensorflow_and_openvino_agree(tiny_bundle, openvino, tmp_path):
    grids = np.stack([noise(seed=seed) for seed in range(3)])
    np.save(tmp_path / "grids.npy", grids)
    paths = tmp_path / "grids.npy", tmp_path / "tensorflow.npy"
    description, dtype = run_python(TENSORFLOW, "torch", tiny_bundle.folder, *paths)
    assert re.fullmatch(r"TensorFlow 2\.\d+ on CPU \(1 thread\)", description)
    assert dtype == "float32"
    np.testing.assert_allclose(np.load(paths[1]), [openvino.predict(grid) for grid in grids], atol=1e-5)


def test_a_result_is_not_overwritten_by_the_next(openvino):
    first = openvino.predict(noise(seed=1))
    kept = first.copy()
    openvino.predict(noise(seed=2))
    np.testing.assert_array_equal(first, kept)


def test_grids_of_any_type_and_layout_are_taken(openvino):
    grid = noise().astype(np.float16)
    expected = openvino.predict(grid.astype(np.float32))
    np.testing.assert_array_equal(openvino.predict(grid), expected)
    np.testing.assert_array_equal(openvino.predict(np.asfortranarray(grid.astype(np.float64))), expected)


def test_the_description_names_version_device_and_threads(openvino):
    assert re.fullmatch(r"OpenVINO 20\d\d\.\d on CPU \(1 thread\)", openvino.description)


class Capable:
    """OpenVINO's core on a processor with certain capabilities."""

    def __init__(self, *capabilities):
        import openvino

        self._core, self._capabilities = openvino.Core(), capabilities

    def __call__(self):
        return self

    def __getattr__(self, name):
        return getattr(self._core, name)

    def get_property(self, device, name):
        return (
            list(self._capabilities) if name == "OPTIMIZATION_CAPABILITIES" else self._core.get_property(device, name)
        )


def test_bfloat16_is_said_and_close(tiny_bundle, openvino, monkeypatch):
    import openvino as library

    monkeypatch.setattr(library, "Core", Capable("FP32", "BF16"))
    engine = create_engine(tiny_bundle, "openvino", threads=1, precision="bfloat16")
    assert re.fullmatch(r"OpenVINO 20\d\d\.\d on CPU \(1 thread\), bfloat16", engine.description)
    # Three digits of a bfloat16; on a processor that only emulates it, or takes float32 after all, it is nearer still.
    assert np.abs(engine.predict(noise()) - openvino.predict(noise())).max() < 0.05


def test_a_processor_without_bfloat16_computes_in_float32(tiny_bundle, openvino, monkeypatch, caplog):
    import openvino as library

    monkeypatch.setattr(library, "Core", Capable("FP32", "INT8"))
    engine = create_engine(tiny_bundle, "openvino", threads=1, precision="bfloat16")
    assert engine.description == openvino.description
    assert "does not compute in bfloat16" in caplog.text
    np.testing.assert_array_equal(engine.predict(noise()), openvino.predict(noise()))


def test_bfloat16_needs_openvino(tiny_bundle):
    with pytest.raises(LaminaError, match="add --engine openvino"):
        create_engine(tiny_bundle, "tensorflow", precision="bfloat16")
    with pytest.raises(LaminaError, match="float32, bfloat16"):
        create_engine(tiny_bundle, "openvino", precision="int4")


def test_openvino_does_not_pin_its_threads(openvino):
    """Pinned, the threads of two processes share one core: the network takes twice as long in each."""
    assert not openvino._model.get_property("ENABLE_CPU_PINNING")


def test_a_grid_of_another_shape_is_refused(openvino):
    with pytest.raises(LaminaError, match="takes a grid of 32 x 16 x 8 voxels, not 32 x 16 x 16"):
        openvino.predict(np.zeros((32, 16, 16), np.float32))


def test_an_unknown_engine_is_refused(tiny_bundle):
    with pytest.raises(LaminaError, match="auto, tensorflow, openvino"):
        create_engine(tiny_bundle, "onnx")


def test_no_threads_are_refused(tiny_bundle):
    with pytest.raises(LaminaError, match="1 or more"):
        create_engine(tiny_bundle, "openvino", threads=0)


@pytest.mark.parametrize(
    ("name", "present", "command"),
    [
        ("openvino", (), "pip install openvino"),
        ("tensorflow", ("openvino",), "pip install tensorflow keras"),
        ("tensorflow", ("tensorflow",), "pip install keras"),
        ("auto", (), "pip install openvino"),
    ],
)
def test_a_missing_engine_names_what_to_install(tiny_bundle, monkeypatch, name, present, command):
    installed(monkeypatch, *present)
    with pytest.raises(LaminaError, match=command):
        create_engine(tiny_bundle, name)


@pytest.mark.parametrize(
    ("present", "driver", "gpu", "expected"),
    [
        (("openvino", "tensorflow", "keras"), False, False, "openvino"),
        (("openvino", "tensorflow", "keras"), True, True, "tensorflow"),
        (("openvino", "tensorflow", "keras"), True, False, "openvino"),
        (("tensorflow", "keras"), False, False, "tensorflow"),
        (("openvino",), True, True, "openvino"),
    ],
)
def test_auto_takes_tensorflow_only_for_a_gpu(monkeypatch, present, driver, gpu, expected):
    installed(monkeypatch, *present)
    monkeypatch.setattr(engines, "has_nvidia_driver", lambda: driver)
    monkeypatch.setattr(engines, "_tensorflow_sees_gpu", lambda: gpu)
    assert choose_engine() == expected


def test_tensorflow_is_not_asked_for_a_gpu_without_a_driver(monkeypatch):
    asked = []
    installed(monkeypatch, "openvino", "tensorflow", "keras")
    monkeypatch.setattr(engines, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(engines, "_tensorflow_sees_gpu", lambda: asked.append(True))
    choose_engine()
    assert not asked


def test_a_driver_is_seen_by_its_file_its_tool_or_its_library(monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "NVIDIA_DRIVER", tmp_path / "nvidia")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not has_nvidia_driver()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(engines.ctypes.util, "find_library", lambda name: "nvcuda.dll" if name == "nvcuda" else None)
    assert has_nvidia_driver()
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_nvidia_driver()
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    assert has_nvidia_driver()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "nvidia").mkdir()
    assert has_nvidia_driver()


def test_the_probe_and_openvino_load_neither_keras_nor_tensorflow(tiny_bundle):
    code = """
import json, sys
import numpy as np
from LaminaSegmentationLib.engines import create_engine, has_nvidia_driver
from LaminaSegmentationLib.models import load_model
has_nvidia_driver()
engine = create_engine(load_model(sys.argv[1]), "openvino")
engine.predict(np.zeros((32, 16, 8), np.float32))
print(json.dumps(sorted({"keras", "tensorflow", "torch"} & set(sys.modules))))
"""
    assert run_python(code, "tensorflow", tiny_bundle.folder) == []


def test_a_graph_that_openvino_cannot_read_is_a_clear_error(tiny_bundle, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(dict(tiny_bundle.card)), encoding="utf-8")
    (tmp_path / "model.xml").write_text("<net/>", encoding="utf-8")
    with pytest.raises(LaminaError, match='cannot load the model "tiny"'):
        create_engine(ModelBundle(tmp_path, tiny_bundle.card), "openvino")


def test_tensorflow_beside_another_backend_is_refused(tiny_bundle, monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(LaminaError, match="Keras already runs on jax"):
        create_engine(tiny_bundle, "tensorflow")
