"""Write our network as an ONNX file: python export_onnx.py MODEL FILE, in an environment with Keras and tf2onnx."""

import os
import sys


def main(name, path):
    """Export a model."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np

    from LaminaSegmentationLib.models import load_model

    bundle = load_model(name)
    model = bundle.build()
    # Keras refuses to export to ONNX a model that was never called.
    model(np.zeros((1, *bundle.grid_shape, 1), np.float32))
    model.export(path, format="onnx", verbose=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
