"""The processes that train the networks of an experiment or a search, seen from the command that started them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .experiment import Folder

_SECONDS_TO_END = 20.0


class TrainingFailed(Exception):
    """A training ended by an error; the text is a sentence for the user."""


class Pool:
    """Worker processes on one experiment, ended with the block whatever happens in it.

    Parameters
    ----------
    folder : Folder
    count : int
        How many work at once.
    module : str
        What runs in them, a module of this library that takes and tells what `experiment_worker` does.
    threads : int, optional
        Of each process; when left out, several processes share the cores.
    log : str
        Beginning of the names of their logs.
    tolerant : bool
        Whether the others go on when a job fails: `run` then yields an event ``failed`` with a ``text``.
    """

    def __init__(
        self,
        folder: Folder,
        count: int,
        module: str = "experiment_worker",
        *,
        threads: int | None = None,
        log: str = "worker",
        tolerant: bool = False,
    ) -> None:
        self.folder, self.count, self.module = folder, count, module
        self.completed = False
        self._threads, self._log_name, self._tolerant = threads, log, tolerant
        self._workers: list[subprocess.Popen] = []
        self._events: queue.Queue[tuple[subprocess.Popen, dict | None]] = queue.Queue()
        self._busy: dict[int, str] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, in the middle of what they do."""
        for worker in self._workers:
            # Its input ends, and a worker with a job in hand ends at once: see `experiment_worker`.
            with contextlib.suppress(OSError):
                worker.stdin.close()
        for worker in self._workers:
            try:
                worker.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            worker.stdout.close()

    def run(
        self,
        jobs: Iterable[Mapping[str, Any]],
        deadline: float | None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Iterator[dict]:
        """Do the jobs and yield what the workers tell, until all are done or the time is up.

        The processes stay for the next call, until `close`.

        Parameters
        ----------
        jobs : iterable of mapping
            See `experiment_worker.main`. The next one is taken when a worker is free.
        deadline : float or None
            On `time.monotonic`'s clock. Jobs in hand are dropped then.
        given_up : callable
            Asked twice a second; jobs in hand are dropped when it returns true.

        Raises
        ------
        TrainingFailed
            If a worker reports an error or ends before its job is done, and the pool is not tolerant.
        """
        waiting, self.completed = iter(jobs), False
        self._busy.clear()
        for index in range(self.count):
            self._give(index, waiting)
        while self._busy:
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or given_up():
                return
            try:
                # Not for ever: on Windows a blocking wait would not see Ctrl-C.
                worker, event = self._events.get(timeout=0.5 if left is None else min(left, 0.5))
            except queue.Empty:
                continue
            index = next((number for number, each in enumerate(self._workers) if each is worker), None)
            if index not in self._busy:
                continue
            if event is None or event["event"] == "error":
                text = self._end_of(index) if event is None else self._error(index, event)
                if not self._tolerant:
                    raise TrainingFailed(text)
                event = {"event": "failed", "run": self._busy[index], "text": text}
            yield event
            if event["event"] in ("finished", "published", "failed"):
                del self._busy[index]
                self._give(index, waiting)
        self.completed = True

    def stop(self, run: str | None = None) -> None:
        """Let a training, or all of them, end in order after the step at hand; for workers that know the word."""
        for index, name in list(self._busy.items()):
            if run in (None, name):
                self._send(index, {"stop": name})

    def places(self) -> int:
        """Return how many jobs are done at once."""
        return self.count

    def _start(self, index: int) -> None:
        environment = dict(os.environ)
        # The child finds this library and its dependencies where this process did, installed or not.
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in sys.path if path))
        if self._threads is not None:
            # A worker of Dask has been told to use one thread only, which is meant for its own tasks.
            environment["OMP_NUM_THREADS"] = str(self._threads)
        if self.count > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // self.count, 1)))
            # JAX would take most of a GPU's memory for the first process.
            environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"LaminaSegmentationLib.{self.module}", str(self.folder.path.resolve())]
        with open(self._log(index), "ab") as log:
            worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env=environment,
            )
        if index < len(self._workers):
            self._workers[index].stdout.close()  # of one that has ended
            self._workers[index] = worker
        else:
            self._workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()

    def _listen(self, worker: subprocess.Popen) -> None:
        with contextlib.suppress(ValueError):  # the pipe was closed at the end of the block
            for line in worker.stdout:
                self._events.put((worker, json.loads(line)))
        self._events.put((worker, None))

    def _give(self, index: int, waiting: Iterator[Mapping[str, Any]]) -> None:
        if (job := next(waiting, None)) is None:
            return
        if index >= len(self._workers) or self._workers[index].poll() is not None:
            self._start(index)
        self._busy[index] = job.get("run") or f"{job['loss']}-{job['seed']}"
        self._send(index, job)

    def _send(self, index: int, content: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it died: its end is told by `_listen`
            self._workers[index].stdin.write(json.dumps(content) + "\n")
            self._workers[index].stdin.flush()

    def _log(self, index: int):
        return self.folder.logs / f"{self._log_name}-{index + 1}.log"

    def _error(self, index: int, event: Mapping[str, Any]) -> str:
        if event["user"]:
            return f"The training {event['run']} failed: {event['text']}"
        return (
            f"The training {event['run']} failed unexpectedly ({event['text']}); the details are in "
            f"'{self._log(index)}'."
        )

    def _end_of(self, index: int) -> str:
        run = self._busy[index]
        code = self._workers[index].wait()
        return (
            f"The process of the training {run} ended unexpectedly (code {code}; -9 is often too little memory); "
            f"its log is '{self._log(index)}'."
        )
