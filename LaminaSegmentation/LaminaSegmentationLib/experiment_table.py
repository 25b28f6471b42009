"""What an experiment found, in numbers: the summary of each arm, Table I beside the paper's own, and the tests."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .experiment import Arm, Folder, Run, Settings
from .significance import compare_pairs, holm

BETTER = {"dice": "higher", "d3d_total_vox": "lower", "delta": "lower", "missed": "lower"}
"""What the networks are compared by, and what is better of it."""

PAIRS = (
    ("centroid", "dice"),
    ("centroid", "wbce"),
    ("lamina_dice", "centroid"),
    ("lamina_dice", "dice"),
    ("dice_by_d3d", "centroid"),
    ("dice_by_d3d", "dice"),
)
"""Is the first better than the second? The first two are the paper's questions."""

LUMBAR = "missed_L1-L5"

COLUMNS = {
    "dice": ("D", 3),
    "d3d_total_vox": ("d3D total, voxels", 1),
    "delta": ("Delta", 1),
    "missed": ("missed", 1),
    LUMBAR: ("missed lumbar", 1),
    "false": ("false", 1),
    "recall_5mm": ("recall 5 mm", 3),
}
"""Columns of the table: a key of `metrics`, its heading, and the digits behind the point."""


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's Table I, with what its Sections IV and V say of the same network."""

    label: str
    arm: str
    dice: tuple[float, float]
    d3d: tuple[float, float]
    delta: tuple[float, float]
    missed: float | None
    minutes: float
    best_epoch: int

    def values(self) -> dict[str, tuple[float, float | None]]:
        """Return mean and standard deviation by column; the count of missed laminae has no deviation."""
        known = {"dice": self.dice, "d3d_total_vox": self.d3d, "delta": self.delta}
        return known if self.missed is None else {**known, "missed": (self.missed, None)}


PAPER = (
    PaperRow("D-U-net", "dice", (0.407, 0.050), (151.1, 63.7), (4.2, 3.6), 5.0, 253.0, 80),
    PaperRow("B-U-net", "wbce", (0.280, 0.100), (247.2, 93.6), (9.3, 5.1), None, 254.0, 176),
    PaperRow("C-U-net", "centroid", (0.412, 0.050), (118.1, 40.8), (3.4, 3.2), 3.0, 259.0, 95),
)


def common_seeds(folder: Folder, arms: Sequence[Arm], seeds: Sequence[int]) -> list[int]:
    """Return the training seeds that every arm has finished: only they compare like with like."""
    return [seed for seed in seeds if all(folder.finished(Run(arm.loss, seed), [arm.choice]) for arm in arms)]


def values_of(case: Mapping[str, Any]) -> dict[str, float]:
    """Return all figures of one scored scan; those of a region under ``key_region``. NaN where there is none."""
    values = {key: _number(value) for key, value in case["values"].items()}
    for region, figures in case["by_region"].items():
        values |= {f"{key}_{region}": _number(value) for key, value in figures.items()}
    return values


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def summarize_arm(arm: Arm, results: Sequence[Mapping[str, Any]]) -> dict:
    """Bring the results of one arm's trainings together.

    Parameters
    ----------
    arm : Arm
    results : sequence of mapping
        ``result.json`` of each seed.

    Returns
    -------
    dict
        ``cases``: each scan's figures, averaged over the seeds. ``keys``: of each figure mean and standard deviation
        (n - 1) over these, ``by_seed`` the mean over the scans of each seed, and ``seed_std`` the deviation (n - 1) of
        those. Undefined figures are left out of an average; None where nothing is left.
    """
    chosen = [result["choices"][arm.choice] for result in results]
    names = [case["name"] for case in chosen[0]["cases"]]
    tables = [[values_of(case) for case in scored["cases"]] for scored in chosen]
    keys: dict[str, dict] = {}
    cases: dict[str, dict] = {name: {} for name in names}
    for key in tables[0][0]:
        array = np.array([[values.get(key, math.nan) for values in table] for table in tables])
        scans, by_seed = [_mean(column) for column in array.T], [_mean(row) for row in array]
        keys[key] = {"mean": _mean(scans), "std": _std(scans), "by_seed": by_seed, "seed_std": _std(by_seed)}
        for name, value in zip(names, scans):
            cases[name][key] = value
    epochs = [scored["epoch"] for scored in chosen]
    return {
        "arm": arm.name,
        "label": arm.label,
        "loss": arm.loss,
        "choice": arm.choice,
        "scans": len(names),
        "seeds": [result["seed"] for result in results],
        "keys": keys,
        "best_epochs": epochs,
        "best_epoch": float(np.mean(epochs)),
        "training_seconds": [result["seconds"] for result in results],
        "training_minutes": float(np.mean([result["seconds"] for result in results]) / 60.0),
        "cases": cases,
    }


def _mean(values: Sequence[float]) -> float:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else math.nan


def _std(values: Sequence[float]) -> float:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.std(ddof=1)) if len(known) > 1 else math.nan


def compare_arms(summaries: Mapping[str, Mapping[str, Any]]) -> list[dict]:
    """Test the pairs of arms that are there, on every figure of `BETTER`, with Holm's adjustment over all of them."""
    rows = []
    for first, second in PAIRS:
        if first not in summaries or second not in summaries:
            continue
        one, other = summaries[first]["cases"], summaries[second]["cases"]
        for key, better in BETTER.items():
            comparison = compare_pairs([one[name][key] for name in one], [other[name][key] for name in one], better)
            asked = {"first": first, "second": second, "key": key, "of_the_paper": (first, second) in PAIRS[:2]}
            rows.append({**asked, **comparison.as_dict()})
    for test in ("p_t", "p_wilcoxon"):
        adjusted = holm({str(number): row[test] for number, row in enumerate(rows)})
        for number, row in enumerate(rows):
            row[f"{test}_holm"] = adjusted[str(number)]
    return rows


def summarize_experiment(folder: Folder) -> dict | None:
    """Summarize what is finished; None as long as no seed is finished for all arms."""
    from .experiment import ARMS

    content = folder.read()
    arms = [ARMS[name] for name in content["arms"]]
    seeds = common_seeds(folder, arms, content["training_seeds"])
    if not seeds:
        return None
    summaries = {arm.name: summarize_arm(arm, [folder.result(Run(arm.loss, seed)) for seed in seeds]) for arm in arms}
    settings = Settings(**content["settings"])
    return {
        "data": "simulated scans" if settings.simulated else f"scans of {settings.data['dataset']}",
        "miniature": settings.miniature,
        "complete": content["complete"],
        "unit": "Each value belongs to one test scan and is averaged over the training seeds first; mean and std "
        "(n - 1) are over the scans, seed_std is over the seeds' means.",
        "seeds": seeds,
        "arms": summaries,
        "comparisons": compare_arms(summaries),
    }


def table_csv(summary: Mapping[str, Any]) -> str:
    """Return Table I as CSV: the paper's rows, then ours."""
    heads = [f"{key}_{part}" for key in COLUMNS for part in ("mean", "std", "seed_std")]
    stream = io.StringIO()
    names = ["source", "network", "arm", "scans", "seeds", *heads, "training_minutes", "best_epoch"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in PAPER:
        cells = {"source": "paper", "network": row.label, "arm": row.arm, "scans": 10, "seeds": 1}
        for key, (mean, std) in row.values().items():
            cells |= {f"{key}_mean": mean, f"{key}_std": "" if std is None else std}
        writer.writerow({**cells, "training_minutes": row.minutes, "best_epoch": row.best_epoch})
    source = "miniature" if summary["miniature"] else "this experiment"
    for arm in summary["arms"].values():
        cells = {"source": source, "network": arm["label"], "arm": arm["arm"], "scans": arm["scans"]}
        cells["seeds"] = len(arm["seeds"])
        for key in COLUMNS:
            figures = arm["keys"].get(key, {})
            cells |= {f"{key}_{part}": _cell(figures.get(part)) for part in ("mean", "std", "seed_std")}
        cells |= {"training_minutes": round(arm["training_minutes"], 2), "best_epoch": round(arm["best_epoch"], 1)}
        writer.writerow(cells)
    return stream.getvalue()


def _cell(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else round(value, 6)


def plus_minus(mean: float | None, std: float | None, digits: int) -> str:
    """Write ``0.41 ± 0.05``, without what is not known."""
    if mean is None or not math.isfinite(mean):
        return "–"
    text = f"{mean:.{digits}f}"
    return text if std is None or not math.isfinite(std) else f"{text} ± {std:.{digits}f}"


def table_markdown(summary: Mapping[str, Any]) -> str:
    """Return Table I as Markdown: mean ± standard deviation over the test scans."""
    heads = ["network", "scans", *(head for head, _ in COLUMNS.values()), "training, min", "best epoch"]
    rows = []
    for row in PAPER:
        known = row.values()
        cells = [plus_minus(*known.get(key, (None, None)), digits) for key, (_, digits) in COLUMNS.items()]
        rows.append([f"{row.label}, paper", "10, patients", *cells, f"{row.minutes:.0f}", str(row.best_epoch)])
    kind = "simulated" if summary["data"] == "simulated scans" else "own"
    for arm in summary["arms"].values():
        figures = arm["keys"]
        cells = [
            plus_minus(figures.get(key, {}).get("mean"), figures.get(key, {}).get("std"), digits)
            for key, (_, digits) in COLUMNS.items()
        ]
        times = [f"{arm['training_minutes']:.1f}", f"{arm['best_epoch']:.0f}"]
        rows.append([arm["label"], f"{arm['scans']}, {kind}", *cells, *times])
    return markdown(heads, rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
