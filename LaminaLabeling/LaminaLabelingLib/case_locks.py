"""Locks by which only one process at a time works on a rater's labels of a scan.

A lock is a file that names its owner. It is made so that only one process can make it. A lock whose process has ended
is stale and gives way to the next one. Who replaces a stale lock first makes a claim on exactly that lock: a lock
itself, named after the content of the stale one. So one process at most replaces it, and the lock is never missing
in between, which would let a third process in.
"""

import getpass
import hashlib
import json
import os
import re
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from LaminaLabelingLib import processes
from LaminaLabelingLib.case_files import insistently
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _

SECONDS_TO_WRITE = 10.0
"""An empty or damaged lock that is younger is taken for one that is being written; an older one is stale."""

_ATTEMPTS = 20
_CLAIM = re.compile(r"\.[0-9a-f]{12}-")
# Tokens of the locks of this process: a lock of this process that is none of these could not be removed once.
_HELD: set[str] = set()


class CaseLockedError(LaminaError):
    """Somebody else works on the case.

    Attributes
    ----------
    owner : str
        Who, as part of a sentence: "anna on PC7".
    may_take_over : bool
        Whether the lock may be taken over after asking the user, because it cannot be checked from here whether its
        owner still works: it is on another computer.
    """

    def __init__(self, message: str, owner: str, may_take_over: bool = False) -> None:
        super().__init__(message)
        self.owner = owner
        self.may_take_over = may_take_over


class _State(Enum):
    """What the owner of a lock does."""

    ours = "this process works on it"
    running = "another process on this computer works on it"
    elsewhere = "it belongs to another computer"
    unfinished = "it is being written"
    stale = "its process has ended"


@dataclass(frozen=True)
class _Owner:
    """What a lock says."""

    host: str
    machine: str
    pid: int
    started: str
    user: str
    token: str
    since: str

    @classmethod
    def this_process(cls) -> "_Owner":
        pid = os.getpid()
        return cls(
            processes.host_name(),
            processes.machine_code(),
            pid,
            processes.start_of(pid) or "",
            _user(),
            secrets.token_hex(16),
            datetime.now().astimezone().isoformat(timespec="seconds"),
        )

    @classmethod
    def parse(cls, content: bytes) -> "_Owner | None":
        """Return what a lock says, None if it is damaged."""
        try:
            fields = json.loads(content)
            owner = cls(**{key: fields[key] for key in cls.__dataclass_fields__})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        texts = [value for key, value in vars(owner).items() if key != "pid"]
        valid = all(isinstance(value, str) for value in texts) and type(owner.pid) is int
        return owner if valid and owner.host and owner.token else None

    @property
    def content(self) -> bytes:
        return (json.dumps(vars(self)) + "\n").encode("ascii")

    @property
    def fragment(self) -> str:
        return _("{user} on {host}").format(user=self.user or _("somebody"), host=self.host)

    def state(self) -> _State:
        if (self.host, self.machine) != (processes.host_name(), processes.machine_code()):
            return _State.elsewhere
        if self.pid == os.getpid():
            return _State.ours if self.token in _HELD else _State.stale
        started = processes.start_of(self.pid)
        if started is None or (started and self.started and started != self.started):
            return _State.stale
        return _State.running


class CaseLock:
    """A lock that this process has acquired.

    Attributes
    ----------
    path : Path
    token : str
        A random text by which this lock is told from all others, earlier ones of the same process too.
    """

    def __init__(self, path: Path, owner: _Owner) -> None:
        self.path = path
        self.token = owner.token
        self._owner = owner

    @classmethod
    def acquire(cls, path: str | Path, take_over: bool = False) -> "CaseLock":
        """Acquire a lock.

        Parameters
        ----------
        path : str or Path
            ``SCAN.RATER.lock``.
        take_over : bool
            Whether to take it from another computer, where it cannot be checked that its owner has stopped.

        Returns
        -------
        CaseLock

        Raises
        ------
        CaseLockedError
            If somebody else holds it.
        LaminaError
            If the folder cannot be written to.
        """
        path, owner = Path(path), _Owner.this_process()
        _HELD.add(owner.token)
        try:
            for _attempt in range(_ATTEMPTS):
                if _create(path, owner.content):
                    return cls(path, owner)
                found = _read(path)
                # None: released between the two steps.
                if found is not None:
                    _check_stale(path, found, take_over)
                    lock = _replace(path, found, take_over)
                    if lock is not None:
                        _HELD.discard(owner.token)
                        return lock
            raise _being_opened(path)
        except BaseException:
            _HELD.discard(owner.token)
            raise

    def is_held(self) -> bool:
        """Return whether the lock is still ours; not after somebody has taken it over or removed it.

        Raises
        ------
        LaminaError
            If the folder cannot be reached.
        """
        found = _read(self.path)
        return found is not None and self._is_ours(found)

    def renew(self) -> bool:
        """Make the lock again if somebody has removed it, and return whether it is ours now.

        Raises
        ------
        LaminaError
            If the folder cannot be written to.
        """
        return _create(self.path, self._owner.content) or self.is_held()

    def release(self) -> None:
        """Remove the lock if it is still ours. Nothing is raised: a lock that stays behind is stale at once."""
        _HELD.discard(self.token)
        with suppress(LaminaError, OSError):
            found = _read(self.path)
            if found is not None and self._is_ours(found):
                insistently(self.path.unlink)

    def _is_ours(self, content: bytes) -> bool:
        owner = _Owner.parse(content)
        return owner is not None and owner.token == self.token


def owner_of(path: Path) -> str:
    """Return who else holds a lock, as part of a sentence; empty if nobody does, or the owner's process has ended.

    Whether an owner on another computer still works cannot be known. Nothing is raised: it is for a list of cases.
    """
    try:
        content = _read(path)
    except LaminaError:
        return _("somebody")
    if content is None:
        return ""
    owner = _Owner.parse(content)
    if owner is None:
        return _("somebody") if _state(path, content, time.time()) is _State.unfinished else ""
    return "" if owner.state() in (_State.ours, _State.stale) else owner.fragment


def is_abandoned_claim(path: Path) -> bool:
    """Return whether a file is a claim on a lock whose process was ended in the middle, see the module's text.

    Ask while holding the lock: an unfinished claim then can only be abandoned, or is given up at once.
    """
    try:
        content = _read(path)
        return content is not None and _state(path, content) in (_State.stale, _State.unfinished)
    except LaminaError:
        return False


def _state(path: Path, content: bytes, time_there: float | None = None) -> _State:
    owner = _Owner.parse(content)
    if owner is not None:
        return owner.state()
    try:
        age = (_time_in(path.parent) if time_there is None else time_there) - path.stat().st_mtime
    except OSError:
        return _State.unfinished
    return _State.unfinished if abs(age) < SECONDS_TO_WRITE else _State.stale


def _check_stale(path: Path, content: bytes, take_over: bool) -> None:
    """Raise CaseLockedError unless a lock may be replaced."""
    state = _state(path, content)
    if state is _State.stale or (state is _State.elsewhere and take_over):
        return
    if state is _State.unfinished:
        raise _being_opened(path)
    scan, owner = _scan_of(path), _Owner.parse(content).fragment
    if state is _State.ours:
        raise CaseLockedError(
            _('"{scan}" is open in this application already: go on there, or close it there first.').format(scan=scan),
            owner,
        )
    if state is _State.running:
        raise CaseLockedError(
            _('"{scan}" is open in another window, by {owner}: close it there, or give another rater.').format(
                scan=scan, owner=owner
            ),
            owner,
        )
    raise CaseLockedError(
        _(
            "{scan} is in use by {owner}, and it cannot be checked from this computer whether that is still so: ask "
            "there, and take it over only if nobody works on it."
        ).format(scan=f'"{scan}"', owner=owner),
        owner,
        may_take_over=True,
    )


def _being_opened(path: Path) -> CaseLockedError:
    return CaseLockedError(
        _('"{scan}" is being opened by somebody else at this moment: try again in {seconds} seconds.').format(
            scan=_scan_of(path), seconds=round(SECONDS_TO_WRITE)
        ),
        _("somebody"),
    )


def _replace(path: Path, stale: bytes, take_over: bool) -> CaseLock | None:
    """Put a lock of ours in the place of a stale one; return None if that is not there any more."""
    base = _CLAIM.sub("", path.name, count=1)
    claim = CaseLock.acquire(path.with_name(f".{hashlib.sha256(stale).hexdigest()[:12]}-{base}"), take_over)
    try:
        # Whoever replaced it before did so under the same claim, so what is read here stays true until it is released.
        if _read(path) == stale and (_Owner.parse(stale) or _state(path, stale) is _State.stale):
            insistently(claim.path.replace, path)
            # The claim has become the lock, in one step.
            claim.path = path
            return claim
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if claim.path != path:
            claim.release()
    return None


def _create(path: Path, content: bytes) -> bool:
    """Make a file that does not exist yet; return False if it does."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        os.write(descriptor, content)
    except OSError as error:
        # A full disk: an empty lock would keep everybody out for a while.
        with suppress(OSError):
            path.unlink()
        raise _unwritable(path, error) from error
    finally:
        os.close(descriptor)
    return True


def _read(path: Path) -> bytes | None:
    """Return the content of a lock, None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> LaminaError:
    return LaminaError(
        _(
            "{scan} cannot be worked on because {file} cannot be written ({reason}): check the connection to the "
            "folder and your permission to write to it."
        ).format(scan=f'"{_scan_of(path)}"', file=f'"{path.name}"', reason=error.strerror or _("unknown reason"))
    )


def _scan_of(path: Path) -> str:
    return _CLAIM.sub("", path.name, count=1).removesuffix(".lock").rpartition(".")[0] or path.name


def _time_in(folder: Path) -> float:
    """Return the time by the clock that stamps a folder's files, which on a shared disk is another computer's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def _user() -> str:
    # Without a name in the environment and in the system's list, different versions raise different errors.
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
