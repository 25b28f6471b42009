"""One click on a scan: time by stage and peak memory, beside what this machine could do at best.

    python Testing/benchmarks/one_click.py [--rounds 5] [--shape 1150 290 145] [--threads N] [--json FILE]

A simulated scan of the given number of voxels is written as Slicer would write it; then `lamina segment` runs on it, as
it is and with --low-memory, each time in a fresh process, in several rounds. In every round this machine's rate of
float32 matrix products (the better of NumPy's and OpenVINO's) and its memory bandwidth are measured as well: the one
bounds the network, the other the preprocessing, which has to read every voxel once. All ratios are taken within a
round; the table holds their medians. Exits with 1 when not all laminae are found alike.

A virtual machine may have to fetch memory that was free for a while from its host, which can take longer than the
network. So memory is used by another process just before each command; --cold leaves that out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# The package peers/ beside this file.
from peers import machine
from peers.work import Copying, Multiplication, best_seconds, network_gflop

STAGES = ("read", "preprocess", "network", "localization", "write")
WAYS = {"one click": (), "--low-memory": ("--low-memory",)}
EVALUATION_SEEDS = 1_000_000
SAME_MM = 1e-4

GOALS = {
    "network": ("The network's rate, of the best matrix product's", 0.60, "at least"),
    "network_repeated": ("The same, the network run again in the same process", 0.60, "at least"),
    "rest": ("Everything but the network, of the whole", 1 / 3, "at most"),
    "peak_mb": ("Peak memory in MB", 1500, "at most"),
    "low_memory_peak_mb": ("Peak memory with --low-memory in MB", 800, "at most"),
    "low_memory_difference": ("Largest difference of a voxel's probability with --low-memory", 1e-6, "at most"),
    "first_voxel_s": ("Seconds before the scan is read", 2.0, "at most"),
    "help_s": ("Seconds of lamina --help", 0.5, "at most"),
}
"""Key of the figure: what it is, the goal, and its direction."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", type=int, nargs=3, default=(1150, 290, 145), metavar="N", help="voxels of the scan")
    parser.add_argument("--seed", type=int, default=100_000, help="of the simulated scan")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="of the network; all cores by default")
    parser.add_argument("--model", default="simulated-unet", help="name or folder of a model")
    parser.add_argument("--uncompressed", action="store_true", help="write the scan as plain numbers")
    parser.add_argument("--cold", action="store_true", help="do not touch memory before each command")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.threads) < 1:
        parser.error("--rounds and --threads must be 1 or more")
    if min(options.shape) < 64:
        parser.error("--shape needs 64 voxels or more along each axis")
    if not 0 <= options.seed < EVALUATION_SEEDS:
        parser.error(f"--seed must lie below {EVALUATION_SEEDS}: models are trained on the others")
    return options


def make_scan(seed: int, shape: tuple[int, int, int]):
    """Return a simulated scan with just so many voxels, and its true laminae."""
    from LaminaSegmentationLib.simulation import simulate_scan

    scan = simulate_scan(seed, 0.38)
    source = np.array(scan.volume.shape)
    # The nearest voxel: what was never scanned is 0 and stays so.
    at = [((np.arange(size) + 0.5) * length / size).astype(int) for size, length in zip(shape, source)]
    ratio = source / np.array(shape)
    change = np.diag([*ratio, 1.0])
    change[:3, 3] = 0.5 * ratio - 0.5
    array = np.ascontiguousarray(scan.volume.array[np.ix_(*at)])
    return scan.volume.with_array(array, scan.volume.matrix @ change), scan.truth


def write_scan(volume, path: Path, compressed: bool) -> None:
    """Write a scan as NRRD."""
    from LaminaLabelingLib.volumes import write_volume

    write_volume(volume, path)
    if not compressed:
        import SimpleITK as sitk

        sitk.WriteImage(sitk.ReadImage(str(path)), str(path), useCompression=False)


# A small process starts the command: Linux counts the memory of the process that forked into the peak of the new one.
_LAUNCHER = """
import subprocess, sys
code = subprocess.call(sys.argv[1:], stderr=subprocess.DEVNULL)
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
except ImportError:
    peak = 0
sys.stderr.write(str(peak))
sys.exit(code)
"""


def run(command: list[str]) -> dict:
    """Run a command of ours; return its wall time, peak memory, seconds before the scan is read, and its result."""
    from LaminaSegmentationLib.worker import child_environment

    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", _LAUNCHER, sys.executable, "-m", "LaminaSegmentationLib", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as process:
        first, told = None, []
        for line in process.stdout:
            if first is None and '"stage": "read"' in line:
                first = time.perf_counter() - begun
            told.append(line)
        seconds = time.perf_counter() - begun
        peak = process.stderr.read()
    if process.returncode != 0:
        raise SystemExit(f"lamina {command[0]} ended with code {process.returncode}: {told[-1] if told else peak}")
    result = json.loads(told[-1]) if command[-1] == "--json" else {}
    return {"wall_s": seconds, "peak_mb": float(peak) or None, "first_voxel_s": first, "result": result}


class Network:
    """The network in this process, run again and again, whole and by parts."""

    def __init__(self, volume, options: argparse.Namespace) -> None:
        from LaminaSegmentationLib.engines import create_engine
        from LaminaSegmentationLib.inference import options_of
        from LaminaSegmentationLib.models import load_model
        from LaminaSegmentationLib.preprocessing import prepare

        bundle = load_model(options.model)
        self.grid = prepare(volume, options_of(bundle)).grid.array
        self._engine = create_engine(bundle, "openvino", options.threads)
        self._by_parts = create_engine(bundle, "openvino", options.threads, low_memory=True)
        self.engine, self.gflop = self._engine.description, network_gflop(bundle.graph)
        self.width = bundle.card["architecture"]["width"]

    def seconds(self) -> float:
        """Return the least time of some predictions."""
        return best_seconds(lambda: self._engine.predict(self.grid), 3)

    def difference(self) -> float:
        """Return the largest difference of a voxel's probability between the whole grid and its parts."""
        return float(np.abs(self._engine.predict(self.grid) - self._by_parts.predict(self.grid)).max())


def measure(options: argparse.Namespace, scratch: Path) -> dict:
    """Return everything that the JSON file holds."""
    from LaminaLabelingLib.files import read_markups
    from LaminaSegmentationLib.commands import score

    volume, truth = make_scan(options.seed, tuple(options.shape))
    write_scan(volume, scratch / "scan.nrrd", not options.uncompressed)
    network = Network(volume, options)
    products, copying = Multiplication(threads=options.threads), Copying()
    loads = [machine.load_average()]
    rounds = []
    for number in range(options.rounds):
        sys.stderr.write(f"\rround {number + 1} of {options.rounds}")
        sys.stderr.flush()
        taken = {"products": products.rates(), "copying": copying.rate(), "network_s": network.seconds()}
        taken["help_s"] = run(["--help"])["wall_s"]
        for name, more in WAYS.items():
            command = ["segment", str(scratch / "scan.nrrd"), "-o", str(scratch / name), "--engine", "openvino"]
            command += ["--threads", str(options.threads), "--force", *more, "--json"]
            fetched = None if options.cold else [machine.touch_memory(), machine.touch_memory()]
            taken[name] = {**run(command), "memory_touched_s_per_gb": fetched}
        rounds.append(taken)
    sys.stderr.write("\n")
    loads.append(machine.load_average())
    found = {name: read_markups(scratch / name / "laminae.mrk.json") for name in WAYS}
    scan = {
        "seed": options.seed,
        "shape": list(volume.shape),
        "spacing_mm": [round(float(size), 4) for size in volume.spacing],
        "megabytes": volume.array.nbytes / 1e6,
        "file_megabytes": (scratch / "scan.nrrd").stat().st_size / 1e6,
        **score(truth, found["one click"]),
    }
    figures = summarize(rounds, network.gflop, scan["megabytes"])
    figures["goals"]["low_memory_difference"] = network.difference()
    return {
        "machine": {**machine.describe(), "threads": options.threads, "load_average": loads},
        "engine": network.engine,
        "width": network.width,
        "scan": scan,
        **figures,
        "laminae_apart_mm": _apart(*(found[name].positions() for name in WAYS)),
    }


def summarize(rounds: list[dict], gflop: float, megabytes: float) -> dict:
    """Return medians over the rounds, ratios taken within each."""

    def median(figure) -> float | None:
        values = [figure(one) for one in rounds]
        return None if None in values else statistics.median(values)

    def seconds(one: dict, way: str = "one click") -> dict:
        return one[way]["result"]["seconds"]

    def share(one: dict, stage: str) -> float:
        return seconds(one)[stage] / sum(seconds(one).values())

    def product(one: dict) -> float:
        return max(one["products"].values())

    stages = {
        way: {stage: median(lambda one, way=way, stage=stage: seconds(one, way)[stage]) for stage in STAGES}
        for way in WAYS
    }
    for way, row in stages.items():
        row["sum"] = median(lambda one, way=way: sum(seconds(one, way).values()))
        row["whole command"] = median(lambda one, way=way: one[way]["wall_s"])
        row["peak_mb"] = median(lambda one, way=way: one[way]["peak_mb"])
    best = {name: median(lambda one, name=name: one["products"][name]) for name in rounds[0]["products"]}
    return {
        "gflop": gflop,
        "stages": stages,
        "shares": {stage: median(lambda one, stage=stage: share(one, stage)) for stage in STAGES},
        "product_gflop_per_s": best,
        "copying_gb_per_s": median(lambda one: one["copying"]),
        "network_repeated_s": median(lambda one: one["network_s"]),
        "preprocess_over_reading_once": median(
            lambda one: seconds(one)["preprocess"] / (megabytes / 1000 / one["copying"])
        ),
        "goals": {
            "network": median(lambda one: gflop / seconds(one)["network"] / product(one)),
            "network_repeated": median(lambda one: gflop / one["network_s"] / product(one)),
            "rest": median(lambda one: 1 - share(one, "network")),
            "peak_mb": stages["one click"]["peak_mb"],
            "low_memory_peak_mb": stages["--low-memory"]["peak_mb"],
            "first_voxel_s": median(lambda one: one["one click"]["first_voxel_s"]),
            "help_s": median(lambda one: one["help_s"]),
        },
        "rounds": rounds,
    }


def _apart(one: dict, other: dict) -> float:
    """Return the largest distance between laminae of the same name, infinite if the names differ."""
    if one.keys() != other.keys():
        return float("inf")
    return max((float(np.linalg.norm(np.subtract(one[name], other[name]))) for name in one), default=0.0)


def report(figures: dict, markdown: bool) -> bool:
    """Print the figures; return whether both ways found the same laminae."""
    scan, stages = figures["scan"], figures["stages"]
    print(
        f"Simulated scan of {' x '.join(map(str, scan['shape']))} voxels ({scan['megabytes']:.0f} MB, as a file "
        f"{scan['file_megabytes']:.0f} MB); {scan['found']} laminae found, {scan['missed']} missed, "
        f"{scan['false']} false. {figures['engine']}, width {figures['width']}."
    )
    print()
    rows = [["", *STAGES, "sum, s", "whole command, s", "peak, MB"]]
    for way, row in stages.items():
        peak = "-" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        rows.append([way, *(f"{row[name]:.2f}" for name in (*STAGES, "sum", "whole command")), peak])
    rows.append(["share", *(f"{figures['shares'][stage]:.0%}" for stage in STAGES), "", "", ""])
    _print_table(rows, markdown)
    print()
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in figures["product_gflop_per_s"].items())
    repeated = figures["network_repeated_s"]
    print(f"Matrix products, GFLOP/s: {rates}. The network: {figures['gflop']:.0f} GFLOP in {repeated:.2f} s when run")
    print(f"again, {figures['gflop'] / repeated:.0f} GFLOP/s. Memory, read and written: ", end="")
    print(f"{figures['copying_gb_per_s']:.0f} GB/s;")
    print(
        f"the preprocessing takes {figures['preprocess_over_reading_once']:.0f} times as long as reading the scan once."
    )
    print()
    for key, (words, goal, direction) in GOALS.items():
        print(judge(words, figures["goals"][key], goal, direction))
    apart = figures["laminae_apart_mm"]
    print(f"Laminae of both ways are {apart:.1e} mm apart at most.")
    return apart <= SAME_MM


def judge(words: str, value: float | None, goal: float, direction: str) -> str:
    """Return a sentence that says whether a goal is met, and if not by how much it is missed."""
    if value is None:
        return f"{words}: not known on this system."
    met = value >= goal if direction == "at least" else value <= goal
    ending = "met" if met else f"missed by {abs(value / goal - 1):.0%}"
    return f"{words}: {value:.3g}, the goal of {direction} {goal:.3g} is {ending}."


def _print_table(rows: list[list[str]], markdown: bool) -> None:
    if markdown:
        rows = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        print("  ".join(cells).rstrip())


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(options, Path(scratch))
    same = report(figures, options.markdown)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
