"""Independent parts of a computation on the cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

_MOST_THREADS = 4
"""More are not faster: the memory's bandwidth is what limits NumPy."""


def usable_cores() -> int:
    """Return how many cores this process may use: a cluster's worker may be given some of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_each(function: Callable[[Any], None], parts: Iterable[Any]) -> None:
    """Call a function with each part, on several threads.

    Worth it for functions that spend their time in NumPy, which lets other threads run meanwhile. The first error of a
    part is raised again.
    """
    parts = list(parts)
    threads = min(usable_cores(), _MOST_THREADS, len(parts))
    if threads < 2:
        for part in parts:
            function(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(function, parts):
            pass


@contextmanager
def ahead(function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Iterator[Any]]:
    """Give an iterator over what a function makes of each part, each made while the caller works with the one before.

    The parts are taken in their order by one other thread, which has stopped when the block ends: how far it had come
    by then depends on the moment, if the caller did not take all of them.
    """
    pool = ThreadPoolExecutor(1, "ahead")

    def results() -> Iterator[Any]:
        waiting = None
        for part in parts:
            following = pool.submit(function, part)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)
