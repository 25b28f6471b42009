"""The place of every lamina of a row, seen or not: each is predicted from all others, and what fits best is taken.

The row of `spine_chain` compares neighbors only. Here the whole shape counts: candidates that the other laminae
contradict are given up, candidates that were left out are taken where they fit, and where there is none the shape says
where the lamina probably is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .candidates import Candidate
from .evidence import Evidence, logistic, logit
from .shape_model import ShapeModel
from .spine_chain import Row

# A spine departs from the shape more than those that it was learned from.
_SLACK = 1.5
_MOST_CHANGES = 40
_WORST_FIT = 8.0
_LAST_THORACIC = 12


@dataclass(frozen=True)
class Slot:
    """One lamina of the fitted spine.

    Attributes
    ----------
    level : int
        In the shape model of `ShapeModel.of`.
    side : str
    candidate : int
        -1 where none was taken.
    place : ndarray, shape (3,)
        Along, lateral, depth, mm: the candidate's, else the predicted one.
    predicted, spread : ndarray, shape (3,)
        Where the other laminae say that it is, and the standard deviation, mm.
    misfit : float
        Half the squared distance of the candidate from there in standard deviations; 0 without one.
    is_lumbar : bool
        By the number of the level, which may be off by some in a scan of a part of the spine.
    confidence : float
        Probability that the place lies within 5 mm of the true one.
    """

    level: int
    side: str
    candidate: int
    place: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    misfit: float
    is_lumbar: bool
    confidence: float = 0.0

    def features(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """Return what `Evidence.trust` or, without a candidate, `Evidence.guess` weighs."""
        common = [float(np.linalg.norm(self.spread)), float(self.is_lumbar)]
        if self.candidate < 0:
            return np.array(common)
        confidence = candidates[self.candidate].confidence
        return np.array([float(logit(confidence)), min(self.misfit, _WORST_FIT), *common])


class _Fit:
    """Laminae of some levels, the candidates that they have now, and what the shape says of each."""

    def __init__(self, row: Row, candidates, shape: ShapeModel, evidence: Evidence, without):
        levels = range(row.first, row.last + 1)
        self.keys = [(level, side) for level in levels for side in "LR" if (level, side) not in without]
        self.places = np.array([candidate.place for candidate in candidates]).reshape(-1, 3)
        self.worth = evidence.worth(np.array([candidate.confidence for candidate in candidates]))
        numbers = np.array([level for level, _ in self.keys], int)
        sides = np.array([-1.0 if side == "L" else 1.0 for _, side in self.keys])
        self.mean, self.covariance = shape.moments(numbers, sides, row.size)
        self.noise = np.square(shape.noise) + evidence.detection_sd**2
        self.unseen = np.log(evidence.missing)
        taken = {(level, side): number for level, *pair in row.levels for side, number in zip("LR", pair)}
        chosen = np.array([taken.get(key, -1) for key in self.keys], int)
        # The row compares neighbors only, so a candidate may have come twice: once is enough.
        again = np.ones(len(chosen), bool)
        again[np.unique(chosen, return_index=True)[1]] = False
        self.chosen = np.where(again, -1, chosen)

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where all others say that each lamina is, and the variance of a candidate there, (N, 3) each."""
        known = np.flatnonzero(self.chosen >= 0)
        where, variance = np.zeros((2, len(self.keys), 3))
        for axis in range(3):
            block = self.covariance[axis][np.ix_(known, known)] + self.noise[axis] * np.eye(len(known))
            inverse = np.linalg.inv(block)
            away = self.places[self.chosen[known], axis] - self.mean[axis, known]
            pulled = inverse @ away
            cross = self.covariance[axis][:, known]
            where[:, axis] = self.mean[axis] + cross @ pulled
            total = np.diag(self.covariance[axis]) + self.noise[axis]
            variance[:, axis] = total - np.einsum("ij,jk,ik->i", cross, inverse, cross)
            # Without the lamina itself: leave-one-out by the inverse.
            where[known, axis] = self.places[self.chosen[known], axis] - pulled / np.diag(inverse)
            variance[known, axis] = 1.0 / np.diag(inverse)
        return where, _SLACK**2 * np.maximum(variance, 1e-6)

    def improve(self) -> bool:
        """Make the change of one lamina that gains most; return whether there was one."""
        if (self.chosen >= 0).sum() < 3:
            return False
        where, variance = self.predict()
        away = (self.places[None] - where[:, None]) ** 2 / variance[:, None]
        value = self.worth[None] - 0.5 * (away + np.log(2.0 * np.pi * variance)[:, None]).sum(axis=2)
        rows = np.arange(len(self.keys))
        now = np.where(self.chosen >= 0, value[rows, self.chosen], self.unseen)
        used = self.chosen[self.chosen >= 0]
        value[:, used] = -np.inf
        value[rows[self.chosen >= 0], used] = now[self.chosen >= 0]
        options = np.column_stack([value, np.full(len(rows), self.unseen)])
        best = options.argmax(axis=1)
        gain = options[rows, best] - now
        lamina = int(gain.argmax())
        if gain[lamina] < 1e-6:
            return False
        self.chosen[lamina] = best[lamina] if best[lamina] < len(self.places) else -1
        return True


def fit_spine(
    row: Row,
    candidates: Sequence[Candidate],
    shape: ShapeModel,
    evidence: Evidence,
    without: frozenset[tuple[int, str]] = frozenset(),
) -> list[Slot]:
    """Place every lamina of a row.

    Parameters
    ----------
    row : spine_chain.Row
    candidates : sequence of Candidate
    shape : ShapeModel
        The one that the row was found with.
    evidence : Evidence
    without : frozenset of (int, str)
        Laminae that are known to be absent.

    Returns
    -------
    list of Slot
        From the top down, left before right.
    """
    fit = _Fit(row, candidates, shape, evidence, without)
    for _change in range(_MOST_CHANGES):
        if not fit.improve():
            break
    if not (fit.chosen >= 0).any():
        return []
    where, variance = fit.predict()
    slots = []
    for (level, side), chosen, predicted, spread in zip(fit.keys, fit.chosen, where, np.sqrt(variance)):
        place = fit.places[chosen] if chosen >= 0 else predicted
        misfit = 0.5 * float((((place - predicted) / spread) ** 2).sum())
        slot = Slot(level, side, int(chosen), place, predicted, spread, misfit, level > _LAST_THORACIC)
        slots.append(_with_confidence(slot, candidates, evidence))
    return slots


def _with_confidence(slot: Slot, candidates, evidence: Evidence) -> Slot:
    weights = np.array(evidence.guess if slot.candidate < 0 else evidence.trust)
    confidence = float(logistic(weights[0] + weights[1:] @ slot.features(candidates)))
    return replace(slot, confidence=confidence)
