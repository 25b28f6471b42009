"""A process that is killed while somebody labels: at most the edit in the making is lost, and the next one goes on."""

import json
import os
import random
import time

import pytest
from case_folders import height, hidden_files, make_scan, start_python

from LaminaLabelingLib.case_session import CaseSession
from LaminaLabelingLib.markups_files import read_markups

# Edits without end; a number is printed when its edit is stored. Some are saved, so that kills fall there too.
EDITS = """
from itertools import count
from case_folders import height, placed
from LaminaLabelingLib.case_session import CaseSession
session = CaseSession.open(sys.argv[1], "scan1", "anna")
assert session.warnings == ()
for number in count(int(height(session.laminae) or 0) + 1):
    session.autosave(placed(number), {"number": number})
    session.active()
    print(number, flush=True)
    if number % 5 == 0:
        session.save(placed(number))
"""


def reopened(folder):
    """The session after a kill; a lock that has no owner yet counts as stale after ten seconds, so they pass first."""
    for lock in folder.glob("*.lock"):
        if not lock.read_bytes():
            os.utime(lock, (0, 0))
    return CaseSession.open(folder, "scan1", "anna")


def test_twenty_kills_at_any_moment_lose_nothing_that_was_stored(tmp_path):
    make_scan(tmp_path)
    moments = random.Random(7)
    last, stored = 0, 0
    for attempt in range(20):
        process = start_python(EDITS, tmp_path)
        with process:
            printed = []
            # Half of the kills fall into a loop of edits that surely runs, the others also before its start.
            if attempt % 2 == 0:
                printed.append(process.stdout.readline())
                time.sleep(moments.uniform(0, 0.05))
            else:
                time.sleep(moments.uniform(0, 0.3))
            process.kill()
            printed += process.stdout.read().splitlines()
            assert process.wait() < 0
        last = max([last, *map(int, printed)])
        stored += len(printed)
        with reopened(tmp_path) as session:
            found = height(session.laminae) or 0
            # The last edit may have been stored before its number was printed.
            assert found in (last, last + 1)
            assert session.warnings == ()
            assert session.state.get("number", 0) in (found - 1, found)
            assert hidden_files(tmp_path) == []
            last = int(found)
    assert stored > 20
    assert {path.name for path in tmp_path.iterdir()} <= {
        "scan1.nrrd",
        "scan1.anna.mrk.json",
        "scan1.anna.autosave.mrk.json",
        "scan1.anna.session.json",
    }


# Each fork does the same work and is killed at its n-th step that a disk would notice, before or after it. It leaves
# the number of the last edit that was stored; the parent looks at what the next session finds.
EVERYWHERE = """
import json, os, pathlib, shutil, signal
from case_folders import height, hidden_files, make_scan, placed
from test_case_kill import reopened
from LaminaLabelingLib import case_locks
from LaminaLabelingLib.case_session import CaseSession

base = pathlib.Path(sys.argv[1])

def work(folder, told):
    with CaseSession.open(folder, "scan1", "anna") as session:
        for number in (1, 2):
            session.autosave(placed(number), {"number": number})
            os.write(told, b"%d " % number)
        session.save(placed(2))
        session.autosave(placed(3), {"number": 3})
        os.write(told, b"3 ")
        session.active()

def killed_at(step):
    count = [0]
    def point():
        count[0] += 1
        if count[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)
    def around(holder, name):
        action = getattr(holder, name)
        def wrapped(*arguments, **options):
            point()
            result = action(*arguments, **options)
            point()
            return result
        setattr(holder, name, wrapped)
    for name in ("replace", "unlink", "write_text", "write_bytes"):
        around(pathlib.Path, name)
    around(case_locks.os, "open")
    around(os, "link")

def fork(action, *arguments):
    child = os.fork()
    if child == 0:
        try:
            action(*arguments)
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\\n")
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def killed_work(folder, told, step):
    killed_at(step)
    work(folder, told)

results = []
for step in range(1, 1000):
    folder = base / str(step)
    folder.mkdir()
    make_scan(folder)
    if sys.argv[2] == "stale lock":
        assert fork(case_locks.CaseLock.acquire, folder / "scan1.anna.lock") == 0
    told, tell = os.pipe()
    status = fork(killed_work, folder, tell, step)
    os.close(tell)
    last = int((os.read(told, 100).split() or [0])[-1])
    os.close(told)
    # A process of another number, as the next start of the application is.
    with reopened(folder) as session:
        found = int(height(session.laminae) or 0)
        left = [name for name in hidden_files(folder) if "times" not in name or status == 0]
        results.append([status, last, found, session.state.get("number", 0), len(session.warnings), left])
    shutil.rmtree(folder)
    if status != -signal.SIGKILL:
        break
print(json.dumps(results), flush=True)
"""


@pytest.mark.parametrize("lock", ["no lock", "stale lock"])
def test_a_kill_at_each_single_step_loses_nothing_that_was_stored(tmp_path, lock):
    with start_python(EVERYWHERE, tmp_path, lock) as process:
        results = json.loads(process.stdout.read())
    statuses = [result[0] for result in results]
    # All steps were tried: every one but the last was killed, and the last went through.
    assert len(results) > 30
    assert set(statuses[:-1]) == {-9} and statuses[-1] == 0
    for _status, last, found, number, warnings, left in results:
        assert found in (last, last + 1)
        assert number in (last, last + 1)
        assert (warnings, left) == (0, [])
    assert {result[2] for result in results} == {0, 1, 2, 3}


def test_saved_labels_survive_a_kill_as_one_version_or_the_other(tmp_path):
    make_scan(tmp_path)
    code = """
import os, signal
from pathlib import Path
from case_folders import placed
from LaminaLabelingLib.case_session import CaseSession
session = CaseSession.open(sys.argv[1], "scan1", "anna")
session.save(placed(1))
session.autosave(placed(2))
write = Path.write_text
def half(path, text, **options):
    write(path, text[: len(text) // 2], **options)
    os.kill(os.getpid(), signal.SIGKILL)
Path.write_text = half
session.save(placed(2))
"""
    with start_python(code, tmp_path) as process:
        assert process.wait() == -9
    assert len(hidden_files(tmp_path)) == 1
    assert read_markups(tmp_path / "scan1.anna.mrk.json").positions()["T1L"][2] == 1
    with CaseSession.open(tmp_path, "scan1", "anna") as session:
        assert session.recovered and height(session.laminae) == 2
        assert hidden_files(tmp_path) == []
