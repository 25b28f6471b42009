"""Spines with made-up laminae for the tests of the checks, and the mistakes that people make in them."""

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.checks import check
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.proportions import offset_mm, stations, usual_turns


def straight(scale=1.0):
    """A spine whose levels lie straight below each other in the coronal plane and bend as usual in the sagittal one."""
    places = stations(VERTEBRAE)
    turned = np.cumsum(usual_turns(VERTEBRAE))
    depth = np.concatenate([[0], np.cumsum(np.diff(places) * (turned[:-1] + turned[1:]) / 2)])
    depth -= places * depth[-1] / places[-1]
    points = {}
    for vertebra, station, front in zip(VERTEBRAE, places, depth):
        for side, sign in (("L", -1), ("R", 1)):
            points[vertebra + side] = scale * np.array([sign * offset_mm(vertebra), front, -station])
    return points


def named(points):
    return LaminaSet.from_positions(points, Numbering())


def findings(points):
    return [(finding.kind, finding.name, finding.others) for finding in check(named(points))]


def shifted(points, name, *by):
    return points | {name: points[name] + by}


def exchanged(points, first, second):
    return points | {first: points[second], second: points[first]}


def renamed_from(points, level, by):
    """Points whose levels from one on carry the names of others; names outside the spine fall off."""
    moved = {}
    for name, point in points.items():
        index = VERTEBRAE.index(name[:-1])
        index += by if index >= level else 0
        if index < len(VERTEBRAE):
            moved[VERTEBRAE[index] + name[-1]] = point
    return moved
