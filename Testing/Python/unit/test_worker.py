"""The child process behind the graphical interface: events, results, errors, crashes, cancel."""

import os
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Source
from LaminaSegmentationLib import worker
from LaminaSegmentationLib.model_list import shipped_card
from LaminaSegmentationLib.segmentation_job import SegmentationJob
from LaminaSegmentationLib.worker import (
    LaminaCommand,
    child_environment,
    overall_fraction,
    reason_of_crash,
    seconds_left,
)

FAKE_LAMINA = Path(__file__).parents[1] / "fake_lamina.py"


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def is_alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Started:
    """A job in one mode of the fake command, with the events it has delivered."""

    def __init__(self, mode):
        self.events = []
        self.job = SegmentationJob(self.events.append, [sys.executable, str(FAKE_LAMINA), mode])
        self.folder = self.job.scan_path.parent
        image = SimpleITK.GetImageFromArray(np.zeros((40, 35, 32), dtype=np.uint8))
        image.SetOrigin((10.0, 20.0, 30.0))
        SimpleITK.WriteImage(image, str(self.job.scan_path))
        self.result = None
        self.job.start()

    def poll(self):
        self.result = self.job.poll()
        return self.result is not None

    def finish(self):
        wait_for(self.poll)
        return self.result


@pytest.fixture
def start():
    started = []

    def begin(mode):
        started.append(Started(mode))
        return started[-1]

    yield begin
    for each in started:
        each.job.cancel()


def test_a_result_comes_with_all_its_events_in_order(start):
    run = start("good")
    result = run.finish()
    assert [event["event"] for event in run.events] == ["stage", "stage", "progress", "warning", "stage"]
    assert len(result.laminae.positions()) == 34
    assert result.laminae["T7R"].source is Source.inferred
    assert result.column.shape == (17, 3)
    assert result.warnings == ("looks like a partial scan",)
    assert result.summary["found"] == 34


def test_the_positions_are_in_the_world_of_the_file(start):
    result = start("good").finish()
    # Middle of i, 40 % of j, 95 % of k, of an LPS file with its origin at (10, 20, 30) mm: as RAS.
    assert result.laminae["T1L"].position == pytest.approx((-(10 + 15.5), -(20 + 0.4 * 34), 30 + 0.95 * 39), abs=1e-4)


def test_nothing_is_left_on_disk_after_a_result(start):
    run = start("good")
    assert run.folder.is_dir()
    run.finish()
    assert not run.folder.exists()


def test_output_that_is_no_event_is_passed_over(start):
    assert len(start("chatty").finish().laminae.positions()) == 34


def test_an_error_of_the_user_keeps_its_sentence(start):
    run = start("refuse")
    with pytest.raises(LaminaError, match=r"^The orientation of the volume cannot be trusted: give --axes"):
        run.finish()
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("crash", r"ended unexpectedly \(1\)(.|\n)*RuntimeError: the network is upside down"),
        (
            "killed",
            r"ended from outside \(SIGKILL\)\. Mostly .* memory is full.*Use less memory(.|\n)*the log is empty",
        ),
        ("silent", r"ended unexpectedly \(0\)(.|\n)*the log is empty"),
    ],
)
def test_any_other_end_is_told_with_the_last_lines_of_the_log(start, mode, text):
    run = start(mode)
    with pytest.raises(LaminaError, match=text):
        run.finish()
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("code", "log", "words"),
    [
        (1, "numpy._core._exceptions._ArrayMemoryError: Unable to allocate", "ran out of memory"),
        (0xC0000017, "", "ran out of memory"),
        (1, "OSError: [Errno 28] No space left on device: 'x'", "a disk is full"),
        (-11, "", r"crashed \(SIGSEGV\)"),
        (-1073741819, "", r"crashed \(-1073741819\)"),  # 0xC0000005, as a signed number
        (137, "", r"ended from outside \(SIGKILL\)"),  # as a launcher between the two passes it on
        (139, "", r"crashed \(SIGSEGV\)"),
        (-15, "", r"ended from outside \(SIGTERM\)"),
        (3, "whatever", r"ended unexpectedly \(3\)\.$"),
        (-64, "", r"ended unexpectedly \(SIGRTMAX\)"),
    ],
)
def test_the_reason_of_a_crash_is_told_in_words(code, log, words):
    assert re.search(words, reason_of_crash(code, log))


def test_a_folder_that_vanishes_is_a_sentence_and_ends_the_child(start):
    run = start("slow")
    wait_for(lambda: run.poll() or run.events)
    child = run.job._command._process.pid
    shutil.rmtree(run.folder)
    with pytest.raises(LaminaError, match="temporary folder of the computation has gone"):
        run.finish()
    wait_for(lambda: not is_alive(child))


def test_cancel_ends_the_whole_process_tree_and_leaves_no_files(start):
    run = start("slow")
    wait_for(lambda: run.poll() or any(event["event"] == "grandchild" for event in run.events))
    child = run.job._command._process.pid
    grandchild = next(event["pid"] for event in run.events if event["event"] == "grandchild")
    assert is_alive(child)
    assert is_alive(grandchild)
    run.job.cancel()
    wait_for(lambda: not is_alive(child) and not is_alive(grandchild))
    assert not run.job.is_running
    assert not run.folder.exists()


def test_a_job_that_is_forgotten_ends_too(start):
    events = []
    command = LaminaCommand(events.append, [sys.executable, str(FAKE_LAMINA), "slow"])
    command.start(["segment", "scan.nrrd", "-o", "result"])
    pid, folder = command._process.pid, command.folder
    del command
    wait_for(lambda: not is_alive(pid))
    assert not folder.exists()


def test_cancel_twice_or_before_the_start_does_nothing():
    job = SegmentationJob(print)
    folder = job.scan_path.parent
    job.cancel()
    job.cancel()
    assert not folder.exists()
    assert not job.is_running


def test_an_exception_in_the_callback_ends_the_job():
    def fail(event):
        raise ZeroDivisionError(event["event"])

    command = LaminaCommand(fail, [sys.executable, str(FAKE_LAMINA), "slow"])
    command.start(["segment", "scan.nrrd", "-o", "result"])
    with pytest.raises(ZeroDivisionError, match="stage"):
        wait_for(command.poll)
    assert not command.is_running
    assert not command.folder.exists()


def test_a_program_that_does_not_exist_is_a_sentence():
    job = SegmentationJob(print, ["/no/such/program"])
    with pytest.raises(LaminaError, match="could not be started"):
        job.start()
    assert not job.scan_path.parent.exists()


def test_the_options_become_arguments_and_the_scan_has_no_name_of_its_own(monkeypatch):
    job = SegmentationJob(print)
    given = []
    monkeypatch.setattr(job._command, "start", given.append)
    job.start(axes="RIA", model="default", engine="openvino")
    job.cancel()
    options = "--axes RIA --engine openvino --json --crop-segmentation --model default"
    assert given == [["segment", "scan.nrrd", "-o", "result", *options.split()]]


def test_less_memory_is_asked_for_by_its_option(monkeypatch):
    job = SegmentationJob(print)
    given = []
    monkeypatch.setattr(job._command, "start", given.append)
    job.start(low_memory=True)
    job.cancel()
    assert "--low-memory" in given[0]


def test_the_child_finds_both_libraries_before_anything_inherited(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/inherited")
    folders = [Path(folder) for folder in child_environment()["PYTHONPATH"].split(os.pathsep)]
    assert (folders[0] / "LaminaLabelingLib" / "__init__.py").is_file()
    assert (folders[1] / "LaminaSegmentationLib" / "__main__.py").is_file()
    assert folders[2] == Path("/inherited")


def test_the_progress_of_the_whole_never_goes_back():
    steps = [overall_fraction(stage, fraction) for stage in worker.STAGE_SHARES for fraction in (0.0, 0.5, 1.0)]
    assert steps == sorted(steps)
    assert steps[0] == 0.0
    assert steps[-1] == pytest.approx(1.0)
    assert overall_fraction("network", 7.0) == overall_fraction("network", 1.0)
    assert overall_fraction("dreaming", 0.5) == 0.0


def test_the_card_of_a_shipped_model_is_read_and_an_unknown_one_is_empty():
    assert shipped_card("simulated-unet")["name"] == "simulated-unet"
    assert shipped_card("no-such-model") == {}


def test_the_time_left_follows_the_pace():
    assert seconds_left(6.0, 0.25) == 18.0
    assert seconds_left(6.0, 1.0) == 0.0
    assert seconds_left(6.0, 0.04) is None
