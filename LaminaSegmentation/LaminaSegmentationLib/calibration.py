"""What localization knows beforehand: the shape of spines, and what a model's candidates are worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.matching import match_points

from .candidates import Candidate
from .evidence import Evidence, fit_logistic, logit
from .shape_model import ShapeModel, generic_shape, learn_shape
from .spine_chain import find_row
from .spine_fit import fit_spine

GATE_MM = 5.0
"""A lamina counts as found within this distance (METHOD section 5)."""

LEAST_MISSING = 0.02
"""Smallest share of laminae without a candidate that is believed: patients' scans are harder than simulated ones."""

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Calibration:
    """Shape and evidence, as a model bundle keeps them in ``localization.json``."""

    shape: ShapeModel = field(default_factory=generic_shape)
    evidence: Evidence = field(default_factory=Evidence)

    def as_dict(self) -> dict:
        """Return it as plain values for JSON."""
        return {
            "schema_version": _SCHEMA_VERSION,
            "shape": self.shape.as_dict(),
            "evidence": self.evidence.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping) -> Calibration:
        """Return the calibration of `as_dict`; raise LaminaError if it cannot be one."""
        if not isinstance(values, Mapping) or values.get("schema_version") != _SCHEMA_VERSION:
            raise LaminaError("it is of a version that this software does not know")
        for key in ("shape", "evidence"):
            if not isinstance(values.get(key), Mapping):
                raise LaminaError(f'"{key}" is missing in it')
        return cls(ShapeModel.from_dict(values["shape"]), Evidence.from_dict(values["evidence"]))


def read_calibration(path: Path, model: str) -> Calibration:
    """Read the calibration of a model.

    Raises
    ------
    LaminaError
        If the file cannot be read or is no calibration; the message names the model.
    """
    try:
        return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise LaminaError(f'"{path.name}" of the model "{model}" cannot be read: download the model again.') from error
    except LaminaError as error:
        raise LaminaError(f'"{path.name}" of the model "{model}" cannot be used: {error}.') from error


@dataclass(frozen=True)
class LabeledScan:
    """A labeled scan as calibration needs it.

    Attributes
    ----------
    truth : mapping of str to (3,) array
        Along, lateral, depth of the true laminae, mm, by name.
    candidates : tuple of Candidate
        Of the model's map, placed by the same column.
    scanned : (float, float)
        See `candidates.scanned_range`.
    """

    truth: Mapping[str, np.ndarray]
    candidates: tuple[Candidate, ...]
    scanned: tuple[float, float]


def calibrate(scans: Sequence[LabeledScan], learned_from: str) -> Calibration:
    """Learn shape and evidence from labeled scans that the model was not trained on.

    Parameters
    ----------
    scans : sequence of LabeledScan
    learned_from : str
        For the record.

    Returns
    -------
    Calibration

    Raises
    ------
    LaminaError
        If the scans are too few, or show no spine as a whole (see `learn_shape`), or the model finds next to nothing.
    """
    shape = learn_shape([scan.truth for scan in scans], [scan.scanned for scan in scans], learned_from)
    confidences, outcomes, errors, missed, true = [], [], [], 0, 0
    for scan in scans:
        matching = _match(scan.truth, [candidate.place for candidate in scan.candidates])
        hits = set(matching.pairs[:, 1].tolist())
        confidences += [candidate.confidence for candidate in scan.candidates]
        outcomes += [number in hits for number in range(len(scan.candidates))]
        errors += matching.distances.tolist()
        missed += len(matching.unmatched_first)
        true += len(scan.truth)
    if len(errors) < 0.3 * true:
        raise LaminaError(
            f"The model finds {len(errors)} of {true} labeled laminae: too few to learn what its candidates are worth. "
            "Train it longer, or check that the scans are those that it was made for."
        )
    weights = fit_logistic(logit(confidences)[:, None], outcomes, (1,))
    evidence = replace(
        Evidence(),
        level=float(weights[0]),
        slope=float(max(weights[1], 0.1)),
        missing=max(LEAST_MISSING, (missed + 1.0) / (true + 2.0)),
        # The distance of three equal errors is the root of three times as long.
        detection_sd=float(np.sqrt(np.mean(np.square(errors)) / 3.0)),
        learned_from=learned_from,
    )
    return Calibration(shape, _with_trust(scans, shape, evidence))


def _match(truth: Mapping[str, np.ndarray], places: Sequence[np.ndarray]):
    true = np.array(list(truth.values())).reshape(-1, 3)
    return match_points(true, np.array(places).reshape(-1, 3), GATE_MM)


def _with_trust(scans: Sequence[LabeledScan], shape: ShapeModel, evidence: Evidence) -> Evidence:
    """Return the evidence with the weights that turn a slot's features into the probability that it is right."""
    wide = shape.of(Numbering())
    seen: list[tuple[np.ndarray, bool]] = []
    guessed: list[tuple[np.ndarray, bool]] = []
    for scan in scans:
        row = find_row(scan.candidates, wide, evidence, scan.scanned)
        slots = fit_spine(row, scan.candidates, wide, evidence) if row else []
        hits = set(_match(scan.truth, [slot.place for slot in slots]).pairs[:, 1].tolist())
        true = {(VERTEBRAE.index(name[:-1]) + 1, name[-1]): place for name, place in scan.truth.items()}
        for number, slot in enumerate(slots):
            if slot.candidate >= 0:
                seen.append((slot.features(scan.candidates), number in hits))
            # What the others say of a lamina is judged where it is known, seen or not; those that are not seen in fact
            # lie in worse scans than the others, which the last feature tells apart.
            if (slot.level, slot.side) in true:
                away = np.linalg.norm(slot.predicted - true[slot.level, slot.side])
                features = replace(slot, candidate=-1).features(scan.candidates)
                guessed.append((np.append(features, float(slot.candidate < 0)), bool(away <= GATE_MM)))
    trust, guess = (
        fit_logistic(np.array([features for features, _ in part]), [hit for _, hit in part], signs)
        for part, signs in ((seen, (1, -1, -1, -1)), (guessed, (-1, -1, -1)))
    )
    constant, *weights, unseen = guess.tolist()
    return replace(evidence, trust=tuple(trust.tolist()), guess=(constant + unseen, *weights))
