"""What runs in the workers of a Dask cluster: one scan or one training a task, models and engines kept between tasks.

A task never raises for what is wrong with its scan or training: it returns an answer. Dask would write the arguments of
a task that raises, with the paths of scans, into the worker's log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .progress import Progress

EVENT, ANSWER, UNSUITABLE, FAILED = "event", "answer", "unsuitable", "failed"
"""Keys of what a task returns or tells: news, what came out, why this worker cannot work, why this task failed."""

_SECONDS_KEPT = 60.0
"""How long the process of a training is kept for the next one."""

_one_at_a_time = threading.Lock()
"""A network uses all threads of its worker, and some engines bear one caller only."""

_engines: dict[tuple, Any] = {}
_pools: dict[tuple, _KeptPool] = {}
_running: dict[str, _KeptPool] = {}


def dask_setup(worker: Any) -> None:
    """Prepare a process of a local cluster, which shares terminal and output with its command: a preload of Dask."""
    # Ctrl-C reaches every process of a terminal; the command alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not come between the events of the command.
    os.dup2(2, 1)
    # What asks for the number of cores (NumPy, OpenVINO, the preprocessing) must see this process's share of them.
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores_of(int(worker.name), worker.state.nthreads, sorted(os.sched_getaffinity(0))))


def cores_of(number: int, share: int, cores: Sequence[int]) -> list[int]:
    """Return the cores of one of several processes, each with its share; they overlap only if there are too few."""
    first = number * share % len(cores)
    return [cores[(first + step) % len(cores)] for step in range(min(share, len(cores)))]


def unsuitable(job: Mapping[str, Any]) -> str:
    """Return in a sentence why this worker cannot do the tasks of a command; empty if it can.

    Parameters
    ----------
    job : mapping
        ``software``: the version of the command; ``shared``: a folder that it has made and that both must see;
        ``sees``: files and folders that it reads.
    """
    if job["software"] != __version__:
        return f"has LaminaUltrasound {__version__}, the command {job['software']}: install the same version on both."
    seen = all(Path(path).exists() for path in job.get("sees", ()))
    if not seen or not Path(job["shared"]).is_dir():
        what = "results" if seen else "scans"
        return f"cannot see the folder of the {what}: it must be on a file system that all computers share."
    if not os.access(job["shared"], os.W_OK):
        return "may not write into the folder of the results: check its permissions."
    return ""


def threads_here() -> int:
    """Return how many threads this worker was given, such as by ``dask worker --nthreads``."""
    return max(int(_worker().state.nthreads), 1)


def segment_scan(task: str, job: Mapping[str, Any]) -> dict:
    """Find the laminae of one scan and write them into a folder of its own; the command moves it into place.

    Parameters
    ----------
    task : str
    job : mapping
        See `batch_cluster`.

    Returns
    -------
    dict
        ``answer``: ``staged``, the name of the folder, ``summary`` and ``engine``; else ``failed`` or ``unsuitable``.
    """
    from .batch_scans import Scan

    with _one_at_a_time:
        if why := unsuitable(job):
            return {UNSUITABLE: why}
        scan = Scan(Path(job["scan"]), job["name"], tuple(job["rivals"]))
        if not scan.path.exists():
            return (
                {UNSUITABLE: unsuitable({**job, "sees": [job["scan"]]})}
                if not scan.path.parent.is_dir()
                else {FAILED: f'There is no file "{scan.path.name}" any more.'}
            )
        started = time.monotonic()
        try:
            answer = _segment(task, scan, job)
        except Exception as problem:
            from .batch_command import reason_of

            return {FAILED: reason_of(problem), "seconds": round(time.monotonic() - started, 1)}
        return answer


def _segment(task: str, scan: Any, job: Mapping[str, Any]) -> dict:
    import gc

    from .batch_command import Manner, segment_into
    from .batch_scans import staged_folder

    tell(job, task, state="running")
    model, engine = _engine(job)
    manner = Manner(model, job["axes"], job["steps"], job["crop_segmentation"], job["precision"])
    if manner.treatment("")["weights"] != job["weights"]:
        return {UNSUITABLE: f"has another model '{model.name}' than the command: install the same version on both."}
    staged = []

    def room() -> Any:
        return staged_folder(Path(job["shared"]), staged)

    summary = segment_into(room, scan, manner, engine, _Told(task, job))
    gc.collect()  # a scan is large, and what holds it may hold itself
    return {ANSWER: {"staged": staged[0].name, "summary": summary, "engine": engine.description}}


def _engine(job: Mapping[str, Any]) -> tuple:
    """Return the model and the engine of a job, loaded once in this process."""
    from .engines import create_engine
    from .models import load_model

    wanted = (job["model"], job["engine"], job["threads"] or threads_here(), job["low_memory"], job["precision"])
    if wanted not in _engines:
        _engines.clear()
        model = load_model(job["model"])
        _engines[wanted] = (model, create_engine(model, *wanted[1:]))
    return _engines[wanted]


class _Told(Progress):
    """Tells the command how far a scan is, at most four times a second."""

    def __init__(self, task: str, job: Mapping[str, Any]) -> None:
        self._task, self._job = task, job
        self._stage, self._told = "", 0.0

    def stage(self, name: str) -> None:
        self._stage = name
        self._tell(0.0)

    def fraction(self, share: float) -> None:
        self._tell(share)

    def _tell(self, share: float) -> None:
        if time.monotonic() - self._told > 0.25:
            self._told = time.monotonic()
            tell(self._job, self._task, stage=self._stage, share=round(float(share), 4))


# Trainings


class _KeptPool:
    """The process that trains, kept for the next task; one that has waited too long is ended."""

    def __init__(self, key: tuple, pool: Any) -> None:
        self.key, self.pool = key, pool
        self.timer: threading.Timer | None = None

    def wait_for_more(self) -> None:
        self.timer = threading.Timer(_SECONDS_KEPT, self.close)
        self.timer.daemon = True
        self.timer.start()

    def take(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def close(self) -> None:
        self.take()
        if _pools.get(self.key) is self:
            del _pools[self.key]
        self.pool.close()


def train(task: str, job: Mapping[str, Any]) -> dict:
    """Do one training in a child process of this worker, and pass on what it tells.

    The child ends with this worker, and as soon as the command gives the task up or has gone: in the middle of an
    epoch, since every whole one is kept.

    Parameters
    ----------
    task : str
    job : mapping
        ``folder`` of the experiment or search, ``module`` of the child, ``work``: what the child is given.
    """
    with _one_at_a_time:
        if why := unsuitable(job):
            return {UNSUITABLE: why}
        return _train(task, job)


def _train(task: str, job: Mapping[str, Any]) -> dict:
    from .experiment import Folder
    from .experiment_pool import Pool, TrainingFailed

    key = (job["folder"], job["module"], job["work"]["backend"])
    kept = _pools.pop(key, None)
    if kept is None:
        for other in list(_pools.values()):
            other.close()
        name = f"{task}-{os.getpid()}"
        kept = _KeptPool(key, Pool(Folder(Path(job["folder"])), 1, job["module"], threads=threads_here(), log=name))
    kept.take()
    _running[task] = kept
    last: dict = {}
    try:
        for event in kept.pool.run([job["work"]], None, given_up=_given_up()):
            tell(job, task, **event)
            last = event
    except TrainingFailed as failed:
        kept.close()
        return {FAILED: str(failed)}
    finally:
        _running.pop(task, None)
    if not kept.pool.completed:
        kept.close()
        return {FAILED: "The training was given up."}
    _pools[key] = kept
    kept.wait_for_more()
    return {ANSWER: last}


def stop(task: str) -> None:
    """Let a training end in order after the step at hand, if it runs in this process."""
    if (kept := _running.get(task)) is not None:
        kept.pool.stop()


def close_all() -> None:
    """End what is kept for further tasks; what is at work ends by itself when its task is given up."""
    for kept in list(_pools.values()):
        kept.close()
    _engines.clear()


def _given_up() -> Any:
    """Return a function that says whether the scheduler still wants the task of this thread."""
    worker = _worker()
    key = worker.get_current_task()

    def given_up() -> bool:
        state = worker.state.tasks.get(key)
        return state is None or state.state not in ("executing", "long-running")

    return given_up


# Telling


def tell(job: Mapping[str, Any], task: str, **content: Any) -> None:
    """Tell the command that has given a task something about it."""
    # News are for the bar; a worker that loses its scheduler has more to worry about.
    with contextlib.suppress(Exception):
        _worker().log_event(job["topic"], {"task": task, **content})


def _worker() -> Any:
    from distributed import get_worker

    return get_worker()
