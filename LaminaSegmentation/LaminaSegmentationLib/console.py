"""What the commands print: for people on a terminal, for machines one JSON object a line."""

from __future__ import annotations

import datetime
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .progress import STAGES, Progress

if TYPE_CHECKING:
    from .training import TrainingProgress


class Console(Progress):
    """Reports progress on stderr and results on stdout.

    With ``machine`` true each line on stdout is one JSON object with the key ``event`` (``stage``, ``progress``,
    ``warning``, ``result``, ``error``), and nothing else is printed there.
    """

    def __init__(self, machine: bool = False):
        self.machine = machine
        self._stage = ""
        self._reported = 0.0
        self._bar = None
        self._task = None

    def emit(self, event: str, **content: Any) -> None:
        """Print one event for machines; nothing otherwise."""
        if self.machine:
            sys.stdout.write(json.dumps({"event": event, **content}) + "\n")
            sys.stdout.flush()

    def say(self, text: str) -> None:
        """Print a line for people; nothing for machines."""
        if not self.machine:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._stage = name
        text = STAGES.get(name, name)
        self.emit("stage", stage=name, text=text)
        if self._bar is not None:
            # How far the network or the simulation is, nobody knows: the bar moves without an end until it is told.
            self._bar.update(self._task, description=text, completed=0.0, total=None)

    def fraction(self, share: float) -> None:
        """Report how much of the stage is done."""
        self.emit("progress", stage=self._stage, fraction=round(float(share), 4))
        if self._bar is not None:
            self._bar.update(self._task, completed=float(share), total=1.0)

    def warning(self, text: str) -> None:
        """Print a warning."""
        self.emit("warning", text=text)
        if not self.machine:
            sys.stderr.write(f"Note: {text}\n")

    def error(self, text: str) -> None:
        """Print the sentence that ends the command."""
        self.emit("error", text=text)
        if not self.machine:
            sys.stderr.write(f"lamina: {text}\n")

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Show a progress bar with the stage's name and the time passed while the block runs."""
        if self.machine or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (SpinnerColumn(), TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
        with Bars(*columns, console=Terminal(stderr=True), transient=True) as bars:
            self._bar, self._task = bars, bars.add_task("", total=1.0)
            try:
                yield
            finally:
                self._bar = self._task = None

    def track(self, items: Iterable, total: int, text: str) -> Iterator:
        """Yield the items, showing how many are done and the time left (events for machines)."""
        start = time.monotonic()
        self.emit("stage", stage=text, text=text)
        if self.machine or not sys.stderr.isatty():
            for number, item in enumerate(items, 1):
                yield item
                left = (time.monotonic() - start) / number * (total - number)
                self.emit("progress", stage=text, fraction=round(number / total, 4), seconds_left=round(left, 1))
                if not self.machine:
                    sys.stderr.write(f"{text}: {number} of {total}\n")
            return
        from rich.console import Console as Terminal
        from rich.progress import track

        yield from track(items, text, total=total, console=Terminal(stderr=True), transient=True)

    def training(self, progress: TrainingProgress) -> None:
        """Report a training step: at most twice a second, and the end of each epoch."""
        now, last_step = time.monotonic(), progress.step == progress.steps
        if now - self._reported < 0.5 and not last_step:
            return
        self._reported = now
        share = (progress.epoch - 1 + progress.step / progress.steps) / progress.epochs
        self.emit(
            "progress",
            stage="training",
            fraction=round(share, 5),
            epoch=progress.epoch,
            loss=round(progress.loss, 5),
            seconds_left=round(progress.seconds_left, 1),
        )
        if self.machine:
            return
        left = datetime.timedelta(seconds=round(progress.seconds_left))
        text = f"Epoch {progress.epoch} of {progress.epochs}, step {progress.step} of {progress.steps}"
        text += f": loss {progress.loss:.4f}, {left} left"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if last_step else ""))
            sys.stderr.flush()
        elif last_step:
            sys.stderr.write(text + "\n")

    def table(self, title: str, rows: Iterable[tuple[str, str]]) -> None:
        """Print a two-column table for people."""
        if self.machine:
            return
        from rich.console import Console as Terminal
        from rich.markup import escape
        from rich.table import Table

        # The name of a file may hold brackets, which are no markup.
        table = Table(title=escape(title), title_justify="left", show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        Terminal().print(table)


def set_up_logging(verbose: bool) -> None:
    """Send log records to stderr; only warnings unless ``verbose``."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
