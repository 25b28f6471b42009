"""The part of the panel that measures the curves of the list while it is edited."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LaminaLabelingGui import curve_work
from LaminaLabelingGui.curve_lines import CurveLines
from LaminaLabelingGui.panel_tools import ask, fillTable, prepareTable
from LaminaLabelingGui.session import listEvents
from LaminaLabelingGui.slot_grid import COLORS
from LaminaLabelingLib.curvature import LEAST_CURVE_DEG, measure
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Source
from LaminaLabelingLib.report_texts import angle_text, interval_text, region_text, side_text

PAUSE_MS = 30
"""Between two measurements: a drag changes the list more often than anybody can read."""

_UPPER, _APEX, _LOWER = 1, 2, 3
_SUGGESTED = "*"


class CurvePanel(VTKObservationMixin):
    """Shows the curves of the list that is edited, also in the middle of a drag; draws them, and writes the report.

    Parameters
    ----------
    ui : namespace of widgets
    session : LabelingSession
    settings : callable
        Returns the parameter node, None while the module is not shown.
    goTo : callable
        Chooses a slot and shows it in all views.
    """

    def __init__(self, ui, session, settings, goTo):
        VTKObservationMixin.__init__(self)
        self.ui, self.session = ui, session
        self._settings, self._goTo = settings, goTo
        self._list = None
        self._doubted, self._doubt = None, ""
        self._curves = ()
        self.measurement = None
        """What was measured last, None where nothing could be."""
        # Begun with the first of several changes and not anew with each: also a drag without a pause is followed.
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self.refresh)
        self.lines = CurveLines(self.changed)
        prepareTable(ui.curveTable, [_("Curve"), _("Upper"), _("Apex"), _("Lower"), _("Side"), _("Angle")])
        ui.curveTable.verticalHeader().setMinimumSectionSize(20)
        header = ui.curveTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        tips = (
            _("Region of the apex"),
            _("Upper end vertebra"),
            _("Vertebra farthest from the line between the end vertebrae"),
            _("Lower end vertebra"),
            _("To which the curve is convex"),
            _("Coronal angle between the end vertebrae, with its 95 % interval"),
        )
        for column, tip in enumerate(tips):
            ui.curveTable.horizontalHeaderItem(column).setToolTip(tip)
        ui.curveTable.cellClicked.connect(self.onCell)
        ui.curvesCollapsibleButton.contentsCollapsed.connect(lambda *_args: self.changed())  # rows have a height now
        ui.reportButton.clicked.connect(lambda *_args: self.chooseReport())
        session.onChanged.append(self.changed)

    def changed(self, caller=None, event=None):
        """Measure again, soon."""
        if not self._timer.isActive():
            self._timer.start()

    def leave(self):
        """Stop to follow the list, and take the lines away."""
        self._timer.stop()
        self._watch(None)
        self.lines.hide()

    def _watch(self, node):
        """Follow a list instead of the former one, also while a point is dragged or its transform changes."""
        if node is self._list:
            return
        self.removeObservers()
        self._list = node
        if node is not None:
            for event in (*listEvents(node), node.TransformModifiedEvent):
                self.addObserver(node, event, self.changed)

    # What is shown

    def refresh(self):
        """Measure the list as it is now, and show it."""
        settings = self._settings()
        if settings is None:
            self.leave()
            return
        self._watch(self.session.listNode)
        self.measurement, problem, names = None, "", {}
        if self.session.isOpen:
            try:
                laminae = curve_work.worldLaminae(self.session.listNode)
                self.measurement = curve_work.withDoubt(measure(laminae), self._currentDoubt())
            except LaminaError as error:
                problem = str(error)
        else:
            problem = _("Choose a list of laminae first.")
        if self.measurement is not None:
            marks = {True: _SUGGESTED, False: ""}
            names = {level.vertebra: level.vertebra + marks[level.is_suggested] for level in self.measurement.levels}
        self._show(problem, names)
        if settings.showEndLines and self.measurement is not None:
            self.lines.show(self.measurement, names.get)
        else:
            self.lines.hide()

    def _currentDoubt(self):
        """Return what `curve_work.doubtAbout` says of the scan, which takes too long to ask again and again."""
        scan = self.session.scanNode
        # Voxels that are changed in place stay where they are.
        now = None if scan is None else (scan.GetID(), scan.GetImageData(), scan.GetTransformNodeID(), scan.GetMTime())
        if now != self._doubted:
            self._doubted, self._doubt = now, curve_work.doubtAbout(scan)
        return self._doubt

    def _show(self, problem, names):
        """Write the measurement, or why there is none, into the panel."""
        ui, measurement = self.ui, self.measurement
        self._curves = () if measurement is None else measurement.curves
        if measurement is not None and not self._curves:
            problem = _("No curve of {least}° or more.").format(least=round(LEAST_CURVE_DEG))
        ui.curveProblemLabel.setText(problem)
        ui.curveProblemLabel.setVisible(bool(problem))
        self._fillTable(names)
        ui.sagittalLabel.setText("" if measurement is None else sagittalText(measurement))
        ui.sagittalLabel.setVisible(measurement is not None)
        notes = list(measurement.notes) if measurement is not None else []
        if any(name.endswith(_SUGGESTED) for name in names.values()):
            notes.append(_("{mark} a lamina of this vertebra is suggested.").format(mark=_SUGGESTED))
        ui.curveNotesLabel.setText("\n".join(notes))
        ui.curveNotesLabel.setVisible(bool(notes))
        shown = ", ".join(f"{curve.upper}–{curve.lower} {angle_text(curve.angle)}" for curve in self._curves)
        ui.curvesCollapsibleButton.setText(_("Curves: {curves}").format(curves=shown) if shown else _("Curves"))
        ui.reportButton.setEnabled(self.session.isOpen)

    def _fillTable(self, names):
        table = self.ui.curveTable
        fillTable(table, [_row(curve, names) for curve in self._curves])
        for row, curve in enumerate(self._curves):
            tip = _("95 % interval: {interval}").format(interval=interval_text(curve.angle))
            table.item(row, table.columnCount - 1).setToolTip(tip)
            for column, vertebra in _vertebrae(curve).items():
                if names[vertebra].endswith(_SUGGESTED):
                    table.item(row, column).setForeground(qt.QBrush(qt.QColor(COLORS[Source.inferred])))
                    table.item(row, column).setToolTip(_("{name}: suggested, not seen").format(name=vertebra))
        table.resizeRowsToContents()
        rows = sum(table.rowHeight(row) for row in range(len(self._curves)))
        table.setFixedHeight(table.horizontalHeader().height + rows + 2 * table.frameWidth)
        table.setVisible(bool(self._curves))

    def onCell(self, row, column):
        """Go to an end vertebra, or else to the apex, on the side that is worked on."""
        if row >= len(self._curves):
            return
        curve = self._curves[row]
        side = (self.session.selected or "L")[-1]
        self._goTo(_vertebrae(curve).get(column, curve.apex) + side)

    # The report

    def chooseReport(self):
        """Ask for a file, write the report, and offer to open it."""
        session = self.session
        proposed = curve_work.proposedReport(session.listNode, session.scanNode)
        dialog = qt.QFileDialog(slicer.util.mainWindow(), _("Report of the curves"), str(proposed.parent))
        dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
        dialog.setNameFilter(_("Report") + " (*.html)")
        dialog.setDefaultSuffix("html")
        dialog.setOption(qt.QFileDialog.DontConfirmOverwrite, True)  # there are three files to ask about
        dialog.selectFile(proposed.name)
        path = dialog.selectedFiles()[0] if dialog.exec_() else None
        dialog.deleteLater()
        if path:
            self.writeReport(path)

    def writeReport(self, path):
        """Write the report, after asking about files that would be replaced, and offer to open it."""
        from LaminaLabelingLib.report import report_files

        there, isWritten = [], False
        with slicer.util.tryWithErrorDisplay(_("The report could not be written.")):
            there = [file.name for file in report_files(path).values() if file.exists()]
        if there:
            question = _("{files} exist already.").format(files=", ".join(there))
            answers = (("keep", _("Keep them")), ("replace", _("Replace them")))
            if ask(question, answers, "keep") == "keep":
                return
        session, settings = self.session, self._settings()
        with slicer.util.tryWithErrorDisplay(_("The report could not be written."), waitCursor=True):
            earlier = settings.earlier if settings is not None else None
            curve_work.writeReport(session.listNode, path, session.scanNode, earlier, replaceFiles=bool(there))
            isWritten = True
        if isWritten:
            question = _("The report was written: {file}").format(file=Path(path).name)
            if ask(question, (("open", _("Open it")), ("close", _("Close"))), "close") == "open":
                qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))


def _vertebrae(curve):
    """Return the vertebrae of a curve by the column of the table that they stand in."""
    return {_UPPER: curve.upper, _APEX: curve.apex, _LOWER: curve.lower}


def _row(curve, names):
    vertebrae = (names[vertebra] for vertebra in _vertebrae(curve).values())
    region = region_text(curve.region).replace("/", "/\u200b")  # a line may end there
    return region, *vertebrae, side_text(curve.side), rangeText(curve.angle)


def rangeText(angle):
    """Return an angle with half of its 95 % interval, such as "27° ± 3°"."""
    return f"{angle_text(angle)} ± {1.96 * angle.sd:.0f}°"


def sagittalText(measurement):
    """Return kyphosis and lordosis in a line."""
    texts = []
    for angle, known, unknown in (
        (measurement.kyphosis, _("Kyphosis T1–T12: {angle}"), _("Kyphosis: T1 or T12 lacks a lamina")),
        (measurement.lordosis, _("Lordosis L1–L5: {angle}"), _("Lordosis: L1 or L5 lacks a lamina")),
    ):
        texts.append(unknown if angle is None else known.format(angle=rangeText(angle)))
    return "   ".join(texts)
