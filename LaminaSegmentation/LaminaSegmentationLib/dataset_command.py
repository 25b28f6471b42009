"""``lamina split``: a list of labeled scans in, a dataset file with training, validation and test lists out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError

from .commands import parse_split, write_json
from .console import Console
from .dataset_file import SPLITS, check_dataset, read_json, split_by_patient


def split(arguments: argparse.Namespace, console: Console) -> dict:
    """Split the scans of a file so that all scans of a patient come into the same list."""
    target = arguments.output
    if target.exists() and not arguments.force:
        raise LaminaError(f"'{target.name}' already exists; choose another with -o, or add --force to replace it.")
    ratio = parse_split(arguments.ratio)
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
