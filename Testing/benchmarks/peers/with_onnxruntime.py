"""ONNX Runtime with our network and weights, its own defaults but for the number of threads."""

import sys
from pathlib import Path

from protocol import Loaded, parser, read_grid, serve


def load(options):
    """Open a session."""
    import numpy as np
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(str(options.onnx), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    grid, _ = read_grid(options.grid)

    def predict():
        batch = np.ascontiguousarray(grid, np.float32)[None, ..., None]
        return session.run(None, {name: batch})[0].reshape(grid.shape)

    return Loaded(predict, "our network, written by Keras as ONNX; the whole grid at once", packages=("onnxruntime",))


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--onnx", type=Path, required=True)
    sys.exit(serve(load, arguments.parse_args()))
