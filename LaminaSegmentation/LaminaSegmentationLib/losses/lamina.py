"""A differentiable loss that gives every lamina the same say (ours)."""

from __future__ import annotations

from typing import Any

from ..components import component_centroids, label_components, label_points
from .overlap import EPSILON

MOST_LAMINAE = 256
"""Components of the truth that become laminae; a spine has 34."""

_CUBE_VOXELS = 27.0
# Truths with at most this many voxels are labelled point by point: 34 cubes have 918.
_FEW_VOXELS = 2048


def lamina_dice(y_true: Any, y_pred: Any, distance_weight: float = 0.0, epsilon: float = EPSILON) -> Any:
    """Mean over the laminae of one minus the soft Dice coefficient in each lamina's own territory.

    The territory of a lamina is its Voronoi cell: the voxels that are nearer to its centroid than to any other. In
    plain Dice a missed lamina costs 1/34 and its gradient is diluted by all that is found; here it costs its full
    term, and a false positive counts against the lamina in whose territory it lies.

    L = mean over laminae l of (1 - 2 sum_l(t p) / (sum_l(t) + sum_l(p) + epsilon) + w |c_l - g_l|)

    with the soft centroid c_l = sum_l(p x) / sum_l(p), the true centroid g_l, and w = `distance_weight`.

    Parameters
    ----------
    y_true : tensor (batch, SI, LR, PA, 1)
        Truth, 0 or 1; each component (26-connectivity) is a lamina, up to `MOST_LAMINAE` of them.
    y_pred : tensor (batch, SI, LR, PA, 1)
        Probability in 0..1.
    distance_weight : float
        Weight of the distance between the soft and the true centroid, a voxel. Unlike the distance of the centroid
        loss it has a gradient. 0 leaves it out.
    epsilon : float
        Added to both denominators.

    Returns
    -------
    tensor (batch,), float32
        In 0..1 without the distance. A sample without truth has the loss P / (P + 27), P being the sum of its
        probabilities: 0 only where nothing is predicted, 0.5 for one false cube.
    """
    from keras import ops

    truth = ops.cast(ops.convert_to_tensor(y_true)[..., 0] >= 0.5, "float32")
    probability = ops.cast(ops.convert_to_tensor(y_pred)[..., 0], "float32")
    shape = tuple(ops.shape(truth))
    batch = shape[0]
    centroids, counts = _laminae(truth, shape)
    rows = voronoi_territories(centroids, counts, shape[1:])
    rows = ops.reshape(rows + MOST_LAMINAE * ops.reshape(ops.arange(batch, dtype="int32"), (batch, 1, 1, 1)), (-1,))

    def summed(values):
        sums = ops.segment_sum(ops.reshape(values, (-1,)), rows, batch * MOST_LAMINAE)
        return ops.reshape(sums, (batch, MOST_LAMINAE))

    mass = summed(probability)
    loss = 1.0 - 2.0 * summed(truth * probability) / (summed(truth) + mass + epsilon)
    if distance_weight:
        squares = 0.0
        for axis in range(3):
            soft = summed(probability * _coordinate(shape, axis)) / (mass + epsilon)
            squares += (soft - centroids[..., axis]) ** 2
        # The root has no gradient at 0, where a soft centroid is exact.
        loss += distance_weight * ops.sqrt(squares + epsilon)
    lamina = ops.arange(MOST_LAMINAE, dtype="int32")[None, :] < counts[:, None]
    total = ops.sum(ops.where(lamina, loss, 0.0), axis=1)
    mean = total / ops.cast(ops.clip(counts, 1, MOST_LAMINAE), "float32")
    false = ops.sum(probability, axis=(1, 2, 3))
    return ops.where(counts > 0, mean, false / (false + _CUBE_VOXELS))


def _laminae(truth: Any, shape: tuple) -> tuple[Any, Any]:
    """Return the centroids of the true laminae (batch, `MOST_LAMINAE`, 3) and their number (batch,)."""
    from keras import ops

    def dense() -> tuple[Any, Any]:
        labels, counts, _ = label_components(truth)
        return component_centroids(labels, MOST_LAMINAE).positions, counts

    def sparse() -> tuple[Any, Any]:
        # Padded, because a grid may have fewer voxels, and a compiled step need not know how many.
        flat = ops.pad(ops.reshape(truth, (shape[0], -1)), [[0, 0], [0, _FEW_VOXELS]])
        values, index = ops.top_k(flat, _FEW_VOXELS)
        index = ops.cast(index, "int32")
        inner = shape[2] * shape[3]
        points = ops.stack([index // inner, index % inner // shape[3], index % shape[3]], axis=-1)
        labels, counts, _ = label_points(points, values > 0)
        # Voxels of a component against all components: a small table, and sums of small numbers.
        belongs = ops.equal(labels[:, :, None], ops.arange(1, MOST_LAMINAE + 1, dtype="int32")[None, None, :])
        belongs = ops.cast(belongs, "float32")
        sums = ops.einsum("bnl,bna->bla", belongs, ops.cast(points, "float32"))
        return sums / ops.maximum(ops.sum(belongs, axis=1), 1.0)[..., None], counts

    # Labelling the whole grid would take longer than the rest of the loss, and the truth is next to empty.
    few = ops.max(ops.sum(truth, axis=(1, 2, 3))) <= _FEW_VOXELS
    return ops.cond(few, sparse, dense)


def voronoi_territories(centroids: Any, counts: Any, shape: tuple) -> Any:
    """Assign every voxel to the nearest of a sample's centroids.

    Parameters
    ----------
    centroids : tensor (batch, capacity, 3)
        In voxels; rows from the sample's count on are ignored.
    counts : tensor (batch,), int32
    shape : tuple of three
        Voxels of the grid.

    Returns
    -------
    int32 tensor (batch, \\*shape)
        Row of the nearest centroid, the first of several equally near; 0 everywhere in a sample without any.
    """
    from keras import ops

    centroids, counts = ops.convert_to_tensor(centroids), ops.convert_to_tensor(counts)
    batch = ops.shape(centroids)[0]
    grids = [_coordinate((batch, *shape), axis) for axis in range(3)]

    def unfinished(row, nearest, territory):
        return row < ops.minimum(ops.max(counts), ops.shape(centroids)[1])

    def one_centroid(row, nearest, territory):
        center = ops.take(centroids, row, axis=1)
        # Axis by axis: only the last sum has the size of the grid.
        square = sum((grid - center[:, axis, None, None, None]) ** 2 for axis, grid in enumerate(grids))
        nearer = ops.logical_and(square < nearest, (row < counts)[:, None, None, None])
        return row + 1, ops.where(nearer, square, nearest), ops.where(nearer, row, territory)

    far = ops.full((batch, *shape), 1e12, dtype="float32")
    start = (ops.convert_to_tensor(0, dtype="int32"), far, ops.zeros((batch, *shape), dtype="int32"))
    return ops.while_loop(unfinished, one_centroid, start)[2]


def _coordinate(shape: tuple, axis: int) -> Any:
    """Return the index along one spatial axis, of a shape that broadcasts over (batch, SI, LR, PA)."""
    from keras import ops

    wanted = [1, 1, 1, 1]
    wanted[axis + 1] = shape[axis + 1]
    return ops.reshape(ops.arange(shape[axis + 1], dtype="float32"), tuple(wanted))
