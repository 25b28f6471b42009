"""Scores of the laminae that a user gets: after localization, with their sides and names."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from LaminaLabelingLib.anatomy import REGIONS, is_provisional, split_name
from LaminaLabelingLib.matching import Matching

from .dataset import Case
from .detection import Truth, detection_figures, match
from .metrics import NETWORK_KEYS, CaseScore, make_score, nearest

NAME_KEYS = ("named", "wrong_names", "wrong_sides")
"""Keys that only this stage has."""


def score_named(points: Mapping[str, np.ndarray], case: Case, network: CaseScore) -> CaseScore:
    """Score localized laminae.

    Parameters
    ----------
    points : mapping of str to (3,) array
        Positions in grid voxels by name.
    case : dataset.Case
    network : metrics.CaseScore
        The score of the map they were localized on.

    Returns
    -------
    CaseScore
        The keys of `metrics.score_segmentation`, where D, d3D and Delta stay the network's, and besides:

        ``named``
            1 if the laminae carry the names of vertebrae, 0 if their pairs are only numbered.
        ``wrong_names``
            Laminae found within 5 mm that carry another name than the true one's; NaN where either is only numbered.
        ``wrong_sides``
            Laminae found within 5 mm that are given to the other side.

        By region the true lamina's region counts; ``named`` is the whole scan's alone.
    """
    truth = Truth.of(case.centroids, case.spacing, case.names)
    names = list(points)
    found = np.array([points[name] for name in names], float).reshape(-1, 3)
    detected, detected_by_region = detection_figures(truth, found * truth.spacing)
    matching = match(truth, found * truth.spacing)
    values = {key: network.values[key] for key in NETWORK_KEYS} | detected | _names(truth, names, matching)
    values["named"] = float(bool(names) and not any(is_provisional(name) for name in names))
    by_region = {}
    for region in REGIONS:
        inside = (truth.regions == region)[matching.pairs[:, 0]]
        part = Matching(matching.pairs[inside], matching.distances[inside], np.zeros(0, int), np.zeros(0, int))
        by_region[region] = {key: network.by_region[region][key] for key in NETWORK_KEYS}
        by_region[region] |= detected_by_region[region] | _names(truth, names, part)
    return make_score(case.name, truth, found, values, by_region, nearest(truth, found, case.grid.shape))


def _names(truth: Truth, names: list[str], matching: Matching) -> dict[str, float]:
    pairs = [(truth.names[true], names[row]) for true, row in matching.pairs]
    numbered = any(is_provisional(name) or not name for name in (*truth.names, *names)) or not names
    return {
        "wrong_names": math.nan if numbered else float(sum(true != given for true, given in pairs)),
        "wrong_sides": float(sum(split_name(true)[1] != split_name(given)[1] for true, given in pairs if true)),
    }
