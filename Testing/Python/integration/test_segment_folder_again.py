"""``lamina segment FOLDER`` that was ended and is gone on with, that fails, or is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from folder_runs import ABOUT_ALL, FILES, command, everything, make_good_scans, summary, table

from LaminaSegmentationLib import batch_command
from LaminaSegmentationLib.__main__ import main
from LaminaSegmentationLib.worker import child_environment


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two coarse scans."""
    return make_good_scans(tmp_path_factory.mktemp("good"))


# Ended and gone on


def test_a_killed_run_is_gone_on_with_and_leaves_nothing_half_written(good, tmp_path):
    folder, output = shutil.copytree(good, tmp_path / "scans"), tmp_path / "results"
    shutil.copy(good / "scan10.nrrd", folder / "scan11.nrrd")
    arguments = [sys.executable, "-m", "LaminaSegmentationLib", "segment", str(folder), "-o", str(output)]
    # The second scan is held while its files are being written.
    held = (
        "import sys, time; from LaminaSegmentationLib import batch_command as b, __main__ as m\n"
        "write = b.write_results\n"
        "def slow(volume, result, folder, **options):\n"
        "    files = write(volume, result, folder, **options)\n"
        "    if 'scan10' in volume.name: print('HELD', flush=True); time.sleep(600)\n"
        "    return files\n"
        "b.write_results = slow; sys.exit(m.main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", held, *arguments[3:]],
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"HELD\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (output / "scan10").exists()
    assert any(name.startswith(".partial-") for name in everything(output))
    states = {scan: row["state"] for scan, row in table(output).items()}
    assert states == {"scan2.nrrd": "done", "scan10.nrrd": "waiting", "scan11.nrrd": "waiting"}
    page = (output / "results.html").read_text(encoding="utf-8")
    assert "3 scans: 1 done, 2 not done yet" in page
    assert summary(output)["waiting"] == 2
    (output / ".0123456789ab-results.csv").write_text("half", encoding="utf-8")
    before = (output / "scan2" / "laminae.mrk.json").stat().st_mtime_ns
    done = subprocess.run([*arguments, "--resume"], env=child_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (output / "scan2" / "laminae.mrk.json").stat().st_mtime_ns == before
    assert {row["state"] for row in table(output).values()} == {"done"}
    assert not [name for name in everything(output) if Path(name).name.startswith(".")]
    assert "(done in an earlier run)" in done.stderr


def test_an_interrupted_run_keeps_what_is_done(good, tmp_path):
    output = tmp_path / "results"
    arguments = [sys.executable, "-m", "LaminaSegmentationLib", "segment", str(good), "-o", str(output), "--json"]
    process = subprocess.Popen(arguments, env=child_environment(), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "case" and event["state"] == "running" and event["index"] == 1:
            process.send_signal(signal.SIGTERM)
            break
    process.stdout.read()
    assert process.wait() == 130
    assert everything(output) == ABOUT_ALL | {"scan2"} | {f"scan2/{name}" for name in FILES}


@pytest.mark.parametrize("change", ["scan", "model", "settings", "file lost", "damaged summary"])
def test_what_is_not_the_same_any_more_is_done_again(good, tmp_path, change, monkeypatch):
    folder, output = tmp_path / "scans", tmp_path / "results"
    folder.mkdir()
    shutil.copy(good / "scan10.nrrd", folder)
    arguments = ["segment", str(folder), "-o", str(output), "--json"]
    assert main(arguments) == 0
    result = output / "scan10"
    before = (result / "laminae.csv").stat().st_mtime_ns
    assert main([*arguments, "--resume"]) == 0
    assert (result / "laminae.csv").stat().st_mtime_ns == before
    if change == "scan":
        os.utime(folder / "scan10.nrrd")
    elif change == "model":
        model = shutil.copytree(
            Path(batch_command.__file__).parents[1] / "Resources/Models/simulated-unet", tmp_path / "m"
        )
        card = json.loads((model / "card.json").read_text(encoding="utf-8"))
        (model / "card.json").write_text(json.dumps({**card, "version": "99"}), encoding="utf-8")
        arguments += ["--model", str(model)]
    elif change == "settings":
        arguments += ["--steps"]
    elif change == "file lost":
        (result / "overlay.png").unlink()
    else:
        (result / "summary.json").write_text("{", encoding="utf-8")
    assert main([*arguments, "--resume"]) == 0
    assert (result / "laminae.csv").stat().st_mtime_ns > before
    assert {path.name for path in result.iterdir()} == FILES | (
        {"preprocessing.png"} if change == "settings" else set()
    )


def test_what_fails_now_leaves_no_result_of_before_but_the_files_of_others(good, tmp_path):
    folder, output = tmp_path / "scans", tmp_path / "results"
    folder.mkdir()
    shutil.copy(good / "scan10.nrrd", folder)
    arguments = ["segment", str(folder), "-o", str(output), "--json"]
    assert main(arguments) == 0
    (output / "scan10" / "my notes.txt").write_text("mine", encoding="utf-8")
    (folder / "scan10.nrrd").write_text("nonsense", encoding="utf-8")
    assert main([*arguments, "--resume"]) == 0
    assert [path.name for path in (output / "scan10").iterdir()] == ["my notes.txt"]
    shutil.copy(good / "scan10.nrrd", folder)
    assert main([*arguments, "--force"]) == 0
    assert {path.name for path in (output / "scan10").iterdir()} == FILES | {"my notes.txt"}


# Failures of other kinds


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "There is not enough memory"),
        (ZeroDivisionError("by zero"), "An unexpected error occurred (ZeroDivisionError: by zero)"),
        (OSError(5, "Input/output error"), "A file could not be read or written: Input/output error."),
    ],
)
def test_other_errors_are_sentences_and_do_not_end_the_run(good, tmp_path, monkeypatch, capsys, error, sentence):
    segment = batch_command.segment

    def failing(volume, *arguments, **options):
        if volume.name == "scan2.nrrd":
            raise error
        return segment(volume, *arguments, **options)

    monkeypatch.setattr(batch_command, "segment", failing)
    assert main(["segment", str(good), "-o", str(tmp_path / "results")]) == 3
    rows = table(tmp_path / "results")
    assert rows["scan2.nrrd"]["error"].startswith(sentence)
    assert rows["scan10.nrrd"]["state"] == "done"
    assert not (tmp_path / "results" / "scan2").exists()


def test_a_scan_without_a_spine_fails_alone(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    empty = sitk.Image(40, 40, 200, sitk.sitkUInt8)
    empty.SetSpacing((2.0, 2.0, 2.0))
    sitk.WriteImage(empty, str(folder / "empty.nrrd"))
    assert main(["segment", str(folder), "-o", str(tmp_path / "results"), "--json"]) == 0
    row = table(tmp_path / "results")["empty.nrrd"]
    assert row["state"] == "failed"
    assert row["error"] and "unexpected" not in row["error"]


# What is refused


def refused(arguments, capsys):
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_folders_that_cannot_be_used_are_refused(good, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "There is no scan in the folder" in refused(["segment", str(empty), "-o", str(tmp_path / "o")], capsys)
    assert not (tmp_path / "o").exists()
    scans = shutil.copytree(good, tmp_path / "scans")
    for output in (scans, tmp_path / "elsewhere" / ".." / "scans"):
        for option in ("--force", "--resume"):
            text = refused(["segment", str(scans), "-o", str(output), option], capsys)
            assert "a folder of their own" in text
    assert {path.name for path in scans.iterdir()} == {"scan2.nrrd", "scan10.nrrd"}


def test_results_never_come_to_lie_among_the_scans(good, tmp_path, capsys):
    """The folder of a scan's results would be that of the scans."""
    folder = tmp_path / "scan10"
    shutil.copytree(good, folder)
    assert "among the scans" in refused(["segment", str(folder), "-o", str(tmp_path), "--force"], capsys)
    assert {path.name for path in folder.iterdir()} == {"scan2.nrrd", "scan10.nrrd"}


def test_results_inside_the_folder_are_not_taken_for_scans(good, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(good / "scan10.nrrd", folder)
    for options in ((), ("--resume",), ("--force",)):
        assert main(["segment", str(folder), "-o", str(folder / "results"), *options]) == 0
        assert list(table(folder / "results")) == ["scan10.nrrd"]


def test_a_folder_that_holds_other_things_is_refused(good, tmp_path, capsys):
    output = tmp_path / "results"
    output.mkdir()
    (output / "thesis.txt").write_text("mine", encoding="utf-8")
    assert "not empty" in refused(["segment", str(good), "-o", str(output)], capsys)
    assert "holds no results" in refused(["segment", str(good), "-o", str(output), "--resume"], capsys)
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]


def test_going_on_is_for_folders(good, tmp_path, capsys):
    text = refused(["segment", str(good / "scan2.nrrd"), "-o", str(tmp_path / "o"), "--resume"], capsys)
    assert "is a file: choose the folder" in text


def test_a_missing_model_is_told_before_anything_is_done(good, tmp_path, capsys):
    refused(["segment", str(good), "-o", str(tmp_path / "o"), "--model", "nothing"], capsys)
    assert not (tmp_path / "o").exists()


def test_memory_does_not_grow_with_the_number_of_scans(good, tmp_path, monkeypatch):
    """No scan is kept: when one is begun, the former ones are gone."""
    import gc
    import weakref

    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(3):
        shutil.copy(good / "scan10.nrrd", folder / f"s{number}.nrrd")
    alive, segment = [], batch_command.segment

    def watched(volume, *arguments, **options):
        gc.collect()
        assert [kept() for kept in alive] == [None] * len(alive)
        result = segment(volume, *arguments, **options)
        alive.extend((weakref.ref(volume.array), weakref.ref(result.probability)))
        return result

    monkeypatch.setattr(batch_command, "segment", watched)
    assert main(["segment", str(folder), "-o", str(tmp_path / "results")]) == 0
    assert len(alive) == 6


def test_a_point_list_that_was_edited_is_kept_when_its_scan_is_done_again(good, tmp_path):
    assert command(good, tmp_path / "out").returncode == 0
    labels = tmp_path / "out" / "scan2" / "laminae.mrk.json"
    edited = labels.read_text().replace('"label": "T1L"', '"label": "T1L" ').replace("P01L", "P01L ")
    labels.write_text(edited + " ")
    assert command(good, tmp_path / "out", "--resume").returncode == 0
    assert labels.read_text() == edited + " "  # nothing has changed: it is not done again
    done = command(good, tmp_path / "out", "--resume", "--steps")
    assert done.returncode == 0
    assert "scan2/laminae.edited-1.mrk.json" in done.stderr
    assert (labels.parent / "laminae.edited-1.mrk.json").read_text() == edited + " "
    assert labels.read_text() != edited + " "
    assert not list((tmp_path / "out" / "scan10").glob("*.edited-*"))


def test_axes_that_are_none_end_the_command_and_not_each_scan(good, tmp_path, capsys):
    assert main(["segment", str(good), "-o", str(tmp_path / "out"), "--axes", "XX"]) == 2
    assert "XX" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
