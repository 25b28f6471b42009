"""Labeled scans out of a case folder: which can be trained on, and what is wrong with the others."""

import json
import os

import pytest
from case_folders import make_scan, placed, with_absent

from LaminaLabelingLib.case_files import CasePaths
from LaminaLabelingLib.case_sidecars import write_axes
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import write_markups
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.case_dataset import labeled_cases
from LaminaSegmentationLib.case_list import ListedCase, read_case_list, write_case_list
from LaminaSegmentationLib.dataset_file import read_dataset
from LaminaSegmentationLib.simulation import simulate_scan


def save(folder, name, laminae, rater="anna"):
    write_markups(laminae, CasePaths(folder, name, rater).labels)


def quick(folder, rater="anna", listed=None):
    return {case.name: case for case in labeled_cases(folder, rater, listed, read_scans=False)}


@pytest.fixture
def folder(tmp_path):
    """Two scans that anna has labeled completely."""
    for number in (1, 2):
        make_scan(tmp_path, f"scan{number}.nrrd")
        save(tmp_path, f"scan{number}", placed(number))
    return tmp_path


def test_complete_labels_are_used_and_each_scan_is_a_patient_of_its_own(folder):
    cases = quick(folder)
    assert list(cases) == ["scan1", "scan2"]
    first = cases["scan1"]
    assert (first.is_used, first.laminae, first.patient, first.notes) == (True, 34, "scan1", ())
    assert first.label == folder / "scan1.anna.mrk.json"


def test_paths_of_an_entry_are_relative_to_the_dataset_file(folder):
    write_axes("RIA", CasePaths(folder, "scan1", "anna").orientation)
    entry = quick(folder, listed={"scan1": ListedCase("p 7")})["scan1"].entry(folder / "run")
    assert entry == {
        "image": "../scan1.nrrd",
        "label": "../scan1.anna.mrk.json",
        "patient": "p 7",
        "axes": "RIA",
    }


def test_scans_without_the_raters_labels_say_who_has_some(folder):
    make_scan(folder, "scan3.nrrd")
    make_scan(folder, "scan4.nrrd")
    save(folder, "scan3", placed(3), "ben")
    cases = quick(folder)
    assert cases["scan3"].problem == "anna has not saved labels of it, only ben did."
    assert cases["scan4"].problem == "anna has not saved labels of it."
    assert not cases["scan3"].is_used


def test_what_a_network_would_learn_wrongly_is_a_note(folder):
    some = placed(1)
    some = some.with_laminae([Lamina(name) for name in ("T3L", "L1R")])
    some = some.with_laminae([Lamina("T1L", (1, 2, 3), Review.unreviewed, Source.detected, 0.5)])
    save(folder, "scan1", some)
    case = quick(folder)["scan1"]
    assert case.is_used
    assert case.laminae == 32
    assert case.notes == (
        "2 slots are empty (T3L, L1R): a network would learn that nothing is there",
        "1 laminae have not been reviewed",
    )


def test_absent_laminae_are_no_empty_slots(folder):
    save(folder, "scan1", with_absent(placed(1), "T1L", "T1R"))
    assert quick(folder)["scan1"].notes == ()


def test_edits_that_are_not_saved_are_told(folder):
    write_markups(placed(5), CasePaths(folder, "scan1", "anna").draft)
    assert quick(folder)["scan1"].notes == ("there are edits that are not saved yet",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "scan1.anna.mrk.json").write_text("{"), "scan1.anna.mrk.json"),
        (lambda folder: save(folder, "scan1", LaminaSet()), "no lamina is placed"),
        (lambda folder: make_scan(folder, "scan1.mha"), "would share their labels"),
        (lambda folder: (folder / "scan1.orientation.json").write_text("{"), "scan1.orientation.json"),
    ],
)
def test_a_case_with_a_problem_is_left_out_and_the_others_are_not(folder, change, words):
    change(folder)
    cases = quick(folder)
    assert words in cases["scan1"].problem
    assert not cases["scan1"].is_used
    assert cases["scan2"].is_used


def test_a_list_gives_patients_and_leaves_scans_out(folder):
    cases = quick(folder, listed={"scan1": ListedCase("seven"), "scan2": ListedCase(use=False)})
    assert cases["scan1"].patient == "seven"
    assert not cases["scan2"].is_used
    assert not cases["scan2"].problem


@pytest.mark.parametrize(
    ("rater", "listed", "words"),
    [
        ("ben", None, "has no labels of 'ben': there are labels of anna"),
        ("Anna", None, "write the name in the same way"),
        ("a b", None, "cannot be the name of a rater"),
        ("anna", {"scan1.nrrd": ListedCase()}, "the scan 'scan1.nrrd': leave out its extension"),
        ("anna", {"scan9": ListedCase()}, "names the scan 'scan9', which the folder does not hold"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(folder, rater, listed, words):
    with pytest.raises(LaminaError, match=words):
        quick(folder, rater, listed)


def test_an_empty_folder_is_a_sentence(tmp_path):
    with pytest.raises(LaminaError, match="There is no scan in the folder"):
        quick(tmp_path)


def test_a_list_of_cases_comes_back_as_it_was_written(tmp_path):
    write_case_list([("a,b", "p 1", True), ("c", "", False)], tmp_path / "cases.csv")
    assert read_case_list(tmp_path / "cases.csv") == {"a,b": ListedCase("p 1", True), "c": ListedCase("", False)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,use\n1,yes\n", "has no column 'scan'"),
        ("scan,use\n,yes\n", "Line 2 of 'cases.csv' names no scan"),
        ("scan\na\na\n", "Line 3 of 'cases.csv' names 'a' again"),
        (b"\xff\xfe\x00", "cannot be read as a list of cases"),
        (None, "There is no list of cases"),
        ("scan;patient;use\na;1;no\n", "has no column 'scan': the first line must read scan,patient,use, with commas"),
        ("scan,use\na,nein\n", "Line 2 of 'cases.csv' says 'nein' under use: write yes or no"),
    ],
)
def test_a_list_of_cases_that_is_wrong_is_a_sentence(tmp_path, text, words):
    path = tmp_path / "cases.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LaminaError, match=words):
        read_case_list(path)


# With scans that are read


@pytest.fixture(scope="module")
def scan():
    return simulate_scan(1_000_200, spacing=2.0)


@pytest.fixture
def real(tmp_path, scan):
    for name in ("a", "b", "c"):
        write_volume(scan.volume, tmp_path / f"{name}.nrrd")
        save(tmp_path, name, scan.truth)
    # Copies of one scan are refused by the dataset; these differ in a voxel.
    for number, name in enumerate("bc", 1):
        array = scan.volume.array.copy()
        array[0, 0, 0] = number
        write_volume(scan.volume.with_array(array), tmp_path / f"{name}.nrrd")
    return tmp_path


def test_labels_that_do_not_lie_in_their_scan_are_found(real, scan):
    far = LaminaSet.from_positions({name: point + 500.0 for name, point in scan.truth.positions().items()})
    save(real, "b", far)
    (real / "c.nrrd").write_bytes(b"NRRD0004\n")
    cases = {case.name: case for case in labeled_cases(real, "anna")}
    assert cases["a"].is_used
    assert "outside the scan" in cases["b"].problem
    assert cases["c"].problem


def test_exchanged_sides_are_told(real, scan):
    exchanged = {
        f"{name[:-1]}{'R' if name[-1] == 'L' else 'L'}": point for name, point in scan.truth.positions().items()
    }
    save(real, "b", LaminaSet.from_positions(exchanged))
    cases = {case.name: case for case in labeled_cases(real, "anna")}
    assert not any("exchanged" in note for note in cases["a"].notes)
    assert any("left and right are exchanged in 17 of 17 pairs" in note for note in cases["b"].notes)


def split(folder, *more):
    return main(["split", "--cases", str(folder), "--rater", "anna", "-o", str(folder / "run" / "dataset.json"), *more])


def test_the_command_splits_a_case_folder_and_tells_each_case(real, capsys):
    (real / "c.nrrd").write_bytes(b"NRRD0004\n")
    assert split(real, "--ratio", "1,1,0", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cases = {event["scan"]: event for event in events if event["event"] == "case"}
    assert [cases[name]["state"] for name in "abc"] == ["usable", "usable", "unusable"]
    assert events[-1]["left_out"] == 1
    assert sorted(events[-1]["lists"]) == ["a", "b"]
    lists = read_dataset(real / "run" / "dataset.json")
    assert [len(lists[name]) for name in ("training", "validation", "test")] == [1, 1, 0]
    assert all(entry["image"].is_file() for entries in lists.values() for entry in entries)


def test_scans_of_a_patient_stay_together(real):
    write_case_list([("a", "p", True), ("c", "p", True)], real / "cases.csv")
    assert split(real, "--ratio", "2,1,0", "--quick", "--list", str(real / "cases.csv")) == 0
    lists = read_dataset(real / "run" / "dataset.json")
    assert sorted(entry["image"].stem for entry in lists["training"]) == ["a", "c"]


def test_the_command_says_what_it_needs(real, capsys):
    assert main(["split", "--cases", str(real), "-o", str(real / "d.json")]) == 2
    assert "--cases needs --rater" in capsys.readouterr().err
    write_case_list([(name, "", False) for name in "abc"], real / "cases.csv")
    assert split(real, "--quick", "--list", str(real / "cases.csv")) == 2
    assert "leaves out all 3 scans" in capsys.readouterr().err
    (real / "scans.json").write_text("[]")
    assert main(["split", "--data", str(real / "scans.json"), "--rater", "anna", "-o", str(real / "d.json")]) == 2
    assert "--list and --rater belong to --cases" in capsys.readouterr().err
    for path in real.glob("*.nrrd"):
        path.write_bytes(b"")
    assert split(real) == 2
    assert "None of the 3 scans can be used" in capsys.readouterr().err
    assert not (real / "run" / "dataset.json").exists()


def test_scans_on_another_drive_are_named_with_their_whole_path(folder, monkeypatch):
    def no_common_drive(path, start):
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", no_common_drive)
    assert quick(folder)["scan1"].entry(folder)["image"] == (folder / "scan1.nrrd").as_posix()
