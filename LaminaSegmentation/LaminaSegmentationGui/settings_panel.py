"""The part of the panel about models, the Python that computes, and its packages."""

import qt
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import chosenKey, sentenceIn
from LaminaSegmentationGui.installation import SEGMENT, TRAIN
from LaminaSegmentationGui.job_timer import JobTimer


class SettingsPanel:
    """Adds and removes models, shows the device, chooses and checks the Python that computes.

    Parameters
    ----------
    ui : namespace of widgets
    logic : LaminaSegmentationLogic
    chooseModel : callable
        Called with the name of a model that was added.
    """

    def __init__(self, ui, logic, chooseModel):
        self.ui, self.logic, self._chooseModel = ui, logic, chooseModel
        self._command, self._path = None, ""
        self._device = {}
        self._timer = JobTimer(_("This Python could not be checked."), self.onChecked, self.onFailure)
        for button, action in (
            (ui.addModelButton, self.askForModel),
            (ui.removeModelButton, self.removeModel),
            (ui.choosePythonButton, self.askForPython),
            (ui.ownPythonButton, lambda: self.check("")),
            (ui.installFolderButton, self.askForWheels),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        ui.engineComboBox.currentIndexChanged.connect(lambda *_args: self.showDevice())
        self.show()

    @property
    def isRunning(self):
        """Whether a Python is being checked."""
        return self._timer.isActive

    def enter(self):
        """Find out what this computer has, once."""
        if not self._device and not self._timer.isActive:
            self.check(self.logic.installation.python)

    # Models

    def askForModel(self):
        """Ask for the folder of a model and add it."""
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of a trained model"))
        if folder:
            self.addModel(folder)

    def addModel(self, folder):
        """Add a model to the list and choose it."""
        with slicer.util.tryWithErrorDisplay(_("The model could not be added.")):
            self._chooseModel(self.logic.models.add(folder))

    def removeModel(self):
        """Take the chosen model off the list; its files stay."""
        with slicer.util.tryWithErrorDisplay(_("The model could not be taken off the list.")):
            self.logic.models.remove(chosenKey(self.ui.modelComboBox))

    # Python

    def askForPython(self):
        """Ask for another Python and check it."""
        answer = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Python of another installation"), self.logic.installation.python
        )
        path = answer[0] if isinstance(answer, tuple) else answer
        if path:
            self.check(path)

    def check(self, path):
        """Check a Python, and use it if it can; an empty path is Slicer's own."""
        self.cancel("")
        self._path = path
        self.ui.pythonLabel.setText(_("Checking Python..."))
        self._timer.begin(self._start, lambda: self._command.poll())

    def cancel(self, text):
        """End a check that runs."""
        self._timer.stop()
        if self._command is not None:
            self._command.cancel()
            self._command = None

    def onChecked(self, report):
        """Use the Python that was checked, or say what it lacks."""
        self._command.close()
        self._command = None
        with sentenceIn(self.ui.pythonLabel):
            self.logic.installation.choosePython(self._path, report)
            self._device = report
            self.show()

    def onFailure(self, sentence):
        """Say what went wrong; the Python that was used before is used further."""
        self.cancel("")
        self.ui.pythonLabel.setText(sentence)

    def _start(self):
        self._command = self.logic.installation.startCheck(self._path)

    # Packages

    def askForWheels(self):
        """Ask for a folder of wheels and install from it."""
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of wheels"))
        if folder:
            self.installFrom(folder)

    def installFrom(self, folder):
        """Install the packages from a folder: those for training too, if it holds TensorFlow."""
        with slicer.util.tryWithErrorDisplay(_("The packages could not be installed.")):
            self.logic.installation.installFromFolder(folder, SEGMENT)
            if any(qt.QDir(folder).entryList(["tensorflow-*.whl"])):
                self.logic.installation.installFromFolder(folder, TRAIN)
            self.show()

    # Showing

    def show(self):
        """Say which Python computes and on what."""
        installation = self.logic.installation
        path, report = installation.python, installation.report()
        lines = [_("Slicer's own Python computes.")]
        if path:
            training = report.get("missing_for_training")
            lines = [_("{path} (Python {version})").format(path=path, version=report.get("python", "?"))]
            lines.append(
                _("It can segment; for training it lacks {names}: Slicer's own trains.").format(
                    names=", ".join(training)
                )
                if training
                else _("It can segment and train.")
            )
        else:
            missing = installation.missing(SEGMENT)
            if missing:
                lines.append(
                    _("Packages that will be installed at the first use: {names}.").format(
                        names=", ".join(requirement.name for requirement in missing)
                    )
                )
        self.ui.pythonLabel.setText("\n".join(lines))
        self.ui.ownPythonButton.setEnabled(bool(path))
        self.showDevice()

    def showDevice(self):
        """Say on what the network will run with the chosen engine."""
        report, engine = self._device, chosenKey(self.ui.engineComboBox)
        if not report:
            self.ui.deviceLabel.setText("")
            return
        cpu = _("{name}, {cores} cores").format(name=report["processor"], cores=report["cores"])
        tensorflow = not report["missing_for_training"]
        if report["gpu"] and tensorflow and engine != "openvino":
            text = report["gpu"]
        elif report["gpu"] and engine != "openvino":
            text = _("{cpu} (the {gpu} needs TensorFlow, which is not installed)").format(cpu=cpu, gpu=report["gpu"])
        else:
            text = cpu
        self.ui.deviceLabel.setText(text)
