"""A stand-in for the `lamina` command that only pretends to train: the other commands are the real ones.

fake_training.py train --estimate ...   says at once that it would take two and a half hours
fake_training.py train ...              tells of one epoch, then hangs until it is told or killed
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROW = {"epoch": 1, "steps": 2, "loss": 0.9, "val_loss": 0.95, "val_missed": 30.0, "val_false": 2.0, "val_d3d": 400.0}


def emit(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def main():
    arguments = sys.argv[1:]
    if arguments[0] != "train":
        sys.exit(subprocess.call([sys.executable, "-m", "LaminaSegmentationLib", *arguments]))
    if "--estimate" in arguments:
        emit("result", seconds=9000.0, epoch_seconds=30.0, step_seconds=1.0, gpu="", hardware="CPU (2 cores), no GPU")
        return
    emit("stage", stage="training", text="Training the network")
    folder = Path(arguments[arguments.index("-o") + 1], "training")
    folder.mkdir(exist_ok=True)
    (folder / "log.csv").write_text(",".join(ROW) + "\n" + ",".join(map(str, ROW.values())) + "\n")
    emit("epoch", **ROW, epochs=300, best_epoch=1)
    time.sleep(600)


if __name__ == "__main__":
    main()
