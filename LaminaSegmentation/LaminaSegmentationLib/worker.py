"""Runs the `lamina` commands in a child process, for a graphical interface that must stay responsive.

The child is the very command a user would type, with ``--json``. Nothing heavy (network, TensorFlow, OpenVINO) is ever
imported into the process of the interface, a crash of the child is a sentence on the screen, and a cancelled one leaves
nothing behind. There are no threads: the child writes to files in a temporary folder and the interface polls, from a
timer, what has been added to them.

=================  ================================================================
`LaminaCommand`    any command: start, poll, cancel, and the folder it works in
`reason_of_crash`  why a child ended without a word
`overall_fraction` where a stage's progress stands in the whole, for a progress bar
=================  ================================================================
"""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import LaminaLabelingLib
from LaminaLabelingLib.errors import LaminaError

from .parent_watch import interface_variables

_logger = logging.getLogger(__name__)

STAGE_SHARES = {"read": 0.05, "preprocess": 0.25, "network": 0.55, "localization": 0.05, "write": 0.10}
"""Part of the whole time that each stage takes, roughly: for a progress bar, no measurement."""

_LOG_LINES_SHOWN = 5
_MEMORY_WORDS = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "ResourceExhausted", "out of memory")
_STATUS_NO_MEMORY = 0xC0000017
_STATUS_CRASHES = (0xC0000005, 0xC000001D, 0xC0000374, 0xC0000409)
_LOST_FOLDER = (
    "The temporary folder of the computation has gone: is its disk still connected, and is there space on it? "
    "Nothing was changed; try again."
)
_SECONDS_TO_DIE = 10.0


def overall_fraction(stage: str, fraction: float = 0.0) -> float:
    """Return how far the whole segmentation is when one of its stages has come to a fraction.

    Parameters
    ----------
    stage : str
        A key of `STAGE_SHARES`; another one counts as not begun.
    fraction : float
        0 to 1 within that stage; values outside are clipped.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> round(overall_fraction("preprocess", 0.5), 3)
    0.175
    """
    if stage not in STAGE_SHARES:
        return 0.0
    names = list(STAGE_SHARES)
    before = sum(STAGE_SHARES[name] for name in names[: names.index(stage)])
    return before + STAGE_SHARES[stage] * min(max(fraction, 0.0), 1.0)


def seconds_left(elapsed: float, fraction: float) -> float | None:
    """Return how long a computation will still take if it goes on at its pace.

    Parameters
    ----------
    elapsed : float
        Seconds since its start.
    fraction : float
        How much of it is done, 0 to 1.

    Returns
    -------
    float or None
        Seconds; None before a twentieth is done, which tells nothing.

    Examples
    --------
    >>> seconds_left(6.0, 0.25)
    18.0
    """
    return elapsed * (1.0 - fraction) / fraction if fraction >= 0.05 else None


def child_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child: the given one or this process's, with both libraries on ``PYTHONPATH``."""
    folders = [str(Path(LaminaLabelingLib.__file__).parents[1]), str(Path(__file__).parents[1])]
    variables = os.environ if environment is None else environment
    inherited = variables.get("PYTHONPATH")
    return {
        **variables,
        **interface_variables(),
        "PYTHONPATH": os.pathsep.join(folders + ([inherited] if inherited else [])),
        "PYTHONUTF8": "1",  # the JSON lines are UTF-8 on every system
        "PYTHONUNBUFFERED": "1",  # a line is there as soon as it is written
    }


class LaminaCommand:
    """A `lamina` command in a child process.

    The command works in a temporary folder, `folder`. It is removed, and the child's process tree ended, by `close`,
    which every way out calls: an error, `cancel`, the loss of the last reference to this object, the end of the
    interpreter.

    Parameters
    ----------
    on_event : callable
        Called by `poll`, in the caller's thread, with each event of the child (a dict with a key ``"event"``) except
        the last (``"result"``, ``"error"``). It may raise: the exception comes out of `poll` and ends the command.
    program : sequence of str or None
        What is run before the arguments; None is this Python's ``-m LaminaSegmentationLib`` (in Slicer,
        ``sys.executable`` is PythonSlicer).
    environment : mapping of str to str or None
        The variables that the child gets, the path of the libraries added; None is this process's own. Another Python
        must not get Slicer's, which name Slicer's own libraries.
    """

    def __init__(
        self,
        on_event: Callable[[dict], None],
        program: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._on_event = on_event
        self._program = list(program) if program is not None else [sys.executable, "-m", "LaminaSegmentationLib"]
        self._environment = child_environment(environment)
        self._process: subprocess.Popen | None = None
        self._events_read = 0
        self._last: dict | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="lamina-"))
        self._dispose = weakref.finalize(self, _remove_folder, self.folder)

    @property
    def is_running(self) -> bool:
        """Whether the child has been started and not yet ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, arguments: Sequence[str]) -> None:
        """Start the child.

        Parameters
        ----------
        arguments : sequence of str
            Such as ``["segment", "scan.nrrd", "-o", "result", "--json"]``. No patient's name: command lines are
            visible to every user of the computer.

        Raises
        ------
        LaminaError
            If the program cannot be run.
        """
        events, log = self.folder / "events.jsonl", self.folder / "log.txt"
        try:
            with open(events, "wb") as stdout, open(log, "wb") as stderr:
                self._process = subprocess.Popen(
                    [*self._program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=self.folder,
                    env=self._environment,
                    **_own_process_group(),
                )
        except OSError as error:
            self.close()
            raise LaminaError(f"The computation could not be started: {error}.") from error
        # From here on there is a process to end as well. The old finalizer must not run on its own.
        self._dispose.detach()
        self._dispose = weakref.finalize(self, _end, self._process, self.folder)

    def poll(self) -> dict | None:
        """Deliver the events since the last call.

        Returns
        -------
        dict or None
            The child's ``"result"`` event once it has ended well, None while it runs. Then the folder with its files
            is still there: call `close` when they have been read.

        Raises
        ------
        LaminaError
            With the child's own sentence if it reported an error; if it ended in any other way (a crash, killed for
            memory), with the last lines of its log.
        """
        if self._process is None:
            raise RuntimeError("start() comes before poll()")
        try:
            code = self._process.poll()  # before reading, so that no event of an ended child is missed
            try:
                text = self._new_text()
            except OSError as error:
                raise LaminaError(_LOST_FOLDER) from error
            self._deliver(text)
            if code is None:
                return None
            if self._last is not None and self._last["event"] == "error":
                raise LaminaError(str(self._last.get("text", "The computation failed.")))
            if code != 0 or self._last is None:
                raise LaminaError(self._description_of_crash(code))
            return self._last
        except BaseException:
            self.close()
            raise

    def cancel(self) -> None:
        """End the child and everything it started, and remove the folder. Does nothing after the end."""
        self.close()

    def close(self) -> None:
        """End the child if it runs, and remove the folder."""
        self._dispose()

    def _new_text(self) -> bytes:
        with open(self.folder / "events.jsonl", "rb") as file:
            file.seek(self._events_read)
            return file.read()

    def _deliver(self, text: bytes) -> None:
        complete = text[: text.rfind(b"\n") + 1]  # the last line may still be being written
        self._events_read += len(complete)
        for line in complete.decode("utf-8", errors="replace").splitlines():
            event = _parsed(line)
            if event is None:
                _logger.info("%s", line)
            elif event["event"] in ("result", "error"):
                self._last = event
            else:
                self._on_event(event)

    def _description_of_crash(self, code: int) -> str:
        try:
            log = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return _LOST_FOLDER
        lines = "\n".join(log.splitlines()[-_LOG_LINES_SHOWN:]) or "(the log is empty)"
        return f"{reason_of_crash(code, log)} The last lines of its log:\n{lines}"


def reason_of_crash(code: int, log: str) -> str:
    """Say in a sentence why a child ended without a word.

    Parameters
    ----------
    code : int
        Its exit code: of a signal the negative number, on Windows the NTSTATUS.
    log : str
        What it wrote to its log.
    """
    if any(word in log for word in _MEMORY_WORDS) or code & 0xFFFFFFFF == _STATUS_NO_MEMORY:
        return (
            "The computation ran out of memory: close other programs, choose Use less memory under Scan, or resample "
            "the scan to larger voxels."
        )
    if "No space left on device" in log or "Errno 28" in log:
        return "The computation ended because a disk is full: make space on it, then try again."
    name = str(code)
    # A shell, and other programs that start the child for us, pass a signal on as 128 and its number.
    number = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if number:
        with contextlib.suppress(ValueError):
            name = signal.Signals(number).name
    if name in ("SIGKILL", "SIGTERM"):
        return (
            f"The computation was ended from outside ({name}). Mostly the system does so because memory is full: "
            "close other programs, or choose Use less memory under Scan, then try again."
        )
    if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE") or code & 0xFFFFFFFF in _STATUS_CRASHES:
        return f"The computation crashed ({name}): try another device under Scan, and please report it."
    return f"The computation ended unexpectedly ({name})."


def _parsed(line: str) -> dict | None:
    """Return the event on a line of the child's output; None for anything else that found its way there."""
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _own_process_group() -> dict:
    """Return the arguments of ``Popen`` that let the child be ended together with all that it starts."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _end(process: subprocess.Popen, folder: Path) -> None:
    """End the process tree and remove the folder."""
    if os.name == "nt":
        if process.poll() is None:
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],
                check=False,
                capture_output=True,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
    else:
        # Also when the child itself has ended (after a crash, say): what it started may have outlived it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_DIE)
    _remove_folder(folder)


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _logger.warning("The temporary folder %s could not be removed.", folder)
