"""Case folders, laminae and a clock for the tests of the case files."""

import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.case_session import CaseSession
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review

HERE = Path(__file__).parent


class Clock:
    """A clock that stands still until it is told otherwise: 2026-03-02 09:00:00+01:00."""

    def __init__(self):
        self.time = datetime(2026, 3, 2, 9, 0, 0, tzinfo=timezone(timedelta(hours=1)))

    def __call__(self):
        return self.time

    def wait(self, seconds):
        self.time += timedelta(seconds=seconds)


def make_scan(folder, file_name="scan1.nrrd"):
    """A scan, of which only the name counts."""
    path = Path(folder) / file_name
    path.write_bytes(b"")
    return path


def placed(number=0.0, names=SLOTS):
    """All slots placed at a height that tells one set from another."""
    return LaminaSet.from_positions({name: (1.0, 2.0, float(number)) for name in names})


def with_absent(laminae, *names):
    return laminae.with_laminae([Lamina(name, None, Review.absent) for name in names])


def height(laminae):
    """The number that a set was made with, see `placed`; None if it is empty."""
    heights = {float(position[2]) for position in laminae.positions().values()}
    return heights.pop() if heights else None


def hidden_files(folder):
    return [path.name for path in Path(folder).iterdir() if path.name.startswith(".")]


def start_python(code, *arguments):
    """Start code in a process of its own that can import this folder."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(HERE)!r})\n{code}", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def lock_of_dead_process(path):
    """Leave the lock of a process that has ended, as a crash does."""
    code = "import os; from LaminaLabelingLib.case_locks import CaseLock; CaseLock.acquire(sys.argv[1]); os._exit(0)"
    with start_python(code, path) as process:
        assert process.wait() == 0
    return path.read_bytes()


def change_lock(path, **fields):
    """Change what a lock says."""
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))


@contextmanager
def cases_of(folder):
    """Gives a function that opens the case of anna, or of another rater, and closes all of them in the end."""
    sessions = []

    def open_case(rater="anna", **options):
        sessions.append(CaseSession.open(folder, "scan1", rater, **options))
        return sessions[-1]

    yield open_case
    for session in sessions:
        session.close()


def files_of(folder):
    """What a folder holds beside its scan."""
    return sorted(path.name for path in folder.iterdir() if path.name != "scan1.nrrd")


def refused(action, *arguments, match=None):
    """Check that an action fails with one sentence for a person, and return it."""
    with pytest.raises(LaminaError, match=match) as raised:
        action(*arguments)
    assert_one_sentence(raised.value)
    return str(raised.value)
