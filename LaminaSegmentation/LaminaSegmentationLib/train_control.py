"""Stopping a training run from outside, on every system: a file whose word is looked for after each step.

Signals would do on Linux and macOS, but on Windows a program without a window cannot be interrupted in order.
"""

from __future__ import annotations

import time
from pathlib import Path

PAUSE, STOP = "pause", "stop"

_SECONDS_BETWEEN_LOOKS = 0.5


class Control:
    """Looks for a word in a file.

    Parameters
    ----------
    path : Path or None
        The file. None is never told anything.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._looked = path, 0.0
        self.word = ""
        """`PAUSE` or `STOP` once it was found."""

    def check(self) -> None:
        """Raise KeyboardInterrupt when the run is to end: what Ctrl-C raises, so that both end it in the same way."""
        if self._path is None or time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        try:
            # Windows PowerShell writes UTF-16 with a mark; of it the letters are left.
            word = self._path.read_bytes().decode("ascii", errors="ignore").replace("\0", "").strip().lower()
        except OSError:
            return
        if word in (PAUSE, STOP):
            self.word = word
            self._path.unlink(missing_ok=True)
            raise KeyboardInterrupt


def tell(path: Path, word: str) -> None:
    """Write a word for the run that looks at a file."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(word, encoding="utf-8")
    temporary.replace(path)
