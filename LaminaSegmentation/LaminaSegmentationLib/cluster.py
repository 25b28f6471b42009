"""A Dask cluster as a command uses it: a running one, or one of the command's own on this computer.

Each worker process does one task at a time, and the command hands out no more tasks than there are workers. So a task
that waits costs nothing, and what a command leaves behind when it ends is little. Dask gives the task of a worker that
is lost to another one; an answer counts once.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from LaminaLabelingLib.errors import LaminaError

from . import __version__
from .cluster_worker import ANSWER, EVENT, FAILED, UNSUITABLE, close_all, stop, unsuitable
from .console import Console
from .parallel import usable_cores
from .scheduler_address import SchedulerAddress, chosen_resource, places, require_dask

SECONDS_TO_CONNECT = 8
_SECONDS_BEFORE_A_WORD = 10.0
_SECONDS_TO_END = 5
_LOST = "The connection to the scheduler was lost: what is finished is kept."


class Cluster:
    """Workers that do tasks, released with the block.

    Parameters
    ----------
    address : SchedulerAddress
    console : Console
        Told what the user should know while it lasts.
    shared : Path
        A folder that exists; all workers must see it and write into it.
    sees : iterable of Path
        What the workers read.
    gains : bool
        Whether tasks gain from a GPU, see `scheduler_address.chosen_resource`.
    resource : mapping or None
        As `scheduler_address.parse_resource` returns it.
    verbose : bool
        Whether Dask's own messages are shown.

    Attributes
    ----------
    completed : bool
        Whether `run` has come to the end of its jobs.
    """

    def __init__(
        self,
        address: SchedulerAddress,
        console: Console,
        shared: Path,
        sees: Iterable[Path] = (),
        gains: bool = False,
        resource: Mapping[str, float] | None = None,
        verbose: bool = False,
    ) -> None:
        require_dask()
        self.address, self.console, self.verbose = address, console, verbose
        self.completed = False
        token = secrets.token_hex(6)
        self._topic = f"lamina-{token}"
        self._common = {
            "software": __version__,
            "shared": str(shared.absolute()),
            "sees": [str(path.absolute()) for path in sees],
            "topic": self._topic,
        }
        self._gains, self._asked = gains, resource
        self._asks: dict[str, float] = {}
        self._events: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self._futures: dict[str, Any] = {}
        self._resources: list[dict[str, float]] = []
        self._asked_at = -1.0
        self._numbers = 0
        self._without_workers: float | None = None
        self._cluster: Any = None
        self._client: Any = None

    def __enter__(self) -> Cluster:
        try:
            self._connect()
            self._wait_for_workers()
            self._check_workers()
            self._asks = chosen_resource(self._asked, self._gains, self._offered())
            if self._asks and not places(self._asks, self._offered()):
                wanted = ",".join(f"{name}={amount:g}" for name, amount in self._asks.items())
                raise LaminaError(
                    f"No worker offers {wanted}: start workers with dask worker ... --resources {wanted}, or leave out "
                    "--resource."
                )
            self._client.subscribe_topic(self._topic, self._hear)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is still at work, and end a cluster of our own."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.unsubscribe_topic(self._topic)
            with contextlib.suppress(Exception):
                self._client.cancel(list(self._futures.values()), force=True)
            if self._cluster is None:
                with contextlib.suppress(Exception):
                    self._client.run(close_all, wait=False, on_error="ignore")
            with contextlib.suppress(Exception):
                self._client.close(timeout=_SECONDS_TO_END)
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close(timeout=_SECONDS_TO_END)
        self._client = self._cluster = None

    # Connecting

    def _connect(self) -> None:
        import dask

        # A task that ends its worker three times, mostly for lack of memory, would end the next one, too.
        dask.config.set({"distributed.scheduler.allowed-failures": 2, "distributed.comm.retry.count": 2})
        threads = max(usable_cores() // max(self.address.processes, 1), 1)
        import distributed

        # Dask's own are one thread, and giving memory back at once, which makes each large array cost page faults.
        dask.config.set({"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": str(threads)}})

        logging.getLogger("distributed").setLevel(logging.INFO if self.verbose else logging.CRITICAL)
        address = self.address
        try:
            if address.processes:
                self._cluster = distributed.LocalCluster(
                    n_workers=address.processes,
                    threads_per_worker=threads,
                    dashboard_address=None,
                    preload=["LaminaSegmentationLib.cluster_worker"],
                    memory_limit=0,  # as without a cluster: what is too much, the system ends
                    silence_logs=logging.INFO if self.verbose else logging.CRITICAL,
                    security=True if importlib.util.find_spec("cryptography") else None,
                )
                self._client = distributed.Client(self._cluster, set_as_default=False)
            elif address.file:
                self._client = distributed.Client(
                    scheduler_file=str(address.file), timeout=SECONDS_TO_CONNECT, set_as_default=False
                )
            else:
                self._client = distributed.Client(address.address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except RuntimeError as error:
            raise LaminaError(f"The processes of {address} could not be started: {error}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:  # TimeoutError is an OSError
            raise LaminaError(
                f"The scheduler at {address} cannot be reached: is it running, and is the way to it open? "
                "Start one with: dask scheduler"
            ) from error

    def _wait_for_workers(self) -> None:
        begun, said = time.monotonic(), False
        while not self._offered():
            if not said and time.monotonic() - begun > _SECONDS_BEFORE_A_WORD:
                said = True
                self._say_that_none_is_there()
            self._require_connection()
            time.sleep(0.1)

    def _say_that_none_is_there(self) -> None:
        self.console.warning(
            f"No worker is connected to the scheduler at {self.address}: waiting for one. Start one with dask worker, "
            "or press Ctrl-C."
        )

    def _check_workers(self) -> None:
        """Ask each worker whether it can do our tasks."""
        # Sent as code, not by name: a worker without the package could not say that it is missing.
        answers = self._client.run(_software_probe())
        for worker, software in sorted(answers.items()):
            if software is None:
                raise LaminaError(
                    f"The worker at {worker} has no LaminaUltrasound: install lamina-ultrasound {__version__} where "
                    "the workers run."
                )
            if software != __version__:
                raise LaminaError(
                    f"The worker at {worker} has LaminaUltrasound {software}, the command {__version__}: install the "
                    "same version on both."
                )
        for worker, why in sorted(self._client.run(unsuitable, self._common).items()):
            if why:
                raise self._unsuitable(worker, why)

    @staticmethod
    def _unsuitable(worker: str, why: str) -> LaminaError:
        return LaminaError(f"The worker at {worker} {why}")

    # Working

    def places(self) -> int:
        """Return how many tasks are done at once now."""
        return places(self._asks, self._offered())

    def _offered(self) -> list[dict[str, float]]:
        """Return the resources of each worker, asked for once a second."""
        if time.monotonic() - self._asked_at > 1.0:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._resources = [worker.get("resources") or {} for worker in workers.values()]
            self._asked_at = time.monotonic()
        return self._resources

    def run(
        self, function: Callable[..., dict], jobs: Iterable[tuple[str, Mapping]], deadline: float | None = None
    ) -> Iterator[tuple[str, str, dict]]:
        """Do jobs, and yield what becomes of them, until all are done or the time is up.

        Parameters
        ----------
        function : callable
            Of `cluster_worker`.
        jobs : iterable of (str, mapping)
            Name of the task and what the function is given. The next one is taken when a worker is free.
        deadline : float or None
            On `time.monotonic`'s clock. Tasks in hand are given up then.

        Yields
        ------
        kind, task, content : str, str, dict
            ``event`` with news of a task; at its end ``answer``, or ``failed`` with ``text`` and perhaps ``seconds``.

        Raises
        ------
        LaminaError
            If the scheduler is lost, or a worker that came later cannot do our tasks.
        """
        jobs, left = iter(jobs), True
        self.completed = False
        while True:
            while left and len(self._futures) < self.places():
                if (following := next(jobs, None)) is None:
                    left = False
                else:
                    self._submit(function, *following)
            if not left and not self._futures:
                self.completed = True
                return
            if deadline is not None and time.monotonic() >= deadline:
                return
            try:
                # Not for ever: on Windows a blocking wait would not see Ctrl-C.
                kind, task, content = self._events.get(timeout=0.25)
            except queue.Empty:
                self._watch()
                continue
            if task not in self._futures:
                continue  # late news of a task that is finished
            yield (kind, task, content) if kind == EVENT else self._end_of(task)

    def stop(self, task: str) -> None:
        """Let a training end in order."""
        with contextlib.suppress(Exception):
            self._client.run(stop, task, on_error="ignore")

    def _submit(self, function: Callable[..., dict], task: str, job: Mapping[str, Any]) -> None:
        self._numbers += 1
        future = self._client.submit(
            function,
            task,
            {**self._common, **job},
            # Nothing about a scan: keys are shown to everybody who looks at the scheduler.
            key=f"{self._topic}-{self._numbers}",
            pure=False,
            resources=self._asks or None,
        )
        self._futures[task] = future
        future.add_done_callback(lambda _: self._events.put(("ended", task, {})))

    def _hear(self, event: Any) -> None:
        content = dict(event[1] if isinstance(event, tuple) else event)
        if "task" in content:
            self._events.put((EVENT, content.pop("task"), content))

    def _end_of(self, task: str) -> tuple[str, str, dict]:
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        future = self._futures.pop(task)
        try:
            answer = future.result(timeout=SECONDS_TO_CONNECT)
        except KilledWorker:
            text = (
                "It has ended its worker several times; mostly the system does so because memory is full: use fewer "
                "workers a computer."
            )
            return FAILED, task, {"text": text}
        except CancelledError as error:
            raise LaminaError(_LOST) from error
        except ModuleNotFoundError as error:
            raise LaminaError(
                f"A worker has no {error.name or 'LaminaUltrasound'}: install lamina-ultrasound {__version__} where "
                "the workers run."
            ) from error
        finally:
            future.release()
        if UNSUITABLE in answer:
            raise self._unsuitable(answer.get("worker", self.address), answer[UNSUITABLE])
        if FAILED in answer:
            return FAILED, task, {"text": answer[FAILED], "seconds": answer.get("seconds")}
        return ANSWER, task, answer[ANSWER]

    def _watch(self) -> None:
        """Tell when nobody is there to work."""
        self._require_connection()
        if self.places():
            self._without_workers = None
        elif self._without_workers is None:
            self._without_workers = time.monotonic()
        elif 0 < self._without_workers < time.monotonic() - _SECONDS_BEFORE_A_WORD:
            self._without_workers = 0.0
            self._say_that_none_is_there()

    def _require_connection(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise LaminaError(_LOST)


def _software_probe() -> Callable[[], str | None]:
    """Return a function that finds out the version of the package where it runs, if it is there."""

    def probe() -> str | None:
        try:
            import LaminaSegmentationLib
        except ImportError:
            return None
        return LaminaSegmentationLib.__version__

    return probe
