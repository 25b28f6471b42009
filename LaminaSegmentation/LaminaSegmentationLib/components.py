"""Connected components of masks, on whatever device Keras computes.

Written with `keras.ops` and static shapes only, so that a loss can label its projections inside a compiled training
step: a callback to the host fails there. The method is max-pool propagation, with hooking and pointer jumping in place
of plain repetition, which needs as many rounds as a serpentine is long:

1. Each voxel of the mask points at itself. A set of voxels that point at one root is a tree.
2. Hooking: the root of each tree points at the largest root next to any voxel of its tree.
3. Pointer jumping: every pointer is replaced by the pointer that it points at, until each points at a root again.
4. Steps 2 and 3 repeat until no voxel has a neighbor in another tree.

Two rounds at least halve the trees of a component. Of its trees, let `a` have no larger neighbor and `b` have one. The
first round leaves the `a` roots. One of these that no tree hooked to was passed over by a neighbor for a larger root,
so it has a larger neighbor now and goes in the second round: at most `min(a, b)` are left. A mask of 2^24 voxels is
thus done after 48 rounds. That is the bound of the loop, which cannot cut a result short.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from LaminaLabelingLib.errors import LaminaError

MOST_VOXELS = 2**24
"""Voxels of one batch of masks. float32 holds larger indices no longer exactly.

Indices are float32 because Keras reduces segments in float32 on PyTorch whatever it is given, and because TensorFlow
computes with int32 on the host, not on the GPU, unless XLA compiles the step.
"""

MOST_ROUNDS = 2 * 24 + 1
"""Two rounds for each halving of `MOST_VOXELS` trees, and one in which nothing changes."""

MOST_JUMPS = 24 + 1
"""Each jump halves a path of pointers, which visits no voxel twice."""


class Components(NamedTuple):
    """Connected components of a batch of masks.

    Attributes
    ----------
    labels : tensor (batch, ...), int32
        0 outside the mask, 1 to the sample's count within.
    counts : tensor (batch,), int32
    rounds : tensor (), int32
        Rounds of hooking that the batch took, 1 at least.
    """

    labels: Any
    counts: Any
    rounds: Any


class Centroids(NamedTuple):
    """Where the components of a batch are.

    Attributes
    ----------
    positions : tensor (batch, bound, axes), float32
        Unweighted mean index of the voxels of component i + 1, in voxels; 0 where there is no such component.
    sizes : tensor (batch, bound), float32
        Voxels; 0 where there is no such component.
    """

    positions: Any
    sizes: Any


def label_components(masks: Any, connectivity: int | None = None) -> Components:
    """Label the connected components of each mask of a batch.

    Parameters
    ----------
    masks : tensor (batch, rows, columns) or (batch, rows, columns, layers)
        Voxels other than 0 are in the mask. At most 2^24 voxels altogether.
    connectivity : {4, 8, 6, 26}, optional
        Neighbors of a pixel (4, 8) or of a voxel (6, 26). None counts diagonal ones, as 8 and 26 do.

    Returns
    -------
    Components
        Numbered without gaps, in no particular order.

    Raises
    ------
    LaminaError
        If the masks have another number of axes, too many voxels, or the connectivity does not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]])
    >>> [int(label_components(mask, connectivity).counts[0]) for connectivity in (8, 4)]
    [2, 3]
    """
    from keras import ops

    mask = ops.not_equal(ops.convert_to_tensor(masks), 0)
    shape = ops.shape(mask)
    diagonal = _diagonal(len(shape) - 1, connectivity)
    total = _checked_total(shape)
    inside = ops.reshape(mask, (-1,))

    def largest_neighbor(root: Any) -> Any:
        grid = ops.reshape(ops.where(inside, root, -1.0), shape)
        return ops.where(inside, ops.reshape(_neighborhood_maximum(grid, diagonal), (-1,)), root)

    return _number(*_merge(largest_neighbor, total), mask)


def label_points(points: Any, valid: Any) -> Components:
    """Label the connected components of a few voxels that are given by their indices, diagonal neighbors included.

    Cheaper than `label_components` for a sparse mask on a large grid: it compares each voxel with each.

    Parameters
    ----------
    points : tensor (batch, n, axes)
        Indices of the voxels.
    valid : tensor (batch, n), bool
        Which of them to label.

    Returns
    -------
    Components
        Labels of shape (batch, n).
    """
    from keras import ops

    points = ops.convert_to_tensor(points)
    shape = ops.shape(valid)
    apart = ops.max(ops.abs(points[:, :, None, :] - points[:, None, :, :]), axis=-1)
    inside = ops.reshape(valid, (-1,))
    # Voxels that are not valid have a -1 to offer, which no voxel takes.
    beside = apart <= 1

    def largest_neighbor(root: Any) -> Any:
        offered = ops.reshape(ops.where(inside, root, -1.0), (shape[0], 1, shape[1]))
        best = ops.max(ops.where(beside, offered, -1.0), axis=-1)
        return ops.where(inside, ops.reshape(best, (-1,)), root)

    return _number(*_merge(largest_neighbor, _checked_total(shape)), valid)


def most_components(sizes: Any, connectivity: int | None = None) -> Any:
    """Return how many components a mask can have at most.

    Parameters
    ----------
    sizes : sequence of int
        Voxels along each axis.
    connectivity : {4, 8, 6, 26}, optional
        As in `label_components`.

    Returns
    -------
    int
        One for each block of two voxels an axis with diagonal neighbors, else every second voxel.
    """
    if _diagonal(len(sizes), connectivity):
        return math.prod((size + 1) // 2 for size in sizes)
    return (math.prod(sizes) + 1) // 2


def component_centroids(labels: Any, bound: int) -> Centroids:
    """Return centroid and size of each component.

    Parameters
    ----------
    labels : tensor (batch, ...), int32
        As `label_components` gives them.
    bound : int
        Components to return for each sample; those with larger labels are left out. `most_components` leaves out none.

    Returns
    -------
    Centroids
        The sums are exact, whatever the size of a component; the quotient is rounded to float32.
    """
    from keras import ops

    shape = ops.shape(labels)
    batch, sizes = shape[0], shape[1:]
    # Segment 0 of each sample takes the background, and what exceeds the bound.
    number = ops.where(labels > bound, 0, labels)
    first = ops.reshape(ops.arange(batch, dtype="int32") * (bound + 1), (batch, *[1] * len(sizes)))
    segment = ops.reshape(number + first, (-1,))

    def total(values: Any) -> Any:
        values = ops.reshape(ops.broadcast_to(values, shape), (-1,))
        sums = ops.segment_sum(values, segment, batch * (bound + 1))
        return ops.reshape(sums, (batch, bound + 1))[:, 1:]

    count = total(ops.ones([1] * len(shape), dtype="float32"))
    sums = []
    for axis, size in enumerate(sizes):
        ends = [1] * len(shape)
        ends[axis + 1] = size
        index = ops.arange(size, dtype="int32")
        parts = [
            total(ops.reshape(ops.cast(digit, "float32"), ends)) * float(factor)
            for factor, digit in _digits(index, size, sizes)
        ]
        sums.append(sum(parts[1:], parts[0]))
    mean = ops.stack(sums, axis=-1) / ops.maximum(count, 1.0)[..., None]
    return Centroids(mean, count)


def _merge(largest_neighbor: Callable[[Any], Any], total: Any) -> tuple[Any, Any]:
    """Return the root of each voxel's component and the rounds taken.

    `largest_neighbor` gives the largest of the roots of each voxel and of its neighbors.
    """
    from keras import ops

    own = ops.cast(ops.arange(total, dtype="int32"), "float32")

    def unfinished(root: Any, neighbor: Any, rounds: Any) -> Any:
        return ops.any(ops.not_equal(root, neighbor))

    def hook(root: Any, neighbor: Any, rounds: Any) -> tuple[Any, Any, Any]:
        index = ops.cast(root, "int32")
        # Voxels that are no root have no segment and get some lowest value; they keep pointing at themselves.
        tree = ops.maximum(ops.segment_max(neighbor, index, total), own)
        root = ops.take(_jump(tree), index)
        return root, largest_neighbor(root), rounds + 1

    # In the first round every tree is one voxel: there is nothing to collect over its voxels.
    root = _jump(largest_neighbor(own))
    state = (root, largest_neighbor(root), ops.convert_to_tensor(1, dtype="int32"))
    root, _, rounds = ops.while_loop(unfinished, hook, state, maximum_iterations=MOST_ROUNDS)
    return root, rounds


def _number(root: Any, rounds: Any, mask: Any) -> Components:
    """Turn roots into labels that count from 1 in each sample."""
    from keras import ops

    shape = ops.shape(mask)
    index = ops.cast(root, "int32")
    inside = ops.reshape(mask, (-1,))
    is_root = ops.logical_and(inside, ops.equal(index, ops.arange(math.prod(shape), dtype="int32")))
    is_root = ops.reshape(ops.cast(is_root, "int32"), (shape[0], -1))
    numbers = ops.reshape(ops.cast(ops.cumsum(is_root, axis=1), "int32"), (-1,))
    labels = ops.reshape(ops.where(inside, ops.take(numbers, index), 0), shape)
    return Components(labels, ops.cast(ops.sum(is_root, axis=1), "int32"), rounds)


def _digits(index: Any, size: Any, sizes: Any) -> list[tuple[int, Any]]:
    """Split indices into digits whose sums over a whole mask stay below 2^24, which float32 adds up exactly."""
    if not all(isinstance(length, int) for length in sizes):
        return [(1, index)]
    base = MOST_VOXELS // math.prod(sizes) + 1
    digits, factor = [], 1
    while not digits or factor < size:
        digits.append((factor, index // factor % base if size > base else index))
        factor *= base
    return digits


def _diagonal(axes: int, connectivity: int | None) -> bool:
    """Tell whether diagonal neighbors count; raise LaminaError for what does not fit masks of so many axes."""
    known = {2: (4, 8), 3: (6, 26)}
    if axes not in known:
        raise LaminaError(
            f"Components are labeled in masks of two or three axes and a batch axis before them, not of {axes}."
        )
    if connectivity is not None and connectivity not in known[axes]:
        choices = " or ".join(map(str, known[axes]))
        raise LaminaError(
            f"A mask of {axes} axes has no connectivity of {connectivity}; choose {choices}, or None for "
            f"{known[axes][1]}."
        )
    return connectivity is None or connectivity == known[axes][1]


def _checked_total(shape: Any) -> Any:
    total = math.prod(shape)
    if isinstance(total, int) and total > MOST_VOXELS:
        raise LaminaError(
            f"{total} voxels are too many to label at once, the most is {MOST_VOXELS}: label fewer masks at a time, "
            "or crop them."
        )
    return total


def _neighborhood_maximum(grid: Any, diagonal: bool) -> Any:
    """Return the largest value among each voxel and its neighbors; axis 0 is the batch."""
    from keras import ops

    result = grid
    for axis in range(1, len(ops.shape(grid))):
        along = _line_maximum(result if diagonal else grid, axis)
        result = along if diagonal else ops.maximum(result, along)
    return result


def _line_maximum(grid: Any, axis: int) -> Any:
    """Return the largest value among each voxel and the two beside it along one axis."""
    from keras import ops

    def part(start: int | None, stop: int | None) -> Any:
        return grid[(slice(None),) * axis + (slice(start, stop),)]

    # One maximum for each pair of voxels side by side; a voxel is in two pairs, the first and the last in one.
    pairs = ops.maximum(part(None, -1), part(1, None))
    before = ops.concatenate([part(None, 1), pairs], axis=axis)
    after = ops.concatenate([pairs, part(-1, None)], axis=axis)
    return ops.maximum(before, after)


def _jump(tree: Any) -> Any:
    """Follow each pointer to its root."""
    from keras import ops

    def jump(pointer: Any) -> Any:
        return ops.take(pointer, ops.cast(pointer, "int32"))

    def moving(before: Any, after: Any) -> Any:
        return ops.any(ops.not_equal(before, after))

    return ops.while_loop(
        moving, lambda before, after: (after, jump(after)), (tree, jump(tree)), maximum_iterations=MOST_JUMPS
    )[1]
