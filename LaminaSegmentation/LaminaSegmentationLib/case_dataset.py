"""Labeled scans out of a folder of cases, as the module LaminaLabeling keeps it, for training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LaminaLabelingLib.case_files import CasePaths, FolderFiles, check_rater, rivalry, scan_name
from LaminaLabelingLib.case_sidecars import read_axes
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.markups_files import read_markups
from LaminaLabelingLib.scan_bounds import reversed_pairs
from LaminaLabelingLib.volumes import read_volume

from .case_list import ListedCase
from .dataset_labels import check_truth


@dataclass(frozen=True)
class LabeledCase:
    """A scan of the folder and whether it can be trained on.

    Attributes
    ----------
    name : str
        The scan's name, without its image extension.
    image : Path
    label : Path or None
        The rater's saved labels, None if there are none.
    patient : str
        A code; the scan's name where none was given, so that the scan is a patient of its own.
    axes : str
        Axis code that was chosen for the scan in LaminaLabeling; empty if none was.
    laminae : int
        Slots with a position.
    problem : str
        Why it cannot be used; empty if it can.
    notes : tuple of str
        What should be known before it is used.
    wanted : bool
        Whether the list of cases wants it.
    """

    name: str
    image: Path
    label: Path | None = None
    patient: str = ""
    axes: str = ""
    laminae: int = 0
    problem: str = ""
    notes: tuple[str, ...] = ()
    wanted: bool = True

    @property
    def is_used(self) -> bool:
        """Whether it comes into the dataset."""
        return self.wanted and not self.problem

    def entry(self, folder: Path) -> dict:
        """Return its entry in a dataset file that lies in a folder."""
        entry = {"image": _relative(self.image, folder), "label": _relative(self.label, folder)}
        return entry | {"patient": self.patient} | ({"axes": self.axes} if self.axes else {})


def labeled_cases(
    folder: str | Path, rater: str, listed: Mapping[str, ListedCase] | None = None, read_scans: bool = True
) -> Iterator[LabeledCase]:
    """Yield the scans of a folder with what one rater has saved, and say what is wrong with any of them.

    Parameters
    ----------
    folder : str or Path
        See `LaminaLabelingLib.case_files`.
    rater : str
        Whose labels are taken; "consensus" for those that two raters agreed on.
    listed : mapping of str to ListedCase, optional
        By the name of the scan; the others are wanted, each with a patient of its own.
    read_scans : bool
        Whether each scan is read and compared with its labels, which takes up to a second a scan. Without it only the
        files of labels are read.

    Yields
    ------
    LabeledCase

    Raises
    ------
    LaminaError
        If the folder cannot be listed, holds no scan or no labels of this rater, or the list names a scan that it does
        not hold.
    """
    files = FolderFiles.of(folder)
    rater = check_rater(rater)
    files.check_spelling(rater)
    names = [scan_name(file_name) for file_name in files.scans]
    if not names:
        raise LaminaError(f"There is no scan in the folder '{files.folder.name}': choose the one that you label in.")
    raters = sorted({other for found in files.raters.values() for other in found})
    if rater not in raters:
        others = f"there are labels of {', '.join(raters)}" if raters else "nobody has saved any there"
        raise LaminaError(f"The folder '{files.folder.name}' has no labels of '{rater}': {others}.")
    listed = listed or {}
    unknown = next((name for name in listed if name not in names), None)
    if unknown is not None:
        hint = ": leave out its extension" if scan_name(unknown) in names else ", which the folder does not hold"
        raise LaminaError(f"The list of cases names the scan '{unknown}'{hint}.")
    for file_name in files.scans:
        case = _case(file_name, rater, files, listed.get(scan_name(file_name), ListedCase()))
        yield _compared(case) if read_scans and case.is_used else case


def _case(file_name: str, rater: str, files: FolderFiles, listed: ListedCase) -> LabeledCase:
    name = scan_name(file_name)
    paths = CasePaths(files.folder, name, rater)
    case = LabeledCase(name, files.folder / file_name, patient=listed.patient or name, wanted=listed.use)
    if rivals := files.rivals(file_name):
        return replace(case, problem=rivalry(file_name, rivals))
    if paths.labels.name not in files.names:
        others = files.raters.get(name, ())
        has = f", only {', '.join(others)} did" if others else ""
        return replace(case, problem=f"{rater} has not saved labels of it{has}.")
    case = replace(case, label=paths.labels)
    try:
        laminae = read_markups(paths.labels)
        case = replace(case, axes=read_axes(paths.orientation))
    except LaminaError as error:
        return replace(case, problem=str(error))
    notes = _notes(laminae)
    if paths.draft.name in files.names:
        notes = (*notes, "there are edits that are not saved yet")
    case = replace(case, laminae=len(laminae.positions()), notes=notes)
    return case if case.laminae else replace(case, problem="no lamina is placed in it.")


def _notes(laminae: LaminaSet) -> tuple[str, ...]:
    """Say what a network would learn wrongly from these labels."""
    empty = [lamina.name for lamina in laminae.values() if lamina.review is Review.unset]
    unreviewed = sum(lamina.review is Review.unreviewed for lamina in laminae.values())
    notes = []
    if empty:
        shown = ", ".join(empty[:4]) + (", ..." if len(empty) > 4 else "")
        notes.append(f"{len(empty)} slots are empty ({shown}): a network would learn that nothing is there")
    if unreviewed:
        notes.append(f"{unreviewed} laminae have not been reviewed")
    return tuple(notes)


def _compared(case: LabeledCase) -> LabeledCase:
    """Read the scan, and check that the labels lie in it."""
    try:
        volume = read_volume(case.image, case.axes or "auto")
        truth = read_markups(case.label)
        check_truth(truth, volume, case.label.name)
    except LaminaError as error:
        return replace(case, problem=str(error))
    except MemoryError:
        return replace(case, problem="it is too large for the memory of this computer.")
    pairs = list(truth.complete_pairs().values())
    exchanged = reversed_pairs(np.array(pairs), volume) if pairs else 0
    sides = ()
    if exchanged > len(pairs) / 2:
        sides = (f"left and right are exchanged in {exchanged} of {len(pairs)} pairs: check the sides and the axes",)
    return replace(case, notes=(*case.notes, *sides, *volume.warnings))


def _relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, or absolute where they lie on different drives."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()
