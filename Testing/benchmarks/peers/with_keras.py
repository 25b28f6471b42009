"""Keras' own `predict` on TensorFlow, with our network and weights, or the network as a function of TensorFlow."""

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

    function = tensorflow.function(lambda batch: model(batch, training=False), jit_compile=False)

    def predict():
        batch = np.ascontiguousarray(grid, np.float32)[None, ..., None]
        result = function(batch) if options.function else model.predict(batch, verbose=0)
        return np.asarray(result).reshape(grid.shape)

    way = "a tensorflow.function" if options.function else "model.predict on TensorFlow"
    return Loaded(
        predict,
        f"our network; {way}, the whole grid at once",
        model.count_params(),
        packages=("keras", "tensorflow"),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="simulated-unet")
    arguments.add_argument("--function", action="store_true", help="call the network, without Keras' predict")
    sys.exit(serve(load, arguments.parse_args()))
