"""The dataset file: which scans there are, with which labels, in which of the three lists."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LaminaLabelingLib.errors import LaminaError

SPLITS = ("training", "validation", "test")

_SCHEMA = Path(__file__).resolve().with_name("dataset.schema.json")


def read_dataset(path: Path, needed: Sequence[str] = SPLITS) -> dict[str, list[dict]]:
    """Read a ``dataset.json``: lists ``training``, ``validation``, ``test`` of image, label and patient.

    Parameters
    ----------
    path : Path
        Paths in the file are relative to it, or absolute.
    needed : sequence of str
        The lists whose files will be used: they must exist and have labels. The others are only compared, since a
        patient or a scan must not come in two lists.

    Returns
    -------
    dict of str to list of dict
        Each entry as in the file, with resolved ``image`` and ``label`` (None where there is none), with ``patient``
        as a string or None, and with ``where``, the words that name it in a message.

    Raises
    ------
    LaminaError
        If the file cannot be read, does not follow ``dataset.schema.json``, names a file that does not exist, or has
        a patient in two lists or a scan twice; the message names the entry.
    """
    return check_dataset(read_json(path), Path(path), needed)


def check_dataset(content: Any, path: Path, needed: Sequence[str] = SPLITS) -> dict[str, list[dict]]:
    """Check the content of a dataset file and resolve its entries; see `read_dataset`."""
    _check_schema(content, path.name)
    splits = {
        split: [_resolved(entry, split, number, path) for number, entry in enumerate(content.get(split, []), 1)]
        for split in SPLITS
    }
    for split in needed:
        for entry in splits[split]:
            _check_files(entry)
    _check_patients(splits)
    _check_twice([entry for split in SPLITS for entry in splits[split]])
    return splits


def read_json(path: Path) -> Any:
    """Read a JSON file, refusing keys that come twice, of which only the last would count.

    Raises
    ------
    LaminaError
        If there is no such file, or it is not JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict:
        names = [name for name, _ in pairs]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise ValueError(f"the key '{double}' comes twice")
        return dict(pairs)

    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise LaminaError(f"There is no file '{path}'; give a dataset.json as 'lamina simulate' writes it.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise LaminaError(
            f"'{Path(path).name}' cannot be read as a dataset file ({error}); it must be JSON text."
        ) from None


def split_names(count: int, ratio: Sequence[int], seed: int) -> list[str]:
    """Assign ``count`` scans to splits in the given proportions, shuffled by the seed.

    Raises
    ------
    LaminaError
        If the ratio is not three numbers of zero or more with a positive sum.
    """
    sizes = _sizes(count, ratio)
    order = np.random.default_rng([seed, 3]).permutation(count)
    names = np.empty(count, object)
    names[order] = np.repeat(SPLITS, sizes)
    return list(names)


def split_by_patient(entries: Sequence[Mapping], ratio: Sequence[int], seed: int) -> dict[str, list[Mapping]]:
    """Split a flat list of scans so that all scans of a patient, follow-ups too, come into the same list.

    Parameters
    ----------
    entries : sequence of mapping
        With the key ``patient``; an entry without it is a patient of its own.
    ratio : three int
        Such as (50, 10, 10), training to validation to test.
    seed : int
        Determines the split.

    Returns
    -------
    dict of str to list
        The lists, each in the order of ``entries``. Their sizes are as near to the ratio as patients with several
        scans allow.

    Raises
    ------
    LaminaError
        If the ratio has no sense, or there are too few patients for each list to get one.
    """
    room = dict(zip(SPLITS, _sizes(len(entries), ratio)))
    patients: dict[str, list[int]] = {}
    for index, entry in enumerate(entries):
        patient = entry.get("patient")
        patients.setdefault(f"entry {index}" if patient is None else f"patient {patient}", []).append(index)
    groups = list(patients.values())
    order = np.random.default_rng([seed, 5]).permutation(len(groups))
    chosen: dict[str, list[int]] = {split: [] for split in SPLITS}
    # Large families first: what is left over are single scans, which fill the lists exactly.
    for group in sorted((groups[index] for index in order), key=len, reverse=True):
        split = max(SPLITS, key=lambda name: room[name])
        chosen[split] += group
        room[split] -= len(group)
    empty = [split for split, part in zip(SPLITS, ratio) if part > 0 and not chosen[split]]
    if empty:
        raise LaminaError(
            f"{len(groups)} patients are too few for this split, '{empty[0]}' would get none: add scans, or change "
            "the ratio."
        )
    return {split: [entries[index] for index in sorted(indices)] for split, indices in chosen.items()}


def _sizes(count: int, ratio: Sequence[int]) -> list[int]:
    if len(ratio) != 3 or min(ratio) < 0 or sum(ratio) <= 0:
        raise LaminaError("A split is three numbers such as 50,10,10: training, validation and test scans.")
    bounds = np.round(np.cumsum(ratio) / sum(ratio) * count).astype(int)
    return [int(size) for size in np.diff(bounds, prepend=0)]


def _check_schema(content: Any, name: str) -> None:
    errors = sorted(_validator().iter_errors(content), key=lambda error: [str(part).zfill(9) for part in error.path])
    if not errors:
        return
    error, path = errors[0], list(errors[0].path)
    if not path:
        raise LaminaError(f"'{name}' is no dataset file: it must hold the lists training, validation and test.")
    if len(path) == 1:
        reason = "must be a list of scans" if path[0] in SPLITS else f"is wrong: {error.message}"
        raise LaminaError(f"'{path[0]}' in '{name}' {reason}.")
    where = _where(path[0], path[1] + 1, name)
    if len(path) == 2:
        raise LaminaError(f"{where} must name an 'image' and a 'label' file: {_short(error.message)}.")
    raise LaminaError(f"{where}: '{path[2]}' is wrong: {_short(error.message)}.")


def _short(message: str) -> str:
    return message if len(message) < 200 else f"{message[:200]}..."


@functools.cache
def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))


def _where(split: str, number: int, name: str) -> str:
    return f"Entry {number} of '{split}' in '{name}'"


def _resolved(entry: Mapping | str, split: str, number: int, path: Path) -> dict:
    given = {"image": entry} if isinstance(entry, str) else dict(entry)
    label, patient = given.get("label"), given.get("patient")
    return given | {
        "image": path.parent / given["image"],
        "label": None if label is None else path.parent / label,
        "patient": None if patient is None else str(patient),
        "where": _where(split, number, path.name),
    }


def _check_files(entry: Mapping) -> None:
    if entry["label"] is None:
        raise LaminaError(f"{entry['where']} has no label: name a 'label' file, or take the entry out.")
    for key in ("image", "label"):
        if not entry[key].is_file():
            raise LaminaError(f"{entry['where']} names the {key} '{entry[key]}', which does not exist.")


def _check_patients(splits: Mapping[str, Sequence[Mapping]]) -> None:
    seen: dict[str, str] = {}
    for split, entries in splits.items():
        for entry in entries:
            patient = entry["patient"]
            if patient is not None and seen.setdefault(patient, split) != split:
                raise LaminaError(
                    f"{entry['where']}: patient '{patient}' is also in '{seen[patient]}'; keep each patient in one "
                    "list."
                )


def _check_twice(entries: Sequence[Mapping]) -> None:
    """Raise LaminaError when two entries have the same scan or share their labels."""
    for key in ("image", "label"):
        seen: dict[Any, Mapping] = {}
        for identity, entry in _identities(entries, key):
            other = seen.setdefault(identity, entry)
            if other is not entry:
                what = "image" if key == "image" else "label file"
                raise LaminaError(
                    f"{entry['where']} has the same {what} as {_lower(other['where'])} ('{entry[key].name}'): "
                    "list each scan once, with its own labels."
                )


def _identities(entries: Sequence[Mapping], key: str) -> Iterator[tuple[Any, Mapping]]:
    """Yield what two entries have in common only if their files are the same: path, or size and content."""
    present = [entry for entry in entries if entry[key] is not None]
    yield from ((entry[key].resolve(), entry) for entry in present)
    if key == "image":
        sizes: dict[int, list[Mapping]] = {}
        for entry in present:
            if entry[key].is_file():
                sizes.setdefault(entry[key].stat().st_size, []).append(entry)
        # Only files of the same size can be copies; most are told apart without being read.
        for size, alike in sizes.items():
            if size and len(alike) > 1:
                yield from ((content_hash(entry[key]), entry) for entry in alike)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content.

    Raises
    ------
    LaminaError
        If the file cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise LaminaError(f"'{Path(path).name}' cannot be read ({error.strerror}): check the file.") from error
