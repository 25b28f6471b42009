"""``lamina split``: labeled scans in, a dataset file with training, validation and test lists out.

The scans come from a list in a JSON file, or from a folder in which a rater has labeled them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from LaminaLabelingLib.case_files import FolderFiles
from LaminaLabelingLib.errors import LaminaError

from .case_dataset import LabeledCase, labeled_cases
from .case_list import read_case_list
from .commands import parse_split, write_json
from .console import Console
from .dataset_file import SPLITS, check_dataset, read_json, split_by_patient


def split(arguments: argparse.Namespace, console: Console) -> dict:
    """Split the scans of a file so that all scans of a patient come into the same list."""
    target = arguments.output
    if target.exists() and not arguments.force:
        raise LaminaError(f"'{target.name}' already exists; choose another with -o, or add --force to replace it.")
    ratio = parse_split(arguments.ratio)
    if arguments.cases is not None:
        return _split_cases(arguments, ratio, console)
    if arguments.list is not None or arguments.rater:
        raise LaminaError("--list and --rater belong to --cases: a JSON file names labels and patients itself.")
    content = read_json(arguments.data)
    entries = _scans(content, arguments.data.name)
    lists = split_by_patient(entries, ratio, arguments.seed)
    kept = {key: value for key, value in content.items() if key not in (*SPLITS, "scans")} if _is_map(content) else {}
    source, folder = arguments.data.resolve().parent, target.resolve().parent
    moved = {name: [_moved(entry, source, folder) for entry in lists[name]] for name in SPLITS}
    dataset = {**kept, "split": {"ratio": list(ratio), "seed": arguments.seed}, **moved}
    folder.mkdir(parents=True, exist_ok=True)
    check_dataset(dataset, target)
    write_json(dataset, target)
    counts = {name: len(moved[name]) for name in SPLITS}
    patients = len({entry.get("patient", index) for index, entry in enumerate(entries)})
    console.say(f"{len(entries)} scans of {patients} patients in {target}: " + _text(counts))
    return {"scans": counts, "patients": patients, "files": {"dataset": str(target)}}


def _split_cases(arguments: argparse.Namespace, ratio: tuple[int, int, int], console: Console) -> dict:
    """Split the scans of a folder that a rater has labeled; those that cannot be used are told and left out."""
    if not arguments.rater:
        raise LaminaError("--cases needs --rater: whose labels are to be taken, such as --rater consensus.")
    listed = read_case_list(arguments.list) if arguments.list is not None else None
    total = len(FolderFiles.of(arguments.cases).scans)
    found = labeled_cases(arguments.cases, arguments.rater, listed, not arguments.quick)
    cases = []
    for case in console.track(found, total, "Looking at scans"):
        cases.append(case)
        _tell(case, console)
    used = [case for case in cases if case.is_used]
    if not used and not any(case.wanted for case in cases):
        raise LaminaError(f"The list of cases leaves out all {len(cases)} scans.")
    if not used:
        raise LaminaError(
            f"None of the {len(cases)} scans can be used: label some as '{arguments.rater}', and save the labels."
        )
    folder = arguments.output.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    lists = split_by_patient([case.entry(folder) for case in used], ratio, arguments.seed)
    dataset = {
        "name": arguments.cases.resolve().name,
        "rater": arguments.rater,
        "split": {"ratio": list(ratio), "seed": arguments.seed},
        **lists,
    }
    check_dataset(dataset, arguments.output)
    write_json(dataset, arguments.output)
    counts = {name: len(lists[name]) for name in SPLITS}
    patients = len({case.patient for case in used})
    console.say(f"{len(used)} scans of {patients} patients in {arguments.output}: " + _text(counts))
    names = {case.entry(folder)["image"]: case.name for case in used}
    return {
        "scans": counts,
        "left_out": len(cases) - len(used),
        "patients": patients,
        "lists": {names[entry["image"]]: split for split in SPLITS for entry in lists[split]},
        "files": {"dataset": str(arguments.output)},
    }


def _tell(case: LabeledCase, console: Console) -> None:
    """Report a case: to a person only if there is something to say."""
    text = case.problem or "; ".join(case.notes)
    state = "unusable" if case.problem else "usable" if case.wanted else "left out"
    console.emit(
        "case",
        scan=case.name,
        state=state,
        text=text,
        laminae=case.laminae,
        patient=case.patient,
        notes=len(case.notes),
    )
    if text and case.wanted and not console.machine:
        console.warning(f"{case.name} {'cannot be used' if case.problem else 'is used, but'}: {text}")


def _scans(content: object, name: str) -> list[Mapping]:
    """Return the scans of a bare list, of a list ``scans``, or of all three lists of a dataset file."""
    if _is_map(content):
        content = [entry for key in ("scans", *SPLITS) for entry in content.get(key) or []]
    if not isinstance(content, list) or not content:
        raise LaminaError(f"'{name}' lists no scans; give a JSON list of objects with image, label and patient.")
    for number, entry in enumerate(content, 1):
        if not _is_map(entry) or not all(isinstance(entry.get(key), str) for key in ("image", "label")):
            raise LaminaError(f"Scan {number} in '{name}' must name an 'image' and a 'label' file.")
    return content


def _moved(entry: Mapping, source: Path, folder: Path) -> dict:
    """Write the paths of an entry relative to the new file, where that is possible."""
    moved = dict(entry)
    for key in ("image", "label"):
        path = Path(entry[key])
        if not path.is_absolute():
            moved[key] = Path(os.path.relpath(source / path, folder)).as_posix()
    return moved


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def _text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
