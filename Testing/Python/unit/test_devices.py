import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_networks import run_python

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.devices import Devices, check_devices, gpu_name

HERE = Path(__file__).parent

# Two devices are made of one CPU, before Keras is loaded.
TWO = {
    "jax": "import os; os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'",
    "tensorflow": """
import tensorflow
cpu = tensorflow.config.list_physical_devices("CPU")[0]
tensorflow.config.set_logical_device_configuration(cpu, [tensorflow.config.LogicalDeviceConfiguration()] * 2)
""",
}

COMPARE = """
import json
import numpy as np
import keras
from LaminaSegmentationLib.devices import Devices
from LaminaSegmentationLib.losses import create_loss

generator = np.random.default_rng(0)
grids = generator.normal(size=(4, 8, 8, 8, 1)).astype(np.float32)
labels = (grids > 1.5).astype(np.float32)
found = []
for count in (1, 2):
    with Devices(count) as devices:
        keras.utils.set_random_seed(1)
        with devices.scope():
            inputs = keras.Input((None, None, None, 1))
            convolved = keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid")(inputs)
            model = keras.Model(inputs, convolved)
            model.compile(keras.optimizers.SGD(0.5), create_loss("dice+wbce"), jit_compile=devices.jit_compile())
        losses = [devices.train_step(model, grids, labels) for _ in range(3)]
        three = grids[:3]
        maps = np.concatenate([devices.predict(model, three[first : first + count]) for first in range(0, 3, count)])
        found.append([losses, [w.tolist() for w in model.get_weights()], maps.tolist(), list(maps.shape)])
print(json.dumps(found))
"""


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_two_devices_do_the_step_that_one_does_with_the_whole_batch(backend):
    one, two = run_python(TWO[backend] + COMPARE, backend)
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    for first, second in zip(one[1], two[1]):
        np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(two[2], one[2], rtol=1e-4, atol=1e-6)
    assert one[3] == two[3] == [3, 8, 8, 8, 1]
    assert one[0][2] < one[0][0]


RESTORE = """
import json
import numpy as np
import keras
from LaminaSegmentationLib.checkpoints import State
from LaminaSegmentationLib.devices import Devices

def build(devices):
    with devices.scope():
        normalized = keras.layers.BatchNormalization(momentum=0.5)
        model = keras.Sequential([keras.Input((None, None, None, 1)), normalized])
        model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=devices.jit_compile())
        model.optimizer.build(model.trainable_variables)
    return model

generator = np.random.default_rng(0)
grids = np.stack([generator.normal(size=(8, 8, 8, 1)) * scale + scale for scale in (1, 5)]).astype(np.float32)
with Devices(2) as devices:
    first, second = build(devices), build(devices)
    devices.train_step(first, grids, grids)
    alone = devices.predict(first, np.stack([grids[0]] * 2))
    devices.synchronize(first)
    State.of(first, {}, [{}], {}).restore(second)
    for model in (first, second):
        devices.train_step(model, grids, grids)
        devices.synchronize(model)
    found = [devices.predict(model, np.stack([grids[0]] * 2)) for model in (first, second)]
print(json.dumps([alone.tolist(), *(maps.tolist() for maps in found)]))
"""


def test_a_restored_model_goes_on_as_the_saved_one_on_all_devices():
    alone, saved, restored = (np.array(maps) for maps in run_python(TWO["tensorflow"] + RESTORE, "tensorflow"))
    # Each device has seen scans of its own, and would predict with statistics of its own.
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_array_equal(saved[0], saved[1])
    np.testing.assert_array_equal(restored, saved)


TRAIN = """
import json, sys
from dataclasses import replace
from test_training import OPTIONS, run
result = run(sys.argv[1], replace(OPTIONS, epochs=1, devices=2))
print(json.dumps([result.history[0]["steps"], result.history[0]["loss"], result.best_value]))
"""


def test_training_gives_each_device_a_scan(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    steps, loss, value = run_python(TWO["tensorflow"] + TRAIN, "tensorflow", tmp_path / "run")
    assert steps == 2  # four cases on two devices
    assert 0 < value < 10 and 0 < loss < 10


def test_pytorch_is_refused():
    with pytest.raises(LaminaError, match="jax or tensorflow, not torch"):
        Devices(2)


def test_devices_are_counted_before_anything_slow_starts(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    before = set(sys.modules)
    check_devices(1, "jax")
    with pytest.raises(LaminaError, match=r"^Training was asked to use 2 devices, but jax finds 1: use fewer\.$"):
        check_devices(2, "jax")
    assert "jax" not in set(sys.modules) - before


def test_a_machine_without_a_gpu_has_none():
    import torch

    assert (gpu_name() is None) == (not torch.cuda.is_available())
