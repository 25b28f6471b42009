import json
import os
import threading

import pytest
from case_folders import change_lock, hidden_files, lock_of_dead_process, start_python
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import case_locks, processes
from LaminaLabelingLib.case_locks import CaseLock, CaseLockedError, is_abandoned_claim, owner_of
from LaminaLabelingLib.errors import LaminaError

HOLD = """
from LaminaLabelingLib.case_locks import CaseLock
lock = CaseLock.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
lock.release()
"""

# For each path that comes in: try once, say how it ended, and hold what was won.
RACE = """
from LaminaLabelingLib.case_locks import CaseLock, CaseLockedError
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(CaseLock.acquire(line.strip()).token, flush=True)
    except CaseLockedError:
        print("lost", flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "p.01.anna.lock"


def make_old(path, seconds=60):
    time = path.stat().st_mtime - seconds
    os.utime(path, (time, time))


def refused(path, take_over=False):
    with pytest.raises(CaseLockedError, match=r'"p\.01"') as raised:
        CaseLock.acquire(path, take_over)
    assert_one_sentence(raised.value)
    return raised.value


def test_a_lock_says_who_holds_it(path, monkeypatch):
    monkeypatch.setattr(case_locks.getpass, "getuser", lambda: "anna")
    monkeypatch.setattr(processes, "host_name", lambda: "PC7")
    lock = CaseLock.acquire(path)
    fields = json.loads(path.read_bytes())
    assert fields.keys() == {"host", "machine", "pid", "started", "user", "token", "since"}
    assert (fields["host"], fields["pid"], fields["user"], fields["token"]) == ("PC7", os.getpid(), "anna", lock.token)
    assert fields["started"] == processes.start_of(os.getpid())
    assert lock.is_held()
    lock.release()
    assert not path.exists()
    assert not lock.is_held()


def test_a_system_without_user_names_is_no_obstacle(path, monkeypatch):
    def fail():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(case_locks.getpass, "getuser", fail)
    monkeypatch.setattr(processes, "host_name", lambda: "PC7")
    lock = CaseLock.acquire(path)
    assert refused(path).owner == "somebody on PC7"
    lock.release()


def test_the_same_process_gets_no_second_lock(path):
    lock = CaseLock.acquire(path)
    error = refused(path, take_over=True)
    assert "this application" in str(error) and not error.may_take_over
    assert lock.is_held()
    assert owner_of(path) == ""
    lock.release()
    CaseLock.acquire(path).release()


def test_a_lock_of_this_process_that_could_not_be_removed_does_not_shut_it_out(path, monkeypatch):
    lock = CaseLock.acquire(path)
    with monkeypatch.context() as patch:

        def fail(path):
            raise OSError(5, "Input/output error")

        patch.setattr(case_locks.Path, "unlink", fail)
        lock.release()
    assert path.exists()
    CaseLock.acquire(path).release()
    assert not path.exists()


def test_a_running_process_keeps_its_lock(path):
    with start_python(HOLD, path) as holder:
        holder.stdout.readline()
        error = refused(path, take_over=True)
        assert error.owner == owner_of(path)
        assert error.owner.endswith(f" on {processes.host_name()}")
        assert not error.may_take_over
        holder.stdin.close()
        holder.wait()
    CaseLock.acquire(path).release()


def test_the_lock_of_an_ended_process_gives_way(path):
    lock_of_dead_process(path)
    assert owner_of(path) == ""
    lock = CaseLock.acquire(path)
    assert lock.is_held()
    assert lock.path == path
    assert hidden_files(path.parent) == []
    lock.release()
    assert not path.exists()


def test_a_number_that_another_process_has_got_since_does_not_count(path):
    with start_python(HOLD, path.with_name("p.02.anna.lock")) as other:
        other.stdout.readline()
        lock_of_dead_process(path)
        change_lock(path, pid=other.pid)
        CaseLock.acquire(path).release()
        other.stdin.close()


def test_a_running_process_without_a_known_start_keeps_its_lock(path):
    with start_python(HOLD, path) as holder:
        holder.stdout.readline()
        change_lock(path, started="")
        refused(path)
        holder.kill()


@pytest.mark.parametrize("fields", [{"host": "PC7"}, {"machine": "0123456789abcdef"}, {"machine": ""}])
def test_another_computer_is_asked_about_and_taken_over_only_when_told(path, fields):
    lock_of_dead_process(path)
    change_lock(path, user="anna", **fields)
    error = refused(path)
    host = fields.get("host", processes.host_name())
    assert error.may_take_over
    assert error.owner == owner_of(path) == f"anna on {host}"
    lock = CaseLock.acquire(path, take_over=True)
    assert lock.is_held()
    assert hidden_files(path.parent) == []


def test_who_was_taken_over_knows_and_removes_nothing(path, monkeypatch):
    lock = CaseLock.acquire(path)
    change_lock(path, host="PC7")
    monkeypatch.setattr(processes, "host_name", lambda: "PC8")
    other = CaseLock.acquire(path, take_over=True)
    assert not lock.is_held()
    assert not lock.renew()
    lock.release()
    assert other.is_held()
    other.release()


def test_a_removed_lock_can_be_made_again(path):
    lock = CaseLock.acquire(path)
    path.unlink()
    assert not lock.is_held()
    assert lock.renew()
    assert lock.is_held()
    lock.release()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b'{"host": "PC7"}', b"\xff", b"[" * 100_000]
    + [
        json.dumps({"host": "PC7", "machine": "", "started": "", "user": "", "token": "t", "since": "", "pid": pid})
        for pid in ("7", None, 1.5, True)
    ],
)
def test_a_lock_without_an_owner_is_being_written_for_ten_seconds_and_then_stale(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    make_old(path, 8)
    error = refused(path, take_over=True)
    assert not error.may_take_over
    assert error.owner == owner_of(path) == "somebody"
    make_old(path, 3)
    assert owner_of(path) == ""
    lock = CaseLock.acquire(path)
    assert lock.is_held()
    assert hidden_files(path.parent) == []
    lock.release()


def test_age_is_measured_by_the_clock_of_the_disk(path, monkeypatch):
    path.write_bytes(b"")
    monkeypatch.setattr(case_locks.time, "time", lambda: path.stat().st_mtime + 3600)
    refused(path)


@pytest.mark.parametrize("processes_count", [2, 4])
def test_of_many_processes_one_gets_a_stale_lock(tmp_path, processes_count):
    stale = lock_of_dead_process(tmp_path / "stale.anna.lock")
    racers = [start_python(RACE) for _number in range(processes_count)]
    for racer in racers:
        racer.stdout.readline()
    for number in range(60):
        path = tmp_path / f"s{number}.anna.lock"
        path.write_bytes(stale)
        for racer in racers:
            racer.stdin.write(f"{path}\n")
        results = [racer.stdout.readline().strip() for racer in racers]
        winners = [result for result in results if result != "lost"]
        assert len(winners) == 1
        assert json.loads(path.read_bytes())["token"] == winners[0]
    for racer in racers:
        racer.stdin.close()
        with racer:
            assert racer.wait() == 0
    assert hidden_files(tmp_path) == []


def test_of_many_threads_one_gets_a_free_lock(path):
    start, locks = threading.Barrier(8), []

    def attempt():
        start.wait()
        try:
            locks.append(CaseLock.acquire(path))
        except CaseLockedError:
            locks.append(None)

    threads = [threading.Thread(target=attempt) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [lock for lock in locks if lock is not None]
    assert len(locks) == 8 and len(won) == 1
    assert won[0].is_held()


def test_who_looked_at_a_stale_lock_before_it_was_replaced_comes_too_late(path, monkeypatch):
    stale = lock_of_dead_process(path)
    check, winners = case_locks._check_stale, []

    def while_another_is_faster(lock_path, found, take_over):
        check(lock_path, found, take_over)
        if lock_path == path and not winners:
            winners.append(None)
            winners[0] = CaseLock.acquire(path)

    monkeypatch.setattr(case_locks, "_check_stale", while_another_is_faster)
    refused(path)
    assert winners[0].is_held()
    assert path.read_bytes() != stale
    assert hidden_files(path.parent) == []


def test_a_new_empty_lock_is_not_taken_for_the_stale_empty_one_before_it(path, monkeypatch):
    path.write_bytes(b"")
    make_old(path)
    check, looked = case_locks._check_stale, []

    def while_another_begins(lock_path, found, take_over):
        check(lock_path, found, take_over)
        if lock_path == path and not looked:
            looked.append(found)
            path.unlink()
            path.write_bytes(b"")

    monkeypatch.setattr(case_locks, "_check_stale", while_another_begins)
    refused(path)
    assert looked == [b""]
    assert path.read_bytes() == b""


def test_a_claim_of_a_killed_process_gives_way(path, monkeypatch):
    lock_of_dead_process(path)
    # Killed after it has claimed the stale lock, before it has replaced it.
    code = """
import os
from pathlib import Path
from LaminaLabelingLib.case_locks import CaseLock
Path.replace = lambda source, target: os._exit(7)
CaseLock.acquire(sys.argv[1])
"""
    with start_python(code, path) as process:
        assert process.wait() == 7
    (claim,) = hidden_files(path.parent)
    assert is_abandoned_claim(path.parent / claim)
    lock = CaseLock.acquire(path)
    assert lock.is_held()
    assert hidden_files(path.parent) == []


def test_a_claim_of_a_running_process_keeps_others_out(path):
    stale = lock_of_dead_process(path)
    code = """
from pathlib import Path
from LaminaLabelingLib.case_locks import CaseLock
replace = Path.replace
def wait(source, target):
    print("claimed", flush=True)
    sys.stdin.readline()
    return replace(source, target)
Path.replace = wait
print(CaseLock.acquire(sys.argv[1]).token, flush=True)
sys.stdin.read()
"""
    with start_python(code, path) as process:
        process.stdout.readline()
        (claim,) = hidden_files(path.parent)
        assert not is_abandoned_claim(path.parent / claim)
        refused(path)
        assert path.read_bytes() == stale
        process.stdin.write("\n")
        assert json.loads(path.read_bytes() if (token := process.stdout.readline().strip()) else "")["token"] == token
        refused(path)
        process.stdin.close()


def test_a_folder_that_cannot_be_written_to_is_reported(path, monkeypatch):
    def refuse(path, flags, mode):
        raise PermissionError(13, "Permission denied")

    with pytest.raises(LaminaError, match="No such file") as raised:
        CaseLock.acquire(path.parent / "missing" / path.name)
    assert_one_sentence(raised.value)
    monkeypatch.setattr(case_locks.os, "open", refuse)
    with pytest.raises(LaminaError, match="Permission denied") as raised:
        CaseLock.acquire(path)
    assert_one_sentence(raised.value)
    assert not isinstance(raised.value, CaseLockedError)


def test_a_full_disk_leaves_no_empty_lock(path, monkeypatch):
    def fail(descriptor, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(case_locks.os, "write", fail)
        with pytest.raises(LaminaError, match="No space left"):
            CaseLock.acquire(path)
    assert not path.exists()
    CaseLock.acquire(path).release()


def test_a_stale_lock_that_cannot_be_replaced_is_reported(path, monkeypatch):
    stale = lock_of_dead_process(path)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(case_locks.Path, "replace", refuse)
    with pytest.raises(LaminaError, match="Permission denied"):
        CaseLock.acquire(path)
    assert path.read_bytes() == stale
    assert hidden_files(path.parent) == []


def test_a_lock_that_cannot_be_read_belongs_to_somebody(path):
    path.mkdir()
    assert owner_of(path) == "somebody"
    with pytest.raises(LaminaError, match="Is a directory"):
        CaseLock.acquire(path)


def test_no_lock_has_no_owner(path):
    assert owner_of(path) == ""
