"""`lamina measure` and `lamina report` as a user types them."""

import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from LaminaLabelingLib.case_sidecars import write_axes
from LaminaLabelingLib.curvature import measure
from LaminaLabelingLib.files import write_csv, write_markups
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.patient_axes import moved_laminae
from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.commands import region_of

# A quarter turn and 25 degrees, and a shift: no axis runs as the patient's do.
_COS, _SIN = np.cos(np.radians(25.0)), np.sin(np.radians(25.0))
TRACKER = np.array([[0, 0, 1, 100.0], [_COS, -_SIN, 0, -50.0], [_SIN, _COS, 0, 7.0], [0, 0, 0, 1]])
IDENTITY = np.eye(4)
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


@pytest.fixture
def truth(coarse_scan):
    return coarse_scan.truth


@pytest.fixture(scope="module")
def scan_path(coarse_scan, tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.nrrd"
    write_volume(coarse_scan.volume, path)
    return path


@pytest.fixture
def listed(truth, tmp_path):
    path = tmp_path / "laminae.mrk.json"
    write_markups(truth, path)
    return path


@pytest.fixture
def results(coarse_scan, tmp_path):
    """What `lamina segment` leaves of a scan, in a world that is given."""

    def write(world=IDENTITY, name="results", **more):
        folder = tmp_path / name
        folder.mkdir()
        volume = replace(coarse_scan.volume, matrix=world @ coarse_scan.volume.matrix)
        laminae = moved_laminae(coarse_scan.truth, world)
        write_markups(laminae, folder / "laminae.mrk.json")
        write_csv(laminae, folder / "laminae.csv")
        write_volume(volume, tmp_path / f"{name}.nrrd")
        summary = {
            "scan": f"{name}.nrrd",
            "axes": "ARI",
            "model": {"name": "a-model", "version": "3"},
            "region": region_of(volume, tuple(slice(0, size) for size in volume.shape)),
            "files": {"laminae": "laminae.mrk.json", "table": "laminae.csv", "summary": "summary.json"},
            **more,
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write


def figures(capsys, *options):
    capsys.readouterr()
    assert main([*map(str, options), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *options):
    capsys.readouterr()
    assert main([*map(str, options)]) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text


def angles(told):
    return [(c["upper"], c["lower"], c["side"], c["angle"]["value_deg"]) for c in told["curves"]]


# measure


def test_the_curves_are_printed(listed, truth, capsys):
    assert main(["measure", str(listed)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for curve in measure(truth).curves:
        assert f"Curve {curve.upper}–{curve.lower}" in text
        assert f"{curve.angle.value:.0f}°" in text
    assert "research use only" in text


def test_a_table_and_a_point_list_give_the_same(listed, truth, tmp_path, capsys):
    write_csv(truth, tmp_path / "laminae.csv")
    one, two = (figures(capsys, "measure", path) for path in (listed, tmp_path / "laminae.csv"))
    assert one.pop("case") == "laminae.mrk.json" and two.pop("case") == "laminae.csv"
    assert one == two
    assert angles(one) == [(c.upper, c.lower, c.side, round(c.angle.value, 3)) for c in measure(truth).curves]


def test_the_command_runs_as_a_program(listed):
    command = [sys.executable, "-m", "LaminaSegmentationLib", "measure", str(listed), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.splitlines()[-1])["event"] == "result"
    missing = subprocess.run([*command[:-2], "none.csv"], capture_output=True, text=True)
    assert missing.returncode == 2
    assert 'no file "none.csv"' in missing.stderr and "Traceback" not in missing.stderr


def test_a_comparison_with_itself_finds_no_change(listed, capsys):
    told = figures(capsys, "measure", listed, "--compare", listed)["follow_up"]
    assert told["curves"]
    assert all(change["change"]["value_deg"] == 0.0 and not change["beyond_chance"] for change in told["curves"])


# Patient axes


@pytest.mark.parametrize("world", [TRACKER, TRACKER @ MIRROR], ids=["turned", "left-handed"])
def test_laminae_of_a_tracker_are_measured_in_patient_axes(world, truth, results, tmp_path, capsys):
    folder = results(world)
    expected = angles({"curves": figures(capsys, "measure", _patient(truth, tmp_path))["curves"]})
    scan = tmp_path / "results.nrrd"
    assert expected
    for options in (
        [folder],  # what summary.json says of the scan
        [folder / "laminae.csv"],
        [folder, "--scan", scan],
        [folder / "laminae.mrk.json", "--scan", scan, "--axes", "ARI"],
    ):
        got = angles(figures(capsys, "measure", *options))
        assert [each[:3] for each in got] == [each[:3] for each in expected]
        assert [each[3] for each in got] == pytest.approx([each[3] for each in expected], abs=2e-3)


def _patient(truth, folder):
    write_csv(truth, folder / "patient.csv")
    return folder / "patient.csv"


def test_the_axes_that_the_labeling_module_keeps_beside_a_scan_are_used(truth, results, tmp_path, capsys):
    folder = results(TRACKER)
    alone = tmp_path / "alone.csv"
    alone.write_bytes((folder / "laminae.csv").read_bytes())
    scan = tmp_path / "results.nrrd"
    assert "cannot be trusted" in refused(capsys, "measure", alone, "--scan", scan)
    write_axes("ARI", tmp_path / "results.orientation.json")
    got = angles(figures(capsys, "measure", alone, "--scan", scan))
    expected = angles(figures(capsys, "measure", _patient(truth, tmp_path)))
    assert [each[3] for each in got] == pytest.approx([each[3] for each in expected], abs=2e-3)


def test_an_earlier_scan_has_axes_of_its_own(truth, results, tmp_path, capsys):
    folder = results(TRACKER)
    alone = tmp_path / "alone.csv"
    alone.write_bytes((folder / "laminae.csv").read_bytes())
    scan = ["--compare-scan", tmp_path / "results.nrrd", "--compare-axes", "ARI"]
    told = figures(capsys, "measure", _patient(truth, tmp_path), "--compare", alone, *scan)["follow_up"]
    assert told["earlier_case"] == "results.nrrd"
    assert all(abs(change["change"]["value_deg"]) < 2e-3 for change in told["curves"])


# report


def test_the_report_is_a_page_a_table_and_json(listed, scan_path, tmp_path, capsys):
    target = tmp_path / "new folder" / "report.html"
    told = figures(capsys, "report", listed, "--scan", scan_path, "--case", "S017 <b>", "-o", target)
    assert {path.name for path in target.parent.iterdir()} == {"report.html", "report.csv", "report.json"}
    tree = ET.fromstring(target.read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>\n"))
    assert next(tree.iter("h1")).text == "Spine curvature: S017 <b>"
    assert len(list(tree.iter("image"))) == 2
    written = json.loads((target.parent / "report.json").read_text(encoding="utf-8"))
    assert written == {key: value for key, value in told.items() if key not in ("event", "files")}
    with (target.parent / "report.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["figure"] == "curve angle"]
    assert [float(row["value_deg"]) for row in rows] == [c["angle"]["value_deg"] for c in told["curves"]]


def test_a_results_folder_tells_scan_model_and_that_it_is_simulated(results, scan_path, tmp_path, capsys):
    folder = results(files={"laminae": "laminae.mrk.json", "scan": "scan.nrrd"}, data="simulated scan")
    (folder / "scan.nrrd").write_bytes(scan_path.read_bytes())
    told = figures(capsys, "report", folder, "-o", tmp_path / "r.html")
    assert (told["case"], told["model"], told["simulated"]) == ("scan.nrrd", "a-model 3", True)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("<image") == 2 and "Simulated scan" in page


def test_a_summary_about_another_list_says_nothing(results, tmp_path, capsys):
    folder = results(data="simulated scan")
    (folder / "laminae.csv").rename(folder / "corrected.csv")
    told = figures(capsys, "measure", folder / "corrected.csv")
    assert (told["model"], told["simulated"]) == ("", False)


def test_scans_of_lamina_simulate_are_known_to_be_simulated(tmp_path, capsys):
    assert main(["simulate", "--seed", "3", "--spacing", "2", "-o", str(tmp_path / "data")]) == 0
    scan = tmp_path / "data" / "scan_0000.nrrd"
    told = figures(capsys, "report", scan.with_name("scan_0000.mrk.json"), "--scan", scan, "-o", tmp_path / "r.html")
    assert told["simulated"] is True


def test_a_report_comes_even_where_nothing_can_be_measured(scan_path, tmp_path, capsys):
    write_csv(LaminaSet(), tmp_path / "none.csv")
    assert main(["report", str(tmp_path / "none.csv"), "--scan", str(scan_path), "-o", str(tmp_path / "r.html")]) == 0
    sentence = "0 vertebrae have both laminae: at least 5 are needed to measure a curve."
    assert sentence in capsys.readouterr().err
    assert sentence in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert sentence in refused(capsys, "measure", tmp_path / "none.csv")


# What is refused


def test_a_report_that_is_there_is_kept_unless_forced(listed, tmp_path, capsys):
    (tmp_path / "r.csv").write_text("mine")
    assert "'r.csv' is already there" in refused(capsys, "report", listed, "-o", tmp_path / "r.html")
    assert (tmp_path / "r.csv").read_text() == "mine"
    assert not (tmp_path / "r.html").exists()
    assert main(["report", str(listed), "-o", str(tmp_path / "r.html"), "--force"]) == 0
    assert (tmp_path / "r.csv").read_text(encoding="utf-8").startswith("figure,")


def test_what_the_report_is_made_of_is_never_replaced(truth, tmp_path, capsys):
    path = tmp_path / "S017.csv"
    write_csv(truth, path)
    before = path.read_bytes()
    text = refused(capsys, "report", path, "-o", tmp_path / "S017.html", "--force")
    assert "'S017.csv' is what the report is made of" in text
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["none.csv"], 'no file "none.csv"'),
        (["scan.nrrd"], "not a list of laminae"),
        (["."], "There is no laminae.mrk.json in the folder"),
        (["good.csv", "--axes", "RIA"], "give the scan with --scan"),
        (["good.csv", "--compare-axes", "RIA"], "belong to --compare"),
        (["good.csv", "--compare", "numbered.csv"], "levels of the earlier scan are not named"),
        (["good.csv", "--scan", "scan.nrrd"], "laminae in 'good.csv' lie outside the scan 'scan.nrrd'"),
        (["good.csv", "-o", "report.pdf"], "let the name of the report end in .html"),
        (["good.csv", "-o", "file/r.html"], "cannot be made"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(options, words, truth, scan_path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    far = np.eye(4)
    far[:3, 3] = 900.0
    write_csv(moved_laminae(truth, far), tmp_path / "good.csv")
    numbered = [
        replace(lamina, name=f"P{index // 2 + 1:02d}{lamina.side}") for index, lamina in enumerate(truth.values())
    ]
    write_csv(LaminaSet.provisional(numbered), tmp_path / "numbered.csv")
    (tmp_path / "scan.nrrd").write_bytes(scan_path.read_bytes())
    (tmp_path / "file").write_text("")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    output = [] if "-o" in options else ["-o", "r.html"]
    assert words in refused(capsys, "report", *options, *output)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_what_lamina_segment_writes_is_measured(scan_path, tmp_path, capsys):
    assert main(["segment", str(scan_path), "-o", str(tmp_path / "results")]) == 0
    told = figures(capsys, "report", tmp_path / "results", "--scan", scan_path, "-o", tmp_path / "r.html")
    assert told["case"] == "scan.nrrd"
    assert told["model"].startswith("simulated-unet ")
    assert told["levels"]
