"""Small things that the parts of the panel share."""

from contextlib import contextmanager

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingLib.errors import LaminaError


def fillCombo(combo, items, current=None):
    """Fill a combo box with (key, text) pairs and choose a key, without telling anybody."""
    blocked = combo.blockSignals(True)
    combo.clear()
    for key, text in items:
        combo.addItem(text, key)
    chooseKey(combo, current)
    combo.blockSignals(blocked)


def chooseKey(combo, key):
    """Choose the item with a key, without telling anybody; the first one if there is none."""
    blocked = combo.blockSignals(True)
    index = combo.findData(key)
    combo.setCurrentIndex(max(index, 0))
    combo.blockSignals(blocked)


def chosenKey(combo):
    """Return the key of the chosen item, None if the box is empty."""
    return combo.itemData(combo.currentIndex) if combo.currentIndex >= 0 else None


def prepareTable(table, titles):
    """Make a table of whole rows that cannot be edited."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(titles)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setFocusPolicy(qt.Qt.NoFocus)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setDefaultSectionSize(20)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)


def fillTable(table, rows):
    """Fill a table with rows of texts."""
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)  # a column may be too narrow for it
            table.setItem(row, column, item)


@contextmanager
def sentenceIn(label):
    """Show a LaminaError as a sentence in a label: for what happens often and needs no box to be closed."""
    try:
        yield
    except LaminaError as error:
        label.setText(str(error))


def ask(text, buttons, safe, title=None):
    """Ask the user a question with buttons of our own.

    Parameters
    ----------
    text : str
    buttons : sequence of (key, text)
    safe : key
        The answer that changes nothing: for Escape, and where nobody can be asked (Slicer's testing mode).
    title : str, optional
        Of the window; else the name of the module LaminaLabeling.

    Returns
    -------
    key
    """
    if slicer.app.testingEnabled():
        return safe
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setIcon(qt.QMessageBox.Question)
    box.setWindowTitle(title or _("Lamina Labeling"))
    box.setText(text)
    made = {key: box.addButton(label, qt.QMessageBox.AcceptRole) for key, label in buttons}
    box.setEscapeButton(made[safe])
    box.setDefaultButton(made[buttons[0][0]])
    box.exec_()
    clicked = box.clickedButton()
    box.deleteLater()
    return next((key for key, button in made.items() if button == clicked), safe)
