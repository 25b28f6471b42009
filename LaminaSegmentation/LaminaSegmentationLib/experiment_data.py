"""The scans of an experiment: simulated with seeds of their own for training and test, or those of a dataset file."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError

from .dataset import (
    FIRST_TRAINING_SEED,
    SPLITS,
    Case,
    entry_case,
    read_dataset,
    save_case,
    simulated_case,
    training_spacing,
)
from .experiment import Folder, Settings
from .preprocessing import PREPROCESSING_VERSION, Options
from .simulation import style_for_training


def simulated_data(
    style: str, spacing: float | None, seed: int, test_seed: int, scans: int, ratio: Sequence[int]
) -> dict:
    """Describe simulated scans: training and validation scans from one range of seeds, test scans from another.

    Parameters
    ----------
    style : str
        Name of the simulation style.
    spacing : float or None
        Voxel size in mm; None varies it with the seed.
    seed : int
        First seed of the training scans; the validation scans follow.
    test_seed : int
        First seed of the test scans.
    scans : int
        All together.
    ratio : three int
        Shares of training, validation and test scans.

    Raises
    ------
    LaminaError
        If a share is empty, or seeds fall on the wrong side of `dataset.FIRST_TRAINING_SEED` (METHOD section 8).
    """
    if len(ratio) != 3 or min(ratio) <= 0:
        raise LaminaError("An experiment needs training, validation and test scans: a split such as 50,10,10.")
    bounds = [round(scans * sum(ratio[: part + 1]) / sum(ratio)) for part in range(3)]
    counts = [bounds[0], bounds[1] - bounds[0], bounds[2] - bounds[1]]
    if min(counts) < 1:
        raise LaminaError(f"{scans} scans are too few for the split {','.join(map(str, ratio))}: give more --scans.")
    if seed < FIRST_TRAINING_SEED:
        raise LaminaError(
            f"--seed is {seed}; train on seeds from {FIRST_TRAINING_SEED} on, because smaller ones are kept for tests "
            "and evaluation."
        )
    if test_seed < 0 or test_seed + counts[2] > FIRST_TRAINING_SEED:
        raise LaminaError(
            f"--test-seed is {test_seed}; test scans have seeds from 0 to {FIRST_TRAINING_SEED - 1}, which no model is "
            "trained on."
        )
    named = style_for_training(style)
    return {
        "style": named.name,
        "style_version": named.version,
        "spacing_mm": spacing,
        "seed": seed,
        "test_seed": test_seed,
        "preprocessing": PREPROCESSING_VERSION,
        "scans": counts,
    }


def dataset_data(path: Path) -> dict:
    """Describe the scans of a dataset file.

    Raises
    ------
    LaminaError
        If it is not valid, a list is empty, or a model would be trained on seeds that are kept for evaluation.
    """
    from .train_command import refuse_evaluation_seeds

    splits = read_dataset(path)
    for split in SPLITS:
        if not splits[split]:
            raise LaminaError(f"The list '{split}' in '{path.name}' is empty; an experiment needs scans in all three.")
    refuse_evaluation_seeds([*splits["training"], *splits["validation"]])
    text = path.read_bytes()
    content = json.loads(text)
    described = {key: content[key] for key in ("style", "style_version") if key in content}
    return {
        **described,
        "dataset": path.name,
        "content": hashlib.sha256(text).hexdigest(),
        "preprocessing": PREPROCESSING_VERSION,
        "scans": [len(splits[split]) for split in SPLITS],
    }


def missing_cases(
    folder: Folder, settings: Settings, dataset: Path | None, cache: Path | None
) -> list[tuple[Path, Callable[[], Case]]]:
    """List the prepared scans that are not there yet: the file of each, and what makes it."""
    options = replace(Options(), shape=tuple(settings.grid))
    makers: dict[Path, Callable[[], Case]] = {}
    splits = None if dataset is None else read_dataset(dataset)
    first = 0
    for split in SPLITS:
        for number, path in enumerate(folder.case_files(settings, split)):
            if splits is not None:
                makers[path] = partial(entry_case, splits[split][number], options, cache)
                continue
            data = settings.data
            seed = data["test_seed"] + number if split == "test" else data["seed"] + first + number
            spacing = data["spacing_mm"] or training_spacing(seed)
            makers[path] = partial(simulated_case, seed, spacing, data["style"], options, cache)
        first += settings.data["scans"][SPLITS.index(split)]
    return [(path, make) for path, make in makers.items() if not path.exists()]


def make_cases(missing: Sequence[tuple[Path, Callable[[], Case]]], workers: int) -> Iterator[Path]:
    """Make and write prepared scans, with several processes if asked; yield the file of each as it is ready."""
    if workers <= 1 or not missing:
        yield from itertools.starmap(_make_case, missing)
        return
    with ProcessPoolExecutor(workers) as pool:
        try:
            yield from pool.map(_make_case, *zip(*missing))
        finally:
            # Whoever stops here wants no more scans: those that wait are not made first.
            pool.shutdown(wait=True, cancel_futures=True)


def _make_case(path: Path, make: Callable[[], Case]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_case(make(), path)
    return path
