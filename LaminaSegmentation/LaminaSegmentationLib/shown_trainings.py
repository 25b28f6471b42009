"""How far several trainings are that run beside each other."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from .console import Console


class ShownTrainings:
    """Progress of all trainings on the console.

    Parameters
    ----------
    console : Console
    total : int
        Trainings that are to be done.
    places : callable
        Returns how many are done at once now.
    """

    def __init__(self, console: Console, total: int, places: Callable[[], int]) -> None:
        self.console, self.total, self.places = console, total, places
        self.finished = 0
        self.shares: dict[str, float] = {}
        self.left: dict[str, float] = {}
        self.whole: float | None = None
        self.reported = 0.0

    def show(self, event: Mapping[str, Any]) -> None:
        """Tell of an event of a pool: of ``training`` at most twice a second, of ``finished`` always."""
        run = event["run"]
        if event["event"] == "finished":
            self.finished += 1
            self.shares.pop(run, None)
            self.left.pop(run, None)
            self._tell(run, f"{run} is finished: {self.finished} of {self.total} trainings", keep=True)
        elif event["event"] == "training":
            share = (event["epoch"] - 1 + event["step"] / event["steps"]) / event["epochs"]
            self.shares[run], self.left[run] = share, event["seconds_left"]
            if share < 1.0:
                self.whole = event["seconds_left"] / (1.0 - share)
            last = event["step"] == event["steps"]
            text = f"{run}: epoch {event['epoch']} of {event['epochs']}, loss {event['loss']:.4g}"
            self._tell(run, text, keep=last, epoch=event["epoch"], loss=round(event["loss"], 5))

    def seconds_left(self) -> float | None:
        """Estimate the time left from the pace of the trainings; None before the first step."""
        waiting = self.total - self.finished - len(self.left)
        if self.whole is None:
            return None
        return max([*self.left.values(), (sum(self.left.values()) + waiting * self.whole) / max(self.places(), 1)])

    def _tell(self, run: str, text: str, keep: bool, **content: Any) -> None:
        now = time.monotonic()
        if not keep and now - self.reported < 0.5:
            return
        self.reported = now
        left = self.seconds_left()
        fraction = (self.finished + sum(self.shares.values())) / self.total
        content |= {} if left is None else {"seconds_left": round(left, 1)}
        self.console.emit("progress", stage="training", fraction=round(fraction, 5), run=run, **content)
        if self.console.machine:
            return
        if left is not None:
            text += f"; {datetime.timedelta(seconds=round(left))} left for all"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if keep else ""))
            sys.stderr.flush()
        elif keep:
            sys.stderr.write(text + "\n")
