"""The part of the training panel that chooses labeled scans."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import chosenKey, fillCombo, prepareTable, sentenceIn

_FOLDER_SETTING = "LaminaUltrasound/TrainingScans"
_SCAN, _PATIENT, _LAMINAE, _NOTE = range(4)


class TrainCasesPanel:
    """Shows the labeled scans of a folder, what is wrong with any of them, and lets some be left out.

    Parameters
    ----------
    ui : namespace of widgets
    work : TrainWork
    """

    def __init__(self, ui, work):
        self.ui, self.work = ui, work
        self._usable = {}
        prepareTable(ui.casesTable, [_("Scan"), _("Patient"), _("Laminae"), _("Note")])
        header = ui.casesTable.horizontalHeader()
        for column in (_SCAN, _PATIENT, _LAMINAE):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(_NOTE, qt.QHeaderView.Stretch)
        ui.casesTable.setFocusPolicy(qt.Qt.ClickFocus)  # the patient's code can be typed
        ui.casesTable.setEditTriggers(qt.QAbstractItemView.DoubleClicked | qt.QAbstractItemView.SelectedClicked)
        ui.casesButton.clicked.connect(lambda *_args: self.askForFolder())
        ui.raterComboBox.currentIndexChanged.connect(lambda *_args: self.clear())

    def askForFolder(self):
        """Ask for the folder of the scans."""
        last = slicer.app.settings().value(_FOLDER_SETTING) or ""
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of labeled scans"), last)
        if path:
            self.choose(path)

    def choose(self, path, rater=None):
        """Choose a folder, and offer those who have labeled in it."""
        self.ui.casesEdit.setText(str(path))
        self.clear()
        with sentenceIn(self.ui.casesLabel):
            raters = self.work.raters(path)
            fillCombo(self.ui.raterComboBox, [(each, each) for each in raters], rater)
            if raters:
                slicer.app.settings().setValue(_FOLDER_SETTING, str(path))
                self.ui.casesLabel.setText(_("Look at the scans before the training: it says what is wrong with any."))
            else:
                self.ui.casesLabel.setText(_("Nobody has saved labels in this folder: label it in LaminaLabeling."))

    def rater(self):
        """Return whose labels are taken, an empty string if nobody is chosen."""
        return chosenKey(self.ui.raterComboBox) or ""

    def clear(self):
        """Forget the scans: another folder or rater is chosen."""
        self._usable = {}
        self.ui.casesTable.setRowCount(0)
        self.ui.casesLabel.setText("")

    def begin(self):
        """Get ready for the scans of a new look; codes and ticks of the last one are kept."""
        # What could not be used may have been mended since: that it was not used was not the user's wish.
        kept = {name: (patient, use) for name, patient, use in self.rows() if self._usable.get(name)}
        self.clear()
        return kept

    def add(self, event, kept):
        """Add a scan that an event "case" tells of."""
        table, name = self.ui.casesTable, event["scan"]
        if name in self._usable:
            return  # told before
        patient, use = kept.get(name, (event["patient"], True))
        usable = event["state"] != "unusable"
        self._usable[name] = usable
        row = table.rowCount
        table.setRowCount(row + 1)
        for column, text in enumerate((name, patient, str(event["laminae"]), event["text"])):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            flags = qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled
            if column == _SCAN and usable:
                flags = flags | qt.Qt.ItemIsUserCheckable
                item.setCheckState(qt.Qt.Checked if use else qt.Qt.Unchecked)
            if column == _PATIENT and usable:
                flags = flags | qt.Qt.ItemIsEditable
            if not usable:
                item.setForeground(qt.QBrush(qt.QColor(190, 30, 30)))
            item.setFlags(flags)
            table.setItem(row, column, item)

    def end(self):
        """Say how many can be used."""
        usable = sum(self._usable.values())
        text = _("{usable} of {all} scans can be used.").format(usable=usable, all=len(self._usable))
        if usable < len(self._usable):
            text += " " + _("The red ones are left out; the note says why.")
        names = [patient for _name, patient, use in self.rows() if use]
        if len(names) == len(set(names)) and len(names) > 1:
            text += " " + _("Each counts as a patient of its own: give follow-up scans the same code.")
        self.ui.casesLabel.setText(text)

    def rows(self):
        """Return (scan, patient, use) of each scan that was looked at."""
        table = self.ui.casesTable
        found = []
        for row in range(table.rowCount):
            name = table.item(row, _SCAN).text()
            use = self._usable.get(name, False) and table.item(row, _SCAN).checkState() == qt.Qt.Checked
            found.append((name, table.item(row, _PATIENT).text().strip(), use))
        return found

    def folder(self):
        """Return the folder of the scans, an empty string if none is chosen."""
        text = self.ui.casesEdit.text
        return str(Path(text).absolute()) if text else ""
