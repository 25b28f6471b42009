"""Convert a trained network to OpenVINO: ``python -m LaminaSegmentationLib.openvino_export``, run by `models`.

Keras exports from TensorFlow and from PyTorch; TensorFlow's graph is the one that runs more than twice as fast, since
it keeps the channels last without copies. The converted network is compared with Keras' own result before it is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.errors import LaminaError

if TYPE_CHECKING:
    import keras
    import openvino

TOLERANCE = {"batch": 1e-4, "instance": 5e-3, "group": 5e-3}
"""Largest difference between a probability of Keras and the same one of OpenVINO.

Instance and group normalization sum over whole maps, up to 1.8 million voxels, which the two do in another order and in
float32: 0.0013 was seen with a width of 8.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write ``GRAPH.xml`` and ``GRAPH.bin`` for the weights and the architecture given.

    Returns
    -------
    int
        Exit code; on failure the last line on stderr says why.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("graph", type=Path)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--normalization", default=None)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--grid", type=int, nargs=3, required=True)
    options = parser.parse_args(arguments)
    try:
        convert(options.weights, options.graph, options.preset, options.width, options.grid, options.normalization)
    except LaminaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def convert(
    weights: Path, graph: Path, preset: str, width: int, grid: Sequence[int], normalization: str | None = None
) -> None:
    """Convert a network to OpenVINO's form, float32, with the static shape ``(1, SI, LR, PA, 1)``.

    Parameters
    ----------
    weights : Path
        ``.weights.h5`` file.
    graph : Path
        The ``.xml`` file to write; its weights go beside it as ``.bin``.
    preset, width
        As for `network.build_unet`.
    grid : sequence of three int
        Voxels along SI, LR and PA.
    normalization : str, optional
        As for `network.build_unet`.

    Raises
    ------
    LaminaError
        If TensorFlow or OpenVINO is missing, or the two results differ.
    """
    from .checkpoints import load_weights
    from .keras_backend import set_backend
    from .network import build_unet, network_settings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    set_backend("tensorflow")
    import openvino

    model = build_unet(width, (*grid, 1), preset=preset, normalization=normalization)
    load_weights(model, weights)
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch) / "model.xml"
        model.export(str(exported), format="openvino", verbose=False)
        converted = openvino.Core().read_model(exported)
        # A known shape lets OpenVINO choose its kernels, and plan its memory, when it loads the model.
        converted.reshape([1, *grid, 1])
        converted.inputs[0].tensor.set_names({"grid"})
        converted.outputs[0].tensor.set_names({"probability"})
        kind = network_settings(preset, normalization=normalization).normalization
        _compare(model, converted, grid, TOLERANCE[kind])
        openvino.save_model(converted, graph, compress_to_fp16=False)


def _compare(model: keras.Model, converted: openvino.Model, grid: Sequence[int], tolerance: float) -> None:
    import openvino

    sample = np.random.default_rng(0).normal(size=(1, *grid, 1)).astype(np.float32)
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    difference = float(np.abs(compiled([sample])[0] - model.predict_on_batch(sample)).max())
    if not difference <= tolerance:
        raise LaminaError(f"OpenVINO's result differs from Keras' by {difference:.2g}: use another OpenVINO version.")


if __name__ == "__main__":
    sys.exit(main())
