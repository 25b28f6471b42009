"""``lamina segment FOLDER`` as a user types it, with the shipped model, on coarse simulated scans."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import SimpleITK as sitk
from folder_runs import ABOUT_ALL, FILES, command, events, everything, make_good_scans, summary, table

from LaminaLabelingLib.case_sidecars import write_axes
from LaminaLabelingLib.files import read_laminae
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.models import load_model


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two coarse scans."""
    return make_good_scans(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def mixed(good, tmp_path_factory):
    """Scans of every sort: good ones, one name with two extensions, a broken one, tracker's axes, and no scans."""
    folder = tmp_path_factory.mktemp("mixed") / "clinic <A>"
    folder.mkdir()
    small = good / "scan10.nrrd"
    shutil.copy(small, folder / "scan10.nrrd")
    shutil.copy(good / "scan2.nrrd", folder / "scan2.nrrd")
    shutil.copy(small, folder / "twice.nrrd")
    sitk.WriteImage(sitk.ReadImage(str(small)), str(folder / "twice.nii.gz"))
    (folder / "a<b>&broken [red].nrrd").write_text("nonsense", encoding="utf-8")
    tracked = sitk.ReadImage(str(small))
    tracked.SetDirection(np.eye(3).ravel().tolist())
    sitk.WriteImage(tracked, str(folder / "tracked.mha"))
    sitk.WriteImage(sitk.Image(20, 20, 20, sitk.sitkUInt8), str(folder / "scan2-label.nrrd"))
    shutil.copy(good / "scan2.nrrd", folder / "scan2.seg.nrrd")
    (folder / "notes.txt").write_text("not a scan", encoding="utf-8")
    (folder / "old").mkdir()
    shutil.copy(small, folder / "old" / "older.nrrd")
    return folder


@pytest.fixture(scope="module")
def run(mixed, tmp_path_factory):
    """The folder done by the command in a process of its own: exit code, output and what it wrote."""
    output = tmp_path_factory.mktemp("run") / "results"
    done = command(mixed, output)
    return done, output


# One run


def test_what_fails_is_listed_and_the_rest_is_finished(run):
    done, output = run
    rows = table(output)
    assert list(rows) == [
        "a<b>&broken [red].nrrd",
        "scan2.nrrd",
        "scan10.nrrd",
        "tracked.mha",
        "twice.nii.gz",
        "twice.nrrd",
    ]
    assert {scan: row["state"] for scan, row in rows.items() if row["state"] != "done"} == {
        "a<b>&broken [red].nrrd": "failed",
        "tracked.mha": "failed",
    }
    assert "cannot be read as a 3D scan" in rows["a<b>&broken [red].nrrd"]["error"]
    assert "--axes" in rows["tracked.mha"]["error"]
    assert done.returncode == 3


def test_every_scan_gets_the_files_of_a_single_scan_and_nothing_else_is_left(run):
    _done, output = run
    folders = {"scan2", "scan10", "twice.nii.gz", "twice.nrrd"}
    expected = ABOUT_ALL | folders | {f"{folder}/{name}" for folder in folders for name in FILES}
    assert everything(output) == expected


def test_the_result_is_that_of_the_scan_alone(run, good, tmp_path):
    _done, output = run
    assert main(["segment", str(good / "scan2.nrrd"), "-o", str(tmp_path / "alone"), "--json"]) == 0
    alone, together = (read_laminae(path / "laminae.mrk.json") for path in (tmp_path / "alone", output / "scan2"))
    assert together.positions().keys() == alone.positions().keys()
    for name, point in alone.positions().items():
        assert np.allclose(point, together.positions()[name], atol=1e-6)
    assert summary(tmp_path / "alone").keys() - summary(output / "scan2").keys() == set()


def test_the_table_tells_what_was_found(run):
    _done, output = run
    for scan, row in table(output).items():
        if row["state"] == "failed":
            assert (row["laminae"], row["levels"], row["named"], row["doubtful"], row["folder"]) == ("",) * 5
            continue
        laminae = read_laminae(output / row["folder"] / "laminae.mrk.json")
        placed = [lamina for lamina in laminae.values() if lamina.position is not None]
        assert int(row["laminae"]) == len(placed)
        assert int(row["levels"]) == len({lamina.name[:-1] for lamina in placed})
        assert row["named"] == ("no" if laminae.is_provisional else "yes")
        doubtful = [lamina for lamina in placed if lamina.is_suggested or (lamina.confidence or 1.0) < 0.5]
        assert int(row["doubtful"]) == len(doubtful)
        assert float(row["seconds"]) > 0
        assert row["folder"] == (scan if scan.startswith("twice") else scan.removesuffix(".nrrd"))
        assert row["warnings"] == " | ".join(summary(output / row["folder"])["warnings"])


def test_the_summary_counts(run):
    _done, output = run
    content = summary(output)
    assert [content[key] for key in ("scans", "done", "failed", "skipped", "waiting")] == [6, 4, 2, 0, 0]
    assert content["model"]["name"] == "simulated-unet"
    assert content["intended_use"] == "research only"
    assert len(content["cases"]) == 6


def test_people_read_a_line_a_scan_and_the_failures_at_the_end(run):
    done, _output = run
    lines = [line for line in done.stderr.splitlines() if " of 6: " in line]
    assert [line.split(":")[0] for line in lines] == [f"{number} of 6" for number in range(1, 7)]
    assert "34 laminae on 17 levels" in lines[1]
    assert "6 scans: 4 done, 2 failed" in done.stdout
    told = " ".join(done.stdout.replace("│", " ").split())
    assert "[red].nrrd" in told
    assert "--axes" in told


class Page(HTMLParser):
    """What a browser sees of the page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.rows, self.text = [], set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        self.links += [attributes[key] for key in ("href", "src") if key in attributes]
        if tag == "tr" and "class" in attributes:
            self.rows.append((attributes["class"], []))

    def handle_data(self, text):
        self.text += text
        if self.rows and text.strip():
            self.rows[-1][1].append(text.strip())


def test_the_page_links_what_is_there_and_loads_nothing_else(run):
    _done, output = run
    page = Page((output / "results.html").read_text(encoding="utf-8"))
    assert len(page.links) == 4 * 8  # picture and its link, and six files without the picture's once more
    for link in page.links:
        assert link.startswith("./")
        assert (output / unquote(link)).is_file(), link
    assert not page.tags & {"script", "link", "iframe", "b"}


def test_the_page_begins_with_the_failures_and_says_what_it_is(run):
    _done, output = run
    page = Page((output / "results.html").read_text(encoding="utf-8"))
    assert [kind for kind, _texts in page.rows] == ["failed"] * 2 + ["done"] * 4
    assert page.rows[0][1][0] == "a<b>&broken [red].nrrd"
    assert "Laminae found in the folder “clinic <A>”" in page.text
    assert "Research use only" in page.text
    assert f"simulated-unet {load_model(DEFAULT_MODEL).card['version']}" in " ".join(page.text.split())
    assert "6 scans: 4 done, 2 failed" in page.text


# Machines


def test_machines_get_events_and_a_result_that_counts(good, tmp_path):
    folder = shutil.copytree(good, tmp_path / "scans")
    (folder / "broken.nrrd").write_text("nonsense", encoding="utf-8")
    output = tmp_path / "results"
    done = command(folder, output, "--json")
    assert done.returncode == 0
    (result,) = events(done.stdout, "result")
    assert {key: result[key] for key in ("scans", "done", "failed", "skipped")} == {
        "scans": 3,
        "done": 2,
        "failed": 1,
        "skipped": 0,
    }
    assert "exit_code" not in result
    assert {Path(path).name for path in result["files"].values()} == ABOUT_ALL
    cases = events(done.stdout, "case")
    assert [(case["scan"], case["state"]) for case in cases] == [
        ("broken.nrrd", "running"),
        ("broken.nrrd", "failed"),
        ("scan2.nrrd", "running"),
        ("scan2.nrrd", "done"),
        ("scan10.nrrd", "running"),
        ("scan10.nrrd", "done"),
    ]
    last = cases[-1]
    assert (last["index"], last["total"], last["folder"]) == (2, 3, str(output / "scan10"))
    assert last["laminae"] == int(table(output)["scan10.nrrd"]["laminae"])
    assert "cannot be read" in cases[1]["text"]
    fractions = [event["fraction"] for event in events(done.stdout, "progress")]
    assert fractions == sorted(fractions)
    assert 0.9 < fractions[-1] <= 1.0
    left = [event["seconds_left"] for event in events(done.stdout, "progress") if "seconds_left" in event]
    assert left and min(left) >= 0
    again = command(folder, output, "--json", "--resume")
    assert [case["state"] for case in events(again.stdout, "case")] == ["skipped", "skipped", "running", "failed"]
    assert events(again.stdout, "result")[0]["skipped"] == 2


def test_all_done_is_exit_code_0(good, tmp_path, capsys):
    assert main(["segment", str(good), "-o", str(tmp_path / "results")]) == 0
    assert "2 scans: 2 done" in capsys.readouterr().out


# Axes


def test_axes_kept_beside_a_scan_are_taken_and_given_ones_win(mixed, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(mixed / "tracked.mha", folder)
    write_axes("ARI", folder / "tracked.orientation.json")
    assert main(["segment", str(folder), "-o", str(tmp_path / "beside"), "--json"]) == 0
    found = summary(tmp_path / "beside" / "tracked")
    assert (found["axes"], found["axes_from"]) == ("ARI", "beside the scan")
    assert found["laminae"] >= 25
    write_axes("RIA", folder / "tracked.orientation.json")  # wrong, but not looked at
    assert main(["segment", str(folder), "-o", str(tmp_path / "given"), "--axes", "ARI", "--json"]) == 0
    found = summary(tmp_path / "given" / "tracked")
    assert (found["axes"], found["axes_from"]) == ("ARI", "given")


def test_axes_that_could_belong_to_two_scans_are_taken_for_neither(mixed, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("twice.nrrd", "twice.nii.gz"):
        shutil.copy(mixed / name, folder)
    write_axes("ARI", folder / "twice.orientation.json")
    assert main(["segment", str(folder), "-o", str(tmp_path / "results"), "--json"]) == 0
    for row in table(tmp_path / "results").values():
        assert row["state"] == "failed"
        assert "could belong to this scan or to" in row["error"]
