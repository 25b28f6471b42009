"""How well two raters agree, as numbers: the intraclass correlation and the limits of agreement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LIMIT_SDS = 1.96
"""Limits of agreement lie this many standard deviations from the bias: 95 % of normally distributed differences."""

# A sum of squares below this share of the others is rounding.
_NOTHING = 1e-12


def icc_2_1(ratings: np.ndarray) -> float:
    """Return the intraclass correlation ICC(2,1): two-way random effects, absolute agreement, a single rating.

    With the mean squares of a two-way analysis of variance between subjects (MSR), between raters (MSC) and of the
    residuals (MSE), for n subjects and k raters::

        ICC(2,1) = (MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n)

    Parameters
    ----------
    ratings : array_like, shape (n, k)
        One row for each subject, one column for each rater. Rows that are not complete (NaN) are left out.

    Returns
    -------
    float
        At most 1; NaN for fewer than two subjects or two raters, or where nothing varies.

    References
    ----------
    Shrout and Fleiss, "Intraclass correlations: uses in assessing rater reliability", Psychological Bulletin 86,
    1979, https://doi.org/10.1037/0033-2909.86.2.420
    McGraw and Wong, "Forming inferences about some intraclass correlation coefficients", Psychological Methods 1,
    1996, https://doi.org/10.1037/1082-989X.1.1.30

    Examples
    --------
    >>> round(icc_2_1([[1, 2], [3, 4]]), 9)
    0.8
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.ndim != 2:
        raise ValueError(f"ratings have the shape (subjects, raters), not {ratings.shape}")
    ratings = ratings[np.isfinite(ratings).all(axis=1)]
    subjects, raters = ratings.shape
    if subjects < 2 or raters < 2:
        return float("nan")
    ratings = ratings - ratings.mean()
    rows, columns = ratings.mean(axis=1), ratings.mean(axis=0)
    residuals = ratings - rows[:, None] - columns
    between_subjects = raters * (rows**2).sum() / (subjects - 1)
    between_raters = subjects * (columns**2).sum() / (raters - 1)
    residual = (residuals**2).sum() / ((subjects - 1) * (raters - 1))
    denominator = between_subjects + (raters - 1) * residual + raters * (between_raters - residual) / subjects
    # With two subjects and two raters all may vary and the denominator vanish all the same.
    if not denominator > _NOTHING * (between_subjects + between_raters + residual) or not np.ptp(ratings):
        return float("nan")
    return float((between_subjects - residual) / denominator)


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """A quantity as two raters measured it, for a Bland-Altman plot: difference over mean.

    Attributes
    ----------
    names : tuple of str
        What was measured: lamina or vertebra.
    means, differences : ndarray, shape (N,)
        Mean of the two raters, and the second less the first.
    bias : float
        Mean difference; NaN without a measurement.
    sd : float
        Standard deviation of the differences, with N - 1; NaN for fewer than two.
    lower, upper : float
        Limits of agreement, 1.96 standard deviations from the bias; NaN for fewer than two.
    scans : tuple of str
        Scan of each name where several are pooled, else empty texts.

    References
    ----------
    Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
    Lancet 327, 1986, https://doi.org/10.1016/S0140-6736(86)90837-8
    """

    names: tuple[str, ...]
    means: np.ndarray
    differences: np.ndarray
    bias: float
    sd: float
    lower: float
    upper: float
    scans: tuple[str, ...] = ()


def bland_altman_of(names: Sequence[str], ratings: np.ndarray, scans: Sequence[str] = ()) -> BlandAltman:
    """Return the Bland-Altman figures of two raters.

    Parameters
    ----------
    names : sequence of N str
    ratings : array_like, shape (N, 2)
        Without NaN.
    scans : sequence of N str

    Returns
    -------
    BlandAltman
    """
    first, second = np.asarray(ratings, dtype=np.float64).reshape(-1, 2).T
    differences = second - first
    bias, sd = mean(differences), standard_deviation(differences)
    reach = LIMIT_SDS * sd
    return BlandAltman(
        tuple(names), (first + second) / 2, differences, bias, sd, bias - reach, bias + reach, tuple(scans)
    )


def mean(values: np.ndarray) -> float:
    """Return the mean, NaN of nothing without a warning."""
    return float(np.mean(values)) if len(values) else float("nan")


def standard_deviation(values: np.ndarray) -> float:
    """Return the standard deviation with n - 1, NaN of fewer than two without a warning."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def percentile(values: np.ndarray, percent: float) -> float:
    """Return a percentile, interpolated linearly; NaN of nothing."""
    return float(np.percentile(values, percent)) if len(values) else float("nan")
