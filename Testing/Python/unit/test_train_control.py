"""Ending a training from outside, and what the folder of a training tells."""

import json
import subprocess
import sys
import time

import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.processes import start_of
from LaminaSegmentationLib import train_control
from LaminaSegmentationLib.arguments import parser
from LaminaSegmentationLib.parent_watch import watch
from LaminaSegmentationLib.train_control import PAUSE, STOP, Control, tell
from LaminaSegmentationLib.training_run import PLANNED, Run, TrainingSettings, list_sizes, plan_run, read_run, write_run


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch):
    monkeypatch.setattr(train_control, "_SECONDS_BETWEEN_LOOKS", 0.0)


@pytest.mark.parametrize("word", [PAUSE, STOP])
def test_a_word_ends_the_run_like_ctrl_c_and_is_gone_afterwards(tmp_path, word):
    control = Control(tmp_path / "control")
    control.check()
    tell(tmp_path / "control", word)
    with pytest.raises(KeyboardInterrupt):
        control.check()
    assert control.word == word
    assert list(tmp_path.iterdir()) == []


def test_a_word_that_comes_before_the_run_has_begun_counts(tmp_path):
    """A process takes seconds to begin, in which somebody may change his mind."""
    tell(tmp_path / "control", STOP)
    with pytest.raises(KeyboardInterrupt):
        Control(tmp_path / "control").check()


@pytest.mark.parametrize("content", ["pause\r\n".encode("utf-16"), b"\xef\xbb\xbfPause\n"])
def test_a_word_may_be_written_by_any_program(tmp_path, content):
    (tmp_path / "control").write_bytes(content)
    control = Control(tmp_path / "control")
    with pytest.raises(KeyboardInterrupt):
        control.check()
    assert control.word == PAUSE


def test_a_file_that_holds_something_else_stays(tmp_path):
    (tmp_path / "precious.csv").write_bytes(b"1,2,3\n\xff")
    Control(tmp_path / "precious.csv").check()
    assert (tmp_path / "precious.csv").read_bytes() == b"1,2,3\n\xff"


def test_other_words_and_no_file_change_nothing(tmp_path):
    control = Control(tmp_path / "control")
    (tmp_path / "control").write_text("later")
    control.check()
    Control(None).check()
    assert control.word == ""


def test_it_is_not_looked_for_at_every_step(tmp_path, monkeypatch):
    monkeypatch.setattr(train_control, "_SECONDS_BETWEEN_LOOKS", 1000.0)
    control = Control(tmp_path / "control")
    control._looked = 0.0
    monkeypatch.setattr(train_control.time, "monotonic", lambda: 500.0)
    tell(tmp_path / "control", STOP)
    control.check()
    assert control.word == ""


SETTINGS = TrainingSettings("/cases", "anna", "/run", ratio=(5, 2, 1), loss="dice", crop_rows=64, augment=True)


def test_the_commands_take_the_arguments(tmp_path):
    train = parser().parse_args([*SETTINGS.train_arguments(), "--estimate"])
    assert (train.loss, train.crop_rows, train.epochs, train.learning_rate) == ("dice", 64, 200, 1e-4)
    assert train.augment
    assert train.steps is None
    assert train.backend is None
    split = parser().parse_args(SETTINGS.split_arguments(read_scans=True))
    assert (split.ratio, split.rater, split.quick) == ("5,2,1", "anna", False)
    assert parser().parse_args(SETTINGS.split_arguments(read_scans=False)).quick
    assert parser().parse_args(SETTINGS.evaluate_arguments("test")).split == "test"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cases": ""}, "Choose the folder of the labeled scans"),
        ({"rater": ""}, "whose labels"),
        ({"output": ""}, "Choose a folder for the results"),
        ({"output": "/cases"}, "among the labeled scans"),
        ({"name": "a b"}, "cannot be the name of a model"),
        ({"name": "training"}, "cannot be the name of a model"),
        ({"ratio": (5, 0, 1)}, "Training and validation each need scans"),
    ],
)
def test_settings_that_cannot_be_trained_with_are_a_sentence(change, words):
    SETTINGS.check()
    with pytest.raises(LaminaError, match=words):
        TrainingSettings(**(vars(SETTINGS) | change)).check()


def test_a_run_comes_back_from_its_folder_wherever_it_was_moved(tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    write_run(TrainingSettings(**(vars(SETTINGS) | {"output": str(first)})))
    (first / "training").mkdir()
    (first / "training" / "log.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
    moved = first.rename(tmp_path / "moved")
    run = read_run(moved)
    assert run == Run(
        TrainingSettings(**(vars(SETTINGS) | {"output": str(moved)})),
        history=({"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.25}),
    )
    assert not run.has_model
    write_run(run.settings, "epochs")
    assert read_run(moved).ended_by == "epochs"


def test_a_folder_without_a_run_has_none(tmp_path):
    assert read_run(tmp_path) is None
    assert read_run(tmp_path / "nowhere") is None
    assert list_sizes(TrainingSettings(output=str(tmp_path))) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": {"ratio": 3}}', '{"ended_by": "epochs"}'])
def test_a_damaged_run_is_a_sentence(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(LaminaError, match="choose another folder"):
        read_run(tmp_path)


def test_settings_of_a_later_version_are_passed_over(tmp_path):
    write_run(TrainingSettings(output=str(tmp_path)))
    content = json.loads((tmp_path / "run.json").read_text())
    content["settings"]["invented_later"] = 3
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert read_run(tmp_path).settings.name == "custom"


def test_a_log_that_is_being_written_counts_as_none(tmp_path):
    write_run(TrainingSettings(output=str(tmp_path)))
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "log.csv").write_text("epoch,loss\n1,\n")
    assert read_run(tmp_path).history == ()


def planned(folder):
    settings = TrainingSettings(output=str(folder))
    plan_run(settings)
    return settings


def test_a_run_is_planned_in_an_empty_folder_and_may_be_planned_again(tmp_path):
    planned(tmp_path / "run")
    settings = planned(tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.ended_by == PLANNED
    assert not run.can_resume
    assert not run.has_ended
    write_run(settings)
    assert read_run(tmp_path / "run").can_resume


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: (folder / "dataset.json").write_text("mine"), "holds other files"),
        (lambda folder: write_run(TrainingSettings(output=str(folder))), "holds a training that has begun"),
        (lambda folder: write_run(TrainingSettings(output=str(folder)), "epochs"), "holds a training that has ended"),
    ],
)
def test_nothing_is_planned_over_what_is_there(tmp_path, prepare, words):
    prepare(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(LaminaError, match=words):
        planned(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LaminaError, match="cannot be written"):
        planned(tmp_path / "file" / "run")


def test_a_run_of_another_open_interface_is_known_as_such(tmp_path):
    settings = planned(tmp_path)
    write_run(settings, running=True)
    assert not read_run(tmp_path).runs_elsewhere  # it is this one
    content = json.loads((tmp_path / "run.json").read_text())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        for start, elsewhere in ((start_of(other.pid), True), ("another start", False)):
            content["process"] = [other.pid, start]
            (tmp_path / "run.json").write_text(json.dumps(content))
            assert read_run(tmp_path).runs_elsewhere is elsewhere
        other.communicate(b"\n")
    content["process"][1] = ""
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert not read_run(tmp_path).runs_elsewhere


def test_a_command_ends_when_its_interface_has_gone(tmp_path):
    """The interface is killed, and cannot end anything itself; its child has a session of its own."""
    interface = """
import subprocess, sys
from LaminaSegmentationLib.parent_watch import interface_variables
import os
code = "import time\\nfrom LaminaSegmentationLib.parent_watch import watch\\n"
code += "watch(); print(1, flush=True)\\ntime.sleep(99)"
environment = {**os.environ, **interface_variables()}
child = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", interface], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        child = int(process.stdout.readline())
        assert start_of(child)
        process.kill()
    end = time.monotonic() + 30
    while start_of(child) and time.monotonic() < end:
        time.sleep(0.1)
    assert not start_of(child)


def test_a_command_that_a_person_has_typed_watches_nobody():
    assert watch({}) is None
    assert watch({"LAMINA_INTERFACE": "nonsense"}) is None
