"""``lamina evaluate``: how well a model finds the laminae of labeled scans, in numbers and pictures."""

from __future__ import annotations

import argparse
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.anatomy import REGIONS
from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet, Source
from LaminaLabelingLib.volumes import Volume, read_volume

from . import __version__
from .commands import output_folder, staged, write_json
from .console import Console
from .dataset import Case, case_notes, entry_case
from .dataset_file import read_dataset, read_json
from .dataset_labels import read_truth
from .inference import options_of, segment
from .metrics import THRESHOLD, CaseScore, plain, score_segmentation, summarize
from .named_stage import CURVE_KEYS, NAME_KEYS, curve_figures, score_named, true_curve

if TYPE_CHECKING:
    from .engines import Engine
    from .models import ModelBundle

STAGES = {
    "network": "components of the network's map, thresholded at 0.5",
    "named": "laminae as 'lamina segment' writes them",
}
"""What is judged, as the paper does it and as a user gets it."""

_EXTENSION = re.compile(r"(\.seg)?\.(nii\.gz|[^.]+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Evaluated:
    """One scored scan.

    Attributes
    ----------
    case : dataset.Case
    probability : array (SI, LR, PA)
        The network's output.
    score : metrics.CaseScore
    detected, network : metrics.CaseScore or None
        With the stage ``named``, the scores without inferred points, and of the network's map alone.
    notes : tuple of str
    """

    case: Case
    probability: np.ndarray
    score: CaseScore
    detected: CaseScore | None = None
    network: CaseScore | None = None
    notes: tuple[str, ...] = ()


def evaluate(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina evaluate``: score a model on a list of a dataset."""
    from .engines import check_engine, create_engine
    from .figures import draw_boxplots, draw_overlay_comparison
    from .models import load_model

    entries = read_dataset(arguments.data, (arguments.split,))[arguments.split]
    if not entries:
        raise LaminaError(f"The list '{arguments.split}' in '{arguments.data.name}' is empty; choose another --split.")
    model = load_model(arguments.model)
    check_engine(arguments.engine, arguments.threads)
    data = describe_data(arguments.data, arguments.split, len(entries))
    for text in seen_in_training(entries, model):
        console.warning(text)
    names = unique_names([entry["image"] for entry in entries])
    with output_folder(arguments.output, arguments.force):
        engine = create_engine(model, arguments.engine, arguments.threads)
        with staged(arguments.output, arguments.force) as temporary:
            (temporary / "overlays").mkdir()
            cases, scores, detected, network = [], [], [], []
            scans = evaluated(entries, model, engine, arguments.stage, arguments.cache)
            # The tracked scans come first: zip must ask for one more than there are, which tells the end.
            for scan, entry, name in zip(console.track(scans, len(entries), "Evaluating scans"), entries, names):
                scan = replace(scan, score=replace(scan.score, name=name))
                overlay = f"overlays/{name}.png"
                title = f"{model.name}: {name}" + (" (simulated scan)" if data["simulated"] else "")
                draw_overlay_comparison(scan.case, scan.probability, temporary / overlay, title, score=scan.score)
                scores.append(scan.score)
                cases.append(_case_dict(scan, entry, overlay))
                if scan.detected is not None:
                    detected.append(scan.detected)
                    network.append(scan.network)
            result = {
                "software": f"LaminaUltrasound {__version__}",
                "model": {"name": model.name, "version": model.card.get("version")},
                "engine": engine.description,
                "data": data,
                "stage": arguments.stage,
                "judged": STAGES[arguments.stage],
                "threshold": THRESHOLD,
                "summary": summarize(scores),
                **({"summary_detected": summarize(detected)} if detected else {}),
                **({"summary_network": summarize(network)} if network else {}),
                "cases": cases,
                "intended_use": "research only",
            }
            write_json(result, temporary / "metrics.json")
            _write_text(scores_csv(scores), temporary / "metrics.csv")
            draw_boxplots({model.name: scores}, temporary / "boxplot.png", title=data["text"])
    console.table(f"{model.name} on {data['text']}", table_rows(result, arguments.output))
    files = {"metrics": "metrics.json", "table": "metrics.csv", "boxplot": "boxplot.png", "overlays": "overlays"}
    result["files"] = {kind: str(arguments.output / name) for kind, name in files.items()}
    return {key: value for key, value in result.items() if key != "cases"}


def describe_data(path: Path, split: str, count: int) -> dict[str, Any]:
    """Return what ``metrics.json`` says of the data; scans of `lamina simulate` are called simulated."""
    content = read_json(path)
    style = {key: content[key] for key in ("style", "style_version") if key in content}
    simulated = "style" in style
    text = f"{count} {'simulated ' if simulated else ''}scan{'s' * (count != 1)}"
    if simulated:
        text += f" (style {style['style']}" + (f", version {style['style_version']})" if len(style) == 2 else ")")
    return {
        "dataset": path.name,
        "split": split,
        "scans": count,
        "simulated": simulated,
        **style,
        "text": text,
    }


def seen_in_training(entries: Sequence[Mapping], model: ModelBundle) -> Iterator[str]:
    """Yield a warning when the model's card says that it was trained on some of the simulated scans."""
    training = model.card.get("training", {})
    if not training.get("seeds"):
        return
    first, last = training["seeds"]
    seen = []
    for entry in entries:
        simulated = re.fullmatch(r"simulated-(.+)-(\d+)", entry["patient"] or "")
        if simulated and simulated[1] == training.get("style") and first <= int(simulated[2]) <= last:
            seen.append(entry["image"].name)
    if seen:
        yield (
            f"The model was trained on {len(seen)} of these scans ('{seen[0]}' is the first): the figures say nothing "
            "about scans that it does not know."
        )


def unique_names(images: Sequence[Path]) -> list[str]:
    """Return the scans' file names without extension; one that comes again, in another folder, is numbered."""
    used: set[str] = set()
    names = []
    for image in images:
        stem = _EXTENSION.sub("", image.name) or image.name
        name, number = stem, 1
        while name.lower() in used:
            number += 1
            name = f"{stem}_{number}"
        used.add(name.lower())
        names.append(name)
    return names


def evaluated(
    entries: Sequence[Mapping], model: ModelBundle, engine: Engine, stage: str, cache: Path | None = None
) -> Iterator[Evaluated]:
    """Score the scans of some entries one after the other.

    Parameters
    ----------
    entries : sequence of mapping
        As `dataset_file.read_dataset` returns them.
    model : ModelBundle
        Its card says how scans are prepared.
    engine : Engine
    stage : str
        A key of `STAGES`. With ``named``, each scan takes the way of `inference.segment`.
    cache : Path, optional
        Folder for prepared scans, used by the stage ``network``.

    Yields
    ------
    Evaluated

    Raises
    ------
    LaminaError
        If a scan cannot be used; the message names its entry.
    """
    for entry in entries:
        if stage == "named":
            yield _named(entry, model, engine)
            continue
        case = entry_case(entry, options_of(model), cache)
        probability = engine.predict(case.grid)
        yield Evaluated(case, probability, score_segmentation(probability, case), notes=tuple(case_notes(case)))


def _named(entry: Mapping, model: ModelBundle, engine: Engine) -> Evaluated:
    try:
        volume = read_volume(entry["image"], entry.get("axes", "auto"))
        labels = read_truth(entry["label"], volume)
        truth = labels.positions()
        result = segment(volume, model, engine)
    except LaminaError as error:
        raise LaminaError(f"{entry['where']} ('{entry['image'].name}') cannot be used: {error}") from error
    grid = result.prepared.grid
    case = Case(
        entry["image"].name,
        grid.array.astype(np.float16),
        grid.to_index(np.array(list(truth.values()))),
        tuple(truth),
        grid.spacing,
    )
    network = score_segmentation(result.probability, case)
    # The grid runs along the patient's axes, whatever the axes of the file are.
    true_deg = true_curve(entry["image"], _in_patient_axes(labels, grid))

    def score(*sources: Source) -> CaseScore:
        points = result.laminae.positions(sources or None)
        seen = [lamina for name, lamina in result.laminae.items() if name in points]
        curve = curve_figures(_in_patient_axes(LaminaSet.of(seen, result.laminae.numbering), grid), true_deg)
        return score_named(
            {name: grid.to_index(point[None])[0] for name, point in points.items()}, case, network, curve
        )

    return Evaluated(
        case, result.probability, score(), score(Source.detected), network, (*case_notes(case), *result.warnings)
    )


def _in_patient_axes(laminae: LaminaSet, grid: Volume) -> LaminaSet:
    """Return laminae in RAS mm of the patient, up to a shift, by the grid's axes: inferior, right, anterior."""
    moved = []
    for lamina in laminae.values():
        if lamina.position is not None:
            inferior, right, anterior = grid.to_index(np.array([lamina.position]))[0] * grid.spacing
            moved.append(replace(lamina, position=(right, anterior, -inferior)))
    return laminae.with_laminae(moved)


def _case_dict(scan: Evaluated, entry: Mapping, overlay: str) -> dict[str, Any]:
    content = scan.score.as_dict() | {"image": entry["image"].name, "overlay": overlay, "notes": list(scan.notes)}
    if scan.detected is not None:
        content["detected"] = {key: scan.detected.as_dict()[key] for key in ("values", "by_region")}
    return content


def scores_csv(scores: Sequence[CaseScore]) -> str:
    """Return the scores as CSV: a row a scan, figures of a region under ``key_region``, empty where undefined."""
    rows = []
    for score in scores:
        row: dict[str, Any] = {"name": score.name, **score.values}
        for region, figures in score.by_region.items():
            row |= {f"{key}_{region}": value for key, value in figures.items()}
        cells = {key: "" if not isinstance(v, str) and plain(v) is None else v for key, v in row.items()}
        cells |= {key: plain(value) for key, value in cells.items() if isinstance(value, float)}
        rows.append(cells | {"missed_names": " ".join(score.missed_names)})
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _write_text(text: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table_rows(result: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Return what the console shows: mean ± standard deviation over the scans."""
    summary = result["summary"]

    def told(key: str, digits: int, unit: str = "", figures: Mapping[str, Any] = summary) -> str:
        mean, std = figures[key]["mean"], figures[key]["std"]
        if mean is None:
            return "not defined"
        spread = "" if std is None else f" ± {std:.{digits}f}"
        return f"{mean:.{digits}f}{spread}{unit}"

    def gates(name: str) -> str:
        return ", ".join(f"{told(f'{name}_{gate}mm', 2)} ({gate} mm)" for gate in (3, 5, 10))

    def counted(key: str, figures: Mapping[str, Any] = summary) -> str:
        means = {region: values["mean"] for region, values in figures[key]["by_region"].items()}
        parts = [f"{region} {means[region]:.2f}" for region in REGIONS if means.get(region) is not None]
        return f"{told(key, 2, '', figures)} a scan" + (f": {', '.join(parts)}" if parts else "")

    rows = [
        ("Model, engine", f"{result['model']['name']} {result['model']['version']}, {result['engine']}"),
        ("Judged", result["judged"]),
        ("Dice D", told("dice", 3)),
        ("d3D, total", f"{told('d3d_total_vox', 1, ' voxels')}, {told('d3d_total_mm', 1, ' mm')}"),
        ("d3D, mean", f"{told('d3d_mean_vox', 2, ' voxels')}, {told('d3d_mean_mm', 2, ' mm')}"),
        ("Delta", told("delta", 1)),
        ("Recall", gates("recall")),
        ("Precision", gates("precision")),
        ("F1", gates("f1")),
        ("Missed (5 mm)", counted("missed")),
        ("False (5 mm)", counted("false")),
        ("Error of found laminae", f"mean {told('mean_error_mm', 2, ' mm')}, P95 {told('p95_error_mm', 2, ' mm')}"),
        ("Complete pairs", told("complete_pairs", 1)),
        ("Error of a level's tilt", told("tilt_error_deg", 1, " degrees")),
        ("Error of the largest curve", told("curve_angle_error_deg", 1, " degrees")),
    ]
    if result["stage"] == "named":
        named, errors, _sides = (summary[key] for key in NAME_KEYS)
        angle, signed, within = (summary[key] for key in CURVE_KEYS)
        before = result["summary_network"]
        rows += [
            ("Scans named T1 to L5", f"{round(named['mean'] * named['n'])} of {named['n']}"),
            ("Naming errors in these", told("naming_errors", 2) if errors["n"] else "none named"),
            ("Side errors", told("side_errors", 2)),
            ("Main curve (Cobb)", _curve_told(angle, signed, within)),
            ("Before, on the network's map", f"missed {counted('missed', before)}; false {counted('false', before)}"),
        ]
    return [*rows, ("Files", f"{folder}/: metrics.json, metrics.csv, boxplot.png, overlays"), *_caution(result)]


def _curve_told(angle: Mapping, signed: Mapping, within: Mapping) -> str:
    if angle["mean"] is None:
        return "not defined"
    inside = "" if within["mean"] is None else f"; true one in the 95 % interval: {100 * within['mean']:.0f} %"
    return f"off by {angle['mean']:.2f} degrees on average, bias {signed['mean']:+.2f}{inside}"


def _caution(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    if result["data"]["simulated"]:
        return [("Note", "These scans are simulated; scans of patients will give other figures.")]
    return []
