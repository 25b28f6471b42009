"""The part of the panel that finds the laminae of all scans of a folder."""

import html
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import ask, prepareTable, sentenceIn
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui.durations import duration
from LaminaSegmentationGui.job_timer import JobTimer
from LaminaSegmentationGui.panel_loading import loadInto
from LaminaSegmentationLib.batch_report import DONE, FAILED, RUNNING, SKIPPED, WAITING

RESUME, FORCE, CANCEL = "resume", "force", "cancel"
"""What to do with results that are there already: go on, start anew, leave them."""

_SCANS_SETTING, _RESULTS_SETTING = "LaminaUltrasound/BatchScans", "LaminaUltrasound/BatchResults"
_FAILED_COLOR = (205, 45, 45)
_PROGRESS_STEPS = 1000


class BatchPanel:
    """Starts a run over a folder, shows how far it is, lists the results and opens them.

    Parameters
    ----------
    section : ctkCollapsibleButton
    logic : LaminaSegmentationLogic
    settings : callable
        Returns the parameter node, None while there is none.
    onOpened : callable
        Called with the node of the laminae of a result that was opened, and what is told about it.
    """

    def __init__(self, section, logic, settings, onOpened):
        self.logic, self.work, self._settings = logic, logic.batch, settings
        self._onOpened = onOpened
        self.ui = ui = loadInto(section, "BatchPanel")
        self._current = ""
        self._timer = JobTimer(_("The folder of scans could not be finished."), self.onEnd, self.onFailure)
        prepareTable(ui.caseTable, [_("Scan"), _("Result"), _("Laminae"), _("To check"), _("Time")])
        header = ui.caseTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        stored = slicer.app.settings()
        ui.scansLineEdit.setText(stored.value(_SCANS_SETTING) or "")
        ui.resultsLineEdit.setText(stored.value(_RESULTS_SETTING) or "")
        ui.scansLineEdit.editingFinished.connect(self.onFolders)
        ui.resultsLineEdit.editingFinished.connect(self.onFolders)
        ui.caseTable.itemSelectionChanged.connect(self.onRow)
        ui.caseTable.cellDoubleClicked.connect(lambda row, column: self.open(row))
        for button, action in (
            (ui.scansButton, self.chooseScans),
            (ui.resultsButton, self.chooseResults),
            (ui.startButton, self.toggle),
            (ui.openButton, lambda: self.open(self.row)),
            (ui.filesButton, lambda: self.showFiles(self.row)),
            (ui.pageButton, self.showPage),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        self.onFolders()

    # Folders

    def chooseScans(self):
        """Ask for the folder of the scans."""
        path = self._askForFolder(_("Folder of scans"), self.ui.scansLineEdit.text)
        if path:
            self.setFolders(path, self.ui.resultsLineEdit.text)

    def chooseResults(self):
        """Ask for the folder of the results."""
        path = self._askForFolder(_("Folder for the results"), self.ui.resultsLineEdit.text)
        if path:
            self.setFolders(self.ui.scansLineEdit.text, path)

    @staticmethod
    def _askForFolder(title, last):
        return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, last)

    def setFolders(self, scans, results):
        """Choose both folders; without one for the results, or with the one proposed before, one is proposed."""
        proposed = _proposal(self.ui.scansLineEdit.text)
        if scans and (not results or results == proposed):
            results = _proposal(scans)
        self.ui.scansLineEdit.setText(scans)
        self.ui.resultsLineEdit.setText(results)
        self.onFolders()

    def onFolders(self):
        """Remember the folders, and show what an earlier run has left there."""
        if self.isRunning:
            return
        scans, results = self._folders()
        slicer.app.settings().setValue(_SCANS_SETTING, scans)
        slicer.app.settings().setValue(_RESULTS_SETTING, results)
        self.work.look(scans, results)
        done, failed, total = self.work.counts()
        text = _("Results of an earlier run: {counts}").format(counts=_counts(done, failed, total)) if total else ""
        self.ui.resultLabel.setText(text)
        self.fill()

    def _folders(self):
        return self.ui.scansLineEdit.text.strip(), self.ui.resultsLineEdit.text.strip()

    # Running

    @property
    def isRunning(self):
        """Whether a folder is being worked on."""
        return self.work.isRunning

    def toggle(self):
        """Start, or cancel what runs: the button is both."""
        if self.isRunning:
            self.cancel(_("Canceled."))
        else:
            self.start()

    def start(self, decision=""):
        """Start with the folders of the panel.

        Parameters
        ----------
        decision : str
            What to do with results that are there already: `RESUME`, `FORCE` or `CANCEL`; empty to ask.
        """
        scans, results = self._folders()
        with sentenceIn(self.ui.resultLabel):
            if not scans or not results:
                raise LaminaError(_("Choose the folder of the scans, and a folder for the results."))
            if (settings := self._settings()) is None:
                return  # the module is not shown
            decision = self._decide(Path(results), decision)
            if decision == CANCEL:
                return
            self._current = _("Starting...")
            self._showProgress(0.0, None)
            self.ui.resultLabel.setText("")
            self._timer.begin(
                lambda: self.work.start(
                    scans,
                    results,
                    settings.axes or "auto",
                    settings.model,
                    settings.engine,
                    self.onEvent,
                    resume=decision == RESUME,
                    force=decision == FORCE,
                    lowMemory=settings.lowMemory,
                ),
                self.work.poll,
            )
            if self.isRunning:
                self.fill()

    def _decide(self, results, decision):
        """Return what to do with what the results folder holds; raise LaminaError if it cannot be used."""
        try:
            if not results.is_dir() or not any(not path.name.startswith(".") for path in results.iterdir()):
                return decision
        except OSError as error:
            raise LaminaError(
                _('The folder "{name}" cannot be read: choose another one for the results.').format(name=results.name)
            ) from error
        if not self.work.holdsResults(results):
            raise LaminaError(
                _('The folder "{name}" holds other files: choose an empty one for the results.').format(
                    name=results.name
                )
            )
        if decision:
            return decision
        self.work.look(self._folders()[0], results)
        text = _(
            'The folder "{name}" holds results already. {counts}\n\nGo on finds the laminae of those scans that are '
            "not done, have failed or have changed. Start anew does all scans again and replaces their results."
        ).format(name=results.name, counts=_counts(*self.work.counts()))
        buttons = ((RESUME, _("Go on")), (FORCE, _("Start anew")), (CANCEL, _("Cancel")))
        return ask(text, buttons, CANCEL, _("Lamina Segmentation"))

    def cancel(self, text):
        """End what runs, and say why; the scans that are finished keep their results."""
        running = self.isRunning
        self._timer.stop()
        self.work.cancel()
        if running:
            done, _failed, total = self.work.counts()
            kept = _("{done} of {total} scans are done, and their results are kept.").format(done=done, total=total)
            self.ui.resultLabel.setText(f"{text} {kept}".strip())
            self.fill()

    def onEvent(self, event):
        """Show one event of the computation."""
        if event["event"] == "case":
            if event["state"] == RUNNING:
                self._current = _("{number} of {total}: {name}").format(
                    number=event["index"] + 1, total=event["total"], name=event["scan"]
                )
            if event["index"] >= self.ui.caseTable.rowCount:
                self.fill()
            self._fillRow(event["index"])
            self.ui.caseTable.scrollToItem(self.ui.caseTable.item(event["index"], 0))
            self.onRow()
        elif event["event"] == "progress":
            self._showProgress(event["fraction"], event.get("seconds_left"))

    def onEnd(self, counts):
        """Say what was done."""
        done = counts["done"] + counts["skipped"]
        text = _counts(done, counts["failed"], counts["scans"])
        if counts["failed"]:
            text += " " + _("Select one that failed to read why.")
        self.ui.resultLabel.setText(text)
        self.fill()

    def onFailure(self, sentence):
        """Leave the sentence of an error that ended the run in the result line."""
        self.work.cancel()
        self.ui.resultLabel.setText(sentence)
        self.fill()

    # Results

    @property
    def row(self):
        """The row that is selected, -1 without."""
        rows = {item.row() for item in self.ui.caseTable.selectedItems()}
        return min(rows) if rows else -1

    def open(self, row):
        """Load a scan with its laminae into the scene and review them in LaminaLabeling."""
        if not self.work.cases[row]["folder"]:
            return  # what is told below the table says why
        with slicer.util.tryWithErrorDisplay(_("The result could not be opened."), waitCursor=True):
            markupsNode = self.work.openCase(row)
            self._onOpened(markupsNode, _told(self.work.cases[row]))
            self.logic.review(markupsNode)

    def showFiles(self, row):
        """Show the folder with the results of a scan."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.work.cases[row]["folder"]))

    def showPage(self):
        """Open the table of all scans in the web browser."""
        if self.work.page is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.work.page)))
        self.update()

    # Showing

    def fill(self):
        """Show all scans."""
        table, selected = self.ui.caseTable, self.row
        table.setRowCount(len(self.work.cases))
        for row in range(len(self.work.cases)):
            self._fillRow(row)
        if selected < 0:
            table.clearSelection()
        self.onRow()

    def onRow(self):
        """Tell about the scan that is selected."""
        case = self.work.cases[self.row] if 0 <= self.row < len(self.work.cases) else None
        self.ui.caseLabel.setText(_told(case) if case else "")
        self.update()

    def update(self):
        """Enable what can be done."""
        ui, running, row = self.ui, self.isRunning, self.row
        ui.progressBar.setVisible(running)
        ui.startButton.setText(_("Cancel") if running else _("Start"))
        for widget in (ui.scansLineEdit, ui.scansButton, ui.resultsLineEdit, ui.resultsButton):
            widget.setEnabled(not running)
        hasResult = 0 <= row < len(self.work.cases) and bool(self.work.cases[row]["folder"])
        ui.openButton.setEnabled(hasResult)
        ui.filesButton.setEnabled(hasResult)
        ui.pageButton.setEnabled(self.work.page is not None)

    def _showProgress(self, fraction, secondsLeft):
        bar = self.ui.progressBar
        bar.setMaximum(_PROGRESS_STEPS)
        bar.setValue(round(_PROGRESS_STEPS * fraction))
        text = self._current
        if secondsLeft is not None:
            text = _("{scan} ({time} left)").format(scan=text, time=duration(secondsLeft))
        bar.setFormat(text.replace("%", "%\u200b"))  # Qt puts numbers in the place of %p, %v and %m

    def _fillRow(self, row):
        case, table = self.work.cases[row], self.ui.caseTable
        failed = case["state"] == FAILED
        tip = f"<qt>{html.escape(_told(case))}</qt>"  # it may be long, and names may look like markup
        for column, text in enumerate(_cells(case)):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip)
            if column > 1:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if failed:
                item.setForeground(qt.QBrush(qt.QColor(*_FAILED_COLOR)))
            table.setItem(row, column, item)


def _proposal(scans):
    """Return the results folder that is proposed for a folder of scans: beside it."""
    return scans.rstrip("/\\") + " laminae" if scans else ""


def _cells(case):
    states = {
        WAITING: _("waiting"),
        RUNNING: _("running..."),
        DONE: _("done"),
        SKIPPED: _("done before"),
        FAILED: _("failed"),
    }
    laminae = "" if case["laminae"] is None else str(case["laminae"])
    doubtful = "" if case["doubtful"] is None else str(case["doubtful"])
    seconds = "" if case["seconds"] is None or case["state"] == FAILED else duration(case["seconds"])
    state = states[case["state"]]
    if case["warnings"]:
        state = _("{state}, with notes").format(state=state)
    return case["scan"], state, laminae, doubtful, seconds


def _told(case):
    """Return what is known of a scan in sentences, one a line."""
    lines = [case["scan"] + (f": {case['text']}" if case["text"] else "")]
    return "\n".join([*lines, *(_("Note: {text}").format(text=text) for text in case["warnings"])])


def _counts(done, failed, total):
    if failed:
        return _("{done} of {total} scans are done, {failed} failed.").format(done=done, total=total, failed=failed)
    return _("{done} of {total} scans are done.").format(done=done, total=total)
