"""``lamina segment FOLDER --scheduler``: the scans of a folder on the workers of a Dask cluster.

Workers write into folders of their own in one hidden folder of this run; this process alone moves them into place and
writes the files about all scans. So a scan that two workers have done has one result, whichever comes first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from LaminaLabelingLib.errors import LaminaError

from .batch_command import Batch
from .batch_report import DONE, RUNNING, WAITING, Row
from .batch_scans import Scan, put_in_place, staging_room
from .cluster import Cluster
from .cluster_worker import ANSWER, EVENT, segment_scan
from .console import Console
from .scheduler_address import parse_resource, parse_scheduler
from .worker import overall_fraction

if TYPE_CHECKING:
    from .models import ModelBundle


class ClusterBatch(Batch):
    """One run through the scans of a folder, several at once."""

    def __init__(
        self,
        scans: Sequence[Scan],
        output: Path,
        model: ModelBundle,
        arguments: argparse.Namespace,
        console: Console,
    ) -> None:
        super().__init__(scans, output, model, None, arguments, console)
        self._address = parse_scheduler(arguments.scheduler)
        self._resource = parse_resource(arguments.resource)
        self._arguments = arguments
        self._engines: set[str] = set()
        self._shares: dict[int, float] = {}
        self._furthest = 0.0

    def run(self) -> None:
        """Do all scans that are not done yet."""
        # Nothing is written before the scheduler is reached: the same command can be given again.
        with (
            staging_room(self._output) as room,
            Cluster(
                self._address,
                self._console,
                room,
                [self._scans[0].path.parent],
                gains=self._arguments.engine != "openvino",
                resource=self._resource,
                verbose=self._arguments.verbose,
            ) as cluster,
        ):
            self._room, self._cluster = room, cluster
            super().run()

    def _do_all(self, indices: Sequence[int]) -> None:
        for kind, task, content in self._cluster.run(segment_scan, self._jobs(indices)):
            index = int(task)
            if kind == EVENT:
                self._news(index, content)
                continue
            self._shares.pop(index, None)
            if self.rows[index].state == WAITING:  # its news may have been lost
                self._begin(index)
            if kind == ANSWER:
                self._take(index, content)
            else:
                self._fail(index, content["text"], content.get("seconds"))
            self._tell(index)
            # A worker's last news may have been kept back.
            self.report(index, 1.0)
            self._write()

    def _jobs(self, indices: Sequence[int]) -> Iterator[tuple[str, dict]]:
        arguments, model = self._arguments, Path(self._arguments.model)
        common = {
            # The folder of a model is named as this process sees it; one that is shipped, each worker has.
            "model": str(model.absolute()) if model.is_dir() else arguments.model,
            "weights": self._manner.treatment("")["weights"],
            "engine": arguments.engine,
            "threads": arguments.threads,
            "low_memory": arguments.low_memory,
            "precision": arguments.precision,
            "axes": arguments.axes,
            "steps": arguments.steps,
            "crop_segmentation": arguments.crop_segmentation,
        }
        for index in indices:
            scan = self._scans[index]
            yield str(index), {**common, "scan": str(scan.path), "name": scan.name, "rivals": list(scan.rivals)}

    def _take(self, index: int, answer: dict) -> None:
        """Move a result into place."""
        scan = self._scans[index]
        try:
            self._keep_edited(scan)
            put_in_place(self._room / answer["staged"], self._output / scan.name)
        except (LaminaError, OSError) as problem:
            self._fail(index, str(problem), None)
            return
        self._engines.add(answer["engine"])
        self.rows[index] = Row.of_summary(scan.path.name, DONE, scan.name, answer["summary"])
        self._seconds.append(self.rows[index].seconds or 0.0)

    def _news(self, index: int, content: dict) -> None:
        if "state" in content:
            if self.rows[index].state != RUNNING:
                self._begin(index)
            return
        self._shares[index] = overall_fraction(content["stage"], content["share"])
        if not self._console.machine:
            self._console.stage(content["stage"])
        self.report(index, 0.0)

    def report(self, index: int, fraction: float) -> None:
        """Tell how far the whole run is; it never goes back, also when a worker is lost in the middle of a scan."""
        finished = sum(row.state not in (RUNNING, WAITING) for row in self.rows)
        done = finished + sum(self._shares.values())
        self._furthest = max(self._furthest, done / len(self.rows))
        left = None
        if self._seconds:
            each = sum(self._seconds) / len(self._seconds)
            left = round(max(each * (len(self.rows) - done) / max(self._cluster.places(), 1), 0.0), 1)
        self._console.emit(
            "progress",
            stage="batch",
            fraction=round(self._furthest, 4),
            **({} if left is None else {"seconds_left": left}),
        )

    def _engine_text(self) -> str:
        return "; ".join(sorted(self._engines))
