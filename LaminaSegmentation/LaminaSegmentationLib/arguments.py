"""The options of the `lamina` commands. Nothing heavy is imported: `lamina --help` must not wait."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import DEFAULT_MODEL, __version__
from .scale_arguments import add_scheduler, add_tune

_EPILOG = """examples:
  lamina demo -o demo                               see it work on a simulated scan
  lamina segment scan.nrrd -o results               find the laminae of a scan in patient axes
  lamina segment scan.mha --axes RIA -o results     the same for a scan in the tracker's axes
  lamina segment scans -o results                   the same for all scans of a folder
  lamina measure results                            the curves of that spine
  lamina report results --scan scan.nrrd -o report.html    the same as a page to print
  lamina simulate -n 70 --seed 1000000 --split 50,10,10 -o data
  lamina train --data data/dataset.json -o model    train a network on labelled scans
  lamina evaluate --data data/dataset.json -o scores    score a model on labeled scans

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

    def axes(to: argparse.ArgumentParser, more: str = "") -> None:
        to.add_argument(
            "--axes",
            default="auto",
            help="which way the file's i, j and k axes run in the patient: one letter of R L A P S I for each, such "
            "as RIA; auto reads the file's directions and refuses those that cannot be a patient's" + more,
        )

    def corrections(to: argparse.ArgumentParser) -> None:
        to.add_argument(
            "--corrections",
            type=Path,
            metavar="FILE",
            help="JSON file of what was put right by hand in the preprocessing of this scan: points column and "
            "top_layer, box region, in RAS mm, as lamina preprocess writes them",
        )

    def threads(target: argparse.ArgumentParser) -> None:
        target.add_argument("--threads", type=int, default=None, help="CPU threads of the network; all when left out")

    segment = command(
        "segment",
        "find the laminae in a scan or in a folder of scans",
        "Find the laminae in one reconstructed 3D ultrasound scan. Writes a point list that opens in 3D Slicer on the "
        "scan (laminae.mrk.json), a table, a segmentation, the spinous process column, a picture and a summary. Given "
        "a folder, the same for each scan in it, in a folder of its own, with results.html, results.csv and "
        "summary.json about all of them; scans that fail are listed there, the others are finished, and the exit code "
        "is 3 instead of 0 (with --json it is 0, and the result counts what failed).",
    )
    segment.add_argument(
        "scan", type=Path, help="the scan (.nrrd, .nhdr, .mha, .mhd, .nii or .nii.gz), or a folder of scans"
    )
    axes(segment, "; in a folder it takes the axes that LaminaLabeling keeps beside a scan")
    model(segment)
    corrections(segment)
    segment.add_argument("--steps", action="store_true", help="also draw each preprocessing step (preprocessing.png)")
    segment.add_argument(
        "--crop-segmentation",
        action="store_true",
        help="write laminae.seg.nrrd only as large as its segments, not on the whole grid of the scan",
    )
    threads(segment)
    segment.add_argument(
        "--low-memory",
        action="store_true",
        help="run the network part by part: about two thirds of the memory, a third more time, the same result",
    )
    segment.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="numbers the network computes with: bfloat16 takes half the time on processors that have it, and moves "
        "laminae by hundredths of a millimeter",
    )
    segment.add_argument(
        "--resume", action="store_true", help="of a folder: go on with an earlier run, leaving out what it has done"
    )
    segment.add_argument(
        "--vertebrae", default="12,5", metavar="T,L", help="how many thoracic and lumbar vertebrae the patient has"
    )
    segment.add_argument(
        "--anchor",
        metavar="NAME=R,A,S",
        help="a vertebra that is known and a point on it in RAS mm, such as T12=4.5,-20,110: the others are named from "
        "it, in a scan of a part of the spine as well",
    )
    segment.add_argument(
        "--absent",
        metavar="NAMES",
        help="vertebrae or laminae that the scan does not show or the patient does not have, such as T1,L5R",
    )
    add_scheduler(segment, "scans of a folder")
    output(segment, "folder for the results")

    preprocess = command(
        "preprocess",
        "show the preprocessing of a scan",
        "Prepare one scan for the network and stop there. Writes what each step found (preprocessing.json), a picture "
        "of the steps (preprocessing.png) and the volume that the network would see (prepared.nrrd). The parts column, "
        "top_layer and region of preprocessing.json can be put right and given to --corrections.",
    )
    preprocess.add_argument("scan", type=Path, help="the scan (.nrrd, .nhdr, .mha, .mhd, .nii or .nii.gz)")
    axes(preprocess)
    preprocess.add_argument(
        "--model", default=DEFAULT_MODEL, help="name of a shipped model, or the folder of one: each has its own steps"
    )
    corrections(preprocess)
    preprocess.add_argument("--no-picture", action="store_true", help="leave out preprocessing.png, which is quicker")
    output(preprocess, "folder for the results")

    _measure_arguments(
        command(
            "measure",
            "measure the curves of a spine from its laminae",
            "Print the curves of a spine with their intervals, its kyphosis and lordosis, and, with --compare, what "
            "has changed since an earlier scan. Laminae are measured in patient axes: those of a scan in a tracker's "
            "axes need --scan and --axes, unless lamina segment wrote them and its summary.json lies beside them.",
        )
    )
    report = command(
        "report",
        "a page to print with the curves of a spine",
        "Write a report of a spine's curves: a page that prints on one sheet, and the same figures as .csv and .json "
        "beside it. With the scan it shows the laminae on it.",
    )
    _measure_arguments(report)
    report.add_argument(
        "--case", default=None, metavar="CODE", help="what the report calls the case; when left out, the scan's file"
    )
    report.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the page to write, such as report.html"
    )
    report.add_argument("--force", action="store_true", help="replace the files of the report if they exist")

    demo = command(
        "demo",
        "see it work on a simulated scan",
        "Simulate a scan that the model was not trained on, find its laminae and compare them with the truth.",
    )
    demo.add_argument("--seed", type=int, default=2026, help="which simulated patient: 0 to 999999")
    demo.add_argument("--style", default="clinic", help="kind of simulated scan: clinic, varied, portable or clear")
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
    simulate.add_argument("--style", default="clinic", help="kind of scan: clinic, varied, portable or clear")
    simulate.add_argument("--spacing", type=float, default=0.38, help="voxel size in mm")
    simulate.add_argument(
        "--split", default=None, metavar="A,B,C", help="share of training, validation and test scans, such as 50,10,10"
    )
    output(simulate, "folder for the scans and dataset.json")

    split = command(
        "split",
        "split a list of labelled scans by patient",
        "Split the scans of a JSON file (a list of image, label and patient), or of a folder in which they were "
        "labeled, into training, validation and test scans. All scans of a patient, follow-ups too, come into the same "
        "list.",
    )
    scans = split.add_mutually_exclusive_group(required=True)
    scans.add_argument("--data", type=Path, help="the JSON file; a dataset.json is split anew")
    scans.add_argument(
        "--cases", type=Path, metavar="DIR", help="a folder of scans that were labeled in LaminaLabeling"
    )
    split.add_argument("--rater", default="", help="whose labels of --cases are taken: a rater's name, or consensus")
    split.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help='CSV table with the columns scan, patient and use: codes of patients with several scans, and "no" for '
        "scans of --cases to leave out",
    )
    split.add_argument("--quick", action="store_true", help="do not read the scans of --cases to check their labels")
    split.add_argument("--ratio", default="50,10,10", metavar="A,B,C", help="training, validation and test scans")
    split.add_argument("--seed", type=int, default=0, help="another seed gives another split")
    split.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the dataset.json to write")
    split.add_argument("--force", action="store_true", help="replace the file if it exists")

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
        "--preset", default="default", help="network: 8, 16 or 32 (feature maps; small, default, large), paper (64)"
    )
    train.add_argument("--loss", default="dice", help="dice, wbce, dice+wbce, centroid or lamina_dice")
    train.add_argument("--loss-weight", type=float, help="of the voxels of laminae in wbce and dice+wbce; else 50")
    train.add_argument(
        "--monitor",
        choices=("val_loss", "val_d3d", "val_missed", "val_false", "val_score"),
        default="val_loss",
        help="what chooses the best epoch: the validation loss, or on the validation scans the distance of the true "
        "laminae to the found ones, how many are missed, how many found ones are false, or missed and a quarter of the "
        "false",
    )
    train.add_argument(
        "--normalization", choices=("batch", "instance", "group"), default=None, help="else the preset's"
    )
    train.add_argument("--momentum", type=float, default=None, help="of batch normalization; else the preset's")
    train.add_argument("--output-bias", type=float, default=None, help="of the last layer at first; else the preset's")
    train.add_argument(
        "--recalibrate",
        type=int,
        default=0,
        metavar="N",
        help="estimate the statistics of batch normalization over N training scans before each validation",
    )
    train.add_argument("--batch-size", type=int, default=1, help="scans a step, on each device")
    train.add_argument("--devices", type=int, default=1, help="GPUs that share each step (backend jax or tensorflow)")
    train.add_argument("--steps", type=int, default=None, help="steps an epoch; one for each scan when left out")
    train.add_argument("--training-seed", type=int, default=0, help="initial weights, order and augmentation")
    train.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        default=None,
        help="of the hidden layers; when left out, mixed_bfloat16 on a GPU and float32 on a CPU. On CPUs with "
        "AVX-512 BF16 or AMX, mixed_bfloat16 is 2.5 times faster with the backend torch",
    )
    train.add_argument(
        "--start-from", default=None, metavar="MODEL", help="begin with the weights of a model, not with random ones"
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
    train.add_argument("--estimate", action="store_true", help="only say how long it would take on this computer")
    train.add_argument(
        "--control",
        type=Path,
        metavar="FILE",
        help="end in order once the word pause (only the state for --resume is kept) or stop (the model of the best "
        "epoch is written) is written into this file",
    )
    train.add_argument("--backend", default=None, help="Keras backend: tensorflow, jax or torch (the fastest on a CPU)")
    output(train, "folder for the model and the training log")
    calibrate = command(
        "calibrate",
        "teach a model's localization the shape of spines",
        "Learn from labeled scans that the model was not trained on how laminae lie to each other and what the model's "
        "candidates are worth, and write a copy of the model that uses it. A model without it goes by published "
        "proportions.",
    )
    scans = calibrate.add_mutually_exclusive_group(required=True)
    scans.add_argument("--data", type=Path, help="a dataset.json, as lamina simulate or lamina split writes it")
    scans.add_argument("--simulated", type=int, metavar="N", help="learn from N simulated scans made on the way")
    calibrate.add_argument(
        "--split", choices=("training", "validation", "test"), default="validation", help="which list of --data"
    )
    calibrate.add_argument("--seed", type=int, default=3_000_000, help="first seed of simulated scans")
    calibrate.add_argument("--style", default="clinic,varied", help="kinds of simulated scans, taken in turn")
    calibrate.add_argument(
        "--version", default="", help="version of the new model; else the old one's with .calibrated"
    )
    model(calibrate)
    threads(calibrate)
    calibrate.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the new model")

    evaluate = command(
        "evaluate",
        "score a model on labeled scans",
        "Find the laminae of labeled scans and compare them with the truth. Writes metrics.json, metrics.csv with a "
        "row for each scan, box plots, and a picture of each scan that marks what was missed and what is false.",
    )
    evaluate.add_argument("--data", type=Path, required=True, help="a dataset.json, as lamina simulate writes it")
    evaluate.add_argument(
        "--split", choices=("training", "validation", "test"), default="test", help="which of its lists is scored"
    )
    evaluate.add_argument(
        "--stage",
        choices=("network", "named"),
        default="network",
        help="what is judged: the components of the network's map, or the laminae that lamina segment makes of them, "
        "their sides and names included",
    )
    model(evaluate)
    threads(evaluate)
    evaluate.add_argument("--cache", type=Path, default=None, help="folder that keeps the prepared scans")
    output(evaluate, "folder for the scores and pictures")

    experiment = command(
        "experiment",
        "compare the losses as the paper does",
        "Train the paper's three networks and two rivals with several seeds, score them on test scans, test what is "
        "significant, and write Table I beside the paper's. The same command goes on where it was ended.",
    )
    _experiment_arguments(experiment)
    add_scheduler(experiment, "trainings")
    output(experiment, "folder of the experiment; one that is not finished is gone on with")

    tune = command(
        "tune",
        "search for the best options of a training",
        "Train many small networks with different options, give up the bad ones early, and name the command that "
        "trains with the best. The same command goes on where it was ended. Needs Optuna.",
    )
    add_tune(tune)
    output(tune, "folder of the search; one that is not finished is gone on with")
    return root


def _measure_arguments(to: argparse.ArgumentParser) -> None:
    """Add what ``lamina measure`` and ``lamina report`` read."""
    kinds = "a list of laminae (.mrk.json or .csv), or the folder of a scan that lamina segment or lamina demo wrote"
    axes = "as lamina segment was given them; auto takes those kept beside the scan or the laminae, else the file's own"
    to.add_argument("laminae", type=Path, help=kinds)
    to.add_argument("--scan", type=Path, help="the scan on which the laminae were placed")
    to.add_argument("--axes", default="auto", help=f"which way the scan's axes run in the patient, {axes}")
    to.add_argument(
        "--compare", type=Path, metavar="EARLIER", help=f"laminae of an earlier scan of the same patient: {kinds}"
    )
    to.add_argument("--compare-scan", type=Path, metavar="SCAN", help="the scan on which those were placed")
    to.add_argument("--compare-axes", default="auto", metavar="AXES", help="the axes of that scan")


def _experiment_arguments(to: argparse.ArgumentParser) -> None:
    """Add the options of ``lamina experiment``; what is None depends on --miniature, see experiment_command."""
    to.formatter_class = argparse.HelpFormatter
    to.add_argument("--miniature", action="store_true", help="a trial within minutes whose figures mean nothing")
    to.add_argument("--data", type=Path, help="a dataset.json with three lists of scans, instead of simulated ones")
    to.add_argument("--scans", type=int, help="simulated scans, all together (70)")
    to.add_argument("--split", metavar="A,B,C", help="share of training, validation and test scans (50,10,10)")
    to.add_argument("--seed", type=int, default=1_000_000, help="first seed of training and validation scans (1000000)")
    to.add_argument("--test-seed", type=int, default=700_000, help="first seed of the test scans (700000)")
    to.add_argument("--style", default="clinic", help="kind of simulated scan (clinic)")
    to.add_argument("--spacing", type=float, help="voxel size of simulated scans in mm (0.38)")
    to.add_argument("--arms", metavar="LIST", help="dice, wbce, centroid, lamina_dice, dice_by_d3d (all)")
    to.add_argument("--training-seeds", metavar="LIST", help="one training of each loss for each of them (0,1,2)")
    to.add_argument("--preset", help="network: paper, default, 32, 16 or 8 (paper)")
    to.add_argument("--width", type=int, help="maps of the first stage in place of the preset's (16; the paper: 64)")
    to.add_argument("--epochs", type=int, help="how often the training scans are gone through (200)")
    to.add_argument("--steps", type=int, help="steps an epoch (one for each training scan)")
    to.add_argument("--crop-rows", type=int, help="train on stretches of this many rows (whole grids)")
    to.add_argument("--learning-rate", type=float, help="step size of Adam (0.0001)")
    to.add_argument("--backend", help="Keras backend: tensorflow, jax or torch (the fastest on a CPU)")
    to.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        help="of the hidden layers (mixed_bfloat16 with an NVIDIA GPU, else float32)",
    )
    to.add_argument("--jobs", type=int, default=1, help="trainings at once, each in a process of its own (1)")
    to.add_argument("--workers", type=int, default=1, help="processes that prepare scans (1)")
    to.add_argument("--max-minutes", type=float, help="end this call after that time; the next one goes on")
    to.add_argument("--cache", type=Path, help="folder that keeps prepared scans for other commands, too")
    to.add_argument("--publish", metavar="ARM", help="write the best network of an arm as a model")
    to.add_argument("--name", default="experiment-unet", help="name of that model (experiment-unet)")
