"""What numbers of fewer bits do to the network: time, size, recall and error, each beside float32 in the same round.

    python Testing/benchmarks/precision.py [--scans 20] [--calibration 12] [--rounds 5] [--json FILE]

float32 is what `lamina segment` takes. bfloat16 and float16 are computed in where the processor can, from the same file
(OpenVINO's INFERENCE_PRECISION_HINT); "float16 file" stores the weights in half the bits and computes in float32; int8
is quantized after training by NNCF on simulated scans that are not among those measured, in an environment of its own.
Scans are simulated; found means within 5 mm. All go through the whole product, the network alone differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

# The package peers/ beside this file.
from peers import machine
from peers.comparison import find_laminae
from peers.environments import DEFAULT_FOLDER, make_environment

SCRIPTS = Path(__file__).resolve().parent / "peers"
NNCF = ("nncf>=2.14", "openvino>=2024.6")
FIRST_SEED, CALIBRATION_SEED = 520_000, 540_000
GATE_MM = 5.0

VARIANTS = {
    "float32": ("float32", "f32"),
    "bfloat16": ("float32", "bf16"),
    "float16": ("float32", "f16"),
    "float16 file": ("float16", "f32"),
    "int8": ("int8", "f32"),
}
"""Name of a variant: its file, and what it computes in."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=20, help="simulated scans that are measured")
    parser.add_argument("--calibration", type=int, default=12, help="simulated scans that int8 is calibrated with")
    parser.add_argument("--rounds", type=int, default=5, help="of timing")
    parser.add_argument("--spacing", type=float, default=0.6, help="of the scans, in mm")
    parser.add_argument("--style", default="clinic")
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--model", default="simulated-unet", help="name or folder of a model")
    parser.add_argument("--environments", type=Path, default=DEFAULT_FOLDER, help="where NNCF is installed")
    parser.add_argument("--pip", default="", help='further arguments of pip, such as "--extra-index-url ADDRESS"')
    parser.add_argument("--no-int8", action="store_true", help="leave int8 out, which needs NNCF")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args(arguments)
    if min(options.scans, options.calibration, options.rounds, options.threads) < 1:
        parser.error("--scans, --calibration, --rounds and --threads must be 1 or more")
    return options


def prepared(seed: int, spacing: float, style: str, model: str):
    """Return a simulated scan, prepared, and its true laminae."""
    from LaminaSegmentationLib.inference import options_of
    from LaminaSegmentationLib.models import load_model
    from LaminaSegmentationLib.preprocessing import prepare
    from LaminaSegmentationLib.simulation import simulate_scan

    scan = simulate_scan(seed, spacing, style)
    return prepare(scan.volume, options_of(load_model(model))), scan.truth.positions()


def prepare_scans(options: argparse.Namespace) -> tuple[list, list]:
    """Return the scans that are measured and those that int8 is calibrated with."""
    work = partial(prepared, spacing=options.spacing, style=options.style, model=options.model)
    with ProcessPoolExecutor(machine.cores()) as pool:
        measured = list(pool.map(work, range(FIRST_SEED, FIRST_SEED + options.scans)))
        last = CALIBRATION_SEED + options.calibration
        calibration = [] if options.no_int8 else list(pool.map(work, range(CALIBRATION_SEED, last)))
    return measured, calibration


def write_files(graph: Path, calibration: list, scratch: Path, options: argparse.Namespace) -> dict[str, Path]:
    """Write the network with weights of fewer bits; return the graph by the name of its file."""
    import openvino

    files = {"float32": graph, "float16": scratch / "float16.xml"}
    openvino.save_model(openvino.Core().read_model(graph), files["float16"], compress_to_fp16=True)
    if not options.no_int8:
        python = make_environment(options.environments / "nncf", NNCF, shlex.split(options.pip))
        np.save(scratch / "grids.npy", np.stack([case.grid.array for case, _ in calibration]))
        files["int8"] = scratch / "int8.xml"
        command = [python, SCRIPTS / "quantize.py", graph, scratch / "grids.npy", files["int8"]]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise SystemExit(f"NNCF failed: {done.stderr.strip().splitlines()[-1]}")
    return files


class Variant:
    """The network with certain numbers, compiled.

    Parameters
    ----------
    graph : Path
    hint : str
        What OpenVINO is to compute in.
    threads : int
    """

    def __init__(self, graph: Path, hint: str, threads: int) -> None:
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        core = openvino.Core()
        self._model = core.compile_model(graph, "CPU", {**settings, "INFERENCE_NUM_THREADS": threads})
        self.computes_in = self._model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.megabytes = (graph.stat().st_size + graph.with_suffix(".bin").stat().st_size) / 1e6

    def predict(self, grid: np.ndarray) -> np.ndarray:
        """Return the probability of a grid."""
        batch = np.ascontiguousarray(grid, np.float32)[None, ..., None]
        return np.array(self._model([batch])[0], np.float32).reshape(grid.shape)

    def seconds(self, grid: np.ndarray) -> float:
        """Return the time of one prediction."""
        begun = time.perf_counter()
        self.predict(grid)
        return time.perf_counter() - begun


def judged(scans: list, maps: list[np.ndarray], plain: list[dict], bundle) -> tuple[dict, list[dict]]:
    """Compare laminae with the truth and with those of float32; return figures, and the laminae of each scan."""
    from LaminaLabelingLib.matching import match_points

    missed = false = true = named = 0
    errors, moved, unlike, places = [], [], 0, []
    for number, ((case, truth), probability) in enumerate(zip(scans, maps)):
        found = find_laminae(probability, case, bundle)
        places.append(found)
        points = np.array(list(found.values())).reshape(-1, 3)
        matching = match_points(np.array(list(truth.values())), points, GATE_MM)
        missed, false = missed + len(matching.unmatched_first), false + len(matching.unmatched_second)
        true += len(truth)
        errors += list(matching.distances)
        names, found_names = list(truth), list(found)
        named += all(names[a] == found_names[b] for a, b in matching.pairs) and len(matching.pairs) > 0
        base = plain[number] if plain else found
        moved += [float(np.linalg.norm(found[name] - base[name])) for name in found if name in base]
        unlike += len(found.keys() ^ base.keys())
    figures = {
        "recall": 1 - missed / true,
        "missed_per_scan": missed / len(scans),
        "false_per_scan": false / len(scans),
        "error_mm": float(np.mean(errors)),
        "error_p95_mm": float(np.percentile(errors, 95)),
        "scans_named_right": named,
        "moved_median_mm": float(np.median(moved)),
        "moved_most_mm": float(np.max(moved)),
        "only_in_one": unlike,
    }
    return figures, places


def measure(options: argparse.Namespace, scratch: Path) -> dict:
    """Return everything that the JSON file holds."""
    from LaminaSegmentationLib.models import load_model

    bundle = load_model(options.model)
    sys.stderr.write("simulating and preparing\n")
    scans, calibration = prepare_scans(options)
    files = write_files(bundle.graph, calibration, scratch, options)
    variants = {
        name: Variant(files[file], hint, options.threads) for name, (file, hint) in VARIANTS.items() if file in files
    }
    loads = [machine.load_average()]
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(options.rounds + 1):
        for name, variant in variants.items():
            seconds = variant.seconds(scans[0][0].grid.array)
            if number:  # the first allocates memory
                times[name].append(seconds)
    loads.append(machine.load_average())
    rows, plain, plain_maps = [], [], []
    for name, variant in variants.items():
        sys.stderr.write(f"{name}\n")
        maps = [variant.predict(case.grid.array) for case, _ in scans]
        figures, places = judged(scans, maps, plain, bundle)
        plain, plain_maps = plain or places, plain_maps or maps
        rows.append(
            {
                "name": name,
                "computes_in": variant.computes_in,
                "megabytes": variant.megabytes,
                "seconds": statistics.median(times[name]),
                "times_faster": statistics.median(a / b for a, b in zip(times["float32"], times[name])),
                "probability_differs": max(float(np.abs(a - b).max()) for a, b in zip(maps, plain_maps)),
                **figures,
            }
        )
    return {
        "machine": {**machine.describe(), "threads": options.threads, "load_average": loads},
        "model": {"name": bundle.name, "version": bundle.card.get("version")},
        "scans": {"count": options.scans, "spacing_mm": options.spacing, "style": options.style, "seed": FIRST_SEED},
        "variants": rows,
    }


_COLUMNS = (
    ("", "name", "{}"),
    ("computes in", "computes_in", "{}"),
    ("file, MB", "megabytes", "{:.1f}"),
    ("network, s", "seconds", "{:.2f}"),
    ("times faster", "times_faster", "{:.2f}"),
    ("recall", "recall", "{:.4f}"),
    ("missed a scan", "missed_per_scan", "{:.2f}"),
    ("false a scan", "false_per_scan", "{:.2f}"),
    ("error, mm", "error_mm", "{:.3f}"),
    ("P95, mm", "error_p95_mm", "{:.2f}"),
    ("named right", "scans_named_right", "{}"),
    ("moved, median mm", "moved_median_mm", "{:.4f}"),
    ("most, mm", "moved_most_mm", "{:.3f}"),
    ("only in one", "only_in_one", "{}"),
    ("probability", "probability_differs", "{:.1e}"),
)


def report(figures: dict, markdown: bool) -> None:
    """Print the table."""
    scans, model = figures["scans"], figures["model"]
    print(
        f"{scans['count']} simulated scans, style {scans['style']}, {scans['spacing_mm']:g} mm; model {model['name']} "
        f'{model["version"]}. "moved", "only in one" and "probability" are differences from float32.'
    )
    cells = [[heading for heading, _, _ in _COLUMNS]]
    cells += [[pattern.format(row[key]) for _, key, pattern in _COLUMNS] for row in figures["variants"]]
    if markdown:
        cells.insert(1, ["---", "---", *["---:"] * (len(_COLUMNS) - 2)])
        print("\n".join(f"| {' | '.join(line)} |" for line in cells))
        return
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    for line in cells:
        print("  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    options = parse(arguments)
    # Workers simulate side by side: NumPy's own threads would only get into each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(options, Path(scratch))
    report(figures, options.markdown)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
