"""The paper's centroid-based distance loss (Wong et al., Section III.A, equations 1 to 6)."""

from __future__ import annotations

import math
from typing import Any

from ..components import component_centroids, label_components, most_components
from .overlap import EPSILON, dice_loss

THRESHOLD = 0.5

_CHUNK = 32
# Truths whose distances are computed at once: 34 laminae make two chunks, and the table stays small on any grid.


def centroid_loss(y_true: Any, y_pred: Any, threshold: float = THRESHOLD, epsilon: float = EPSILON) -> Any:
    """Dice loss times the distance between centroids times the difference of their number (eq. 6).

    L_c = L_D L_d L_N, with the factors of `dice_loss` and `centroid_factors`.

    Only L_D has a gradient: components and their centroids are piecewise constant in the prediction. The gradient of
    the loss is therefore (L_d L_N) times that of Dice. It points where Dice points, and makes longer steps for volumes
    whose centroids are far off or whose number of components is wrong; it does not pull a centroid towards a lamina.
    The distance does its other work as the validation loss, where it chooses the epoch with the best centroids.

    Parameters
    ----------
    y_true : tensor (batch, SI, LR, PA, 1)
        Truth, 0 or 1.
    y_pred : tensor (batch, SI, LR, PA, 1)
        Probability in 0..1.
    threshold : float
        A voxel is predicted when its probability is at least this.
    epsilon : float
        As in `dice_loss`.

    Returns
    -------
    tensor (batch,), float32
        0 for centroids that all coincide; early in training up to 1e4, which is why it must not be float16.
    """
    from keras import ops

    distance, number = centroid_factors(y_true, y_pred, threshold)
    return dice_loss(y_true, y_pred, epsilon=epsilon) * ops.stop_gradient(distance * number)


def centroid_factors(y_true: Any, y_pred: Any, threshold: float = THRESHOLD) -> tuple[Any, Any]:
    """Return the distance loss L_d (eq. 4) and the penalty on the number of components L_N (eq. 5).

    Truth and thresholded prediction are projected by logical OR along PA (coronal) and along LR (sagittal). In each
    projection, d is the mean over the true components of the distance from their centroid to the nearest predicted
    one, in voxels (eqs. 2 and 3; 8-connectivity, unweighted centroids); L_d = d_c + d_s, and
    L_N = max(1, |difference of their numbers in the coronal projection| + |the same in the sagittal one|).

    Where the paper is silent:

    * without a predicted component, each distance is the diagonal of the projection (395.8 and 387.0 voxels on the
      grid of 384 x 96 x 48);
    * without a true component, L_d is 1, or the product would vanish whatever is predicted; L_N counts the false ones.

    Parameters
    ----------
    y_true, y_pred : tensor (batch, SI, LR, PA, 1)
    threshold : float

    Returns
    -------
    distance, number : tensor (batch,), float32
        Neither has a gradient.
    """
    from keras import ops

    truth = ops.convert_to_tensor(y_true)[..., 0] >= THRESHOLD
    prediction = ops.stop_gradient(ops.convert_to_tensor(y_pred))[..., 0] >= threshold
    batch = ops.shape(truth)[0]
    distances, differences = [], []
    for axis in (3, 2):
        # One call labels both: the truth's projections first, the prediction's behind them.
        masks = ops.concatenate([ops.any(truth, axis=axis), ops.any(prediction, axis=axis)], axis=0)
        found = label_components(masks)
        sizes = ops.shape(masks)[1:]
        positions = component_centroids(found.labels, most_components(sizes)).positions
        distances.append(_mean_nearest_distance(positions, found.counts, batch, _diagonal(sizes)))
        differences.append(ops.abs(found.counts[:batch] - found.counts[batch:]))
        counts = found.counts[:batch]
    distance = ops.where(counts > 0, distances[0] + distances[1], 1.0)
    number = ops.maximum(ops.cast(differences[0] + differences[1], "float32"), 1.0)
    return ops.stop_gradient(distance), ops.stop_gradient(number)


def _diagonal(shape: tuple) -> Any:
    from keras import ops

    if all(isinstance(size, int) for size in shape):
        return math.hypot(*shape)
    return ops.sqrt(ops.cast(shape[0] ** 2 + shape[1] ** 2, "float32"))


def _mean_nearest_distance(positions: Any, counts: Any, batch: Any, diagonal: Any) -> Any:
    """Return the mean over the true components of the distance to the nearest predicted one, (batch,)."""
    from keras import ops

    true, predicted = positions[:batch], positions[batch:]
    true_count, predicted_count = counts[:batch], counts[batch:]
    capacity = ops.shape(predicted)[1]
    empty = ops.arange(capacity, dtype="int32")[None, :] >= predicted_count[:, None]
    # Rows are added so that the last chunk is full; no true component is among them.
    true = ops.pad(true, [[0, 0], [0, _CHUNK], [0, 0]])

    def unfinished(first, total):
        return first < ops.max(true_count)

    def one_chunk(first, total):
        rows = first + ops.arange(_CHUNK, dtype="int32")
        chunk = ops.take(true, rows, axis=1)
        square = 0.0
        for axis in range(2):
            square += (chunk[:, :, None, axis] - predicted[:, None, :, axis]) ** 2
        nearest = ops.sqrt(ops.min(ops.where(empty[:, None, :], diagonal**2, square), axis=2))
        counted = rows[None, :] < true_count[:, None]
        return first + _CHUNK, total + ops.sum(ops.where(counted, nearest, 0.0), axis=1)

    start = (ops.convert_to_tensor(0, dtype="int32"), ops.cast(ops.zeros_like(true_count), "float32"))
    _, total = ops.while_loop(unfinished, one_chunk, start)
    return total / ops.cast(ops.maximum(true_count, 1), "float32")
