"""The options of the commands that use several processes or computers. Nothing heavy is imported."""

from __future__ import annotations

import argparse


def add_scheduler(to: argparse.ArgumentParser, tasks: str) -> None:
    """Add ``--scheduler`` and ``--resource``.

    Parameters
    ----------
    to : ArgumentParser
    tasks : str
        What the workers do, such as "scans".
    """
    to.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help=f"let Dask workers do the {tasks}: local or local:N for N processes on this computer, or a running "
        "scheduler, tcp://HOST:PORT or its scheduler file",
    )
    to.add_argument(
        "--resource",
        default="auto",
        metavar="NAME=AMOUNT",
        help="what each task asks of a Dask worker, such as GPU=1; none asks for nothing; auto asks for a GPU if it is "
        "of use and a worker offers one",
    )
