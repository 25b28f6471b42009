"""Files that others have changed, damaged or removed, seen through the sessions that work with them."""

import pytest
from case_folders import (
    Clock,
    change_lock,
    files_of,
    height,
    hidden_files,
    make_scan,
    placed,
    refused,
)
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import case_store, processes
from LaminaLabelingLib.case_locks import CaseLockedError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups_files import read_markups, write_markups

STATE = {"slot": "T6R", "order": "pairs down"}


def test_labels_that_were_changed_by_others_are_kept_before_saving(opened, folder):
    clock = Clock()
    session = opened(clock=clock)
    session.save(placed(1))
    for number in (2, 3):
        write_markups(placed(10 * number), session.saved_path)
        session.save(placed(number))
        session.save(placed(number + 0.5))
    session.close()
    stem = "scan1.anna.backup-20260302-090000"
    assert files_of(folder) == [f"{stem}-2.mrk.json", f"{stem}.mrk.json", "scan1.anna.mrk.json"]
    assert height(read_markups(folder / f"{stem}.mrk.json")) == 20
    assert height(read_markups(folder / f"{stem}-2.mrk.json")) == 30
    assert height(read_markups(session.saved_path)) == 3.5


def test_labels_that_appear_while_a_scan_is_labeled_for_the_first_time_are_kept(opened, folder):
    session = opened(clock=Clock())
    session.saved_path.write_bytes(b"not even a list")
    session.save(placed(1))
    assert (folder / "scan1.anna.backup-20260302-090000.mrk.json").read_bytes() == b"not even a list"
    assert read_markups(session.saved_path) == placed(1)


def test_labels_that_were_removed_by_others_are_written_again(opened):
    session = opened()
    session.save(placed(1))
    session.saved_path.unlink()
    session.save(placed(1))
    assert read_markups(session.saved_path) == placed(1)


def test_going_back_to_what_was_saved_keeps_a_draft_if_others_have_changed_it(opened):
    session = opened()
    session.save(placed(1))
    write_markups(placed(9), session.saved_path)
    session.autosave(placed(1))
    assert session.has_draft
    session.close()
    assert opened().laminae == placed(1)


def test_saving_the_same_again_leaves_a_file_of_others_as_it_is(opened, folder):
    write_markups(placed(1), folder / "scan1.anna.mrk.json", name="Made by another program")
    content = (folder / "scan1.anna.mrk.json").read_bytes()
    session = opened()
    session.save(placed(1))
    assert session.saved_path.read_bytes() == content
    assert files_of(folder) == ["scan1.anna.lock", "scan1.anna.mrk.json"]


def test_a_draft_that_equals_the_saved_labels_is_nothing_to_recover(opened, folder):
    # Killed between saving and removing the draft.
    for name in ("scan1.anna.mrk.json", "scan1.anna.autosave.mrk.json"):
        write_markups(placed(1), folder / name)
    session = opened()
    assert not session.recovered and not session.has_draft and session.laminae == placed(1)
    assert files_of(folder) == ["scan1.anna.lock", "scan1.anna.mrk.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"markups": [{"type": "Fiducial", "controlPoints": [{}]}]}'])
def test_a_damaged_draft_is_set_aside(opened, folder, content):
    write_markups(placed(1), folder / "scan1.anna.mrk.json")
    (folder / "scan1.anna.autosave.mrk.json").write_text(content)
    session = opened(clock=Clock())
    assert session.laminae == placed(1)
    assert not session.recovered and not session.has_draft
    assert "scan1.anna.damaged-20260302-090000.mrk.json" in session.warnings[0]
    assert (folder / "scan1.anna.damaged-20260302-090000.mrk.json").read_text() == content
    for warning in session.warnings:
        assert_one_sentence(warning)
    session.save(placed(2))
    session.close()
    assert opened().warnings == ()


def test_a_draft_that_cannot_be_opened_stays_and_keeps_the_case_closed(opened, folder):
    (folder / "scan1.anna.autosave.mrk.json").mkdir()
    refused(opened, match="autosave")
    assert files_of(folder) == ["scan1.anna.autosave.mrk.json"]


def test_a_session_that_cannot_be_opened_is_not_taken_for_a_damaged_one(opened, folder):
    (folder / "scan1.anna.session.json").mkdir()
    refused(opened, match="cannot be opened")
    assert files_of(folder) == ["scan1.anna.session.json"]


def test_damaged_labels_are_not_hidden(opened, folder):
    (folder / "scan1.anna.mrk.json").write_text("{")
    refused(opened, match=r"scan1\.anna\.mrk\.json")
    assert files_of(folder) == ["scan1.anna.mrk.json"]


def test_damaged_labels_are_kept_when_the_draft_beside_them_is_saved(opened, folder):
    (folder / "scan1.anna.mrk.json").write_text("{")
    write_markups(LaminaSet(), folder / "scan1.anna.autosave.mrk.json")
    session = opened(clock=Clock())
    assert session.recovered and session.has_draft
    assert len(session.warnings) == 1 and "scan1.anna.mrk.json" in session.warnings[0]
    session.autosave(LaminaSet())
    assert session.has_draft
    session.save(LaminaSet())
    assert (folder / "scan1.anna.backup-20260302-090000.mrk.json").read_text() == "{"
    assert read_markups(session.saved_path) == LaminaSet()


def test_a_damaged_session_is_set_aside(opened, folder):
    write_markups(placed(1), folder / "scan1.anna.mrk.json")
    (folder / "scan1.anna.session.json").write_text('{"state": 3}')
    session = opened(clock=Clock())
    assert (session.laminae, session.state) == (placed(1), {})
    assert len(session.warnings) == 2
    assert (folder / "scan1.anna.damaged-20260302-090000.session.json").read_text() == '{"state": 3}'


def test_leftovers_of_a_killed_process_are_removed_and_those_of_others_stay(opened, folder):
    leftovers = ["scan1.anna.mrk.json", "scan1.anna.autosave.mrk.json", "scan1.anna.session.json", "scan1.anna.lock"]
    others = ["scan1.bob.mrk.json", "scan10.anna.mrk.json"]
    for name in leftovers + others:
        (folder / f".0123456789ab-{name}").write_text("{")
    session = opened()
    assert sorted(hidden_files(folder)) == sorted(f".0123456789ab-{name}" for name in others)
    assert session.warnings == ()


def test_a_damaged_orientation_is_a_warning(opened, folder):
    (folder / "scan1.orientation.json").write_text('{"axes": "RRR"}')
    session = opened()
    assert session.axes == ""
    assert len(session.warnings) == 1 and "scan1.orientation.json" in session.warnings[0]
    session.set_axes("RIA")
    session.close()
    assert opened().axes == "RIA"


@pytest.fixture
def taken_over(opened, folder, monkeypatch):
    """A session of anna with a draft of 2, and one on another computer that has taken the case over."""
    first = opened(clock=Clock())
    first.save(placed(1))
    first.autosave(placed(2))
    change_lock(folder / "scan1.anna.lock", user="anna", host="PC7")
    monkeypatch.setattr(processes, "host_name", lambda: "PC8")
    with pytest.raises(CaseLockedError) as raised:
        opened()
    assert raised.value.may_take_over and raised.value.owner == "anna on PC7"
    second = opened(take_over=True)
    assert second.recovered and second.laminae == placed(2)
    monkeypatch.undo()
    return first, second


def test_edits_after_a_lock_was_lost_are_kept_apart(taken_over, folder):
    first, second = taken_over
    second.autosave(placed(3))
    lost = folder / "scan1.anna.lost-lock-20260302-090000.mrk.json"
    for store, number in [(first.autosave, 4), (first.save, 5)]:
        text = refused(store, placed(number), STATE)
        assert "PC8" in text and lost.name in text
        assert read_markups(lost) == placed(number)
    refused(first.mark_reviewed, "bob")
    assert first.has_draft
    first.close()
    assert second.state == {}
    second.save(placed(6))
    second.close()
    assert files_of(folder) == ["scan1.anna.lost-lock-20260302-090000.mrk.json", "scan1.anna.mrk.json"]
    assert height(read_markups(second.saved_path)) == 6


def test_somebody_else_s_draft_is_not_discarded(taken_over, opened):
    first, second = taken_over
    second.autosave(placed(3))
    assert first.discard_draft() == placed(1)
    assert not first.has_draft
    second.close()
    assert opened().laminae == placed(3)


def test_the_other_s_work_is_safe_after_the_other_has_left(taken_over, folder):
    first, second = taken_over
    second.autosave(placed(3))
    second.close()
    text = refused(first.autosave, placed(4))
    assert "somebody else" in text
    assert read_markups(folder / "scan1.anna.autosave.mrk.json") == placed(3)
    assert read_markups(folder / "scan1.anna.lost-lock-20260302-090000.mrk.json") == placed(4)


def test_a_lock_that_was_merely_removed_is_made_again(opened, folder):
    session = opened()
    session.save(placed(1))
    session.autosave(placed(2))
    (folder / "scan1.anna.lock").unlink()
    session.autosave(placed(3))
    assert (folder / "scan1.anna.lock").exists()
    with pytest.raises(CaseLockedError):
        opened()


def test_a_scan_that_was_removed_is_reported_and_the_edits_are_kept(opened, folder):
    session = opened()
    session.save(placed(1))
    session.scan.unlink()
    refused(session.autosave, placed(2), match=r'"scan1\.nrrd"')
    refused(session.save, placed(3), match=r'"scan1\.nrrd"')
    assert session.has_draft and session.laminae == placed(3)
    assert read_markups(session.saved_path) == placed(1)
    make_scan(folder)
    session.save(placed(3))
    assert not session.has_draft
    assert read_markups(session.saved_path) == placed(3)


def test_a_folder_that_is_gone_is_reported_and_nothing_is_lost(opened, folder):
    session = opened()
    session.save(placed(1))
    away = folder.with_name(folder.name + "-away")
    folder.rename(away)
    refused(session.autosave, placed(2), match="folder")
    refused(session.save, placed(2), match="folder")
    assert session.has_draft
    away.rename(folder)
    session.save(placed(2))
    assert read_markups(session.saved_path) == placed(2)


def test_a_folder_that_cannot_be_written_to_is_reported_and_nothing_is_lost(opened, folder, monkeypatch):
    session = opened()
    session.save(placed(1))

    def refuse(source, target):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(case_store.Path, "replace", refuse)
        refused(session.autosave, placed(2), match="Permission denied")
        assert session.has_draft
        refused(session.save, placed(2), match="Permission denied")
    assert session.has_draft and session.laminae == placed(1)
    assert read_markups(session.saved_path) == placed(1)
    session.autosave(placed(2))
    session.close()
    assert opened().laminae == placed(2)


def test_a_draft_that_cannot_be_removed_is_no_loss(opened, folder, monkeypatch):
    session = opened()
    session.autosave(placed(1))

    def refuse(path, missing_ok=False):
        if path.name.startswith("scan1"):
            raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(case_store.Path, "unlink", refuse)
        refused(session.save, placed(1), match=r"autosave\.mrk\.json")
    assert read_markups(session.saved_path) == placed(1)
    session.close()
    session = opened()
    assert session.laminae == placed(1) and not session.recovered
    assert files_of(folder) == ["scan1.anna.lock", "scan1.anna.mrk.json"]
