"""``lamina calibrate``: what localization has to know about spines and a model, learned from labeled scans."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume, read_volume

from .calibration import Calibration, LabeledScan
from .calibration import calibrate as learn
from .candidates import by_column, find_candidates, place_by_column, scanned_range
from .commands import check_range
from .console import Console
from .dataset import FIRST_TRAINING_SEED
from .dataset_file import read_dataset
from .dataset_labels import read_truth
from .evidence import logistic
from .inference import options_of
from .preprocessing import prepare
from .shape_model import LEAST_SPINES
from .simulation import simulate_scan, style_named
from .simulation.styles import style_for_training

if TYPE_CHECKING:
    from .engines import Engine
    from .models import ModelBundle


def calibrate(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina calibrate``: write a copy of a model with a calibration learned from labeled scans."""
    from .engines import check_engine, create_engine
    from .models import load_model, write_calibrated

    if arguments.output.exists():
        raise LaminaError(f"'{arguments.output}' already exists; choose another folder with -o.")
    model = load_model(arguments.model)
    check_engine(arguments.engine, arguments.threads)
    if arguments.data:
        entries = read_dataset(arguments.data, (arguments.split,))[arguments.split]
        source, count, text = _labeled(entries), len(entries), f"{len(entries)} labeled scans"
    else:
        source, count, text = _simulated(arguments, model)
    if count < LEAST_SPINES:
        raise LaminaError(f"{count} scans are too few to learn from; give {LEAST_SPINES} or more.")
    engine = create_engine(model, arguments.engine, arguments.threads)
    scans = [
        _scan(volume, truth, model, engine) for volume, truth in console.track(source, count, "Learning from scans")
    ]
    calibration = learn(scans, text)
    number = f"{model.card['version']}.calibrated" if not arguments.version else arguments.version
    changes = {
        "name": arguments.output.name,
        "version": number,
        "created": datetime.date.today().isoformat(),
        "localization": {"data": text, "scans": count},
    }
    write_calibrated(arguments.output, model, calibration, changes)
    console.table(f"{model.name}, calibrated on {text}", _rows(calibration, arguments.output))
    return {"model": str(arguments.output), "scans": count, "data": text, **calibration.as_dict()}


def _simulated(arguments: argparse.Namespace, model: ModelBundle):
    """Return the scans, how many they are, and what to say of them."""
    check_range("--simulated", arguments.simulated, 1, 100_000)
    if arguments.seed < FIRST_TRAINING_SEED:
        raise LaminaError(f"--seed is {arguments.seed}; seeds below {FIRST_TRAINING_SEED} are kept for tests.")
    styles = [style_for_training(name.strip()) for name in arguments.style.split(",")]
    training = model.card["training"]
    first, last = training.get("seeds", (0, -1))
    if arguments.seed <= last and arguments.seed + arguments.simulated > first:
        raise LaminaError(
            f"The model was trained on the seeds {first} to {last}: what it finds there says nothing; give another "
            "--seed."
        )

    def scans() -> Iterator[tuple[Volume, LaminaSet]]:
        for number in range(arguments.simulated):
            scan = simulate_scan(arguments.seed + number, style=styles[number % len(styles)])
            yield scan.volume, scan.truth

    named = " and ".join(f"{style.name} (version {style_named(style.name).version})" for style in styles)
    text = (
        f"{arguments.simulated} simulated scans of style {named}, seeds {arguments.seed} to "
        f"{arguments.seed + arguments.simulated - 1}"
    )
    return scans(), arguments.simulated, text


def _labeled(entries: Sequence[Mapping]) -> Iterator[tuple[Volume, LaminaSet]]:
    for entry in entries:
        try:
            volume = read_volume(entry["image"], entry.get("axes", "auto"))
            truth = read_truth(entry["label"], volume)
        except LaminaError as error:
            raise LaminaError(f"{entry['where']} ('{entry['image'].name}') cannot be used: {error}") from error
        if truth.is_provisional:
            raise LaminaError(
                f"{entry['where']} ('{entry['image'].name}') has labels without names: name its vertebrae first, or "
                "leave it out."
            )
        yield volume, truth


def _scan(volume: Volume, truth: LaminaSet, model: ModelBundle, engine: Engine) -> LabeledScan:
    prepared = prepare(volume, options_of(model))
    grid, column = prepared.grid, prepared.column_points
    least = model.card["decision"]["minimum_voxels"]
    candidates = place_by_column(find_candidates(engine.predict(grid.array), grid, minimum_voxels=least), grid, column)
    scanned = scanned_range(grid, column)
    positions = truth.positions()
    places = by_column(grid.to_index(np.array(list(positions.values()))), grid, column)
    inside = tuple(candidate for candidate in candidates if scanned[0] < candidate.along < scanned[1])
    return LabeledScan(dict(zip(positions, places)), inside, scanned)


def _rows(calibration: Calibration, folder) -> list[tuple[str, str]]:
    shape, evidence = calibration.shape, calibration.evidence
    sure = logistic(evidence.odds([0.1, 0.5, 0.9]))
    return [
        ("Spacing", f"{shape.spacing[0]:.1f} mm (T1 to T2) to {shape.spacing[-1]:.1f} mm (L4 to L5)"),
        ("Sizes of patients", f"± {100 * shape.size_sd:.1f} %"),
        ("Offset of a lamina", f"{min(shape.offset):.1f} to {max(shape.offset):.1f} mm"),
        ("Laminae without a candidate", f"{100 * evidence.missing:.2f} %"),
        (
            "A candidate is a lamina",
            f"{100 * sure[0]:.0f} % at confidence 0.1, {100 * sure[1]:.0f} % at 0.5, {100 * sure[2]:.1f} % at 0.9",
        ),
        ("Model", f"{folder}/"),
    ]
