"""A stand-in for the `lamina` command in tests of what runs it: quick, and it misbehaves on request.

    fake_lamina.py MODE segment scan.nrrd -o result ...

Modes: ``good`` finds all laminae at known positions; ``slow`` starts a child of its own, reports it and hangs;
``refuse`` reports a user's error; ``crash`` ends in a traceback; ``killed`` is killed; ``silent`` ends well without a
result; ``chatty`` prints things that are no events.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.files import write_curve, write_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source


def emit(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def known_positions(image):
    """Return the laminae on a grid inside of the scan: two columns from the top down, RAS mm."""
    size = np.array(image.GetSize())
    laminae = []
    for index, name in enumerate(SLOTS):
        fraction = np.array([0.5, 0.4 if name.endswith("L") else 0.6, 0.95 - 0.9 * (index // 2) / 16])
        lps = np.array(image.TransformContinuousIndexToPhysicalPoint((fraction * (size - 1)).tolist()))
        source = Source.inferred if name == "T7R" else Source.detected
        laminae.append(Lamina(name, lps * (-1, -1, 1), Review.unreviewed, source, 0.9))
    return LaminaSet(laminae=laminae)


def segment(scan, folder):
    image = SimpleITK.ReadImage(scan)
    emit("stage", stage="preprocess", text="Finding the spine")
    emit("progress", stage="preprocess", fraction=0.5)
    emit("warning", text="looks like a partial scan")
    emit("stage", stage="network", text="Finding the laminae")
    laminae = known_positions(image)
    Path(folder).mkdir()
    write_markups(laminae, Path(folder) / "laminae.mrk.json")
    middle = [(np.array(left) + right) / 2 for left, right in laminae.complete_pairs().values()]
    write_curve(np.array(middle), Path(folder) / "spinous_column.mrk.json")
    emit("result", found=34)


def main():
    mode, command, scan, _, folder, *_ = sys.argv[1:]
    assert command == "segment", command
    emit("stage", stage="read", text="Reading the scan")
    if mode == "slow":
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        emit("grandchild", pid=grandchild.pid)
        time.sleep(600)
    if mode == "refuse":
        emit("error", text="The orientation of the volume cannot be trusted: give --axes, for example RIA.")
        sys.exit(2)
    if mode == "crash":
        raise RuntimeError("the network is upside down")
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "chatty":
        sys.stdout.write("Loading plugins...\n[1, 2]\n\n")
    if mode != "silent":
        segment(scan, folder)


if __name__ == "__main__":
    main()
