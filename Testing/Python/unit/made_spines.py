"""Laminae and spines that the tests of guidance share, made from the usual proportions."""

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.proportions import offset_mm, stations


def placed(name, *position):
    return Lamina(name, position or (1.0, 2.0, 3.0), Review.placed, Source.manual)


def found(name, confidence, source=Source.detected):
    return Lamina(name, (1.0, 2.0, 3.0), Review.unreviewed, source, confidence)


def absent(name):
    return Lamina(name, None, Review.absent, Source.manual)


def straight(vertebrae=VERTEBRAE, scale=1.0, origin=(0.0, 0.0, 0.0)):
    """Points of an adult's straight spine: laminae beside the midline, levels straight below each other."""
    points = {}
    for vertebra, station in zip(vertebrae, stations(VERTEBRAE)[: len(vertebrae)]):
        for side, sign in (("L", -1), ("R", 1)):
            points[vertebra + side] = np.array(origin) + scale * np.array([sign * offset_mm(vertebra), 0.0, -station])
    return points


def curved(seed):
    """Points of a smooth spine that winds in both planes, with its own proportions."""
    rng = np.random.default_rng(seed)
    points = straight(scale=rng.uniform(0.8, 1.1))
    lateral, depth, phase = rng.uniform(-15, 15), rng.uniform(-15, 15), rng.uniform(0, 6)
    for name, point in points.items():
        winding = np.array([lateral * np.sin(point[2] / 70 + phase), depth * np.cos(point[2] / 90 + phase), 0.0])
        points[name] = point + winding
    return points


def named(points):
    return LaminaSet.from_positions(points, Numbering())


def without(points, *names):
    return named({name: point for name, point in points.items() if name not in names})
