"""The part of the panel that goes through a folder of scans."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import ask, chosenKey, fillCombo, fillTable, prepareTable, sentenceIn
from LaminaLabelingLib.case_files import check_rater
from LaminaLabelingLib.case_locks import CaseLockedError
from LaminaLabelingLib.cases import Status
from LaminaLabelingLib.errors import LaminaError

_RATER_SETTING = "LaminaUltrasound/Rater"
_FOLDER_SETTING = "LaminaUltrasound/Folder"


def statusText(status):
    """Return the status of a case in a word."""
    return {
        Status.untouched: _("untouched"),
        Status.begun: _("begun"),
        Status.done: _("done"),
        Status.reviewed: _("reviewed"),
    }[status]


class CasePanel:
    """Shows the cases of a folder, opens and saves them.

    Parameters
    ----------
    ui : namespace of widgets
    session : LabelingSession
    cases : CaseWork
    onOpened : callable
        Called without arguments when a case has been opened or left.
    """

    def __init__(self, ui, session, cases, onOpened):
        self.ui, self.session, self.cases = ui, session, cases
        self._onOpened = onOpened
        self._changingRater = False
        prepareTable(ui.caseTable, [_("Scan"), _("Status"), _("Done"), _("Raters"), _("Note")])
        header = ui.caseTable.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in (1, 2, 3):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.raterLineEdit.setText(slicer.app.settings().value(_RATER_SETTING) or "")
        ui.raterLineEdit.editingFinished.connect(self.onRater)
        ui.otherRaterComboBox.currentIndexChanged.connect(lambda *_args: self.onOtherRater())
        ui.caseTable.cellDoubleClicked.connect(lambda row, column: self.openRow(row))
        for button, action in (
            (ui.openFolderButton, self.chooseFolder),
            (ui.previousCaseButton, lambda: self.step(-1)),
            (ui.nextCaseButton, lambda: self.step(1)),
            (ui.nextUnfinishedButton, lambda: self.step(1, True)),
            (ui.refreshButton, self.refresh),
            (ui.saveButton, self.save),
            (ui.reviewedButton, self.markReviewed),
            (ui.closeCaseButton, self.leave),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        session.onChanged.append(self._showState)
        self._unsaved = None
        self.show()

    def actions(self):
        """Return what the keys of `shortcuts.KEYS` do that concern cases."""
        return {
            "save": self.save,
            "nextCase": lambda: self.step(1),
            "previousCase": lambda: self.step(-1),
            "nextUnfinished": lambda: self.step(1, True),
        }

    # The folder

    def chooseFolder(self):
        """Ask for a folder and open it."""
        last = slicer.app.settings().value(_FOLDER_SETTING) or ""
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of scans"), last)
        if path:
            self.openFolder(path)

    def openFolder(self, path):
        """Open a folder of scans for the rater whose name stands in the panel; return whether it is open."""
        if not self.mayLeave():
            return False
        with slicer.util.tryWithErrorDisplay(_("The folder could not be opened.")):
            rater = self.ui.raterLineEdit.text.strip()
            if not rater:
                raise LaminaError(
                    _("Fill in Rater first: your initials or a code. They become part of your label files' names.")
                )
            self.cases.openFolder(path, rater)
            slicer.app.settings().setValue(_FOLDER_SETTING, str(path))
        self._onOpened()
        self.show()
        return True

    def onRater(self):
        """Remember the rater's name, and read the folder for it; the former name comes back if that is not wanted."""
        edit, folder = self.ui.raterLineEdit, self.cases.folder
        edit.clearFocus()  # gives the keys back to the lamina
        rater = edit.text.strip()
        if self._changingRater or rater == (folder.rater if folder is not None else ""):
            return
        self._changingRater = True  # a question that is asked takes the focus, which ends the editing once more
        try:
            with sentenceIn(self.ui.caseLabel):
                check_rater(rater)
                if folder is not None and not self.openFolder(folder.folder):
                    edit.setText(folder.rater)
                    return
                slicer.app.settings().setValue(_RATER_SETTING, rater)
        finally:
            self._changingRater = False

    def refresh(self):
        """Read the folder again."""
        if self.cases.folder is not None:
            with slicer.util.tryWithErrorDisplay(_("The folder could not be read.")):
                self.cases.folder.refresh()
        self.show()

    # One case

    def openRow(self, row):
        """Open the case of a row of the table."""
        self.open(self.cases.folder.cases[row].name)

    def step(self, by, unfinished=False):
        """Open the next or the previous case."""
        with sentenceIn(self.ui.caseLabel):
            name = self.cases.step(by, unfinished)
            if name is None:
                raise LaminaError(_("There is no such scan further on in this folder."))
            self.open(name)

    def open(self, name, rater=""):
        """Open a case, after asking what to do with unsaved edits of the present one; return whether it is open."""
        if not self.mayLeave():
            return False
        try:
            with slicer.util.tryWithErrorDisplay(_("The scan could not be opened."), waitCursor=True):
                try:
                    self.cases.open(name, rater=rater)
                except CaseLockedError as error:
                    if not error.may_take_over:
                        raise
                    if not self._takeOver(error):
                        return False
                    self.cases.open(name, takeOver=True, rater=rater)
        finally:
            self._onOpened()
            self.refresh()
        return self.cases.isOpen

    @staticmethod
    def _takeOver(error):
        text = _("{error}\n\nIf that computer still works on it, its edits and yours will no longer be kept apart.")
        buttons = (("leave", _("Leave it")), ("take", _("Take it over")))
        return ask(text.format(error=error), buttons, "leave") == "take"

    def leave(self):
        """Close the case."""
        if self.mayLeave():
            self.cases.close()
            self._onOpened()
            self.refresh()

    def mayLeave(self):
        """Ask what is to become of unsaved edits; return whether the case may be left now."""
        if not self.session.hasUnsavedEdits:
            return True
        text = _('The labels of "{name}" have not been saved. Discard goes back to what was saved last.')
        text = text.format(name=self.cases.name)
        answer = ask(
            text,
            (
                ("save", _("Save")),
                ("keep", _("Keep as draft")),
                ("discard", _("Discard")),
                ("cancel", _("Cancel")),
            ),
            "keep" if slicer.app.testingEnabled() else "cancel",
        )
        if answer == "save":
            with slicer.util.tryWithErrorDisplay(_("The labels could not be saved.")):
                self.session.save()
        elif answer == "keep":
            self.session.store(isEdit=False)
            if self.session.problem:
                slicer.util.errorDisplay(self.session.problem, windowTitle=_("Lamina Labeling"))
                return False
        elif answer == "discard":
            with slicer.util.tryWithErrorDisplay(_("The draft could not be discarded.")):
                self.session.discardDraft()
        return answer != "cancel"

    def save(self):
        """Save the labels of the case."""
        with slicer.util.tryWithErrorDisplay(_("The labels could not be saved.")):
            path = self.session.save()
            self.refresh()
            self.ui.caseLabel.setText(_("Saved: {file}").format(file=Path(path).name))

    def markReviewed(self):
        """Say that the saved labels have been checked."""
        with sentenceIn(self.ui.caseLabel):
            self.session.markReviewed(self.ui.raterLineEdit.text.strip())
            self.refresh()

    def onOtherRater(self):
        """Show another rater's labels to look at, or hide them."""
        with sentenceIn(self.ui.caseLabel):
            self.cases.showRater(chosenKey(self.ui.otherRaterComboBox))

    # What is shown

    def show(self):
        """Show the folder and the open case."""
        ui, folder = self.ui, self.cases.folder
        cases = folder.cases if folder is not None else ()
        fillTable(ui.caseTable, [_row(case, self.cases.failures.get(case.name, "")) for case in cases])
        for row, case in enumerate(cases):
            if case.name == self.cases.name:
                ui.caseTable.selectRow(row)
        ui.folderLabel.setText(
            _("No folder is open.") if folder is None else f"{Path(folder.folder).name}: {_counts(folder)}"
        )
        for button in (ui.previousCaseButton, ui.nextCaseButton, ui.nextUnfinishedButton, ui.refreshButton):
            button.setEnabled(folder is not None)
        others = self.cases.otherRaters()
        raters = [("", _("nobody else"))] + [(rater, rater) for rater in others]
        fillCombo(ui.otherRaterComboBox, raters, self.cases.shownRater)
        ui.otherRaterComboBox.setEnabled(bool(others))
        self._unsaved = None
        self._showState()
        ui.caseLabel.setText("\n".join(self.cases.warnings))

    def _showState(self):
        """Show whether the open case has edits that are not saved: after every edit, so only what has changed."""
        state = (self.cases.isOpen, self.session.hasUnsavedEdits)
        if state == self._unsaved:
            return
        self._unsaved = state
        isOpen, unsaved = state
        self.ui.saveButton.setEnabled(isOpen)
        self.ui.saveButton.setText(_("Save *") if unsaved else _("Save"))
        self.ui.closeCaseButton.setEnabled(isOpen)
        self.ui.reviewedButton.setEnabled(isOpen and not unsaved)


def _row(case, failure):
    note = case.problem or failure or (_("open: {who}").format(who=case.locked_by) if case.locked_by else "")
    if case.has_draft and not note:
        note = _("not saved")
    done = f"{case.placed + case.absent}/{case.total}"
    return case.name, statusText(case.status), done, ", ".join(case.raters), note


def _counts(folder):
    counts = folder.summary()
    return ", ".join(f"{counts.get(status, 0)} {statusText(status)}" for status in Status)
