"""`lamina experiment --miniature`: killed in the middle, gone on with to the end, and what it has written by then."""

import csv
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from LaminaSegmentationLib.__main__ import main

ARMS = ["dice", "wbce", "centroid", "lamina_dice", "dice_by_d3d"]
RUNS = [f"{loss}-{seed}" for seed in (0, 1) for loss in ARMS[:4]]
GIVEN = ["experiment", "--miniature", "--json"]


def start(folder, *more):
    """Start the command in a process of its own, with events on its standard output."""
    command = [sys.executable, "-m", "LaminaSegmentationLib", *GIVEN, "-o", str(folder), *more]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell that starts the tests in the background makes their children ignore Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def events_of(process):
    return (json.loads(line) for line in process.stdout)


def children_of(process):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder whose command was killed while it trained its second network, and what was finished by then."""
    folder = tmp_path_factory.mktemp("experiment") / "out"
    process = start(folder)
    for event in events_of(process):
        if event["event"] == "progress" and event.get("run") == "wbce-0":
            break
    workers = children_of(process)
    process.kill()
    process.communicate()
    until = time.monotonic() + 20.0
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    kept = {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/result.json")}
    return folder, kept, workers


@pytest.fixture(scope="module")
def finished(killed):
    """The same folder after the same command, and the events of that."""
    folder, _, _ = killed
    process = start(folder)
    events = list(events_of(process))
    assert process.wait() == 0, (events[-1:], process.stderr.read())
    return folder, events


def results(folder):
    return {name: json.loads((folder / "runs" / name / "result.json").read_text()) for name in RUNS}


def table(folder):
    with open(folder / "table1.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_kill_leaves_no_process_and_keeps_what_is_finished(killed):
    folder, kept, workers = killed
    assert workers and not any(map(alive, workers))
    assert list(kept) == ["dice-0"]
    assert not json.loads((folder / "experiment.json").read_text())["complete"]


def test_the_same_command_goes_on(killed, finished):
    folder, events = finished
    _, kept, _ = killed
    assert {event["run"] for event in events if event.get("stage") == "training" and "run" in event} == set(RUNS[1:])
    assert (folder / "runs" / "dice-0" / "result.json").read_bytes() == kept["dice-0"]
    assert not [event for event in events if event["event"] == "stage" and "Simulating" in event["text"]]
    last = events[-1]
    assert (last["event"], last["complete"], last["trainings"], last["of"]) == ("result", True, 8, 8)
    progress = [event for event in events if event["event"] == "progress"]
    assert progress[-1]["fraction"] == 1.0
    assert all(event["seconds_left"] >= 0 for event in progress)


def test_everything_is_written(finished):
    folder, events = finished
    expected = {"experiment.json", "table1.csv", "table1.md", "stats.json", "boxplot.png", "curves.png", "report.md"}
    assert expected <= {path.name for path in folder.iterdir()}
    for name in ["boxplot.png", "curves.png", *(f"overlays/{arm}.png" for arm in ARMS)]:
        assert (folder / name).read_bytes().startswith(b"\x89PNG"), name
    assert all(Path(path).exists() for path in events[-1]["files"].values())
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]


def test_it_says_everywhere_that_its_figures_mean_nothing(finished):
    folder, events = finished
    assert [event for event in events if event["event"] == "warning" and "mean nothing" in event["text"]]
    assert "its figures mean nothing" in (folder / "report.md").read_text()
    content = json.loads((folder / "experiment.json").read_text())
    assert "mean nothing" in content["note"]
    assert {row["source"] for row in table(folder)} == {"paper", "miniature"}
    assert json.loads((folder / "stats.json").read_text())["miniature"]


def test_the_record_says_what_ran_on_what(finished):
    content = json.loads((finished[0] / "experiment.json").read_text())
    assert content["complete"] and content["arms"] == ARMS and content["training_seeds"] == [0, 1]
    assert list(content["runs"]) == RUNS
    data = content["settings"]["data"]
    assert data["seed"] >= 1_000_000 > data["test_seed"] + data["scans"][2]
    for name, run in content["runs"].items():
        assert run["hardware"] and run["backend"] and run["seconds"] > 0
        assert set(run["choices"]) == ({"val_loss", "val_d3d"} if run["loss"] == "dice" else {"val_loss"}), name
        assert run["choices"]["val_loss"]["epoch"] in (1, 2)


def test_the_epochs_are_those_with_the_lowest_loss_and_d3d(finished):
    for run in results(finished[0]).values():
        for choice, scored in run["choices"].items():
            values = [row[choice] for row in run["history"]]
            assert scored["value"] == min(values)
            assert scored["epoch"] == 1 + values.index(min(values))


@pytest.mark.parametrize("arm", ARMS)
def test_the_table_follows_from_the_single_scans(finished, arm):
    folder, _ = finished
    (row,) = [row for row in table(folder) if row["arm"] == arm and row["source"] == "miniature"]
    loss, choice = ("dice", "val_d3d") if arm == "dice_by_d3d" else (arm, "val_loss")
    runs = [results(folder)[f"{loss}-{seed}"] for seed in (0, 1)]
    cases = [run["choices"][choice]["cases"] for run in runs]
    for key in ("dice", "d3d_total_vox", "delta", "missed", "false"):
        scans = [statistics.mean(seed["values"][key] for seed in pair) for pair in zip(*cases)]
        assert float(row[f"{key}_mean"]) == pytest.approx(statistics.mean(scans), abs=1e-6), key
        assert float(row[f"{key}_std"]) == pytest.approx(statistics.stdev(scans), abs=1e-6), key
        seeds = [statistics.mean(case["values"][key] for case in run) for run in cases]
        assert float(row[f"{key}_seed_std"]) == pytest.approx(statistics.stdev(seeds), abs=1e-6), key
    assert float(row["best_epoch"]) == statistics.mean(run["choices"][choice]["epoch"] for run in runs)


def test_the_tests_follow_from_the_single_scans(finished):
    stats = json.loads((finished[0] / "stats.json").read_text())
    assert len(stats["comparisons"]) == 6 * 4
    for row in stats["comparisons"]:
        first, second = (stats["arms"][row[name]]["cases"] for name in ("first", "second"))
        differences = [first[name][row["key"]] - second[name][row["key"]] for name in first]
        assert row["n"] == len(differences) == 3
        assert row["difference"] == pytest.approx(statistics.mean(differences))
        if row["p_t"] is not None:
            sign = 1 if row["better"] == "higher" else -1
            spread = statistics.stdev(differences) / math.sqrt(3)
            assert row["t"] == pytest.approx(sign * statistics.mean(differences) / spread)


def test_another_call_finds_nothing_to_do(finished):
    folder, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")}
    assert main([*GIVEN, "-o", str(folder)]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*")} == before


def test_changed_settings_are_refused(finished, capsys):
    folder, _ = finished
    assert main([*GIVEN, "-o", str(folder), "--learning-rate", "0.5"]) == 2
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["text"]
    assert "learning_rate (0.02, now 0.5)" in said and "--force" in said


def test_a_folder_with_other_things_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main([*GIVEN, "-o", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_time_limit_ends_a_call_in_order(finished, tmp_path, capsys):
    """Prepared scans are there, training is not: the call starts, drops what it does, and says so."""
    folder = tmp_path / "out"
    shutil.copytree(finished[0], folder, ignore=shutil.ignore_patterns("runs", "*.png", "*.md", "stats.json", "*.csv"))
    assert main([*GIVEN, "-o", str(folder), "--max-minutes", "0.02"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (lines[-1]["complete"], lines[-1]["trainings"]) == (False, 0)
    assert any("time limit" in line.get("text", "") for line in lines)
    assert not (folder / "table1.csv").exists()


def test_ctrl_c_says_how_to_go_on(finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished[0], folder, ignore=shutil.ignore_patterns("runs", "*.png", "*.md", "stats.json", "*.csv"))
    process = start(folder)
    events = []
    for event in events_of(process):
        events.append(event)
        if event["event"] == "stage" and event["stage"] == "training":
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    process.stderr.close()
    assert any("the same command goes on" in event.get("text", "") for event in events)
