"""The `lamina` commands as a user types them, with the shipped model."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_curve, read_laminae
from LaminaLabelingLib.volumes import read_volume, write_volume
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.commands import output_folder, score, staged

FILES = {
    "laminae.mrk.json",
    "laminae.csv",
    "laminae.seg.nrrd",
    "spinous_column.mrk.json",
    "overlay.png",
    "summary.json",
}


@pytest.fixture(scope="module")
def scan_path(coarse_scan, tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.nrrd"
    write_volume(coarse_scan.volume, path)
    return path


@pytest.fixture(scope="module")
def results(scan_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    assert main(["segment", str(scan_path), "-o", str(folder)]) == 0
    return folder


def events(text):
    return [json.loads(line) for line in text.splitlines()]


# What a good run leaves


def test_segment_writes_its_files_and_nothing_else(results):
    assert {path.name for path in results.iterdir()} == FILES


def test_most_simulated_laminae_are_found(results, coarse_scan):
    figures = score(coarse_scan.truth, read_laminae(results / "laminae.mrk.json"))
    assert figures["found"] >= 27
    assert figures["false"] <= 5


def test_all_files_tell_the_same_laminae(results):
    points = read_laminae(results / "laminae.mrk.json").positions()
    table = read_laminae(results / "laminae.csv").positions()
    assert points.keys() == table.keys()
    for name, position in points.items():
        assert np.allclose(position, table[name], atol=1e-3)
    segments = sitk.ReadImage(str(results / "laminae.seg.nrrd"))
    names = [segments.GetMetaData(key) for key in segments.GetMetaDataKeys() if key.endswith("_Name")]
    assert sorted(names) == sorted(points)
    for name, position in points.items():
        index = segments.TransformPhysicalPointToIndex([float(-position[0]), float(-position[1]), float(position[2])])
        assert segments[index] != 0, name


def test_the_table_has_the_agreed_columns(results):
    with open(results / "laminae.csv", encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream))
    assert header == ["name", "r_mm", "a_mm", "s_mm", "review", "source", "confidence"]


def test_found_laminae_wait_for_review(results):
    for lamina in read_laminae(results / "laminae.mrk.json").values():
        if lamina.position is not None:
            assert lamina.review == "unreviewed"
            assert lamina.source == "detected"
            assert 0.0 < lamina.confidence <= 1.0


def test_the_column_runs_down_the_midline(results, coarse_scan):
    column = read_curve(results / "spinous_column.mrk.json")
    truth = coarse_scan.midline
    right = np.interp(truth[::-1, 2], column[::-1, 2], column[::-1, 0])
    assert np.abs(right - truth[::-1, 0]).mean() < 3.0


def test_the_summary_says_what_ran(results):
    summary = json.loads((results / "summary.json").read_text())
    assert summary["model"]["name"] == DEFAULT_MODEL
    assert summary["engine"]
    assert set(summary["seconds"]) == {"read", "preprocess", "network", "localization", "write"}
    assert summary["intended_use"] == "research only"
    assert set(summary["files"].values()) == FILES


def test_json_lines_tell_stages_and_the_result(scan_path, tmp_path, capsys):
    assert main(["segment", str(scan_path), "-o", str(tmp_path / "out"), "--json"]) == 0
    told = events(capsys.readouterr().out)
    stages = [event["stage"] for event in told if event["event"] == "stage"]
    assert stages == ["read", "preprocess", "network", "localization", "write"]
    assert told[-1]["event"] == "result"
    assert all(os.path.isfile(path) for path in told[-1]["files"].values())  # noqa: PTH113


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_other_formats_give_the_same_points(coarse_scan, results, tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    write_volume(coarse_scan.volume, path)
    assert main(["segment", str(path), "-o", str(tmp_path / "out")]) == 0
    first = read_laminae(results / "laminae.mrk.json").positions()
    second = read_laminae(tmp_path / "out" / "laminae.mrk.json").positions()
    assert first.keys() == second.keys()
    for name in first:
        assert np.allclose(first[name], second[name], atol=0.05)


def test_a_scan_stored_in_other_axes_gives_the_same_points(scan_path, results, tmp_path):
    image = sitk.ReadImage(str(scan_path))
    stored = sitk.Flip(sitk.PermuteAxes(image, [1, 2, 0]), [True, False, True])
    sitk.WriteImage(stored, str(tmp_path / "turned.nrrd"))
    assert main(["segment", str(tmp_path / "turned.nrrd"), "-o", str(tmp_path / "out")]) == 0
    first = read_laminae(results / "laminae.mrk.json").positions()
    second = read_laminae(tmp_path / "out" / "laminae.mrk.json").positions()
    assert first.keys() == second.keys()
    for name in first:
        assert np.allclose(first[name], second[name], atol=0.05)


def test_the_phantom_finishes_and_is_called_partial(phantom_path, tmp_path):
    assert main(["segment", str(phantom_path), "--axes", "RIA", "-o", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "partial scan" in " ".join(summary["warnings"])
    assert not summary["named"]


def test_demo_scores_against_the_simulated_truth(tmp_path):
    assert main(["demo", "--seed", "5", "--spacing", "1.0", "-o", str(tmp_path / "demo")]) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["found"] + summary["missed"] == 34
    assert summary["found"] >= 27
    assert summary["false"] <= 5
    assert summary["mean_error_mm"] < 5.0
    again = score(
        read_laminae(tmp_path / "demo" / "truth.mrk.json"), read_laminae(tmp_path / "demo" / "laminae.mrk.json")
    )
    assert again["found"] == summary["found"]


def test_evaluation_seeds_are_never_trained_on(tmp_path, capsys):
    given = ["simulate", "-n", "2", "--seed", "40", "--spacing", "2.0", "--split", "1,1,0", "-o", str(tmp_path / "d")]
    assert main(given) == 0
    capsys.readouterr()
    assert main(["train", "--data", str(tmp_path / "d" / "dataset.json"), "-o", str(tmp_path / "out")]) == 2
    assert "seed 4" in capsys.readouterr().err


def test_simulate_writes_scans_truth_and_dataset(tmp_path):
    given = ["simulate", "-n", "3", "--seed", "40", "--spacing", "1.5", "--split", "1,1,1", "-o", str(tmp_path / "d")]
    assert main(given) == 0
    dataset = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert [len(dataset[split]) for split in ("training", "validation", "test")] == [1, 1, 1]
    for split in ("training", "validation", "test"):
        for entry in dataset[split]:
            assert read_volume(tmp_path / "d" / entry["image"]).array.any()
            assert len(read_laminae(tmp_path / "d" / entry["label"]).positions()) == 34


# What a bad one says


def damaged(folder, scan_path, kind):
    """Write a scan that is wrong in one way; return its path."""
    image = sitk.ReadImage(str(scan_path))
    path = folder / "bad.nrrd"
    if kind == "missing":
        return folder / "none.nrrd"
    if kind == "png":
        path = folder / "picture.png"
        sitk.WriteImage(image[:, :, 100], str(path))
        return path
    if kind == "png called nrrd":
        sitk.WriteImage(image[:, :, 100], str(folder / "picture.png"))
        shutil.copy(folder / "picture.png", path)
        return path
    if kind == "2D":
        image = image[:, :, 100]
    elif kind == "4D":
        image = sitk.JoinSeries([image, image])
        path = folder / "bad.nii.gz"
    elif kind == "RGB":
        image = sitk.Compose(image, image, image)
    elif kind == "constant":
        image = image * 0 + 7
    elif kind == "NaN":
        image = sitk.Cast(image, sitk.sitkFloat32)
        image[20, 20, 20] = float("nan")
    elif kind == "small":
        image = image[:31]
    elif kind == "singular":
        header, data = scan_path.read_bytes().split(b"\n\n", 1)
        lines = header.split(b"\n")
        place = next(number for number, line in enumerate(lines) if line.startswith(b"space directions"))
        lines[place] = b"space directions: (1,0,0) (1,0,0) (0,0,1)"
        path.write_bytes(b"\n".join(lines) + b"\n\n" + data)
        return path
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no file"),
        ("png", "picture.png"),
        ("png called nrrd", "bad.nrrd"),
        ("2D", "2D image"),
        ("4D", "more than three dimensions"),
        ("RGB", "3 "),
        ("constant", "every voxel has the value 7"),
        ("NaN", "NaN"),
        ("small", "32"),
        ("singular", "direction"),
    ],
)
def test_a_bad_scan_gets_one_sentence_and_leaves_nothing(scan_path, tmp_path, capsys, kind, words):
    path = damaged(tmp_path, scan_path, kind)
    assert main(["segment", str(path), "-o", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("lamina: ")
    assert len(printed.err.strip().splitlines()) == 1
    assert words.lower() in printed.err.lower()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("code", ["RRA", "RIX", "RI", "LIA"])
def test_a_bad_axis_code_is_explained(scan_path, tmp_path, capsys, code):
    assert main(["segment", str(scan_path), "--axes", code, "-o", str(tmp_path / "out")]) == 2
    assert code in capsys.readouterr().err


def test_an_unknown_model_lists_the_known_ones(scan_path, tmp_path, capsys):
    assert main(["segment", str(scan_path), "--model", "best", "-o", str(tmp_path / "out")]) == 2
    assert DEFAULT_MODEL in capsys.readouterr().err


def test_a_changed_model_is_refused(scan_path, tmp_path, capsys):
    from LaminaSegmentationLib.models import find_model

    copy = tmp_path / "model"
    shutil.copytree(find_model(DEFAULT_MODEL), copy)
    weights = next(copy.glob("*.bin"))
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(bytes(content))
    assert main(["segment", str(scan_path), "--model", str(copy), "-o", str(tmp_path / "out")]) == 2
    assert weights.name in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--engine", "abacus"), ("--threads", "0")])
def test_a_bad_engine_is_named_before_the_slow_part(scan_path, tmp_path, capsys, monkeypatch, option, value):
    monkeypatch.setattr("LaminaSegmentationLib.commands.segment", lambda *given, **named: pytest.fail("too late"))
    assert main(["segment", str(scan_path), option, value, "-o", str(tmp_path / "out")]) == 2
    assert value in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_named(scan_path, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["segment", str(scan_path), "-o", str(tmp_path / "file" / "out")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_nothing_is_overwritten_without_force(scan_path, tmp_path, capsys):
    (tmp_path / "laminae.mrk.json").write_text("mine")
    assert main(["segment", str(scan_path), "-o", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "laminae.mrk.json").read_text() == "mine"


@pytest.mark.parametrize(
    "given",
    [
        ["simulate", "--seed", "1", "-n", "0"],
        ["simulate", "--seed", "1", "--spacing", "0"],
        ["simulate", "--seed", "1", "--style", "cubist"],
        ["simulate", "--seed", "1", "--split", "a,b"],
        ["demo", "--seed", "1000000"],
        ["train", "--simulated", "2", "--seed", "5"],
        ["train", "--data", "none.json"],
        ["train", "--simulated", "2", "--name", "a/b"],
        ["train", "--simulated", "2", "--name", "training"],
        ["train", "--simulated", "2", "--epochs", "0"],
        ["train", "--simulated", "2", "--crop-rows", "7"],
    ],
)
def test_options_without_sense_end_with_2(given, tmp_path, capsys):
    assert main([*given, "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("lamina: ")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Interrupted"),
        (MemoryError(), 2, "not enough memory"),
        (OSError(28, "No space left on device"), 2, "No space left"),
        (ZeroDivisionError("division by zero"), 1, "--verbose"),
    ],
)
def test_whatever_happens_is_one_sentence_and_leaves_nothing(
    scan_path, tmp_path, capsys, monkeypatch, error, code, words
):
    def fail(*given, **named):
        raise error

    monkeypatch.setattr("LaminaSegmentationLib.overlay.draw_overlay", fail)
    assert main(["segment", str(scan_path), "-o", str(tmp_path / "out")]) == code
    printed = capsys.readouterr().err.strip().splitlines()
    assert words in printed[-1]
    assert printed[-1].startswith("lamina: ")
    assert not any("Traceback" in line for line in printed)
    assert not (tmp_path / "out").exists()


def test_a_run_that_ended_meanwhile_is_not_overwritten(tmp_path):
    with pytest.raises(LaminaError, match="not empty"), staged(tmp_path, replace=False) as temporary:
        (temporary / "laminae.csv").write_text("second")
        (tmp_path / "laminae.csv").write_text("first")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["first"]


def test_what_a_killed_run_left_does_not_count(tmp_path):
    (tmp_path / ".partial-dead").mkdir()
    with output_folder(tmp_path, force=False), staged(tmp_path, replace=False) as temporary:
        (temporary / "laminae.csv").write_text("new")
    assert (tmp_path / "laminae.csv").read_text() == "new"


def test_a_terminated_run_leaves_nothing(tmp_path):
    given = [
        sys.executable,
        "-m",
        "LaminaSegmentationLib",
        "demo",
        "--seed",
        "3",
        "-o",
        str(tmp_path / "out"),
        "--json",
    ]
    with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert json.loads(process.stdout.readline())["stage"] == "simulate"
        process.terminate()
        told = [json.loads(line) for line in process.stdout]
    assert process.returncode == 130
    assert told[-1]["event"] == "error"
    assert not (tmp_path / "out").exists()


def test_errors_are_json_for_machines(tmp_path, capsys):
    assert main(["segment", "none.nrrd", "--json", "-o", str(tmp_path / "out")]) == 2
    told = events(capsys.readouterr().out)
    assert told[-1]["event"] == "error"
    assert "none.nrrd" in told[-1]["text"]


def test_help_needs_nothing_heavy():
    code = (
        "import sys; from LaminaSegmentationLib.__main__ import parser; parser().format_help(); "
        "print(sorted({'numpy', 'scipy', 'keras', 'tensorflow', 'openvino', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_inference_path_never_imports_a_training_or_a_plotting_library(scan_path, tmp_path):
    code = (
        "import sys; from LaminaSegmentationLib.__main__ import main; "
        f"assert main(['segment', {str(scan_path)!r}, '-o', {str(tmp_path / 'out')!r}, '--engine', 'openvino']) == 0; "
        "sys.stderr.write(str(sorted({'keras', 'tensorflow', 'torch', 'jax', 'matplotlib'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]")
