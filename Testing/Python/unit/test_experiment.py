"""What an experiment trains, how its results come together, and what is refused; no network is trained here."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import __main__, experiment_command
from LaminaSegmentationLib.console import Console
from LaminaSegmentationLib.experiment import (
    ARMS,
    Folder,
    Record,
    Run,
    Settings,
    choices_of,
    parse_arms,
    parse_seeds,
    runs_of,
    write_json,
)
from LaminaSegmentationLib.experiment_data import dataset_data, make_cases, missing_cases, simulated_data
from LaminaSegmentationLib.experiment_pool import Pool, TrainingFailed
from LaminaSegmentationLib.experiment_worker import load_mask, remove_leftovers
from LaminaSegmentationLib.shown_trainings import ShownTrainings

DATA = simulated_data("clinic", 1.0, 1_000_000, 700_000, 7, (5, 1, 1))
SETTINGS = Settings(DATA, [192, 48, 24], "paper", 16, 200, None, None, 1e-4, "float32")


def arguments(*given):
    return __main__.parser().parse_args(["experiment", "-o", "unused", *given])


# What is trained


def test_all_five_arms_are_the_default_and_dice_is_trained_once():
    arms = parse_arms(None)
    assert [arm.name for arm in arms] == ["dice", "wbce", "centroid", "lamina_dice", "dice_by_d3d"]
    runs = runs_of(arms, [0, 1])
    assert [run.name for run in runs] == [
        f"{loss}-{seed}" for seed in (0, 1) for loss in ("dice", "wbce", "centroid", "lamina_dice")
    ]
    assert choices_of(arms, "dice") == ["val_loss", "val_d3d"]
    assert choices_of(arms, "centroid") == ["val_loss"]


def test_arms_and_seeds_that_make_no_sense_are_refused():
    assert [arm.name for arm in parse_arms("centroid, dice,dice")] == ["centroid", "dice"]
    assert parse_seeds("3,1,3") == [3, 1]
    for text in ("dice,dise", "", ","):
        with pytest.raises(LaminaError, match="lamina_dice"):
            parse_arms(text)
    for text in ("a", "", "0,-1", "1;2"):
        with pytest.raises(LaminaError, match="0,1,2"):
            parse_seeds(text)


def test_training_is_the_papers():
    options = SETTINGS.training_options(Run("centroid", 7), "jax")
    assert (options.learning_rate, options.batch_size, options.epochs) == (1e-4, 1, 200)
    assert (options.monitor, options.also, options.loss, options.seed) == ("val_loss", ("val_d3d",), "centroid", 7)
    assert (options.augmentation.flip_probability, options.augmentation.crop_rows) == (0.5, None)
    assert not any(getattr(options.augmentation, name) for name in ("shift", "gain", "noise", "band_probability"))
    assert (options.preset, options.width, options.backend) == ("paper", 16, "jax")


def test_training_and_test_scans_have_seeds_on_either_side_of_a_million():
    data = simulated_data("clinic", None, 1_000_000, 999_990, 70, (50, 10, 10))
    assert data["scans"] == [50, 10, 10]
    assert simulated_data("clinic", None, 1_000_000, 0, 13, (50, 10, 10))["scans"] == [9, 2, 2]
    with pytest.raises(LaminaError, match="train on seeds from 1000000"):
        simulated_data("clinic", None, 999_999, 0, 70, (50, 10, 10))
    with pytest.raises(LaminaError, match="test scans have seeds from 0"):
        simulated_data("clinic", None, 1_000_000, 999_991, 70, (50, 10, 10))
    with pytest.raises(LaminaError, match="too few"):
        simulated_data("clinic", None, 1_000_000, 0, 3, (50, 10, 10))
    with pytest.raises(LaminaError, match="validation and test"):
        simulated_data("clinic", None, 1_000_000, 0, 70, (50, 0, 10))


def test_each_scan_is_made_from_its_own_seed(tmp_path):
    missing = missing_cases(Folder(tmp_path), SETTINGS, None, None)
    seeds = {path.name: make.args[0] for path, make in missing}
    assert seeds == {
        **{f"training-00{number}.npz": 1_000_000 + number for number in range(5)},
        "validation-000.npz": 1_000_005,
        "test-000.npz": 700_000,
    }
    assert {make.args[1] for _, make in missing} == {1.0}
    assert {tuple(make.args[3].shape) for _, make in missing} == {(192, 48, 24)}
    varied = replace(SETTINGS, data={**DATA, "spacing_mm": None})
    assert {make.args[1] for _, make in missing_cases(Folder(tmp_path), varied, None, None)} > {0.38, 0.5}


def test_scans_that_are_there_are_not_made_again(tmp_path):
    folder = Folder(tmp_path)
    folder.cases.mkdir()
    (folder.cases / "training-000.npz").touch()
    assert len(missing_cases(folder, SETTINGS, None, None)) == 6
    assert list(make_cases([], workers=2)) == []
    with pytest.raises(LaminaError, match=r"training-000.npz.*delete it"):
        folder.load_cases(SETTINGS, "training")


def write_dataset(folder, patients, **more):
    lists = {}
    for split, names in patients.items():
        lists[split] = [{"image": f"{name}.nrrd", "label": f"{name}.mrk.json", "patient": name} for name in names]
        for name in names:
            (folder / f"{name}.nrrd").write_bytes(b"")
            (folder / f"{name}.mrk.json").write_text("{}")
    path = folder / "dataset.json"
    path.write_text(json.dumps({**more, **lists}))
    return path


def test_a_dataset_needs_three_lists_and_no_evaluation_seeds(tmp_path):
    whole = {"training": ["a", "b"], "validation": ["c"], "test": ["simulated-clinic-3"]}
    data = dataset_data(write_dataset(tmp_path, whole, style="clinic", style_version=2))
    assert (data["scans"], data["dataset"], data["style"]) == ([2, 1, 1], "dataset.json", "clinic")
    other = dataset_data(write_dataset(tmp_path, {**whole, "training": ["a", "d"]}))
    assert other["content"] != data["content"]
    assert not replace(SETTINGS, data=other).simulated
    with pytest.raises(LaminaError, match=r"'test'.*is empty"):
        dataset_data(write_dataset(tmp_path, {**whole, "test": []}))
    with pytest.raises(LaminaError, match="seed 3"):
        dataset_data(write_dataset(tmp_path, {**whole, "training": ["simulated-clinic-3"], "test": ["a"]}))


# The command line


@pytest.mark.parametrize(
    "given, said",
    [
        (["--learning-rate", "0"], "--learning-rate"),
        (["--learning-rate", "nan"], "--learning-rate"),
        (["--epochs", "0"], "--epochs"),
        (["--steps", "0"], "--steps"),
        (["--width", "0"], "--width"),
        (["--preset", "huge"], "preset"),
        (["--style", "cartoon"], "style"),
        (["--spacing", "9"], "--spacing"),
        (["--crop-rows", "31"], "multiple of 8"),
        (["--crop-rows", "400"], "only 384 rows"),
        (["--split", "50,10"], "three whole numbers"),
        (["--scans", "2"], "--scans"),
        (["--seed", "5"], "seeds from 1000000"),
        (["--max-minutes", "0"], "--max-minutes"),
    ],
)
def test_a_bad_value_is_told_before_anything_is_made(tmp_path, given, said):
    with pytest.raises(LaminaError, match=said):
        experiment_command.read_settings(arguments(*given), Folder(tmp_path))


def test_left_out_the_scale_is_the_papers_or_a_miniatures(tmp_path):
    full = experiment_command.read_settings(arguments(), Folder(tmp_path))
    assert (full.data["scans"], full.epochs, full.learning_rate, full.grid) == ([50, 10, 10], 200, 1e-4, [384, 96, 48])
    assert (full.preset, full.width, full.steps, full.crop_rows, full.miniature) == ("paper", 16, None, None, False)
    small = experiment_command.read_settings(arguments("--miniature", "--width", "2"), Folder(tmp_path))
    assert (small.miniature, small.width, small.crop_rows) == (True, 2, 32)


def test_only_a_trained_arm_is_published():
    arms = parse_arms("dice,centroid")
    with pytest.raises(LaminaError, match="choose one of the arms dice, centroid"):
        experiment_command._arm_to_publish(arguments("--publish", "wbce"), arms)
    with pytest.raises(LaminaError, match="learned nothing"):
        experiment_command._arm_to_publish(arguments("--publish", "dice", "--miniature"), arms)
    with pytest.raises(LaminaError, match="name of a model"):
        experiment_command._arm_to_publish(arguments("--publish", "dice", "--name", "a/b"), arms)
    assert experiment_command._arm_to_publish(arguments("--publish", "centroid"), arms) is ARMS["centroid"]


def test_a_second_command_on_the_same_folder_is_refused(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from LaminaSegmentationLib.experiment_command import only_one\n"
        "with only_one(Path(sys.argv[1])): print('entered')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with experiment_command.only_one(tmp_path):
        refused = subprocess.run(command, capture_output=True, text=True)
    assert "Another command is at work" in refused.stderr
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "entered\n"


def test_the_time_left_counts_waiting_trainings(capsys):
    shown = ShownTrainings(Console(machine=True), total=4, places=lambda: 2)
    assert shown.seconds_left() is None
    step = {"event": "training", "epochs": 10, "steps": 5, "step": 5, "loss": 1.0}
    shown.show({**step, "run": "dice-0", "epoch": 2, "seconds_left": 80.0})
    shown.show({**step, "run": "wbce-0", "epoch": 2, "seconds_left": 80.0})
    # Each training takes 100 s: 160 s at work and 200 s waiting, shared by two processes.
    assert shown.seconds_left() == pytest.approx(180.0)
    shown.show({"event": "finished", "run": "dice-0"})
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event["fraction"] == pytest.approx((1 + 0.2) / 4)
    assert event["seconds_left"] == pytest.approx(140.0)


# The folder


def recorded(path, settings=SETTINGS, arms="dice,centroid", seeds=(0,)):
    folder = Folder(path)
    Record(folder, settings, parse_arms(arms), list(seeds)).write()
    return folder


def test_changed_settings_are_named_and_refused(tmp_path):
    folder = recorded(tmp_path)
    folder.check(SETTINGS)
    changed = replace(SETTINGS, learning_rate=1e-3, data={**DATA, "style": "clear"})
    with pytest.raises(LaminaError, match=r"style \(clinic, now clear\), learning_rate \(0.0001, now 0.001\)"):
        folder.check(changed)
    assert folder.settings() == SETTINGS


def test_arms_and_seeds_may_be_added_later(tmp_path):
    recorded(tmp_path)
    content = recorded(tmp_path, arms="lamina_dice", seeds=[4]).read()
    assert (content["arms"], content["training_seeds"]) == (["dice", "centroid", "lamina_dice"], [0, 4])
    assert not content["complete"]
    assert content["runs"] == dict.fromkeys(
        ["dice-0", "centroid-0", "lamina_dice-0", "dice-4", "centroid-4", "lamina_dice-4"]
    )


def test_an_old_experiment_is_set_aside_whole(tmp_path):
    folder = recorded(tmp_path)
    (tmp_path / "runs").mkdir()
    folder.set_aside()
    folder.set_aside()
    recorded(tmp_path)
    folder.set_aside()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old-1", "old-2"]
    assert sorted(path.name for path in (tmp_path / "old-1").iterdir()) == ["experiment.json", "runs"]


def test_a_damaged_record_is_told(tmp_path):
    (tmp_path / "experiment.json").write_text('{"settings": {}}')
    with pytest.raises(LaminaError, match="cannot be read"):
        Folder(tmp_path).read()


def test_json_has_null_for_what_is_not_a_number(tmp_path):
    write_json({"a": [math.nan, 1.5], "b": {"c": np.inf}}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, 1.5], "b": {"c": None}}


def test_maps_come_back_from_their_bits(tmp_path):
    masks = np.random.default_rng(0).random((3, 5, 4, 3)) > 0.7
    path = tmp_path / "runs" / "dice-0"
    path.mkdir(parents=True)
    np.savez_compressed(path / "test_masks_val_loss.npz", masks=[np.packbits(mask) for mask in masks])
    found = load_mask(Folder(tmp_path), Run("dice", 0), "val_loss", 1, (5, 4, 3))
    np.testing.assert_array_equal(found, masks[1])


def test_what_a_killed_process_left_is_removed(tmp_path):
    for name in (".0123456789ab-state.npz", "state.npz", ".hidden"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "state.npz"]


# The processes


JOB = {"job": "train", "loss": "dice", "seed": 0, "choices": ["val_loss"], "backend": None}


def test_what_a_worker_cannot_do_is_told_with_its_training(tmp_path):
    with (
        Pool(Folder(tmp_path), 1) as pool,
        pytest.raises(TrainingFailed, match="dice-0 failed: There is no experiment"),
    ):
        list(pool.run([JOB], None))
    assert not pool.completed


def test_a_defect_in_a_worker_names_its_log(tmp_path):
    job = {key: value for key, value in JOB.items() if key != "backend"}
    said = r"dice-0 failed unexpectedly \(KeyError: 'backend'\).*worker-1.log"
    with Pool(Folder(tmp_path), 1) as pool, pytest.raises(TrainingFailed, match=said):
        list(pool.run([job], None))
    assert "Traceback" in (tmp_path / "logs" / "worker-1.log").read_text()


def test_a_worker_that_dies_is_noticed(tmp_path):
    class Deadly(Pool):
        def _give(self, index, waiting):
            super()._give(index, waiting)
            self._workers[index].kill()

    with (
        Deadly(Folder(tmp_path), 1) as pool,
        pytest.raises(TrainingFailed, match=r"dice-0 ended unexpectedly \(code -9"),
    ):
        list(pool.run([JOB], None))


def test_a_worker_without_a_job_ends_with_its_input(tmp_path):
    with Pool(Folder(tmp_path), 2) as pool:
        pool._start(0)
        assert list(pool.run([], None)) == []
    assert pool.completed
    assert [worker.returncode for worker in pool._workers] == [0]


def test_the_library_file_of_the_command_starts_without_keras():
    code = (
        "import sys, LaminaSegmentationLib.experiment_command, LaminaSegmentationLib.experiment_report\n"
        "print([name for name in ('keras', 'torch', 'tensorflow', 'jax', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
