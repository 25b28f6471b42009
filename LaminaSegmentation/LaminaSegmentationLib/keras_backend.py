"""The choice of Keras' backend, made before Keras is imported for the first time."""

from __future__ import annotations

import os
import sys

from LaminaLabelingLib.errors import LaminaError

BACKENDS = ("tensorflow", "torch", "jax")


def set_backend(name: str | None) -> str:
    """Choose Keras' backend, which is possible only until Keras is imported.

    Parameters
    ----------
    name : {"tensorflow", "torch", "jax"} or None
        None accepts what is set.

    Returns
    -------
    str
        The backend in use.

    Raises
    ------
    LaminaError
        If Keras already runs on another backend, or Keras or the backend is not installed.
    """
    # TensorFlow's notes on instruction sets and missing CUDA libraries would drown what there is to say.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if name is not None and "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = name
    try:
        import keras
    except ImportError as error:
        wanted = name or os.environ.get("KERAS_BACKEND", "tensorflow")
        raise LaminaError(
            f"This needs Keras and its backend {wanted}; install them with: pip install keras {wanted}"
        ) from error
    current = keras.backend.backend()
    if name not in (None, current):
        # The first import settles it; Keras has no way to change its backend in a running process.
        raise LaminaError(
            f"Keras already runs on {current} in this process, so {name} cannot be used: start a new process, "
            f"or set KERAS_BACKEND={name}."
        )
    return current
