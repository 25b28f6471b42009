"""What becomes of scans that show a part of the spine: none may get a wrong name without a word.

    python Testing/benchmarks/partial_scans.py --scans 50 [--style clinic] [--json FILE]

Simulated scans, cut between two vertebrae above and below at random, so that 8 to 16 levels are left; a truth inside
the cut counts. Reports found, missed and false laminae, and how many scans were named, which should be none.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE
from LaminaLabelingLib.matching import match_points
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.commands import MATCHING_GATE_MM
from LaminaSegmentationLib.dataset import FIRST_TRAINING_SEED
from LaminaSegmentationLib.engines import create_engine
from LaminaSegmentationLib.inference import segment
from LaminaSegmentationLib.models import load_model
from LaminaSegmentationLib.simulation import simulate_scan


def cut(scan, rng):
    """Return a part of a scan, and the true laminae in it."""
    volume, places = scan.volume, scan.truth.positions()
    rows = {name: volume.to_index(place[None])[0, 0] for name, place in places.items()}
    middle = np.array([np.mean([rows[name + side] for side in "LR" if name + side in rows]) for name in VERTEBRAE])
    count = int(rng.integers(8, 17))
    first = int(rng.integers(0, 18 - count))
    last = first + count - 1
    share = rng.uniform(0.3, 0.7, 2)
    low = 0 if first == 0 else int(middle[first] - share[0] * (middle[first] - middle[first - 1]))
    end = volume.array.shape[0]
    high = end if last == 16 else int(middle[last] + share[1] * (middle[last + 1] - middle[last]))
    matrix = volume.matrix.copy()
    matrix[:3, 3] += low * matrix[:3, 0]
    part = replace(volume, array=np.ascontiguousarray(volume.array[low:high]), matrix=matrix)
    return part, {name: place for name, place in places.items() if low <= rows[name] < high}


def measure(seed, spacing, style, model, engine):
    """Segment a part of one simulated scan and compare it with its truth."""
    volume, truth = cut(simulate_scan(seed, spacing, style), np.random.default_rng([seed, 3]))
    laminae = segment(volume, model, engine).laminae
    found = laminae.positions()
    places = np.array(list(found.values())).reshape(-1, 3)
    matching = match_points(np.array(list(truth.values())), places, MATCHING_GATE_MM)
    names, given = list(truth), list(found)
    return {
        "seed": seed,
        "true": len(truth),
        "found": len(matching.pairs),
        "false": len(matching.unmatched_second),
        "named": not laminae.is_provisional,
        "side_errors": sum(names[a][-1] != given[b][-1] for a, b in matching.pairs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=550_000)
    parser.add_argument("--spacing", type=float, default=0.5)
    parser.add_argument("--style", default="clinic")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args()
    if options.first_seed + options.scans > FIRST_TRAINING_SEED:
        parser.error(f"seeds from {FIRST_TRAINING_SEED} on are for training")
    model = load_model(DEFAULT_MODEL)
    engine = create_engine(model)
    results = []
    for number in range(options.scans):
        results.append(measure(options.first_seed + number, options.spacing, options.style, model, engine))
        sys.stderr.write(f"{results[-1]}\n")
    total = {key: sum(result[key] for result in results) for key in results[0] if key != "seed"}
    scans = len(results)
    for name, value in (
        ("simulated partial scans", f"{scans}, style {options.style}, seeds from {options.first_seed}"),
        ("laminae found within 5 mm", f"{total['found']} of {total['true']} ({total['found'] / total['true']:.4f})"),
        ("missed, false per scan", f"{(total['true'] - total['found']) / scans:.2f}, {total['false'] / scans:.2f}"),
        ("on the wrong side", f"{total['side_errors']}"),
        ("scans that were named", f"{total['named']}"),
    ):
        print(f"{name:<28} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
