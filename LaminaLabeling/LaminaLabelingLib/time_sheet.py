"""How long a rater works on each scan: open time, active time and edits, one line per session in a CSV file."""

import csv
import io
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _

COLUMNS = ("scan", "rater", "started", "ended", "seconds_open", "seconds_active", "edits")

LONGEST_GAP = 120.0
"""Seconds between two activities; somebody who does nothing for longer has turned to something else."""


def now() -> datetime:
    """Return the local time with its offset from UTC."""
    return datetime.now().astimezone()


class Activity:
    """The time that somebody spends on one scan.

    Parameters
    ----------
    clock : callable
        Returns the time, with its offset.
    longest_gap : float
        Seconds; a longer gap between two activities does not count as active time.
    """

    def __init__(self, clock: Callable[[], datetime] = now, longest_gap: float = LONGEST_GAP) -> None:
        self._clock = clock
        self._longest_gap = longest_gap
        self._latest: datetime | None = None
        self.started = clock()
        self.seconds_active = 0.0
        self.activities = 0
        self.edits = 0

    def note(self, edit: bool = True) -> None:
        """Note that somebody has done something now.

        Parameters
        ----------
        edit : bool
            Whether it changed the labels; False for looking around.
        """
        time = self._clock()
        if self._latest is not None:
            gap = (time - self._latest).total_seconds()
            # A clock that is set back makes no time undone.
            if 0.0 < gap <= self._longest_gap:
                self.seconds_active += gap
        self._latest = time
        self.activities += 1
        self.edits += bool(edit)

    def row(self, scan: str, rater: str) -> tuple[str, ...] | None:
        """Return the line of the time sheet if the session ends now, see `COLUMNS`; None without any activity."""
        if not self.activities:
            return None
        ended = self._clock()
        return (
            scan,
            rater,
            self.started.isoformat(timespec="seconds"),
            ended.isoformat(timespec="seconds"),
            f"{max((ended - self.started).total_seconds(), 0.0):.1f}",
            f"{self.seconds_active:.1f}",
            str(self.edits),
        )


def append_row(row: tuple[str, ...], path: Path) -> None:
    """Append one line to a time sheet, which is made with its header if there is none.

    Lines that several processes append at the same time stay whole.

    Parameters
    ----------
    row : tuple of str
        In the order of `COLUMNS`.
    path : Path

    Raises
    ------
    LaminaError
        If the file cannot be written.
    """
    try:
        _ensure_header(path)
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        try:
            line = _csv_line(row)
            if not _ends_with_newline(descriptor):
                line = b"\n" + line
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LaminaError(
            _(
                "The time spent could not be noted in {file} ({reason}): close the file in other programs and check "
                "that you may write to the folder."
            ).format(file=f'"{path.name}"', reason=error.strerror or _("unknown reason"))
        ) from error


def _ensure_header(path: Path) -> None:
    """Make the file with its header, unless there is one already or another process is faster."""
    if path.exists():
        return
    temporary = path.with_name(f".{secrets.token_hex(6)}-{path.name}")
    try:
        temporary.write_bytes(_csv_line(COLUMNS))
        try:
            # Unlike a rename, a link never takes the place of a file in which another process has written meanwhile.
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:
            # Some disks have no links. Between the two steps of this way the file is empty for a moment.
            with suppress(FileExistsError), open(path, "xb") as file:
                file.write(_csv_line(COLUMNS))
    finally:
        temporary.unlink(missing_ok=True)


def _ends_with_newline(descriptor: int) -> bool:
    """Return whether a file is empty or ends with a whole line; a spreadsheet may have left it otherwise."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if not size:
        return True
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) == b"\n"


def _csv_line(fields: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode("utf-8")
