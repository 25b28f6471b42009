"""How fast a training run goes, and what still fits into its time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

WARM_UP_STEPS = 2
"""The first step of a call may compile the network: the mean starts anew with the second."""

SMOOTHING = 0.9


class Pace:
    """Clock of one call of `training.train`.

    Parameters
    ----------
    limit : float, optional
        Seconds that the call may take.
    validations : int
        Validation cases an epoch.
    earlier : float
        Seconds that the run took before this call.
    """

    def __init__(self, limit: float | None, validations: int, earlier: float = 0.0) -> None:
        self.limit = math.inf if limit is None else limit
        self.earlier = earlier
        self.step_seconds = self.validation_seconds = 0.0
        self._validations = validations
        self._steps, self._validated = 0, False
        self._started = time.monotonic()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time a training step."""
        begun = time.monotonic()
        yield
        taken = time.monotonic() - begun
        self._steps += 1
        warm = self._steps > WARM_UP_STEPS
        self.step_seconds = SMOOTHING * self.step_seconds + (1.0 - SMOOTHING) * taken if warm else taken
        if not self._validated:
            # Until one was timed: a forward pass on the whole grid costs about as much as a step on half of it.
            self.validation_seconds = self._validations * self.step_seconds

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Time a validation."""
        begun = time.monotonic()
        yield
        self.validation_seconds = time.monotonic() - begun
        self._validated = True

    def left(self) -> float:
        """Return the seconds until the limit; infinite without one."""
        return self.limit - (time.monotonic() - self._started)

    def fits_step(self) -> bool:
        """Tell whether a further step and the validation after it fit into the time that is left."""
        return self.left() > self.step_seconds + self.validation_seconds

    def share(self) -> float:
        """Return the share of the time limit that is used, earlier calls included; 0 without a limit."""
        if math.isinf(self.limit):
            return 0.0
        return (self.earlier + self.limit - self.left()) / (self.earlier + self.limit)

    def estimate(self, steps: int, validations: int) -> float:
        """Return the seconds that some steps and validations will take, at most those that are left."""
        seconds = steps * self.step_seconds + validations * self.validation_seconds
        return max(min(seconds, self.left()), 0.0)
