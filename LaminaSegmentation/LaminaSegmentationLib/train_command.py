"""``lamina train``: labelled or simulated scans in, a model bundle out."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError

from .commands import check_range, require_output
from .console import Console
from .dataset import FIRST_TRAINING_SEED, Case, case_notes, labelled_cases, read_dataset, simulated_cases
from .preprocessing import Options
from .samples import Augmentation
from .simulation import STYLES, style_for_training
from .train_control import PAUSE, Control
from .training import TrainingOptions, TrainingProgress, TrainingResult
from .training import train as train_network
from .training_options import loss_parameters
from .validation_score import validation_metrics

NOTES_SHOWN = 5

AUGMENTED = {"shift": 2, "gain": 0.1, "noise": 0.1, "band_probability": 0.1}


def gather(arguments: argparse.Namespace, console: Console, control: Control) -> tuple[list[Case], list[Case], dict]:
    """Return the training cases, the validation cases and what the model card says of them."""
    options = Options()
    if arguments.data is not None:
        splits = read_dataset(arguments.data, needed=("training", "validation"))
        for split in ("training", "validation"):
            if not splits[split]:
                raise LaminaError(
                    f"The list '{split}' in '{arguments.data.name}' is empty; training needs scans in both lists."
                )
        entries = [*splits["training"], *splits["validation"]]
        refuse_evaluation_seeds(entries)
        made = labelled_cases(entries, options, arguments.cache, arguments.workers)
        cases = _all(console.track(made, len(entries), "Preparing scans"), control)
        _show_notes(cases, console)
        count = len(splits["training"])
        return cases[:count], cases[count:], {"data": f"{count} labelled scans of {arguments.data.name}"}
    check_range("--simulated", arguments.simulated, 1, 1_000_000)
    check_range("--validation", arguments.validation, 1, 10_000)
    if arguments.seed < FIRST_TRAINING_SEED:
        raise LaminaError(
            f"--seed is {arguments.seed}; train on seeds from {FIRST_TRAINING_SEED} on, because smaller ones are kept "
            "for tests and evaluation."
        )
    style = style_for_training(arguments.style)
    total = arguments.simulated + arguments.validation
    seeds = range(arguments.seed, arguments.seed + total)
    made = simulated_cases(seeds, arguments.style, cache=arguments.cache, workers=arguments.workers)
    cases = _all(console.track(made, total, "Simulating and preparing scans"), control)
    _show_notes(cases, console)
    card = {
        "data": f"{arguments.simulated} simulated scans, none of a patient",
        "style": style.name,
        "style_version": style.version,
        "seeds": [seeds.start, seeds.stop - 1],
    }
    return cases[: arguments.simulated], cases[arguments.simulated :], card


def _all(made: Iterable[Case], control: Control) -> list[Case]:
    cases = []
    for case in made:
        cases.append(case)
        control.check()
    return cases


def refuse_evaluation_seeds(entries: list[dict]) -> None:
    """Raise LaminaError for simulated scans whose seeds are kept for tests and evaluation (METHOD section 8)."""
    for entry in entries:
        simulated = re.fullmatch(r"simulated-(.+)-(\d+)", str(entry.get("patient", "")))
        if simulated and simulated[1] in STYLES:
            style_for_training(simulated[1])
        if simulated and int(simulated[2]) < FIRST_TRAINING_SEED:
            raise LaminaError(
                f"'{entry['image'].name}' is a simulated scan of seed {simulated[2]}; train on seeds from "
                f"{FIRST_TRAINING_SEED} on, because smaller ones are kept for tests and evaluation."
            )


def _show_notes(cases: Sequence[Case], console: Console) -> None:
    """Warn of labels that the grid does not show as they are."""
    notes = [note for case in cases for note in case_notes(case)]
    for note in notes[:NOTES_SHOWN]:
        console.warning(note)
    if len(notes) > NOTES_SHOWN:
        console.warning(f"{len(notes) - NOTES_SHOWN} more notes of this kind on {len(cases)} scans.")


def training_options(arguments: argparse.Namespace) -> TrainingOptions:
    """Turn the command line into the options of a run, checking them before anything slow starts.

    The precision is final only after `choose_precision`.

    Raises
    ------
    LaminaError
        For an option that training would refuse hours later.
    """
    from .devices import check_devices
    from .losses import LOSSES
    from .network import GRID_SHAPE, network_settings

    check_range("--training-seed", arguments.training_seed, 0, 2**32 - 1)
    if arguments.crop_rows is not None:
        check_range("--crop-rows", arguments.crop_rows, 8, GRID_SHAPE[0])
    if arguments.cache is not None and arguments.cache.exists() and not arguments.cache.is_dir():
        raise LaminaError(f"--cache names the file '{arguments.cache.name}'; give a folder.")
    if arguments.loss not in LOSSES:
        raise LaminaError(f'There is no loss "{arguments.loss}"; choose one of {", ".join(LOSSES)}.')
    options = TrainingOptions(
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        preset=arguments.preset,
        loss=arguments.loss,
        loss_parameters=loss_parameters(arguments.loss, arguments.loss_weight),
        batch_size=arguments.batch_size,
        steps_per_epoch=arguments.steps,
        seed=arguments.training_seed,
        augmentation=Augmentation(crop_rows=arguments.crop_rows, **(AUGMENTED if arguments.augment else {})),
        schedule=arguments.schedule,
        max_seconds=None if arguments.max_minutes is None else 60.0 * arguments.max_minutes,
        precision=arguments.precision or "float32",
        backend=arguments.backend,
        monitor=arguments.monitor,
        normalization=arguments.normalization,
        momentum=arguments.momentum,
        output_bias=arguments.output_bias,
        recalibrate=arguments.recalibrate,
        devices=arguments.devices,
    )
    network_settings(options.preset, options.precision, normalization=options.normalization, momentum=options.momentum)
    check_devices(options.devices, options.backend)
    return options


def choose_precision(options: TrainingOptions, asked: str | None, console: Console) -> TrainingOptions:
    """Set the precision that was asked for, or bfloat16 on a GPU and float32 on a CPU.

    Called when all scans are prepared: it starts the backend, after which no processes may be forked.
    """
    from .acceleration import bfloat16_pays
    from .devices import gpu_name
    from .keras_backend import set_backend

    backend = set_backend(options.backend)
    if asked:
        return replace(options, precision=asked)
    if gpu_name() is not None:
        return replace(options, precision="mixed_bfloat16")
    # Of the backends only PyTorch's kernels gain from bfloat16 on a CPU; the others are slower with it there.
    if backend == "torch" and bfloat16_pays():
        console.say("This processor is 2.5 times faster with --precision mixed_bfloat16.")
    return replace(options, precision="float32")


def train(arguments: argparse.Namespace, console: Console) -> dict:
    """Train a network and write its bundle."""
    check_before_hours_of_training(arguments.name)
    options = training_options(arguments)
    if arguments.estimate:
        return estimate_training(arguments, options, console)
    control, new = Control(arguments.control), not arguments.output.exists()
    try:
        return _train(arguments, options, control, console)
    except BaseException as error:
        # What holds nothing must not keep the same command from being given again.
        for folder in (arguments.output / "training", *([arguments.output] if new else [])):
            with suppress(OSError):
                folder.rmdir()
        if not isinstance(error, KeyboardInterrupt):
            raise
        # Nobody waits for a sentence about an interruption that he asked for: before the first epoch there is no model.
        if not control.word:
            raise
        return {"model": None, "epochs": 0, "ended_by": "pause" if control.word == PAUSE else "user"}


def estimate_training(arguments: argparse.Namespace, options: TrainingOptions, console: Console) -> dict:
    """``--estimate``: say how long the training would take, and do nothing else."""
    from .train_estimate import count_scans, estimate

    console.emit("stage", stage="estimate", text="Timing a training step")
    training, validation = count_scans(arguments)
    options = choose_precision(options, arguments.precision, console)
    result = estimate(options, training, validation, hardware(options.backend or ""))
    time = datetime.timedelta(seconds=round(result["seconds"]))
    console.say(
        f"About {time} for {options.epochs} epochs on {result['hardware']}: {result['epoch_seconds']:.1f} s an epoch, "
        f"{result['step_seconds']:.2f} s a step. Preparing the scans comes on top."
    )
    return result


def _train(arguments: argparse.Namespace, options: TrainingOptions, control: Control, console: Console) -> dict:
    initial = None if arguments.start_from is None else weights_to_start_from(arguments.start_from, options)
    if not arguments.resume:
        require_output(arguments.output, arguments.force)
    training, validation, data = gather(arguments, console, control)
    options = choose_precision(options, arguments.precision, console)
    run = arguments.output / "training"
    if not arguments.resume:
        set_aside(run)
    elif not (run / "state.npz").exists():
        console.warning(f"There is no earlier run in '{arguments.output}' to go on with: the training begins anew.")
    console.emit("stage", stage="training", text="Training the network")

    def report(progress: TrainingProgress) -> None:
        console.training(progress)
        control.check()

    def report_epoch(row: Mapping[str, float], best_epoch: int) -> None:
        console.emit("epoch", **row, epochs=options.epochs, best_epoch=best_epoch)

    result = train_network(
        training,
        validation,
        run,
        options,
        metrics=validation_metrics(options.monitor),
        initial_weights=initial,
        resume=arguments.resume,
        progress=report,
        on_epoch=report_epoch,
    )
    if control.word == PAUSE:
        return {"model": None, "epochs": len(result.history), "ended_by": "pause"}
    if result.ended_by != "epochs" and len(result.history) < options.epochs:
        why = "Interrupted" if result.ended_by == "user" else "Out of time"
        console.say(f"{why} after epoch {len(result.history)}; the same command with --resume goes on.")
    bundle = publish(arguments, options, result, data, len(training), len(validation))
    best = result.history[result.best_epoch - 1]
    console.say(
        f"Best epoch {result.best_epoch}: validation loss {best['val_loss']:.4f}, on average {best['val_missed']:.1f} "
        f"laminae missed and {best['val_false']:.1f} false. The model is in {bundle}"
    )
    return {
        "model": str(bundle),
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "ended_by": result.ended_by,
        "validation": best,
    }


def weights_to_start_from(name: str, options: TrainingOptions) -> Path:
    """Return the weights of a shipped model or a model's folder.

    Raises
    ------
    LaminaError
        If there is no such model, or it has another width or normalization.
    """
    from .models import load_model
    from .network import get_preset

    bundle = load_model(name)
    width = options.width or get_preset(options.preset).width
    normalization = options.normalization or get_preset(options.preset).normalization
    architecture = bundle.card["architecture"]
    theirs = architecture["width"], architecture.get("normalization", "batch")
    if theirs != (width, normalization):
        raise LaminaError(
            f"The model '{bundle.card['name']}' has width {theirs[0]} and {theirs[1]} normalization, this network "
            f"{width} and {normalization}; choose the same with --preset and --normalization."
        )
    return bundle.weights


def check_before_hours_of_training(name: str) -> None:
    """Raise LaminaError for what would otherwise only fail when the bundle is written, at the end."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == "training":
        raise LaminaError(
            f"'{name}' cannot be the name of a model; give --name letters, digits, dots, dashes and underscores "
            "(but not 'training', the folder of the log)."
        )
    missing = [package for package in ("keras", "tensorflow", "openvino") if importlib.util.find_spec(package) is None]
    if missing:
        raise LaminaError(
            f"Training needs {' and '.join(missing)} to write the model that is trained; install with: "
            f"pip install {' '.join(missing)}"
        )


def publish(
    arguments: argparse.Namespace,
    options: TrainingOptions,
    result: TrainingResult,
    data: dict,
    scans: int,
    validation: int,
) -> Path:
    """Write the bundle of a finished run next to its log; return its folder."""
    from .keras_backend import set_backend
    from .models import write_bundle
    from .network import GRID_SHAPE, get_preset, network_settings
    from .training import load_trained

    backend = set_backend(options.backend)
    model = load_trained(result.weights, options, GRID_SHAPE)
    best = result.history[result.best_epoch - 1]
    preset = get_preset(options.preset)
    settings = network_settings(options.preset, normalization=options.normalization, momentum=options.momentum)
    simulated = "seeds" in data
    card = {
        "name": arguments.name,
        "title": f"3D U-net of width {options.width or preset.width}, trained on {data['data']}",
        "description": "Finds the laminae T1 to L5 in 3D ultrasound scans of the spine. "
        + ("Trained on simulated scans alone: " if simulated else "")
        + "for research, not for diagnosis.",
        "version": "1",
        "created": datetime.date.today().isoformat(),
        "input": {
            "grid": list(GRID_SHAPE),
            "axes": "IRA",
            "normalization": "zero mean and unit variance over the scanned voxels, 0 elsewhere",
            "preprocessing": Options().as_dict(),
        },
        "architecture": {
            "width": options.width or preset.width,
            "preset": options.preset,
            "normalization": settings.normalization,
            "parameters": int(model.count_params()),
        },
        "training": {
            **data,
            "scans": scans,
            "loss": options.loss,
            **{f"loss_{name}": value for name, value in options.loss_parameters.items()},
            "monitor": options.monitor,
            **({} if arguments.start_from is None else {"started_from": Path(arguments.start_from).name}),
            "seed": options.seed,
            "epochs": len(result.history),
            "best_epoch": result.best_epoch,
            "steps": int(sum(row["steps"] for row in result.history)),
            "learning_rate": options.learning_rate,
            "schedule": options.schedule,
            "batch_size": options.batch_size,
            "devices": options.devices,
            "momentum": settings.momentum if settings.normalization == "batch" else None,
            "recalibrated_over": options.recalibrate,
            "crop_rows": arguments.crop_rows,
            "augmentation": "flips, shifts, gain, noise, lifted-probe bands" if arguments.augment else "flips",
            "precision": options.precision,
            "backend": backend,
            "hardware": hardware(backend),
            "seconds": round(result.seconds, 1),
        },
        "evaluation": {
            "data": f"the {validation} {'simulated ' if simulated else ''}scans that chose the best epoch; "
            "an optimistic estimate",
            "figures": {
                "validation_loss": round(best["val_loss"], 4),
                "missed_per_scan": round(best["val_missed"], 3),
                "false_per_scan": round(best["val_false"], 3),
                "d3d_total_voxels": round(best["val_d3d"], 3),
            },
        },
        "license": "MIT",
        "intended_use": "research only",
        "decision": {"threshold": 0.5, "minimum_voxels": 3},
    }
    folder = arguments.output / arguments.name
    set_aside(folder)
    return write_bundle(folder, model, card)


def set_aside(folder: Path) -> None:
    """Rename what an earlier run left in the way, to NAME.old-1, NAME.old-2, ...: nothing trained is ever deleted."""
    if folder.exists():
        number = 1
        while (backup := folder.with_name(f"{folder.name}.old-{number}")).exists():
            number += 1
        folder.rename(backup)


def hardware(backend: str) -> str:
    """Say in words what a network was trained on, with the backend that runs."""
    from .devices import gpu_name

    return gpu_name() or f"CPU ({platform.machine()}, {os.cpu_count()} cores), no GPU"
