"""Trainings on the workers of a Dask cluster, in the way of a pool of processes on this computer."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from LaminaLabelingLib.errors import LaminaError

from .cluster import Cluster
from .cluster_worker import ANSWER, EVENT, train
from .console import Console
from .experiment import Folder
from .experiment_pool import Pool, TrainingFailed
from .scheduler_address import parse_resource, parse_scheduler, require_dask

_MARKER = ".shared-"


def check_scheduler(arguments: argparse.Namespace) -> None:
    """Raise LaminaError for what is wrong with ``--scheduler`` and ``--resource``, before anything slow begins."""
    parse_resource(arguments.resource)
    if not arguments.scheduler:
        return
    parse_scheduler(arguments.scheduler)
    require_dask()
    if arguments.jobs != 1:
        raise LaminaError(
            "--jobs is for this computer alone; with --scheduler each worker does one training at a time."
        )


def pool_of(
    arguments: argparse.Namespace,
    folder: Folder,
    count: int,
    console: Console,
    module: str = "experiment_worker",
    tolerant: bool = False,
) -> Pool | ClusterPool:
    """Return what does the trainings of a command: workers of ``--scheduler``, else processes of this computer."""
    if not arguments.scheduler:
        return Pool(folder, count, module, tolerant=tolerant)
    return ClusterPool(arguments, folder, console, module, tolerant)


class ClusterPool:
    """Does trainings on the workers of a cluster, with the methods of `experiment_pool.Pool`.

    Each worker trains in a child process of its own, which is kept for its next training.
    """

    def __init__(
        self, arguments: argparse.Namespace, folder: Folder, console: Console, module: str, tolerant: bool
    ) -> None:
        self.folder, self.module = folder, module
        self._arguments, self._console, self._tolerant = arguments, console, tolerant
        self._stack = ExitStack()
        self._cluster: Cluster | None = None

    def __enter__(self) -> ClusterPool:
        with ExitStack() as stack:
            # A folder that no other experiment has: who sees it sees this one. A kill leaves it, empty.
            for left in self.folder.path.glob(f"{_MARKER}*"):
                left.rmdir()
            shared = self.folder.path / f"{_MARKER}{secrets.token_hex(6)}"
            shared.mkdir()
            stack.callback(shared.rmdir)
            self._cluster = stack.enter_context(
                Cluster(
                    parse_scheduler(self._arguments.scheduler),
                    self._console,
                    shared,
                    gains=True,
                    resource=parse_resource(self._arguments.resource),
                    verbose=self._arguments.verbose,
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def completed(self) -> bool:
        """Whether all jobs are done."""
        return self._cluster.completed

    def places(self) -> int:
        """Return how many jobs are done at once now."""
        return self._cluster.places()

    def run(self, jobs: Iterable[Mapping[str, Any]], deadline: float | None) -> Iterator[dict]:
        """Do the jobs and yield what the workers tell, as `experiment_pool.Pool.run` does."""
        last = ("finished", "published", "failed")
        for kind, task, content in self._cluster.run(train, self._tasks(jobs), deadline):
            if kind == EVENT:
                # The end of a task is told by its answer, which comes once, whatever becomes of its worker.
                if content["event"] not in last:
                    yield content
            elif kind == ANSWER:
                yield content
            elif self._tolerant:
                yield {"event": "failed", "run": task, "text": content["text"]}
            else:
                raise TrainingFailed(content["text"])

    def stop(self, run: str) -> None:
        """Let a training end in order after the step at hand."""
        self._cluster.stop(run)

    def _tasks(self, jobs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, dict]]:
        common = {"folder": str(Path(self.folder.path).absolute()), "module": self.module}
        for job in jobs:
            name = job.get("run") or f"{job['loss']}-{job['seed']}"
            yield name, {**common, "work": {**job, "run": name}}
