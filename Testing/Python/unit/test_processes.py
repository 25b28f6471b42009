import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from case_folders import start_python

from LaminaLabelingLib import processes


def test_a_running_process_has_one_start():
    with start_python("sys.stdin.read()") as process:
        start = processes.start_of(process.pid)
        assert start
        assert processes.start_of(process.pid) == start
        assert start != processes.start_of(os.getpid())
        process.stdin.close()
        process.wait()
        assert processes.start_of(process.pid) is None


def test_a_process_that_waits_to_be_collected_has_ended():
    process = start_python("print('up', flush=True); sys.stdin.read()")
    process.stdout.readline()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{process.pid}").exists()
    assert processes.start_of(process.pid) is None
    with process:
        assert process.wait() < 0


@pytest.mark.parametrize("pid", [0, -1, -5, 2**22 + 1, 2**80])
def test_numbers_that_no_process_has(pid):
    assert processes.start_of(pid) is None


def test_processes_of_others_exist_though_they_cannot_be_asked(monkeypatch):
    def refuse(pid, signal):
        assert signal == 0
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(processes.os, "kill", refuse)
    # 2**22 + 1 is no process, so that nothing can be read about it: as where a system hides those of others.
    assert processes.start_of(2**22 + 1) == ""


def test_the_program_name_does_not_confuse(tmp_path):
    program = tmp_path / "a) S 1 (b"
    program.symlink_to(sys.executable)
    with subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        ticks = processes.start_of(process.pid).rpartition(":")[2]
        own = processes.start_of(os.getpid()).rpartition(":")[2]
        process.communicate(b"\n")
    assert int(ticks) >= int(own)


def test_ps_gives_the_start_too(monkeypatch):
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    with start_python("sys.stdin.read()") as process:
        monkeypatch.setattr(processes, "_start_on_linux", None)
        first, second = processes.start_of(process.pid), processes.start_of(process.pid)
        assert first == second
        # "Mon Mar 2 09:00:00 2026", or unknown where the system has no ps.
        assert len(first.split()) in (0, 5)
    assert processes.start_of(process.pid) is None


def test_ps_output(monkeypatch):
    def answer(text):
        done = subprocess.CompletedProcess([], 0, text)
        monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)
        return processes._start_by_ps(os.getpid())

    assert answer("Ss   Mon Mar  2 09:00:00 2026\n") == "Mon Mar 2 09:00:00 2026"
    assert answer("Z    Mon Mar  2 09:00:00 2026\n") is None
    assert answer("") == ""


class Kernel32:
    """What Windows answers about one process."""

    class Function:
        def __init__(self, action):
            self.action = action

        def __call__(self, *arguments):
            return self.action(*arguments)

    def __init__(self, handle, code=259, has_times=True):
        self.closed = []
        self.OpenProcess = self.Function(lambda access, inherit, pid: handle)
        self.GetExitCodeProcess = self.Function(lambda handle, target: self._set(target, "value", code))
        self.GetProcessTimes = self.Function(lambda handle, *targets: has_times and self._times(targets))
        self.CloseHandle = self.Function(self.closed.append)

    @staticmethod
    def _set(target, field, value):
        setattr(target._obj, field, value)
        return 1

    def _times(self, targets):
        for number, target in enumerate(targets):
            self._set(target, "dwHighDateTime", 1 + number)
            self._set(target, "dwLowDateTime", 5)
        return 1


@pytest.mark.parametrize(
    ("kernel32", "error", "start"),
    [
        (Kernel32(7), 0, str(2**32 + 5)),
        (Kernel32(7, code=0), 0, None),
        (Kernel32(7, code=3), 0, None),
        (Kernel32(7, has_times=False), 0, ""),
        (Kernel32(None), 5, ""),  # access denied: it runs for somebody else
        (Kernel32(None), 87, None),  # invalid parameter: no such process
    ],
)
def test_windows_is_asked_without_harm(kernel32, error, start):
    assert processes._start_from_kernel32(kernel32, lambda: error, 1234) == start
    assert kernel32.closed == ([7] if kernel32.OpenProcess(0, False, 0) else [])
    assert kernel32.OpenProcess.restype is ctypes.c_void_p


def test_windows_never_gets_a_signal(monkeypatch):
    monkeypatch.setattr(processes.sys, "platform", "win32")
    monkeypatch.setattr(processes.os, "kill", None)
    monkeypatch.setattr(processes, "_start_on_windows", lambda pid: f"asked {pid}")
    assert processes.start_of(1234) == "asked 1234"


def test_two_machines_of_one_name_differ(monkeypatch):
    code = processes.machine_code()
    monkeypatch.setattr(processes, "_machine_id", lambda: "another")
    assert processes.machine_code.__wrapped__() != code
    assert len(code) == 16


def test_two_containers_on_one_machine_differ(monkeypatch):
    code = processes.machine_code()
    monkeypatch.setattr(processes.Path, "readlink", lambda path: Path("pid:[1]"))
    assert processes.machine_code.__wrapped__() != code


def test_a_number_that_is_made_up_in_each_process_is_no_machine(monkeypatch):
    import uuid

    def refuse(path, **options):
        raise FileNotFoundError

    monkeypatch.setattr(processes.Path, "read_text", refuse)
    monkeypatch.setattr(uuid, "getnode", lambda: 0x010000000000)
    assert processes._machine_id() == ""
    monkeypatch.setattr(uuid, "getnode", lambda: 0x02420A000001)
    assert processes._machine_id() == "02420a000001"
