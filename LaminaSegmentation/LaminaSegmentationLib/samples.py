"""Samples for training: crops of network grids, their labels, and augmentation.

The paper's only augmentation is the flip along the sagittal plane with probability 0.5; all others are ours and off by
default. Positions are grid voxels throughout, (0, 0, 0) being the center of the first voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from LaminaLabelingLib.errors import LaminaError

from .network import DIVISOR

CUBE = 3
"""Voxels along an edge of the label around each centroid (the paper's Section II)."""


class Case(Protocol):
    """What training needs of a scan; any object with these attributes will do.

    Attributes
    ----------
    grid : array (SI, LR, PA), float16 or float32
        Preprocessed intensities: zero mean and unit variance over the scanned voxels, 0 where nothing was scanned.
    centroids : array (N, 3)
        Lamina centers in grid voxels.
    """

    grid: np.ndarray
    centroids: np.ndarray


@dataclass(frozen=True)
class TrainingCase:
    """The plainest `Case`."""

    grid: np.ndarray
    centroids: np.ndarray
    name: str = ""


@dataclass(frozen=True)
class Augmentation:
    """How samples are varied. The defaults are the paper's.

    Parameters
    ----------
    crop_rows : int, optional
        Rows along SI of a random crop, a multiple of 8; None takes the whole grid. Crops make a step on a CPU cheaper
        and each step different; the network is fully convolutional, so its weights fit the whole grid.
    flip_probability : float
        Probability of reversing axis 1 (left and right).
    shift : int
        Largest shift along each axis, in voxels; what moves in is 0, as if never scanned.
    gain : float
        Intensities are multiplied by a factor drawn from 1 - gain .. 1 + gain.
    noise : float
        Standard deviation of Gaussian noise on scanned voxels, in units of the normalized intensity.
    band_probability : float
        Probability of blanking a band along SI, as a lifted probe does. The labels stay: the truth lists laminae that
        a scan does not show, too.
    band_rows : int
        Largest height of that band in rows.
    """

    crop_rows: int | None = None
    flip_probability: float = 0.5
    shift: int = 0
    gain: float = 0.0
    noise: float = 0.0
    band_probability: float = 0.0
    band_rows: int = 16

    def __post_init__(self) -> None:
        if self.crop_rows is not None and (self.crop_rows < DIVISOR or self.crop_rows % DIVISOR):
            raise LaminaError(f"The rows of a training crop must be a multiple of {DIVISOR}, not {self.crop_rows}.")
        for name in ("flip_probability", "band_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise LaminaError(f"{name} is a probability and must lie in 0..1, not {getattr(self, name)}.")
        for field in fields(self)[2:]:
            if getattr(self, field.name) < 0:
                raise LaminaError(f"{field.name} must not be negative: {getattr(self, field.name)}.")


def cube_labels(shape: Sequence[int], centroids: np.ndarray) -> np.ndarray:
    """Stamp a 3x3x3 cube around each centroid.

    Parameters
    ----------
    shape : sequence of three int
        Voxels of the label grid.
    centroids : array (N, 3)
        Centers in voxels, rounded to the nearest voxel (halves up). Cubes are clipped at the border; a center outside
        the grid leaves the part of its cube that is inside.

    Returns
    -------
    array of uint8
        1 in the cubes, 0 elsewhere.
    """
    labels = np.zeros(tuple(shape), np.uint8)
    half = CUBE // 2
    centers = np.floor(np.asarray(centroids, float).reshape(-1, 3) + 0.5).astype(int)
    for center in centers:
        low, high = np.maximum(center - half, 0), np.maximum(center + half + 1, 0)
        labels[tuple(slice(first, last) for first, last in zip(low, high))] = 1
    return labels


def draw_sample(
    case: Case, augmentation: Augmentation, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one augmented sample of a case.

    Parameters
    ----------
    case : Case
    augmentation : Augmentation
    generator : numpy.random.Generator
        The only source of randomness, so that a seed determines the sample.

    Returns
    -------
    grid : array (rows, LR, PA), float32
    labels : array (rows, LR, PA), float32
        0 and 1.

    Raises
    ------
    LaminaError
        If the crop is taller than the grid.
    """
    rows = case.grid.shape[0]
    height = rows if augmentation.crop_rows is None else augmentation.crop_rows
    if height > rows:
        raise LaminaError(f"The training crop has {height} rows, the grid only {rows}: choose a smaller crop.")
    start = int(generator.integers(0, rows - height + 1))
    grid = np.array(case.grid[start : start + height], dtype=np.float32)
    centroids = np.asarray(case.centroids, float).reshape(-1, 3) - (start, 0.0, 0.0)

    if augmentation.shift:
        offset = generator.integers(-augmentation.shift, augmentation.shift + 1, size=3)
        grid, centroids = _shifted(grid, offset), centroids + offset
    labels = cube_labels(grid.shape, centroids).astype(np.float32)
    _vary_intensities(grid, augmentation, generator)
    if generator.random() < augmentation.flip_probability:
        grid, labels = grid[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(grid), np.ascontiguousarray(labels)


def _shifted(grid: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Move a grid by whole voxels; 0 moves in."""
    moved = np.zeros_like(grid)
    target = tuple(slice(max(step, 0), size + min(step, 0)) for step, size in zip(offset, grid.shape))
    source = tuple(slice(max(-step, 0), size + min(-step, 0)) for step, size in zip(offset, grid.shape))
    moved[target] = grid[source]
    return moved


def _vary_intensities(grid: np.ndarray, augmentation: Augmentation, generator: np.random.Generator) -> None:
    """Change scanned voxels in place; exact zeros were never scanned and stay so."""
    if augmentation.gain:
        grid *= generator.uniform(1.0 - augmentation.gain, 1.0 + augmentation.gain)
    if augmentation.noise:
        scanned = grid != 0
        grid[scanned] += generator.normal(0.0, augmentation.noise, int(scanned.sum()))
    if augmentation.band_probability and generator.random() < augmentation.band_probability:
        height = int(generator.integers(1, max(augmentation.band_rows, 1) + 1))
        start = int(generator.integers(0, max(grid.shape[0] - height, 0) + 1))
        grid[start : start + height] = 0.0
