"""One scan in, laminae out: preprocessing, network and localization in order, each stage timed and reported."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.laminae import LaminaSet, Source
from LaminaLabelingLib.volumes import Volume

from .known_vertebrae import Known
from .localization import Localization, localize
from .preprocessing import Corrections, Options, Prepared, prepare
from .progress import Progress

if TYPE_CHECKING:
    from .engines import Engine
    from .models import ModelBundle


class Stopwatch:
    """Seconds by stage."""

    def __init__(self, progress: Progress | None = None):
        self.progress = progress or Progress()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str):
        """Time a block and report it as the current stage."""
        self.progress.stage(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self.progress.fraction(1.0)


@dataclass(frozen=True)
class Segmentation:
    """The result of a segmentation.

    Attributes
    ----------
    laminae : LaminaSet
        Named or provisional, positions in the scan's RAS mm.
    column : (N, 3) array
        The spinous process column, RAS mm, superior to inferior.
    prepared : Prepared
        The network's input and what preprocessing found.
    probability : float32 array of the grid's shape
        The network's output.
    localization : Localization
        Candidates, and why some were left out and some laminae suggested.
    engine : str
        What ran the network.
    warnings : tuple of str
        Sentences for the user, those of reading the scan included.
    """

    laminae: LaminaSet
    column: np.ndarray
    prepared: Prepared
    probability: np.ndarray
    localization: Localization
    engine: str
    warnings: tuple[str, ...] = field(default=())


def segment(
    volume: Volume,
    model: ModelBundle,
    engine: str | Engine = "auto",
    progress: Progress | None = None,
    stopwatch: Stopwatch | None = None,
    threads: int | None = None,
    corrections: Corrections | None = None,
    known: Known | None = None,
    low_memory: bool = False,
    precision: str = "float32",
) -> Segmentation:
    """Find the laminae in a scan.

    Parameters
    ----------
    volume : Volume
        The scan, IRA order.
    model : ModelBundle
        As `models.load_model` returns it.
    engine : str or Engine
        ``auto``, ``tensorflow``, ``openvino``, or an engine made before (for many scans).
    progress : Progress, optional
    stopwatch : Stopwatch, optional
        Collects the seconds of each stage.
    threads : int, optional
        CPU threads of the network; all by default.
    corrections : Corrections, optional
        What a person has put right in the preprocessing of this scan.
    known : Known, optional
        What a person knows of the vertebrae.
    low_memory : bool
    precision : str
        How the network is run, see `engines.create_engine`; an engine made before is as it is.

    Returns
    -------
    Segmentation

    Raises
    ------
    LaminaError
        If the scan holds no image of a spine, the corrections or what is known do not fit it, or the engine cannot be
        had.
    """
    known = known or Known()
    calibration = model.calibration
    stopwatch = stopwatch or Stopwatch(progress)
    progress = stopwatch.progress
    decision = model.card.get("decision", {})
    # The engine is loaded meanwhile: NumPy leaves it most of a core.
    with ThreadPoolExecutor(1) as aside:
        loading = aside.submit(_engine, engine, model, threads, low_memory, precision)
        with stopwatch.stage("preprocess"):
            prepared = prepare(volume, options_of(model), progress.fraction, corrections)
        with stopwatch.stage("network"):
            runner = loading.result()
            probability = runner.predict(prepared.grid.array)
    with stopwatch.stage("localization"):
        found = localize(
            probability,
            prepared.grid,
            prepared.column_points,
            decision.get("threshold", 0.5),
            decision.get("minimum_voxels", 3),
            calibration,
            known,
        )
    warnings = (*volume.warnings, *prepared.warnings, *found.notes)
    for text in warnings:
        progress.warning(text)
    return Segmentation(
        found.laminae, prepared.column_points, prepared, probability, found, runner.description, warnings
    )


def options_of(model: ModelBundle) -> Options:
    """Return the preprocessing that the model was trained with, from its card."""
    stored = model.card.get("input", {}).get("preprocessing", {})
    known = {key: stored[key] for key in ("crop_top_layer", "clearance", "crop_region", "margin") if key in stored}
    if "least_extent" in stored:
        known["least_extent"] = tuple(stored["least_extent"])
    return Options(**known, shape=tuple(model.card["input"]["grid"]))


def _engine(engine: str | Engine, model: ModelBundle, threads: int | None, low_memory: bool, precision: str):
    if not isinstance(engine, str):
        return engine
    from .engines import create_engine

    return create_engine(model, engine, threads, low_memory, precision)


def describe(laminae: LaminaSet) -> str:
    """Return one line that says what was found, such as ``34 laminae on 17 levels, named T1 to L5``."""
    count = len(laminae.positions())
    levels = sum(1 for pair in laminae.pairs().values() if any(each and each.position for each in pair))
    if not count:
        return "no laminae found"
    names = "numbered from the top" if laminae.is_provisional else "named T1 to L5"
    suggested = len(laminae.positions([Source.inferred]))
    some = f", {suggested} of them suggested" if suggested else ""
    return f"{count} laminae on {levels} levels, {names}{some}"
