"""``lamina segment`` on one scan in a child process, and the laminae that come out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from LaminaLabelingLib.laminae import LaminaSet

# Not from `files`, which brings in SimpleITK: no interface should wait for that.
from LaminaLabelingLib.markups_files import read_curve, read_markups

from .worker import LaminaCommand


def scan_arguments(command: LaminaCommand, model: str, corrections: Mapping | None) -> list[str]:
    """Return the arguments of a command on one scan for its model and corrections; write these into its folder.

    Parameters
    ----------
    command : LaminaCommand
    model : str
        Empty for the command's own default.
    corrections : mapping or None
    """
    arguments = ["--model", model] if model else []
    if corrections:
        path = command.folder / "corrections.json"
        path.write_text(json.dumps(corrections), encoding="utf-8")
        arguments += ["--corrections", path.name]
    return arguments


@dataclass(frozen=True)
class SegmentationResult:
    """What a segmentation found.

    Parameters
    ----------
    laminae : LaminaSet
        Positions in the world of the scan file that the job was given, RAS mm.
    column : ndarray, shape (N, 3)
        Points of the spinous process column, from the top down, RAS mm.
    warnings : tuple of str
        What the user should know about this scan or result.
    summary : dict
        The command's own summary (see ``lamina segment``).
    segmentation : bytes
        The file ``laminae.seg.nrrd``; empty if the command wrote none.
    """

    laminae: LaminaSet
    column: np.ndarray
    warnings: tuple[str, ...] = ()
    summary: dict = field(default_factory=dict)
    segmentation: bytes = b""


class SegmentationJob:
    """``lamina segment`` on one scan, in a child process.

    Write the scan to `scan_path`, `start`, and `poll` until there is a result.

    Parameters
    ----------
    on_event : callable
        See `LaminaCommand`. Warnings are passed on as well as collected in the result.
    program, environment
        See `LaminaCommand`.

    Examples
    --------
    >>> job = SegmentationJob(print)                                      # doctest: +SKIP
    >>> write_volume(volume, job.scan_path)                               # doctest: +SKIP
    >>> job.start(axes="auto")                                            # doctest: +SKIP
    >>> while (result := job.poll()) is None:                             # doctest: +SKIP
    ...     time.sleep(0.1)
    """

    def __init__(
        self,
        on_event: Callable[[dict], None],
        program: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._on_event = on_event
        self._warnings: list[str] = []
        self._command = LaminaCommand(self._receive, program, environment)

    @property
    def scan_path(self) -> Path:
        """Where the scan is to be written: a name that says nothing about the patient."""
        return self._command.folder / "scan.nrrd"

    @property
    def is_running(self) -> bool:
        """Whether the child has been started and not yet ended."""
        return self._command.is_running

    def start(
        self,
        axes: str = "auto",
        model: str = "",
        engine: str = "auto",
        corrections: Mapping | None = None,
        low_memory: bool = False,
    ) -> None:
        """Start the segmentation of the scan at `scan_path`.

        Parameters
        ----------
        axes, model, engine : str
            The options of ``lamina segment``; an empty model is the command's own default.
        corrections : mapping, optional
            Corrections of the preprocessing, as ``lamina segment --corrections`` reads them from a file.
        low_memory : bool
            ``--low-memory``.

        Raises
        ------
        LaminaError
            If the command cannot be run.
        """
        arguments = ["segment", self.scan_path.name, "-o", "result", "--axes", axes, "--engine", engine, "--json"]
        arguments.append("--crop-segmentation")  # an interface has to read it without a pause
        arguments += ["--low-memory"] * bool(low_memory)
        self._command.start(arguments + scan_arguments(self._command, model, corrections))

    def poll(self) -> SegmentationResult | None:
        """Deliver the events since the last call, and the result once there is one.

        Returns
        -------
        SegmentationResult or None
            None while the child runs. When the result is returned, child and temporary files are gone.

        Raises
        ------
        LaminaError
            As `LaminaCommand.poll`; and if the files of the result cannot be read.
        """
        summary = self._command.poll()
        if summary is None:
            return None
        folder = self._command.folder / "result"
        segmentation = folder / "laminae.seg.nrrd"
        try:
            return SegmentationResult(
                laminae=read_markups(folder / "laminae.mrk.json"),
                column=read_curve(folder / "spinous_column.mrk.json"),
                warnings=tuple(self._warnings),
                summary=summary,
                segmentation=segmentation.read_bytes() if segmentation.is_file() else b"",
            )
        finally:
            self._command.close()

    def cancel(self) -> None:
        """End the child and everything it started, and remove the temporary files."""
        self._command.cancel()

    def _receive(self, event: dict) -> None:
        if event["event"] == "warning" and str(event.get("text", "")) not in self._warnings:
            self._warnings.append(str(event.get("text", "")))
        self._on_event(event)
