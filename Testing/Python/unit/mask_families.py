"""Masks on which labelling is compared with SciPy: what laminae look like, and what makes labelling slow."""

import numpy as np


def serpentine(rows, columns):
    """One component as long as it can be: full rows, joined at alternating ends."""
    mask = np.zeros((rows, columns), bool)
    mask[::2] = True
    for index, row in enumerate(range(1, rows - 1, 2)):
        mask[row, -1 if index % 2 == 0 else 0] = True
    return mask


def spiral(size):
    """A path of one pixel that winds from the corner to the middle, a pixel of background between its turns."""
    mask = np.zeros((size, size), bool)
    row, column, step = 0, 0, (0, 1)
    mask[0, 0] = True
    turned = False
    while True:
        ahead = row + step[0], column + step[1]
        beyond = row + 2 * step[0], column + 2 * step[1]
        inside = all(0 <= place < size for place in ahead)
        if not inside or (all(0 <= place < size for place in beyond) and mask[beyond]):
            if turned:
                return mask
            step, turned = (step[1], -step[0]), True
            continue
        row, column = ahead
        if mask[row, column]:
            return mask
        mask[row, column] = True
        turned = False


def cubes(shape, count, seed):
    """Boxes of three voxels, touching the border now and then, as thresholded laminae are."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    for center in generator.integers(0, shape, (count, len(shape))):
        mask[tuple(slice(max(place - 1, 0), place + 2) for place in center)] = True
    return mask


def blobs(shape, share, seed, scale=2.0):
    """Smooth random shapes that cover a share of the grid."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), scale)
    return field > np.quantile(field, 1.0 - share)


def families(rows=96, columns=48):
    """The five families of the benchmark, as 2D masks (rows, columns)."""
    generator = np.random.default_rng(0)
    return {
        "cubes": cubes((rows, columns), 34, 1),
        "blobs": blobs((rows, columns), 0.3, 2),
        "noise": generator.random((rows, columns)) < 0.4,
        "serpentine": serpentine(rows, columns),
        "spiral": np.pad(spiral(min(rows, columns)), ((0, rows - min(rows, columns)), (0, 0))),
    }
