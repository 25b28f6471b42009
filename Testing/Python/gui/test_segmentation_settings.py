"""Models, the Python that computes and its packages, in the panel of LaminaSegmentation."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from gui_paths import ROOT
from packaging.requirements import Requirement

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.model_list import shipped_models

SHIPPED = ROOT / "LaminaSegmentation" / "Resources" / "Models" / "simulated-unet"
SEGMENT, TRAIN = "segment", "train"


@pytest.fixture
def installation_file(host):
    """The file that is tested; it needs the application to be imported."""
    from LaminaSegmentationGui import installation

    return installation


@pytest.fixture
def widget(host, slicer):
    made = host.select_module("LaminaSegmentation")
    made.ui.settingsCollapsibleButton.collapsed = False
    host.wait_until(lambda: not made.settingsPanel.isRunning)
    yield made
    made.settingsPanel.cancel("")
    for name in ("Models", "Python"):
        slicer.app.settings().remove(f"LaminaUltrasound/{name}")
    made.segmentPanel.fillModels()
    made.settingsPanel.check("")
    host.wait_until(lambda: not made.settingsPanel.isRunning)
    host.select_module("LaminaLabeling")


@pytest.fixture
def model(tmp_path):
    """A model that was trained elsewhere: a copy of the shipped one under another name."""
    folder = tmp_path / "ours"
    shutil.copytree(SHIPPED, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "name": "ours", "title": "A network of ours"}))
    return folder


def chosen(combo):
    return combo.itemData(combo.currentIndex)


# Models


def test_a_model_that_was_added_is_chosen_and_runs(widget, model):
    widget.settingsPanel.addModel(model)
    assert chosen(widget.ui.modelComboBox) == "ours"
    assert widget.ui.cardLabel.text.startswith("A network of ours")
    assert widget.logic.models.argumentOf("ours") == str(model)
    assert widget.ui.removeModelButton.enabled


def test_a_model_is_added_once_and_another_of_its_name_gets_a_number(widget, model, tmp_path):
    other = tmp_path / "copy"
    shutil.copytree(model, other)
    models = widget.logic.models
    assert [models.add(model), models.add(model), models.add(other)] == ["ours", "ours", "ours (2)"]
    assert models.names() == [*shipped_models(), "ours", "ours (2)"]


def test_a_model_that_was_removed_from_the_list_stays_on_disk(widget, model, host):
    widget.settingsPanel.addModel(model)
    host.click(widget.ui.removeModelButton)
    assert widget.logic.models.names() == shipped_models()
    assert (model / "model.weights.h5").is_file()
    assert not widget.ui.removeModelButton.enabled


def test_a_model_whose_folder_has_gone_is_not_offered(widget, model):
    widget.settingsPanel.addModel(model)
    shutil.rmtree(model)
    widget.segmentPanel.fillModels()
    assert widget.logic.models.names() == shipped_models()
    with pytest.raises(LaminaError, match='The model "ours" is no longer on this computer'):
        widget.logic.models.argumentOf("ours")


def test_a_folder_without_a_model_is_a_sentence(widget, tmp_path):
    with pytest.raises(LaminaError, match="There is no model in the folder"):
        widget.settingsPanel.addModel(tmp_path)
    assert widget.logic.models.names() == shipped_models()


# Python


def test_the_device_is_shown(widget):
    assert f"{os.cpu_count()} cores" in widget.ui.deviceLabel.text
    assert widget.ui.pythonLabel.text.startswith("Slicer's own Python computes.")


def test_another_python_is_checked_and_then_runs_the_commands(widget, host, slicer):
    path = sys.executable
    widget.settingsPanel.check(path)
    assert widget.ui.pythonLabel.text == "Checking Python..."
    host.wait_until(lambda: not widget.settingsPanel.isRunning)
    assert widget.ui.pythonLabel.text.splitlines()[1] == "It can segment and train."
    how = widget.logic.installation.how(TRAIN)
    assert how["program"] == [path, "-m", "LaminaSegmentationLib"]
    assert how["environment"]["PATH"] == os.environ["PATH"]
    command = widget.logic.installation.command(SEGMENT, lambda event: None)
    command.start(["split", "--data", "nowhere.json", "-o", "x.json", "--json"])
    with pytest.raises(LaminaError, match="There is no file"):
        host.wait_until(lambda: command.poll() is not None)
    host.click(widget.ui.ownPythonButton)
    host.wait_until(lambda: not widget.settingsPanel.isRunning)
    assert widget.logic.installation.how(TRAIN)["program"] is None


def test_a_python_that_lacks_packages_is_refused_with_the_command_that_helps(widget, host, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    bare = str(tmp_path / "bare" / "bin" / "python")
    widget.settingsPanel.check(bare)
    host.wait_until(lambda: not widget.settingsPanel.isRunning)
    text = widget.ui.pythonLabel.text
    assert text.startswith("This Python lacks packages. Install them with:")
    assert f'"{bare}" -m pip install' in text
    assert '"openvino>=2024.6"' in text
    assert widget.logic.installation.python == ""


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("#!/bin/sh\necho not a Python\nexit 3\n", "ended unexpectedly (3)"),
        ('#!/bin/sh\necho \'{"event": "result", "python": "3.8.1", "supported": false}\'\n', "This is Python 3.8.1"),
    ],
)
def test_a_program_that_is_no_usable_python_is_a_sentence(widget, host, tmp_path, script, sentence):
    program = tmp_path / "python"
    program.write_text(script)
    program.chmod(0o755)
    widget.settingsPanel.check(str(program))
    host.wait_until(lambda: not widget.settingsPanel.isRunning)
    assert sentence in widget.ui.pythonLabel.text
    assert widget.logic.installation.python == ""
    host.take_slot_errors()


def test_a_python_that_was_uninstalled_is_not_used(widget, host, slicer, tmp_path):
    report = {"supported": True, "missing_for_segmenting": [], "missing_for_training": []}
    program = tmp_path / "python"
    program.write_text("")
    widget.logic.installation.choosePython(str(program), report)
    assert widget.logic.installation.usesOther(TRAIN)
    program.unlink()
    assert not widget.logic.installation.usesOther(TRAIN)


def test_a_python_without_tensorflow_segments_but_does_not_train(widget, tmp_path):
    program = tmp_path / "python"
    program.write_text("")
    report = {"supported": True, "missing_for_segmenting": [], "missing_for_training": ["tensorflow>=2.18"]}
    installation = widget.logic.installation
    installation.choosePython(str(program), report)
    assert installation.how(SEGMENT)["program"][0] == str(program)
    assert installation.how(TRAIN)["program"] is None


# Packages


@pytest.fixture
def missing(widget, monkeypatch):
    """An installation that lacks a package."""
    installation = widget.logic.installation
    monkeypatch.setattr(installation, "requirements", lambda purpose=SEGMENT: [Requirement("no-such-package>=1.0")])
    return installation


def test_the_question_says_how_large_the_download_is(monkeypatch, installation_file):
    installQuestion = installation_file.installQuestion
    monkeypatch.setattr(installation_file.platform, "system", lambda: "Linux")
    both = [Requirement("openvino"), Requirement("tensorflow")]
    assert "about 100 MB" in installQuestion(both[:1], SEGMENT)
    assert "about 690 MB" in installQuestion(both, TRAIN)
    assert "about 590 MB" in installQuestion(both[1:], TRAIN)
    monkeypatch.setattr(installation_file.platform, "system", lambda: "Windows")
    assert "about 115 MB" in installQuestion(both[:1], SEGMENT)
    assert "no GPU" in installQuestion(both, TRAIN)


def test_what_tensorflow_cannot_do_is_told_by_platform(installation_file):
    trainingObstacle, trainingNote = installation_file.trainingObstacle, installation_file.trainingNote
    assert "Intel" in trainingObstacle("Darwin", "x86_64")
    assert not trainingObstacle("Darwin", "arm64")
    assert not trainingObstacle("Linux", "x86_64")
    assert "WSL2" in trainingNote("Windows")
    assert not trainingNote("Linux")


def test_a_mac_with_an_intel_processor_is_told_before_anything_is_installed(missing, monkeypatch, installation_file):
    monkeypatch.setattr(installation_file.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(installation_file.platform, "machine", lambda: "x86_64")
    with pytest.raises(LaminaError, match="no build for Macs with an Intel processor"):
        missing.ensurePackages(TRAIN)


def test_declining_installs_nothing(missing, monkeypatch, slicer):
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, *a, **k: bool(asked.append(text)))
    slicer.app.setTestingEnabled(False)
    try:
        with pytest.raises(LaminaError, match="were not installed"):
            missing.ensurePackages(SEGMENT)
    finally:
        slicer.app.setTestingEnabled(True)
    assert "MB to download" in asked[0]


def test_wheels_are_installed_from_a_folder_without_a_network(missing, monkeypatch, slicer, tmp_path):
    installed = []
    monkeypatch.setattr(slicer.packaging, "pip_install", lambda arguments, **options: installed.append(arguments))
    monkeypatch.setattr(missing, "_require", lambda purpose: None)
    (tmp_path / "no_such_package-1.0-py3-none-any.whl").write_bytes(b"")
    missing.installFromFolder(tmp_path)
    assert installed == [["--no-index", "--find-links", str(tmp_path), "no-such-package>=1.0"]]


def test_a_folder_without_wheels_says_how_to_fill_it(missing, tmp_path):
    with pytest.raises(LaminaError, match="pip download --only-binary=:all: --python-version") as told:
        missing.installFromFolder(tmp_path)
    assert str(told.value).endswith('-d wheels "no-such-package>=1.0"')


def test_wheels_that_do_not_fit_are_a_sentence(missing, monkeypatch, slicer, tmp_path):
    def fail(arguments, **options):
        raise subprocess.CalledProcessError(1, "pip install")

    monkeypatch.setattr(slicer.packaging, "pip_install", fail)
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"")
    with pytest.raises(LaminaError, match="lacks packages, or its wheels are for another system"):
        missing.installFromFolder(tmp_path)
