"""Losses of voxelwise overlap: Dice, weighted binary cross entropy, and their sum."""

from __future__ import annotations

from typing import Any

EPSILON = 1e-6
"""Keeps the Dice quotient finite for a sample with neither truth nor prediction."""

CLIP = 1e-7
"""Probabilities stay this far from 0 and 1 in a logarithm; 1 - 1e-7 is still a float32."""

POSITIVE_WEIGHT = 50.0
"""Weight of a lamina voxel in the cross entropy.

The paper gives none. Balancing the classes would take 1927, the ratio of background to foreground, with which the
network learns to predict blobs that are much too large.
"""


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

    truth, probability = flat(y_true), flat(y_pred)
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

    truth = flat(y_true)
    probability = ops.clip(flat(y_pred), CLIP, 1.0 - CLIP)
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


def flat(values: Any) -> Any:
    """Return (batch, voxels) in float32."""
    from keras import ops

    tensor = ops.cast(ops.convert_to_tensor(values), "float32")
    return ops.reshape(tensor, (ops.shape(tensor)[0], -1))
