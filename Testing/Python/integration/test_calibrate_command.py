"""`lamina calibrate` as a user types it, with a network whose answers are known, and what it is good for."""

import json

import numpy as np
import pytest

from LaminaLabelingLib.files import read_laminae, write_markups
from LaminaLabelingLib.laminae import LaminaSet
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.dataset import labelled_case
from LaminaSegmentationLib.inference import options_of
from LaminaSegmentationLib.models import load_model
from LaminaSegmentationLib.samples import cube_labels

SCANS = 10


class Answers:
    """Finds all laminae but one of each scan, and one that is none."""

    description = "answers that are known"

    def __init__(self, cases):
        self.cases = cases

    def predict(self, grid):
        for number, case in enumerate(self.cases):
            if np.array_equal(case.grid, np.asarray(grid).astype(np.float16)):
                kept = np.delete(case.centroids, (5 * number) % len(case.centroids), axis=0)
                false = case.centroids[12] + (0.0, -14.0, 0.0)
                labels = cube_labels(case.grid.shape, kept).astype(np.float32)
                return np.maximum(labels, 0.4 * cube_labels(case.grid.shape, [false]).astype(np.float32))
        raise AssertionError("another scan than those that were made")


def lamina(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate") / "data"
    assert lamina("simulate", "-n", SCANS, "--seed", 80, "--spacing", 1.5, "--split", "0,10,0", "-o", folder) == 0
    return folder / "dataset.json"


@pytest.fixture(scope="module")
def cases(data):
    entries = json.loads(data.read_text())["validation"]
    options = options_of(load_model("simulated-unet"))
    return [labelled_case(data.parent / one["image"], data.parent / one["label"], options) for one in entries]


@pytest.fixture
def known(cases, monkeypatch):
    monkeypatch.setattr("LaminaSegmentationLib.engines.create_engine", lambda *given, **options: Answers(cases))


def test_a_calibrated_copy_is_written_and_used(data, known, tmp_path, capsys):
    assert lamina("calibrate", "--data", data, "-o", tmp_path / "mine") == 0
    assert "10 labeled scans" in capsys.readouterr().out
    model, before = load_model(tmp_path / "mine"), load_model("simulated-unet")
    assert model.card["localization"] == {"data": "10 labeled scans", "scans": SCANS}
    assert (model.name, model.card["version"]) == ("mine", before.card["version"] + ".calibrated")
    assert model.card["training"] == before.card["training"]
    learned = model.calibration
    # In these scans one lamina in 34 has no candidate, and cubes lie where the laminae are.
    assert learned.evidence.missing == pytest.approx((SCANS + 1) / (34 * SCANS + 2), abs=0.004)
    assert learned.evidence.detection_sd < 0.5
    assert learned.evidence.odds(0.35) < learned.evidence.odds(1.0)
    assert 14.0 < learned.shape.spacing[0] < learned.shape.spacing[-1] < 36.0
    assert learned != before.calibration


def test_json_tells_what_was_learned(data, known, tmp_path, capsys):
    assert lamina("calibrate", "--data", data, "--version", "7", "-o", tmp_path / "mine", "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["event"] == "result"
    assert result["shape"]["spacing"] == list(load_model(tmp_path / "mine").calibration.shape.spacing)
    assert load_model(tmp_path / "mine").card["version"] == "7"


def test_a_damaged_calibration_is_noticed(data, known, tmp_path, capsys):
    assert lamina("calibrate", "--data", data, "-o", tmp_path / "mine") == 0
    path = tmp_path / "mine" / "localization.json"
    path.write_text(path.read_text().replace("spacing_sd", "spacing_s"))
    image = json.loads(data.read_text())["validation"][0]["image"]
    capsys.readouterr()
    scan = data.parent / image
    assert lamina("segment", scan, "--model", tmp_path / "mine", "-o", tmp_path / "out") == 2
    assert "localization.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Bad input


def test_an_existing_folder_is_not_touched(data, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    assert lamina("calibrate", "--data", data, "-o", tmp_path / "mine") == 2
    assert "already exists" in capsys.readouterr().err
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--simulated", 9), "too few"),
        (("--simulated", 20, "--seed", 500), "kept for tests"),
        (("--simulated", 20, "--seed", 1_000_100), "trained on the seeds"),
        (("--simulated", 20, "--style", "portable"), "kept for tests"),
        (("--simulated", 20, "--style", "nothing"), "no simulation style"),
    ],
)
def test_what_teaches_nothing_is_refused(given, says, tmp_path, capsys):
    assert lamina("calibrate", *given, "-o", tmp_path / "mine") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_labels_without_names_are_refused(data, known, tmp_path, capsys):
    content = json.loads(data.read_text())
    label = read_laminae(data.parent / content["validation"][0]["label"])
    numbered = {
        f"P{1 + number // 2:02d}{name[-1]}": place for number, (name, place) in enumerate(label.positions().items())
    }
    write_markups(LaminaSet.from_positions(numbered), data.parent / "numbered.mrk.json")
    content["validation"][0]["label"] = "numbered.mrk.json"
    other = data.with_name("numbered.json")
    other.write_text(json.dumps(content))
    assert lamina("calibrate", "--data", other, "-o", tmp_path / "mine") == 2
    assert "name its vertebrae" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


# What a person knows of the vertebrae


def test_an_anchor_and_absent_vertebrae_are_taken_from_the_command_line(data, cases, known, tmp_path, capsys):
    entry = json.loads(data.read_text())["validation"][1]
    truth = read_laminae(data.parent / entry["label"]).positions()
    place = ",".join(f"{value:.1f}" for value in 0.5 * (truth["T9L"] + truth["T9R"]))
    given = ["segment", data.parent / entry["image"], "--engine", "openvino"]
    assert lamina(*given, "--anchor", f"T9={place}", "-o", tmp_path / "named") == 0
    laminae = read_laminae(tmp_path / "named" / "laminae.mrk.json")
    assert np.linalg.norm(laminae.positions()["T9L"] - truth["T9L"]) < 5.0
    summary = json.loads((tmp_path / "named" / "summary.json").read_text())
    assert summary["reliable"] is True
    assert set(summary["suggested"]) == set(laminae.positions(["inferred"]))
    for wrong, says in ((f"T14={place}", "T14"), ("T9=1,2,9000", "does not lie in the scan"), ("T9", "--anchor")):
        capsys.readouterr()
        assert lamina(*given, "--anchor", wrong, "-o", tmp_path / "wrong") == 2
        assert says in capsys.readouterr().err
        assert not (tmp_path / "wrong").exists()


def test_what_is_known_belongs_to_one_scan(data, tmp_path, capsys):
    assert lamina("segment", data.parent, "--absent", "T1", "-o", tmp_path / "out") == 2
    assert "one scan" in capsys.readouterr().err
