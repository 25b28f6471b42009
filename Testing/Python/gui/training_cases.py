"""A case folder to train on: what LaminaLabeling leaves after four scans were labeled."""

import subprocess
import sys

from LaminaSegmentationLib.worker import child_environment

RATER = "anna"


def make_cases(folder, count=4, spacing=2.0):
    """Simulate scans into a folder, their true laminae as the labels of a rater; and one scan that is damaged."""
    options = ["simulate", "-n", str(count), "--seed", "1000100", "--spacing", str(spacing), "--force", "-o"]
    command = [sys.executable, "-m", "LaminaSegmentationLib", *options, str(folder)]
    subprocess.run(command, check=True, env=child_environment(), capture_output=True)
    for path in folder.glob("scan_*.mrk.json"):
        path.rename(path.with_name(path.name.replace(".mrk.json", f".{RATER}.mrk.json")))
    for path in (*folder.glob("*.simulation.json"), folder / "dataset.json"):
        path.unlink()
    (folder / "broken.nrrd").write_bytes(b"NRRD0004\nno header")
    (folder / f"broken.{RATER}.mrk.json").write_bytes((folder / f"scan_0000.{RATER}.mrk.json").read_bytes())
    return folder
