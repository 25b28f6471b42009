"""What is written about a folder of scans, and how its folders are named and cleaned up."""

import csv
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaSegmentationLib.batch_command import doubtful
from LaminaSegmentationLib.batch_report import COLUMNS, Row, count, counts_text, page, write_reports
from LaminaSegmentationLib.batch_scans import find_scans, remove_leftovers, staged_result

ABOUT = {
    "name": "clinic <script>alert(1)</script>",
    "software": "LaminaUltrasound 1",
    "model": {"name": "a & b", "version": "2"},
    "engine": "OpenVINO",
    "date": "2026-01-02 03:04",
}
NASTY = 'a<b>&"c", =1 #%41 [red].nrrd'
DONE = Row(
    NASTY,
    "done",
    text="30 laminae on 16 levels, named T1 to L5",
    laminae=30,
    levels=16,
    named=True,
    doubtful=3,
    warnings=("a voxel < 0.1 mm", "looks\nlike a partial scan"),
    seconds=12.34,
    folder=NASTY.removesuffix(".nrrd"),
    files={"overlay": "overlay.png", "laminae": "laminae.mrk.json", "summary": "summary.json"},
)
FAILURE = Row("broken.nrrd", "failed", error='"broken.nrrd" is <damaged>.', seconds=0.1)
ROWS = [DONE, FAILURE, Row("later.nrrd")]


class Seen(HTMLParser):
    """The elements, addresses and texts that a browser sees."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in ("href", "src")]

    def handle_data(self, text):
        self.texts.append(text.strip())


def test_names_and_sentences_are_texts_on_the_page_and_no_elements():
    seen = Seen(page(ROWS, ABOUT))
    assert not {"script", "b", "damaged"} & set(seen.tags)
    assert NASTY in seen.texts
    assert "Laminae found in the folder “clinic <script>alert(1)</script>”" in seen.texts
    assert '"broken.nrrd" is <damaged>.' in seen.texts
    assert "a voxel < 0.1 mm" in seen.texts


def test_addresses_lead_to_the_files_beside_the_page_whatever_their_names():
    seen = Seen(page(ROWS, ABOUT))
    folder = DONE.folder
    assert {unquote(link) for link in seen.links} == {f"./{folder}/{name}" for name in DONE.files.values()}
    assert all("#" not in link and " " not in link and '"' not in link for link in seen.links)


def test_the_table_can_be_read_back_with_all_it_says(tmp_path):
    write_reports(ROWS, ABOUT, tmp_path)
    with open(tmp_path / "results.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0] == {
        "scan": NASTY,
        "state": "done",
        "laminae": "30",
        "levels": "16",
        "named": "yes",
        "doubtful": "3",
        "warnings": "a voxel < 0.1 mm | looks\nlike a partial scan",
        "seconds": "12.34",
        "error": "",
        "folder": NASTY.removesuffix(".nrrd"),
    }
    assert (rows[1]["state"], rows[1]["error"], rows[1]["laminae"]) == ("failed", FAILURE.error, "")
    assert rows[2]["state"] == "waiting"


def test_an_earlier_result_is_done_for_the_reader_and_skipped_for_the_count(tmp_path):
    rows = [Row("a.nrrd", "skipped", folder="a", files={}), FAILURE]
    write_reports(rows, ABOUT, tmp_path)
    assert ",done," in (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()[1]
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["skipped"] == 1
    assert counts_text(rows) == "2 scans: 1 done (1 of them in an earlier run), 1 failed"


def test_nothing_but_the_three_files_is_left(tmp_path):
    files = write_reports(ROWS, ABOUT, tmp_path)
    assert {str(path) for path in tmp_path.iterdir()} == set(files.values())
    assert count(ROWS) == {"scans": 3, "done": 1, "failed": 1, "skipped": 0, "waiting": 1}


def test_doubtful_are_suggested_and_unsure_ones():
    laminae = LaminaSet(
        laminae=[
            Lamina("T1L", (0, 0, 0), "unreviewed", "detected", 0.5),
            Lamina("T1R", (9, 0, 0), "unreviewed", "detected", 0.49),
            Lamina("T2L", (0, 0, -9), "unreviewed", "inferred", 0.9),
            Lamina("T2R", None, "absent"),
            Lamina("T3L", (0, 0, -18), "placed", "manual"),
        ]
    )
    assert doubtful(laminae) == 2


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["b10.nrrd", "b9.nrrd"], ["b9", "b10"]),
        (["x.nrrd", "x.nii.gz"], ["x.nii.gz", "x.nrrd"]),
        (["x.nrrd", "x.mha", "x.nrrd.nii"], ["x.mha", "x.nrrd", "x.nrrd_2"]),
        (["summary.json.nrrd", "Results.csv.mha"], ["Results.csv_2", "summary.json_2"]),
        (["dots...nrrd"], ["dots"]),
        (["x.seg.nrrd", "x-label.nrrd", "x.txt", "x.mhd"], ["x"]),
    ],
)
def test_each_scan_gets_a_folder_of_its_own(tmp_path, files, names):
    for name in files:
        (tmp_path / name).touch()
    assert [scan.name for scan in find_scans(tmp_path)] == names


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    with pytest.raises(LaminaError, match="cannot be written"), staged_result(tmp_path, "scan") as folder:
        (folder / "laminae.csv").touch()
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_result_can_be_read_by_whoever_may_read_the_folder(tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    with staged_result(tmp_path, "scan"):
        pass
    assert (tmp_path / "scan").stat().st_mode == plain.stat().st_mode


def test_only_what_ended_processes_left_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = (f".partial-{ended.pid}-0a", f".partial-{os.getpid()}-0a", ".partial-mine", "scan")
    for name in names:
        (tmp_path / name).mkdir()
    for name in (".0123456789ab-results.html", ".0123456789ab-other.html", ".hidden"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], ".0123456789ab-other.html", ".hidden"}
