import csv
import json

import pytest
from case_folders import (
    Clock,
    files_of,
    height,
    hidden_files,
    lock_of_dead_process,
    make_scan,
    placed,
    refused,
    start_python,
    with_absent,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_files import lamina_sets

from LaminaLabelingLib.case_locks import CaseLockedError
from LaminaLabelingLib.case_session import CaseSession
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.markups_files import read_markups, write_markups

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
STATE = {"slot": "T6R", "order": "pairs down", "view": {"center": [1.5, -2.0, 3.0], "slab": None}}


def test_a_scan_that_nobody_has_touched(opened, folder):
    session = opened()
    assert (session.name, session.rater, session.scan) == ("scan1", "anna", folder / "scan1.nrrd")
    assert (session.laminae, session.state, session.axes, session.warnings) == (LaminaSet(), {}, "", ())
    assert not session.recovered and not session.has_draft
    assert session.saved_path == folder / "scan1.anna.mrk.json"
    assert files_of(folder) == ["scan1.anna.lock"]
    session.close()
    assert files_of(folder) == []


def test_a_draft_is_found_again_with_its_state(opened, folder):
    session = opened()
    session.autosave(placed(1), STATE)
    assert session.has_draft and session.laminae == placed(1) and session.state == STATE
    session.autosave(placed(2))
    session.close()
    assert files_of(folder) == ["scan1.anna.autosave.mrk.json", "scan1.anna.session.json"]
    session = opened()
    assert session.recovered and session.has_draft
    assert (session.laminae, session.state) == (placed(2), STATE)


def test_save_promotes_the_draft(opened, folder):
    session = opened()
    session.autosave(placed(1))
    assert session.save(placed(2), STATE) == session.saved_path
    assert not session.has_draft
    session.close()
    assert files_of(folder) == ["scan1.anna.mrk.json", "scan1.anna.session.json"]
    assert read_markups(session.saved_path) == placed(2)
    session = opened()
    assert not session.recovered and not session.has_draft
    assert (session.laminae, session.state) == (placed(2), STATE)


@SHARED_FOLDER
@given(drafts=st.lists(lamina_sets(), min_size=1, max_size=3), save=st.booleans())
def test_whatever_was_stored_last_is_found_again(folder, drafts, save):
    with CaseSession.open(folder, "scan1", "anna") as session:
        for laminae in drafts:
            session.autosave(laminae)
        if save:
            session.save(laminae)
    with CaseSession.open(folder, "scan1", "anna") as session:
        assert session.laminae == drafts[-1]
        assert session.warnings == ()


def test_the_state_alone_makes_no_draft(opened, folder):
    session = opened()
    session.autosave(LaminaSet(), STATE)
    assert not session.has_draft
    session.close()
    assert files_of(folder) == ["scan1.anna.session.json"]
    assert opened().state == STATE


def test_undoing_everything_leaves_no_draft(opened, folder):
    session = opened()
    session.save(placed(1))
    session.autosave(placed(2))
    session.autosave(placed(1))
    assert not session.has_draft
    assert files_of(folder) == ["scan1.anna.lock", "scan1.anna.mrk.json"]


def test_a_state_that_is_changed_outside_is_stored_all_the_same(opened):
    session = opened()
    session.autosave(LaminaSet(), {"slot": "T1L"})
    state = session.state
    state["slot"] = "T2L"
    assert session.state == {"slot": "T1L"}
    session.autosave(LaminaSet(), state)
    session.close()
    assert opened().state == {"slot": "T2L"}


def test_a_state_that_is_no_json_is_refused_before_anything_is_written(opened, folder):
    session = opened()
    with pytest.raises(TypeError):
        session.autosave(placed(1), {"slot": object()})
    assert files_of(folder) == ["scan1.anna.lock"]


def test_discarding_goes_back_to_the_saved_labels(opened, folder):
    session = opened()
    session.save(placed(1))
    session.autosave(placed(2))
    assert session.discard_draft() == placed(1) == session.laminae
    assert not session.has_draft and not session.recovered
    assert files_of(folder) == ["scan1.anna.lock", "scan1.anna.mrk.json"]


def test_discarding_without_saved_labels_gives_an_empty_list(opened, folder):
    session = opened()
    session.autosave(placed(2))
    assert session.discard_draft() == LaminaSet()
    assert files_of(folder) == ["scan1.anna.lock"]


def test_a_draft_stays_when_the_saved_labels_cannot_be_read(opened):
    session = opened()
    session.save(placed(1))
    session.autosave(placed(2))
    session.saved_path.write_text("{")
    refused(session.discard_draft)
    assert session.has_draft and session.laminae == placed(2)
    session.close()
    assert opened().laminae == placed(2)


def test_two_raters_work_on_one_scan_and_see_what_the_other_has_saved(opened, folder):
    anna, bob = opened("anna"), opened("bob")
    anna.save(placed(1))
    anna.autosave(placed(2))
    bob.save(placed(3))
    assert bob.labels_of("anna") == placed(1)
    assert anna.labels_of("bob") == placed(3)
    refused(anna.labels_of, "chen", match='"chen"')
    refused(anna.labels_of, "a.b", match="rater")
    (folder / "scan1.chen.mrk.json").write_text("{")
    refused(anna.labels_of, "chen", match=r"scan1\.chen\.mrk\.json")


def test_axes_belong_to_the_scan(opened):
    anna = opened("anna")
    anna.set_axes("ria")
    assert anna.axes == "RIA"
    bob = opened("bob")
    assert bob.axes == "RIA"
    refused(bob.set_axes, "RIX")
    assert bob.axes == "RIA"
    bob.set_axes("")
    bob.close()
    assert opened("bob").axes == ""


def test_a_review_is_kept_with_its_labels(opened, folder):
    session = opened(clock=Clock())
    session.save(with_absent(placed(1), "L5L", "L5R"))
    session.mark_reviewed("  Dr. Bob\n Li ")
    (review,) = json.loads((folder / "scan1.anna.session.json").read_text())["reviews"]
    assert (review["by"], review["when"]) == ("Dr. Bob Li", "2026-03-02T09:00:00+01:00")
    session.autosave(session.laminae, STATE)
    session.close()
    assert json.loads((folder / "scan1.anna.session.json").read_text()) == {"state": STATE, "reviews": [review]}


def test_only_complete_saved_labels_can_be_reviewed(opened):
    session = opened()
    refused(session.mark_reviewed, "bob", match="save")
    session.autosave(placed(1))
    refused(session.mark_reviewed, "bob", match="save")
    session.save(placed(1).with_laminae([Lamina("T1L"), Lamina("T1R", (0, 0, 0), Review.unreviewed, Source.detected)]))
    refused(session.mark_reviewed, "bob", match="2 slots are still open, T1L")
    session.save(placed(1))
    refused(session.mark_reviewed, " \n", match="name")
    session.mark_reviewed("bob")


def test_labels_that_were_changed_by_others_cannot_be_reviewed_unseen(opened):
    session = opened()
    session.save(placed(1))
    write_markups(placed(2), session.saved_path)
    refused(session.mark_reviewed, "bob", match="changed by somebody else")


def test_a_case_that_is_open_is_locked_until_it_is_closed(opened, folder):
    session = opened()
    with pytest.raises(CaseLockedError):
        opened()
    session.close()
    session.close()
    with CaseSession.open(folder, "scan1", "anna") as again:
        assert again.name == "scan1"
    assert files_of(folder) == []


def test_a_case_that_cannot_be_opened_is_not_locked(opened, folder):
    refused(CaseSession.open, folder, "scan2", "anna", match='"scan2"')
    refused(CaseSession.open, folder, "scan1", "a.b", match="rater")
    make_scan(folder, "scan1.mha")
    refused(opened, match="rename")
    assert files_of(folder) == ["scan1.mha"]


def test_another_spelling_of_a_rater_is_refused(opened, folder):
    write_markups(placed(1), folder / "scan1.Anna.mrk.json")
    refused(opened, match='"Anna"')


def test_the_time_spent_is_noted_once(opened, folder):
    clock = Clock()
    session = opened(clock=clock)
    for gap, edit in [(10, True), (60, False), (200, True)]:
        clock.wait(gap)
        session.active(edit)
    session.close()
    session.close()
    with open(folder / "times.anna.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "scan": "scan1",
        "rater": "anna",
        "started": "2026-03-02T09:00:00+01:00",
        "ended": "2026-03-02T09:04:30+01:00",
        "seconds_open": "270.0",
        "seconds_active": "60.0",
        "edits": "2",
    }
    opened().close()
    assert len((folder / "times.anna.csv").read_text().splitlines()) == 2


def test_a_time_that_cannot_be_noted_does_not_keep_the_case_locked(opened, folder):
    (folder / "times.anna.csv").mkdir()
    session = opened()
    session.active()
    refused(session.close, match=r"times\.anna\.csv")
    session.close()
    assert not (folder / "scan1.anna.lock").exists()


def test_a_closed_case_stores_nothing(opened):
    session = opened()
    session.close()
    for action in (session.autosave, session.save):
        with pytest.raises(RuntimeError):
            action(placed(1))
    for action, arguments in [
        (session.discard_draft, ()),
        (session.mark_reviewed, ("bob",)),
        (session.set_axes, ("RIA",)),
    ]:
        with pytest.raises(RuntimeError):
            action(*arguments)


def test_an_error_in_a_with_block_closes_the_case(opened, folder):
    with pytest.raises(ZeroDivisionError), opened() as session:
        session.autosave(placed(1))
        raise ZeroDivisionError
    assert files_of(folder) == ["scan1.anna.autosave.mrk.json"]


def test_a_crashed_session_gives_way(opened, folder):
    lock_of_dead_process(folder / "scan1.anna.lock")
    assert opened().laminae == LaminaSet()


EDITS = """
from case_folders import placed
from LaminaLabelingLib.case_session import CaseSession
folder, rater, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for scan in ("scan1", "scan2"):
    with CaseSession.open(folder, scan, rater) as session:
        for number in range(first, first + 40):
            session.autosave(placed(number), {"number": number})
            session.active()
            if number % 10 == 9:
                session.save(placed(number))
        session.autosave(placed(first + 100))
"""


def test_two_raters_in_two_processes_never_meet(folder):
    make_scan(folder, "scan2.nrrd")
    firsts = {"anna": 1000, "bob": 2000}
    processes = [start_python(EDITS, folder, rater, first) for rater, first in firsts.items()]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        with process:
            assert process.wait() == 0
    for rater, first in firsts.items():
        for scan in ("scan1", "scan2"):
            with CaseSession.open(folder, scan, rater) as session:
                assert (height(session.laminae), session.state) == (first + 100, {"number": first + 39})
                assert session.recovered and session.warnings == ()
                assert height(read_markups(session.saved_path)) == first + 39
        assert len((folder / f"times.{rater}.csv").read_text().splitlines()) == 3
    assert hidden_files(folder) == []
