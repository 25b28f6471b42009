"""The process that does the trials of a search: ``python -m LaminaSegmentationLib.tune_worker FOLDER``.

It takes jobs and tells what it does like `experiment_worker`. A trial that is to be given up ends after the step at
hand, with what its whole epochs have given.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

from .experiment import write_json
from .experiment_worker import Emit, event_stream, jobs_of, remove_leftovers
from .folder_lock import waiting_lock
from .tune_folder import SearchFolder, TuneSettings

if TYPE_CHECKING:
    from .dataset import Case
    from .training import TrainingProgress

RESULT = "result.json"

logger = logging.getLogger(__name__)


class TrialWorker:
    """Does the trials of one search.

    Parameters
    ----------
    folder : SearchFolder
    backend : str or None
        Keras backend.
    emit : callable
        Told what goes on: ``emit(event, **content)``.
    """

    def __init__(self, folder: SearchFolder, backend: str | None, emit: Emit) -> None:
        self.folder, self.backend, self.emit = folder, backend, emit
        self.settings: TuneSettings = folder.settings()
        self.cases: dict[str, list[Case]] = {
            split: folder.load_cases(self.settings, split) for split in ("training", "validation")
        }

    def do(self, run: str, values: Mapping[str, Any], stop: threading.Event) -> dict:
        """Bring a trial to its end, or to that of the epoch before it is stopped; return its result.

        A trial that another process has ended meanwhile is left as it is.

        Parameters
        ----------
        run : str
            Name of its folder.
        values : mapping
            As `tune_space.Space.suggest` returns it.
        stop : threading.Event
            Set to end it.
        """
        path = self.folder.trials / run
        with waiting_lock(path):
            try:
                return json.loads((path / RESULT).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                result = self._train(path, values, stop)
                write_json(result, path / RESULT)
                return result

    def _train(self, path: Path, values: Mapping[str, Any], stop: threading.Event) -> dict:
        from .keras_backend import set_backend
        from .training import train
        from .validation_score import SCORE, validation_metrics

        gc.collect()  # the network before holds the memory of a GPU in cycles of references
        self.backend = set_backend(self.backend)
        options = self.settings.training_options(values, self.backend)

        def report(progress: TrainingProgress) -> None:
            content = {name: getattr(progress, name) for name in ("epoch", "epochs", "step", "steps", "loss")}
            self.emit("training", run=path.name, seconds_left=progress.seconds_left, **content)
            if stop.is_set():
                raise KeyboardInterrupt

        def report_epoch(row: Mapping[str, float], _best: int) -> None:
            self.emit("epoch", run=path.name, epoch=int(row["epoch"]), score=row[SCORE])

        remove_leftovers(path)
        try:
            result = train(
                self.cases["training"],
                self.cases["validation"],
                path,
                options,
                metrics=validation_metrics(SCORE),
                resume=True,
                progress=report,
                on_epoch=report_epoch,
            )
        except LaminaError as error:
            # The scans were read before: what is wrong is a loss that is no number any more.
            return {"error": str(error)}
        except KeyboardInterrupt:
            return {"error": "It was given up before its first epoch ended."}
        best = result.history[result.best_epoch - 1]
        return {
            "score": best[SCORE],
            "missed": best["val_missed"],
            "false": best["val_false"],
            "epoch": result.best_epoch,
            "epochs": len(result.history),
            "seconds": round(result.seconds, 1),
            "whole": result.ended_by == "epochs",
            "backend": self.backend,
        }


def main() -> int:
    """Do trials until there are no more."""
    emit, worker = event_stream(), None
    stops: dict[str, threading.Event] = {}

    def on_stop(run: str) -> None:
        if run in stops:
            stops[run].set()

    for job in jobs_of(sys.stdin, on_stop):
        run = job["run"]
        stops = {run: threading.Event()}
        try:
            worker = worker or TrialWorker(SearchFolder(Path(sys.argv[1])), job["backend"], emit)
            emit("finished", run=run, result=worker.do(run, job["values"], stops[run]))
        except LaminaError as error:
            emit("error", run=run, text=str(error), user=True)
        except Exception as error:
            logger.exception("%s failed", run)
            emit("error", run=run, text=f"{type(error).__name__}: {error}", user=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
