"""The one figure by which trainings with different losses are compared on validation scans."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .metrics import false_laminae, missed_laminae, total_distance
from .samples import Case
from .training import Metric

FALSE_SHARE = 0.25
"""What a false lamina counts, a missed one counting 1: it is seen and deleted with one key, a missed one has to be
found and placed; and localization leaves out many false ones that lie where no lamina can be."""

SCORE = "val_score"


def score_of(missed: float, false: float) -> float:
    """Return missed laminae plus a share of the false ones; lower is better."""
    return missed + FALSE_SHARE * false


def validation_score(probability: np.ndarray, case: Case) -> float:
    """Return the score of a network's map of one scan, see `score_of`."""
    return score_of(missed_laminae(probability, case), false_laminae(probability, case))


def validation_metrics(monitor: str) -> Mapping[str, Metric]:
    """Return the figures of each validation scan; the score only where it chooses the epoch."""
    metrics: dict[str, Metric] = {"missed": missed_laminae, "false": false_laminae, "d3d": total_distance}
    # An earlier run's log has no such column, and can still be gone on with.
    return metrics | ({"score": validation_score} if monitor == SCORE else {})
