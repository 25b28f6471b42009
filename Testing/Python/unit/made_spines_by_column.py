"""Spines drawn from a shape model, as candidates beside a column: what the whole-spine fit is tested on."""

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE
from LaminaSegmentationLib.candidates import Candidate
from LaminaSegmentationLib.shape_model import generic_shape

NUMBERS = np.repeat(np.arange(len(VERTEBRAE)), 2)
SIDES = np.tile([-1.0, 1.0], len(VERTEBRAE))
NAMES = [vertebra + side for vertebra in VERTEBRAE for side in "LR"]


def draw(rng, shape=None, size=1.0):
    """Along, lateral and depth of 34 laminae by name, T1 at about 15 mm and 20 mm deep."""
    shape = shape or generic_shape()
    mean, covariance = shape.moments(NUMBERS, SIDES, size)
    places = np.zeros((34, 3))
    for axis in range(3):
        # Without the free part, which says only that a spine may lie anywhere.
        centered = covariance[axis] - covariance[axis].min() if axis == 0 else covariance[axis]
        values, vectors = np.linalg.eigh(centered)
        keep = values < 1e4
        drawn = vectors[:, keep] @ (np.sqrt(np.maximum(values[keep], 0.0)) * rng.normal(size=keep.sum()))
        places[:, axis] = mean[axis] + drawn + rng.normal(0.0, 0.5 * shape.noise[axis], 34)
    places[:, 0] += 15.0 - places[:2, 0].mean()
    places[:, 2] += 20.0 - places[:2, 2].mean()
    return dict(zip(NAMES, places))


def candidate(place, confidence=0.97):
    """A candidate at along, lateral and depth; its index and its position are that place too."""
    place = np.asarray(place, float)
    return Candidate(place, place, 27, confidence, *map(float, place))


def candidates_of(places, confidence=0.97):
    return [candidate(place, confidence) for place in (places.values() if isinstance(places, dict) else places)]
