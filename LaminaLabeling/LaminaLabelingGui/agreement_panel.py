"""The part of the panel that compares two raters."""

import math

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.case_work import CONSENSUS
from LaminaLabelingGui.panel_tools import chosenKey, fillCombo, fillTable, prepareTable, sentenceIn
from LaminaLabelingGui.plots import removePlot, showBlandAltman
from LaminaLabelingLib.agreement import state_text, write_agreement_csv
from LaminaLabelingLib.errors import LaminaError


def quantities():
    """Return the quantities of the plot: key, text, unit."""
    return (
        ("R", _("left-right"), "mm"),
        ("A", _("depth"), "mm"),
        ("S", _("along the spine"), "mm"),
        ("tilt", _("tilt of the pairs"), "°"),
    )


class AgreementPanel:
    """Shows how far two lists agree, and resolves where they do not.

    Parameters
    ----------
    ui : namespace of widgets
    session : LabelingSession
    work : AgreementWork
    views : LabelingViews
    casePanel : CasePanel
        Opens the consensus of a case, after asking about unsaved edits.
    onOpened : callable
        Called without arguments when another list has been opened.
    """

    def __init__(self, ui, session, work, views, casePanel, onOpened):
        self.ui, self.session, self.work, self.views = ui, session, work, views
        self._casePanel = casePanel
        self._onOpened = onOpened
        self._rows = ()
        prepareTable(ui.agreementTable, [_("Lamina"), _("mm"), _("R"), _("A"), _("S")])
        tips = (_("distance"), _("left-right"), _("depth"), _("along the spine"))
        sense = ("", _("right"), _("anterior"), _("superior"))
        for column, (tip, towards) in enumerate(zip(tips, sense), start=1):
            text = _("{quantity} in mm, second less first; positive is {direction}")
            tip = text.format(quantity=tip, direction=towards) if towards else tip
            ui.agreementTable.horizontalHeaderItem(column).setToolTip(tip)
        session.onChanged.append(self.showSlot)
        fillCombo(ui.quantityComboBox, [(key, text) for key, text, _unit in quantities()], "S")
        ui.agreementTable.cellClicked.connect(lambda row, column: self.onRow(row))
        ui.quantityComboBox.currentIndexChanged.connect(lambda *_args: self.onQuantity())
        for button, action in (
            (ui.compareButton, self.compare),
            (ui.plotButton, self.plot),
            (ui.exportAgreementButton, self.chooseExport),
            (ui.adjudicateButton, self.adjudicate),
            (ui.takeFirstButton, lambda: self.take("first")),
            (ui.takeMiddleButton, lambda: self.take("middle")),
            (ui.takeSecondButton, lambda: self.take("second")),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        ui.agreementCollapsibleButton.contentsCollapsed.connect(self.onCollapsed)
        self.show()

    def onCollapsed(self, collapsed):
        """Look for what can be compared when the section is opened."""
        if not collapsed:
            self.refreshSources()

    def refreshSources(self):
        """Fill the two boxes with what can be compared."""
        sources = self.work.sources()
        keys = [key for key, _text in sources]
        # Two saved raters are the usual pair; a list and its own saved labels say nothing.
        usual = [key for key in keys if key.startswith("rater:")]
        usual = (
            usual
            if len(usual) > 1
            else [keys[0], *[key for key in keys[1:] if key not in usual], *usual]
            if keys
            else []
        )
        for combo, number in ((self.ui.firstRaterComboBox, 0), (self.ui.secondRaterComboBox, 1)):
            chosen = chosenKey(combo)
            if chosen not in keys:
                chosen = usual[min(number, len(usual) - 1)] if usual else None
            fillCombo(combo, sources, chosen)
        self.ui.compareButton.setEnabled(len(sources) > 1)

    def compare(self):
        """Compare the two lists that are chosen."""
        with slicer.util.tryWithErrorDisplay(_("The lists could not be compared.")):
            self.work.compare(chosenKey(self.ui.firstRaterComboBox), chosenKey(self.ui.secondRaterComboBox))
            self.work.showBoth()
        self.show()

    def scanChanged(self):
        """Drop the comparison if it was one of another scan, and look for what can be compared now."""
        if not self.work.isCurrent:
            self.work.forget()
        else:
            self.work.showBoth()  # the nodes of a case that was opened anew are other ones
        self.refreshSources()
        self.show()

    def onRow(self, row):
        """Go to the slot of a row."""
        name = self._rows[row].name
        with sentenceIn(self.ui.agreementLabel):
            if name in self.session.laminae:
                self.session.select(name)
            self.views.jump(self.work.placeOf(name))

    def plot(self):
        """Show the Bland-Altman plot, or take it away."""
        shown = bool(self.ui.plotButton.checked) and self.work.result is not None
        self.views.showPlot(shown)
        if not shown:
            removePlot()
            return
        key = chosenKey(self.ui.quantityComboBox)
        text, unit = next((text, unit) for name, text, unit in quantities() if name == key)
        figures = self.work.result.bland_altman(key)
        title = _("{quantity}: bias {bias:.2f} {unit}, 95 % limits {lower:.2f} to {upper:.2f} {unit}")
        showBlandAltman(
            figures,
            title.format(quantity=text, bias=figures.bias, lower=figures.lower, upper=figures.upper, unit=unit),
            _("mean of both ({unit})").format(unit=unit),
            _("second - first ({unit})").format(unit=unit),
        )

    def onQuantity(self):
        """Plot another quantity."""
        if self.ui.plotButton.checked:
            self.plot()

    def chooseExport(self):
        """Ask for a file and write the table to it."""
        kind = _("Table") + " (*.csv)"
        answer = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Export agreement"), "agreement.csv", kind)
        path = answer[0] if isinstance(answer, tuple) else answer
        if path:
            self.exportTable(path)

    def exportTable(self, path):
        """Write the table of the comparison as CSV."""
        with slicer.util.tryWithErrorDisplay(_("The table could not be written.")):
            if self.work.result is None:
                raise LaminaError(_("Compare two lists first."))
            write_agreement_csv(self.work.result, path)

    def showSlot(self):
        """Say how far the two are apart in the chosen slot, beside the buttons that decide."""
        difference = self.work.differenceOf(self.session.selected)
        text = ""
        if difference is not None and difference.difference is not None:
            text = _(
                "{name}: {distance:.1f} mm apart. The first is blue, the second pink; the list that you edit is green."
            )
            text = text.format(name=difference.name, distance=difference.distance_mm)
        elif difference is not None:
            text = f"{difference.name}: {state_text(difference.state)}"
        self.ui.slotLabel.setText(text)

    def adjudicate(self):
        """Begin a consensus list, and go to the first slot on which the two disagree."""
        cases = self._casePanel.cases
        if cases.isOpen and not self.work.isConsensus and not self._casePanel.open(cases.name, CONSENSUS):
            return
        with slicer.util.tryWithErrorDisplay(_("The consensus could not be begun.")):
            if cases.isOpen:
                self.work.beginConsensus()
            else:
                self.work.newConsensus()
                self._onOpened()
            if self.session.nextToReview() is not None:
                self.views.jump(self.session.placeOf(self.session.selected))
        self.show()

    def take(self, choice):
        """Resolve the chosen slot and go to the next one."""
        with slicer.util.tryWithErrorDisplay(_("The position could not be taken.")):
            if self.work.take(choice) is not None:
                self.views.jump(self.session.placeOf(self.session.selected))

    def show(self):
        """Show the comparison that was made last."""
        result, ui = self.work.result, self.ui
        self.showSlot()
        self._rows = () if result is None else tuple(result.worst())
        fillTable(ui.agreementTable, [_row(difference) for difference in self._rows])
        ui.agreementLabel.setText("" if result is None else summaryText(result))
        for button in (ui.plotButton, ui.exportAgreementButton, ui.adjudicateButton):
            button.setEnabled(result is not None)
        for button in (ui.takeFirstButton, ui.takeMiddleButton, ui.takeSecondButton):
            button.setEnabled(result is not None and self.work.isConsensus)
        if result is None and ui.plotButton.checked:
            ui.plotButton.setChecked(False)
            self.plot()


def summaryText(result):
    """Return the figures of a comparison in a few sentences."""
    text = _(
        "{count} laminae in both lists: mean {mean:.2f} mm, median {median:.2f} mm, 95th percentile {p95:.2f} mm, "
        "largest {largest:.2f} mm."
    ).format(count=result.count, mean=result.mean_mm, median=result.median_mm, p95=result.p95_mm, largest=result.max_mm)
    icc = ", ".join(f"{key} {value:.3f}" for key, value in result.icc.items() if not math.isnan(value))
    lines = [text, _("ICC(2,1): {values}.").format(values=icc) if icc else ""]
    if result.first_only:
        lines.append(_("Only the first has: {names}.").format(names=", ".join(result.first_only)))
    if result.second_only:
        lines.append(_("Only the second has: {names}.").format(names=", ".join(result.second_only)))
    return "\n".join(filter(None, [*lines, *result.notes]))


def _row(difference):
    if difference.difference is None:
        return difference.name, state_text(difference.state), "", "", ""
    return (difference.name, f"{difference.distance_mm:.2f}", *(f"{value:+.2f}" for value in difference.difference))
