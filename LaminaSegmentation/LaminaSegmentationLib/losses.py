"""Losses for a rare, tiny foreground: Dice, weighted binary cross entropy, and their sum.

Each loss is a pure function, which has the mathematics, and a thin Keras `Loss` class, which gives it a name and lets
a saved model find it again. All take probabilities, all return one value a sample, and all compute in float32 whatever
the model's precision.

The classes `DiceLoss`, `WeightedBinaryCrossentropy` and `DiceWeightedBinaryCrossentropy` are made when they are first
asked for: Keras must not load with this file, see `__getattr__`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

if TYPE_CHECKING:
    import keras

EPSILON = 1e-6
"""Keeps the Dice quotient finite for a sample with neither truth nor prediction."""

CLIP = 1e-7
"""Probabilities stay this far from 0 and 1 in a logarithm; 1 - 1e-7 is still a float32."""

POSITIVE_WEIGHT = 50.0
"""Weight of a lamina voxel in the cross entropy.

The paper gives none. Balancing the classes would take 1927, the ratio of background to foreground, with which the
network learns to predict blobs that are much too large.
"""

SUM_LOSS = "dice+wbce"
LOSSES = ("dice", "wbce", SUM_LOSS)
"""Names that `create_loss` knows."""


def dice_loss(y_true: Any, y_pred: Any, epsilon: float = EPSILON) -> Any:
    """One minus the soft Dice coefficient of each sample (eq. 1 of the paper).

    L = 1 - 2 sum(t p) / (sum(t) + sum(p) + epsilon)

    The sums run over all voxels of one sample. They are never pooled over a batch, where a volume with many laminae
    would outweigh one with few.

    Parameters
    ----------
    y_true : tensor (batch, ...)
        Truth t, 0 or 1.
    y_pred : tensor (batch, ...)
        Probability p in 0..1, of the same shape.
    epsilon : float
        Added to the denominator only: a sample with no truth has a loss of 1, not 0 / 0.

    Returns
    -------
    tensor (batch,), float32
        0 for a perfect prediction, 1 for no overlap.

    Examples
    --------
    >>> import numpy as np
    >>> t, p = np.array([[1.0, 1.0, 0.0, 0.0]]), np.array([[0.5, 0.5, 0.5, 0.5]])
    >>> round(float(dice_loss(t, p)[0]), 3)  # 1 - 2 * 1 / (2 + 2)
    0.5
    """
    from keras import ops

    truth, probability = _flat(y_true), _flat(y_pred)
    overlap = ops.sum(truth * probability, axis=1)
    return 1.0 - 2.0 * overlap / (ops.sum(truth, axis=1) + ops.sum(probability, axis=1) + epsilon)


def weighted_binary_crossentropy(y_true: Any, y_pred: Any, weight: float = POSITIVE_WEIGHT) -> Any:
    """Binary cross entropy of each sample, with more weight on the voxels of laminae.

    L = -mean(w t log(p) + (1 - t) log(1 - p)), the mean over all voxels of one sample

    Parameters
    ----------
    y_true : tensor (batch, ...)
        Truth t, 0 or 1.
    y_pred : tensor (batch, ...)
        Probability p in 0..1, of the same shape; clipped to 1e-7..1 - 1e-7.
    weight : float
        w, at least 0; 1 gives the plain cross entropy.

    Returns
    -------
    tensor (batch,), float32
    """
    from keras import ops

    truth = _flat(y_true)
    probability = ops.clip(_flat(y_pred), CLIP, 1.0 - CLIP)
    terms = weight * truth * ops.log(probability) + (1.0 - truth) * ops.log(1.0 - probability)
    return -ops.mean(terms, axis=1)


def dice_weighted_binary_crossentropy(
    y_true: Any, y_pred: Any, epsilon: float = EPSILON, weight: float = POSITIVE_WEIGHT, share: float = 1.0
) -> Any:
    """Sum of `dice_loss` and `share` times `weighted_binary_crossentropy`, one value a sample.

    Dice has next to no gradient while a lamina is missed altogether, since it sees the overlap only; the cross entropy
    has its largest there. Once laminae are found, Dice leads.

    Parameters
    ----------
    y_true, y_pred : tensor (batch, ...)
        As in the two losses.
    epsilon : float
        As in `dice_loss`.
    weight : float
        As in `weighted_binary_crossentropy`.
    share : float
        Factor of the cross entropy.

    Returns
    -------
    tensor (batch,), float32
    """
    entropy = weighted_binary_crossentropy(y_true, y_pred, weight=weight)
    return dice_loss(y_true, y_pred, epsilon=epsilon) + share * entropy


def create_loss(name: str, **parameters: float) -> keras.losses.Loss:
    """Return the loss of that name.

    Parameters
    ----------
    name : {"dice", "wbce", "dice+wbce"}
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


_CLASS_NAMES = ("DiceLoss", "WeightedBinaryCrossentropy", "DiceWeightedBinaryCrossentropy")


def _flat(values: Any) -> Any:
    """Return (batch, voxels) in float32."""
    from keras import ops

    tensor = ops.cast(ops.convert_to_tensor(values), "float32")
    return ops.reshape(tensor, (ops.shape(tensor)[0], -1))


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

    classes = (DiceLoss, WeightedBinaryCrossentropy, DiceWeightedBinaryCrossentropy)
    for kind in classes:
        kind.__qualname__ = kind.__name__  # as if defined at module level, which is where users import it from
        keras.saving.register_keras_serializable(package="LaminaSegmentation")(kind)
    return dict(zip(_CLASS_NAMES, classes))


def _in_float32(options: dict) -> dict:
    """Float32 unless a saved configuration says so itself: a bfloat16 policy would round the sums."""
    return {"dtype": "float32", **options}
