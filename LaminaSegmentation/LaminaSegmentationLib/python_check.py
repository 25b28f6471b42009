"""Tells whether a Python can run the computation: a script of its own that any Python 3 can run.

    python python_check.py requirements.txt requirements-training.txt

Prints one line of JSON, the event ``"result"`` of the worker. It imports nothing but the standard library, as the
packages it asks for may be missing.
"""

import json
import os
import platform
import re
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def requirements_in(path):
    """Return the (name, lowest version) pairs of a requirements file whose lines are ``name>=version``."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = re.match(r"([A-Za-z0-9_.-]+)\s*(?:>=\s*([0-9.]+))?", line.split("#")[0].strip())
            if match:
                found.append((match.group(1), match.group(2) or "0"))
    return found


def numbers(version):
    """Return the leading numbers of a version: (2, 21, 0) of "2.21.0rc1"."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[a-zA-Z+]", version)[0]))


def missing(requirements):
    """Return the requirements that are not installed, as pip would take them."""
    from importlib import metadata

    lacking = []
    for name, lowest in requirements:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            lacking.append(f"{name}>={lowest}" if lowest != "0" else name)
            continue
        if numbers(installed) < numbers(lowest):
            lacking.append(f"{name}>={lowest}")
    return lacking


def gpu():
    """Return the name of the NVIDIA GPU that the driver reports, an empty string without one."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else ""


def processor():
    """Return the name of the processor as far as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def report(inference, training):
    """Return what this Python is and what it lacks.

    Parameters
    ----------
    inference, training : str
        Paths of requirements files.
    """
    version = sys.version_info[:2]
    known = OLDEST <= version <= NEWEST
    return {
        "event": "result",
        "python": platform.python_version(),
        "supported": known,
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpu": gpu(),
        # importlib.metadata came with Python 3.8; for an older one the version says enough.
        "missing_for_segmenting": missing(requirements_in(inference)) if known else [],
        "missing_for_training": missing(requirements_in(training)) if known else [],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report(*sys.argv[1:3])) + "\n")
