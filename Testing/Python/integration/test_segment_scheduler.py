"""``--scheduler``: a worker is killed in the middle, a scan fails, the command is ended and gone on with.

Nothing may be lost and nothing may be there twice.
"""

import json
import shutil
import signal

import numpy as np
import pytest
from cluster_runs import alive, gone, kill, run, start, workers_of
from distributed import LocalCluster
from folder_runs import ABOUT_ALL, FILES, everything, summary, table

from LaminaLabelingLib.files import read_laminae
from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.__main__ import main

NAMES = [f"scan{number}" for number in range(1, 4)]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Three coarse scans and a broken one."""
    from LaminaSegmentationLib.simulation import simulate_scan

    folder = tmp_path_factory.mktemp("scans")
    write_volume(simulate_scan(10, 2.0).volume, folder / "scan1.nrrd")
    for name in NAMES[1:]:
        shutil.copy(folder / "scan1.nrrd", folder / f"{name}.nrrd")
    (folder / "broken.nrrd").write_text("nonsense", encoding="utf-8")
    return folder


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def states(events):
    """Return how often each scan came to each state."""
    counted = {}
    for case in of_kind(events, "case"):
        key = (case["scan"], case["state"])
        counted[key] = counted.get(key, 0) + 1
    return counted


# A worker is killed


@pytest.fixture(scope="module")
def killed(scans, tmp_path_factory):
    """A run of which one of two workers was killed while it was at work."""
    output = tmp_path_factory.mktemp("killed") / "results"
    process = start("segment", scans, "-o", output, "--scheduler", "local:2")
    events, victim = [], None
    for event in map(json.loads, process.stdout):
        events.append(event)
        # Both are at work then: there are more scans than workers.
        if victim is None and event.get("scan") in ("scan2.nrrd", "scan3.nrrd") and event["state"] == "running":
            victim = workers_of(process)[0]
            kill(victim)
    errors = process.stderr.read()
    return process.wait(), events, output, victim, errors


def test_after_the_loss_of_a_worker_nothing_is_missing_and_nothing_is_there_twice(killed):
    code, events, output, victim, errors = killed
    assert code == 0, (events[-1:], errors)
    assert not alive(victim)
    rows = table(output)
    assert list(rows) == ["broken.nrrd", *(f"{name}.nrrd" for name in NAMES)]
    assert [row["state"] for row in rows.values()] == ["failed", *["done"] * 3]
    assert everything(output) == ABOUT_ALL | set(NAMES) | {f"{name}/{file}" for name in NAMES for file in FILES}
    cases = summary(output)["cases"]
    assert [case["scan"] for case in cases] == list(rows)
    assert (output / "results.csv").read_text().count("scan1.nrrd") == 1
    assert set(states(events).values()) == {1}
    (result,) = of_kind(events, "result")
    assert (result["scans"], result["done"], result["failed"], result["skipped"]) == (4, 3, 1, 0)


def test_the_results_are_those_of_the_scan_alone(killed, scans, tmp_path):
    output = killed[2]
    assert main(["segment", str(scans / "scan1.nrrd"), "-o", str(tmp_path / "alone"), "--json"]) == 0
    alone = read_laminae(tmp_path / "alone" / "laminae.mrk.json").positions()
    assert len(alone) == 34
    for name in NAMES:
        found = read_laminae(output / name / "laminae.mrk.json").positions()
        assert found.keys() == alone.keys()
        assert np.allclose([found[key] for key in alone], list(alone.values()), atol=1e-4)


def test_the_progress_of_several_scans_at_once_never_goes_back(killed):
    fractions = [event["fraction"] for event in of_kind(killed[1], "progress")]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(event.get("seconds_left", 0) >= 0 for event in of_kind(killed[1], "progress"))


def test_a_scan_that_fails_is_told_as_without_a_cluster(killed):
    row = table(killed[2])["broken.nrrd"]
    assert "cannot be read as a 3D scan" in row["error"]
    (case,) = [case for case in of_kind(killed[1], "case") if case["state"] == "failed"]
    assert case["text"] == row["error"]


# Ended and gone on with


def test_an_edited_point_list_is_kept_when_its_scan_fails_on_a_worker(scans, tmp_path, capsys):
    folder, output = tmp_path / "scans", tmp_path / "results"
    folder.mkdir()
    shutil.copy(scans / "scan1.nrrd", folder / "scan1.nrrd")
    assert main(["segment", str(folder), "-o", str(output)]) == 0
    labels = output / "scan1" / "laminae.mrk.json"
    edited = labels.read_text() + " "
    labels.write_text(edited)
    (folder / "scan1.nrrd").write_text("nonsense", encoding="utf-8")
    assert main(["segment", str(folder), "-o", str(output), "--resume", "--scheduler", "local:1"]) == 3
    assert "scan1/laminae.edited-1.mrk.json" in capsys.readouterr().err
    assert (output / "scan1" / "laminae.edited-1.mrk.json").read_text() == edited
    assert not labels.exists()


def test_ctrl_c_leaves_nothing_half_written_and_the_run_is_gone_on_with(scans, tmp_path):
    output = tmp_path / "results"
    process = start("segment", scans, "-o", output, "--scheduler", "local:1")
    workers = []
    for event in map(json.loads, process.stdout):
        if event.get("state") == "running":
            workers = workers_of(process)
        if event.get("state") == "done":
            process.send_signal(signal.SIGINT)
            break
    rest = list(map(json.loads, process.stdout))
    errors = process.stderr.read()
    assert process.wait() == 130, errors
    assert "Traceback" not in errors
    assert rest[-1] == {"event": "error", "text": "Interrupted; nothing half-written was kept."}
    assert workers and gone(workers)
    done = [name for name in NAMES if (output / name).exists()]
    assert 1 <= len(done) < 3
    assert not [name for name in everything(output) if ".partial" in name]
    before = {name: (output / name / "summary.json").stat().st_mtime_ns for name in done}
    code, events, errors = run("segment", scans, "-o", output, "--scheduler", "local:1", "--resume")
    assert code == 0, errors
    assert {name: (output / name / "summary.json").stat().st_mtime_ns for name in done} == before
    (result,) = of_kind(events, "result")
    assert (result["done"], result["skipped"], result["failed"]) == (3 - len(done), len(done), 1)
    assert everything(output) == ABOUT_ALL | set(NAMES) | {f"{name}/{file}" for name in NAMES for file in FILES}


# A running scheduler, and workers that cannot work


@pytest.fixture
def cluster():
    """Return a function that starts a scheduler with one worker, prepared by some code, and returns its address."""
    started = []

    def make(code="", **options):
        options |= {"preload": [code]} if code else {}
        made = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, **options)
        started.append(made)
        return made.scheduler_address

    yield make
    for made in started:
        made.close()


def refused(scans, output, address, capsys, *more):
    """Return the sentence with which a command ends."""
    assert main(["segment", str(scans), "-o", str(output), "--scheduler", str(address), *more]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert not output.exists()
    return said


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.modules['LaminaSegmentationLib'] = None", "has no LaminaUltrasound"),
        ("import LaminaSegmentationLib as lib; lib.__version__ = '0.0.1'", "has LaminaUltrasound 0.0.1, the command"),
        ("import pathlib; pathlib.Path.exists = lambda path: False", "cannot see the folder of the scans"),
        ("import pathlib; pathlib.Path.is_dir = lambda path: False", "cannot see the folder of the results"),
    ],
)
def test_workers_that_cannot_work_are_told_of(scans, tmp_path, capsys, cluster, code, sentence):
    address = cluster(code)
    assert sentence in refused(scans, tmp_path / "results", address, capsys)


def test_a_scheduler_that_cannot_be_reached_is_told_of(scans, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("LaminaSegmentationLib.cluster.SECONDS_TO_CONNECT", 1)
    said = refused(scans, tmp_path / "results", "tcp://127.0.0.1:9", capsys)
    assert "The scheduler at tcp://127.0.0.1:9 cannot be reached" in said


def test_tasks_go_to_the_workers_that_offer_what_they_ask_for(scans, tmp_path, capsys, cluster):
    address = cluster(resources={"GPU": 1})
    assert "No worker offers TPU=2" in refused(scans, tmp_path / "r", address, capsys, "--resource", "TPU=2")
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(scans / "scan1.nrrd", one)
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": address}), encoding="utf-8")
    assert main(["segment", str(one), "-o", str(tmp_path / "r"), "--scheduler", str(file), "--json"]) == 0
    assert table(tmp_path / "r")["scan1.nrrd"]["state"] == "done"
    assert "CPU (1 thread)" in summary(tmp_path / "r")["engine"]


# Trainings


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Prepared scans that the commands share."""
    return tmp_path_factory.mktemp("cache")


def test_a_training_whose_worker_is_killed_is_gone_on_with_by_another(tmp_path, cache):
    folder = tmp_path / "experiment"
    given = ["--scans", "3", "--split", "1,1,1", "--arms", "dice,wbce", "--training-seeds", "0", "--cache", cache]
    process = start("experiment", "--miniature", *given, "-o", folder, "--scheduler", "local:2")
    events, victim = [], None
    for event in map(json.loads, process.stdout):
        events.append(event)
        if victim is None and event.get("epoch") == 1:
            victim = workers_of(process)[0]
            kill(victim)
    errors = process.stderr.read()
    assert process.wait() == 0, (events[-1:], errors)
    assert victim and not alive(victim)
    content = json.loads((folder / "experiment.json").read_text())
    assert content["complete"] and list(content["runs"]) == ["dice-0", "wbce-0"]
    for name in content["runs"]:
        result = json.loads((folder / "runs" / name / "result.json").read_text())
        assert [row["epoch"] for row in result["history"]] == [1, 2]
    assert not [path.name for path in folder.rglob(".*") if path.name != ".lock"]
    assert (events[-1]["event"], events[-1]["trainings"]) == ("result", 2)


def test_a_search_whose_worker_is_killed_loses_no_trial(tmp_path, cache):
    folder = tmp_path / "search"
    given = [
        "tune",
        "--miniature",
        "--simulated",
        "1",
        "--trials",
        "3",
        "--widths",
        "8",
        "--cache",
        cache,
        "-o",
        folder,
    ]
    process = start(*given, "--scheduler", "local:2")
    events, victim = [], None
    for event in map(json.loads, process.stdout):
        events.append(event)
        if victim is None and event.get("epoch") == 1:
            victim = workers_of(process)[0]
            kill(victim)
    errors = process.stderr.read()
    assert process.wait() == 0, (events[-1:], errors)
    assert victim and not alive(victim)
    trials = of_kind(events, "trial")
    assert sorted(trial["run"] for trial in trials) == ["trial-0000", "trial-0001", "trial-0002"]
    lines = (folder / "trials.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [[str(number), "complete"] for number in range(3)]
    best = json.loads((folder / "best.json").read_text())
    assert best["score"] == min(trial["score"] for trial in trials)
    assert best["command"].startswith("lamina train --simulated 1 --validation 1")
    assert (folder / "tune.png").read_bytes().startswith(b"\x89PNG")
    assert not [path for path in folder.rglob("*") if path.suffix in (".h5", ".npz") and "trials" in path.parts]
    # Another call finds nothing to do, and does not ask for a cluster.
    assert main([*map(str, given), "--json"]) == 0
    assert (folder / "trials.csv").read_text().splitlines() == lines
