"""Which process this is, and whether another one on this computer still runs, without harming it.

Numbers of processes are used again, so a process is known by its number and its start: the same number with another
start is another process.
"""

import hashlib
import os
import socket
import sys
from functools import cache
from pathlib import Path

_QUERY_LIMITED_INFORMATION = 0x1000
_ERROR_ACCESS_DENIED = 5
_STILL_ACTIVE = 259


def host_name() -> str:
    """Return the name of this computer, for a person to read."""
    return socket.gethostname() or "localhost"


@cache
def machine_code() -> str:
    """Return a code in which two computers differ, also two of the same name; empty where there is none.

    Two containers on one computer count as two, because neither sees the processes of the other.
    """
    parts = [_machine_id()]
    try:
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append("")
    # The identifiers themselves are not for others to read: only a digest of them is ever written.
    return hashlib.sha256("LaminaLabeling {} {}".format(*parts).encode()).hexdigest()[:16] if any(parts) else ""


def start_of(pid: int) -> str | None:
    """Return when a process of this computer started.

    Parameters
    ----------
    pid : int
        Number of the process.

    Returns
    -------
    str or None
        A text that only this process has among all that ever had the number. Empty if the process runs, but its
        start cannot be read. None if there is no such process, or it has ended and only waits to be collected.
    """
    if pid <= 0:
        return None
    if sys.platform == "win32":
        return _start_on_windows(pid)
    if not _exists(pid):
        return None
    if sys.platform == "linux":
        return _start_on_linux(pid)
    return _start_by_ps(pid)


def _exists(pid: int) -> bool:
    """Return whether a process has this number. Never on Windows, where the same call ends the process."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # it belongs to somebody else
    return True


def _start_on_linux(pid: int) -> str | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The second field is the program's name in parentheses, which may hold anything, parentheses too.
        fields = status.rpartition(")")[2].split()
        state, ticks = fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        # Either it has ended this moment, or this system hides the processes of others.
        return "" if _exists(pid) else None
    # Ticks count from the start of the system, so they say nothing without it.
    return None if state in "ZX" else f"{_boot_id()}:{ticks}"


def _start_by_ps(pid: int) -> str | None:
    import subprocess

    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    state, _separator, start = done.stdout.strip().partition(" ")
    if not state:
        return "" if _exists(pid) else None
    return None if state.startswith("Z") else " ".join(start.split())


def _start_on_windows(pid: int) -> str | None:
    import ctypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    return _start_from_kernel32(kernel32, ctypes.get_last_error, pid)


def _start_from_kernel32(kernel32, last_error, pid: int) -> str | None:
    """Ask Windows for the start of a process; the library and its error code are handed in so that tests can do so."""
    import ctypes
    from ctypes import wintypes

    # Without the types, handles would be cut to 32 bits.
    kernel32.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
    kernel32.OpenProcess.restype = wintypes.HANDLE
    kernel32.GetExitCodeProcess.argtypes = [wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD)]
    kernel32.GetProcessTimes.argtypes = [wintypes.HANDLE, *[ctypes.POINTER(wintypes.FILETIME)] * 4]
    kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
    if pid > 0xFFFFFFFF:
        return None
    handle = kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        return "" if last_error() == _ERROR_ACCESS_DENIED else None
    try:
        code = wintypes.DWORD()
        if kernel32.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value != _STILL_ACTIVE:
            return None
        created, *others = (wintypes.FILETIME() for _number in range(4))
        if not kernel32.GetProcessTimes(handle, ctypes.byref(created), *map(ctypes.byref, others)):
            return ""
        return str(created.dwHighDateTime << 32 | created.dwLowDateTime)
    finally:
        kernel32.CloseHandle(handle)


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _machine_id() -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text:
            return text
    import uuid

    node = uuid.getnode()
    # With this bit set the number is made up anew in each process: no network card was found.
    return "" if node >> 40 & 1 else f"{node:012x}"
