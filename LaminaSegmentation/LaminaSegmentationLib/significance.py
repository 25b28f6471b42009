"""Is one network better than another on the same test scans? Paired tests, in NumPy and SciPy alone.

The paper's Section IV compares its networks by one-tailed paired t-tests. Ten differences that are anything but normal
deserve more: the Wilcoxon signed rank test beside it, a bootstrap interval of the mean difference, and Holm's
adjustment, since a table of tests finds something at p < 0.05 by luck alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

RESAMPLES = 10_000
"""Bootstrap samples of an interval."""

CONFIDENCE = 0.95

EXACT_PAIRS = 200
"""Up to so many pairs the distribution of the signed rank sum is counted out; beyond, it is taken to be normal."""

_BOOTSTRAP_SEED = 20210


@dataclass(frozen=True)
class Comparison:
    """One-tailed comparison of two sets of paired values: is the first better?

    Attributes
    ----------
    n : int
        Pairs with a value on both sides.
    better : {"lower", "higher"}
        What is better of this value; the alternative hypothesis is that the first is better.
    difference : float or None
        Mean of first minus second.
    interval : (float, float) or None
        Bootstrap interval of `difference`.
    wins, ties, losses : int
        Pairs in which the first is better, equal and worse.
    t, p_t : float or None
        Student's paired t and its one-tailed p.
    p_wilcoxon : float or None
        One-tailed p of the signed rank test.
    notes : tuple of str
        Why a test was left out, or what limits it.
    """

    n: int
    better: str
    difference: float | None
    interval: tuple[float, float] | None
    wins: int
    ties: int
    losses: int
    t: float | None
    p_t: float | None
    p_wilcoxon: float | None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict:
        """Return plain values for JSON; None where there is none."""
        return {**asdict(self), "interval": self.interval and list(self.interval), "notes": list(self.notes)}


def compare_pairs(first: Sequence[float], second: Sequence[float], better: str) -> Comparison:
    """Test whether the first of two paired sets is better than the second.

    Parameters
    ----------
    first, second : sequence of float
        Values of the same scans in the same order. NaN where a value is not defined: the pair is left out.
    better : {"lower", "higher"}
        What is better of this value.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the sets differ in length or `better` is neither of the two.

    Examples
    --------
    >>> compare_pairs([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], "lower").p_wilcoxon
    0.125
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError("Pairs need two sequences of the same length.")
    if better not in ("lower", "higher"):
        raise ValueError(f"better is 'lower' or 'higher', not {better!r}.")
    both = np.isfinite(first) & np.isfinite(second)
    differences = (first - second)[both]
    n, notes = len(differences), []
    if n < len(first):
        notes.append(f"{len(first) - n} of {len(first)} scans have no value and are left out")
    # Positive gains speak for the first, whichever direction is better.
    gains = differences if better == "higher" else -differences
    t, p_t = _paired_t(gains, notes)
    return Comparison(
        n=n,
        better=better,
        difference=float(differences.mean()) if n else None,
        interval=bootstrap_interval(differences) if n > 1 else None,
        wins=int((gains > 0).sum()),
        ties=int((gains == 0).sum()),
        losses=int((gains < 0).sum()),
        t=t,
        p_t=p_t,
        p_wilcoxon=_signed_rank(gains, notes),
        notes=tuple(notes),
    )


def _paired_t(gains: np.ndarray, notes: list[str]) -> tuple[float | None, float | None]:
    if len(gains) < 2:
        notes.append("a t-test needs two pairs or more")
        return None, None
    if not gains.any():
        notes.append("all differences are zero: nothing can be tested")
        return None, None
    spread = gains.std(ddof=1)
    # Differences that are equal but for rounding leave no spread to divide by.
    if spread <= 1e-12 * np.abs(gains).max():
        notes.append("all differences are equal: a t-test cannot be made")
        return None, None
    t = float(gains.mean() / (spread / math.sqrt(len(gains))))
    return t, float(stats.t.sf(t, len(gains) - 1))


def _signed_rank(gains: np.ndarray, notes: list[str]) -> float | None:
    """Return the one-tailed p that the gains are not symmetric about zero but larger; zeros are dropped."""
    gains = gains[gains != 0]
    if len(gains) == 0:
        return None
    least = 0.5 ** len(gains)
    if least > 1.0 - CONFIDENCE:
        count = f"{len(gains)} difference{'s' if len(gains) > 1 else ''} other than zero"
        notes.append(f"with {count} the signed rank test cannot give less than {least:g}")
    # Rounding in the last digit must not break a tie.
    ranks = stats.rankdata(np.round(np.abs(gains), 9))
    positive = float(ranks[gains > 0].sum())
    if len(gains) > EXACT_PAIRS:
        deviation = math.sqrt(float((ranks**2).sum()) / 4.0)
        return float(stats.norm.sf((positive - ranks.sum() / 2.0 - 0.25) / deviation))
    # Ties make half ranks: in doubled ranks all sums are whole. Each sign is as likely as the other.
    doubled = np.round(2.0 * ranks).astype(int)
    chances = np.zeros(doubled.sum() + 1)
    chances[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: len(chances) - rank]
        chances = 0.5 * (chances + moved)
    return float(min(chances[round(2.0 * positive) :].sum(), 1.0))


def bootstrap_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean (Efron 1979, doi:10.1214/aos/1176344552).

    Parameters
    ----------
    values : sequence of float
    confidence : float
        Share of resampled means inside the interval.

    Returns
    -------
    (float, float)
        The same for the same values: the resampling has a fixed seed. With ten values such an interval is a little
        too narrow.
    """
    values = np.asarray(values, float)
    draws = np.random.default_rng(_BOOTSTRAP_SEED).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Adjust the p-values of a family of tests (Holm 1979, https://www.jstor.org/stable/4615733).

    Parameters
    ----------
    p_values : mapping of str to float or None
        None for a test that could not be made; it does not count.

    Returns
    -------
    dict
        Adjusted p-values under the same names.

    Examples
    --------
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted: dict[str, float | None] = dict.fromkeys(p_values)
    made = sorted((p, name) for name, p in p_values.items() if p is not None)
    largest = 0.0
    for number, (p, name) in enumerate(made):
        largest = max(largest, min((len(made) - number) * p, 1.0))
        adjusted[name] = largest
    return adjusted
