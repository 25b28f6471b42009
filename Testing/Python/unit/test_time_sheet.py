import csv
import threading
from datetime import datetime, timedelta, timezone

import pytest
from case_folders import Clock
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import time_sheet
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.time_sheet import COLUMNS, Activity, append_row

ROW = ("scan1", "anna", "2026-03-02T09:00:00+01:00", "2026-03-02T09:05:00+01:00", "300.0", "160.0", "2")


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_gaps_up_to_two_minutes_are_active_time():
    clock = Clock()
    activity = Activity(clock)
    for gap, edit in [(50, True), (40, False), (120, True), (120.5, True), (9.5, False)]:
        clock.wait(gap)
        activity.note(edit)
    clock.wait(30)
    started, ended = "2026-03-02T09:00:00+01:00", "2026-03-02T09:06:10+01:00"
    # The wait for the first activity and the one after the last are open time only, as is the gap of 120.5 s.
    assert activity.row("scan1", "anna") == ("scan1", "anna", started, ended, "370.0", "169.5", "3")


def test_the_longest_gap_can_be_chosen():
    clock = Clock()
    activity = Activity(clock, longest_gap=10)
    for gap in (0, 10, 11):
        clock.wait(gap)
        activity.note()
    assert activity.row("s", "a")[4:] == ("21.0", "10.0", "3")


def test_looking_around_is_activity_but_no_edit():
    activity = Activity(Clock())
    activity.note(edit=False)
    assert activity.row("s", "a")[4:] == ("0.0", "0.0", "0")


def test_without_activity_there_is_no_row():
    clock = Clock()
    activity = Activity(clock)
    clock.wait(1000)
    assert activity.row("s", "a") is None


def test_a_clock_that_is_set_back_takes_no_time_away():
    clock = Clock()
    activity = Activity(clock)
    for gap in (0, 20, -100, 30):
        clock.wait(gap)
        activity.note()
    assert activity.row("s", "a")[4:6] == ("0.0", "50.0")


def test_summer_time_changes_nothing():
    clock = Clock()
    activity = Activity(clock)
    activity.note()
    clock.time = datetime(2026, 3, 2, 10, 1, 0, tzinfo=timezone(timedelta(hours=2)))  # one minute later
    activity.note()
    assert activity.row("s", "a")[3:6] == ("2026-03-02T10:01:00+02:00", "60.0", "60.0")


def test_the_real_clock_knows_its_offset():
    assert time_sheet.now().utcoffset() is not None


@given(st.lists(st.floats(0, 500), max_size=12))
def test_active_time_is_never_longer_than_open_time(gaps):
    clock = Clock()
    activity = Activity(clock)
    activity.note()
    for gap in gaps:
        clock.wait(gap)
        activity.note()
    seconds_open, seconds_active, edits = map(float, activity.row("s", "a")[4:])
    assert 0 <= seconds_active <= seconds_open + 0.1
    assert edits == len(gaps) + 1


def test_a_new_sheet_starts_with_its_header(tmp_path):
    path = tmp_path / "times.anna.csv"
    append_row(ROW, path)
    append_row(ROW, path)
    assert read(path) == [list(COLUMNS), list(ROW), list(ROW)]
    assert [path.name for path in tmp_path.iterdir()] == ["times.anna.csv"]


def test_names_with_commas_and_quotes_survive(tmp_path):
    path = tmp_path / "times.csv"
    row = ('a,"b" ü', *ROW[1:])
    append_row(row, path)
    assert read(path)[1] == list(row)


def test_a_last_line_without_an_end_is_ended_first(tmp_path):
    path = tmp_path / "times.csv"
    path.write_bytes(b"scan,rater\r\nold,anna")
    append_row(ROW, path)
    assert read(path) == [["scan", "rater"], ["old", "anna"], list(ROW)]


def test_a_disk_without_links_gets_the_same_sheet(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(time_sheet.os, "link", refuse)
    append_row(ROW, tmp_path / "times.csv")
    append_row(ROW, tmp_path / "times.csv")
    assert read(tmp_path / "times.csv") == [list(COLUMNS), list(ROW), list(ROW)]


def test_a_sheet_that_another_process_starts_meanwhile_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "times.csv"
    link = time_sheet.os.link

    def after_another(source, target):
        path.write_bytes(b"other header\nother row\n")
        link(source, target)

    monkeypatch.setattr(time_sheet.os, "link", after_another)
    append_row(ROW, path)
    assert read(path) == [["other header"], ["other row"], list(ROW)]


def test_lines_of_many_writers_stay_whole(tmp_path):
    path = tmp_path / "times.csv"
    start = threading.Barrier(8)

    def write(writer):
        start.wait()
        for number in range(25):
            append_row((f"scan{writer}-{number}", *ROW[1:]), path)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = read(path)
    assert rows[0] == list(COLUMNS)
    expected = {(f"scan{writer}-{number}", *ROW[1:]) for writer in range(8) for number in range(25)}
    assert len(rows) == 201 and {tuple(row) for row in rows[1:]} == expected


def test_a_sheet_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "times.csv").mkdir()
    with pytest.raises(LaminaError, match=r"times\.csv") as raised:
        append_row(ROW, tmp_path / "times.csv")
    assert_one_sentence(raised.value)
    with pytest.raises(LaminaError, match=r"times\.csv"):
        append_row(ROW, tmp_path / "missing" / "times.csv")
