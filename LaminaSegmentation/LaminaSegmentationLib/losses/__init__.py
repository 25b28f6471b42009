"""Losses for a rare, tiny foreground.

Each loss is a pure function, which has the mathematics, and a thin Keras `Loss` class, which gives it a name and lets
a saved model find it again. All take probabilities, all return one value a sample, and all compute in float32 whatever
the model's precision. They are written with `keras.ops` alone: every backend runs them, compiled by XLA or not.

The classes (`DiceLoss`, `WeightedBinaryCrossentropy`, `DiceWeightedBinaryCrossentropy`, `CentroidLoss` and
`LaminaDiceLoss`) are made when they are first asked for: Keras must not load with this file, see `__getattr__`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

from .centroid import THRESHOLD, centroid_factors, centroid_loss
from .lamina import lamina_dice, voronoi_territories
from .overlap import (
    CLIP,
    EPSILON,
    POSITIVE_WEIGHT,
    dice_loss,
    dice_weighted_binary_crossentropy,
    weighted_binary_crossentropy,
)

if TYPE_CHECKING:
    import keras

__all__ = [
    "CLIP",
    "EPSILON",
    "LOSSES",
    "POSITIVE_WEIGHT",
    "SUM_LOSS",
    "centroid_factors",
    "centroid_loss",
    "create_loss",
    "dice_loss",
    "dice_weighted_binary_crossentropy",
    "lamina_dice",
    "voronoi_territories",
    "weighted_binary_crossentropy",
]

SUM_LOSS = "dice+wbce"
LOSSES = ("dice", "wbce", SUM_LOSS, "centroid", "lamina_dice")
"""Names that `create_loss` knows."""


def create_loss(name: str, **parameters: float) -> keras.losses.Loss:
    """Return the loss of that name.

    Parameters
    ----------
    name : {"dice", "wbce", "dice+wbce", "centroid", "lamina_dice"}
    **parameters : float
        Passed to the class, for example ``weight``.

    Returns
    -------
    keras.losses.Loss

    Raises
    ------
    LaminaError
        If there is no loss of that name, or it has no such parameter.
    """
    if name not in LOSSES:
        raise LaminaError(f'There is no loss "{name}"; choose one of {", ".join(LOSSES)}.')
    kind = dict(zip(LOSSES, _classes().values()))[name]
    try:
        return kind(**parameters)
    except TypeError as error:
        raise LaminaError(f'The loss "{name}" does not take these parameters: {", ".join(parameters)}.') from error


def __getattr__(name: str) -> Any:
    """Return a loss class, importing Keras only now (PEP 562)."""
    if name in _CLASS_NAMES:
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_CLASS_NAMES = (
    "DiceLoss",
    "WeightedBinaryCrossentropy",
    "DiceWeightedBinaryCrossentropy",
    "CentroidLoss",
    "LaminaDiceLoss",
)


@functools.cache
def _classes() -> dict[str, type]:
    import keras

    class DiceLoss(keras.losses.Loss):
        """Keras loss of `dice_loss`."""

        def __init__(self, epsilon: float = EPSILON, name: str = "dice", **options: Any) -> None:
            super().__init__(name=name, **_in_float32(options))
            self.epsilon = epsilon

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return dice_loss(y_true, y_pred, epsilon=self.epsilon)

        def get_config(self) -> dict:
            return {**super().get_config(), "epsilon": self.epsilon}

    class WeightedBinaryCrossentropy(keras.losses.Loss):
        """Keras loss of `weighted_binary_crossentropy`."""

        def __init__(self, weight: float = POSITIVE_WEIGHT, name: str = "wbce", **options: Any) -> None:
            super().__init__(name=name, **_in_float32(options))
            self.weight = weight

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return weighted_binary_crossentropy(y_true, y_pred, weight=self.weight)

        def get_config(self) -> dict:
            return {**super().get_config(), "weight": self.weight}

    class DiceWeightedBinaryCrossentropy(keras.losses.Loss):
        """Keras loss of `dice_weighted_binary_crossentropy`."""

        def __init__(
            self,
            epsilon: float = EPSILON,
            weight: float = POSITIVE_WEIGHT,
            share: float = 1.0,
            name: str = "dice_wbce",
            **options: Any,
        ) -> None:
            super().__init__(name=name, **_in_float32(options))
            self.epsilon, self.weight, self.share = epsilon, weight, share

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return dice_weighted_binary_crossentropy(y_true, y_pred, self.epsilon, self.weight, self.share)

        def get_config(self) -> dict:
            parameters = {"epsilon": self.epsilon, "weight": self.weight, "share": self.share}
            return {**super().get_config(), **parameters}

    class CentroidLoss(keras.losses.Loss):
        """Keras loss of `centroid_loss`."""

        def __init__(
            self, threshold: float = THRESHOLD, epsilon: float = EPSILON, name: str = "centroid", **options: Any
        ) -> None:
            super().__init__(name=name, **_in_float32(options))
            self.threshold, self.epsilon = threshold, epsilon

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return centroid_loss(y_true, y_pred, threshold=self.threshold, epsilon=self.epsilon)

        def get_config(self) -> dict:
            return {**super().get_config(), "threshold": self.threshold, "epsilon": self.epsilon}

    class LaminaDiceLoss(keras.losses.Loss):
        """Keras loss of `lamina_dice`."""

        def __init__(
            self, distance_weight: float = 0.0, epsilon: float = EPSILON, name: str = "lamina_dice", **options: Any
        ) -> None:
            super().__init__(name=name, **_in_float32(options))
            self.distance_weight, self.epsilon = distance_weight, epsilon

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return lamina_dice(y_true, y_pred, distance_weight=self.distance_weight, epsilon=self.epsilon)

        def get_config(self) -> dict:
            return {**super().get_config(), "distance_weight": self.distance_weight, "epsilon": self.epsilon}

    classes = (DiceLoss, WeightedBinaryCrossentropy, DiceWeightedBinaryCrossentropy, CentroidLoss, LaminaDiceLoss)
    for kind in classes:
        kind.__qualname__ = kind.__name__  # as if defined at module level, which is where users import it from
        keras.saving.register_keras_serializable(package="LaminaSegmentation")(kind)
    return dict(zip(_CLASS_NAMES, classes))


def _in_float32(options: dict) -> dict:
    """Float32 unless a saved configuration says so itself: a bfloat16 policy would round the sums."""
    return {"dtype": "float32", **options}
