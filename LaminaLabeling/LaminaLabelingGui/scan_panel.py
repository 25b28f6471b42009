"""The parts of the panel about the scan: views, vertebrae, orientation, import and export."""

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import decision_nodes, scan_nodes
from LaminaLabelingGui.panel_tools import ask, chooseKey, chosenKey, fillCombo
from LaminaLabelingGui.views import SLAB_TYPES, slabText
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.decisions import read_decisions
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.labels_import import (
    MirroredLabelsError,
    OtherScanError,
    export_labels,
    import_labels,
)

# Axis codes of scans that lie as patients do, as many scanners store them; others can be typed.
_COMMON_CODES = ("auto", "LPS", "RAS", "LAS", "RIA", "LSA", "RSP", "LIP")
_FILES = "*.mrk.json *.json *.csv *.seg.nrrd *.nrrd *.nii *.nii.gz *.mha"


class ScanPanel:
    """Shows and changes how the scan is seen, and what its vertebrae are called.

    Parameters
    ----------
    ui : namespace of widgets
    session : LabelingSession
    cases : CaseWork
    views : LabelingViews
    settings : callable
        Returns the parameter node, None while the module is not shown.
    say : callable
        Shows a sentence under the prompt.
    """

    def __init__(self, ui, session, cases, views, settings, say):
        self.ui, self.session, self.cases, self.views = ui, session, cases, views
        self._settings, self._say = settings, say
        self.shownScan = None
        fillCombo(ui.slabTypeComboBox, [(kind, slabText(kind)) for kind in SLAB_TYPES])
        names = {"ultrasound": _("Ultrasound"), "bone": _("Bone surfaces"), "soft": _("Soft tissue")}
        fillCombo(ui.windowComboBox, [("", _("as it is")), *((key, names[key]) for key in scan_nodes.WINDOW_PRESETS)])
        ui.axesComboBox.addItems(list(_COMMON_CODES))
        ui.axesComboBox.setFocusPolicy(qt.Qt.ClickFocus)
        ui.slabTypeComboBox.currentIndexChanged.connect(lambda *_args: self.onSlabType())
        ui.windowComboBox.currentIndexChanged.connect(lambda *_args: self.onWindow())
        ui.thoracicSpinBox.valueChanged.connect(lambda *_args: self.onVariant())
        ui.lumbarSpinBox.valueChanged.connect(lambda *_args: self.onVariant())
        for button, action in (
            (ui.fitButton, views.fit),
            (ui.renumberButton, self.renumber),
            (ui.rangeButton, self.setRange),
            (ui.swapButton, session.swapSides),
            (ui.axesButton, self.applyAxes),
            (ui.flipButton, self.flip),
            (ui.importButton, self.chooseImport),
            (ui.exportButton, self.chooseExport),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        session.onChanged.append(self.refreshVertebrae)
        self._vertebrae = None

    # Views

    def applySettings(self, settings):
        """Take over what is set in the parameter node."""
        chooseKey(self.ui.slabTypeComboBox, settings.slabType)
        self.views.setFromBehind(settings.fromBehind)
        self.views.setSlab(settings.slabThickness, settings.slabType)

    def onSlabType(self):
        """Show the mean or the maximum of the slab."""
        self._settings().slabType = chosenKey(self.ui.slabTypeComboBox)

    def onWindow(self):
        """Set window and level of the scan."""
        preset = chosenKey(self.ui.windowComboBox)
        if preset and self.session.scanNode is not None:
            scan_nodes.showWindow(self.session.scanNode, preset)

    def showScan(self, volumeNode):
        """Show a scan in all views, bright as ultrasound, and say if its directions cannot be a patient's."""
        self.shownScan = volumeNode
        if volumeNode is not None and volumeNode.GetImageData() is not None:
            slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
            self.views.showAgain()
            display = volumeNode.GetDisplayNode()
            untouched = display is None or display.GetAutoWindowLevel()
            if untouched:  # what a user has set stays
                scan_nodes.showWindow(volumeNode, "ultrasound")
            chooseKey(self.ui.windowComboBox, "ultrasound" if untouched else "")
        self.showOrientation()

    def showOrientation(self):
        """Show which way round the scan is taken to be."""
        scan = self.session.scanNode
        if scan is None or scan.GetImageData() is None:
            self.ui.orientationLabel.setText("")
            return
        code = scan_nodes.axesOf(scan)
        turned = scan.GetParentTransformNode() is not None
        doubt = "" if turned else scan_nodes.axesDoubt(scan)
        text = _("The scan's i, j and k run to {code}.").format(code=", ".join(code))
        self.ui.orientationLabel.setText(f"{text} {doubt}".strip())
        if doubt:
            self.ui.orientationCollapsibleButton.collapsed = False

    # Vertebrae

    def refreshVertebrae(self):
        """Show the numbering of the list."""
        laminae, ui = self.session.laminae, self.ui
        shown = (laminae.is_provisional, laminae.numbering, self.session.isOpen)
        if shown == self._vertebrae:
            return
        self._vertebrae = shown
        numbering = laminae.numbering
        for box, value in ((ui.thoracicSpinBox, numbering.thoracic), (ui.lumbarSpinBox, numbering.lumbar)):
            blocked = box.blockSignals(True)
            box.setValue(value)
            box.setEnabled(self.session.isOpen and not laminae.is_provisional)
            box.blockSignals(blocked)
        names = [(name, name) for name in numbering.vertebrae]
        fillCombo(ui.renumberComboBox, names, "T12")
        fillCombo(ui.firstComboBox, names, names[0][0])
        fillCombo(ui.lastComboBox, names, names[-1][0])
        for button in (ui.renumberButton, ui.swapButton):
            button.setEnabled(self.session.isOpen)
        ui.rangeButton.setEnabled(self.session.isOpen and not laminae.is_provisional)

    def onVariant(self):
        """Take another number of vertebrae."""
        try:
            self.session.setNumbering(self.ui.thoracicSpinBox.value, self.ui.lumbarSpinBox.value)
        except LaminaError as error:
            self._say(str(error))
        self._vertebrae = None
        self.refreshVertebrae()

    def renumber(self):
        """Say that the chosen pair is another vertebra."""
        with slicer.util.tryWithErrorDisplay(_("The vertebrae could not be renumbered.")):
            if self.session.selected is None:
                raise LaminaError(_("Choose a slot of the pair first."))
            self.session.renumber(self.session.selected[:-1], chosenKey(self.ui.renumberComboBox))

    def setRange(self):
        """Say which vertebrae a partial scan shows."""
        with slicer.util.tryWithErrorDisplay(_("The range could not be set.")):
            self.session.setScanRange(chosenKey(self.ui.firstComboBox), chosenKey(self.ui.lastComboBox))

    # Orientation

    def applyAxes(self):
        """Turn the scan into patient axes by the code that stands in the box."""
        with slicer.util.tryWithErrorDisplay(_("The axes could not be set.")):
            self._needScan()
            code, warnings = scan_nodes.checkedAxes(self.session.scanNode, self.ui.axesComboBox.currentText)
            self._setAxes(code)
            if warnings:
                self.ui.orientationLabel.setText("\n".join(warnings))

    def flip(self):
        """Exchange left and right of a scan that was reconstructed mirrored."""
        with slicer.util.tryWithErrorDisplay(_("The scan could not be flipped.")):
            self._needScan()
            self._setAxes(scan_nodes.flippedAxes(scan_nodes.axesOf(self.session.scanNode)))
            if self.session.laminae.positions():
                hint = _("Laminae that were named on the mirrored scan: exchange left and right under Vertebrae.")
                self.ui.orientationLabel.setText(f"{self.ui.orientationLabel.text} {hint}")

    def _setAxes(self, code):
        self.cases.setAxes(code)
        self.ui.axesComboBox.setCurrentText(code)
        self.views.fit()
        if self.session.isOpen:
            self.session.select(self.session.selected)  # the checks look anew
        self.views.jump(self.session.placeOf(self.session.selected))
        self.showOrientation()

    def _needScan(self):
        if self.session.scanNode is None or self.session.scanNode.GetImageData() is None:
            raise LaminaError(_("Choose a scan first."))

    # Files

    def chooseImport(self):
        """Ask for a file and take its laminae."""
        kinds = _("Laminae") + f" ({_FILES})"
        answer = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Laminae to import"), "", kinds)
        if path := _pathOf(answer):
            self.importFile(path)

    def importFile(self, path):
        """Take the laminae of a file, as one edit that can be undone."""
        with slicer.util.tryWithErrorDisplay(_("The laminae could not be imported.")):
            if not self.session.isOpen:
                raise LaminaError(_("Choose or make a list of laminae first."))
            imported = self._imported(path)
            if imported is None:
                return
            listNode = self.session.listNode
            move = scan_nodes.between(self.session.scanNode or listNode, listNode)
            decision_nodes.carryOver(read_decisions(path), listNode, move)
            self.session.labeling.replace(self.session.fromScan(imported.laminae), _("import"))
            if imported.warnings:
                slicer.util.warningDisplay("\n".join(imported.warnings), windowTitle=_("Lamina Labeling"))

    def _volume(self):
        """Return the scan in the axes that were chosen for it, None without one."""
        scan = self.session.scanNode
        return None if scan is None else scan_nodes.volumeOf(scan, scan_nodes.axesOf(scan))

    def _imported(self, path):
        """Read a file, and ask where it does not fit the scan; None if the user would rather not."""
        volume, laminae = self._volume(), self.session.laminae
        # The usual numbering of an empty list was not chosen by anybody.
        isChosen = not laminae.is_provisional and (laminae.positions() or laminae.numbering != Numbering())
        numbering = laminae.numbering if isChosen else None
        leave = ("leave", _("Do not import"))
        try:
            return import_labels(path, volume, numbering)
        except MirroredLabelsError as error:
            answers = (leave, ("turn", _("Turn them round")), ("import", _("Import as they are")))
            options = {"turn": {"turned_round": True}, "import": {"as_is": True}}
            question = str(error)
        except OtherScanError as error:
            answers = (leave, ("import", _("Import anyway")))
            options = {"import": {"any_scan": True}}
            question = str(error)
        answer = ask(question, answers, "leave")
        if answer == "leave":
            if slicer.app.testingEnabled():
                raise LaminaError(question)  # where nobody can be asked, nothing is imported unsaid
            return None
        return import_labels(path, volume, numbering, **options[answer])

    def chooseExport(self):
        """Ask for a file and write the laminae to it."""
        name = self.session.listNode.GetName() if self.session.isOpen else "laminae"
        kinds = _("Laminae") + f" ({_FILES})"
        answer = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export laminae"), f"{name}.mrk.json", kinds
        )
        if path := _pathOf(answer):
            self.exportFile(path, overwrite=True)  # the dialog has asked

    def exportFile(self, path, overwrite=False):
        """Write the laminae in the format that the name says."""
        with slicer.util.tryWithErrorDisplay(_("The laminae could not be exported.")):
            if not self.session.isOpen:
                raise LaminaError(_("There is no list of laminae to export."))
            written = export_labels(self.session.scanLaminae(), self._volume(), path, overwrite=overwrite)
            self._say(_("Written: {file}").format(file=written.name))


def _pathOf(answer):
    """Return the path that a file dialog gives: PythonQt returns it alone, others with the filter."""
    return answer[0] if isinstance(answer, tuple) else answer
