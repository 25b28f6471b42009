"""``lamina measure`` and ``lamina report``: the curves of a spine from a list of its laminae."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from LaminaLabelingLib.case_files import CasePaths, scan_name
from LaminaLabelingLib.case_sidecars import read_axes
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_laminae
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.patient_axes import in_patient_axes, moved_laminae, turn_to_patient
from LaminaLabelingLib.report import Report, report_files, write_report
from LaminaLabelingLib.report_figures import figures_of
from LaminaLabelingLib.report_texts import angle_text, change_text, curve_name, interval_text
from LaminaLabelingLib.volumes import Volume, read_volume

from . import __version__
from .console import Console
from .dataset_file import read_json

_LIST, _SUMMARY = "laminae.mrk.json", "summary.json"


@dataclass(frozen=True)
class Input:
    """Laminae that a command was given, in patient axes.

    Attributes
    ----------
    path : Path
        Of the list.
    laminae : LaminaSet
    volume : Volume or None
        The scan, in patient axes too.
    scan : Path or None
        Its file.
    summary : mapping
        What `lamina segment` wrote beside the list; empty without.
    """

    path: Path
    laminae: LaminaSet
    volume: Volume | None = None
    scan: Path | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def case(self) -> str:
        """What to call it: the name of the scan's file, else that of the list."""
        return self.scan.name if self.scan else str(self.summary.get("scan") or self.path.name)

    @property
    def model(self) -> str:
        """Name and version of the model that found the laminae; empty if that is not known."""
        model = self.summary.get("model")
        if not isinstance(model, Mapping):
            return ""
        return " ".join(str(model[key]) for key in ("name", "version") if model.get(key))

    @property
    def is_simulated(self) -> bool:
        """Whether the files say that the scan is simulated, as those of `lamina demo` and `lamina simulate` do."""
        beside = [_parameters_of(file) for file in (self.scan, self.path) if file is not None]
        return "simulated" in str(self.summary.get("data", "")) or any(file.is_file() for file in beside)


def measure(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina measure``: print the curves of a spine."""
    report = _report(arguments, console)
    if report.problem:
        raise LaminaError(report.problem)
    console.table(f"{report.case}: curves of the spine", _rows(report))
    for note in report.notes:
        console.warning(note)
    return figures_of(report)


def report(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina report``: a page with the curves of a spine, and its figures as CSV and JSON beside it."""
    target: Path = arguments.output
    files = report_files(target)
    there = [file.name for file in files.values() if file.exists()]
    if there and not arguments.force:
        raise LaminaError(f"{_listed(there)} already there; choose another name with -o, or add --force to replace it.")
    made = _report(arguments, console, files)
    if made.problem:
        console.warning(made.problem)
    elif not console.machine:
        console.table(f"{made.case}: curves of the spine", _rows(made))
    for note in made.notes:
        console.warning(note)
    if made.volume is None:
        console.warning("The report has no picture of the scan; give it with --scan.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LaminaError(
            f"The folder of '{target.name}' cannot be made ({error.strerror or error}); choose another with -o."
        ) from error
    write_report(made, target, replace=arguments.force)
    console.say(f"Report: {target.parent}{os.sep}: " + ", ".join(file.name for file in files.values()))
    return {**figures_of(made), "files": {kind: str(file) for kind, file in files.items()}}


def read_input(path: Path, scan: Path | None = None, axes: str = "auto") -> Input:
    """Read laminae, and bring them into patient axes.

    Parameters
    ----------
    path : Path
        A list of laminae, or a folder that `lamina segment` or `lamina demo` wrote.
    scan : Path or None
        The scan in whose world the laminae lie. None takes the one that lies in the folder, if any.
    axes : str
        As `lamina segment` was given them. ``auto`` takes what LaminaLabeling keeps beside the scan, then what
        `lamina segment` wrote beside the list, then the directions of the scan's file.

    Returns
    -------
    Input
        Without a scan, and without a ``summary.json`` beside the list, it is taken to be in patient axes already.

    Raises
    ------
    LaminaError
        If something cannot be read, or the laminae do not lie in the scan.
    """
    path = _list_of(path)
    laminae, summary = read_laminae(path), _summary_of(path)
    is_given = axes.strip().lower() != "auto"
    if scan is None and (path.parent / str(_files(summary).get("scan", ""))).is_file():
        scan = path.parent / _files(summary)["scan"]
    if scan is None:
        if is_given:
            raise LaminaError("--axes are those of a scan; give the scan with --scan.")
        return Input(path, moved_laminae(laminae, _turn_of(summary)), summary=summary)
    is_chosen: bool | None = is_given
    if not is_given:
        beside = read_axes(CasePaths(scan.parent, scan_name(scan.name), "").orientation)
        written = str(summary.get("axes") or "") if summary.get("scan") == scan.name else ""
        # A code in the summary was given, or read off the directions: the directions themselves tell which.
        axes, is_chosen = beside or written or "auto", True if beside else None
    volume = read_volume(scan, axes)
    _check_inside(laminae, volume, path, scan)
    laminae, volume = in_patient_axes(laminae, volume, is_chosen)
    return Input(path, laminae, volume, scan, summary)


def _report(arguments: argparse.Namespace, console: Console, files: Mapping[str, Path] | None = None) -> Report:
    """Return what the options ask for; fail where the laminae cannot be compared with the earlier ones."""
    given = read_input(arguments.laminae, arguments.scan, arguments.axes)
    earlier = None
    if arguments.compare is not None:
        earlier = read_input(arguments.compare, arguments.compare_scan, arguments.compare_axes)
    elif arguments.compare_scan is not None or arguments.compare_axes != "auto":
        raise LaminaError("--compare-scan and --compare-axes belong to --compare, which names the earlier laminae.")
    inputs = [file for each in (given, earlier) if each for file in (each.path, each.scan) if file]
    for file in (files or {}).values():
        if any(file.resolve() == used.resolve() for used in inputs):
            raise LaminaError(f"'{file.name}' is what the report is made of; choose another name with -o.")
    for text in given.volume.warnings if given.volume else ():
        console.warning(text)
    made = Report(
        given.laminae,
        given.volume if files else None,
        case=getattr(arguments, "case", None) or given.case,
        model=given.model,
        software=f"LaminaUltrasound {__version__}",
        is_simulated=given.is_simulated,
        earlier=earlier.laminae if earlier else None,
        earlier_case=_earlier_case(earlier, given) if earlier else "",
    )
    if made.comparison_problem:
        raise LaminaError(made.comparison_problem)
    return made


def _earlier_case(earlier: Input, later: Input) -> str:
    """Return what to call the earlier scan: its name, or where it lies if the later one has the same name."""
    if earlier.case != later.case:
        return earlier.case
    if earlier.path.resolve().parent != later.path.resolve().parent:
        return earlier.path.resolve().parent.name
    return earlier.path.name


def _list_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / _LIST).is_file():
        return path / _LIST
    raise LaminaError(
        f"There is no {_LIST} in the folder '{path.name}'; give a list of laminae, or the folder of one scan that "
        "lamina segment wrote."
    )


def _summary_of(path: Path) -> Mapping[str, Any]:
    """Return the summary beside a list if it is about this list, else nothing."""
    beside = path.parent / _SUMMARY
    if not beside.is_file():
        return {}
    summary = read_json(beside)
    return summary if isinstance(summary, Mapping) and path.name in _files(summary).values() else {}


def _files(summary: Mapping[str, Any]) -> Mapping[str, str]:
    files = summary.get("files")
    return files if isinstance(files, Mapping) else {}


def _turn_of(summary: Mapping[str, Any]) -> np.ndarray:
    """Return the transform to patient axes from what the summary says of the scan's directions, (4, 4)."""
    try:
        directions = np.array(summary["region"]["directions"], dtype=float).reshape(3, 3).T
    except (KeyError, TypeError, ValueError):
        return np.eye(4)
    return turn_to_patient(directions)


def _check_inside(laminae: LaminaSet, volume: Volume, path: Path, scan: Path) -> None:
    points = np.array(list(laminae.positions().values())).reshape(-1, 3)
    index = volume.to_index(points)
    inside = ((index > -0.5) & (index < np.array(volume.shape) - 0.5)).all(axis=1)
    if 2 * inside.sum() < len(points):
        raise LaminaError(
            f"{len(points) - inside.sum()} of {len(points)} laminae in '{path.name}' lie outside the scan "
            f"'{scan.name}'; give the scan on which they were placed."
        )


def _parameters_of(file: Path) -> Path:
    """Return the file in which `lamina simulate` keeps what it drew, beside a scan or its points."""
    return file.with_name(f"{file.name.removesuffix('.mrk.json').removesuffix('.nrrd')}.simulation.json")


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) + (" is" if len(names) == 1 else " are")


def _rows(made: Report) -> list[tuple[str, str]]:
    """Return the table that people read."""
    measurement = made.measurement
    rows = [("Scan", "simulated, not a patient's")] if made.is_simulated else []
    for curve in measurement.curves:
        rows.append(
            (
                f"Curve {curve.upper}–{curve.lower}",
                f"{angle_text(curve.angle)} ({interval_text(curve.angle)}) to the {curve.side}, apex {curve.apex}"
                + (f", {curve.region}" if curve.region else "")
                + f"; {angle_text(curve.maximum)} in the plane of maximum curvature ({curve.plane_deg:.0f}°)",
            )
        )
    if not measurement.curves:
        rows.append(("Curves", "none of 10° or more"))
    for name, angle in (("Kyphosis T1–T12", measurement.kyphosis), ("Lordosis L1–L5", measurement.lordosis)):
        why = "the levels are not named" if made.laminae.is_provisional else "an end vertebra lacks a lamina"
        rows.append((name, f"{angle_text(angle)} ({interval_text(angle)})" if angle else f"not measured: {why}"))
    if made.comparison is not None:
        changes = [(curve_name(change), change) for change in made.comparison.curves]
        changes += [
            (n, c) for n, c in (("kyphosis", made.comparison.kyphosis), ("lordosis", made.comparison.lordosis)) if c
        ]
        for name, change in changes:
            rows.append((f"Since {made.earlier_case}", f"{name} {change.upper}–{change.lower}: {change_text(change)}"))
        rows += [("Not compared", note) for note in made.comparison.notes]
    return [*rows, ("Intervals", "95 %, of the points' errors alone; research use only, not a diagnosis")]
