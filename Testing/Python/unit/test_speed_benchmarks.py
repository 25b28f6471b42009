"""The arithmetic of the commands under Testing/benchmarks that measure speed; they themselves assert no time."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def command(name):
    """Return a command as a module under a name of its own."""
    specification = importlib.util.spec_from_file_location(f"{name}_command", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def one_round(network, others, product, memory=40.0, peak=1000.0):
    seconds = {"read": others, "preprocess": others, "network": network, "localization": others, "write": others}
    run = {"wall_s": 5.0, "peak_mb": peak, "first_voxel_s": 0.4, "result": {"seconds": seconds}}
    return {
        "products": {"NumPy": product / 2, "OpenVINO": product},
        "copying": memory,
        "network_s": network / 2,
        "help_s": 0.1,
        "one click": run,
        "--low-memory": {**run, "peak_mb": peak / 2},
    }


def test_one_click_takes_its_ratios_within_a_round():
    # The machine is twice as slow in the second round, in everything; the third is alike the first.
    rounds = [one_round(1.0, 0.1, 200.0), one_round(2.0, 0.2, 100.0, memory=20.0), one_round(1.0, 0.1, 200.0)]
    figures = command("one_click").summarize(rounds, gflop=150.0, megabytes=50.0)
    goals = figures["goals"]
    assert goals["network"] == pytest.approx(0.75)
    assert goals["network_repeated"] == pytest.approx(1.5)
    assert goals["rest"] == pytest.approx(0.4 / 1.4)
    assert (goals["peak_mb"], goals["low_memory_peak_mb"]) == (1000.0, 500.0)
    # 50 MB at 40 GB/s are 1.25 ms.
    assert figures["preprocess_over_reading_once"] == pytest.approx(80.0)
    assert figures["stages"]["one click"]["sum"] == pytest.approx(1.4)
    assert sum(figures["shares"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("value", "goal", "direction", "ending"),
    [
        (0.6, 0.6, "at least", "met."),
        (0.3, 0.6, "at least", "missed by 50%."),
        (900, 800, "at most", "missed by 12%."),
        (800, 800, "at most", "met."),
        (None, 800, "at most", "not known on this system."),
    ],
)
def test_one_click_says_whether_a_goal_is_met(value, goal, direction, ending):
    assert command("one_click").judge("It", value, goal, direction).endswith(ending)


def test_one_click_makes_a_scan_of_just_that_size_with_its_truth_in_place():
    one_click = command("one_click")
    volume, truth = one_click.make_scan(3, (300, 100, 80))
    assert volume.shape == (300, 100, 80)
    index = volume.to_index(np.array(list(truth.positions().values())))
    assert (index > 0).all() and (index < np.array(volume.shape) - 1).all()
    # It spans what the scan it was made of spans: 0.38 mm voxels of a spine of 30 to 50 cm.
    assert 300 < volume.extent_mm[0] < 500


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("one_click", ["--rounds", "0"]),
        ("one_click", ["--shape", "10", "10", "10"]),
        ("one_click", ["--seed", "1000000"]),
        ("precision", ["--scans", "0"]),
        ("training", ["--epochs", "1"]),
        ("training", ["--rows", "100"]),
    ],
)
def test_options_that_cannot_be_are_refused(name, wrong, capsys):
    with pytest.raises(SystemExit) as refused:
        command(name).parse(wrong)
    assert refused.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_training_leaves_out_the_first_epoch_and_the_first_step_of_each():
    clock = SimpleNamespace(steps=[], drawing=[])
    at = 0.0
    for epoch in range(3):
        for step in range(3):
            # Compiling, and the first step of an epoch, take longer.
            seconds = 50.0 if epoch == 0 else 10.0 if step == 0 else 2.0
            clock.steps.append((at, at + seconds))
            at += seconds + 0.5
            clock.drawing.append(9.0 if epoch == 0 else 0.1)
    figures = command("training").summarize(clock, [[99.0] * 3, [4.0] * 3, [6.0] * 3], steps=3)
    assert figures["step_s"] == pytest.approx(2.0)
    assert figures["between_s"] == pytest.approx(0.5)
    assert figures["not_the_network"] == pytest.approx(0.2)
    assert figures["if_drawn_in_between"] == pytest.approx(0.6 / 2.6)
    assert figures["monai_over_ours"] == pytest.approx(2.5)
    assert figures["monai_step_s"] == pytest.approx(5.0)


def test_the_work_of_a_small_network_by_hand():
    one, two = (command("training").forward_gflop(width, 8) for width in (2, 4))
    # From the second convolution on the work grows with the square of the width, in the first with the width.
    first = 2 * 8 * 96 * 48 * 27 * 2 / 1e9
    last = 2 * 8 * 96 * 48 * 2 / 1e9
    assert two - 2 * (first + last) == pytest.approx(4 * (one - first - last), rel=1e-6)


def test_precision_counts_what_moves_and_what_is_only_in_one(monkeypatch):
    precision = command("precision")
    truth = {"T1L": np.zeros(3), "T1R": np.array([10.0, 0, 0])}
    found = iter([{"T1L": np.array([0.3, 0, 0])}, {**truth}])
    monkeypatch.setattr(precision, "find_laminae", lambda *arguments: next(found))
    scans, plain = [(None, truth)] * 2, [dict(truth), dict(truth)]
    figures, _ = precision.judged(scans, [None, None], plain, None)
    assert figures["recall"] == 0.75
    assert figures["missed_per_scan"] == 0.5
    assert figures["only_in_one"] == 1
    assert figures["moved_most_mm"] == pytest.approx(0.3)
    assert figures["error_mm"] == pytest.approx(0.1)
    assert figures["scans_named_right"] == 2
