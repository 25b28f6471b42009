"""The options of the commands that use several processes or computers. Nothing heavy is imported."""

from __future__ import annotations

import argparse
from pathlib import Path


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


def add_tune(to: argparse.ArgumentParser) -> None:
    """Add the options of ``lamina tune``; what is None depends on --miniature, see `tune_command`."""
    to.formatter_class = argparse.HelpFormatter
    source = to.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="a dataset.json with the lists training and validation")
    source.add_argument("--simulated", type=int, metavar="N", help="train on N simulated scans made on the way")
    to.add_argument("--miniature", action="store_true", help="a trial within minutes whose figures mean nothing")
    to.add_argument("--validation", type=int, help="simulated scans by which the trials are judged (8)")
    to.add_argument("--data-seed", type=int, default=1_000_000, help="first seed of simulated scans (1000000)")
    to.add_argument("--style", default="clinic", help="kind of simulated scan (clinic)")
    to.add_argument("--trials", type=int, default=40, help="how many trainings, all together (40)")
    to.add_argument(
        "--max-minutes", "--timeout-minutes", type=float, help="end this call after that time; the next one goes on"
    )
    to.add_argument("--seed", type=int, default=0, help="of the search: another one tries other options (0)")
    to.add_argument("--training-seed", type=int, default=0, help="initial weights, order and augmentation (0)")
    to.add_argument(
        "--search",
        metavar="LIST",
        help="what is searched: loss, learning_rate, width, loss_weight, augment, normalization, momentum, schedule "
        "(all); the others are those of lamina train",
    )
    to.add_argument("--losses", metavar="LIST", help="dice, wbce, dice+wbce, centroid, lamina_dice (all)")
    to.add_argument("--widths", metavar="LIST", help="feature maps of the first stage: 8, 16, 32 (all)")
    to.add_argument("--learning-rates", metavar="LOW,HIGH", help="lowest and highest (1e-5,1e-2)")
    to.add_argument("--epochs", type=int, help="of each trial (30)")
    to.add_argument("--steps", type=int, help="steps an epoch (one for each training scan)")
    to.add_argument("--crop-rows", type=int, help="train on stretches of this many rows (whole grids)")
    to.add_argument("--no-pruning", action="store_true", help="bring every trial to its end, the bad ones, too")
    to.add_argument(
        "--storage",
        metavar="URL",
        help="a database that several commands share, such as postgresql://USER@HOST/NAME (study.db in the folder)",
    )
    to.add_argument("--study", default="lamina-tune", metavar="NAME", help="name of the search in it (lamina-tune)")
    to.add_argument("--backend", help="Keras backend: tensorflow, jax or torch (the fastest on a CPU)")
    to.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        help="of the hidden layers (mixed_bfloat16 with an NVIDIA GPU, else float32)",
    )
    to.add_argument("--jobs", type=int, default=1, help="trials at once, each in a process of its own (1)")
    to.add_argument("--workers", type=int, default=1, help="processes that prepare scans (1)")
    to.add_argument("--cache", type=Path, help="folder that keeps prepared scans for other commands, too")
    add_scheduler(to, "trials")
