"""The command line: ``lamina`` or ``python -m LaminaSegmentationLib``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError

from . import DEFAULT_MODEL, __version__
from .console import Console, set_up_logging

_EPILOG = """examples:
  lamina demo -o demo                               see it work on a simulated scan
  lamina segment scan.nrrd -o results               find the laminae of a scan in patient axes
  lamina segment scan.mha --axes RIA -o results     the same for a scan in the tracker's axes
  lamina simulate -n 70 --seed 1000000 --split 50,10,10 -o data
  lamina train --data data/dataset.json -o model    train a network on labelled scans

Results are for research, not for diagnosis. Help on one command: lamina segment --help
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="lamina",
        description="Find the laminae of the spine in 3D ultrasound scans.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"lamina {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, details: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=summary, description=details, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        added.add_argument("--json", action="store_true", help="print one JSON object a line, for other programs")
        added.add_argument("--verbose", action="store_true", help="print the log to the terminal")
        return added

    def output(to: argparse.ArgumentParser, what: str) -> None:
        to.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help=what)
        to.add_argument("--force", action="store_true", help="write into a folder that is not empty, replacing files")

    def model(to: argparse.ArgumentParser) -> None:
        to.add_argument("--model", default=DEFAULT_MODEL, help="name of a shipped model, or the folder of one")
        to.add_argument(
            "--engine",
            default="auto",
            help="what runs the network: auto, openvino or tensorflow; auto takes TensorFlow where there is an NVIDIA "
            "GPU, else OpenVINO",
        )

    segment = command(
        "segment",
        "find the laminae in a scan",
        "Find the laminae in one reconstructed 3D ultrasound scan. Writes a point list that opens in 3D Slicer on the "
        "scan (laminae.mrk.json), a table, a segmentation, the spinous process column, a picture and a summary.",
    )
    segment.add_argument("scan", type=Path, help="the scan: .nrrd, .nhdr, .mha, .mhd, .nii or .nii.gz")
    segment.add_argument(
        "--axes",
        default="auto",
        help="which way the file's i, j and k axes run in the patient: one letter of R L A P S I for each, such as "
        "RIA; auto reads the file's directions and refuses those that cannot be a patient's",
    )
    model(segment)
    segment.add_argument("--steps", action="store_true", help="also draw each preprocessing step (preprocessing.png)")
    segment.add_argument("--threads", type=int, default=None, help="CPU threads of the network; all when left out")
    output(segment, "folder for the results")

    demo = command(
        "demo",
        "see it work on a simulated scan",
        "Simulate a scan that the model was not trained on, find its laminae and compare them with the truth.",
    )
    demo.add_argument("--seed", type=int, default=2026, help="which simulated patient: 0 to 999999")
    demo.add_argument("--style", default="clinic", help="kind of simulated scan: clinic or clear")
    demo.add_argument("--spacing", type=float, default=0.38, help="voxel size in mm")
    model(demo)
    output(demo, "folder for the scan and the results")

    simulate = command(
        "simulate",
        "make simulated scans with true laminae",
        "Simulate freehand ultrasound scans of scoliotic spines, with the true position of every lamina.",
    )
    simulate.add_argument("-n", "--number", type=int, default=1, help="how many scans")
    simulate.add_argument(
        "--seed", type=int, required=True, help="seed of the first scan; use 1000000 or more for training"
    )
    simulate.add_argument("--style", default="clinic", help="kind of scan: clinic or clear")
    simulate.add_argument("--spacing", type=float, default=0.38, help="voxel size in mm")
    simulate.add_argument(
        "--split", default=None, metavar="A,B,C", help="share of training, validation and test scans, such as 50,10,10"
    )
    output(simulate, "folder for the scans and dataset.json")

    train = command(
        "train",
        "train a network on labelled scans",
        "Train the 3D U-net on labelled or simulated scans and write a model that 'lamina segment --model DIR' uses.",
    )
    source = train.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="a dataset.json with the lists training and validation")
    source.add_argument("--simulated", type=int, metavar="N", help="train on N simulated scans made on the way")
    train.add_argument("--seed", type=int, default=1_000_000, help="first seed of simulated scans, 1000000 or more")
    train.add_argument("--validation", type=int, default=8, help="simulated scans that choose the best epoch")
    train.add_argument("--style", default="clinic", help="kind of simulated scan")
    train.add_argument("--name", default="custom", help="name of the new model")
    train.add_argument(
        "--preset", default="default", help="network: small (8 maps), default (16), large (32), paper (64)"
    )
    train.add_argument("--loss", default="dice", help="dice, wbce or dice+wbce")
    train.add_argument("--steps", type=int, default=None, help="steps an epoch; one for each scan when left out")
    train.add_argument("--training-seed", type=int, default=0, help="initial weights, order and augmentation")
    train.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        default=None,
        help="of the hidden layers; when left out, bfloat16 where the processor is fast at it",
    )
    train.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    train.add_argument("--epochs", type=int, default=200, help="how often the training scans are gone through")
    train.add_argument("--learning-rate", type=float, default=1e-4, help="step size of Adam")
    train.add_argument("--schedule", default="constant", help="learning rate over time: constant or cosine")
    train.add_argument("--crop-rows", type=int, default=None, help="train on stretches of this many rows (CPU)")
    train.add_argument("--augment", action="store_true", help="shift, gain, noise and drop-out beside the flips")
    train.add_argument("--max-minutes", type=float, default=None, help="stop after this time, keeping the best epoch")
    train.add_argument("--cache", type=Path, default=None, help="folder that keeps the prepared scans for the next run")
    train.add_argument("--workers", type=int, default=1, help="processes that prepare scans")
    train.add_argument("--backend", default=None, help="Keras backend: tensorflow, jax or torch (the fastest on a CPU)")
    output(train, "folder for the model and the training log")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 for what the user can put right, 1 for a defect, or 130 when interrupted."""
    options = parser().parse_args(arguments)
    # What ends the process from outside ends it in order, like Ctrl-C: nothing half-written stays.
    before = signal.signal(signal.SIGTERM, _interrupt)
    console = Console(options.json)
    try:
        # Only now: `lamina --help` must not wait for NumPy and its like.
        from . import commands

        set_up_logging(options.verbose)
        if options.command == "train":
            from .train_command import train

            result = train(options, console)
        else:
            actions = {"segment": commands.run_segment, "demo": commands.demo, "simulate": commands.simulate}
            result = actions[options.command](options, console)
    except LaminaError as error:
        console.error(str(error))
        return 2
    except KeyboardInterrupt:
        console.error("Interrupted; nothing half-written was kept.")
        return 130
    except MemoryError:
        console.error("There is not enough memory; close other programs, or resample the scan to larger voxels.")
        return 2
    except OSError as error:
        console.error(f"A file could not be read or written: {error}.")
        return 2
    except Exception as error:
        # A defect of ours: one sentence for the user, the traceback for whoever mends it.
        logging.getLogger(__name__).info("Traceback of the unexpected error:", exc_info=True)
        console.error(
            f"An unexpected error ended the command ({type(error).__name__}: {error}); please report it with what "
            "--verbose prints."
        )
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    console.emit("result", **result)
    return 0


def _interrupt(number, frame) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
