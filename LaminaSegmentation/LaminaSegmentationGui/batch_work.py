"""Finding the laminae of all scans of a folder, in a child process."""

import logging
from pathlib import Path

from slicer.i18n import tr as _

from LaminaLabelingGui.lists import scanOf
from LaminaLabelingLib.case_files import FolderFiles
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui import batch_nodes
from LaminaSegmentationGui.installation import SEGMENT
from LaminaSegmentationLib.batch_report import DONE, FAILED, RUNNING, SKIPPED, WAITING
from LaminaSegmentationLib.batch_scans import PAGE, read_summary, remove_leftovers

_logger = logging.getLogger(__name__)


class BatchWork:
    """Runs ``lamina segment FOLDER``.

    Parameters
    ----------
    installation : Installation
    models : Models

    Attributes
    ----------
    cases : list of dict
        One a scan: ``scan`` (its file's name), ``state``, ``text``, ``laminae``, ``levels``, ``doubtful``,
        ``warnings``, ``seconds`` and ``folder`` (of its results, empty without). Of the last run, or of an earlier one
        after `look`.
    """

    def __init__(self, installation, models):
        self._installation, self._models = installation, models
        self._command = None
        self._onEvent = None
        self._folder = self._output = None
        self._opened = {}
        self.cases = []

    @property
    def isRunning(self):
        """Whether a run has been started and has neither ended nor been canceled."""
        return self._command is not None

    @property
    def output(self):
        """The results folder of `cases`, None without."""
        return self._output

    # Running

    def start(self, folder, output, axes, model, engine, onEvent, resume=False, force=False, lowMemory=False):
        """Start to find the laminae of all scans of a folder; then call :meth:`poll` until it returns the counts.

        Parameters
        ----------
        folder, output : str or Path
            Of the scans, and of the results: they must differ.
        axes, engine : str
            As ``lamina segment`` takes them; with ``auto`` the axes that LaminaLabeling keeps beside a scan are taken.
        model : str
            A name of the list of models; empty for the first one.
        onEvent : callable
            Called with the events of the command ``lamina segment --json``, each a dict.
        resume : bool
            Whether to leave out what an earlier run in the same results folder has done.
        force : bool
            Whether to do all scans anew in a results folder that is not empty.
        lowMemory : bool
            Whether to run the network on one part of a scan after the other.

        Raises
        ------
        LaminaError
            With a sentence for the user if it cannot be started.
        """
        if self.isRunning:
            raise LaminaError(_("A folder of scans is being worked on: wait for it, or cancel it first."))
        if not str(folder).strip() or not str(output).strip():
            raise LaminaError(_("Choose the folder of the scans, and a folder for the results."))
        folder, output = Path(folder).absolute(), Path(output).absolute()
        names = FolderFiles.of(folder).scans
        if not names:
            raise LaminaError(_('There is no scan in the folder "{name}".').format(name=folder.name))
        self._installation.ensurePackages(SEGMENT)
        arguments = ["segment", str(folder), "-o", str(output), "--axes", axes or "auto", "--engine", engine, "--json"]
        if argument := self._models.argumentOf(model):
            arguments += ["--model", argument]
        arguments += ["--resume"] * resume + ["--force"] * force + ["--low-memory"] * bool(lowMemory)
        command = self._installation.command(SEGMENT, self._receive)
        try:
            command.start(arguments)
        except Exception:
            command.close()
            raise
        self._command, self._onEvent = command, onEvent
        self._folder, self._output, self._opened = folder, output, {}
        self.cases = [_case(name) for name in names]

    def poll(self):
        """Pass on what has happened; return the counts (a dict) at the end, and None before."""
        try:
            result = self._command.poll()
        except Exception:
            self.cancel()
            raise
        if result is not None:
            self._command.close()
            self._command = None
        return result

    def cancel(self):
        """End what runs, if anything does. Scans that are finished keep their results, of the others nothing stays."""
        command, self._command = self._command, None
        if command is None:
            return
        command.cancel()
        remove_leftovers(self._output)
        for case in self.cases:
            if case["state"] == RUNNING:
                case["state"] = WAITING

    def _receive(self, event):
        if event["event"] == "case":
            # A scan that was copied into the folder meanwhile is worked on as well.
            self.cases.extend(_case("") for _number in range(event["index"] + 1 - len(self.cases)))
            case = self.cases[event["index"]]
            case.update({key: event[key] for key in case})
        try:
            self._onEvent(event)
        except Exception:  # what cannot be shown must not end what is computed
            _logger.exception("An event of a folder of scans could not be shown.")

    # Results

    def look(self, folder, output):
        """Take the results of an earlier run as `cases`: of these scans in this folder; none if there are none."""
        if self.isRunning:
            return
        self._folder, self._output, self._opened = Path(folder).absolute(), Path(output).absolute(), {}
        summary = read_summary(self._output) if str(output).strip() else None
        self.cases = []
        rows = (summary or {}).get("cases", ())
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict) or row.get("state") not in (DONE, SKIPPED, FAILED, RUNNING, WAITING):
                continue  # not written by this software, or damaged
            case = _case(row.get("scan", ""))
            case.update({key: row[key] for key in case if key in row})
            case["text"] = row.get("error") or row.get("text", "")
            case["folder"] = str(self._output / row["folder"]) if row.get("folder") else ""
            self.cases.append(case)

    @staticmethod
    def holdsResults(output):
        """Return whether a folder holds results of a folder of scans."""
        return "cases" in (read_summary(Path(output)) or {})

    def counts(self):
        """Return how many scans have results, how many have failed, and how many there are."""
        states = [case["state"] for case in self.cases]
        return sum(state in (DONE, SKIPPED) for state in states), states.count(FAILED), len(states)

    @property
    def page(self):
        """The file ``results.html``, None if it is not there."""
        path = self._output / PAGE if self._output is not None else None
        return path if path is not None and path.is_file() else None

    def openCase(self, index):
        """Load a scan and its results into the scene, if they are not there yet; return the node of the laminae.

        Raises LaminaError if there are none, or they cannot be read.
        """
        case = self.cases[index]
        if not case["folder"]:
            raise LaminaError(_('There are no results of "{name}" to open.').format(name=case["scan"]))
        node = self._opened.get(case["scan"])
        if node is None or node.GetScene() is None or scanOf(node) is None:
            node = batch_nodes.openResult(self._folder / case["scan"], Path(case["folder"]))
            self._opened[case["scan"]] = node
        return node


def _case(name):
    return {
        "scan": name,
        "state": WAITING,
        "text": "",
        "laminae": None,
        "levels": None,
        "doubtful": None,
        "warnings": [],
        "seconds": None,
        "folder": "",
    }
