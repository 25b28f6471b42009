from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import case_files, image_files
from LaminaLabelingLib.case_files import (
    MARKS,
    CasePaths,
    FolderFiles,
    check_rater,
    natural_key,
    scan_name,
    split_labels_name,
)
from LaminaLabelingLib.errors import LaminaError

WHEN = datetime(2026, 3, 2, 9, 5, 7)
RATERS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
SCANS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: not name.startswith(".")
)


def accepted(rater):
    try:
        return check_rater(rater) == rater
    except LaminaError:
        return False


def make(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")
    return FolderFiles.of(folder)


@pytest.mark.parametrize("rater", ["a", "Anna-2_b", "7", "x" * 40, "orientation", "backup", "backup-1"])
def test_raters_have_letters_digits_and_two_marks(rater):
    assert check_rater(f"  {rater} ") == rater


@pytest.mark.parametrize(
    "rater",
    [
        "",
        "  ",
        "x" * 41,
        "a.b",
        "a b",
        "a/b",
        "..",
        "müller",
        "a\nb",
        "autosave",
        "AutoSave",
        "backup-20260302-090507",
        "damaged-20260302-090507-2",
        "LOST-LOCK-20260302-090507",
    ],
)
def test_names_that_would_be_other_files_are_no_raters(rater):
    with pytest.raises(LaminaError, match="cannot be the name of a rater") as raised:
        check_rater(rater)
    assert str(raised.value).endswith(".")


def test_all_formats_that_can_be_read_are_scans():
    assert set(case_files.IMAGE_EXTENSIONS) == set(image_files._IMAGE_IO)


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("scan1.nrrd", "scan1"),
        ("p.01.b.nii.gz", "p.01.b"),
        ("a.NRRD", "a"),
        ("a.mhd", "a"),
        ("a.b.nii", "a.b"),
        ("relabel.nrrd", "relabel"),
        ("labels.nrrd", "labels"),
        ("a-label2.nrrd", "a-label2"),
    ],
)
def test_a_scan_is_named_like_its_file(file_name, name):
    assert scan_name(file_name) == name


@pytest.mark.parametrize(
    "file_name",
    [
        "a.raw",
        "a.gz",
        "nrrd",
        ".nrrd",
        ".0123456789ab-a.nrrd",
        "._a.nrrd",
        "a.seg.nrrd",
        "A.SEG.NRRD",
        "a-label.nii.gz",
        "a_label.nrrd",
        "a.label.mha",
        "a-labels.nrrd",
        "a_Labels.nrrd",
        "a.labels.nii",
        "a.anna.mrk.json",
    ],
)
def test_label_volumes_hidden_files_and_others_are_no_scans(file_name):
    assert scan_name(file_name) is None


@given(SCANS, RATERS.filter(accepted))
def test_the_last_dot_divides_scan_and_rater(tmp_path_factory, scan, rater):
    paths = CasePaths(tmp_path_factory.getbasetemp(), scan, rater)
    assert split_labels_name(paths.labels.name) == (scan, rater)
    others = [paths.draft, paths.session, paths.lock, paths.orientation, paths.times]
    kept = [paths.kept(mark, WHEN) for mark in MARKS]
    assert {split_labels_name(path.name) for path in others + kept} == {None}


def test_files_are_named_as_documented(tmp_path):
    paths = CasePaths(tmp_path, "p.01", "anna")
    assert [
        path.name for path in (paths.labels, paths.draft, paths.lock, paths.session, paths.orientation, paths.times)
    ] == [
        "p.01.anna.mrk.json",
        "p.01.anna.autosave.mrk.json",
        "p.01.anna.lock",
        "p.01.anna.session.json",
        "p.01.orientation.json",
        "times.anna.csv",
    ]
    assert paths.labels_of("bob").name == "p.01.bob.mrk.json"


def test_kept_files_never_take_a_name_twice(tmp_path):
    paths = CasePaths(tmp_path, "s", "anna")
    names = []
    for _number in range(3):
        path = paths.kept("backup", WHEN)
        path.write_bytes(b"")
        names.append(path.name)
    stem = "s.anna.backup-20260302-090507"
    assert names == [f"{stem}.mrk.json", f"{stem}-2.mrk.json", f"{stem}-3.mrk.json"]
    assert paths.kept("damaged", WHEN, ".session.json").name == "s.anna.damaged-20260302-090507.session.json"


@pytest.mark.parametrize(
    ("file_name", "is_leftover"),
    [
        (".0123456789ab-s.1.anna.mrk.json", True),
        (".0123456789ab-s.1.anna.autosave.mrk.json", True),
        (".0123456789ab-s.1.anna.lock", True),
        (".0123456789ab-times.anna.csv", True),
        (".0123456789ab-s.1.anna2.mrk.json", False),
        (".0123456789ab-sx1.anna.mrk.json", False),
        (".0123456789ab-s.1.bob.mrk.json", False),
        (".0123456789ag-s.1.anna.mrk.json", False),
        ("s.1.anna.mrk.json", False),
    ],
)
def test_leftovers_are_those_of_this_scan_and_rater(tmp_path, file_name, is_leftover):
    assert CasePaths(tmp_path, "s.1", "anna").is_leftover(file_name) is is_leftover


def test_natural_order():
    names = ["scan10", "scan2", "Scan1", "scan", "scan2b", "7", "scan02"]
    assert sorted(names, key=natural_key) == ["7", "scan", "Scan1", "scan02", "scan2", "scan2b", "scan10"]


@given(st.text(max_size=8), st.text(max_size=8))
def test_every_two_names_have_an_order(first, second):
    assert (natural_key(first) < natural_key(second)) + (natural_key(second) < natural_key(first)) == (first != second)


def test_a_folder_lists_scans_and_who_has_labels(tmp_path):
    (tmp_path / "folder.nrrd").mkdir()
    files = make(
        tmp_path,
        *("s10.nrrd", "s2.nii.gz", "s2.seg.nrrd", "s2.bob.mrk.json", "s2.anna.mrk.json", "s2.anna.autosave.mrk.json"),
        *("s10.bob.backup-20260302-090507.mrk.json", "s10.anna.session.json", "laminae.mrk.json", ".x-s3.nrrd"),
    )
    assert files.scans == ("s2.nii.gz", "s10.nrrd")
    assert files.raters == {"s2": ("anna", "bob")}
    assert files.find_scan("s2") == tmp_path / "s2.nii.gz"


@pytest.mark.parametrize("second", ["a.mha", "A.nrrd", "A.nii.gz"])
def test_scans_whose_labels_would_collide_are_named(tmp_path, second):
    files = make(tmp_path, "a.nrrd", second, "b.nrrd")
    assert files.rivals("a.nrrd") == (second,)
    assert files.rivals("b.nrrd") == ()
    with pytest.raises(LaminaError, match=f'"{second}"') as raised:
        files.find_scan("a")
    assert_one_sentence(raised.value)


def test_a_scan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LaminaError, match='no scan "b"') as raised:
        make(tmp_path, "a.nrrd").find_scan("b")
    assert_one_sentence(raised.value)


def test_a_rater_is_always_written_in_the_same_way(tmp_path):
    files = make(tmp_path, "s.nrrd", "s.Anna.mrk.json")
    files.check_spelling("Anna")
    files.check_spelling("bob")
    with pytest.raises(LaminaError, match='"Anna"') as raised:
        files.check_spelling("anna")
    assert_one_sentence(raised.value)


def test_no_folder_a_file_and_a_locked_folder_are_told_apart(tmp_path, monkeypatch):
    with pytest.raises(LaminaError, match='no folder "missing"'):
        FolderFiles.of(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LaminaError, match='"file" is a file'):
        FolderFiles.of(tmp_path / "file")

    def refuse(folder):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(case_files.os, "scandir", refuse)
    with pytest.raises(LaminaError, match="Permission denied") as raised:
        FolderFiles.of(tmp_path)
    assert_one_sentence(raised.value)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_that_is_busy_for_a_moment_is_tried_again(monkeypatch, wrapped):
    monkeypatch.setattr(case_files, "_WAITS", (0.0, 0.0))
    calls = []

    def busy_twice(value):
        calls.append(value)
        if len(calls) < 3:
            if wrapped:
                raise LaminaError("busy") from PermissionError(13, "busy")
            raise PermissionError(13, "busy")
        return value

    assert case_files.insistently(busy_twice, 5) == 5
    assert calls == [5, 5, 5]


def test_other_errors_and_lasting_ones_are_not_tried_again(monkeypatch):
    monkeypatch.setattr(case_files, "_WAITS", (0.0, 0.0))
    calls = []

    def fail(error):
        calls.append(error)
        raise error

    with pytest.raises(LaminaError):
        case_files.insistently(fail, LaminaError("wrong"))
    assert len(calls) == 1
    with pytest.raises(PermissionError):
        case_files.insistently(fail, PermissionError(13, "busy"))
    assert len(calls) == 4


def test_a_disk_that_does_not_answer_holds_no_files(tmp_path, monkeypatch):
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"")
    assert (case_files.is_file(path), case_files.is_folder(path)) == (True, False)
    assert (case_files.is_file(tmp_path), case_files.is_folder(tmp_path)) == (False, True)

    def fail(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(case_files.Path, "is_file", fail)
    monkeypatch.setattr(case_files.Path, "is_dir", fail)
    assert not case_files.is_file(path) and not case_files.is_folder(tmp_path)
