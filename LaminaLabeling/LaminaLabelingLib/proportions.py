"""Proportions of an adult spine: how far apart neighboring levels are, and how far laminae lie beside the midline.

Guidance scales these figures to the points that are there; the checks compare a list with itself in their light.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from LaminaLabelingLib.anatomy import is_provisional, split_name

TYPICAL_SCALE = 0.91
"""Size of a patient of 10 to 16 years relative to these adult figures, the middle of 0.82 to 1.0."""

KYPHOSIS_DEG, LORDOSIS_DEG = 30.0, 30.0
"""How far a usual spine turns from T1 to T12 and from T12 to L5; the rest of the lordosis lies below L5."""

PROVISIONAL_SPACING_MM = 22.0
"""Distance of neighboring pairs that are not numbered yet: the mean of the whole spine."""

PROVISIONAL_OFFSET_MM = 10.0

# Posterior height of the vertebral body, height of the disc below it, distance of the lamina's center from the midline.
# A 13th thoracic and a 6th lumbar vertebra are taken to be like the one above them.
_FIGURES_MM = {
    "T1": (14.1, 3.2, 10.8),
    "T2": (15.6, 3.2, 9.8),
    "T3": (15.7, 2.9, 9.2),
    "T4": (16.2, 2.7, 8.6),
    "T5": (16.2, 3.2, 8.6),
    "T6": (17.4, 3.6, 8.6),
    "T7": (18.2, 4.0, 8.6),
    "T8": (18.7, 4.4, 8.6),
    "T9": (19.3, 4.8, 8.6),
    "T10": (20.2, 5.4, 9.1),
    "T11": (21.3, 5.8, 9.7),
    "T12": (22.7, 6.5, 11.1),
    "T13": (22.7, 6.5, 11.1),
    "L1": (23.8, 7.5, 11.8),
    "L2": (24.3, 9.0, 11.9),
    "L3": (23.8, 10.0, 12.2),
    "L4": (24.1, 11.0, 12.7),
    "L5": (22.9, 11.0, 13.5),
    "L6": (22.9, 11.0, 13.5),
}


def stations(vertebrae: Sequence[str]) -> np.ndarray:
    """Return how far below the first vertebra each one lies along an adult's spine.

    Parameters
    ----------
    vertebrae : sequence of str
        Neighbors from the top down, all of them, such as `Numbering.vertebrae`; or provisional ones (``"P03"``),
        which need not be neighbors and are taken to be equally spaced by their numbers.

    Returns
    -------
    ndarray, shape (N,)
        mm from center to center, 0 for the first.
    """
    if not vertebrae:
        return np.zeros(0)
    if is_provisional(vertebrae[0] + "L"):
        numbers = np.array([int(vertebra[1:]) for vertebra in vertebrae], float)
        return (numbers - numbers[0]) * PROVISIONAL_SPACING_MM
    heights = np.array([_FIGURES_MM[vertebra][0] for vertebra in vertebrae])
    discs = np.array([_FIGURES_MM[vertebra][1] for vertebra in vertebrae])
    return np.concatenate([[0.0], np.cumsum(heights[:-1] / 2 + discs[:-1] + heights[1:] / 2)])


def offset_mm(vertebra: str) -> float:
    """Return how far an adult's laminae of a vertebra lie beside the midline."""
    if is_provisional(vertebra + "L"):
        return PROVISIONAL_OFFSET_MM
    split_name(vertebra + "L")
    return _FIGURES_MM[vertebra][2]


def half_height_mm(vertebra: str) -> float:
    """Return half the height of an adult's vertebra."""
    return PROVISIONAL_SPACING_MM / 2 if is_provisional(vertebra + "L") else _FIGURES_MM[vertebra][0] / 2


def usual_turns(vertebrae: Sequence[str]) -> np.ndarray:
    """Return how much a usual spine turns anteriorly at each vertebra, going down: kyphosis +, lordosis -.

    Parameters
    ----------
    vertebrae : sequence of str
        Provisional ones turn by 0, because where they lie is not known.

    Returns
    -------
    ndarray, shape (N,)
        Radians.
    """
    degrees = {"T": KYPHOSIS_DEG / 11, "L": -LORDOSIS_DEG / 5, "P": 0.0}
    return np.radians([degrees[vertebra[0]] for vertebra in vertebrae])
