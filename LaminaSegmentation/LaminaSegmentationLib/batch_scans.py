"""The scans of a folder and where their results go: names, axes, what an earlier run has left there."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LaminaLabelingLib.case_files import CasePaths, FolderFiles, insistently, scan_name
from LaminaLabelingLib.case_sidecars import read_axes
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.processes import start_of

from .dataset_file import content_hash

LABELS, LABELS_DIGEST = "laminae.mrk.json", "laminae_sha256"
"""The point list, and the key under which the summary keeps what it was when it was written."""

SUMMARY, TABLE, PAGE = "summary.json", "results.csv", "results.html"
"""Files of the results folder; each scan's folder has a ``summary.json`` of its own."""

RESULT_FILES = (
    SUMMARY,
    "laminae.mrk.json",
    "laminae.csv",
    "laminae.seg.nrrd",
    "spinous_column.mrk.json",
    "overlay.png",
    "preprocessing.png",
)
"""What a scan's folder may hold that the command wrote; the summary, which says that it is complete, first."""

_PARTIAL = re.compile(r"\.partial-(\d+)-[0-9a-f]+")
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{12}}-(?:{re.escape(SUMMARY)}|{re.escape(TABLE)}|{re.escape(PAGE)})")


@dataclass(frozen=True)
class Scan:
    """A scan of the folder.

    Attributes
    ----------
    path : Path
        Its file.
    name : str
        Of its folder among the results: no other scan of the folder has it, whatever the capitals.
    rivals : tuple of str
        Files of the same name with another extension.
    """

    path: Path
    name: str
    rivals: tuple[str, ...] = ()

    def axes(self, given: str) -> tuple[str, str]:
        """Return the axes to read the scan with, and where they come from.

        Parameters
        ----------
        given : str
            ``--axes``: a code, which wins; with ``auto`` the code that LaminaLabeling keeps beside the scan, if any.

        Returns
        -------
        axes, origin : str
            The origin is ``given``, ``beside the scan`` or ``file``.

        Raises
        ------
        LaminaError
            If the file beside the scan cannot be read, or could belong to another scan.
        """
        if given.strip().lower() != "auto":
            return given, "given"
        beside = CasePaths(self.path.parent, scan_name(self.path.name), "").orientation
        code = read_axes(beside)
        if code and self.rivals:
            raise LaminaError(
                f'"{beside.name}" could belong to this scan or to "{self.rivals[0]}": rename one of the two scans, or '
                "give the axes."
            )
        return (code, "beside the scan") if code else ("auto", "file")


def find_scans(folder: Path) -> list[Scan]:
    """Return the scans of a folder in natural order: what LaminaLabeling takes for scans, so no label volumes.

    Raises
    ------
    LaminaError
        If the folder cannot be read or holds none.
    """
    files = FolderFiles.of(folder)
    if not files.scans:
        raise LaminaError(
            f'There is no scan in the folder "{files.folder.name}": give one that holds .nrrd, .nhdr, .mha, .mhd, .nii '
            "or .nii.gz files; its subfolders are not searched."
        )
    used = {SUMMARY, TABLE, PAGE}
    scans = []
    for file_name in files.scans:
        rivals = files.rivals(file_name)
        # Windows drops dots and spaces at the end of a folder's name.
        wanted = (file_name if rivals else scan_name(file_name)).rstrip(". ") or file_name
        name, number = wanted, 1
        while name.casefold() in used:
            number += 1
            name = f"{wanted}_{number}"
        used.add(name.casefold())
        scans.append(Scan(files.folder / file_name, name, rivals))
    return scans


def check_places(folder: Path, output: Path, scans: list[Scan]) -> None:
    """Refuse a results folder in which results and scans would lie together.

    Raises
    ------
    LaminaError
    """
    source, target = folder.resolve(), output.resolve()
    if _same(source, target):
        raise LaminaError("The results need a folder of their own, not that of the scans: choose another one.")
    above = (source, *source.parents)
    if any(_same(target / scan.name, each) for scan in scans for each in above):
        raise LaminaError(
            f'The results of a scan would lie in "{folder.name}" among the scans: choose another results folder.'
        )


def _same(first: Path, second: Path) -> bool:
    if first == second:
        return True
    try:
        return first.samefile(second)
    except OSError:
        return False


# Which file, and how it was treated


def identity_of(path: Path) -> dict[str, Any]:
    """Return what a scan's file is known by: name, size and time of modification."""
    state = path.stat()
    return {"file": path.name, "bytes": state.st_size, "modified_ns": state.st_mtime_ns}


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the ``summary.json`` of a folder; None if there is none that can be read."""
    try:
        content = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def finished_before(folder: Path, source: Mapping, treatment: Mapping) -> dict[str, Any] | None:
    """Return the summary of a scan's folder if it holds the complete result for this file, treated in this way."""
    summary = read_summary(folder)
    if summary is None or (summary.get("source"), summary.get("treatment")) != (source, treatment):
        return None
    files = summary.get("files")
    if not isinstance(files, dict) or not all((folder / str(name)).is_file() for name in files.values()):
        return None
    return summary


# Writing


@contextmanager
def staging_room(output: Path) -> Iterator[Path]:
    """Give a hidden folder among the results for those of other processes, and remove it with all that is left in it.

    It is named like the temporary folders of this process, so that another run removes what a kill leaves.
    """
    room = output / f".partial-{os.getpid()}-{secrets.token_hex(6)}"
    room.mkdir()
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


@contextmanager
def staged_folder(room: Path, made: list[Path]) -> Iterator[Path]:
    """Make a folder of its own in a `staging_room`, note it in ``made``, and remove it if the block fails."""
    folder = room / secrets.token_hex(6)
    made.append(folder)
    try:
        folder.mkdir()
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def put_in_place(staged: Path, target: Path) -> None:
    """Make a complete folder of results that of its scan.

    Raises
    ------
    LaminaError
        If it cannot be written.
    """
    try:
        _put_in_place(staged, target)
    except OSError as error:
        raise LaminaError(_not_written(target, error)) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _not_written(target: Path, error: OSError) -> str:
    return (
        f"The results cannot be written to '{target.name}' ({error.strerror or error}); check its space and "
        "permissions."
    )


@contextmanager
def staged_result(output: Path, name: str) -> Iterator[Path]:
    """Give a temporary folder that becomes the folder of a scan when the block ends well, else vanishes.

    Raises
    ------
    LaminaError
        If it cannot be written.
    """
    temporary = output / f".partial-{os.getpid()}-{secrets.token_hex(6)}"
    try:
        temporary.mkdir()
        yield temporary
        _put_in_place(temporary, output / name)
    except OSError as error:
        raise LaminaError(_not_written(output, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        insistently(temporary.rename, target)
        return
    # What else somebody keeps in the folder stays. It is without a summary, so incomplete, until all files are there.
    remove_result(target)
    files = sorted((path for path in temporary.iterdir()), key=lambda path: path.name == SUMMARY)
    target.mkdir(exist_ok=True)
    for path in files:
        insistently(path.replace, target / path.name)


def keep_edited(folder: Path) -> str:
    """Put a point list aside that somebody has edited since it was written, before its scan is done again.

    Returns
    -------
    str
        The name under which it is kept; empty if it was not edited.
    """
    summary, labels = read_summary(folder), folder / LABELS
    written = (summary or {}).get(LABELS_DIGEST)
    if not written or not labels.is_file() or content_hash(labels) == written:
        return ""
    number = 1
    while (kept := folder / f"laminae.edited-{number}.mrk.json").exists():
        number += 1
    insistently(labels.rename, kept)
    return kept.name


def remove_result(folder: Path) -> None:
    """Remove an earlier result, which must not be taken for that of this run; files of other kinds stay."""
    summary = read_summary(folder)
    if summary is None or not str(summary.get("software", "")).startswith("LaminaUltrasound"):
        return
    for name in RESULT_FILES:
        with suppress(FileNotFoundError):
            insistently((folder / name).unlink)
    with suppress(OSError):
        folder.rmdir()


def remove_leftovers(output: Path) -> None:
    """Remove what runs that were killed have left half-written among the results; what still runs is left alone."""
    try:
        entries = list(output.iterdir())
    except OSError:
        return
    for path in entries:
        if (partial := _PARTIAL.fullmatch(path.name)) and start_of(int(partial[1])) is None:
            shutil.rmtree(path, ignore_errors=True)
        elif _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
