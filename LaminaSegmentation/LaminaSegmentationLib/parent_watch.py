"""Ends a command whose graphical interface has gone: nobody would see it, and a second one might be begun.

The interface tells the child its own number and start in the environment. The child's parent would not do: between the
two there can be a launcher that outlives the interface.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping

from LaminaLabelingLib.processes import start_of

VARIABLE = "LAMINA_INTERFACE"

_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_TO_END = 20.0


def interface_variables() -> dict[str, str]:
    """Return the environment variables by which a child knows this process."""
    return {VARIABLE: f"{os.getpid()} {start_of(os.getpid()) or ''}"}


def watch(environment: Mapping[str, str] | None = None) -> threading.Thread | None:
    """Watch the interface that started this process, if one did, from a thread that does not keep the process alive.

    Once it has gone, the process is ended in order, as by SIGTERM; what does not end within 20 s is ended at once.

    Returns
    -------
    Thread or None
        None where no interface is named.
    """
    named = (os.environ if environment is None else environment).get(VARIABLE, "")
    number, _space, start = named.partition(" ")
    if not number.isdigit():
        return None
    thread = threading.Thread(target=_wait, args=(int(number), start), daemon=True, name="interface watch")
    thread.start()
    return thread


def is_running(number: int, start: str) -> bool:
    """Return whether the process of that number and start still runs; an unknown start counts as the same."""
    now = start_of(number)
    return now is not None and (not now or not start or now == start)


def _wait(number: int, start: str) -> None:
    while is_running(number, start):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    signal.raise_signal(signal.SIGTERM)
    time.sleep(_SECONDS_TO_END)
    os._exit(130)
