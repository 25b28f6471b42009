"""Commands on clusters of Dask for the tests: started as a user types them, and their processes."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

from LaminaSegmentationLib.worker import child_environment


def start(*arguments):
    """Start a command in a process group of its own, with events on its standard output."""
    return subprocess.Popen(
        [sys.executable, "-m", "LaminaSegmentationLib", *map(str, arguments), "--json"],
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        # A shell that starts the tests in the background makes their children ignore Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments):
    """Run a command to its end; return exit code and events."""
    process = start(*arguments)
    said, errors = process.communicate()
    return process.returncode, list(map(json.loads, said.splitlines())), errors


def descendants(pid):
    """Return number and command line of all processes that a process has started, and they."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    found, parents = {}, {str(pid)}
    while parents:
        children = {row[0]: row[2] for row in rows if row[1] in parents and len(row) == 3}
        found |= children
        parents = set(children)
    return {int(number): command for number, command in found.items()}


def workers_of(process):
    """Return the numbers of the worker processes of a command's own cluster."""
    return sorted(number for number, command in descendants(process.pid).items() if "spawn_main" in command)


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids, seconds=20.0):
    """Wait for the end of processes; false if one does not end."""
    until = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
