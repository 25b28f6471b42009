"""How a spine leans along its length, with the uncertainty: a smooth curve through noisy points and pairs.

A vertebra's tilt shows twice: in the line from its left to its right lamina, whose ends are only 20 mm apart, and in
the course of the midline, which is known over the whole spine. Two voxels of error are 5 degrees in the first (METHOD
section 7) and less in the second, so both are needed, each with its weight. The slope of the spine is a Gaussian
process over the distance down the spine; the midline is its integral, and a vertebra may deviate from it by a little.
All is linear and Gaussian, so the uncertainty comes with the estimate [1]_.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. MIT Press, 2006, sections 2.2, 9.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

AMPLITUDES_DEG = (8.0, 14.0, 22.0, 32.0)
"""Sizes of slopes that a spine may have; each spine's own data weigh them."""

LENGTHS_MM = (40.0, 58.0)
"""Distances over which the slope changes: half a curve spans four or five vertebrae."""

DEVIATION_DEG = 0.7
"""By how much a vertebra leans otherwise than the midline at its level, standard deviation."""

_LEVEL_DEG = 6.0
# An offset of the whole spine from 0 is free.
_FREE_MM = 100.0


@dataclass(frozen=True)
class SlopeFit:
    """Slopes at the levels of a spine.

    Attributes
    ----------
    mean : ndarray, shape (N,)
        Tangents of the angles of the vertebrae.
    covariance : ndarray, shape (N, N)
    line : ndarray, shape (N,)
        The fitted values of the midline, mm.
    """

    mean: np.ndarray
    covariance: np.ndarray
    line: np.ndarray

    @property
    def degrees(self) -> np.ndarray:
        """The angles, (N,)."""
        return np.degrees(np.arctan(self.mean))

    @property
    def degrees_covariance(self) -> np.ndarray:
        """The covariance of the angles in square degrees, (N, N), by linearization."""
        factor = np.degrees(1.0 / (1.0 + self.mean**2))
        return self.covariance * factor[:, None] * factor[None, :]


def fit_slopes(
    along: np.ndarray,
    values: np.ndarray | None = None,
    value_sd: np.ndarray | None = None,
    slopes: np.ndarray | None = None,
    slope_sd: np.ndarray | None = None,
    amplitudes_deg: Sequence[float] = AMPLITUDES_DEG,
    lengths_mm: Sequence[float] = LENGTHS_MM,
    deviation_deg: float = DEVIATION_DEG,
) -> SlopeFit:
    """Fit the slope of a line down a spine to its points, to direct observations of the slope, or to both.

    Amplitude and length of the process are not chosen but averaged over, weighted by how well each explains the data.

    Parameters
    ----------
    along : array, shape (N,)
        Distance of each level down the spine, mm, increasing.
    values, value_sd : array, shape (N,), optional
        The line beside the vertical at each level and its standard deviation, mm; NaN where it is not known.
    slopes, slope_sd : array, shape (N,), optional
        The slope (mm per mm) seen at each level and its standard deviation; NaN where it is not known.
    amplitudes_deg, lengths_mm : sequence of float
        See `AMPLITUDES_DEG`, `LENGTHS_MM`.
    deviation_deg : float
        See `DEVIATION_DEG`; it belongs to the slope that is returned.

    Returns
    -------
    SlopeFit

    Examples
    --------
    >>> along = np.arange(0.0, 200.0, 25.0)
    >>> fit = fit_slopes(along, values=0.1 * along, value_sd=np.full(8, 1e-3))
    >>> fit.mean.round(2).tolist()
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    """
    along = np.asarray(along, float)
    observed, rows, noise = _observations(along, values, value_sd, slopes, slope_sd)
    fits = []
    for amplitude, length in product(amplitudes_deg, lengths_mm):
        prior = _prior(along, np.tan(np.radians(amplitude)), length, np.tan(np.radians(deviation_deg)))
        fits.append(_condition(prior, rows, observed, noise))
    weights = np.array([evidence for _, _, evidence in fits])
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    state = sum(weight * mean for weight, (mean, _, _) in zip(weights, fits))
    spread = sum(
        weight * (covariance + np.outer(mean - state, mean - state))
        for weight, (mean, covariance, _) in zip(weights, fits)
    )
    count = len(along)
    take = np.hstack([np.eye(count), np.eye(count), np.zeros((count, 1))])
    line = np.hstack([_integration(along), np.zeros((count, count)), np.ones((count, 1))]) @ state
    return SlopeFit(take @ state, take @ spread @ take.T, line + _center(values))


def _observations(along, values, value_sd, slopes, slope_sd):
    """Return what was observed, its rows over the state (slopes, deviations, offset) and its variances."""
    count = len(along)
    observed, rows, noise = [], [], []
    if values is not None:
        known = np.isfinite(values)
        observed.append((np.asarray(values, float) - _center(values))[known])
        rows.append(np.hstack([_integration(along), np.zeros((count, count)), np.ones((count, 1))])[known])
        noise.append(np.asarray(value_sd, float)[known] ** 2)
    if slopes is not None:
        known = np.isfinite(slopes)
        observed.append(np.asarray(slopes, float)[known])
        rows.append(np.hstack([np.eye(count), np.eye(count), np.zeros((count, 1))])[known])
        noise.append(np.asarray(slope_sd, float)[known] ** 2)
    return np.concatenate(observed), np.vstack(rows), np.concatenate(noise)


def _center(values) -> float:
    return 0.0 if values is None else float(np.nanmean(values))


def _integration(along: np.ndarray) -> np.ndarray:
    """Return the matrix that integrates slopes at the levels by the trapezoidal rule, (N, N)."""
    steps = np.diff(along)
    matrix = np.zeros((len(along), len(along)))
    for level, step in enumerate(steps, 1):
        matrix[level] = matrix[level - 1]
        matrix[level, level - 1 : level + 1] += 0.5 * step
    return matrix


def _prior(along: np.ndarray, amplitude: float, length: float, deviation: float) -> np.ndarray:
    count = len(along)
    away = (along[:, None] - along[None, :]) / length
    smooth = amplitude**2 * np.exp(-0.5 * away**2) + np.tan(np.radians(_LEVEL_DEG)) ** 2
    prior = np.zeros((2 * count + 1, 2 * count + 1))
    prior[:count, :count] = smooth
    prior[count:-1, count:-1] = deviation**2 * np.eye(count)
    prior[-1, -1] = _FREE_MM**2
    return prior


def _condition(prior, rows, observed, noise):
    """Return mean and covariance of the state given the observations, and the logarithm of their probability."""
    cross = prior @ rows.T
    total = rows @ cross + np.diag(noise)
    factor = np.linalg.cholesky(total)
    whitened = np.linalg.solve(factor, cross.T)
    residual = np.linalg.solve(factor, observed)
    evidence = -0.5 * residual @ residual - np.log(np.diag(factor)).sum()
    return whitened.T @ residual, prior - whitened.T @ whitened, evidence
