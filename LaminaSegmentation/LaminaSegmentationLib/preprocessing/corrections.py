"""What a person has put right by hand in the preprocessing of one scan, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

from .footprint import Survey
from .top_layer import TopLayer

PARTS = {
    "column": "spinous process column",
    "top_layer": "top layer",
    "region": "region of interest",
}
"""What can be corrected: the keys of the file, and what they are called."""

_REGION_KEYS = ("center_ras_mm", "size_mm", "directions")
# A point that was dragged over the rim of the scan is meant to lie on it.
_BESIDE_MM = 5.0
_LEAST_DETERMINANT = 0.1
# Nothing lies farther away; sums and products of what does could overflow.
_FARTHEST_MM = 1e6


@dataclass(frozen=True, eq=False)
class Corrections:
    """The parts of the preprocessing that a person has corrected; those that are None stay automatic.

    Attributes
    ----------
    column : (N, 3) array or None
        Points on the spinous process column, RAS mm, in any order; straight lines lead from one to the next.
    top_layer : (N, 3) array or None
        Points, RAS mm, through which the cut of the top layer is moved, see `corrected_top_layer`.
    region : dict or None
        The region of interest as `commands.region_of` describes one: ``center_ras_mm``, ``size_mm``, and
        ``directions``, whose rows are the box's axes.

    Raises
    ------
    LaminaError
        If points or box make no sense.
    """

    column: np.ndarray | None = None
    top_layer: np.ndarray | None = None
    region: dict | None = None

    def __post_init__(self) -> None:
        for part in ("column", "top_layer"):
            if getattr(self, part) is not None:
                object.__setattr__(self, part, _checked_points(getattr(self, part), PARTS[part]))
        if self.region is not None:
            object.__setattr__(self, "region", _checked_region(self.region))

    @property
    def parts(self) -> tuple[str, ...]:
        """The keys of `PARTS` that were corrected."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)

    @classmethod
    def from_dict(cls, content: dict) -> Corrections:
        """Return the corrections that `to_dict` describes; raise LaminaError for anything else."""
        if not isinstance(content, dict):
            raise LaminaError("Corrections of the preprocessing are a JSON object with the keys " + _listed(PARTS))
        if "surface" in content:
            raise LaminaError(
                "This is what lamina preprocess has written: copy the parts that you have changed into a file of their "
                "own, with the keys " + _listed(PARTS)
            )
        if unknown := sorted(set(content) - set(PARTS)):
            raise LaminaError(f"Corrections of the preprocessing have no '{unknown[0]}'; they have " + _listed(PARTS))
        return cls(**content)

    def to_dict(self) -> dict:
        """Return the corrections as plain values for JSON, without the parts that stay automatic."""
        return {
            part: {key: np.asarray(value).tolist() for key, value in self.region.items()}
            if part == "region"
            else getattr(self, part).tolist()
            for part in self.parts
        }


def read_corrections(path: Path) -> Corrections:
    """Read a JSON file of corrections; raise LaminaError, with one sentence, if it holds none."""
    name = Path(path).name
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LaminaError(f"The corrections '{name}' cannot be read ({error.strerror or error}).") from None
    except ValueError:  # no JSON, or no text
        raise LaminaError(f"The corrections '{name}' are not a JSON file; write them anew.") from None
    return Corrections.from_dict(content)


# What follows for a scan


def corrected_column(volume: Volume, survey: Survey, points: np.ndarray) -> np.ndarray:
    """Return the column through the given points: array indices along axis 1, one for each row of the survey.

    Between two points the column is straight; before the first and after the last one it keeps their lateral position.

    Parameters
    ----------
    volume : Volume
    survey : Survey
    points : (N, 3) array
        RAS mm.

    Raises
    ------
    LaminaError
        If a point lies outside of the scan.
    """
    index = _indices(volume, points, PARTS["column"])
    return np.interp(survey.rows, index[:, 0], index[:, 1])


def corrected_top_layer(volume: Volume, survey: Survey, top_layer: TopLayer, points: np.ndarray) -> TopLayer:
    """Return the top layer moved in depth so that its cut leads through the given points.

    Each row of the cut is moved as a whole, so that it keeps its tilt and its form from left to right: at a point by
    as much as the cut lacks there, between two points by a linear mixture, beyond the ends by as much as at the ends.
    The depth of the laminae moves along.

    Parameters
    ----------
    volume : Volume
    survey : Survey
    top_layer : TopLayer
        The automatic one.
    points : (N, 3) array
        RAS mm.

    Raises
    ------
    LaminaError
        If a point lies outside of the scan.
    """
    index = _indices(volume, points, PARTS["top_layer"])
    lacking = index[:, 2] - at_places(survey, top_layer.cut, index[:, 0], index[:, 1])
    shift = np.interp(survey.rows, index[:, 0], lacking)
    millimeters = shift * volume.spacing[2]
    return TopLayer(
        top_layer.cut + shift[:, None],
        top_layer.left + millimeters,
        top_layer.right + millimeters,
        top_layer.clearance,
    )


def corrected_region(volume: Volume, region: dict) -> tuple[slice, slice, slice]:
    """Return the voxels whose centers lie in the box around a region of interest, clipped to the scan.

    The region that the network sees lies along the axes of the scan's array: of a box that is turned against them it
    is the one around its corners.

    Raises
    ------
    LaminaError
        If the region lies outside of the scan.
    """
    corners = volume.to_index(corners_of(region))
    low = np.clip(np.ceil(corners.min(axis=0)), 0, volume.shape).astype(int)
    high = np.clip(np.floor(corners.max(axis=0)) + 1, 0, volume.shape).astype(int)
    if (high - low < 2).any():
        raise LaminaError("The corrected region of interest lies outside of the scan; move it back onto the spine.")
    return tuple(slice(int(first), int(last)) for first, last in zip(low, high))


def corners_of(region: dict) -> np.ndarray:
    """Return the corners of a region of interest, shape (8, 3), RAS mm."""
    half = 0.5 * np.asarray(region["size_mm"])[:, None] * np.asarray(region["directions"])
    return np.array(region["center_ras_mm"]) + np.array(list(product((-1.0, 1.0), repeat=3))) @ half


def at_places(survey: Survey, surface: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate a (S, L) map of the survey at array indices along the axes 0 and 1, given in pairs."""
    cells = [
        (at - centers[0]) / (centers[1] - centers[0])
        for at, centers in ((rows, survey.rows), (columns, survey.columns))
    ]
    return map_coordinates(np.asarray(surface, np.float64), cells, order=1, mode="nearest", prefilter=False)


def _indices(volume: Volume, points: np.ndarray, called: str) -> np.ndarray:
    """Return points as array indices, from the top down, those of one row merged to their mean."""
    index = volume.to_index(points)
    beside = _BESIDE_MM / volume.spacing
    outside = ((index < -beside) | (index > np.array(volume.shape) - 1 + beside)).any(axis=1)
    if outside.any():
        raise LaminaError(
            f"Point {np.flatnonzero(outside)[0] + 1} of the corrected {called} lies outside of the scan; move it back "
            "onto the scan."
        )
    rows, row_of = np.unique(index[:, 0], return_inverse=True)
    return np.array([index[row_of == number].mean(axis=0) for number in range(len(rows))])


# Checks


def _checked_points(points, called: str) -> np.ndarray:
    array = _numbers(points)
    if array is None or array.ndim != 2 or array.shape[1] != 3:
        if isinstance(points, list) and not points:
            raise _too_few(0, called)
        raise LaminaError(f"The corrected {called} must be a list of points of three finite numbers, RAS in mm.")
    if len(array) < 2:
        raise _too_few(len(array), called)
    if (array == array[0]).all():
        raise LaminaError(f"All points of the corrected {called} are the same; give at least 2 that differ.")
    return array


def _too_few(count: int, called: str) -> LaminaError:
    return LaminaError(f"The corrected {called} has {count or 'no'} point{'' if count == 1 else 's'}; give at least 2.")


def _checked_region(region) -> dict:
    if not isinstance(region, dict) or set(region) != set(_REGION_KEYS):
        raise LaminaError("The corrected region of interest must have exactly the keys " + _listed(_REGION_KEYS))
    center, size, directions = (_numbers(region[key]) for key in _REGION_KEYS)
    shapes = [None if array is None else array.shape for array in (center, size, directions)]
    if shapes != [(3,), (3,), (3, 3)]:
        raise LaminaError(
            "The corrected region of interest must have a center and a size of three finite numbers in mm, and three "
            "directions."
        )
    if (size <= 0).any():
        raise LaminaError(
            "The corrected region of interest is empty; give it a size of more than 0 mm along each axis."
        )
    lengths = np.linalg.norm(directions, axis=1)
    if (np.abs(lengths - 1) > 1e-3).any() or abs(np.linalg.det(directions)) < _LEAST_DETERMINANT:
        raise LaminaError("The directions of the corrected region of interest must be three axes of length 1.")
    return {key: array.tolist() for key, array in zip(_REGION_KEYS, (center, size, directions))}


def _numbers(values) -> np.ndarray | None:
    """Return finite numbers as an array, None if they are anything else."""
    try:
        array = np.array(values)
    except ValueError:  # lists of different lengths
        return None
    flat = np.array(values, dtype=object).ravel()
    if (
        any(isinstance(value, bool) for value in flat)
        or array.dtype.kind not in "iuf"
        or not (np.abs(array.astype(np.float64)) < _FARTHEST_MM).all()
    ):  # NaN is not
        return None
    return array.astype(np.float64)


def _listed(names) -> str:
    return ", ".join(names) + "."
