"""``lamina tune``: trainings with different options, and the command that trains with the best of them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

from .commands import check_range
from .console import Console
from .dataset import FIRST_TRAINING_SEED, read_dataset
from .dataset_file import content_hash
from .experiment import SAID_OF_A_MINIATURE
from .experiment_cluster import check_scheduler, pool_of
from .experiment_command import at_scale, backend_of, enter, only_one, precision_of, prepare_cases
from .network import GRID_SHAPE
from .preprocessing import PREPROCESSING_VERSION
from .samples import Augmentation
from .shown_trainings import ShownTrainings
from .simulation import style_for_training
from .train_command import refuse_evaluation_seeds
from .tune_folder import SearchFolder, TuneSettings
from .tune_report import write_report
from .tune_space import parse_space
from .tune_study import Trials, open_study, require_optuna
from .tune_worker import RESULT

if TYPE_CHECKING:
    from .experiment_cluster import ClusterPool
    from .experiment_pool import Pool

FULL = {"validation": 8, "epochs": 30, "steps": None, "crop_rows": None, "spacing": None, "grid": GRID_SHAPE}
MINIATURE = {"validation": 1, "epochs": 2, "steps": 2, "crop_rows": 32, "spacing": 1.5, "grid": (96, 48, 24)}
"""Every step of a search within a minute or two."""

FAILURES_IN_A_ROW = 3
"""After so many the search ends: then it is not the options that are wrong."""


def tune(arguments: argparse.Namespace, console: Console) -> dict:
    """Run a search, or go on with it, and write what it has found."""
    require_optuna()
    folder = SearchFolder(arguments.output)
    deadline = None if arguments.max_minutes is None else time.monotonic() + 60.0 * arguments.max_minutes
    settings = read_settings(arguments, folder)
    check_range("--trials", arguments.trials, 1, 100_000)
    check_range("--jobs", arguments.jobs, 1, 64)
    check_range("--workers", arguments.workers, 1, 256)
    check_scheduler(arguments)
    if settings.miniature:
        console.warning(SAID_OF_A_MINIATURE)
    enter(folder, settings, arguments.force)
    with only_one(folder.path):
        owner = folder.write(settings)
        study = open_study(folder.path, settings, arguments.storage, arguments.study, pruning=not arguments.no_pruning)
        trials = Trials(study, settings, owner, alone=arguments.storage is None)
        common = common_arguments(arguments, settings)
        in_time = prepare_cases(folder, settings, arguments, console, deadline)
        for path in folder.trials.glob(f"*/{RESULT}"):  # an earlier call may have been interrupted before it did
            _remove_weights(path.parent)
        try:
            if in_time:
                search = _Search(folder, trials, arguments, common, console)
                in_time = search.run(deadline)
        except KeyboardInterrupt:
            console.warning("What is finished is kept; the same command goes on.")
            raise
        finally:
            files, best = write_report(study, folder.path, common, settings.miniature)
    _tell(best, files, console)
    if not in_time:
        console.warning(
            f"The time limit ended this call with {_ended(study)} of {arguments.trials} trials; the same command goes "
            "on."
        )
    return {"complete": in_time, "trials": _ended(study), "of": arguments.trials, "best": best, "files": files}


def read_settings(arguments: argparse.Namespace, folder: SearchFolder) -> TuneSettings:
    """Turn the command line into what the trials have in common.

    Raises
    ------
    LaminaError
        If a value is out of its range, before anything is simulated or trained.
    """
    scale = at_scale(arguments, FULL, MINIATURE)
    check_range("--epochs", scale["epochs"], 1, 1_000_000)
    check_range("--seed", arguments.seed, 0, 2**31 - 1)
    check_range("--training-seed", arguments.training_seed, 0, 2**32 - 1)
    if scale["steps"] is not None:
        check_range("--steps", scale["steps"], 1, 1_000_000)
    if scale["crop_rows"] is not None:
        check_range("--crop-rows", scale["crop_rows"], 8, scale["grid"][0])
    if arguments.max_minutes is not None and not arguments.max_minutes > 0:
        raise LaminaError(f"--max-minutes is {arguments.max_minutes}; give a number above 0.")
    Augmentation(crop_rows=scale["crop_rows"])
    space = parse_space(arguments.search, arguments.losses, arguments.widths, arguments.learning_rates)
    settings = TuneSettings(
        data=_labelled(arguments.data) if arguments.data is not None else _simulated(arguments, scale),
        grid=list(scale["grid"]),
        epochs=scale["epochs"],
        steps=scale["steps"],
        crop_rows=scale["crop_rows"],
        precision=arguments.precision or precision_of(folder),
        training_seed=arguments.training_seed,
        seed=arguments.seed,
        space=asdict(space),
        miniature=arguments.miniature,
    )
    # What no trial could be trained with is told before scans are made.
    fixed = {"loss": "dice", "learning_rate": 1e-4, "width": 8, "loss_weight": None, "augment": False}
    fixed |= {"normalization": "batch", "momentum": 0.9, "schedule": "constant"}
    settings.training_options(fixed, arguments.backend)
    return settings


def _labelled(path: Path) -> dict[str, Any]:
    splits = read_dataset(path, needed=("training", "validation"))
    for split in ("training", "validation"):
        if not splits[split]:
            raise LaminaError(f"The list '{split}' in '{path.name}' is empty; a search needs scans in both lists.")
    refuse_evaluation_seeds([*splits["training"], *splits["validation"]])
    counts = [len(splits["training"]), len(splits["validation"]), 0]
    described = {"dataset": path.name, "content": content_hash(path), "preprocessing": PREPROCESSING_VERSION}
    return {**described, "scans": counts}


def _simulated(arguments: argparse.Namespace, scale: Mapping[str, Any]) -> dict[str, Any]:
    number = arguments.simulated
    if number is None:
        if not arguments.miniature:
            raise LaminaError("Give the scans: --data dataset.json, or --simulated N.")
        number = 2
    check_range("--simulated", number, 1, 1_000_000)
    check_range("--validation", scale["validation"], 1, 10_000)
    if arguments.data_seed < FIRST_TRAINING_SEED:
        raise LaminaError(
            f"--data-seed is {arguments.data_seed}; train on seeds from {FIRST_TRAINING_SEED} on, because smaller ones "
            "are kept for tests and evaluation."
        )
    style = style_for_training(arguments.style)
    return {
        "style": style.name,
        "style_version": style.version,
        "spacing_mm": scale["spacing"],
        "seed": arguments.data_seed,
        "test_seed": 0,
        "preprocessing": PREPROCESSING_VERSION,
        "scans": [number, scale["validation"], 0],
    }


def common_arguments(arguments: argparse.Namespace, settings: TuneSettings) -> list[str]:
    """Return the arguments of ``lamina train`` that all trials have in common."""
    data = settings.data
    if arguments.data is not None:
        common = ["--data", str(arguments.data)]
    else:
        training, validation, _none = data["scans"]
        common = ["--simulated", str(training), "--validation", str(validation), "--seed", str(data["seed"])]
        common += ["--style", data["style"]]
    common += ["-o", "model", "--monitor", "val_score", "--epochs", str(settings.epochs)]
    for option, value in (("--steps", settings.steps), ("--crop-rows", settings.crop_rows)):
        common += [] if value is None else [option, str(value)]
    common += ["--training-seed", str(settings.training_seed), "--precision", settings.precision]
    backend = backend_of(arguments)
    return common + ([] if backend is None else ["--backend", backend])


class _Search:
    """The trials of one call."""

    def __init__(
        self, folder: SearchFolder, trials: Trials, arguments: argparse.Namespace, common: list[str], console: Console
    ) -> None:
        self.folder, self.trials, self.arguments = folder, trials, arguments
        self.common, self.console = common, console
        self.failures = 0

    def run(self, deadline: float | None) -> bool:
        """Do trials until there are enough; False when the time was up before."""
        left = self.arguments.trials - _ended(self.trials.study)
        if left <= 0:
            return True
        self.console.emit("stage", stage="training", text=f"Training {left} networks")
        jobs = min(self.arguments.jobs, left)
        with pool_of(self.arguments, self.folder, jobs, self.console, "tune_worker", tolerant=True) as pool:
            shown = ShownTrainings(self.console, left, pool.places)
            for event in pool.run(self._jobs(), deadline):
                self._take(event, pool, shown)
            return pool.completed

    def _jobs(self) -> Iterator[dict]:
        for name, values in self.trials.jobs(self.arguments.trials):
            yield {"job": "trial", "run": name, "values": values, "backend": backend_of(self.arguments)}

    def _take(self, event: Mapping[str, Any], pool: Pool | ClusterPool, shown: ShownTrainings) -> None:
        kind, run = event["event"], event["run"]
        if kind == "training":
            shown.show(event)
        elif kind == "epoch":
            if self.trials.is_bad(run, event["epoch"], event["score"]):
                pool.stop(run)
        elif kind in ("finished", "failed"):
            shown.show({"event": "finished", "run": run})
            if kind == "finished":
                self.failures = 0
                self._finish(run, event["result"])
            else:
                self._fail(run, event["text"])
            write_report(self.trials.study, self.folder.path, self.common, self.trials.settings.miniature, False)

    def _finish(self, run: str, result: Mapping[str, Any]) -> None:
        state = self.trials.finish(run, result)
        figures = {key: result[key] for key in ("score", "missed", "false", "epoch", "error") if key in result}
        self.console.emit("trial", run=run, state=state, **figures)
        _remove_weights(self.folder.trials / run)

    def _fail(self, run: str, text: str) -> None:
        self.trials.fail(run, text)
        self.console.emit("trial", run=run, state="failed", error=text)
        self.console.warning(text)
        self.failures += 1
        if self.failures >= FAILURES_IN_A_ROW:
            raise LaminaError(f"{self.failures} trials in a row have failed, the last one so: {text}")


def _remove_weights(path: Path) -> None:
    """Leave of a finished trial its log and result: weights and state are large, and nobody needs them any more."""
    for pattern in ("*.weights.h5", "state.npz"):
        for file in path.glob(pattern):
            file.unlink(missing_ok=True)


def _ended(study: Any) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _tell(best: Mapping[str, Any] | None, files: Mapping[str, str], console: Console) -> None:
    if best is None:
        console.say("No trial has come to its end yet.")
        return
    console.table(
        f"Best of {best['trials']} trials: number {best['trial']}",
        [
            ("Score", f"{best['score']:.2f}: missed and a quarter of the false laminae a validation scan"),
            (
                "Missed, false",
                f"{best['missed']:.1f}, {best['false']:.1f} in epoch {best['epoch']} of {best['epochs']}",
            ),
            ("Options", ", ".join(f"{name} {value}" for name, value in best["options"].items() if value is not None)),
            ("Files", ", ".join(files.values())),
        ],
    )
    console.say(f"Train with them, longer if you like:\n{best['command']}")
