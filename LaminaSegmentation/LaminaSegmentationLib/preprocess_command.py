"""``lamina preprocess``: what the preprocessing makes of a scan, in a form that a person can look at and put right."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from LaminaLabelingLib.volumes import Volume, read_volume, write_volume

from . import __version__
from .commands import output_folder, region_of, staged, write_json
from .console import Console
from .inference import Stopwatch, options_of
from .preprocessing import Prepared, prepare, read_corrections
from .preprocessing.corrections import PARTS, at_places
from .preprocessing.pipeline import FAINT_COLUMN

# Points to drag: straight lines between those of the column stay within the tolerance of it.
_POINTS_EVERY_MM = 25.0
_COLUMN_TOLERANCE_MM = 1.0
_TOP_LAYER_POINTS = (6, 20)
# Cells of the surface that is shown.
_SURFACE_MM = (6.0, 4.0)


def preprocess(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina preprocess``: each preprocessing step of one scan."""
    from .models import load_model

    folder = arguments.output
    with console.bar():
        stopwatch = Stopwatch(console)
        with stopwatch.stage("read"):
            volume = read_volume(arguments.scan, arguments.axes)
        corrections = read_corrections(arguments.corrections) if arguments.corrections else None
        model = load_model(arguments.model)
        with output_folder(folder, arguments.force):
            with stopwatch.stage("preprocess"):
                prepared = prepare(volume, options_of(model), console.fraction, corrections)
            for text in (*volume.warnings, *prepared.warnings):
                console.warning(text)
            summary = {**_about(volume, prepared, model), **steps_of(volume, prepared)}
            files = {"steps": "preprocessing.json", "prepared": "prepared.nrrd"}
            with staged(folder, arguments.force) as temporary:
                with stopwatch.stage("write"):
                    write_volume(prepared.grid, temporary / files["prepared"])
                    if not arguments.no_picture:
                        from .pictures import draw_steps

                        files["picture"] = "preprocessing.png"
                        draw_steps(volume, prepared, temporary / files["picture"])
                summary["seconds"] = {name: round(value, 3) for name, value in stopwatch.seconds.items()}
                write_json({**summary, "files": files}, temporary / files["steps"])
    console.table(f"{volume.name}: preprocessing", _rows(summary, folder, files))
    # The surface is long and in the file.
    told = {key: value for key, value in summary.items() if key != "surface"}
    return {**told, "files": {kind: str(folder / name) for kind, name in files.items()}}


def _about(volume: Volume, prepared: Prepared, model) -> dict:
    return {
        "software": f"LaminaUltrasound {__version__}",
        "scan": volume.name,
        "axes": volume.axes,
        "spacing_mm": [round(float(value), 5) for value in volume.spacing],
        "model": {"name": model.card["name"], "version": model.card.get("version")},
        "column_contrast": round(prepared.column.contrast, 4),
        "column_is_faint": prepared.column.contrast < FAINT_COLUMN,
        "lamina_depth_mm": [round(float(value), 1) for value in _lamina_depths(prepared)],
        "clearance_mm": prepared.top_layer.clearance,
        "corrected": list(prepared.corrected),
        "warnings": [*volume.warnings, *prepared.warnings],
        "intended_use": "research only",
    }


def steps_of(volume: Volume, prepared: Prepared) -> dict:
    """Return what the steps found as plain values, RAS mm.

    Returns
    -------
    dict
        ``column`` and ``top_layer``, points to drag; ``region``, see `commands.region_of`; and ``surface``, the cut of
        the top layer over the region: ``points`` of ``rows`` x ``columns``, from the top down, left to right.
    """
    return {
        "column": _column_points(volume, prepared).round(4).tolist(),
        "top_layer": _top_layer_points(volume, prepared).round(4).tolist(),
        "region": region_of(volume, prepared.box),
        "surface": _surface(volume, prepared),
    }


def _seen_rows(prepared: Prepared) -> tuple[int, int]:
    """Return the first and the last row of the survey with image data."""
    seen = np.flatnonzero(prepared.survey.seen.any(axis=1))
    return int(seen[0]), int(seen[-1])


def _lamina_depths(prepared: Prepared) -> tuple[float, float]:
    first, last = _seen_rows(prepared)
    depth = prepared.top_layer.depth[first : last + 1]
    return float(depth.min()), float(depth.max())


def _column_points(volume: Volume, prepared: Prepared) -> np.ndarray:
    """Return few points of the column, between which straight lines stay near it."""
    index = volume.to_index(prepared.column_points)
    length = (index[-1, 0] - index[0, 0]) * volume.spacing[0]
    chosen = set(np.linspace(0, len(index) - 1, max(2, round(length / _POINTS_EVERY_MM) + 1)).round().astype(int))
    while True:
        places = sorted(chosen)
        straight = np.interp(index[:, 0], index[places, 0], index[places, 1])
        beside = np.abs(straight - index[:, 1]) * volume.spacing[1]
        if beside.max() <= _COLUMN_TOLERANCE_MM:
            return prepared.column_points[places]
        chosen.add(int(beside.argmax()))


def _top_layer_points(volume: Volume, prepared: Prepared) -> np.ndarray:
    """Return points of the cut above the column, evenly spaced along the spine."""
    survey = prepared.survey
    first, last = (survey.rows[row] for row in _seen_rows(prepared))
    count = round((last - first) * volume.spacing[0] / _POINTS_EVERY_MM) + 1
    rows = np.linspace(first, last, int(np.clip(count, *_TOP_LAYER_POINTS)))
    columns = prepared.column.at(rows)
    depth = at_places(survey, prepared.top_layer.cut, rows, columns)
    return volume.to_world(np.stack([rows, columns, depth], axis=-1))


def _surface(volume: Volume, prepared: Prepared) -> dict:
    """Return the cut over the region of interest as a coarse grid of points."""
    survey, across = prepared.survey, prepared.box[1]
    first, last = (survey.rows[row] for row in _seen_rows(prepared))
    axes = []
    for (low, high), voxel, cell in zip(((first, last), (across.start, across.stop - 1)), volume.spacing, _SURFACE_MM):
        axes.append(np.linspace(low, high, max(2, round((high - low) * voxel / cell) + 1)))
    rows, columns = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    depth = at_places(survey, prepared.top_layer.cut, rows, columns)
    points = volume.to_world(np.stack([rows, columns, depth], axis=-1))
    return {"rows": len(axes[0]), "columns": len(axes[1]), "points": points.round(3).tolist()}


def _rows(summary: dict, folder: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    shallow, deep = summary["lamina_depth_mm"]
    length, width, depth = summary["region"]["size_mm"]
    by_hand = ", ".join(PARTS[part] for part in summary["corrected"]) or "nothing"
    return [
        ("Column", f"contrast {summary['column_contrast']:.2f}" + (", hardly visible" * summary["column_is_faint"])),
        ("Laminae expected", f"{shallow:.0f} to {deep:.0f} mm below the skin"),
        ("Region of interest", f"{length:.0f} x {width:.0f} x {depth:.0f} mm (length, width, depth)"),
        ("By hand", by_hand),
        ("Files", f"{folder}{os.sep}: " + ", ".join(files.values())),
    ]
