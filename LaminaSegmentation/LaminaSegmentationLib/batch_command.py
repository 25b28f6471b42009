"""``lamina segment FOLDER``: the laminae of all scans of a folder, one after the other."""

from __future__ import annotations

import argparse
import datetime
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.orientation import parse_code
from LaminaLabelingLib.volumes import read_volume

from . import __version__
from .batch_report import DONE, DOUBTFUL_BELOW, FAILED, RUNNING, SKIPPED, Row, count, counts_text, write_reports
from .batch_scans import (
    LABELS,
    LABELS_DIGEST,
    SUMMARY,
    Scan,
    check_places,
    find_scans,
    finished_before,
    identity_of,
    keep_edited,
    read_summary,
    remove_leftovers,
    remove_result,
    staged_result,
)
from .commands import finish_summary, output_folder, summarize, write_results
from .console import Console
from .dataset_file import content_hash
from .inference import Stopwatch, segment
from .progress import Progress
from .worker import overall_fraction

if TYPE_CHECKING:
    from .engines import Engine
    from .models import ModelBundle

SOME_FAILED = 3
"""Exit code when not all scans could be done. Machines get 0 and read the counts in the event ``result``."""


def segment_folder(arguments: argparse.Namespace, console: Console) -> dict:
    """``lamina segment FOLDER``: the laminae of all scans of a folder; what fails is listed, the rest is finished."""
    from .engines import check_engine, create_engine
    from .models import load_model

    if arguments.corrections:
        raise LaminaError("Corrections belong to one scan: give that scan, not a folder.")
    if arguments.axes.strip().lower() != "auto":
        parse_code(arguments.axes)  # what is wrong for all scans is no failure of each
    folder, output = arguments.scan.absolute(), arguments.output.absolute()
    scans = find_scans(folder)
    check_places(folder, output, scans)
    model = load_model(arguments.model)
    check_engine(arguments.engine, arguments.threads, arguments.precision)
    if arguments.resume:
        _require_earlier_run(output, arguments.force)
    with output_folder(output, arguments.force or arguments.resume):
        remove_leftovers(output)
        if arguments.scheduler:
            from .batch_cluster import ClusterBatch

            batch: Batch = ClusterBatch(scans, output, model, arguments, console)
        else:
            engine = create_engine(
                model, arguments.engine, arguments.threads, arguments.low_memory, arguments.precision
            )
            batch = Batch(scans, output, model, engine, arguments, console)
        batch.run()
    counts = count(batch.rows)
    console.table(counts_text(batch.rows), _table_rows(batch))
    result = {key: counts[key] for key in ("scans", DONE, FAILED, SKIPPED)} | {"files": batch.files}
    return result | {"exit_code": SOME_FAILED if counts[FAILED] else 0}


def _require_earlier_run(output: Path, force: bool) -> None:
    """Refuse to go on in a folder that holds other things than the results of a folder."""
    if force or not output.is_dir() or not any(not path.name.startswith(".") for path in output.iterdir()):
        return
    if "cases" not in (read_summary(output) or {}):
        raise LaminaError(
            f'The folder "{output.name}" holds no results of a folder of scans that could be gone on with: choose '
            "another with -o, or add --force."
        )


@dataclass(frozen=True)
class Manner:
    """How the scans of a folder are treated.

    Attributes
    ----------
    model : ModelBundle
    axes : str
        ``--axes``.
    steps, crop_segmentation : bool
    precision : str
        As the options of ``lamina segment``.
    """

    model: ModelBundle
    axes: str
    steps: bool
    crop_segmentation: bool
    precision: str = "float32"

    def treatment(self, axes: str) -> dict[str, Any]:
        """Return what a result depends on beside the scan; not the engine, since all give the same."""
        card = self.model.card
        return {
            "software": __version__,
            "model": self.model.name,
            "version": card.get("version"),
            "weights": card.get("files", {}).get(self.model.weights.name, {}).get("sha256", ""),
            "axes": axes,
            "steps": self.steps,
            "crop_segmentation": self.crop_segmentation,
            "precision": self.precision,
        }


def segment_into(
    room: Callable[[], AbstractContextManager[Path]], scan: Scan, manner: Manner, engine: Engine, progress: Progress
) -> dict[str, Any]:
    """Find the laminae of one scan of a folder and write its files.

    Parameters
    ----------
    room : callable
        Gives the folder to write into, as a context; asked only when there is something to write.
    scan : Scan
    manner : Manner
    engine : Engine
    progress : Progress

    Returns
    -------
    dict
        The content of its ``summary.json``.
    """
    source = identity_of(scan.path)
    axes, origin = scan.axes(manner.axes)
    stopwatch = Stopwatch(progress)
    with stopwatch.stage("read"):
        volume = read_volume(scan.path, axes)
    result = segment(volume, manner.model, engine, stopwatch=stopwatch)
    summary = {
        **summarize(volume, result, manner.model),
        "levels": _levels(result.laminae),
        "doubtful": doubtful(result.laminae),
        "axes_from": origin,
        "source": source,
        "treatment": manner.treatment(axes),
    }
    with room() as folder:
        with stopwatch.stage("write"):
            files = write_results(volume, result, folder, crop_segmentation=manner.crop_segmentation)
            if manner.steps:
                from .pictures import draw_steps

                files["steps"] = "preprocessing.png"
                draw_steps(volume, result.prepared, folder / files["steps"])
        summary[LABELS_DIGEST] = content_hash(folder / LABELS)
        finish_summary(summary, stopwatch, files, folder)
    return summary


def reason_of(problem: Exception) -> str:
    """Say in a sentence why the laminae of a scan could not be found."""
    if isinstance(problem, LaminaError):
        return str(problem)
    if isinstance(problem, MemoryError):
        return "There is not enough memory; close other programs, or add --low-memory."
    if isinstance(problem, OSError):
        return f"A file could not be read or written: {problem.strerror or problem}."
    logging.getLogger(__name__).info("Traceback of the unexpected error:", exc_info=problem)
    return (
        f"An unexpected error occurred ({type(problem).__name__}: {problem}); please report it with what --verbose "
        "prints."
    )


class Batch:
    """One run through the scans of a folder.

    Attributes
    ----------
    rows : list of Row
        One a scan, in the order of the folder.
    files : dict
        Paths of what was written about all of them.
    """

    def __init__(
        self,
        scans: Sequence[Scan],
        output: Path,
        model: ModelBundle,
        engine: Engine | None,
        arguments: argparse.Namespace,
        console: Console,
    ):
        self._scans, self._output, self._engine = scans, output, engine
        self._manner = Manner(model, arguments.axes, arguments.steps, arguments.crop_segmentation, arguments.precision)
        self._resume, self._console = arguments.resume, console
        self.rows = [Row(scan.path.name) for scan in scans]
        self.files: dict[str, str] = {}
        self._seconds: list[float] = []

    def run(self) -> None:
        """Do all scans that are not done yet."""
        if self._resume:
            for index in range(len(self._scans)):
                self._take_over(index)
        self._write()
        with self._console.bar():
            self._do_all([index for index, row in enumerate(self.rows) if row.state != SKIPPED])

    def _do_all(self, indices: Sequence[int]) -> None:
        """Do these scans; the file about all of them is written after each."""
        for index in indices:
            self._do(index)
            self._write()

    def _take_over(self, index: int) -> None:
        """Take the result of an earlier run, if it is complete and was made in the same way from the same file."""
        scan = self._scans[index]
        try:
            axes, _origin = scan.axes(self._manner.axes)
            treatment = self._manner.treatment(axes)
            summary = finished_before(self._output / scan.name, identity_of(scan.path), treatment)
            if summary is not None:
                self.rows[index] = Row.of_summary(scan.path.name, SKIPPED, scan.name, summary)
                self._tell(index)
        except (LaminaError, OSError, KeyError, TypeError, AttributeError):
            return  # whatever is wrong with it shows when the scan is done again

    def _do(self, index: int) -> None:
        """Find the laminae of one scan, or say why not."""
        scan, started = self._scans[index], time.monotonic()
        self._begin(index)
        try:
            self._keep_edited(scan)
            progress = _ScanProgress(self, index)
            summary = segment_into(
                lambda: staged_result(self._output, scan.name), scan, self._manner, self._engine, progress
            )
            self.rows[index] = Row.of_summary(scan.path.name, DONE, scan.name, summary)
            self._seconds.append(time.monotonic() - started)
        except Exception as problem:
            self._fail(index, reason_of(problem), time.monotonic() - started)
        gc.collect()  # a scan is large, and what holds it may hold itself
        self._tell(index)

    def _begin(self, index: int) -> None:
        self.rows[index] = replace(self.rows[index], state=RUNNING)
        self._tell(index)

    def _keep_edited(self, scan: Scan) -> None:
        if kept := keep_edited(self._output / scan.name):
            self._console.warning(
                f"{scan.path.name}: its point list had been edited; the edited one is kept as {scan.name}/{kept}."
            )

    def _fail(self, index: int, error: str, seconds: float | None) -> None:
        """Say why a scan failed. An earlier result of the same name must not be taken for one of this run."""
        scan = self._scans[index]
        try:
            self._keep_edited(scan)  # done already where the scan was begun here, but not for a worker's
            remove_result(self._output / scan.name)
        except OSError as problem:
            error += f" Its earlier result could not be removed ({problem.strerror or problem})."
        rounded = None if seconds is None else round(seconds, 1)
        self.rows[index] = Row(scan.path.name, FAILED, error=error, seconds=rounded)

    def _write(self) -> None:
        about = {
            "name": self._scans[0].path.parent.name,
            "software": f"LaminaUltrasound {__version__}",
            "model": {"name": self._manner.model.name, "version": self._manner.model.card.get("version")},
            "engine": self._engine_text(),
            "date": datetime.datetime.now().isoformat(" ", timespec="minutes"),
        }
        self.files = write_reports(self.rows, about, self._output)

    def _engine_text(self) -> str:
        return self._engine.description

    # Telling

    def report(self, index: int, fraction: float) -> None:
        """Tell how far the whole run is when a scan has come to a fraction."""
        finished = sum(row.state not in (RUNNING, "waiting") for row in self.rows)
        total = len(self.rows)
        left = None
        if self._seconds:  # scans that fail at once say nothing about the others
            left = round(sum(self._seconds) / len(self._seconds) * (total - finished - fraction), 1)
        self._console.emit(
            "progress",
            stage="batch",
            fraction=round((finished + fraction) / total, 4),
            **({} if left is None else {"seconds_left": left}),
        )

    @property
    def console(self) -> Console:
        """Where the stages of a scan are shown to people."""
        return self._console

    def _tell(self, index: int) -> None:
        row, total = self.rows[index], len(self.rows)
        self._console.emit(
            "case",
            scan=row.scan,
            index=index,
            total=total,
            state=row.state,
            text=row.error or row.text,
            laminae=row.laminae,
            levels=row.levels,
            doubtful=row.doubtful,
            warnings=list(row.warnings),
            seconds=row.seconds,
            folder=str(self._output / row.folder) if row.folder else "",
        )
        if row.state == RUNNING:
            self.report(index, 0.0)
            return
        if not self._console.machine:
            sys.stderr.write("".join(f"{line}\n" for line in _lines(index, total, row)))


class _ScanProgress(Progress):
    """Tells of one scan as a part of the whole run: machines the fraction of all, people the stage."""

    def __init__(self, batch: Batch, index: int):
        self._batch, self._index = batch, index
        self._stage = ""

    def stage(self, name: str) -> None:
        self._stage = name
        if not self._batch.console.machine:
            self._batch.console.stage(name)
        self._batch.report(self._index, overall_fraction(name))

    def fraction(self, share: float) -> None:
        if not self._batch.console.machine:
            self._batch.console.fraction(share)
        self._batch.report(self._index, overall_fraction(self._stage, share))


def doubtful(laminae: LaminaSet) -> int:
    """Return how many laminae a person has to check: of low confidence, or suggested."""
    return sum(
        lamina.is_suggested or (lamina.confidence is not None and lamina.confidence < DOUBTFUL_BELOW)
        for lamina in laminae.values()
        if lamina.position is not None
    )


def _levels(laminae: LaminaSet) -> int:
    return sum(any(lamina and lamina.position for lamina in pair) for pair in laminae.pairs().values())


def _lines(index: int, total: int, row: Row) -> Iterator[str]:
    """Yield what people read about a scan as soon as it is finished."""
    found = f"failed: {row.error}" if row.state == FAILED else row.text
    if row.doubtful:
        found += f", {row.doubtful} to check"
    if row.state == SKIPPED:
        found += " (done in an earlier run)"
    elif row.seconds is not None:
        found += f" ({row.seconds:.1f} s)"
    yield f"{index + 1} of {total}: {row.scan}: {found}"
    yield from (f"    Note: {text}" for text in row.warnings)


def _table_rows(batch: Batch) -> list[tuple[str, str]]:
    rows = [(f"Failed: {row.scan}", row.error) for row in batch.rows if row.state == FAILED]
    found = [row for row in batch.rows if row.has_result]
    if found:
        laminae = sum(row.laminae or 0 for row in found)
        rows.append(("Laminae", f"{laminae} on {len(found)} scan{'s' * (len(found) != 1)}"))
        rows.append(("To check", ", ".join(f"{row.scan} ({row.doubtful})" for row in found if row.doubtful) or "none"))
    folder = Path(batch.files["summary"]).parent
    rows.append(("Read first", f"{batch.files['page']} (research use only)"))
    rows.append(("Files", f"{folder}: a folder a scan, results.csv, results.html, {SUMMARY}"))
    return rows
