"""Labelled scans for training and evaluation: the dataset file, and cases prepared for the network, cached on disk."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume, read_volume

from .preprocessing import Options, prepare
from .simulation import simulate_scan, style_named

SPLITS = ("training", "validation", "test")

FIRST_TRAINING_SEED = 1_000_000
"""Seeds below this are for demonstration, tests and evaluation; no model is ever trained on them (METHOD section 8)."""


@dataclass(frozen=True)
class Case:
    """A labelled scan on the network's grid.

    Attributes
    ----------
    name : str
        The scan's file name or seed; never a patient's name.
    grid : float16 array of the grid's shape
        The network's input.
    centroids : (N, 3) float array
        True centroids in grid voxels.
    names : tuple of str
        Their slots, in the same order.
    spacing : (3,) float array
        Size of a grid voxel in mm along each axis.
    """

    name: str
    grid: np.ndarray
    centroids: np.ndarray
    names: tuple[str, ...]
    spacing: np.ndarray


def prepare_case(volume: Volume, truth: LaminaSet, options: Options | None = None) -> Case:
    """Preprocess a scan and map its true laminae to the network's grid."""
    prepared = prepare(volume, options)
    positions = truth.positions()
    points = np.array(list(positions.values())).reshape(-1, 3)
    return Case(
        volume.name,
        prepared.grid.array.astype(np.float16),
        prepared.grid.to_index(points) if len(points) else points,
        tuple(positions),
        prepared.grid.spacing,
    )


def save_case(case: Case, path: Path) -> None:
    """Write a case to an ``.npz`` file, under a temporary name first."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(
            stream,
            name=case.name,
            grid=case.grid,
            centroids=case.centroids,
            names=np.array(case.names),
            spacing=case.spacing,
        )


def load_case(path: Path) -> Case:
    """Read a case that ``save_case`` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return Case(
            str(data["name"]),
            data["grid"],
            data["centroids"],
            tuple(str(name) for name in data["names"]),
            data["spacing"],
        )


def _cached(path: Path, make: Callable[[], Case]) -> Case:
    if path.exists():
        try:
            return load_case(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            path.unlink()
    case = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_case(case, path)
    return case


def simulated_case(
    seed: int, spacing: float, style: str = "clinic", options: Options | None = None, cache: Path | None = None
) -> Case:
    """Simulate and prepare one scan; a cached copy with the same parameters is used when there is one."""
    options = options or Options()
    parameters = {
        "seed": seed,
        "spacing": spacing,
        "style": style,
        "version": style_named(style).version,
        "options": options.as_dict(),
    }

    def make() -> Case:
        scan = simulate_scan(seed, spacing, style)
        return prepare_case(scan.volume, scan.truth, options)

    return make() if cache is None else _cached(Path(cache) / f"simulated_{seed}_{_digest(parameters)}.npz", make)


def labelled_case(image: Path, labels: Path, options: Options | None = None, cache: Path | None = None) -> Case:
    """Read and prepare one scan with its laminae; cached by the content of both files."""
    from LaminaLabelingLib.files import read_laminae

    options = options or Options()

    def make() -> Case:
        return prepare_case(read_volume(image), read_laminae(labels), options)

    if cache is None:
        return make()
    content = hashlib.sha256(image.read_bytes())
    content.update(labels.read_bytes())
    parameters = {"content": content.hexdigest(), "options": options.as_dict()}
    return _cached(Path(cache) / f"{image.name.split('.')[0]}_{_digest(parameters)}.npz", make)


def _digest(parameters: dict) -> str:
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:16]


def training_spacing(seed: int) -> float:
    """Return the voxel size in mm for a training seed: scanners differ, and so must the training scans."""
    return (0.38, 0.5, 0.7, 1.0)[seed % 4]


def simulated_cases(
    seeds: Sequence[int],
    style: str = "clinic",
    spacing: float | None = None,
    cache: Path | None = None,
    workers: int = 1,
) -> Iterator[Case]:
    """Yield simulated cases in the order of ``seeds``, made by ``workers`` processes.

    Without ``spacing`` the voxel size varies with the seed, see `training_spacing`.
    """
    make = partial(_simulated_case, style=style, spacing=spacing, cache=cache)
    if workers <= 1:
        yield from map(make, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(make, seeds)


def _simulated_case(seed: int, style: str, spacing: float | None, cache: Path | None) -> Case:
    return simulated_case(seed, spacing or training_spacing(seed), style, cache=cache)


def read_dataset(path: Path) -> dict[str, list[dict]]:
    """Read a ``dataset.json``: lists ``training``, ``validation``, ``test`` of image, label and patient.

    Paths in the file are relative to it; they come back resolved.

    Raises
    ------
    LaminaError
        If the file cannot be read, an entry is incomplete, a file is missing or a patient is in two splits; the
        message names the entry.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaminaError(f"There is no file '{path}'; give a dataset.json as 'lamina simulate' writes it.") from None
    except (OSError, ValueError) as error:
        raise LaminaError(f"'{path.name}' cannot be read as a dataset file ({error}); it must be JSON text.") from None
    if not isinstance(content, dict):
        raise LaminaError(f"'{path.name}' is no dataset file: it must hold the lists training, validation and test.")
    splits: dict[str, list[dict]] = {}
    patients: dict[str, str] = {}
    for split in SPLITS:
        entries = content.get(split, [])
        if not isinstance(entries, list):
            raise LaminaError(f"'{split}' in '{path.name}' must be a list of scans.")
        splits[split] = []
        for number, entry in enumerate(entries):
            where = f"Entry {number + 1} of '{split}' in '{path.name}'"
            if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("image", "label")):
                raise LaminaError(f"{where} must name an 'image' and a 'label' file.")
            resolved = dict(entry)
            for key in ("image", "label"):
                resolved[key] = path.parent / entry[key]
                if not resolved[key].is_file():
                    raise LaminaError(f"{where} names the {key} '{entry[key]}', which does not exist.")
            patient = str(entry.get("patient", entry["image"]))
            if patients.setdefault(patient, split) != split:
                raise LaminaError(
                    f"{where}: patient '{patient}' is also in '{patients[patient]}'; keep each patient in one split."
                )
            splits[split].append(resolved)
    return splits


def split_names(count: int, ratio: Sequence[int], seed: int) -> list[str]:
    """Assign ``count`` scans to splits in the given proportions, shuffled by the seed.

    Raises
    ------
    LaminaError
        If the ratio is not three numbers of zero or more with a positive sum.
    """
    if len(ratio) != 3 or min(ratio) < 0 or sum(ratio) <= 0:
        raise LaminaError("A split is three numbers such as 50,10,10: training, validation and test scans.")
    bounds = np.round(np.cumsum(ratio) / sum(ratio) * count).astype(int)
    order = np.random.default_rng([seed, 3]).permutation(count)
    names = np.empty(count, object)
    for split, start, stop in zip(SPLITS, [0, *bounds[:2]], bounds):
        names[order[start:stop]] = split
    return list(names)
