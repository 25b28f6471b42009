"""Folders of scans for the tests of ``lamina segment FOLDER``, and what a run leaves."""

import csv
import json
import subprocess
import sys

from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.worker import child_environment

FILES = {
    "laminae.mrk.json",
    "laminae.csv",
    "laminae.seg.nrrd",
    "spinous_column.mrk.json",
    "overlay.png",
    "summary.json",
}
ABOUT_ALL = {"results.csv", "results.html", "summary.json"}


def make_good_scans(folder):
    """Write two coarse scans."""
    from LaminaSegmentationLib.simulation import simulate_scan

    write_volume(simulate_scan(2, 1.5).volume, folder / "scan2.nrrd")
    write_volume(simulate_scan(10, 2.0).volume, folder / "scan10.nrrd")
    return folder


def command(folder, output, *options):
    arguments = [sys.executable, "-m", "LaminaSegmentationLib", "segment", str(folder), "-o", str(output), *options]
    return subprocess.run(arguments, env=child_environment(), capture_output=True, text=True, encoding="utf-8")


def table(output):
    with open(output / "results.csv", encoding="utf-8", newline="") as stream:
        return {row["scan"]: row for row in csv.DictReader(stream)}


def summary(folder):
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def events(text, kind):
    return [event for event in map(json.loads, text.splitlines()) if event["event"] == kind]


def everything(output):
    return {str(path.relative_to(output)) for path in output.rglob("*")}
