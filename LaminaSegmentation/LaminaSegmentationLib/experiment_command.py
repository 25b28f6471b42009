"""``lamina experiment``: the paper's three networks and two rivals, trained, tested and compared in one command."""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from LaminaLabelingLib.errors import LaminaError

from .commands import check_range, parse_split, require_output
from .console import Console
from .dataset import SPLITS
from .engines import has_nvidia_driver
from .experiment import (
    ARMS,
    SAID_OF_A_MINIATURE,
    Arm,
    Folder,
    Record,
    Run,
    Settings,
    choices_of,
    parse_arms,
    parse_seeds,
    runs_of,
)
from .experiment_cluster import check_scheduler, pool_of
from .experiment_data import dataset_data, make_cases, missing_cases, simulated_data
from .experiment_pool import Pool, TrainingFailed
from .folder_lock import LOCK, try_lock
from .network import GRID_SHAPE, get_preset
from .samples import Augmentation
from .shown_trainings import ShownTrainings

FULL = {
    "scans": 70,
    "split": "50,10,10",
    "spacing": 0.38,
    "preset": "paper",
    "width": 16,
    "epochs": 200,
    "steps": None,
    "crop_rows": None,
    "learning_rate": 1e-4,
    "training_seeds": "0,1,2",
    "grid": GRID_SHAPE,
}
"""The paper's experiment at a quarter of its width; three seeds instead of one."""

MINIATURE = {
    "scans": 5,
    "split": "1,1,3",
    "spacing": 1.5,
    "preset": "default",
    "width": 4,
    "epochs": 2,
    "steps": 4,
    "crop_rows": 32,
    "learning_rate": 2e-2,
    "training_seeds": "0,1",
    "grid": (96, 48, 24),
}
"""Every step of the experiment within a minute or two; its figures mean nothing."""


def experiment(arguments: argparse.Namespace, console: Console) -> dict:
    """Run the experiment, or go on with it, and write its report."""
    folder = Folder(arguments.output)
    deadline = None if arguments.max_minutes is None else time.monotonic() + 60.0 * arguments.max_minutes
    settings = read_settings(arguments, folder)
    scale = at_scale(arguments, FULL, MINIATURE)
    arms, seeds = parse_arms(arguments.arms), parse_seeds(scale["training_seeds"])
    publish = _arm_to_publish(arguments, arms)
    check_range("--jobs", arguments.jobs, 1, 64)
    check_range("--workers", arguments.workers, 1, 256)
    check_scheduler(arguments)
    if settings.miniature:
        console.warning(SAID_OF_A_MINIATURE)
    enter(folder, settings, arguments.force)
    with only_one(folder.path):
        record = Record(folder, settings, arms, seeds)
        record.write()
        try:
            in_time = prepare_cases(folder, settings, arguments, console, deadline)
            if in_time:
                in_time = _train(folder, arms, seeds, arguments, console, deadline, record)
        except KeyboardInterrupt:
            console.warning("What is finished is kept; the same command goes on.")
            raise
        finally:
            record.write()
        files = _report(folder, console)
        if publish and in_time:
            files["model"] = str(_publish(folder, publish, seeds, arguments, console))
    done, total = record.count()
    if not in_time:
        console.warning(f"The time limit ended this call with {done} of {total} trainings; the same command goes on.")
    return {"complete": in_time, "trainings": done, "of": total, "files": files}


def at_scale(arguments: argparse.Namespace, full: Mapping[str, Any], miniature: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what the command line leaves open: at full scale, or a miniature's."""
    defaults = miniature if arguments.miniature else full
    given = {name: getattr(arguments, name, None) for name in defaults}
    return {name: defaults[name] if value is None else value for name, value in given.items()}


def read_settings(arguments: argparse.Namespace, folder: Folder) -> Settings:
    """Turn the command line into what the runs have in common.

    Raises
    ------
    LaminaError
        If a value is out of its range, before anything is simulated or trained.
    """
    scale = at_scale(arguments, FULL, MINIATURE)
    check_range("--epochs", scale["epochs"], 1, 1_000_000)
    check_range("--width", scale["width"], 1, 512)
    check_range("--spacing", scale["spacing"], 0.2, 3.0)
    check_range("--scans", scale["scans"], 3, 100_000)
    if scale["steps"] is not None:
        check_range("--steps", scale["steps"], 1, 1_000_000)
    if not 0 < scale["learning_rate"] < float("inf"):
        raise LaminaError(f"--learning-rate is {scale['learning_rate']}; give a number above 0, such as 0.0001.")
    if arguments.max_minutes is not None and not arguments.max_minutes > 0:
        raise LaminaError(f"--max-minutes is {arguments.max_minutes}; give a number above 0.")
    get_preset(scale["preset"])
    Augmentation(crop_rows=scale["crop_rows"])
    if scale["crop_rows"] and scale["crop_rows"] > scale["grid"][0]:
        raise LaminaError(f"--crop-rows is {scale['crop_rows']}, but the grid has only {scale['grid'][0]} rows.")
    if arguments.data is not None:
        data = dataset_data(arguments.data)
    else:
        ratio = parse_split(scale["split"])
        data = simulated_data(
            arguments.style, scale["spacing"], arguments.seed, arguments.test_seed, scale["scans"], ratio
        )
    return Settings(
        data=data,
        grid=list(scale["grid"]),
        preset=scale["preset"],
        width=scale["width"],
        epochs=scale["epochs"],
        steps=scale["steps"],
        crop_rows=scale["crop_rows"],
        learning_rate=scale["learning_rate"],
        precision=arguments.precision or precision_of(folder),
        miniature=arguments.miniature,
    )


def precision_of(folder: Folder) -> str:
    """Keep an experiment's precision, so that it can be gone on with on another machine; else what suits this one."""
    kept = folder.read()
    if kept:
        return kept["settings"]["precision"]
    return "mixed_bfloat16" if has_nvidia_driver() else "float32"


def _arm_to_publish(arguments: argparse.Namespace, arms: Sequence[Arm]) -> Arm | None:
    """Return the arm whose network becomes a model, checking before hours of training that it can be written."""
    if arguments.publish is None:
        return None
    if arguments.publish not in {arm.name for arm in arms}:
        raise LaminaError(
            f"--publish names '{arguments.publish}'; choose one of the arms {', '.join(arm.name for arm in arms)}."
        )
    if arguments.miniature:
        raise LaminaError("A miniature's networks have learned nothing and cannot be published: leave out --publish.")
    from .train_command import check_before_hours_of_training

    check_before_hours_of_training(arguments.name)
    return ARMS[arguments.publish]


def enter(folder: Folder, settings: Settings, force: bool) -> None:
    """Make the folder, or go on with the experiment in it."""
    if not folder.summary.exists():
        require_output(folder.path, force)
        return
    try:
        folder.check(settings)
    except LaminaError:
        if not force:
            raise
        with only_one(folder.path):
            folder.set_aside()
    require_output(folder.path, force=True)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Keep a second command out of the folder while the block runs; a lock that dies with its process."""
    with open(path / LOCK, "a+") as file:
        try:
            free = try_lock(file)
        except OSError:
            free = False
        if not free:
            raise LaminaError(f"Another command is at work in '{path}': wait for its end, or choose another folder.")
        yield


def prepare_cases(
    folder: Folder, settings: Settings, arguments: argparse.Namespace, console: Console, deadline: float | None
) -> bool:
    """Make the scans that are missing; False when the time was up before the last."""
    missing = missing_cases(folder, settings, arguments.data, arguments.cache)
    text = "Preparing scans" if arguments.data else "Simulating and preparing scans"
    for _ in console.track(make_cases(missing, arguments.workers), len(missing), text) if missing else ():
        if deadline is not None and time.monotonic() > deadline:
            break
    return all(path.exists() for split in SPLITS for path in folder.case_files(settings, split))


def backend_of(arguments: argparse.Namespace) -> str | None:
    """Return the backend asked for; a miniature takes the one that starts fastest."""
    if arguments.backend is None and arguments.miniature and importlib.util.find_spec("torch") is not None:
        return "torch"
    return arguments.backend


def _train(
    folder: Folder,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    arguments: argparse.Namespace,
    console: Console,
    deadline: float | None,
    record: Record,
) -> bool:
    """Do the trainings that are missing; False when the time was up before the last."""
    jobs = []
    for run in runs_of(arms, seeds):
        choices = choices_of(arms, run.loss)
        if not folder.finished(run, choices):
            jobs.append({"job": "train", **asdict(run), "choices": choices, "backend": backend_of(arguments)})
    if not jobs:
        return True
    console.emit("stage", stage="training", text=f"Training {len(jobs)} networks")
    with pool_of(arguments, folder, min(arguments.jobs, len(jobs)), console) as pool:
        shown = ShownTrainings(console, len(jobs), pool.places)
        try:
            for event in pool.run(jobs, deadline):
                shown.show(event)
                if event["event"] == "finished":
                    record.write()
        except TrainingFailed as failed:
            raise LaminaError(f"{failed} What is finished is kept; the same command goes on.") from failed
        return pool.completed


def _report(folder: Folder, console: Console) -> dict[str, str]:
    """Write the report of what is finished so far, and print its table."""
    from .experiment_report import table_rows, write_report

    files, summary = write_report(folder)
    if summary is None:
        console.say("No seed is finished for all arms yet; the report comes with the first.")
    else:
        console.table(
            "Test scans, mean over scans" + (" (miniature)" if summary["miniature"] else ""), table_rows(summary)
        )
        console.say(f"The report is {folder.path / 'report.md'}")
    return files


def published(model: Path, folder: Folder, run: Run, choice: str) -> bool:
    """Tell whether a model is there and is that of a training, so that a repeated call does not write it again."""
    try:
        card = json.loads((model / "card.json").read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError):
        return False
    epoch = folder.result(run)["choices"][choice]["epoch"]
    wanted = {"loss": run.loss, "seed": run.seed, "monitor": choice, "best_epoch": epoch}
    return wanted == {key: card.get(key) for key in wanted}


def _publish(folder: Folder, arm: Arm, seeds: Sequence[int], arguments: argparse.Namespace, console: Console) -> Path:
    """Write the model of an arm's best training, chosen on the validation scans."""
    runs = [Run(arm.loss, seed) for seed in seeds]
    best = min(runs, key=lambda run: folder.result(run)["choices"][arm.choice]["value"])
    if published(folder.path / arguments.name, folder, best, arm.choice):
        return folder.path / arguments.name
    job = {"job": "publish", **asdict(best), "choice": arm.choice, "name": arguments.name}
    console.emit("stage", stage="write", text="Writing the model")
    with Pool(folder, 1) as pool:
        for event in pool.run([{**job, "backend": backend_of(arguments)}], None):
            if event["event"] == "published":
                console.say(f"The model of {best.name} is in {event['folder']}")
    return folder.path / arguments.name
