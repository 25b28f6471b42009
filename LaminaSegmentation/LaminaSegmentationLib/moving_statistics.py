"""Moving statistics of batch normalization, estimated anew over whole grids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def recalibrate(model: keras.Model, grids: Iterable[np.ndarray]) -> int:
    """Replace the moving statistics by the mean of those of some grids, each with the same weight.

    With batches of one, the exponential mean of a momentum of 0.99 spans 100 steps, during which the weights change,
    and holds 0.99^n of the initial values after n steps. This mean has neither fault. Dropout is off meanwhile:
    the statistics are those that the network meets when it predicts.

    Parameters
    ----------
    model : keras.Model
        A network of `network.build_unet`, or its accelerated copy. Weights stay as they are; networks without batch
        normalization are left alone.
    grids : iterable of array (SI, LR, PA)

    Returns
    -------
    int
        Grids used.
    """
    norms, drops = (_layers(model, kind) for kind in ("BatchNormalization", "Dropout"))
    if not norms:
        return 0
    before = [(layer, "momentum", layer.momentum) for layer in norms]
    before += [(layer, "rate", layer.rate) for layer in drops]
    count = 0
    try:
        for layer in drops:
            layer.rate = 0.0
        with _without_gradients():
            for count, grid in enumerate(grids, 1):
                for layer in norms:
                    layer.momentum = 1.0 - 1.0 / count  # a plain mean; the first grid replaces what was there
                model(np.asarray(grid, np.float32)[None, ..., None], training=True)
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
    return count


def _layers(model: keras.Model, kind: str) -> list[Any]:
    from keras import layers

    return [layer for layer in model.layers if isinstance(layer, getattr(layers, kind))]


@contextlib.contextmanager
def _without_gradients() -> Iterator[None]:
    import keras

    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield
