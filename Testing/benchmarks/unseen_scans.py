"""How well the shipped model does on simulated scans that it never saw.

    python Testing/benchmarks/unseen_scans.py --scans 20

Each scan goes through the whole product, as with `lamina segment`. Reports found and missed laminae by region, false
ones, the localization error and how often the names were given and right. Figures on simulated scans only.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import REGIONS
from LaminaLabelingLib.matching import match_points
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.commands import MATCHING_GATE_MM
from LaminaSegmentationLib.dataset import FIRST_TRAINING_SEED
from LaminaSegmentationLib.engines import create_engine
from LaminaSegmentationLib.inference import Stopwatch, segment
from LaminaSegmentationLib.models import load_model
from LaminaSegmentationLib.simulation import simulate_scan


def measure(seed: int, spacing: float, style: str, model, engine) -> dict:
    """Segment one simulated scan and compare it with its truth."""
    scan = simulate_scan(seed, spacing, style)
    stopwatch = Stopwatch()
    result = segment(scan.volume, model, engine, stopwatch=stopwatch)
    true, found = scan.truth.positions(), result.laminae.positions()
    names, found_names = list(true), list(found)
    matching = match_points(
        np.array(list(true.values())), np.array(list(found.values())).reshape(-1, 3), MATCHING_GATE_MM
    )
    right = sum(names[a] == found_names[b] for a, b in matching.pairs)
    sides = sum(names[a][-1] != found_names[b][-1] for a, b in matching.pairs)
    return {
        "seed": seed,
        "true": len(names),
        "found": len(matching.pairs),
        "missed": [names[index] for index in matching.unmatched_first],
        "false": len(matching.unmatched_second),
        "errors_mm": [round(float(distance), 3) for distance in matching.distances],
        "named": not result.laminae.is_provisional,
        "names_right": right if not result.laminae.is_provisional else None,
        "side_errors": sides,
        "seconds": {name: round(value, 3) for name, value in stopwatch.seconds.items()},
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=500_000)
    parser.add_argument("--spacing", type=float, default=0.38)
    parser.add_argument("--style", default="clinic")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--output", type=Path, default=None, help="write the figures to this JSON file")
    options = parser.parse_args()
    if options.first_seed + options.scans > FIRST_TRAINING_SEED:
        parser.error(f"seeds from {FIRST_TRAINING_SEED} on are for training")
    model = load_model(options.model)
    engine = create_engine(model, options.engine)
    results = []
    for number in range(options.scans):
        results.append(measure(options.first_seed + number, options.spacing, options.style, model, engine))
        last = results[-1]
        sys.stderr.write(
            f"seed {last['seed']}: {last['found']} found, missed {last['missed']}, {last['false']} false, "
            f"named {last['named']}\n"
        )
    scans = len(results)
    errors = np.concatenate([result["errors_mm"] for result in results])
    found = np.array([result["found"] for result in results])
    true = np.array([result["true"] for result in results])
    false = np.array([result["false"] for result in results])
    named = [result for result in results if result["named"]]
    wrong = sum(result["found"] - result["names_right"] for result in named)
    rows = [
        (
            "simulated scans",
            f"{scans} at {options.spacing:g} mm, style {options.style}, seeds from {options.first_seed}",
        ),
        ("model, engine", f"{model.card['name']} {model.card['version']}, {engine.description}"),
        (
            "found within 5 mm",
            f"mean {found.mean():.2f} of {true.mean():.2f}, least {found.min()}, recall {found.sum() / true.sum():.3f}",
        ),
        ("missed per scan", f"mean {np.mean(true - found):.2f}"),
    ]
    for region, vertebrae in REGIONS.items():
        missed = sum(name[:-1] in vertebrae for result in results for name in result["missed"])
        rows.append((f"  missed {region}", f"{missed} of {scans * 2 * len(vertebrae)}"))
    rows += [
        ("false per scan", f"mean {false.mean():.2f}, most {false.max()}"),
        ("error of matched laminae", f"mean {errors.mean():.2f} mm, P95 {np.percentile(errors, 95):.2f} mm"),
        ("scans named T1 to L5", f"{len(named)} of {scans}, wrong names in them: {wrong}"),
        ("wrong sides", f"{sum(result['side_errors'] for result in results)}"),
        *(
            (f"seconds, {stage}", f"{np.median([result['seconds'][stage] for result in results]):.2f}")
            for stage in results[0]["seconds"]
        ),
    ]
    for name, value in rows:
        print(f"{name:<28} {value}")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
