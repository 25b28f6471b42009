"""The processes that train an experiment's networks, seen from the command that started them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
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
    """

    def __init__(self, folder: Folder, count: int) -> None:
        self.folder, self.count = folder, count
        self.completed = False
        self._workers: list[subprocess.Popen] = []
        self._events: queue.Queue[tuple[int, dict | None]] = queue.Queue()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
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

    def run(self, jobs: Sequence[Mapping[str, Any]], deadline: float | None) -> Iterator[dict]:
        """Do the jobs and yield what the workers tell, until all are done or the time is up.

        Parameters
        ----------
        jobs : sequence of mapping
            See `experiment_worker.main`.
        deadline : float or None
            On `time.monotonic`'s clock. Jobs in hand are dropped then.

        Raises
        ------
        TrainingFailed
            If a worker reports an error or ends before its job is done.
        """
        waiting, busy = list(jobs), {}
        for index in range(self.count):
            self._start(index)
            self._give(index, waiting, busy)
        while busy:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            try:
                # Not for ever: on Windows a blocking wait would not see Ctrl-C.
                index, event = self._events.get(timeout=0.5 if left is None else min(left, 0.5))
            except queue.Empty:
                continue
            if event is None:
                if index in busy:
                    raise TrainingFailed(self._end_of(index, busy[index]))
                continue
            if event["event"] == "error":
                raise TrainingFailed(self._error(index, event))
            yield event
            if event["event"] in ("finished", "published"):
                del busy[index]
                self._give(index, waiting, busy)
        self.completed = True

    def _start(self, index: int) -> None:
        environment = dict(os.environ)
        # The child finds this library and its dependencies where this process did, installed or not.
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in sys.path if path))
        if self.count > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // self.count, 1)))
            # JAX would take most of a GPU's memory for the first process.
            environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "LaminaSegmentationLib.experiment_worker", str(self.folder.path.resolve())]
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
        self._workers.append(worker)
        threading.Thread(target=self._listen, args=(index, worker), daemon=True).start()

    def _listen(self, index: int, worker: subprocess.Popen) -> None:
        with contextlib.suppress(ValueError):  # the pipe was closed at the end of the block
            for line in worker.stdout:
                self._events.put((index, json.loads(line)))
        self._events.put((index, None))

    def _give(self, index: int, waiting: list, busy: dict) -> None:
        if not waiting:
            return
        job = waiting.pop(0)
        busy[index] = f"{job['loss']}-{job['seed']}"
        with contextlib.suppress(OSError):  # it died: its end is told by `_listen`
            self._workers[index].stdin.write(json.dumps(job) + "\n")
            self._workers[index].stdin.flush()

    def _log(self, index: int):
        return self.folder.logs / f"worker-{index + 1}.log"

    def _error(self, index: int, event: Mapping[str, Any]) -> str:
        if event["user"]:
            return f"The training {event['run']} failed: {event['text']}"
        return (
            f"The training {event['run']} failed unexpectedly ({event['text']}); the details are in "
            f"'{self._log(index)}'."
        )

    def _end_of(self, index: int, run: str) -> str:
        code = self._workers[index].wait()
        return (
            f"The process of the training {run} ended unexpectedly (code {code}; -9 is often too little memory); "
            f"its log is '{self._log(index)}'."
        )
