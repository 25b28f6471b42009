"""Ending a training from outside, and what the folder of a training tells."""

import json

import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import train_control
from LaminaSegmentationLib.arguments import parser
from LaminaSegmentationLib.train_control import PAUSE, STOP, Control, tell
from LaminaSegmentationLib.training_run import Run, TrainingSettings, list_sizes, make_folder, read_run, write_run


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


def test_a_word_of_an_earlier_run_does_not_count(tmp_path):
    tell(tmp_path / "control", STOP)
    Control(tmp_path / "control").check()


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
    make_folder(first)
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


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LaminaError, match="cannot be written"):
        make_folder(tmp_path / "file" / "run")
