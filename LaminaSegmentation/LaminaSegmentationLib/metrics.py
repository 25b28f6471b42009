"""Metrics of a segmentation against the true laminae of its scan (the paper's Section III.C, METHOD section 5).

D, d3D and Delta are the paper's; matching adds what they cannot see, since eq. 7 is blind to false positives and in
eq. 8 errors cancel. Needs NumPy and SciPy alone, so that training on any backend can call it.

The centroid list is the truth: a lamina that preprocessing cropped away counts as missed, and laminae whose cubes
touch on the label grid count as two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree

from LaminaLabelingLib.anatomy import REGIONS

from .detection import LaminaOutcome, Truth, detection_figures, match, partners
from .samples import cube_labels

if TYPE_CHECKING:
    from LaminaLabelingLib.matching import Matching

    from .dataset import Case

THRESHOLD = 0.5
"""Probability from which a voxel counts as lamina (the paper's Section III.A)."""

KEYS = (
    "dice",
    "d3d_mean_vox",
    "d3d_total_vox",
    "d3d_mean_mm",
    "d3d_total_mm",
    "delta",
    *(f"{name}_{gate}mm" for gate in (3, 5, 10) for name in ("recall", "precision", "f1")),
    "missed",
    "false",
    "mean_error_mm",
    "p95_error_mm",
    "complete_pairs",
    "tilt_error_deg",
    "curve_angle_error_deg",
)
"""The keys of `CaseScore.values`, in the order in which tables show them."""

NETWORK_KEYS = KEYS[:6]
"""Those that judge the thresholded map itself, at whatever stage the other ones judge."""


@dataclass(frozen=True)
class CaseScore:
    """The figures of one scan.

    Attributes
    ----------
    name : str
        The case's name.
    values : dict of str to float
        By the keys of `KEYS`; NaN where undefined.
    by_region : dict of str to dict
        By region (T1-T6, T7-T12, L1-L5), then by key; without ``curve_angle_error_deg``. A region of which the truth
        has no lamina is not in the scan: all its figures are NaN, counts included.
    outcomes : tuple of LaminaOutcome
        What became of each true lamina, in the case's order.
    found : (M, 3) float array
        Points that were judged, in grid voxels.
    false_rows : tuple of int
        Rows of ``found`` that no lamina within 5 mm belongs to.
    """

    name: str
    values: dict[str, float]
    by_region: dict[str, dict[str, float]]
    outcomes: tuple[LaminaOutcome, ...] = ()
    found: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    false_rows: tuple[int, ...] = ()

    @property
    def missed_names(self) -> tuple[str, ...]:
        """Names of the true laminae that were not found."""
        return tuple(outcome.name for outcome in self.outcomes if not outcome.found)

    @property
    def false_positions(self) -> np.ndarray:
        """Points that are no lamina, (K, 3) in grid voxels."""
        return self.found[list(self.false_rows)]

    def as_dict(self) -> dict[str, Any]:
        """Return the score as JSON knows it, None for what is undefined."""
        return {
            "name": self.name,
            "values": {key: plain(value) for key, value in self.values.items()},
            "by_region": {
                region: {key: plain(value) for key, value in figures.items()}
                for region, figures in self.by_region.items()
            },
            "laminae": [
                {
                    "name": outcome.name,
                    "found": outcome.found,
                    "error_mm": plain(outcome.error_mm),
                    "nearest_mm": plain(outcome.nearest_mm),
                    "nearest_vox": plain(outcome.nearest_vox),
                }
                for outcome in self.outcomes
            ],
            "false_positions_vox": [[round(float(x), 3) for x in position] for position in self.false_positions],
        }


def plain(value: float | None) -> float | None:
    """Return a number that JSON knows: rounded to 6 digits behind the point, None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def predicted_centroids(probability: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Return the centroids of the components of the thresholded map.

    Parameters
    ----------
    probability : array (SI, LR, PA)
    threshold : float
        A voxel counts from this probability on.

    Returns
    -------
    (M, 3) float array
        Unweighted centroids in voxels, 26-connectivity.
    """
    components, count = label(np.asarray(probability) >= threshold, structure=np.ones((3, 3, 3)))
    places = np.nonzero(components)
    owner = components[places] - 1
    size = np.bincount(owner, minlength=count)
    return np.stack([np.bincount(owner, axis, minlength=count) / size for axis in places], axis=-1).reshape(-1, 3)


def score_segmentation(probability: np.ndarray, case: Case, threshold: float = THRESHOLD) -> CaseScore:
    """Score a network's output on one scan.

    Parameters
    ----------
    probability : array (SI, LR, PA)
        On the case's grid.
    case : dataset.Case
        ``centroids`` is the truth; laminae outside the grid are missed unless a component happens to lie within the
        gate.
    threshold : float

    Returns
    -------
    CaseScore
        Keys, for the whole scan and by region:

        ``dice``
            2 |P and T| / (|P| + |T|) of the thresholded map P and the 3x3x3 cubes T (eq. 1 on binary maps). NaN when
            both are empty. By region, a voxel belongs to the region of the true lamina nearest to it.
        ``d3d_mean_vox``, ``d3d_total_vox``, ``d3d_mean_mm``, ``d3d_total_mm``
            Distance from each true lamina to the nearest predicted component, its mean (eq. 7) and its sum, which is
            what the paper's Table I must hold. The nearest is taken in voxels and in mm each for itself. Without a
            component, the grid's diagonal (398.7 voxels for 384 x 96 x 48). NaN without true laminae.
        ``delta``
            Number of true laminae minus number of components, absolute (eq. 8). By region, a component belongs to the
            region of the true lamina nearest to it.
        others
            See `detection.detection_figures`.

    Raises
    ------
    ValueError
        If the map has another shape than the case's grid.
    """
    probability = np.asarray(probability)
    if probability.shape != tuple(case.grid.shape):
        raise ValueError(f"the map has shape {probability.shape}, the grid of the case {tuple(case.grid.shape)}")
    truth = Truth.of(case.centroids, case.spacing, case.names)
    found = predicted_centroids(probability, threshold)
    values, by_region = _network_figures(probability, threshold, truth, found)
    detected, detected_by_region = detection_figures(truth, found * truth.spacing)
    by_region = {region: figures | detected_by_region[region] for region, figures in by_region.items()}
    return make_score(case.name, truth, found, values | detected, by_region, nearest(truth, found, probability.shape))


def make_score(
    name: str,
    truth: Truth,
    found: np.ndarray,
    values: dict[str, float],
    by_region: dict[str, dict[str, float]],
    distances: tuple[np.ndarray, np.ndarray],
) -> CaseScore:
    """Put a `CaseScore` together from its figures, the judged points and the distances of `nearest`."""
    matching = match(truth, found * truth.spacing)
    partner = partners(matching, len(truth.mm))
    absent = [region for region in REGIONS if not (truth.regions == region).any()]
    by_region = by_region | {region: dict.fromkeys(by_region[region], math.nan) for region in absent}
    errors = np.full(len(truth.mm), math.nan)
    errors[matching.pairs[:, 0]] = matching.distances
    outcomes = tuple(
        LaminaOutcome(truth.names[row], str(truth.regions[row]), bool(partner[row] >= 0), float(errors[row]), mm, vox)
        for row, (vox, mm) in enumerate(zip(*(part.tolist() for part in distances)))
    )
    return CaseScore(name, values, by_region, outcomes, found, tuple(int(row) for row in matching.unmatched_second))


def nearest(truth: Truth, found: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each true lamina to the nearest of some points, the term of eq. 7.

    Parameters
    ----------
    truth : Truth
    found : (M, 3) array
        Points in voxels.
    shape : three int
        Voxels of the grid, whose diagonal stands for the distance where there is no point.

    Returns
    -------
    voxels, mm : (N,) float arrays
    """
    if not len(found):
        size = np.asarray(shape, float)
        count = len(truth.voxels)
        return np.full(count, np.linalg.norm(size)), np.full(count, np.linalg.norm(size * truth.spacing))
    if not len(truth.voxels):
        return np.zeros(0), np.zeros(0)
    return cKDTree(found).query(truth.voxels)[0], cKDTree(found * truth.spacing).query(truth.mm)[0]


def _network_figures(
    probability: np.ndarray, threshold: float, truth: Truth, found: np.ndarray
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return `NETWORK_KEYS` of the whole scan and by region."""
    predicted = probability >= threshold
    cubes = cube_labels(probability.shape, truth.voxels).astype(bool)
    distances = nearest(truth, found, probability.shape)
    places = np.nonzero(predicted | cubes)
    voxel_regions = truth.regions_of(np.stack(places, axis=-1) * truth.spacing)
    in_prediction, in_cubes = predicted[places], cubes[places]
    found_regions = truth.regions_of(found * truth.spacing)

    def figures(voxels: np.ndarray, laminae: np.ndarray, components: np.ndarray) -> dict[str, float]:
        prediction, truths = in_prediction & voxels, in_cubes & voxels
        size = int(prediction.sum() + truths.sum())
        result = {"dice": 2.0 * int((prediction & truths).sum()) / size if size else math.nan}
        for unit, part in zip(("vox", "mm"), distances):
            chosen = part[laminae]
            result[f"d3d_mean_{unit}"] = float(chosen.mean()) if len(chosen) else math.nan
            result[f"d3d_total_{unit}"] = float(chosen.sum()) if len(chosen) else math.nan
        return result | {"delta": float(abs(int(laminae.sum()) - int(components.sum())))}

    everywhere = (np.ones(len(part), bool) for part in (voxel_regions, truth.regions, found_regions))
    return figures(*everywhere), {
        region: figures(voxel_regions == region, truth.regions == region, found_regions == region) for region in REGIONS
    }


def missed_laminae(probability: np.ndarray, case: Case) -> float:
    """Return how many true laminae have no component of the thresholded map within 5 mm."""
    return float(len(_matching(probability, case).unmatched_first))


def false_laminae(probability: np.ndarray, case: Case) -> float:
    """Return how many components of the thresholded map lie within 5 mm of no true lamina."""
    return float(len(_matching(probability, case).unmatched_second))


def total_distance(probability: np.ndarray, case: Case) -> float:
    """Return the sum of eq. 7's distances in voxels, 0 for a scan without true laminae."""
    truth = Truth.of(case.centroids, np.ones(3))
    return float(nearest(truth, predicted_centroids(probability), np.shape(probability))[0].sum())


def _matching(probability: np.ndarray, case: Case) -> Matching:
    truth = Truth.of(case.centroids, case.spacing)
    return match(truth, predicted_centroids(probability) * truth.spacing)


def summarize(scores: Iterable[CaseScore]) -> dict[str, dict[str, Any]]:
    """Summarize the scores of several scans.

    Parameters
    ----------
    scores : iterable of CaseScore

    Returns
    -------
    dict of str to dict
        For each key ``mean`` and ``std`` (n - 1 in the denominator) over the scans in which it is defined, their
        number ``n``, and ``by_region`` with the same three for each region in which the key exists. None where
        nothing is defined, and for the ``std`` of a single scan, so that JSON can hold it.
    """
    scores = list(scores)
    result: dict[str, dict[str, Any]] = {}
    for key in dict.fromkeys(key for score in scores for key in score.values):
        result[key] = _moments([score.values.get(key, math.nan) for score in scores])
        result[key]["by_region"] = {
            region: _moments([score.by_region.get(region, {}).get(key, math.nan) for score in scores])
            for region in REGIONS
            if any(key in score.by_region.get(region, {}) for score in scores)
        }
    return result


def _moments(values: Sequence[float]) -> dict[str, Any]:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return {
        "mean": plain(float(known.mean())) if len(known) else None,
        "std": plain(float(known.std(ddof=1))) if len(known) > 1 else None,
        "n": len(known),
    }


def value_of(score: CaseScore | Mapping[str, float | None], key: str) -> float:
    """Return a figure of a score, or of a plain mapping of keys to figures; NaN where undefined."""
    values = score.values if isinstance(score, CaseScore) else score
    value = values.get(key)
    return math.nan if value is None else float(value)
