"""Keras' own `predict` on TensorFlow, with our network and weights."""

import os
import sys

from protocol import Loaded, parser, read_grid, serve


def load(options):
    """Build the network and load its weights."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import numpy as np
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(options.threads)

    from LaminaSegmentationLib.models import load_model

    model = load_model(options.model).build()
    grid, _ = read_grid(options.grid)

    def predict():
        batch = np.ascontiguousarray(grid, np.float32)[None, ..., None]
        return np.asarray(model.predict(batch, verbose=0)).reshape(grid.shape)

    return Loaded(
        predict,
        "our network; model.predict on TensorFlow, the whole grid at once",
        model.count_params(),
        packages=("keras", "tensorflow"),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="simulated-unet")
    sys.exit(serve(load, arguments.parse_args()))
