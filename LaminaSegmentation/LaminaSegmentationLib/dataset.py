"""Labelled scans for training and evaluation: cases prepared for the network, cached on disk.

The dataset file that lists them is read by `dataset_file`, their labels by `dataset_labels`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import label

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume, read_volume

from .dataset_file import SPLITS, content_hash, read_dataset, split_by_patient, split_names
from .dataset_labels import read_truth
from .preprocessing import PREPROCESSING_VERSION, Options, prepare
from .samples import cube_labels
from .simulation import simulate_scan, style_named

__all__ = [
    "FIRST_TRAINING_SEED",
    "SPLITS",
    "Case",
    "case_notes",
    "entry_case",
    "labelled_case",
    "labelled_cases",
    "load_case",
    "prepare_case",
    "read_dataset",
    "save_case",
    "simulated_case",
    "simulated_cases",
    "split_by_patient",
    "split_names",
    "training_spacing",
]

logger = logging.getLogger(__name__)

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
    """Return the case of a file, or make it and write the file.

    Two processes may do so at the same time: each writes a file of its own and moves it into place, so that a reader
    finds a whole one, and both are the same. A cache that cannot be written costs time, not the run.
    """
    try:
        return load_case(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        logger.warning("The cached case %s is damaged and made again.", path.name)
    case = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_case(case, path)
    except (OSError, LaminaError) as error:
        logger.warning("The prepared case could not be kept for the next run: %s", error)
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
        "preprocessing": PREPROCESSING_VERSION,
    }

    def make() -> Case:
        scan = simulate_scan(seed, spacing, style)
        return prepare_case(scan.volume, scan.truth, options)

    return make() if cache is None else _cached(Path(cache) / f"simulated_{seed}_{_digest(parameters)}.npz", make)


def labelled_case(
    image: Path, labels: Path, options: Options | None = None, cache: Path | None = None, axes: str = "auto"
) -> Case:
    """Read and prepare one scan with its laminae; cached by the content of both files.

    Parameters
    ----------
    image, labels : Path
        The labels as for `dataset_labels.read_truth`.
    options : preprocessing.Options, optional
    cache : Path, optional
        Folder for prepared cases. A file in it is used only for the same content, options, axes and version of the
        preprocessing.
    axes : str
        As for `volumes.read_volume`.

    Raises
    ------
    LaminaError
        If the scan or the labels cannot be read, or do not belong together.
    """
    options = options or Options()

    def make() -> Case:
        volume = read_volume(image, axes)
        return prepare_case(volume, read_truth(labels, volume), options)

    if cache is None:
        return make()
    parameters = {
        "content": [content_hash(image), content_hash(labels)],
        # The extension decides how a file is read.
        "kinds": ["".join(path.suffixes[-2:]).lower() for path in (image, labels)],
        "axes": axes,
        "options": options.as_dict(),
        "preprocessing": PREPROCESSING_VERSION,
    }
    case = _cached(Path(cache) / f"{image.name.split('.')[0]}_{_digest(parameters)}.npz", make)
    return replace(case, name=image.name)


def entry_case(entry: Mapping, options: Options | None = None, cache: Path | None = None) -> Case:
    """Read and prepare an entry of `read_dataset`; what is wrong with it is said with the entry's place.

    Raises
    ------
    LaminaError
        As for `labelled_case`; the message names list, number and file.
    """
    try:
        return labelled_case(entry["image"], entry["label"], options, cache, entry.get("axes", "auto"))
    except LaminaError as error:
        raise LaminaError(f"{entry['where']} ('{entry['image'].name}') cannot be used: {error}") from error


def labelled_cases(
    entries: Iterable[Mapping], options: Options | None = None, cache: Path | None = None, workers: int = 1
) -> Iterator[Case]:
    """Yield the cases of some entries in their order, made by ``workers`` processes."""
    yield from _mapped(partial(entry_case, options=options, cache=cache), entries, workers)


def case_notes(case: Case) -> list[str]:
    """Return sentences about what the labels on the grid do not show (METHOD section 2.6).

    Laminae whose centers preprocessing cropped away, and those whose 3x3x3 cubes touch, so that the label grid has
    one component for several laminae. The centroids stay the truth in both cases.
    """
    shape = np.array(case.grid.shape)
    centers = np.floor(case.centroids + 0.5).astype(int)
    inside = ((centers >= 0) & (centers < shape)).all(axis=1)
    names = np.array(case.names)
    notes = []
    if not inside.all():
        notes.append(f"{case.name}: {', '.join(names[~inside])} outside the region that the network sees.")
    components, _ = label(cube_labels(case.grid.shape, case.centroids), structure=np.ones((3, 3, 3)))
    belongs = components[tuple(centers[inside].T)]
    groups = [names[inside][belongs == number] for number in np.unique(belongs)]
    notes += [
        f"{case.name}: the labels of {' and '.join(group)} touch on the grid." for group in groups if len(group) > 1
    ]
    return notes


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
    yield from _mapped(make, seeds, workers)


def _mapped(make: Callable[[Any], Case], items: Iterable, workers: int) -> Iterator[Case]:
    if workers <= 1:
        yield from map(make, items)
        return
    with ProcessPoolExecutor(workers) as pool:
        try:
            yield from pool.map(make, items)
        except BaseException:
            # One bad scan ends the command: the others need not be prepared first.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _simulated_case(seed: int, style: str, spacing: float | None, cache: Path | None) -> Case:
    return simulated_case(seed, spacing or training_spacing(seed), style, cache=cache)
