"""The check of another Python: a script of its own that needs nothing but the standard library."""

import json
import subprocess
import sys

import pytest

from LaminaSegmentationLib import python_check


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text("# a comment\nnumpy>=1.0\n\nno-such-package>=2.5  # why\n")
    (tmp_path / "b.txt").write_text("pytest>=999\nhypothesis\n")
    return str(tmp_path / "a.txt"), str(tmp_path / "b.txt")


def test_what_is_missing_or_too_old_is_listed(files):
    report = python_check.report(*files)
    assert report["missing_for_segmenting"] == ["no-such-package>=2.5"]
    assert report["missing_for_training"] == ["pytest>=999"]
    assert report["supported"]
    assert report["cores"] >= 1
    assert report["processor"]


def test_it_runs_alone_without_any_package(files):
    done = subprocess.run(
        [sys.executable, "-I", "-S", python_check.__file__, *files], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert report["event"] == "result"
    assert report["missing_for_segmenting"] == ["numpy>=1.0", "no-such-package>=2.5"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.21.0", (2, 21, 0)), ("3.0rc1", (3, 0)), ("1.2+cpu", (1, 2)), ("2026.4.1", (2026, 4, 1))],
)
def test_versions_are_compared_by_their_numbers(version, expected):
    assert python_check.numbers(version) == expected


def test_an_old_python_is_not_asked_for_packages(files, monkeypatch):
    monkeypatch.setattr(python_check, "OLDEST", (99, 0))
    report = python_check.report(*files)
    assert not report["supported"]
    assert report["missing_for_segmenting"] == []
