"""What a search draws, asks and tells; no network is trained here."""

import csv
import importlib.util
import json
import math
import shlex
from dataclasses import asdict

import optuna
import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.arguments import parser
from LaminaSegmentationLib.samples import TrainingCase, cube_labels
from LaminaSegmentationLib.train_command import training_options
from LaminaSegmentationLib.training_options import loss_parameters
from LaminaSegmentationLib.tune_command import common_arguments, read_settings
from LaminaSegmentationLib.tune_folder import SearchFolder
from LaminaSegmentationLib.tune_report import COLUMNS, best_of, importances, write_report
from LaminaSegmentationLib.tune_space import SEARCHED, Space, parse_space, train_command_line
from LaminaSegmentationLib.tune_study import Trials, open_study, require_optuna
from LaminaSegmentationLib.validation_score import score_of, validation_metrics, validation_score


def given(*more):
    return parser().parse_args(["tune", "--simulated", "2", "--epochs", "10", *map(str, more), "-o", "out"])


@pytest.fixture
def settings(tmp_path):
    return read_settings(given(), SearchFolder(tmp_path / "none"))


# What is searched


def drawn(space, number, seed=0):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [space.suggest(study.ask()) for _ in range(number)]


def test_options_without_a_meaning_are_not_drawn():
    values = drawn(Space(), 60)
    assert all(tuple(each) == SEARCHED for each in values)
    assert {each["loss"] for each in values} == {"dice", "wbce", "dice+wbce", "centroid", "lamina_dice"}
    assert {each["width"] for each in values} == {8, 16, 32}
    for each in values:
        assert (each["loss_weight"] is not None) == (each["loss"] in ("wbce", "dice+wbce"))
        assert (each["momentum"] is not None) == (each["normalization"] == "batch")
        assert 1e-5 <= each["learning_rate"] <= 1e-2


def test_what_is_not_searched_is_that_of_a_plain_training():
    space = parse_space("learning_rate", "centroid,dice", "16,8", "1e-4,1e-3")
    for each in drawn(space, 10):
        assert 1e-4 <= each.pop("learning_rate") <= 1e-3
        assert each == {
            "loss": "centroid",
            "width": 16,
            "loss_weight": None,
            "augment": False,
            "normalization": "batch",
            "momentum": 0.9,
            "schedule": "constant",
        }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("dropout", None, None, None), "--search names dropout"),
        ((None, "focal", None, None), "--losses names focal"),
        ((None, ",", None, None), "--losses names nothing"),
        ((None, None, "64", None), "--widths names 64"),
        ((None, None, None, "1e-3"), "--learning-rates is"),
        ((None, None, None, "1e-3,1e-4"), "--learning-rates is"),
        ((None, None, None, "0,1"), "--learning-rates is"),
        ((None, None, None, "1e-4,inf"), "--learning-rates is"),
    ],
)
def test_what_cannot_be_searched_is_told_of(options, sentence):
    with pytest.raises(LaminaError, match=sentence):
        parse_space(*options)


@pytest.mark.parametrize("seed", range(4))
def test_the_printed_command_trains_as_the_trial_did(settings, seed):
    for values in drawn(Space(), 10, seed):
        line = train_command_line(values, common_arguments(given(), settings))
        program, *arguments = shlex.split(line)
        assert program == "lamina"
        parsed = parser().parse_args(arguments)
        assert (parsed.simulated, parsed.validation, parsed.seed, parsed.style) == (2, 8, 1_000_000, "clinic")
        assert training_options(parsed) == settings.training_options(values, None)


def test_the_weight_of_a_loss():
    assert loss_parameters("dice", None) == {}
    assert loss_parameters("wbce", 30) == {"weight": 30.0}
    for loss, weight in (("dice", 30), ("wbce", 0), ("wbce", math.nan), ("wbce", math.inf)):
        with pytest.raises(LaminaError, match="weight"):
            loss_parameters(loss, weight)


# How trials are judged


def test_a_false_lamina_counts_a_quarter_of_a_missed_one():
    centers = [(8, 8, 8), (8, 24, 8), (24, 8, 8)]
    case = TrainingCase(None, centers)
    case_with_spacing = type("Labelled", (), {"centroids": case.centroids, "spacing": (1.0, 1.0, 1.0)})()
    found = cube_labels((32, 32, 16), [(8, 8, 8), (24, 24, 8), (16, 16, 4)]).astype(float)
    assert validation_score(found, case_with_spacing) == 2 + 0.25 * 2
    assert score_of(0, 4) == score_of(1, 0) == 1.0


def test_the_score_is_a_column_only_where_it_chooses_the_epoch():
    assert list(validation_metrics("val_loss")) == ["missed", "false", "d3d"]
    assert list(validation_metrics("val_score")) == ["missed", "false", "d3d", "score"]


# Asking and telling


def result_of(values):
    """A made-up result: the nearer the learning rate to 1e-3 the better, and one loss better than others."""
    score = abs(math.log10(values["learning_rate"]) + 3.0) + (values["loss"] != "centroid")
    return {"score": score, "missed": score, "false": 0.0, "epoch": 3, "epochs": 10, "seconds": 1.0, "whole": True}


def opened(folder, settings, pruning=True):
    folder.mkdir(exist_ok=True)
    return open_study(folder, settings, None, "any", pruning)


def search(folder, settings, total, stop_after=None):
    """Do trials; leave one open after some of them, as a killed command does."""
    trials = Trials(opened(folder, settings), settings, "me", alone=True)
    done = []
    for name, values in trials.jobs(total):
        if len(done) == stop_after:
            return done
        trials.finish(name, result_of(values))
        done.append((name, values))
    return done


def test_a_search_that_was_interrupted_draws_what_an_unbroken_one_does(tmp_path, settings):
    whole = search(tmp_path / "whole", settings, 15)
    first = search(tmp_path / "broken", settings, 15, stop_after=11)
    second = search(tmp_path / "broken", settings, 15)
    assert first + second == whole
    assert [name for name, _values in whole] == [f"trial-{number:04d}" for number in range(15)]
    assert len({json.dumps(values) for _name, values in whole}) == 15


def test_another_seed_draws_other_options(tmp_path, settings):
    other = read_settings(given("--seed", 1), SearchFolder(tmp_path / "none"))
    assert search(tmp_path / "a", settings, 3) != search(tmp_path / "b", other, 3)


def test_a_result_that_comes_twice_counts_once(tmp_path, settings):
    trials = Trials(opened(tmp_path / "s", settings), settings, "me", alone=True)
    name, values = next(trials.jobs(5))
    assert trials.finish(name, result_of(values)) == "complete"
    assert trials.finish(name, {**result_of(values), "score": -1.0}) == ""
    trials.fail(name, "late")
    (trial,) = trials.study.get_trials()
    assert trial.value == result_of(values)["score"]
    assert trial.state == optuna.trial.TrialState.COMPLETE


def test_states(tmp_path, settings):
    trials = Trials(opened(tmp_path / "s", settings), settings, "me", alone=True)
    jobs = trials.jobs(3)
    (first, values), (second, _), (third, _) = jobs
    assert trials.finish(first, {"error": "The training loss stopped being a finite number."}) == "pruned"
    assert trials.finish(second, {**result_of(values), "whole": False}) == "pruned"
    trials.fail(third, "The process ended.")
    assert [trial.state.name for trial in trials.study.get_trials()] == ["PRUNED", "PRUNED", "FAIL"]


def test_bad_trials_are_given_up_once_there_are_others_to_compare_with(tmp_path, settings):
    trials = Trials(opened(tmp_path / "s", settings), settings, "me", alone=True)
    jobs = trials.jobs(20)
    for _ in range(5):
        name, values = next(jobs)
        assert not any(trials.is_bad(name, epoch, 10.0 - epoch) for epoch in range(1, 11))
        trials.finish(name, result_of(values))
    bad, _ = next(jobs)
    assert [trials.is_bad(bad, epoch, 30.0) for epoch in (1, 2)] == [False, False]  # the first fifth is not judged
    assert trials.is_bad(bad, 3, 30.0)
    good, _ = next(jobs)
    assert not any(trials.is_bad(good, epoch, 9.0 - epoch) for epoch in range(1, 11))
    assert not trials.is_bad(bad, 10, 30.0)  # at its end it need not be given up any more
    assert not trials.is_bad("trial-0000", 3, 99.0)  # late news of one that is finished


def test_trials_of_another_folder_are_left_to_it(tmp_path, settings):
    study = opened(tmp_path / "s", settings)
    others = Trials(study, settings, "other", alone=False)
    name, _values = next(others.jobs(4))
    mine = Trials(study, settings, "me", alone=False)
    assert [each for each, _values in mine.jobs(3)] == ["trial-0001", "trial-0002"]
    assert name == "trial-0000"


def test_a_study_with_other_settings_is_refused(tmp_path, settings):
    opened(tmp_path / "s", settings)
    other = read_settings(given("--steps", 7), SearchFolder(tmp_path / "none"))
    with pytest.raises(LaminaError, match=r"steps \(None, now 7\)"):
        opened(tmp_path / "s", other)
    opened(tmp_path / "s", read_settings(given("--seed", 3), SearchFolder(tmp_path / "none")))


def test_a_database_that_cannot_be_opened_is_told_of_without_its_password(tmp_path, settings):
    with pytest.raises(LaminaError, match="cannot be opened in the database of --storage") as caught:
        open_study(tmp_path, settings, f"sqlite:///{tmp_path}/no/secret.db", "x", True)
    assert "secret" not in str(caught.value)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give the scans"),
        (["--simulated", "0"], "--simulated is 0"),
        (["--simulated", "2", "--data-seed", "5"], "--data-seed is 5"),
        (["--simulated", "2", "--trials", "0"], "--trials is 0"),
        (["--simulated", "2", "--epochs", "0"], "--epochs is 0"),
        (["--simulated", "2", "--crop-rows", "33"], "multiple of 8"),
        (["--simulated", "2", "--max-minutes", "0"], "--max-minutes is 0"),
        (["--simulated", "2", "--scheduler", "nowhere"], "--scheduler is 'nowhere'"),
        (["--simulated", "2", "--scheduler", "local:2", "--jobs", "2"], "--jobs is for this computer"),
        (["--simulated", "2", "--backend", "mxnet"], "no Keras backend"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, arguments, sentence):
    assert main(["tune", *arguments, "-o", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LaminaError, match="pip install optuna"):
        require_optuna()


def test_a_search_is_gone_on_with_only_with_the_same_settings(tmp_path, settings):
    folder = SearchFolder(tmp_path)
    owner = folder.write(settings)
    assert asdict(folder.settings()) == json.loads(json.dumps(asdict(settings)))
    assert folder.settings().searched() == settings.searched()
    assert folder.write(settings) == owner
    folder.check(settings)
    with pytest.raises(LaminaError, match=r"space.losses"):
        folder.check(read_settings(given("--losses", "dice"), folder))


# The report


def test_the_report_names_the_best_and_lists_all(tmp_path, settings):
    done = search(tmp_path / "s", settings, 12)
    study = opened(tmp_path / "s", settings)
    trials = Trials(study, settings, "me", alone=True)
    name, _values = next(trials.jobs(13))
    trials.fail(name, "The process ended, for lack of memory.")
    files, best = write_report(study, tmp_path / "s", ["--simulated", "2"], miniature=False)
    scores = {name: result_of(values)["score"] for name, values in done}
    lowest = min(scores, key=scores.get)
    assert f"trial-{best['trial']:04d}" == lowest
    assert best["score"] == scores[lowest] and best["options"] == dict(done)[lowest]
    with open(files["table"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["state"] for row in rows] == ["complete"] * 12 + ["failed"]
    assert rows[12]["error"] == "The process ended, for lack of memory."
    assert float(rows[0]["score"]) == pytest.approx(scores["trial-0000"])
    assert (tmp_path / "s" / "tune.png").read_bytes().startswith(b"\x89PNG")


def test_what_matters_is_found_and_what_few_trials_have_is_not_blamed():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for number in range(60):
        assert bool(importances(study)) == (number >= 10)
        trial = study.ask()
        values = Space().suggest(trial)
        study.tell(trial, abs(math.log10(values["learning_rate"]) + 3.0))
    shares = importances(study)
    assert max(shares, key=shares.get) == "learning_rate"
    assert shares["learning_rate"] > 0.5
    assert set(shares) == set(SEARCHED) - {"momentum", "loss_weight"}


def test_of_equal_trials_the_earliest_is_the_best():
    study = optuna.create_study()
    for value in (2.0, 1.0, 1.0):
        study.tell(study.ask(), value)
    assert best_of(study.get_trials()).number == 1
    assert best_of([]) is None
