"""What ``--scheduler`` and ``--resource`` name. Nothing of Dask is imported: bad input is told at once."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError

from .parallel import usable_cores

AUTO, NONE = "auto", "none"
GPU = {"GPU": 1.0}
"""What tasks ask for that gain from a GPU, as soon as a worker offers it."""

MOST_LOCAL = 256
_PROTOCOLS = ("tcp", "tls", "ucx", "ws", "wss")
_HOST_AND_PORT = re.compile(r"(?:(?P<protocol>[a-z]+)://)?(?P<host>\[[0-9a-fA-F:.%]+\]|[\w.-]+):(?P<port>\d{1,5})/?")
_RESOURCE = re.compile(r"(?P<name>[A-Za-z_][\w-]*)=(?P<amount>\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class SchedulerAddress:
    """Where the tasks go. One of the three is set.

    Attributes
    ----------
    processes : int
        Of a cluster of this command's own on this computer; 0 without.
    address : str
        Of a running scheduler, such as ``tcp://host:8786``.
    file : Path or None
        The file that ``dask scheduler --scheduler-file`` has written.
    """

    processes: int = 0
    address: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        return self.address or (f"the file '{self.file.name}'" if self.file else f"local:{self.processes}")


def parse_scheduler(text: str, cores: int | None = None) -> SchedulerAddress:
    """Turn the text of ``--scheduler`` into an address.

    Parameters
    ----------
    text : str
        ``local``, ``local:N``, ``tcp://host:port``, ``host:port``, or a scheduler file.
    cores : int, optional
        Of this computer; asked for when left out.

    Raises
    ------
    LaminaError
        If it is none of them.
    """
    given = text.strip()
    if given == "local":
        # The network keeps several cores busy by itself, and each process has a model in memory.
        cores = cores or usable_cores()
        return SchedulerAddress(processes=max(min(cores, 2), cores // 4))
    if given.startswith("local:"):
        number = given.removeprefix("local:")
        if not (number.isdecimal() and 1 <= int(number) <= MOST_LOCAL):
            raise LaminaError(f"--scheduler is '{text}'; give local:N with N processes from 1 to {MOST_LOCAL}.")
        return SchedulerAddress(processes=int(number))
    if given and Path(given).is_file():
        return SchedulerAddress(file=Path(given).absolute())
    found = _HOST_AND_PORT.fullmatch(given)
    if found and (found["protocol"] or "tcp") in _PROTOCOLS and 0 < int(found["port"]) < 65536:
        return SchedulerAddress(address=given if found["protocol"] else f"tcp://{given}")
    raise LaminaError(
        f"--scheduler is '{text}', which is no address and no file: give local, local:N for N processes on this "
        "computer, tcp://HOST:PORT of a running Dask scheduler, or its scheduler file."
    )


def parse_resource(text: str) -> dict[str, float] | None:
    """Turn the text of ``--resource`` into what each task asks for.

    Returns
    -------
    dict or None
        Empty for ``none``; None for ``auto``.

    Raises
    ------
    LaminaError
    """
    given = text.strip()
    if given.lower() == AUTO:
        return None
    if given.lower() == NONE:
        return {}
    found = _RESOURCE.fullmatch(given)
    if not found or not float(found["amount"]) > 0:
        raise LaminaError(f"--resource is '{text}'; give auto, none, or a name and an amount above 0, such as GPU=1.")
    return {found["name"]: float(found["amount"])}


def chosen_resource(
    asked: Mapping[str, float] | None, gains: bool, offered: list[Mapping[str, float]]
) -> dict[str, float]:
    """Return what each task asks for.

    Parameters
    ----------
    asked : mapping or None
        As `parse_resource` returns it. None asks for a GPU if the tasks gain from one and a worker offers one.
    gains : bool
        Whether the tasks gain from a GPU.
    offered : list of mapping
        The resources of each worker.
    """
    if asked is not None:
        return dict(asked)
    return dict(GPU) if gains and places(GPU, offered) else {}


def places(asked: Mapping[str, float], offered: list[Mapping[str, float]]) -> int:
    """Return how many tasks can be done at once: one a worker, on those that offer what a task asks for."""
    return sum(all(each.get(name, 0.0) >= amount for name, amount in asked.items()) for each in offered)


def require_dask() -> None:
    """Raise LaminaError where Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise LaminaError("--scheduler needs Dask; install it with: pip install distributed")
