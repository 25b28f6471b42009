"""A folder that one process at a time works in, on one computer or on several that share its file system."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = ".lock"

_SECONDS_BETWEEN_TRIES = 0.2
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

logger = logging.getLogger(__name__)


def try_lock(file: IO) -> bool:
    """Take the lock of an open file, which dies with its process; false if another process holds it.

    Raises
    ------
    OSError
        If the file system knows no locks.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


@contextmanager
def waiting_lock(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder during the block, after waiting for the one that is in it.

    A worker that the scheduler has given up may still be at work for a while when another one has got its task. On a
    file system without locks nobody waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a+") as file:
        try:
            while not try_lock(file):
                time.sleep(_SECONDS_BETWEEN_TRIES)
        except OSError as error:
            logger.warning("The folder %s cannot be locked: %s", folder.name, error.strerror)
        yield
