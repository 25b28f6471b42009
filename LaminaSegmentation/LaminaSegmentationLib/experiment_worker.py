"""The process that trains the networks of an experiment: ``python -m LaminaSegmentationLib.experiment_worker FOLDER``.

It takes jobs as JSON lines on its standard input and tells what it does as JSON lines on its standard output. When the
input ends it ends too, at once and in the middle of a job: the parent was stopped or killed, and the next one starts a
process of its own on the same folder. Nothing is lost but the epoch in hand.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError

from .experiment import BY_D3D, BY_LOSS, Folder, Run, Settings, write_json
from .folder_lock import waiting_lock

if TYPE_CHECKING:
    from .dataset import Case
    from .training import TrainingOptions, TrainingProgress, TrainingResult

logger = logging.getLogger(__name__)

MASKS = "test_masks_{}.npz"
"""The thresholded maps of the test scans, packed to bits: pictures are drawn from them, and other figures can be."""

Emit = Callable[..., None]


class Worker:
    """Does the jobs on one experiment.

    Parameters
    ----------
    folder : Folder
    backend : str or None
        Keras backend.
    emit : callable
        Told what goes on: ``emit(event, **content)``.
    """

    def __init__(self, folder: Folder, backend: str | None, emit: Emit) -> None:
        self.folder, self.backend, self.emit = folder, backend, emit
        self.settings: Settings = folder.settings()
        self._cases: dict[str, list[Case]] = {}

    def cases(self, split: str) -> list[Case]:
        """Return the prepared scans of a split, read once."""
        if split not in self._cases:
            self._cases[split] = self.folder.load_cases(self.settings, split)
        return self._cases[split]

    def train(self, run: Run, choices: list[str]) -> None:
        """Bring a run to its end and score the epochs that were chosen, each on all test scans.

        A run that another process has brought to its end meanwhile is left as it is.
        """
        with waiting_lock(self.folder.runs / run.name):
            if not self.folder.finished(run, choices):
                self._train(run, choices)

    def _train(self, run: Run, choices: list[str]) -> None:
        from .train_command import hardware

        options, result = self.trained(run)
        kept = self.folder.result(run) or {"choices": {}}
        scored = dict(kept["choices"])
        for choice in choices:
            if choice not in scored:
                scored[choice] = self._score(run, options, result, choice)
        content = {
            "run": run.name,
            "loss": run.loss,
            "seed": run.seed,
            "epochs": len(result.history),
            "steps": int(sum(row["steps"] for row in result.history)),
            "seconds": round(result.seconds, 1),
            "backend": self.backend,
            "precision": options.precision,
            "hardware": kept.get("hardware") or hardware(self.backend),
            "history": list(result.history),
            "choices": scored,
        }
        write_json(content, self.folder.runs / run.name / "result.json")

    def trained(self, run: Run) -> tuple[TrainingOptions, TrainingResult]:
        """Bring a run to its end; one that has ended comes back at once."""
        from .keras_backend import set_backend
        from .metrics import false_laminae, missed_laminae, total_distance
        from .training import train

        gc.collect()  # the network before holds the memory of a GPU in cycles of references
        self.backend = set_backend(self.backend)
        options = self.settings.training_options(run, self.backend)

        def report(progress: TrainingProgress) -> None:
            content = {name: getattr(progress, name) for name in ("epoch", "epochs", "step", "steps", "loss")}
            self.emit("training", run=run.name, seconds_left=progress.seconds_left, **content)

        path = self.folder.runs / run.name
        remove_leftovers(path)
        metrics = {"d3d": total_distance, "missed": missed_laminae, "false": false_laminae}
        training, validation = self.cases("training"), self.cases("validation")
        result = train(training, validation, path, options, metrics=metrics, resume=True, progress=report)
        return options, result

    def _score(self, run: Run, options: TrainingOptions, result: TrainingResult, choice: str) -> dict:
        from .metrics import score_segmentation

        weights, epoch, value = chosen(result, choice)
        started = time.monotonic()
        masks, cases = [], []
        for case, probability in zip(self.cases("test"), self._predict(weights, options)):
            cases.append(score_segmentation(probability, case).as_dict())
            masks.append(np.packbits(probability >= 0.5))
            self.emit("scored", run=run.name, case=case.name)
        path = self.folder.runs / run.name / MASKS.format(choice)
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, masks=np.stack(masks))
        return {
            "epoch": epoch,
            "value": value,
            "weights": weights.name,
            "prediction_seconds": round((time.monotonic() - started) / len(cases), 3),
            "cases": cases,
        }

    def _predict(self, weights: Path, options: TrainingOptions) -> Iterator[np.ndarray]:
        """Yield the probability map of each test scan."""
        import keras

        from .acceleration import accelerate
        from .training import load_trained

        keras.backend.clear_session()
        model = accelerate(load_trained(weights, options, self.settings.grid))
        for case in self.cases("test"):
            grid = np.asarray(case.grid, np.float32)[None, ..., None]
            yield np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(grid)))[0, ..., 0]


def chosen(result: TrainingResult, choice: str) -> tuple[Path, int, float]:
    """Return the weights, the epoch and the value of what chose it."""
    if choice == BY_LOSS:
        return result.weights, result.best_epoch, result.best_value
    best = result.others[BY_D3D]
    return best.weights, best.epoch, best.value


def load_mask(folder: Folder, run: Run, choice: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Read the thresholded map of one test scan."""
    with np.load(folder.runs / run.name / MASKS.format(choice), allow_pickle=False) as archive:
        packed = archive["masks"][number]
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `atomic_path` that a killed process left in a run's folder."""
    for file in path.glob(".????????????-*"):
        file.unlink(missing_ok=True)


def jobs_of(stream: IO[str], on_stop: Callable[[str], None] = lambda run: None) -> Iterator[dict]:
    """Yield the jobs that come in; end the process when the stream ends during one of them.

    Parameters
    ----------
    stream : text stream
    on_stop : callable
        Told, from another thread, the name of a run that is to end in order.
    """
    lines: queue.Queue[dict | None] = queue.Queue()
    busy = threading.Event()

    def listen() -> None:
        for line in stream:
            content = json.loads(line)
            if "stop" in content:
                on_stop(content["stop"])
            else:
                lines.put(content)
        if busy.is_set():
            os._exit(3)
        lines.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (job := lines.get()) is not None:
        busy.set()
        yield job
        busy.clear()


def event_stream() -> Emit:
    """Prepare the process, and return what writes events to the standard output; all else goes to the log."""
    # Ctrl-C reaches every process of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Keras and the backends print what they like, so events get the standard output and all else the log.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def emit(event: str, **content: Any) -> None:
        events.write(json.dumps({"event": event, **content}) + "\n")
        events.flush()

    return emit


def main() -> int:
    """Do jobs until there are no more."""
    emit, worker = event_stream(), None
    for job in jobs_of(sys.stdin):
        run = Run(job["loss"], job["seed"])
        try:
            worker = worker or Worker(Folder(Path(sys.argv[1])), job["backend"], emit)
            if job["job"] == "train":
                worker.train(run, job["choices"])
                emit("finished", run=run.name)
            else:
                from .experiment_publish import publish

                emit("published", folder=str(publish(worker, run, job["choice"], job["name"])))
        except LaminaError as error:
            emit("error", run=run.name, text=str(error), user=True)
        except Exception as error:
            logger.exception("%s failed", run.name)
            emit("error", run=run.name, text=f"{type(error).__name__}: {error}", user=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
