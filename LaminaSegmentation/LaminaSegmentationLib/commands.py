"""The `lamina` commands as functions: each does one thing a user asks for and returns its summary."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import write_csv, write_curve, write_markups, write_segmentation
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.matching import match_points
from LaminaLabelingLib.volumes import Volume, read_volume, write_volume

from . import __version__
from .console import Console
from .detection import GATE_MM as MATCHING_GATE_MM
from .inference import Segmentation, Stopwatch, describe, segment
from .known_vertebrae import parse_known


def write_json(content: dict, path: Path) -> None:
    """Write a JSON file under a temporary name first."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


_PARTIAL = ".partial-"


def _occupied(folder: Path) -> bool:
    """Whether a folder holds something; what a killed run left behind does not count."""
    return any(not path.name.startswith(_PARTIAL) for path in folder.iterdir())


@contextmanager
def output_folder(folder: Path, force: bool) -> Iterator[Path]:
    """Make the output folder, and remove it again when the block fails and it is new and empty.

    Raises
    ------
    LaminaError
        If it cannot be written, or holds something and ``force`` is false.
    """
    new = not folder.exists()
    require_output(folder, force)
    try:
        yield folder
    except BaseException:
        if new:
            with suppress(OSError):
                folder.rmdir()
        raise


def require_output(folder: Path, force: bool) -> None:
    """Refuse an output folder that holds something, unless ``force``, or that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        occupied = _occupied(folder)
    except OSError as error:
        raise LaminaError(
            f"The output folder '{folder}' cannot be written ({error.strerror or error}); choose another with -o."
        ) from None
    if occupied and not force:
        raise _not_empty(folder)


def _not_empty(folder: Path) -> LaminaError:
    return LaminaError(
        f"The output folder '{folder}' is not empty; choose another with -o, or add --force to replace its files."
    )


@contextmanager
def staged(folder: Path, replace: bool) -> Iterator[Path]:
    """Give a temporary folder whose files move into ``folder`` when the block ends well, else vanish.

    Without ``replace`` they only move into a folder that is still empty: another run may have ended meanwhile.
    """
    temporary = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder))
    try:
        yield temporary
        if not replace and _occupied(folder):
            raise _not_empty(folder)
        for path in sorted(path for path in temporary.rglob("*") if path.is_file()):
            target = folder / path.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    except OSError as error:
        raise LaminaError(
            f"The results cannot be written to '{folder}' ({error.strerror or error}); check its space and permissions."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def simulate(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina simulate``: simulated scans with their true laminae and a dataset.json."""
    from .dataset import SPLITS, split_names
    from .simulation import simulate_scan, style_named

    style = style_named(arguments.style)
    check_range("--number", arguments.number, 1, 100_000)
    check_range("--spacing", arguments.spacing, 0.2, 3.0)
    check_range("--seed", arguments.seed, 0, 2**62)
    splits = ["test"] * arguments.number
    if arguments.split:
        splits = split_names(arguments.number, parse_split(arguments.split), arguments.seed)
    folder = arguments.output
    dataset: dict[str, Any] = {
        "name": "simulated freehand ultrasound scans of scoliotic spines",
        "style": style.name,
        "style_version": style.version,
        **{split: [] for split in SPLITS},
    }
    with output_folder(folder, arguments.force):
        for number in console.track(range(arguments.number), arguments.number, "Simulating scans"):
            seed = arguments.seed + number
            scan = simulate_scan(seed, arguments.spacing, style)
            stem = f"scan_{number:04d}"
            with staged(folder, replace=True) as temporary:
                write_volume(scan.volume, temporary / f"{stem}.nrrd")
                write_markups(scan.truth, temporary / f"{stem}.mrk.json", name=f"{stem} truth")
                write_json({**scan.parameters, "visibility_db": scan.visibility}, temporary / f"{stem}.simulation.json")
            entry = {"image": f"{stem}.nrrd", "label": f"{stem}.mrk.json", "patient": f"simulated-{style.name}-{seed}"}
            dataset[splits[number]].append(entry)
        write_json(dataset, folder / "dataset.json")
    console.say(f"{arguments.number} simulated scans in {folder}")
    return {"scans": arguments.number, "files": {"dataset": str(folder / "dataset.json")}}


def parse_split(text: str) -> tuple[int, int, int]:
    """Turn ``50,10,10`` into three numbers."""
    try:
        training, validation, test = (int(part) for part in text.split(","))
    except ValueError:
        raise LaminaError(
            f"'{text}' is no split; give three whole numbers such as 50,10,10: training, validation, test."
        ) from None
    return training, validation, test


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise LaminaError when an option lies outside its range."""
    if not low <= value <= high:
        raise LaminaError(f"{name} is {value}; give a value from {low} to {high}.")


def write_results(
    volume: Volume,
    result: Segmentation,
    folder: Path,
    truth: LaminaSet | None = None,
    crop_segmentation: bool = False,
) -> dict[str, str]:
    """Write the files of a segmentation into a folder; return their paths by kind."""
    from .overlay import draw_overlay

    files = {
        "laminae": "laminae.mrk.json",
        "table": "laminae.csv",
        "segmentation": "laminae.seg.nrrd",
        "column": "spinous_column.mrk.json",
        "overlay": "overlay.png",
    }
    with ThreadPoolExecutor(1) as aside:
        # The two that take the time, beside each other.
        segmentation = aside.submit(
            write_segmentation, result.laminae, volume, folder / files["segmentation"], crop_segmentation
        )
        write_markups(result.laminae, folder / files["laminae"])
        write_csv(result.laminae, folder / files["table"])
        write_curve(result.column, folder / files["column"])
        draw_overlay(volume, result.laminae, folder / files["overlay"], result.prepared, truth, title=volume.name)
        segmentation.result()
    return files


def summarize(volume: Volume, result: Segmentation, model: Any) -> dict:
    """Return what ``summary.json`` says of a segmentation."""
    return {
        "software": f"LaminaUltrasound {__version__}",
        "scan": volume.name,
        "axes": volume.axes,
        "spacing_mm": [round(float(value), 5) for value in volume.spacing],
        "model": {"name": model.card["name"], "version": model.card.get("version")},
        "engine": result.engine,
        "result": describe(result.laminae),
        "laminae": len(result.laminae.positions()),
        "named": not result.laminae.is_provisional,
        "region": region_of(volume, result.prepared.box),
        "column_contrast": round(result.prepared.column.contrast, 4),
        "corrected": list(result.prepared.corrected),
        "rejected_candidates": [
            {"position_ras_mm": [round(float(x), 3) for x in candidate.position], "why": why}
            for candidate, why in result.localization.rejected
        ],
        "suggested": dict(result.localization.suggested),
        "reliable": result.localization.reliable,
        "warnings": list(result.warnings),
        "intended_use": "research only",
    }


def region_of(volume: Volume, box: Sequence[slice]) -> dict:
    """Return the region of interest as a box: center and directions in RAS mm, its size along SI, LR and PA in mm."""
    crop = volume.crop(box)
    directions = crop.matrix[:3, :3] / crop.spacing
    return {
        "center_ras_mm": crop.to_world((np.array(crop.shape) - 1) / 2).round(3).tolist(),
        "size_mm": crop.extent_mm.round(3).tolist(),
        "directions": directions.T.round(9).tolist(),
    }


def run_segment(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina segment``: the laminae of one scan."""
    from .engines import check_engine
    from .models import load_model
    from .pictures import draw_steps
    from .preprocessing import read_corrections

    folder = arguments.output
    # What can be wrong is checked before the slow part: the scan first, since it is what the user thinks of first.
    with console.bar():
        stopwatch = Stopwatch(console)
        with stopwatch.stage("read"):
            volume = read_volume(arguments.scan, arguments.axes)
        corrections = read_corrections(arguments.corrections) if arguments.corrections else None
        known = parse_known(arguments.vertebrae, arguments.anchor, arguments.absent)
        model = load_model(arguments.model)
        check_engine(arguments.engine, arguments.threads, arguments.precision)
        with output_folder(folder, arguments.force):
            result = segment(
                volume,
                model,
                arguments.engine,
                stopwatch=stopwatch,
                threads=arguments.threads,
                corrections=corrections,
                known=known,
                low_memory=arguments.low_memory,
                precision=arguments.precision,
            )
            summary = summarize(volume, result, model)
            with staged(folder, arguments.force) as temporary:
                with stopwatch.stage("write"):
                    files = write_results(volume, result, temporary, crop_segmentation=arguments.crop_segmentation)
                    if arguments.steps:
                        files["steps"] = "preprocessing.png"
                        draw_steps(volume, result.prepared, temporary / files["steps"])
                finish_summary(summary, stopwatch, files, temporary)
    console.table(f"{volume.name}: {summary['result']}", result_rows(summary, folder))
    return {**summary, "files": {kind: str(folder / name) for kind, name in summary["files"].items()}}


def finish_summary(summary: dict, stopwatch: Stopwatch, files: dict[str, str], folder: Path) -> None:
    """Write ``summary.json`` with the seconds of each stage and the files that were written."""
    summary["seconds"] = {name: round(value, 3) for name, value in stopwatch.seconds.items()}
    summary["files"] = {**files, "summary": "summary.json"}
    write_json(summary, folder / "summary.json")


def result_rows(summary: dict, folder: Path) -> list[tuple[str, str]]:
    """Return the table that people read after a segmentation."""
    seconds = summary["seconds"]
    return [
        ("Model", f"{summary['model']['name']} {summary['model']['version']} (research use only)"),
        ("Engine", summary["engine"]),
        *_corrected_row(summary),
        ("Sides", f"left and right as the file's axes say ({summary['axes']}); check them"),
        *((f"Time: {name}", f"{value:.2f} s") for name, value in seconds.items()),
        ("Time: all", f"{sum(seconds.values()):.2f} s"),
        ("Files", f"{folder}{os.sep}: " + ", ".join(summary["files"].values())),
    ]


def _corrected_row(summary: dict) -> list[tuple[str, str]]:
    from .preprocessing.corrections import PARTS

    names = [PARTS[part] for part in summary.get("corrected", ())]
    return [("By hand", ", ".join(names))] if names else []


def score(truth: LaminaSet, laminae: LaminaSet) -> dict:
    """Compare found laminae with the truth, by position alone: found, missed, false and the mean error."""
    true, found = (np.array(list(group.positions().values())).reshape(-1, 3) for group in (truth, laminae))
    matching = match_points(true, found, MATCHING_GATE_MM)
    names = list(truth.positions())
    return {
        "found": len(matching.pairs),
        "missed": len(matching.unmatched_first),
        "false": len(matching.unmatched_second),
        "mean_error_mm": round(float(matching.distances.mean()), 3) if len(matching.pairs) else None,
        "missed_names": [names[index] for index in matching.unmatched_first],
    }


def demo(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina demo``: simulate a scan that the model never saw, segment it and score the result."""
    from .dataset import FIRST_TRAINING_SEED
    from .engines import check_engine
    from .models import load_model
    from .simulation import simulate_scan, style_named

    check_range("--seed", arguments.seed, 0, FIRST_TRAINING_SEED - 1)
    check_range("--spacing", arguments.spacing, 0.2, 3.0)
    style_named(arguments.style)
    model = load_model(arguments.model)
    check_engine(arguments.engine)
    folder = arguments.output
    with console.bar(), output_folder(folder, arguments.force), tempfile.TemporaryDirectory() as scratch:
        stopwatch = Stopwatch(console)
        with stopwatch.stage("simulate"):
            scan = simulate_scan(arguments.seed, arguments.spacing, arguments.style)
        # The scan takes the way of any other: written to a file, and read from it.
        with stopwatch.stage("write"):
            write_volume(scan.volume, Path(scratch) / "scan.nrrd")
        with stopwatch.stage("read"):
            volume = read_volume(Path(scratch) / "scan.nrrd")
        result = segment(volume, model, arguments.engine, stopwatch=stopwatch)
        summary = summarize(volume, result, model)
        summary.update(score(scan.truth, result.laminae))
        summary["seed"] = arguments.seed
        summary["data"] = "simulated scan"
        summary["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
        with staged(folder, arguments.force) as temporary:
            with stopwatch.stage("write"):
                shutil.copy(Path(scratch) / "scan.nrrd", temporary / "scan.nrrd")
                write_markups(scan.truth, temporary / "truth.mrk.json", name="Simulated truth")
                files = write_results(volume, result, temporary, scan.truth)
            files = {"scan": "scan.nrrd", "truth": "truth.mrk.json", **files}
            finish_summary(summary, stopwatch, files, temporary)
    error = summary["mean_error_mm"]
    rows = [
        ("Laminae found", f"{summary['found']} of {len(scan.truth.positions())} (within {MATCHING_GATE_MM:g} mm)"),
        ("Missed", f"{summary['missed']}" + (f" ({', '.join(summary['missed_names'])})" if summary["missed"] else "")),
        ("False", f"{summary['false']}"),
        ("Mean error", "none found" if error is None else f"{error:.2f} mm"),
        ("Names", "T1 to L5" if summary["named"] else "numbered pairs; see the notes"),
        *result_rows(summary, folder),
    ]
    # Models trained on simulated scans never saw this seed; of others it is not known.
    unseen = ", unseen in training" if model.card["training"].get("seeds") else ""
    console.table(f"Simulated scan, seed {arguments.seed}{unseen}", rows)
    return {**summary, "files": {kind: str(folder / name) for kind, name in summary["files"].items()}}
