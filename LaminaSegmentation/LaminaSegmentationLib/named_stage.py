"""Scores of the laminae that a user gets: after localization, with their sides and names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import REGIONS, is_provisional, split_name
from LaminaLabelingLib.curvature import Angle, measure
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.matching import Matching

from .dataset import Case
from .detection import Truth, detection_figures, match
from .metrics import NETWORK_KEYS, CaseScore, make_score, nearest

NAME_KEYS = ("named", "naming_errors", "side_errors")
CURVE_KEYS = ("cobb_error_deg", "cobb_signed_error_deg", "cobb_within_interval")
"""Keys that only this stage has."""


def score_named(
    points: Mapping[str, np.ndarray], case: Case, network: CaseScore, curve: Mapping[str, float] | None = None
) -> CaseScore:
    """Score localized laminae.

    Parameters
    ----------
    points : mapping of str to (3,) array
        Positions in grid voxels by name.
    case : dataset.Case
    network : metrics.CaseScore
        The score of the map they were localized on.
    curve : mapping of str to float, optional
        What `curve_figures` returned; NaN when left out.

    Returns
    -------
    CaseScore
        The keys of `metrics.score_segmentation`, where D, d3D and Delta stay the network's, and besides:

        ``named``
            1 if the laminae carry the names of vertebrae, 0 if their pairs are only numbered.
        ``naming_errors``
            Laminae found within 5 mm that are given to another vertebra; NaN where either is only numbered.
        ``side_errors``
            Laminae found within 5 mm that are given to the other side.
        ``cobb_error_deg``, ``cobb_signed_error_deg``, ``cobb_within_interval``
            See `curve_figures`.

        By region the true lamina's region counts; ``named`` and those of the
        curve are the whole scan's alone.
    """
    truth = Truth.of(case.centroids, case.spacing, case.names)
    names = list(points)
    found = np.array([points[name] for name in names], float).reshape(-1, 3)
    detected, detected_by_region = detection_figures(truth, found * truth.spacing)
    matching = match(truth, found * truth.spacing)
    values = {key: network.values[key] for key in NETWORK_KEYS} | detected | _names(truth, names, matching)
    values |= dict.fromkeys(CURVE_KEYS, math.nan) | dict(curve or {})
    values["named"] = float(bool(names) and not any(is_provisional(name) for name in names))
    by_region = {}
    for region in REGIONS:
        inside = (truth.regions == region)[matching.pairs[:, 0]]
        part = Matching(matching.pairs[inside], matching.distances[inside], np.zeros(0, int), np.zeros(0, int))
        by_region[region] = {key: network.by_region[region][key] for key in NETWORK_KEYS}
        by_region[region] |= detected_by_region[region] | _names(truth, names, part)
    return make_score(case.name, truth, found, values, by_region, nearest(truth, found, case.grid.shape))


def _names(truth: Truth, names: list[str], matching: Matching) -> dict[str, float]:
    pairs = [
        (split_name(truth.names[true]), split_name(names[row])) for true, row in matching.pairs if truth.names[true]
    ]
    numbered = any(is_provisional(name) or not name for name in (*truth.names, *names)) or not names
    return {
        "naming_errors": math.nan if numbered else float(sum(true[0] != given[0] for true, given in pairs)),
        "side_errors": float(sum(true[1] != given[1] for true, given in pairs)),
    }


def curve_figures(laminae: LaminaSet, true_deg: float) -> dict[str, float]:
    """Compare the angle of the main curve with the true one.

    Parameters
    ----------
    laminae : LaminaSet
        In patient axes, RAS mm.
    true_deg : float
        See `true_curve`.

    Returns
    -------
    dict of str to float
        ``cobb_signed_error_deg``, the measured angle less the true one; ``cobb_error_deg``, its absolute value; and
        ``cobb_within_interval``, 1 if the measurement's 95 % interval holds the true angle, else 0. NaN where the true
        one is not known or the laminae cannot be measured. Where no curve reaches 10 degrees, the measured angle is the
        largest difference of two tilts.
    """
    try:
        measured = measure(laminae)
    except LaminaError:
        return dict.fromkeys(CURVE_KEYS, math.nan)
    if measured.curves:
        angle = measured.curves[0].angle
    else:
        levels = sorted(measured.levels, key=lambda level: level.tilt.value)
        turn = levels[-1].tilt.value - levels[0].tilt.value
        angle = Angle(turn, math.hypot(levels[-1].tilt.sd, levels[0].tilt.sd))
    error = angle.value - true_deg
    low, high = angle.interval
    within = math.nan if math.isnan(true_deg) else float(low <= true_deg <= high)
    return {"cobb_error_deg": abs(error), "cobb_signed_error_deg": error, "cobb_within_interval": within}


def true_curve(image: Path, truth: LaminaSet) -> float:
    """Return the true angle of a scan's main curve in degrees.

    Parameters
    ----------
    image : Path
        The scan. A simulated one has a file ``.simulation.json`` beside it, which tells the imposed tilts: then the
        angle is their difference between the end vertebrae of the largest imposed curve.
    truth : LaminaSet
        In patient axes, RAS mm. Without that file, the angle is measured on them.

    Returns
    -------
    float
        NaN where it can be known in neither way.
    """
    beside = image.with_name(image.name.split(".")[0] + ".simulation.json")
    try:
        known = json.loads(beside.read_text(encoding="utf-8"))
        main = max(known["curves"], key=lambda curve: curve["cobb_deg"])
        tilts = known["tilt_deg"]
        return abs(float(tilts[main["upper"]]) - float(tilts[main["lower"]]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not simulated, or not by this version: the labels tell it
    try:
        curves = measure(truth).curves
    except LaminaError:
        return math.nan
    return curves[0].angle.value if curves else math.nan
