"""`lamina train` in miniature, in its own process, and the model that comes out of it."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import h5py
import numpy as np
import pytest

from LaminaLabelingLib.files import read_markups, write_markups
from LaminaLabelingLib.laminae import LaminaSet
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.models import load_model
from LaminaSegmentationLib.train_command import set_aside
from LaminaSegmentationLib.train_control import PAUSE, STOP, tell

TRAIN = ["train", "--preset", "8", "--crop-rows", "32", "--epochs", "1", "--steps", "2", "--backend", "torch"]
TRAIN += ["--monitor", "val_missed", "--normalization", "instance", "--training-seed", "7"]


def lamina(*arguments):
    """Run a command in its own process, because Keras keeps the backend it was first loaded with."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "LaminaSegmentationLib", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model trained for two steps on simulated scans that `lamina simulate` wrote."""
    folder = tmp_path_factory.mktemp("train")
    data = folder / "data"
    given = ["simulate", "-n", "2", "--seed", "1000100", "--spacing", "1.5", "--split", "1,1,0", "-o", str(data)]
    assert main(given) == 0
    done = lamina(*TRAIN, "--data", data / "dataset.json", "--cache", folder / "cache", "-o", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


def test_training_tells_its_progress_and_the_model(trained):
    folder, events = trained
    steps = [event for event in events if event["event"] == "progress" and event["stage"] == "training"]
    assert steps[-1]["fraction"] == 1.0
    assert events[-1]["event"] == "result"
    assert events[-1]["model"] == str(folder / "out" / "custom")
    assert events[-1]["validation"]["val_missed"] >= 0


def test_the_card_says_how_it_was_made(trained):
    folder, _ = trained
    card = load_model(folder / "out" / "custom").card
    assert card["training"]["scans"] == 1
    assert card["training"]["steps"] == 2
    assert card["training"]["backend"] == "torch"
    assert card["architecture"]["width"] == 8
    assert card["architecture"]["normalization"] == "instance"
    assert card["training"]["monitor"] == "val_missed"
    assert card["training"]["seed"] == 7
    assert card["training"]["precision"] == "float32"
    assert card["training"]["momentum"] is None
    assert card["evaluation"]["figures"]["d3d_total_voxels"] > 0
    assert card["intended_use"] == "research only"
    assert card["input"]["preprocessing"]["margin"] == 30.0


def test_the_model_segments_even_if_it_has_learned_nothing(trained, phantom_path, tmp_path):
    folder, _ = trained
    model = str(folder / "out" / "custom")
    given = ["segment", str(phantom_path), "--axes", "RIA", "--model", model, "-o", str(tmp_path / "out")]
    assert main(given) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["model"]["name"] == "custom"


def test_an_earlier_model_is_set_aside_and_kept(tmp_path):
    for content in ("first", "second"):
        (tmp_path / "custom").mkdir()
        (tmp_path / "custom" / "card.json").write_text(content)
        set_aside(tmp_path / "custom")
    assert not (tmp_path / "custom").exists()
    assert (tmp_path / "custom.old-1" / "card.json").read_text() == "first"
    assert (tmp_path / "custom.old-2" / "card.json").read_text() == "second"
    set_aside(tmp_path / "nothing")


def test_a_second_run_does_not_overwrite_the_first(trained):
    folder, _ = trained
    done = lamina(*TRAIN, "--data", folder / "data" / "dataset.json", "-o", folder / "out")
    assert done.returncode == 2
    assert "--force" in done.stderr


def entry(folder, number, **changes):
    return {
        "image": str(folder / "data" / f"scan_{number:04d}.nrrd"),
        "label": str(folder / "data" / f"scan_{number:04d}.mrk.json"),
        **changes,
    }


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"label": "none.mrk.json"}, "Entry 1 of 'validation' in 'dataset.json' names the label"),
        ({"image": "damaged.nrrd"}, "Entry 1 of 'validation' in 'dataset.json' ('damaged.nrrd') cannot be used"),
        ({"label": "far.mrk.json"}, "outside the scan"),
        ({"label": "empty.mrk.json"}, "has no laminae"),
        ({"label": "many.mrk.json"}, "35 laminae"),
        ({"patient": "1"}, "patient '1' is also in 'training'"),
    ],
)
def test_a_scan_that_cannot_be_used_ends_training_before_it_starts(trained, tmp_path, second, words, capsys):
    folder, _ = trained
    truth = read_markups(folder / "data" / "scan_0001.mrk.json")
    shifted = {name: np.add(point, (0.0, 0.0, 900.0)) for name, point in truth.positions().items()}
    write_markups(LaminaSet.from_positions(shifted), tmp_path / "far.mrk.json")
    write_markups(LaminaSet(), tmp_path / "empty.mrk.json")
    more = LaminaSet.from_positions({**truth.positions(), "T13L": truth["T12L"].position})
    write_markups(more, tmp_path / "many.mrk.json")
    (tmp_path / "damaged.nrrd").write_bytes((folder / "data" / "scan_0001.nrrd").read_bytes()[:3000])
    data = tmp_path / "dataset.json"
    lists = {"training": [entry(folder, 0, patient="1")], "validation": [entry(folder, 1, patient="2") | second]}
    data.write_text(json.dumps(lists))
    given = ["train", "--data", str(data), "--cache", str(folder / "cache"), "-o", str(tmp_path / "out")]
    assert main(given) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    assert main(given) == 2
    assert list((tmp_path / "out").iterdir()) == []  # the user's own folder stays


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--loss", "l2", "centroid"),
        ("--preset", "7", "paper, 32, 16, 8"),
        ("--momentum", "1.5", "momentum"),
        ("--recalibrate", "-1", "recalibrate"),
        ("--devices", "0", "devices"),
        ("--start-from", "no-such-model", "no-such-model"),
    ],
)
def test_a_wrong_option_ends_training_before_scans_are_read(tmp_path, option, value, words, capsys):
    assert main(["train", "--data", str(tmp_path / "none.json"), option, value, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def arrays_of(weights):
    """All floating-point arrays of a weights file, by name."""
    found = {}
    with h5py.File(weights) as file:

        def take(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
                found[name] = item[()]

        file.visititems(take)
    return found


def test_a_model_of_another_width_is_no_start(tmp_path, capsys):
    given = ["train", "--data", str(tmp_path / "none.json"), "--preset", "8", "--start-from", "simulated-unet"]
    assert main([*given, "-o", str(tmp_path / "out")]) == 2
    assert "has width 16 and batch normalization, this network 8 and batch" in capsys.readouterr().err


def test_training_goes_on_from_a_model(trained, tmp_path):
    folder, _ = trained
    start = folder / "out" / "custom"
    given = ["--data", folder / "data" / "dataset.json", "--cache", folder / "cache", "--start-from", start]
    done = lamina(*TRAIN, *given, "--learning-rate", "1e-12", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    again, before = load_model(tmp_path / "out" / "custom"), load_model(start)
    assert again.card["training"]["started_from"] == "custom"
    theirs, ours = arrays_of(before.weights), arrays_of(again.weights)
    assert theirs.keys() == ours.keys() and len(theirs) > 20
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--simulated", "2", "--style", "portable"], "kept for tests"),
        (["--simulated", "2", "--seed", "5"], "1000000"),
    ],
)
def test_what_is_kept_for_tests_is_not_trained_on(tmp_path, given, words, capsys):
    assert main(["train", *given, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_ctrl_c_writes_the_best_model_and_resume_goes_on(trained, tmp_path):
    folder, _ = trained
    given = [*TRAIN, "--epochs", "200", "--data", folder / "data" / "dataset.json", "--cache", folder / "cache"]
    command = [sys.executable, "-m", "LaminaSegmentationLib", *map(str, given), "-o", str(tmp_path / "out"), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A shell that starts the tests in the background makes their children ignore Ctrl-C.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heard) as process:
        lines, sent = [], False
        for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1].get("epoch") == 2 and not sent:
                process.send_signal(signal.SIGINT)
                sent = True
    assert process.returncode == 0
    assert lines[-1]["ended_by"] == "user"
    done = lines[-1]["epochs"]
    assert load_model(tmp_path / "out" / "custom").card["training"]["epochs"] == done >= 1
    resumed = lamina(*given, "--epochs", done + 1, "--resume", "-o", tmp_path / "out", "--json")
    assert resumed.returncode == 0, resumed.stderr
    result = json.loads(resumed.stdout.splitlines()[-1])
    assert (result["epochs"], result["ended_by"]) == (done + 1, "epochs")
    assert (tmp_path / "out" / "custom.old-1" / "card.json").is_file()


def run_until(command, condition, then):
    """Run a command, do something at the first event for which a condition holds, and return all events."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        events, done = [], False
        for line in process.stdout:
            events.append(json.loads(line))
            if not done and condition(events[-1]):
                then()
                done = True
    assert process.returncode == 0
    return events


def test_a_word_in_the_control_file_pauses_and_stops(trained, tmp_path):
    folder, _ = trained
    control, output = tmp_path / "control", tmp_path / "out"
    given = [*TRAIN, "--epochs", "200", "--data", folder / "data" / "dataset.json", "--cache", folder / "cache"]
    command = [sys.executable, "-m", "LaminaSegmentationLib", *map(str, given), "-o", str(output), "--json"]
    command += ["--control", str(control)]
    epochs = [lambda event: event["event"] == "epoch", lambda: tell(control, PAUSE)]
    paused = run_until(command, *epochs)
    assert paused[-1]["ended_by"] == "pause"
    assert paused[-1]["model"] is None
    assert not (output / "custom").exists()
    stopped = run_until([*command, "--resume"], lambda event: event["event"] == "progress", lambda: tell(control, STOP))
    assert stopped[-1]["ended_by"] == "user"
    assert load_model(output / "custom").card["training"]["epochs"] == stopped[-1]["epochs"] >= paused[-1]["epochs"]
    # The epochs that the run has already are told at its start, for a chart.
    told = [event["epoch"] for event in stopped if event["event"] == "epoch"]
    assert told == list(range(1, stopped[-1]["epochs"] + 1))


def test_a_word_before_the_first_epoch_ends_without_a_model(trained, tmp_path):
    folder, _ = trained
    control = tmp_path / "control"
    given = [*TRAIN, "--steps", "400", "--data", folder / "data" / "dataset.json", "--cache", folder / "cache"]
    command = [sys.executable, "-m", "LaminaSegmentationLib", *map(str, given), "-o", str(tmp_path / "out"), "--json"]
    command += ["--control", str(control)]
    events = run_until(command, lambda event: event.get("stage") == "training", lambda: tell(control, STOP))
    assert events[-1] == {"event": "result", "model": None, "epochs": 0, "ended_by": "user"}


def test_the_estimate_says_how_long_it_takes_and_writes_nothing(trained, tmp_path):
    folder, _ = trained
    given = [*TRAIN, "--epochs", "10", "--data", folder / "data" / "dataset.json", "--estimate"]
    done = lamina(*given, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["seconds"] == pytest.approx(10 * result["epoch_seconds"], rel=0.05)
    # Two steps and one validation, which takes time as well.
    assert result["epoch_seconds"] > 2 * result["step_seconds"] > 0
    assert result["gpu"] == "" and "CPU" in result["hardware"]
    assert not (tmp_path / "out").exists()
