"""How many times faster a folder of scans is done by several processes.

    python Testing/benchmarks/scaling.py [--scans 12] [--spacing 1.0] [--rounds 3] [--json FILE]

The same coarse simulated scans are done by `lamina segment FOLDER` as it is (one process, all cores), with --scheduler
local:1, and with local:2, in turn, in several rounds. The ratios are of the medians; above 1 is faster than the one
process. "whole" is the whole command with its start; "a scan" is what each further scan takes, from the first results
to the last.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.simulation import simulate_scan
from LaminaSegmentationLib.worker import child_environment

WAYS = {"one process": [], "local:1": ["--scheduler", "local:1"], "local:2": ["--scheduler", "local:2"]}
FIRST_SEED = 500


def seconds_of(folder, output, options):
    """Do a folder of scans; return the seconds of the whole command, and of each scan after the first result."""
    command = [sys.executable, "-m", "LaminaSegmentationLib", "segment", str(folder), "-o", str(output), "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=child_environment())
    ends = []
    for event in map(json.loads, process.stdout):
        if event["event"] == "case" and event["state"] == "done":
            ends.append(time.perf_counter())
    if process.wait() != 0 or len(ends) != len(list(folder.iterdir())):
        sys.exit(f"lamina segment {' '.join(options)} did not do all scans.")
    # The workers' first results come together: count from the last of them.
    first = 2 if "local:2" in options else 1
    return time.perf_counter() - begun, (ends[-1] - ends[first - 1]) / (len(ends) - first)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=12, help="how many, at least 4 (12)")
    parser.add_argument("--spacing", type=float, default=1.0, help="their voxel size in mm (1.0)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (3)")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args()
    if options.scans < 4 or options.rounds < 1:
        parser.error("give at least 4 scans and 1 round")
    measured = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "scans")
        folder.mkdir()
        for number in range(options.scans):
            scan = simulate_scan(FIRST_SEED + number, options.spacing)
            write_volume(scan.volume, folder / f"scan{number}.nrrd")
        for number in range(options.rounds):
            for way, more in WAYS.items():
                output = Path(scratch, f"{way.replace(':', '')}-{number}".replace(" ", "-"))
                measured[way].append(seconds_of(folder, output, more))
    medians = {
        way: [statistics.median(column) for column in zip(*rounds, strict=True)] for way, rounds in measured.items()
    }
    whole, each = medians["one process"]
    print(f"{options.scans} simulated scans at {options.spacing:g} mm, {os.cpu_count()} cores, {options.rounds} rounds")
    print(f"{'':14}{'whole, s':>10}{'ratio':>8}{'a scan, s':>12}{'ratio':>8}")
    for way, (all_of_it, one) in medians.items():
        print(f"{way:14}{all_of_it:10.1f}{whole / all_of_it:8.2f}{one:12.2f}{each / one:8.2f}")
    if options.json:
        content = {
            "scans": options.scans,
            "spacing_mm": options.spacing,
            "cores": os.cpu_count(),
            "rounds": {way: [{"whole_s": a, "scan_s": b} for a, b in rounds] for way, rounds in measured.items()},
            "ratio_whole": {way: whole / all_of_it for way, (all_of_it, _) in medians.items()},
            "ratio_scan": {way: each / one for way, (_, one) in medians.items()},
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
