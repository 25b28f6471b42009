"""``lamina train``: labelled or simulated scans in, a model bundle out."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import platform
import re
from pathlib import Path

import numpy as np
from scipy.ndimage import center_of_mass, label

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.matching import match_points

from .commands import MATCHING_GATE_MM, check_range, require_output
from .console import Console
from .dataset import FIRST_TRAINING_SEED, Case, labelled_case, read_dataset, simulated_cases
from .preprocessing import Options
from .samples import Augmentation
from .simulation import style_named
from .training import TrainingOptions, TrainingProgress, TrainingResult
from .training import train as train_network

AUGMENTED = {"shift": 2, "gain": 0.1, "noise": 0.1, "band_probability": 0.1}


def missed_laminae(probability: np.ndarray, case: Case) -> float:
    """Return how many true laminae have no component of the thresholded map within 5 mm."""
    return float(len(_match(probability, case).unmatched_first))


def false_laminae(probability: np.ndarray, case: Case) -> float:
    """Return how many components of the thresholded map lie within 5 mm of no true lamina."""
    return float(len(_match(probability, case).unmatched_second))


def _match(probability: np.ndarray, case: Case):
    above = probability >= 0.5
    components, count = label(above, structure=np.ones((3, 3, 3)))
    found = np.array(center_of_mass(above, components, range(1, count + 1))).reshape(-1, 3)
    return match_points(case.centroids * case.spacing, found * case.spacing, MATCHING_GATE_MM)


def gather(arguments: argparse.Namespace, console: Console) -> tuple[list[Case], list[Case], dict]:
    """Return the training cases, the validation cases and what the model card says of them."""
    options = Options()
    if arguments.data is not None:
        splits = read_dataset(arguments.data)
        for split in ("training", "validation"):
            if not splits[split]:
                raise LaminaError(
                    f"The list '{split}' in '{arguments.data.name}' is empty; training needs scans in both lists."
                )
        entries = [*splits["training"], *splits["validation"]]
        refuse_evaluation_seeds(entries)
        made = (labelled_case(entry["image"], entry["label"], options, arguments.cache) for entry in entries)
        cases = list(console.track(made, len(entries), "Preparing scans"))
        count = len(splits["training"])
        return cases[:count], cases[count:], {"data": f"{count} labelled scans of {arguments.data.name}"}
    check_range("--simulated", arguments.simulated, 1, 1_000_000)
    check_range("--validation", arguments.validation, 1, 10_000)
    if arguments.seed < FIRST_TRAINING_SEED:
        raise LaminaError(
            f"--seed is {arguments.seed}; train on seeds from {FIRST_TRAINING_SEED} on, because smaller ones are kept "
            "for tests and evaluation."
        )
    total = arguments.simulated + arguments.validation
    seeds = range(arguments.seed, arguments.seed + total)
    made = simulated_cases(seeds, arguments.style, cache=arguments.cache, workers=arguments.workers)
    cases = list(console.track(made, total, "Simulating and preparing scans"))
    style = style_named(arguments.style)
    card = {
        "data": f"{arguments.simulated} simulated scans, none of a patient",
        "style": style.name,
        "style_version": style.version,
        "seeds": [seeds.start, seeds.stop - 1],
    }
    return cases[: arguments.simulated], cases[arguments.simulated :], card


def refuse_evaluation_seeds(entries: list[dict]) -> None:
    """Raise LaminaError for simulated scans whose seeds are kept for tests and evaluation (METHOD section 8)."""
    for entry in entries:
        simulated = re.fullmatch(r"simulated-.+-(\d+)", str(entry.get("patient", "")))
        if simulated and int(simulated[1]) < FIRST_TRAINING_SEED:
            raise LaminaError(
                f"'{entry['image'].name}' is a simulated scan of seed {simulated[1]}; train on seeds from "
                f"{FIRST_TRAINING_SEED} on, because smaller ones are kept for tests and evaluation."
            )


def training_options(arguments: argparse.Namespace) -> TrainingOptions:
    """Turn the command line into the options of a run."""
    from .acceleration import bfloat16_pays

    # Of the backends only PyTorch's kernels gain from bfloat16 on a CPU; the others are slower with it there.
    fast = arguments.backend == "torch" and bfloat16_pays()
    return TrainingOptions(
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        preset=arguments.preset,
        loss=arguments.loss,
        steps_per_epoch=arguments.steps,
        seed=arguments.training_seed,
        augmentation=Augmentation(crop_rows=arguments.crop_rows, **(AUGMENTED if arguments.augment else {})),
        schedule=arguments.schedule,
        max_seconds=None if arguments.max_minutes is None else 60.0 * arguments.max_minutes,
        precision=arguments.precision or ("mixed_bfloat16" if fast else "float32"),
        backend=arguments.backend,
    )


def train(arguments: argparse.Namespace, console: Console) -> dict:
    """Train a network and write its bundle."""
    check_before_hours_of_training(arguments.name)
    options = training_options(arguments)
    if not arguments.resume:
        require_output(arguments.output, arguments.force)
    training, validation, data = gather(arguments, console)
    run = arguments.output / "training"
    if not arguments.resume:
        set_aside(run)
    console.emit("stage", stage="training", text="Training the network")

    def report(progress: TrainingProgress) -> None:
        console.training(progress)

    metrics = {"missed": missed_laminae, "false": false_laminae}
    result = train_network(
        training, validation, run, options, metrics=metrics, resume=arguments.resume, progress=report
    )
    bundle = publish(arguments, options, result, data, len(training), len(validation))
    best = result.history[result.best_epoch - 1]
    console.say(
        f"Best epoch {result.best_epoch}: validation loss {best['val_loss']:.4f}, on average {best['val_missed']:.1f} "
        f"laminae missed and {best['val_false']:.1f} false. The model is in {bundle}"
    )
    return {"model": str(bundle), "best_epoch": result.best_epoch, "epochs": len(result.history), "validation": best}


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
    from .models import write_bundle
    from .network import GRID_SHAPE, get_preset
    from .training import load_trained, set_backend

    backend = set_backend(options.backend)
    model = load_trained(result.weights, options, GRID_SHAPE)
    best = result.history[result.best_epoch - 1]
    preset = get_preset(options.preset)
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
            "parameters": int(model.count_params()),
        },
        "training": {
            **data,
            "scans": scans,
            "loss": options.loss,
            "epochs": len(result.history),
            "best_epoch": result.best_epoch,
            "steps": int(sum(row["steps"] for row in result.history)),
            "learning_rate": options.learning_rate,
            "schedule": options.schedule,
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
    """Say in words what a network was trained on."""
    if backend == "jax":
        import jax

        if jax.default_backend() == "gpu":
            return str(jax.devices()[0].device_kind)
    elif backend == "tensorflow":
        import tensorflow

        gpus = tensorflow.config.list_physical_devices("GPU")
        if gpus:
            return str(tensorflow.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores), no GPU"
