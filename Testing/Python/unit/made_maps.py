"""Probability maps with cubes where the laminae of a made-up spine are."""

import numpy as np

from LaminaLabelingLib.volumes import Volume

SHAPE = (384, 96, 48)


def grid(spacing=(1.0, 1.0, 1.0)):
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[0, 1], matrix[1, 2], matrix[3, 3] = -spacing[0], spacing[1], spacing[2], 1.0
    return Volume(array=np.zeros(SHAPE, np.float32), matrix=matrix, axes="ARI", name="grid")


def straight_column(volume, lateral=48.0):
    rows = np.arange(0, SHAPE[0], 5.0)
    return volume.to_world(np.stack([rows, np.full_like(rows, lateral), np.full_like(rows, 20.0)], axis=-1))


def whole_spine(spacing=21.0, first=15.0, levels=17):
    """Index positions of the laminae, T1L, T1R, T2L, ..., whose spacing grows downwards around its mean."""
    gaps = np.linspace(0.7, 1.3, levels - 1) * spacing * 16 / (levels - 1)
    rows = np.round(first + np.concatenate([[0.0], np.cumsum(gaps)]))
    return np.array([[row, 48 + side * 10, 20] for row in rows for side in (-1, 1)], float)


def probability_of(points, values=1.0):
    """A cube of 27 voxels for each point, of one value or each of its own; where two overlap, the larger one counts."""
    result = np.zeros(SHAPE, np.float32)
    points = np.asarray(points, float).reshape(-1, 3)
    for point, value in zip(points, np.broadcast_to(values, len(points))):
        low, high = np.maximum(np.round(point).astype(int) - 1, 0), np.round(point).astype(int) + 2
        cube = result[tuple(slice(a, b) for a, b in zip(low, high))]
        np.maximum(cube, np.float32(value), out=cube)
    return result


def names_of(result):
    return list(result.laminae.positions())


def opposite_of(name):
    return name[:-1] + {"L": "R", "R": "L"}[name[-1]]
