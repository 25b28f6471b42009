"""All the preprocessing steps in order, each optional."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

from .column import Column, column_at, find_column
from .corrections import PARTS, Corrections, corrected_column, corrected_region, corrected_top_layer
from .footprint import Survey, survey
from .grid import DEFAULT_MARGIN_MM, GRID_SHAPE, LEAST_EXTENT_MM, ScannedVoxels, normalize, region_of_interest, resample
from .top_layer import TopLayer, find_top_layer

PREPROCESSING_VERSION = 1
"""Raised whenever a scan would come out differently, so that no cached case of older code is used."""

FAINT_COLUMN = 0.12
"""A column of less contrast is a guess.

Speckle without a spine rates 0.06 to 0.09 (test_preprocessing.py), the simulated scans 0.36 and more
(Testing/benchmarks/preprocessing.py).
"""


@dataclass(frozen=True)
class Options:
    """Which steps are done and how (METHOD section 2).

    Attributes
    ----------
    crop_top_layer : bool
        Blank skin, fat and superficial muscle.
    clearance : float
        What the top layer crop keeps above the laminae, mm.
    crop_region : bool
        Narrow the volume to the region of interest.
    margin : float
        What the region keeps beside the column, mm (at most 40).
    shape : tuple of int
        The network's grid.
    least_extent : (float, float, float)
        Millimetres that the grid spans at the least along each axis, so that a partial scan keeps its scale.
    """

    crop_top_layer: bool = True
    clearance: float = 7.0
    crop_region: bool = True
    margin: float = DEFAULT_MARGIN_MM
    shape: tuple[int, int, int] = GRID_SHAPE
    least_extent: tuple[float, float, float] = LEAST_EXTENT_MM

    def as_dict(self) -> dict:
        """Return the options as plain values, for a model card or a cache key."""
        return {**asdict(self), "shape": list(self.shape), "least_extent": list(self.least_extent)}


@dataclass(frozen=True)
class Prepared:
    """A scan prepared for the network, with what each step found.

    Attributes
    ----------
    grid : Volume
        float32 input of the network; its matrix maps grid indices to the scan's RAS.
    scanned : bool array of the grid's shape
    column_points : (N, 3) array
        The spinous process column at the depth of the laminae, RAS mm, superior to inferior.
    survey, column, top_layer, box
        What the single steps returned; ``top_layer`` is None when that step was left out.
    warnings : tuple of str
    corrected : tuple of str
        The parts that a person had corrected, keys of `corrections.PARTS`.
    """

    grid: Volume
    scanned: np.ndarray
    column_points: np.ndarray
    survey: Survey
    column: Column
    top_layer: TopLayer | None
    box: tuple[slice, slice, slice]
    warnings: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()


def prepare(
    volume: Volume,
    options: Options | None = None,
    progress: Callable[[float], None] | None = None,
    corrections: Corrections | None = None,
) -> Prepared:
    """Prepare a scan for the network, completely automatically (paper Section II, METHOD section 2).

    A person may correct each step. What comes after it follows from the correction.

    Parameters
    ----------
    volume : Volume
        The scan in IRA order.
    options : Options, optional
    progress : callable, optional
        Called with the share of the work that is done.
    corrections : Corrections, optional
        What takes the place of the automatic steps.

    Returns
    -------
    Prepared

    Raises
    ------
    LaminaError
        If the scan holds no swept region or no image, or the corrections do not fit the scan.
    """
    options = options or Options()
    report = progress or (lambda share: None)
    corrections = corrections or Corrections()
    found = survey(volume)
    report(0.3)
    locate = _column_finder(volume, found, corrections)
    # The column is found twice: roughly in a fixed slab, then in the slab that the laminae's depth defines.
    column = locate(found)
    top_layer = find_top_layer(found, column, options.clearance)
    column = locate(found, top_layer.depth)
    top_layer = find_top_layer(found, column, options.clearance)
    if corrections.top_layer is not None:
        top_layer = corrected_top_layer(volume, found, top_layer, corrections.top_layer)
    report(0.45)
    used = top_layer if options.crop_top_layer else None
    if not options.crop_region:
        box = tuple(slice(0, size) for size in volume.array.shape)
    elif corrections.region is not None:
        box = corrected_region(volume, corrections.region)
    else:
        box = region_of_interest(volume, found, column, used, options.margin)
    mask = ScannedVoxels(volume, found, box, used)
    if corrections.parts and not mask.at(slice(None)).any():
        raise LaminaError(
            "With the corrections nothing that was scanned is left in the region of interest; correct "
            f"{' and '.join('the ' + PARTS[part] for part in corrections.parts)} again."
        )
    report(0.6)
    grid, scanned = resample(volume, box, mask, options.shape, options.least_extent)
    grid = grid.with_array(normalize(grid.array, scanned))
    report(1.0)
    points = _column_points(volume, found, column, top_layer)
    warnings = _warnings(options, column, corrections)
    return Prepared(grid, scanned, points, found, column, top_layer, box, warnings, corrections.parts)


def _column_finder(volume: Volume, found: Survey, corrections: Corrections) -> Callable[..., Column]:
    """Return a function like `find_column`; for a column by hand it rates the same places each time."""
    if corrections.column is None:
        return find_column
    position = corrected_column(volume, found, corrections.column)
    return lambda survey, lamina_depth=None: column_at(survey, position, lamina_depth)


def _warnings(options: Options, column: Column, corrections: Corrections) -> tuple[str, ...]:
    warnings = []
    if corrections.column is None and column.contrast < FAINT_COLUMN:
        warnings.append(
            "The spinous process column is hardly visible in this scan; check the curve before relying on the result."
        )
    if corrections.column is not None and column.contrast < FAINT_COLUMN:
        warnings.append(
            f"The column that was corrected by hand does not lie on a dark shadow (contrast {column.contrast:.2f}); "
            "check that it belongs to this scan."
        )
    for part, is_done in (("top_layer", options.crop_top_layer), ("region", options.crop_region)):
        if part in corrections.parts and not is_done:
            warnings.append(f"The model was trained without the {PARTS[part]} crop, so its correction has no effect.")
    return tuple(warnings)


def _column_points(volume: Volume, found: Survey, column: Column, top_layer: TopLayer) -> np.ndarray:
    cells = (column.position - found.columns[0]) / (found.columns[1] - found.columns[0])
    nearest = np.clip(np.round(cells).astype(int), 0, len(found.columns) - 1)
    skin = found.skin[np.arange(len(nearest)), nearest]
    depth = skin + top_layer.depth / volume.spacing[2]
    seen = np.flatnonzero(found.seen.any(axis=1))
    rows = slice(seen[0], seen[-1] + 1)
    return column.points(volume, depth)[rows]
