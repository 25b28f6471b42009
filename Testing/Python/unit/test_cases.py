import subprocess
import sys

import pytest
from case_folders import change_lock, lock_of_dead_process, make_scan, placed, start_python, with_absent
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import cases, markups_files
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.case_session import CaseSession
from LaminaLabelingLib.cases import Case, CaseFolder, Status
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.markups_files import write_markups


def labels(folder, laminae, rater="anna", kind=".mrk.json", scan="scan1"):
    path = folder / f"{scan}.{rater}{kind}"
    write_markups(laminae, path)
    return path


def only_case(folder, rater="anna"):
    (case,) = CaseFolder(folder, rater).cases
    return case


def test_an_untouched_scan(folder):
    assert only_case(folder) == Case(
        scan=folder / "scan1.nrrd",
        name="scan1",
        status=Status.untouched,
        placed=0,
        absent=0,
        unreviewed=0,
        total=34,
        raters=(),
        has_draft=False,
        locked_by="",
        problem="",
    )


@pytest.mark.parametrize(
    ("laminae", "status", "counts"),
    [
        (LaminaSet(), Status.begun, (0, 0, 0, 34)),
        (placed(1, ["T1L", "T1R"]), Status.begun, (2, 0, 0, 34)),
        (placed(1), Status.done, (34, 0, 0, 34)),
        (with_absent(placed(1), "L5L", "L5R"), Status.done, (32, 2, 0, 34)),
        (placed(1).with_lamina(Lamina("T1L")), Status.begun, (33, 0, 0, 34)),
        (
            placed(1).with_lamina(Lamina("T1L", (0, 0, 0), Review.unreviewed, Source.detected)),
            Status.begun,
            (33, 0, 1, 34),
        ),
        (placed(1, Numbering(11, 4).slots), Status.done, (30, 0, 0, 30)),
        (placed(1, ["P01L", "P01R", "P02L"]), Status.done, (3, 0, 0, 3)),
    ],
)
def test_saved_labels_are_done_when_every_slot_is_decided(folder, laminae, status, counts):
    labels(folder, laminae)
    case = only_case(folder)
    assert case.status is status
    assert (case.placed, case.absent, case.unreviewed, case.total) == counts
    assert case.raters == ("anna",)
    assert not case.problem and not case.has_draft


def test_a_draft_makes_a_case_begun_and_is_what_is_counted(folder):
    labels(folder, placed(1))
    labels(folder, placed(1, ["T1L"]), kind=".autosave.mrk.json")
    case = only_case(folder)
    assert (case.status, case.has_draft, case.placed) == (Status.begun, True, 1)


def test_a_draft_alone_does_not_count_as_a_rater_s_labels(folder):
    labels(folder, placed(1), kind=".autosave.mrk.json")
    case = only_case(folder)
    assert (case.status, case.placed, case.raters) == (Status.begun, 34, ())


def test_each_rater_has_a_status_of_their_own(folder):
    labels(folder, placed(1), "bob")
    labels(folder, placed(1, ["T1L"]), "anna")
    labels(folder, placed(1), "chen", ".autosave.mrk.json")
    assert {rater: only_case(folder, rater).status.value for rater in ("anna", "bob", "chen", "dora")} == {
        "anna": "begun",
        "bob": "done",
        "chen": "begun",
        "dora": "untouched",
    }
    assert only_case(folder, "dora").raters == ("anna", "bob")


def test_a_review_ends_with_the_next_change(folder):
    with CaseSession.open(folder, "scan1", "anna") as session:
        session.save(placed(1))
        session.mark_reviewed("bob")
        assert only_case(folder).status is Status.reviewed
        assert only_case(folder, "bob").status is Status.untouched
        session.autosave(placed(2))
        assert only_case(folder).status is Status.begun
        session.save(placed(2))
        assert only_case(folder).status is Status.done
        session.save(placed(1))
        assert only_case(folder).status is Status.reviewed
    labels(folder, placed(3))
    assert only_case(folder).status is Status.done


HOLD = """
from LaminaLabelingLib.case_session import CaseSession
with CaseSession.open(sys.argv[1], "scan1", "anna"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_case_says_who_else_works_on_it(folder):
    with CaseSession.open(folder, "scan1", "anna"):
        assert only_case(folder).locked_by == ""
    with start_python(HOLD, folder) as holder:
        holder.stdout.readline()
        assert " on " in only_case(folder).locked_by
        assert only_case(folder, "bob").locked_by == ""
        assert not only_case(folder).problem
        holder.stdin.close()
    lock_of_dead_process(folder / "scan1.anna.lock")
    assert only_case(folder).locked_by == ""
    change_lock(folder / "scan1.anna.lock", user="anna", host="PC7")
    assert only_case(folder).locked_by == "anna on PC7"


def three(folder):
    """scan1 done, scan2 with a problem, scan3 untouched, scan10 begun."""
    for name in ("scan2.nii.gz", "scan10.mha", "scan3.nrrd"):
        make_scan(folder, name)
    labels(folder, placed(1))
    labels(folder, placed(1, ["T1L"]), scan="scan10")
    (folder / "scan2.anna.mrk.json").write_text("{")
    return CaseFolder(folder, "anna")


def name_of(case):
    return None if case is None else case.name


def test_cases_come_in_natural_order(folder):
    opened = three(folder)
    assert [case.name for case in opened.cases] == ["scan1", "scan2", "scan3", "scan10"]
    assert opened.case("scan10").scan == folder / "scan10.mha"
    with pytest.raises(LaminaError, match='"scan4"') as raised:
        opened.case("scan4")
    assert_one_sentence(raised.value)


@pytest.mark.parametrize(
    ("name", "unfinished", "following", "preceding"),
    [
        (None, False, "scan1", "scan10"),
        ("scan1", False, "scan3", None),
        ("scan2", False, "scan3", "scan1"),
        ("scan3", False, "scan10", "scan1"),
        ("scan10", False, None, "scan3"),
        (None, True, "scan3", "scan10"),
        ("scan1", True, "scan3", None),
        ("scan3", True, "scan10", None),
        ("scan5", False, "scan10", "scan3"),  # removed meanwhile
    ],
)
def test_next_and_previous_skip_cases_with_a_problem(folder, name, unfinished, following, preceding):
    opened = three(folder)
    assert name_of(opened.next(name, unfinished)) == following
    assert name_of(opened.previous(name, unfinished=unfinished)) == preceding


def test_the_summary_counts_every_status(folder):
    assert three(folder).summary() == {
        Status.untouched: 1,
        Status.begun: 2,
        Status.done: 1,
        Status.reviewed: 0,
    }


def test_refresh_sees_what_has_changed(folder):
    opened = CaseFolder(folder, "anna")
    labels(folder, placed(1))
    make_scan(folder, "scan2.nrrd")
    assert [case.status for case in opened.cases] == [Status.untouched]
    opened.refresh()
    assert [case.status for case in opened.cases] == [Status.done, Status.untouched]


@pytest.mark.parametrize("name", ["scan1.anna.mrk.json", "scan1.anna.autosave.mrk.json", "scan1.anna.session.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]"])
def test_a_damaged_file_is_a_problem_of_its_case_only(folder, name, content):
    make_scan(folder, "scan2.nrrd")
    labels(folder, placed(1))
    (folder / name).write_bytes(content)
    first, second = CaseFolder(folder, "anna").cases
    assert name in first.problem
    assert_one_sentence(first.problem)
    assert first.has_draft is ("autosave" in name)
    assert first.status is Status.begun
    assert not second.problem


def test_scans_that_would_share_their_labels_are_listed_and_cannot_be_opened(folder):
    make_scan(folder, "scan1.mha")
    make_scan(folder, "scan2.mha")
    labels(folder, placed(1))
    opened = CaseFolder(folder, "anna")
    assert [case.scan.name for case in opened.cases] == ["scan1.mha", "scan1.nrrd", "scan2.mha"]
    for case, other in zip(opened.cases, ["scan1.nrrd", "scan1.mha"]):
        assert f'"{other}"' in case.problem
        assert_one_sentence(case.problem)
        with pytest.raises(LaminaError, match="rename"):
            CaseSession.open(folder, case.name, "anna")
    assert opened.next().name == "scan2"


def test_a_draft_that_is_saved_while_the_folder_is_read_is_no_problem(folder, monkeypatch):
    draft = labels(folder, placed(1, ["T1L"]), kind=".autosave.mrk.json")
    read = cases.read_markups

    def just_after_saving(path):
        if draft.exists():
            labels(folder, placed(1))
            draft.unlink()
        return read(path)

    labels(folder, placed(2))
    monkeypatch.setattr(cases, "read_markups", just_after_saving)
    case = only_case(folder)
    assert (case.status, case.has_draft, case.problem) == (Status.done, False, "")


def test_a_folder_without_scans_says_so(tmp_path):
    (tmp_path / "a.seg.nrrd").write_bytes(b"")
    opened = CaseFolder(tmp_path, "anna")
    assert opened.cases == () and opened.next() is None and opened.previous() is None
    assert "no scan" in opened.problem
    make_scan(tmp_path)
    opened.refresh()
    assert opened.problem == "" and len(opened.cases) == 1


def test_a_folder_that_is_gone_is_reported_and_the_list_stays(folder):
    with pytest.raises(LaminaError, match='no folder "missing"') as raised:
        CaseFolder(folder / "missing", "anna")
    assert_one_sentence(raised.value)
    opened = CaseFolder(folder, "anna")
    folder.rename(folder.with_name("away"))
    with pytest.raises(LaminaError, match="no folder"):
        opened.refresh()
    assert len(opened.cases) == 1


def test_a_wrong_rater_is_reported(folder):
    with pytest.raises(LaminaError, match="rater"):
        CaseFolder(folder, "a.b")
    labels(folder, placed(1), "Anna")
    with pytest.raises(LaminaError, match='"Anna"'):
        CaseFolder(folder, "anna")


def test_two_hundred_scans_are_listed_by_reading_one_small_file_each(tmp_path, monkeypatch):
    content = labels(tmp_path, placed(1), scan="x").read_bytes()
    for number in range(200):
        make_scan(tmp_path, f"scan{number}.nrrd")
        for rater in ("anna", "bob", "chen"):
            (tmp_path / f"scan{number}.{rater}.mrk.json").write_bytes(content)
    opened, read_text = [], markups_files.Path.read_text

    def counted(path, *arguments, **options):
        opened.append(path.name)
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(markups_files.Path, "read_text", counted)
    listed = CaseFolder(tmp_path, "anna")
    assert listed.summary()[Status.done] == 200
    assert listed.cases[199].name == "scan199" and listed.cases[2].raters == ("anna", "bob", "chen")
    assert sorted(opened) == sorted(f"scan{number}.anna.mrk.json" for number in range(200))


@pytest.mark.parametrize("name", ["cases", "case_session"])
def test_the_case_folder_starts_quickly_and_without_slicer(name):
    heavy = ["vtk", "slicer", "qt", "ctk", "SimpleITK", "scipy", "ctypes.wintypes", "subprocess"]
    code = f"import sys, LaminaLabelingLib.{name}; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
