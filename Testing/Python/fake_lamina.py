"""A stand-in for the `lamina` command in tests of what runs it: quick, and it misbehaves on request.

    fake_lamina.py MODE segment scan.nrrd -o result ...

Modes: ``good`` finds all laminae at known positions; ``decided`` says besides why it suggests some and left echoes out;
``unreliable`` says that its result is not; ``slow`` starts a child of its own, reports it and hangs;
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


REASONS = {
    "T7R": "a faint echo where its neighbors expect it",
    "L2L": "no echo; placed by its partner and its neighbors",
}
LEFT_OUT = {"deeper than the laminae around it": (0.9, 0.5, 0.3), "on the midline": (0.5, 0.5, 0.8)}


def place(image, fraction):
    """Return a place inside of the scan, from a fraction of each of its axes, RAS mm."""
    index = np.array(fraction) * (np.array(image.GetSize()) - 1)
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index.tolist())) * (-1, -1, 1)


def known_positions(image, suggested=("T7R",)):
    """Return the laminae on a grid inside of the scan: two columns from the top down, RAS mm."""
    laminae = []
    for index, name in enumerate(SLOTS):
        point = place(image, (0.5, 0.4 if name.endswith("L") else 0.6, 0.95 - 0.9 * (index // 2) / 16))
        source = Source.inferred if name in suggested else Source.detected
        laminae.append(Lamina(name, point, Review.unreviewed, source, 0.9))
    return LaminaSet(laminae=laminae)


def decisions(image):
    """Return what the summary says of what was decided."""
    rejected = [{"position_ras_mm": place(image, where).tolist(), "why": why} for why, where in LEFT_OUT.items()]
    return {"suggested": REASONS, "rejected_candidates": rejected, "reliable": True}


def segment(scan, folder, mode):
    image = SimpleITK.ReadImage(scan)
    emit("stage", stage="preprocess", text="Finding the spine")
    emit("progress", stage="preprocess", fraction=0.5)
    emit("warning", text="looks like a partial scan")
    emit("stage", stage="network", text="Finding the laminae")
    laminae = known_positions(image, REASONS) if mode == "decided" else known_positions(image)
    Path(folder).mkdir()
    write_markups(laminae, Path(folder) / "laminae.mrk.json")
    middle = [(np.array(left) + right) / 2 for left, right in laminae.complete_pairs().values()]
    write_curve(np.array(middle), Path(folder) / "spinous_column.mrk.json")
    said = {"decided": decisions(image), "unreliable": {"reliable": False}}
    emit("result", found=34, **said.get(mode, {}))


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
        segment(scan, folder, mode)


if __name__ == "__main__":
    main()
