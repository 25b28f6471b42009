"""A virtual environment for each peer, made once and kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
DEFAULT_FOLDER = REPOSITORY / "build" / "peers"
"""In a folder that git ignores."""

_RECORD = "installed.json"


def interpreter(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_ready(environment: Path, requirements: Sequence[str]) -> bool:
    """Tell whether an environment was finished with just these requirements."""
    try:
        record = json.loads((environment / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return record == list(requirements) and interpreter(environment).exists()


def make_environment(environment: Path, requirements: Sequence[str], pip_arguments: Sequence[str] = ()) -> Path:
    """Make a virtual environment with these packages unless it is there; one half made is made anew.

    Parameters
    ----------
    environment : Path
        Its folder.
    requirements : sequence of str
        What pip is to install.
    pip_arguments : sequence of str
        Further arguments of ``pip install``, such as another index of packages.

    Returns
    -------
    Path
        Its interpreter.

    Raises
    ------
    RuntimeError
        If something cannot be installed; the message ends with pip's own.
    """
    if not is_ready(environment, requirements):
        if environment.exists():
            if not (environment / "pyvenv.cfg").exists() and any(environment.iterdir()):
                raise RuntimeError(f'"{environment.name}" is no virtual environment, and is not touched.')
            shutil.rmtree(environment)
        _run([sys.executable, "-m", "venv", str(environment)])
        python = str(interpreter(environment))
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *pip_arguments, *requirements])
        # Last: an installation that was cut short must not be taken for a whole one.
        (environment / _RECORD).write_text(json.dumps(list(requirements)) + "\n", encoding="utf-8")
    return interpreter(environment)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError("\n".join(lines[-3:]) or f"exit code {done.returncode}")
