"""`lamina preprocess`, and corrections that are given to it and to `lamina segment`."""

import json

import numpy as np
import pytest

from LaminaLabelingLib.files import read_curve, read_laminae
from LaminaLabelingLib.volumes import read_volume, write_volume
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.commands import score

FILES = {"preprocessing.json", "prepared.nrrd", "preprocessing.png"}


@pytest.fixture(scope="module")
def scan_path(coarse_scan, tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.nrrd"
    write_volume(coarse_scan.volume, path)
    return path


@pytest.fixture(scope="module")
def folder(scan_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("preprocessing")
    assert main(["preprocess", str(scan_path), "-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def steps(folder):
    return json.loads((folder / "preprocessing.json").read_text())


def given(tmp_path, **parts):
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps(parts))
    return str(path)


def events(text):
    return [json.loads(line) for line in text.splitlines()]


# What it writes


def test_it_writes_its_files_and_nothing_else(folder, steps):
    assert {path.name for path in folder.iterdir()} == FILES
    assert set(steps["files"].values()) == FILES
    assert steps["corrected"] == []
    assert steps["warnings"] == []


def test_the_column_has_few_points_whose_straight_lines_stay_near_it(steps, prepared_scan):
    points = np.array(steps["column"])
    gaps = -np.diff(points[:, 2])
    assert (gaps > 0).all()
    assert 20 < np.median(gaps) < 32
    whole = prepared_scan.column_points
    assert points[0] == pytest.approx(whole[0], abs=1e-3)
    assert points[-1] == pytest.approx(whole[-1], abs=1e-3)
    straight = np.interp(-whole[:, 2], -points[:, 2], points[:, 0])
    assert np.abs(straight - whole[:, 0]).max() <= 1.0


def test_the_points_of_the_top_layer_lie_on_the_cut_above_the_column(steps, prepared_scan, coarse_scan):
    points = np.array(steps["top_layer"])
    assert 12 <= len(points) <= 20
    assert np.diff(points[:, 2]) == pytest.approx(np.diff(points[:, 2])[0], abs=1e-3)
    index = coarse_scan.volume.to_index(points)
    assert index[:, 1] == pytest.approx(prepared_scan.column.at(index[:, 0]), abs=1e-3)
    cut = prepared_scan.survey.at_full_size(prepared_scan.top_layer.cut, coarse_scan.volume.shape[:2])
    nearest = cut[tuple(np.round(index[:, :2]).astype(int).T)]
    assert np.abs(index[:, 2] - nearest).max() < 0.6


def test_the_surface_is_a_grid_over_the_region(steps, coarse_scan, prepared_scan):
    surface = steps["surface"]
    grid = np.array(surface["points"]).reshape(surface["rows"], surface["columns"], 3)
    index = coarse_scan.volume.to_index(grid)
    box = prepared_scan.box[1]
    assert index[:, 0, 1] == pytest.approx(box.start, abs=0.01)
    assert index[:, -1, 1] == pytest.approx(box.stop - 1, abs=0.01)
    assert (np.diff(index[:, 0, 0]) > 0).all()
    truth = coarse_scan.volume.to_index(np.array(list(coarse_scan.truth.positions().values())))
    for place in truth:  # every lamina lies below the surface
        row = np.abs(index[:, 0, 0] - place[0]).argmin()
        column = np.abs(index[row, :, 1] - place[1]).argmin()
        assert index[row, column, 2] < place[2] + 0.5


def test_the_prepared_volume_is_what_the_network_sees_and_lies_on_the_scan(folder, prepared_scan):
    volume = read_volume(folder / "prepared.nrrd")
    assert np.array_equal(volume.array, prepared_scan.grid.array)
    corners = np.array([[0, 0, 0], np.array(volume.shape) - 1])
    assert volume.to_world(corners) == pytest.approx(prepared_scan.grid.to_world(corners), abs=1e-3)


def test_json_lines_tell_the_stages_and_leave_the_long_surface_to_the_file(scan_path, tmp_path, capsys):
    options = ["--no-picture", "--json"]
    assert main(["preprocess", str(scan_path), "-o", str(tmp_path / "out"), *options]) == 0
    told = events(capsys.readouterr().out)
    assert [event["stage"] for event in told if event["event"] == "stage"] == ["read", "preprocess", "write"]
    assert told[-1]["event"] == "result"
    assert "surface" not in told[-1]
    assert {path.rpartition("/")[2] for path in told[-1]["files"].values()} == FILES - {"preprocessing.png"}


def test_a_folder_that_is_not_empty_is_kept(scan_path, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["preprocess", str(scan_path), "-o", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# Corrections


def test_what_it_wrote_given_back_changes_next_to_nothing(scan_path, steps, tmp_path):
    parts = {part: steps[part] for part in ("top_layer", "region")}
    out = tmp_path / "out"
    assert main(["preprocess", str(scan_path), "-o", str(out), "--corrections", given(tmp_path, **parts)]) == 0
    again = json.loads((out / "preprocessing.json").read_text())
    assert again["corrected"] == ["top_layer", "region"]
    assert again["region"] == steps["region"]
    assert np.array(again["surface"]["points"]) == pytest.approx(np.array(steps["surface"]["points"]), abs=2e-3)


def test_a_column_moved_by_hand_moves_the_region_along(scan_path, steps, tmp_path):
    moved = (np.array(steps["column"]) + np.array([5.0, 0.0, 0.0])).tolist()
    out = tmp_path / "out"
    assert main(["preprocess", str(scan_path), "-o", str(out), "--corrections", given(tmp_path, column=moved)]) == 0
    again = json.loads((out / "preprocessing.json").read_text())
    assert np.array(again["column"])[[0, -1], 0] == pytest.approx(np.array(moved)[[0, -1], 0], abs=0.1)
    assert again["region"]["center_ras_mm"][0] == pytest.approx(steps["region"]["center_ras_mm"][0] + 5.0, abs=1.1)
    assert again["column_contrast"] < steps["column_contrast"]


def test_segment_uses_the_corrections_and_says_so(scan_path, steps, tmp_path, coarse_scan):
    region = {**steps["region"]}
    length = region["size_mm"][0]  # only the upper half
    region["center_ras_mm"] = [*region["center_ras_mm"][:2], region["center_ras_mm"][2] + length / 4]
    region["size_mm"] = [length / 2, *region["size_mm"][1:]]
    column = [[-4.0, 0.0, steps["column"][0][2]], [-4.0, 0.0, steps["column"][-1][2]]]
    middle = region["center_ras_mm"][2] - length / 4
    # The region alone: the column stays as it is.
    out = tmp_path / "half"
    options = ["segment", str(scan_path), "-o", str(out), "--corrections", given(tmp_path, region=region)]
    assert main(options) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["corrected"] == ["region"]
    assert summary["region"]["size_mm"][0] == pytest.approx(length / 2, abs=1.5)
    found = np.array(list(read_laminae(out / "laminae.mrk.json").positions().values()))
    assert len(found) >= 10
    assert found[:, 2].min() > middle - 12.0
    assert score(coarse_scan.truth, read_laminae(out / "laminae.mrk.json"))["found"] >= 8
    # A straight column.
    straight = tmp_path / "straight"
    options = ["segment", str(scan_path), "-o", str(straight), "--corrections", given(tmp_path, column=column)]
    assert main(options) == 0
    assert json.loads((straight / "summary.json").read_text())["corrected"] == ["column"]
    assert read_curve(straight / "spinous_column.mrk.json")[:, 0] == pytest.approx(-4.0, abs=1e-3)


@pytest.mark.parametrize("command", ["segment", "preprocess"])
def test_corrections_that_make_no_sense_are_a_sentence_and_leave_nothing(scan_path, tmp_path, capsys, command):
    path = given(tmp_path, column=[[1, 2, 3]])
    assert main([command, str(scan_path), "-o", str(tmp_path / "out"), "--corrections", path]) == 2
    assert capsys.readouterr().err == ("lamina: The corrected spinous process column has 1 point; give at least 2.\n")
    assert not (tmp_path / "out").exists()


def test_corrections_that_do_not_fit_the_scan_leave_nothing(scan_path, tmp_path, capsys):
    path = given(tmp_path, column=[[1, 2, 3], [900, 0, 0]])
    assert main(["preprocess", str(scan_path), "-o", str(tmp_path / "out"), "--corrections", path]) == 2
    assert "Point 2 of the corrected spinous process column lies outside of the scan" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_corrections_are_of_one_scan(scan_path, tmp_path, capsys):
    path = given(tmp_path, column=[[1, 2, 3], [1, 2, 30]])
    assert main(["segment", str(scan_path.parent), "-o", str(tmp_path / "out"), "--corrections", path]) == 2
    assert "give the scan, not a folder" in capsys.readouterr().err
