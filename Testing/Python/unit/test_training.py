import csv
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_networks import GRID, bright_case, run_python

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import pace as pace_module
from LaminaSegmentationLib import training as training_module
from LaminaSegmentationLib.samples import Augmentation, TrainingCase
from LaminaSegmentationLib.training import TrainingOptions, load_trained, set_backend, train

CASES = [bright_case(seed) for seed in range(4)]
UNSEEN = [bright_case(seed) for seed in (10, 11)]
OPTIONS = TrainingOptions(epochs=3, learning_rate=1e-2, width=2, loss="dice+wbce", loss_parameters={"weight": 5.0})


def run(folder, options=OPTIONS, training=CASES, **more):
    return train(training, UNSEEN, folder, options, **more)


def losses(result):
    return [row["loss"] for row in result.history]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One longer run that several tests look at."""
    reports = []
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = run(folder, replace(OPTIONS, epochs=12), progress=reports.append)
    return result, reports


def test_training_lowers_the_loss_on_unseen_cases(trained):
    result, _ = trained
    assert result.best_value < 0.5 * result.history[0]["val_loss"]
    assert result.ended_by == "epochs"


def test_the_best_epoch_is_the_one_with_the_lowest_validation_loss(trained):
    result, _ = trained
    values = [row["val_loss"] for row in result.history]
    assert result.best_epoch == 1 + int(np.argmin(values))
    assert result.best_value == min(values)


def test_the_weights_are_those_of_the_best_epoch(trained):
    from LaminaSegmentationLib.losses import create_loss
    from LaminaSegmentationLib.samples import cube_labels

    result, _ = trained
    model = load_trained(result.weights, OPTIONS, GRID)
    loss = create_loss(OPTIONS.loss, **OPTIONS.loss_parameters)
    values = []
    for case in UNSEEN:
        probability = model.predict_on_batch(case.grid[None, ..., None].astype(np.float32))
        values.append(float(loss(cube_labels(GRID, case.centroids)[None, ..., None], probability)))
    assert np.mean(values) == pytest.approx(result.best_value, rel=1e-3)


def test_the_log_repeats_the_history(trained):
    result, _ = trained
    with open(result.weights.with_name("log.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert [float(row["val_loss"]) for row in rows] == [row["val_loss"] for row in result.history]


def test_progress_is_reported_after_each_step(trained):
    result, reports = trained
    assert [(report.epoch, report.step) for report in reports] == [(e, s) for e in range(1, 13) for s in range(1, 5)]
    assert {(report.epochs, report.steps) for report in reports} == {(12, 4)}
    assert reports[3].loss == pytest.approx(result.history[0]["loss"])
    assert all(report.seconds_left >= 0 for report in reports)
    assert reports[-1].seconds_left < reports[10].seconds_left


def test_nothing_but_the_four_files_is_left(trained):
    result, _ = trained
    assert sorted(path.name for path in result.weights.parent.iterdir()) == [
        "best.weights.h5",
        "log.csv",
        "log.tfevents",
        "state.npz",
    ]


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    unbroken = run(tmp_path / "a")
    run(tmp_path / "b", replace(OPTIONS, epochs=1))
    resumed = run(tmp_path / "b", resume=True)
    assert losses(resumed) == losses(unbroken)
    assert [row["val_loss"] for row in resumed.history] == [row["val_loss"] for row in unbroken.history]
    first, second = (load_trained(result.weights, OPTIONS, GRID).get_weights() for result in (unbroken, resumed))
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one, other)


def test_the_seed_determines_a_run(tmp_path):
    short = replace(OPTIONS, epochs=1)
    first, again, other = (run(tmp_path / name, replace(short, seed=seed)) for name, seed in zip("abc", (1, 1, 2)))
    assert losses(first) == losses(again) != losses(other)


def test_ctrl_c_keeps_the_best_epoch_and_can_be_resumed(tmp_path):
    def interrupt(report):
        if (report.epoch, report.step) == (2, 3):
            raise KeyboardInterrupt

    result = run(tmp_path / "a", progress=interrupt)
    assert (result.ended_by, result.best_epoch, len(result.history)) == ("user", 1, 1)
    assert result.weights.is_file()
    assert losses(run(tmp_path / "a", resume=True)) == losses(run(tmp_path / "b"))


def test_ctrl_c_in_the_first_epoch_leaves_nothing_to_keep(tmp_path):
    def interrupt(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", progress=interrupt)
    assert list((tmp_path / "a").iterdir()) == []


@pytest.fixture
def clock(monkeypatch):
    """Each look at the clock takes a second."""
    ticks = itertools.count()
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: float(next(ticks)))


def test_the_time_limit_cuts_an_epoch_short_and_keeps_it(tmp_path, clock):
    options = replace(OPTIONS, epochs=50, steps_per_epoch=30, max_seconds=40.0, schedule="cosine")
    reports = []
    result = run(tmp_path / "a", options, progress=reports.append)
    assert result.ended_by == "time"
    assert len(result.history) < 50
    assert 0 < result.history[-1]["steps"] < 30
    assert result.weights.is_file()
    assert result.history[-1]["learning_rate"] < 0.1 * OPTIONS.learning_rate
    assert all(report.seconds_left <= 40 for report in reports)


def test_no_time_at_all_is_refused(tmp_path, clock):
    with pytest.raises(LaminaError, match="allow more seconds"):
        run(tmp_path / "a", replace(OPTIONS, max_seconds=0.5))


def test_the_cosine_schedule_ends_at_a_hundredth(tmp_path):
    options = replace(OPTIONS, epochs=4, steps_per_epoch=1, schedule="cosine", learning_rate=1.0)
    rates = [row["learning_rate"] for row in run(tmp_path / "a", options).history]
    # Shares 0, 1/4, 1/2 and 3/4 of the way down a half wave from 1 to 0.01.
    np.testing.assert_allclose(rates, [1, 0.01 + 0.99 * (2 + 2**0.5) / 4, 0.505, 0.01 + 0.99 * (2 - 2**0.5) / 4])


def test_the_learning_rate_of_the_schedule_reaches_the_optimizer(tmp_path):
    frozen = replace(OPTIONS, epochs=1, learning_rate=1e-12)
    result = run(tmp_path / "a", frozen)
    start = run(tmp_path / "b", replace(frozen, learning_rate=1e-2))
    assert result.history[0]["val_loss"] != start.history[0]["val_loss"]


def test_steps_per_epoch_may_exceed_the_cases_and_batches_may_be_larger(tmp_path):
    result = run(tmp_path / "a", replace(OPTIONS, epochs=1, steps_per_epoch=7, batch_size=3))
    assert result.history[0]["steps"] == 7


def test_each_round_shows_every_case_once():
    order = training_module._order(4, 10, np.random.default_rng(0))
    assert sorted(order[:4]) == sorted(order[4:8]) == [0, 1, 2, 3]
    assert len(order) == 10


def test_a_batch_is_used_up_before_the_next(tmp_path, monkeypatch):
    drawn = []
    draw = training_module.draw_sample

    def spy(case, augmentation, generator):
        drawn.append(case.name)
        return draw(case, augmentation, generator)

    monkeypatch.setattr(training_module, "draw_sample", spy)
    run(tmp_path / "a", replace(OPTIONS, epochs=1, batch_size=2))
    assert sorted(drawn) == ["case0", "case1", "case2", "case3"]


def test_training_on_crops_is_validated_on_whole_grids(tmp_path):
    seen = []

    def rows(probability, case):
        seen.append(probability.shape)
        return float(case.grid.shape[0])

    options = replace(OPTIONS, epochs=1, augmentation=Augmentation(crop_rows=16, shift=1, gain=0.1, noise=0.1))
    result = run(tmp_path / "a", options, metrics={"rows": rows})
    assert seen == [GRID, GRID]
    assert result.history[0]["val_rows"] == GRID[0]


def test_another_metric_may_choose_the_best_epoch(tmp_path):
    scores = iter([3.0, 3.0, 1.0, 1.0, 2.0, 2.0])
    options = replace(OPTIONS, monitor="val_distance")
    result = run(tmp_path / "a", options, metrics={"distance": lambda probability, case: next(scores)})
    assert (result.best_epoch, result.best_value) == (2, 1.0)


def test_mixed_precision_trains(tmp_path):
    result = run(tmp_path / "a", replace(OPTIONS, epochs=6, precision="mixed_bfloat16"))
    assert result.best_value < result.history[0]["val_loss"]


def test_initial_weights_are_the_start(trained, tmp_path):
    result, _ = trained
    options = replace(OPTIONS, epochs=1, learning_rate=1e-9)
    tuned = run(tmp_path / "a", options, initial_weights=result.weights)
    assert tuned.best_value == pytest.approx(result.best_value, rel=0.3)
    assert tuned.best_value < 0.6 * run(tmp_path / "b", options).best_value


def test_a_folder_with_a_run_is_not_overwritten(trained):
    result, _ = trained
    with pytest.raises(LaminaError, match="already holds a training run"):
        run(result.weights.parent)


def test_a_run_is_gone_on_with_only_under_its_own_options(trained):
    result, _ = trained
    with pytest.raises(LaminaError, match="another learning_rate, seed"):
        run(result.weights.parent, replace(OPTIONS, seed=5, learning_rate=0.5), resume=True)
    with pytest.raises(LaminaError, match="another cases"):
        run(result.weights.parent, replace(OPTIONS, steps_per_epoch=4), training=CASES[:2], resume=True)


def test_a_damaged_state_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "state.npz").write_bytes(b"PK no archive")
    with pytest.raises(LaminaError, match=r"state\.npz"):
        run(tmp_path / "a", resume=True)


def test_weights_of_another_width_are_refused(trained):
    result, _ = trained
    with pytest.raises(LaminaError, match="do not fit this network"):
        load_trained(result.weights, replace(OPTIONS, width=4), GRID)
    with pytest.raises(LaminaError, match="no weights"):
        load_trained(result.weights.with_name("none.weights.h5"), OPTIONS, GRID)


def test_a_loss_that_is_no_number_ends_training(tmp_path):
    broken = TrainingCase(np.full(GRID, np.nan, np.float32), np.array([[5.0, 5.0, 5.0]]))
    with pytest.raises(LaminaError, match="lower the learning rate"):
        run(tmp_path / "a", training=[broken])


def test_a_grid_that_cannot_be_pooled_is_refused(tmp_path):
    odd = TrainingCase(np.zeros((30, 16, 8), np.float32), np.array([[5.0, 5.0, 5.0]]))
    with pytest.raises(LaminaError, match="multiple of 8"):
        run(tmp_path / "a", training=[odd])


def test_training_without_cases_is_refused(tmp_path):
    with pytest.raises(LaminaError, match="at least one"):
        run(tmp_path / "a", training=[])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"max_seconds": 0.0}, "max_seconds"),
        ({"schedule": "step"}, "constant, cosine"),
        ({"backend": "mxnet"}, "tensorflow, torch, jax"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(LaminaError, match=message):
        replace(OPTIONS, **options)


def test_a_monitor_that_is_not_measured_is_refused(tmp_path):
    with pytest.raises(LaminaError, match='"val_d3d" cannot choose'):
        run(tmp_path / "a", replace(OPTIONS, monitor="val_d3d"))


def test_a_backend_cannot_be_changed_once_keras_runs():
    import keras

    current = keras.backend.backend()
    other = "jax" if current != "jax" else "torch"
    assert set_backend(None) == set_backend(current) == current
    with pytest.raises(LaminaError, match=f"already runs on {current}"):
        set_backend(other)


TRAIN = """
import json, sys
from dataclasses import replace
from test_training import OPTIONS, run
options = replace(OPTIONS, epochs=4, width=4, backend=sys.argv[2], steps_per_epoch=16)
run(sys.argv[1], replace(options, epochs=2))
result = run(sys.argv[1], options, resume=True)
import keras
print(json.dumps([keras.backend.backend(), [row["val_loss"] for row in result.history], result.weights.is_file()]))
"""


def test_tensorflow_trains_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    used, values, kept = run_python(TRAIN, "torch", tmp_path / "run", "tensorflow")
    assert used == "tensorflow"
    assert len(values) == 4
    assert min(values) < 0.8 * values[0]
    assert kept
