"""`lamina train` in miniature, in its own process, and the model that comes out of it."""

import json
import os
import subprocess
import sys

import pytest

from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.models import load_model
from LaminaSegmentationLib.train_command import set_aside

TRAIN = ["train", "--preset", "small", "--crop-rows", "32", "--epochs", "1", "--steps", "2", "--backend", "torch"]


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
