"""The Python that computes, Slicer's own or another one, and the packages that it needs."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

from LaminaLabelingLib.case_files import is_file
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import python_check
from LaminaSegmentationLib.worker import LaminaCommand

SEGMENT, TRAIN = "segment", "train"

_RESOURCES = Path(__file__).parents[1] / "Resources"
_FILES = {SEGMENT: ("requirements.txt",), TRAIN: ("requirements.txt", "requirements-training.txt")}
_SETTING = "LaminaUltrasound/Python"

DOWNLOAD_MB = {"Linux": (100, 590), "Windows": (115, 380), "Darwin": (65, 260)}
"""What pip downloads for Python 3.12 beside what Slicer brings, for segmenting and for training in addition, in MB.

Measured with ``pip download`` in November 2026 (OpenVINO 2026.4.1, TensorFlow 2.21.0).
"""


class Installation:
    """Says which program runs a command and sees to its packages.

    Attributes
    ----------
    program : list of str or None
        Runs instead of ``python -m LaminaSegmentationLib`` if it is not None.
    """

    def __init__(self):
        self.program = None

    # Which Python

    @property
    def python(self):
        """The path of the other Python that was chosen and checked; empty for Slicer's own."""
        return self._stored().get("path", "")

    def report(self):
        """Return what the check of the other Python said, an empty dict for Slicer's own."""
        return self._stored().get("report", {})

    def usesOther(self, purpose):
        """Return whether the other Python runs the commands of a purpose: it must have all the packages for it."""
        report = self.report()
        lacks = report.get("missing_for_segmenting", []) + (
            report.get("missing_for_training", []) if purpose == TRAIN else []
        )
        return bool(self.python) and bool(report.get("supported")) and not lacks

    def command(self, purpose, onEvent):
        """Return a LaminaCommand, not started, that runs with the right Python."""
        return LaminaCommand(onEvent, **self.how(purpose))

    def how(self, purpose):
        """Return the arguments ``program`` and ``environment`` of the worker's classes."""
        if self.program is not None:
            return {"program": self.program, "environment": None}
        if self.usesOther(purpose):
            # Slicer's variables name Slicer's own libraries, which another Python must not load.
            environment = dict(slicer.util.startupEnvironment())
            return {"program": [self.python, "-m", "LaminaSegmentationLib"], "environment": environment}
        return {"program": None, "environment": None}

    def startCheck(self, path):
        """Start to check a Python; the command's ``poll`` returns the report in the end.

        Parameters
        ----------
        path : str
            Of its executable; empty for Slicer's own.
        """
        environment = dict(slicer.util.startupEnvironment()) if path else None
        arguments = [str(_RESOURCES / name) for name in _FILES[TRAIN]]
        command = LaminaCommand(lambda event: None, [path or sys.executable, python_check.__file__], environment)
        command.start(arguments)
        return command

    def choosePython(self, path, report):
        """Use another Python from now on, as its check allows; an empty path is Slicer's own.

        Raises LaminaError, and leaves the choice as it was, if it can neither segment nor train.
        """
        if not path:
            slicer.app.settings().remove(_SETTING)
            return
        if path == self.python:  # it may have lost its packages since
            slicer.app.settings().setValue(_SETTING, json.dumps({"path": path, "report": report}))
        if not report.get("supported"):
            raise LaminaError(
                _("This is Python {version}: choose one from 3.11 to 3.13.").format(version=report.get("python", "?"))
            )
        lacking = report["missing_for_segmenting"]
        if lacking:
            raise LaminaError(
                _("This Python lacks packages. Install them with: {command}").format(
                    command=f'"{path}" -m pip install ' + " ".join(f'"{name}"' for name in lacking)
                )
            )
        slicer.app.settings().setValue(_SETTING, json.dumps({"path": path, "report": report}))

    @staticmethod
    def _stored():
        try:
            stored = json.loads(slicer.app.settings().value(_SETTING) or "{}")
        except ValueError:
            return {}
        # One that was uninstalled in the meantime is not used.
        return stored if isinstance(stored, dict) and is_file(Path(stored.get("path", ""))) else {}

    # Packages of Slicer's own

    def requirements(self, purpose=SEGMENT):
        """Return the Python packages that a purpose needs."""
        return [
            requirement
            for name in _FILES[purpose]
            for requirement in slicer.packaging.load_requirements(_RESOURCES / name)
        ]

    def missing(self, purpose=SEGMENT):
        """Return those that are not installed, none if another Python does the work."""
        if self.program is not None or self.usesOther(purpose):
            return []
        return [
            requirement for requirement in self.requirements(purpose) if not slicer.packaging.pip_check(requirement)
        ]

    def ensurePackages(self, purpose=SEGMENT):
        """Install what a purpose needs, after asking; raise LaminaError without it."""
        missing = self.missing(purpose)
        if not missing:
            return
        if purpose == TRAIN and (obstacle := trainingObstacle()):
            raise LaminaError(obstacle)
        if not slicer.app.testingEnabled() and not slicer.util.confirmOkCancelDisplay(
            installQuestion(missing, purpose), _("Lamina Segmentation"), detailedText="\n".join(map(str, missing))
        ):
            raise LaminaError(_("The Python packages were not installed. Nothing was changed."))
        try:
            slicer.packaging.pip_ensure(missing, prompt_install=False, requester=_("Lamina Segmentation"))
        except RuntimeError as error:
            raise LaminaError(_("The Python packages were not installed: {error}").format(error=error)) from error
        except subprocess.CalledProcessError as error:  # after a dialog with pip's log
            raise LaminaError(
                _(
                    "The Python packages could not be installed: is the computer online? Without a network, use "
                    '"Install from folder..." under Settings.'
                )
            ) from error
        self._require(purpose)

    def installFromFolder(self, folder, purpose=SEGMENT):
        """Install what a purpose needs from a folder of wheels, without a network; raise LaminaError if that fails."""
        missing = self.missing(purpose)
        if not any(Path(folder).glob("*.whl")):
            raise LaminaError(
                _(
                    'There is no wheel in the folder "{name}". On a computer of the same kind that is online, fill it '
                    "with: {command}"
                ).format(name=Path(folder).name, command=downloadCommand(missing or self.requirements(purpose)))
            )
        if not missing:
            return
        try:
            slicer.packaging.pip_install(
                ["--no-index", "--find-links", str(folder), *map(str, missing)], requester=_("Lamina Segmentation")
            )
        except subprocess.CalledProcessError as error:
            raise LaminaError(
                _(
                    "The folder lacks packages, or its wheels are for another system or Python. On a computer of the "
                    "same kind that is online, fill it with: {command}"
                ).format(command=downloadCommand(missing or self.requirements(purpose)))
            ) from error
        self._require(purpose)

    def _require(self, purpose):
        """Raise LaminaError if something is missing: in testing mode nothing is installed, and nothing raised."""
        if missing := self.missing(purpose):
            raise LaminaError(_("Python packages are missing: {names}").format(names=", ".join(map(str, missing))))


def installQuestion(missing, purpose):
    """Return the question before packages are installed: what, how large, for what."""
    what = {
        SEGMENT: _("Finding laminae needs {count} Python packages, about {size} MB to download."),
        TRAIN: _("Training needs {count} Python packages, TensorFlow among them: about {size} MB to download."),
    }[purpose]
    names = {requirement.name for requirement in missing}
    sizes = DOWNLOAD_MB.get(platform.system(), DOWNLOAD_MB["Linux"])
    size = ("openvino" in names or purpose == SEGMENT) * sizes[0] + (purpose == TRAIN) * sizes[1]
    return "\n\n".join(
        (
            what.format(count=len(missing), size=size),
            _("They are installed into this Slicer once. Nothing about your scans is sent. Install them now?"),
            *filter(None, [trainingNote() if purpose == TRAIN else ""]),
        )
    )


def downloadCommand(requirements):
    """Return the command that fills a folder with wheels for an offline installation into this Slicer."""
    names = " ".join(f'"{requirement}"' for requirement in requirements)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"python -m pip download --only-binary=:all: --python-version {version} -d wheels {names}"


def trainingObstacle(system=None, machine=None):
    """Return why Slicer's own Python cannot train on this kind of computer, an empty string if it can."""
    if (system or platform.system()) == "Darwin" and (machine or platform.machine()) == "x86_64":
        return _(
            "TensorFlow has no build for Macs with an Intel processor: train on another computer, and add the model "
            'here with "Add model...". Finding laminae works on this one.'
        )
    return ""


def trainingNote(system=None):
    """Return what to know about training on this kind of computer, an empty string if nothing."""
    if (system or platform.system()) == "Windows":
        return _(
            "On Windows TensorFlow uses no GPU: training takes the processor. For a GPU, train on Linux or in WSL2, "
            'and add the model here with "Add model...".'
        )
    return ""
