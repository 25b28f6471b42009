"""What a model's candidates are worth, learned from labeled scans: from a confidence to a probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import minimize

from LaminaLabelingLib.errors import LaminaError

# Volume in which a candidate may lie, for each lamina: a whole spine of 400 x 48 x 25 mm holds 34.
_VOLUME_MM3 = 400.0 * 48.0 * 25.0 / 34.0
_LEAST, _MOST = 1e-3, 1.0 - 1e-3


def logit(probability) -> np.ndarray:
    """Return the logarithm of the odds; 0 and 1 are taken as 0.001 and 0.999."""
    clipped = np.clip(np.asarray(probability, float), _LEAST, _MOST)
    return np.log(clipped / (1.0 - clipped))


def logistic(value) -> np.ndarray:
    """Return the probability for the logarithm of odds."""
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(value, float), -60.0, 60.0)))


@dataclass(frozen=True)
class Evidence:
    """How a model's candidates are to be read.

    Attributes
    ----------
    level, slope : float
        The odds that a candidate is a lamina are ``exp(level + slope * logit(confidence))``.
    missing : float
        Share of laminae without a candidate.
    detection_sd : float
        Error of a detected lamina's place along each axis, mm.
    trust : tuple of 5 floats
        The log odds that a lamina of the result lies within 5 mm of the true one are the sum of a constant, and of
        these times: the logit of the confidence of its candidate, how badly it fits the other laminae (half the
        squared distance in standard deviations, at most 8), the standard deviation in mm with which the others
        predict it, and 1 for a lumbar one.
    guess : tuple of 3 floats
        The same without a candidate: a constant, times that standard deviation, and 1 for a lumbar one.
    learned_from : str
    """

    level: float = 4.6
    slope: float = 1.3
    missing: float = 0.03
    detection_sd: float = 0.7
    trust: tuple[float, float, float, float, float] = (4.0, 0.9, -0.5, -0.3, -0.3)
    guess: tuple[float, float, float] = (3.5, -0.6, -0.3)
    learned_from: str = "assumed"

    def odds(self, confidence) -> np.ndarray:
        """Return the logarithm of the odds that candidates with these confidences are laminae."""
        return self.level + self.slope * logit(confidence)

    def worth(self, confidence) -> np.ndarray:
        """Return how much more probable candidates are as laminae than as something else, per mm3, as logarithm."""
        return self.odds(confidence) + np.log(_VOLUME_MM3)

    def as_dict(self) -> dict:
        """Return it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> Evidence:
        """Return the evidence of `as_dict`; raise LaminaError if it cannot be one."""
        try:
            numbers = {key: float(values[key]) for key in ("level", "slope", "missing", "detection_sd")}
            lists = {key: tuple(float(x) for x in values[key]) for key in ("trust", "guess")}
        except (KeyError, TypeError, ValueError) as error:
            raise LaminaError(f"what its candidates are worth cannot be read ({error})") from error
        everything = [*numbers.values(), *lists["trust"], *lists["guess"]]
        if len(lists["trust"]) != 5 or len(lists["guess"]) != 3 or not np.isfinite(everything).all():
            raise LaminaError("what its candidates are worth is not given by the right numbers")
        if not (0.0 < numbers["missing"] < 1.0 and numbers["detection_sd"] > 0 and numbers["slope"] > 0):
            raise LaminaError("what its candidates are worth is out of range")
        return cls(**numbers, **lists, learned_from=str(values.get("learned_from", "")))


def fit_logistic(
    features: np.ndarray, outcomes: Sequence[bool], signs: Sequence[int] | None = None, penalty: float = 0.5
) -> np.ndarray:
    """Fit a logistic regression.

    Parameters
    ----------
    features : (N, K) array
        A constant is added in front.
    outcomes : sequence of bool
    signs : sequence of K int, optional
        1 for a weight that cannot be negative, -1 for one that cannot be positive, 0 for any: what is known beforehand
        must not be learned the wrong way round from a few cases.
    penalty : float
        On the squares of all but the constant, which keeps separable data finite.

    Returns
    -------
    ndarray, shape (K + 1,)
    """
    rows = np.column_stack([np.ones(len(features)), features])
    sides = np.where(np.asarray(outcomes, bool), 1.0, -1.0)

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = sides * (rows @ weights)
        slopes = -sides * logistic(-margins)
        punished = np.concatenate([[0.01 * weights[0]], weights[1:]])
        return np.logaddexp(
            0.0, -margins
        ).sum() + 0.5 * penalty * weights @ punished, rows.T @ slopes + penalty * punished

    ranges = {0: (None, None), 1: (0.0, None), -1: (None, 0.0)}
    bounds = [ranges[sign] for sign in (0, *(signs if signs is not None else [0] * (rows.shape[1] - 1)))]
    return minimize(cost, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
