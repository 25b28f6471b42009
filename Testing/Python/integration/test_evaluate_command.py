"""`lamina evaluate` as a user types it: with a network whose answers are known, and once with the shipped model."""

import contextlib
import csv
import io
import json
import math
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

from LaminaLabelingLib.files import read_laminae, write_markups
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import read_volume, write_volume
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.dataset import labelled_case
from LaminaSegmentationLib.evaluation import seen_in_training, unique_names
from LaminaSegmentationLib.metrics import KEYS, score_segmentation, summarize
from LaminaSegmentationLib.named_stage import CURVE_KEYS, NAME_KEYS
from LaminaSegmentationLib.samples import cube_labels

MISSED = ("T3L", "L4R")


class KnownAnswers:
    """Stands in for the network: finds all laminae of each scan but two, and one that is none."""

    description = "answers that are known"

    def __init__(self, cases):
        self.maps = {case.grid.tobytes(): known_map(case) for case in cases}

    def predict(self, grid):
        return self.maps[np.asarray(grid).astype(np.float16).tobytes()]


def known_map(case):
    found = [name not in MISSED for name in case.names]
    # A third lamina of T8 far beside the column, which localization must reject.
    false = case.centroids[case.names.index("T8L")] * (1, 0, 1) + (0, 1, 0)
    return cube_labels(case.grid.shape, [*case.centroids[found], false]).astype(np.float32)


def lamina(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two coarse simulated scans in the list test, and their prepared cases."""
    folder = tmp_path_factory.mktemp("evaluate")
    assert lamina("simulate", "-n", 2, "--seed", 60, "--spacing", 1.5, "-o", folder / "data") == 0
    paths = [folder / "data" / f"scan_{number:04d}" for number in range(2)]
    cases = [
        labelled_case(path.with_suffix(".nrrd"), path.with_suffix(".mrk.json"), cache=folder / "cache")
        for path in paths
    ]
    return SimpleNamespace(file=folder / "data" / "dataset.json", cache=folder / "cache", cases=cases)


@pytest.fixture
def known(data, monkeypatch):
    """The command with answers that are known."""
    monkeypatch.setattr("LaminaSegmentationLib.engines.create_engine", lambda *given: KnownAnswers(data.cases))
    return data


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    """The folder of a run with answers that are known, and the JSON lines that it printed."""
    out, lines = tmp_path_factory.mktemp("results"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(lines):
        patch.setattr("LaminaSegmentationLib.engines.create_engine", lambda *given: KnownAnswers(data.cases))
        assert lamina("evaluate", "--data", data.file, "--cache", data.cache, "-o", out, "--json") == 0
    return SimpleNamespace(folder=out, events=[json.loads(line) for line in lines.getvalue().splitlines()])


def test_the_files_hold_what_the_map_is_worth(data, results):
    out = results.folder
    assert sorted(path.name for path in out.iterdir()) == ["boxplot.png", "metrics.csv", "metrics.json", "overlays"]
    content = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    expected = [score_segmentation(known_map(case), case) for case in data.cases]
    assert content["summary"] == json.loads(json.dumps(summarize(expected)))
    assert set(content["summary"]) == set(KEYS)
    assert content["summary"]["missed"]["mean"] == 2
    assert content["summary"]["missed"]["by_region"]["T1-T6"]["mean"] == 1
    assert content["summary"]["false"]["by_region"]["T7-T12"]["mean"] == 1
    assert content["summary"]["mean_error_mm"]["mean"] < 1.0
    assert (content["stage"], content["model"]["name"]) == ("network", DEFAULT_MODEL)
    assert content["data"]["simulated"]
    assert content["data"]["style"] == "clinic"
    assert "summary_detected" not in content
    for number, case in enumerate(content["cases"]):
        assert (case["name"], case["image"]) == (f"scan_{number:04d}", f"scan_{number:04d}.nrrd")
        assert [lamina["name"] for lamina in case["laminae"] if not lamina["found"]] == list(MISSED)
        assert imread(out / case["overlay"]).std() > 0.05


def test_no_patient_is_named(data, results):
    patients = [entry["patient"] for entry in json.loads(data.file.read_text())["test"]]
    told = (results.folder / "metrics.json").read_text() + (results.folder / "metrics.csv").read_text()
    assert not any(patient in told + json.dumps(results.events) for patient in patients)


def test_the_table_says_the_same_as_the_json(results):
    cases = json.loads((results.folder / "metrics.json").read_text())["cases"]
    with open(results.folder / "metrics.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [case["name"] for case in cases]
    for row, case in zip(rows, cases):
        assert row["missed_names"] == " ".join(MISSED)
        for key, value in case["values"].items():
            assert row[key] == ("" if value is None else str(value))
        assert float(row["missed_L1-L5"]) == case["by_region"]["L1-L5"]["missed"]


def test_json_lines_tell_progress_and_the_result(results):
    assert [event["fraction"] for event in results.events if event["event"] == "progress"] == [0.5, 1.0]
    assert results.events[-1]["event"] == "result"
    assert results.events[-1]["summary"]["missed"]["mean"] == 2
    assert set(results.events[-1]["files"]) == {"metrics", "table", "boxplot", "overlays"}


def test_named_laminae_are_judged_beside_the_map(known, tmp_path):
    """The map shows neither of two laminae: they are suggested, which one summary counts and the other does not."""
    assert lamina("evaluate", "--stage", "named", "--data", known.file, "-o", tmp_path / "out") == 0
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    summary, detected = content["summary"], content["summary_detected"]
    assert set(summary) == set(detected) == {*KEYS, *NAME_KEYS, *CURVE_KEYS}
    network = summarize([score_segmentation(known_map(case), case) for case in known.cases])
    for key in ("dice", "d3d_total_vox", "delta"):
        assert summary[key]["mean"] == detected[key]["mean"] == pytest.approx(network[key]["mean"], rel=1e-5)
    # What lies far beside the column is no lamina any more, and an inferred point is found in one summary alone.
    before = content["summary_network"]
    assert (before["missed"]["mean"], before["false"]["mean"]) == (2, 1)
    assert (summary["missed"]["mean"], summary["false"]["mean"]) == (0, 0)
    assert (detected["missed"]["mean"], detected["false"]["mean"]) == (2, 0)
    assert (summary["named"]["mean"], summary["naming_errors"]["mean"], summary["side_errors"]["mean"]) == (1, 0, 0)
    assert content["cases"][0]["detected"]["values"]["missed"] == 2


def test_the_main_curve_is_compared_with_the_imposed_one(known, tmp_path):
    """The truth comes from the simulation's own file: with other tilts in it, the error is another."""
    assert lamina("evaluate", "--stage", "named", "--data", known.file, "-o", tmp_path / "out") == 0
    beside = known.file.with_name("scan_0000.simulation.json")
    text = beside.read_text()
    simulation = json.loads(text)
    main = max(simulation["curves"], key=lambda curve: curve["cobb_deg"])
    turn = simulation["tilt_deg"][main["upper"]] - simulation["tilt_deg"][main["lower"]]
    simulation["tilt_deg"][main["upper"]] += math.copysign(20.0, turn)
    try:
        beside.write_text(json.dumps(simulation))
        assert lamina("evaluate", "--stage", "named", "--data", known.file, "-o", tmp_path / "other") == 0
    finally:
        beside.write_text(text)
    first, other = (
        json.loads((tmp_path / name / "metrics.json").read_text())["cases"][0]["values"] for name in ("out", "other")
    )
    assert first["cobb_error_deg"] == pytest.approx(abs(first["cobb_signed_error_deg"]))
    assert first["cobb_error_deg"] < 6.0
    assert other["cobb_signed_error_deg"] == pytest.approx(first["cobb_signed_error_deg"] - 20.0)
    assert (first["cobb_within_interval"], other["cobb_within_interval"]) == (1, 0)


def test_the_shipped_model_runs(data, tmp_path):
    content = json.loads(data.file.read_text())
    (one := data.file.with_name("one.json")).write_text(json.dumps(content | {"test": content["test"][:1]}))
    assert lamina("evaluate", "--data", one, "--cache", data.cache, "--engine", "openvino", "-o", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert result["engine"].startswith("OpenVINO")
    assert len(result["cases"][0]["laminae"]) == 34
    assert result["summary"]["recall_10mm"]["mean"] > 0.5


# What a bad dataset or option says


def test_nothing_is_overwritten_without_force(known, tmp_path, capsys):
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "scan_0000.png").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    given = ["evaluate", "--data", known.file, "--cache", known.cache, "-o", tmp_path]
    assert lamina(*given) == 2
    assert "--force" in capsys.readouterr().err
    assert lamina(*given, "--force") == 0
    printed = capsys.readouterr()
    assert "2 simulated scans" in printed.out
    assert "Evaluating scans: 2 of 2" in printed.err
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert imread(tmp_path / "overlays" / "scan_0000.png").std() > 0.05


def test_an_empty_list_is_named(data, tmp_path, capsys):
    assert lamina("evaluate", "--data", data.file, "--split", "training", "-o", tmp_path / "out") == 2
    assert "'training'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stage", ["network", "named"])
def test_a_scan_that_cannot_be_used_is_named_and_nothing_is_left(known, tmp_path, capsys, stage):
    folder = tmp_path / "data"
    shutil.copytree(known.file.parent, folder)
    volume = read_volume(folder / "scan_0001.nrrd")
    write_volume(type(volume)(np.full_like(volume.array, 7), volume.matrix), folder / "scan_0001.nrrd")
    given = ["evaluate", "--stage", stage, "--data", folder / "dataset.json", "--cache", known.cache]
    assert lamina(*given, "-o", tmp_path / "out") == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Entry 2 of 'test'" in told
    assert "scan_0001.nrrd" in told
    assert not (tmp_path / "out").exists()


def test_a_partial_list_of_labels_is_scored_by_what_it_holds(known, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(known.file.parent, folder)
    truth = read_laminae(folder / "scan_0000.mrk.json").positions()
    thoracic = {name: place for name, place in truth.items() if name.startswith("T")}
    write_markups(LaminaSet.from_positions(thoracic), folder / "scan_0000.mrk.json")
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({"test": content["test"][:1]}))
    assert lamina("evaluate", "--data", folder / "dataset.json", "-o", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert result["data"]["text"] == "1 scan"
    assert result["summary"]["missed"]["by_region"]["L1-L5"]["mean"] is None
    assert result["summary"]["missed"]["mean"] == 1
    assert len(result["cases"][0]["laminae"]) == 24


def test_scans_of_the_training_are_told(tmp_path):
    entries = [
        {"image": tmp_path / f"{seed}.nrrd", "patient": f"simulated-{style}-{seed}"}
        for style, seed in (("clinic", 1_000_005), ("clinic", 999_999), ("other", 1_000_006), ("clinic", 1_000_020))
    ]
    entries.append({"image": tmp_path / "real.nrrd", "patient": None})
    model = SimpleNamespace(card={"training": {"seeds": [1_000_000, 1_000_019], "style": "clinic"}})
    warnings = list(seen_in_training(entries, model))
    assert len(warnings) == 1
    assert "1 of these scans ('1000005.nrrd'" in warnings[0]
    assert list(seen_in_training(entries[1:], model)) == []
    assert list(seen_in_training(entries, SimpleNamespace(card={"training": {}}))) == []


def test_scans_of_the_same_name_keep_apart(tmp_path):
    files = ["a/scan.nii.gz", "b/Scan.nrrd", "c/scan_2.mha", "visit.1.nrrd"]
    assert unique_names([tmp_path / file for file in files]) == ["scan", "Scan_2", "scan_2_2", "visit.1"]
