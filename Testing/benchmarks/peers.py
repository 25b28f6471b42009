"""How long a prediction takes beside the peers: nnU-Net v2, MONAI, Keras and ONNX Runtime.

    python Testing/benchmarks/peers.py [--peers keras nnunet] [--starts 3] [--rounds 2] [--json FILE]

Installs each peer from the package index into a virtual environment of its own (once; several gigabytes together), then
lets all predict on the network's grid of the same simulated scan, on the same cores, each in its own process and one
after the other, round after round; the processes are started anew several times. Where a peer runs our network with
our weights, its result has to be ours. Times in seconds, with the ratio to ours in the same round. Exits with 1 when a
peer fails or a result differs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# The package peers/ beside this file, which Python prefers to the file itself.
from peers import machine
from peers.catalog import ENVIRONMENTS, OURS, PEERS, Peer, choose
from peers.comparison import compare, find_laminae
from peers.environments import DEFAULT_FOLDER, REPOSITORY, make_environment
from peers.rounds import PeerError, Process, run_rounds
from peers.table import format_table, judge, summarize

SCRIPTS = Path(__file__).resolve().parent / "peers"
EVALUATION_SEEDS = 1_000_000
ONNX = "network.onnx"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", metavar="NAME", help=f"some of {', '.join(PEERS)}; all by default")
    parser.add_argument("--starts", type=int, default=3, help="how often all processes are started")
    parser.add_argument("--rounds", type=int, default=2, help="predictions of each process after its first")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="cores; all by default")
    parser.add_argument("--seed", type=int, default=100_000, help="of the simulated scan")
    parser.add_argument("--spacing", type=float, default=0.38, help="of the simulated scan, in mm")
    parser.add_argument("--model", default="simulated-unet", help="name or folder of our model")
    parser.add_argument("--environments", type=Path, default=DEFAULT_FOLDER, help="where the peers are installed")
    parser.add_argument("--pip", default="", help='further arguments of pip, such as "--extra-index-url ADDRESS"')
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args(arguments)
    if min(options.starts, options.rounds, options.threads) < 1:
        parser.error("--starts, --rounds and --threads must be 1 or more")
    if not 0 <= options.seed < EVALUATION_SEEDS:
        parser.error(f"--seed must lie below {EVALUATION_SEEDS}: models are trained on the others")
    try:
        options.peers = choose(options.peers)
    except ValueError as error:
        parser.error(str(error))
    return options


def install(peers: list[Peer], options: argparse.Namespace, failed: dict[str, str]) -> dict[str, str]:
    """Make the environments; return their interpreters, and take the peers that cannot be installed into ``failed``."""
    interpreters = {None: sys.executable}
    for peer in peers:
        for name in (peer.environment, "export" if peer.needs_onnx else None):
            if name in interpreters:
                continue
            _tell(f"environment {name}: {' '.join(ENVIRONMENTS[name])}")
            try:
                made = make_environment(options.environments / name, ENVIRONMENTS[name], shlex.split(options.pip))
                interpreters[name] = str(made)
            except RuntimeError as error:
                failed[peer.name] = f"not installed: {error}"
                break
    return interpreters


def library_paths() -> dict[str, str]:
    """Return the variable with which a peer's environment finds our network."""
    folders = [str(REPOSITORY / name) for name in ("LaminaLabeling", "LaminaSegmentation")]
    return {"PYTHONPATH": os.pathsep.join(folders)}


def write_onnx(python: str, model: str, path: Path) -> None:
    """Write our network as ONNX."""
    done = subprocess.run(
        [python, str(SCRIPTS / "export_onnx.py"), model, str(path)],
        env={**os.environ, **library_paths()},
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise PeerError(f"not exported: {lines[-1] if lines else done.returncode}")


def start(peer: Peer, python: str, scratch: Path, options: argparse.Namespace) -> Process:
    """Start the process of a peer."""
    command = [python, str(SCRIPTS / peer.script), str(scratch / "grid.npz"), "--threads", str(options.threads)]
    command += peer.arguments
    if peer.needs_onnx:
        command += ["--onnx", str(scratch / ONNX)]
    elif peer.same_weights:
        command += ["--model", options.model]
    _tell(f"loading {peer.name}")
    return Process(command, scratch / f"{peer.name}.log", library_paths() if peer.same_weights else None)


def run_once(
    peers: list[Peer], interpreters: dict, scratch: Path, options: argparse.Namespace, failed: dict[str, str]
) -> dict[str, dict]:
    """Start all processes and let them predict; return what each is and answered, and keep the results on disk."""
    with contextlib.ExitStack() as stack:
        processes = {}
        for peer in peers:
            try:
                processes[peer.name] = start(peer, interpreters[peer.environment], scratch, options)
            except PeerError as error:
                failed[peer.name] = str(error)
                continue
            stack.callback(processes[peer.name].close)
        answers = run_rounds(processes, options.rounds, failed, _tell, machine.touch_memory)
        for name in answers:
            if PEERS[name].same_weights:
                processes[name].ask(f"save {scratch / name}.npy")
        return {name: {**processes[name].facts, "answers": given} for name, given in answers.items()}


def measure(options: argparse.Namespace, scratch: Path) -> dict:
    """Install, run and compare; return everything that the JSON file holds."""
    from LaminaSegmentationLib.inference import options_of
    from LaminaSegmentationLib.models import load_model
    from LaminaSegmentationLib.preprocessing import prepare
    from LaminaSegmentationLib.simulation import simulate_scan

    failed: dict[str, str] = {}
    interpreters = install(options.peers, options, failed)
    bundle = load_model(options.model)
    prepared = prepare(simulate_scan(options.seed, options.spacing).volume, options_of(bundle))
    np.savez(scratch / "grid.npz", grid=prepared.grid.array, spacing=prepared.grid.spacing)
    for peer in options.peers:
        if peer.needs_onnx and peer.name not in failed:
            try:
                write_onnx(interpreters["export"], options.model, scratch / ONNX)
            except PeerError as error:
                failed[peer.name] = str(error)
    loads = [machine.load_average()]
    runs: dict[str, list[dict]] = {}
    for _ in range(options.starts):
        able = [peer for peer in options.peers if peer.name not in failed]
        for name, run in run_once(able, interpreters, scratch, options, failed).items():
            runs.setdefault(name, []).append(run)
        if OURS in failed:
            raise PeerError(f"ours: {failed[OURS]}")
    loads.append(machine.load_average())
    names = [name for name in runs if name not in failed]
    results = {name: np.load(scratch / f"{name}.npy") for name in names if PEERS[name].same_weights}
    laminae = {name: find_laminae(result, prepared, bundle) for name, result in results.items()}
    rows = []
    for name in names:
        facts = {key: value for key, value in runs[name][0].items() if key != "answers"}
        row = {"name": name, "title": PEERS[name].title, "equal": PEERS[name].equal, **facts}
        row |= summarize(runs[name], runs[OURS])
        if name in results:
            # The same network is the same work.
            row |= {key: runs[OURS][0][key] for key in ("parameters", "gflop")}
            row["difference"] = compare(results[name], results[OURS], laminae[name], laminae[OURS])
        rows.append(row)
    return {
        "machine": {**machine.describe(), "threads": options.threads, "load_average": loads},
        "scan": {"seed": options.seed, "spacing_mm": options.spacing, "grid": list(prepared.grid.array.shape)},
        "starts": options.starts,
        "rounds": options.rounds,
        "peers": rows,
        "failed": failed,
    }


def report(figures: dict, markdown: bool) -> bool:
    """Print the figures; return whether nothing failed and equal is what has to be."""
    good = not figures["failed"]
    print(format_table(figures["peers"], markdown))
    print()
    for row in figures["peers"]:
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        print(f"{row['title']}: {row['configuration']} ({versions}). Equal to ours: {row['equal']}.")
    print()
    for row in figures["peers"]:
        difference = row.get("difference")
        if difference and row["name"] != OURS:
            good = good and difference["equal"]
            print(
                f"{row['title']}: a voxel differs from ours by {difference['probability']:.1e} at most, "
                f"a lamina of {difference['laminae']} by {difference['mm']:.1e} mm."
            )
    for row in figures["peers"]:
        goal = PEERS[row["name"]].goal
        if goal is not None:
            print(judge(row["title"], row["ratio"], goal))
            print(judge(f"{row['title']}, a fresh process for one scan", row["fresh_ratio"], goal))
    for name, reason in figures["failed"].items():
        print(f"{PEERS[name].title} failed: {reason}")
    return good


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            figures = measure(options, Path(scratch))
        except PeerError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    good = report(figures, options.markdown)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if good else 1


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
