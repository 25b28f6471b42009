"""Training from the panel with the real commands: four tiny cases, two epochs, and a model that segments."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gui_paths import FAKE_TRAINING
from training_cases import make_cases

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node
from LaminaSegmentationLib.training_run import PLANNED, TrainingSettings, plan_run, read_run, write_run
from LaminaSegmentationLib.worker import child_environment

SECONDS = 200


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """A case folder of four tiny simulated scans that "anna" has labeled, and a fifth with a damaged file."""
    return make_cases(tmp_path_factory.mktemp("cases"))


class Trainer:
    """The training part of the panel in the hands of a researcher."""

    def __init__(self, host, folder):
        self.host, self.folder = host, folder
        self.widget = host.select_module("LaminaSegmentation")
        self.panel, self.work = self.widget.trainPanel, self.widget.logic.training
        self.ui = self.panel.ui
        self.widget.ui.trainCollapsibleButton.collapsed = False
        self.panel.confirm = lambda estimate: True

    def fill_in(self, cases, name="tiny", epochs=2):
        self.panel.casesPanel.choose(cases)
        self.panel.openRun(self.folder)
        self.ui.nameEdit.setText(name)
        self.ui.epochsSpinBox.setValue(epochs)
        self.ui.rowsSpinBox.setValue(32)
        self.ui.presetComboBox.setCurrentIndex(0)
        for spin, share in zip((self.ui.trainingSpinBox, self.ui.validationSpinBox, self.ui.testSpinBox), (2, 1, 1)):
            spin.setValue(share)
        self.ui.moreCollapsibleButton.collapsed = False
        self.ui.backendComboBox.setCurrentIndex(self.ui.backendComboBox.findData("torch"))

    def pretend(self):
        """Only pretend to train: for tests of what surrounds a training."""
        self.widget.logic.installation.program = [sys.executable, str(FAKE_TRAINING)]

    def click(self, button):
        self.host.click(button)

    def wait(self):
        self.host.wait_until(lambda: not self.panel.isRunning, timeout=SECONDS)
        self.host.process_events()

    def wait_for_epoch(self, number):
        self.host.wait_until(lambda: len(self.panel.charts.rows) >= number, timeout=SECONDS)

    def notes(self):
        table = self.ui.casesTable
        return {table.item(row, 0).text(): table.item(row, 3).text() for row in range(table.rowCount)}


@pytest.fixture
def trainer(host, slicer, tmp_path):
    made = Trainer(host, tmp_path / "run")
    yield made
    made.panel.cancel("")
    made.widget.logic.installation.program = None
    made.ui.chartButton.setChecked(False)
    made.panel.openRun(tmp_path / "nothing")
    del made.panel.confirm
    slicer.app.settings().remove("LaminaUltrasound/Models")
    made.widget.segmentPanel.fillModels()
    host.select_module("LaminaLabeling")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the one whole training is kept for the tests that need one that has ended."""
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def trained(kept, cases):
    """A training that has ended: that of the first test, or one by the commands where this test runs alone."""
    if not kept.exists():
        small = {"preset": "8", "crop_rows": 32, "epochs": 1, "backend": "torch", "name": "tiny"}
        settings = TrainingSettings(str(cases), "anna", str(kept), ratio=(2, 1, 1), **small)
        plan_run(settings)
        for arguments in (
            settings.split_arguments(read_scans=True),
            [*settings.train_arguments(), "--force"],
            settings.evaluate_arguments("test"),
        ):
            command = [sys.executable, "-m", "LaminaSegmentationLib", *arguments]
            subprocess.run(command, check=True, env=child_environment(), capture_output=True)
        write_run(settings, "epochs")
    return kept


def test_training_ends_with_a_model_in_the_list_that_segments(trainer, cases, host, slicer, kept):
    trainer.fill_in(cases)
    trainer.click(trainer.ui.lookButton)
    trainer.wait()
    notes = trainer.notes()
    assert "damaged" in notes["broken"] or "cannot be read" in notes["broken"]
    assert sum(not note for name, note in notes.items() if name.startswith("scan")) == 4
    assert "4 of 5 scans can be used" in trainer.ui.casesLabel.text
    trainer.click(trainer.ui.trainButton)
    trainer.wait()
    assert "has been added to the list" in trainer.ui.statusLabel.text
    assert [row["epoch"] for row in trainer.panel.charts.rows] == [1, 2]
    run = read_run(trainer.folder)
    assert run.ended_by == "epochs"
    assert run.metrics["data"]["split"] == "test"
    assert trainer.ui.scoresTable.rowCount == 6
    assert not trainer.ui.boxplotLabel.pixmap.isNull()
    assert trainer.ui.trainButton.text == "Train"

    shutil.copytree(trainer.folder, kept)
    models = trainer.widget.ui.modelComboBox
    assert models.itemData(models.currentIndex) == "tiny"
    assert "4 labelled" not in trainer.widget.ui.cardLabel.text
    assert "2 labelled scans" in trainer.widget.ui.cardLabel.text
    slicer.util.loadVolume(str(cases / "scan_0000.nrrd"))
    host.process_events()
    host.click(trainer.widget.ui.applyButton)
    host.wait_until(lambda: not trainer.widget.logic.isRunning, timeout=SECONDS)
    node = slicer.util.getFirstNodeByClassByName("vtkMRMLMarkupsFiducialNode", "scan_0000 laminae")
    assert node is not None
    assert len(from_node(node)) == 34  # slots; two epochs find nothing


def test_a_paused_training_goes_on_after_a_restart(trainer, cases, host):
    trainer.fill_in(cases, epochs=300)
    trainer.click(trainer.ui.trainButton)
    trainer.wait_for_epoch(1)
    assert trainer.ui.trainButton.text == "Pause"
    trainer.click(trainer.ui.trainButton)
    trainer.wait()
    assert trainer.ui.statusLabel.text.startswith("Paused after")
    assert trainer.ui.trainButton.text == "Resume"
    done = len(read_run(trainer.folder).history)
    assert not (trainer.folder / "tiny").exists()
    assert read_run(trainer.folder).process == (0, "")

    # What a new start of Slicer knows: nothing but its settings.
    trainer.panel._entered, trainer.panel._run = False, None
    trainer.panel.charts.begin()
    trainer.panel.enter()
    assert f"left after {done} of 300 epochs" in trainer.ui.statusLabel.text
    assert len(trainer.panel.charts.rows) == done
    assert not trainer.ui.epochsSpinBox.enabled
    trainer.click(trainer.ui.trainButton)
    trainer.wait_for_epoch(done + 1)
    trainer.click(trainer.ui.stopButton)
    trainer.wait()
    run = read_run(trainer.folder)
    assert run.ended_by == "user"
    assert [row["epoch"] for row in run.history] == list(range(1, len(run.history) + 1))
    assert len(run.history) > done
    assert run.has_model
    assert "tiny" in trainer.widget.logic.models.names()


def test_a_training_that_another_slicer_runs_is_not_gone_on_with(trainer, cases, host):
    trainer.fill_in(cases)
    trainer.folder.mkdir()
    write_run(trainer.panel.form.settings())
    content = json.loads((trainer.folder / "run.json").read_text())
    content["process"] = [os.getppid(), ""]
    (trainer.folder / "run.json").write_text(json.dumps(content))
    trainer.panel.openRun(trainer.folder)
    trainer.click(trainer.ui.trainButton)
    assert "Another Slicer runs this training" in trainer.ui.statusLabel.text
    assert len(host.take_slot_errors()) == 1


def test_a_training_that_is_killed_is_told_and_can_be_gone_on_with(trainer, cases, host):
    trainer.pretend()
    trainer.fill_in(cases, epochs=300)
    trainer.click(trainer.ui.trainButton)
    trainer.wait_for_epoch(1)
    os.killpg(trainer.work._chain._command._process.pid, signal.SIGKILL)
    trainer.wait()
    assert "ended from outside (SIGKILL)" in trainer.ui.statusLabel.text
    assert "press Resume to go on" in trainer.ui.statusLabel.text
    assert trainer.ui.trainButton.text == "Resume"
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]
    assert read_run(trainer.folder).history


def test_stopping_before_the_first_epoch_leaves_a_run_to_go_on_with(trainer, cases, host):
    trainer.fill_in(cases, epochs=300)
    trainer.ui.stepsSpinBox.setValue(2000)
    trainer.click(trainer.ui.trainButton)
    host.wait_until(lambda: trainer.work.isTraining, timeout=SECONDS)
    trainer.host.process_events()
    trainer.panel.show()
    trainer.click(trainer.ui.stopButton)  # at once: the process has hardly begun, and must hear it all the same
    assert trainer.ui.trainButton.text == "End at once"
    trainer.wait()
    assert trainer.ui.statusLabel.text == "Stopped before the first epoch ended: there is no model yet."
    assert trainer.ui.trainButton.text == "Resume"


def test_an_evaluation_that_was_canceled_can_be_made_later(trainer, trained, host):
    shutil.copytree(trained, trainer.folder)
    shutil.rmtree(trainer.folder / "evaluation")
    trainer.panel.openRun(trainer.folder)
    trainer.click(trainer.ui.trainButton)
    assert trainer.ui.trainButton.text == "Cancel"
    assert not trainer.ui.stopButton.enabled
    trainer.click(trainer.ui.trainButton)
    assert trainer.ui.trainButton.text == "Evaluate"
    assert not read_run(trainer.folder).metrics
    trainer.click(trainer.ui.trainButton)
    trainer.wait()
    assert read_run(trainer.folder).metrics["data"]["split"] == "test"
    assert "is chosen there" in trainer.ui.statusLabel.text
    assert trainer.ui.trainButton.text == "Train"
    trainer.click(trainer.ui.trainButton)
    assert "holds a training that has ended" in trainer.ui.statusLabel.text
    assert len(host.take_slot_errors()) == 1


def test_a_training_can_be_ended_at_once(trainer, cases):
    trainer.pretend()
    trainer.fill_in(cases, epochs=300)
    trainer.click(trainer.ui.trainButton)
    trainer.wait_for_epoch(1)
    trainer.click(trainer.ui.trainButton)
    assert trainer.ui.trainButton.text == "End at once"  # it does not listen
    trainer.click(trainer.ui.trainButton)
    assert not trainer.panel.isRunning
    assert trainer.ui.statusLabel.text == "Ended at once."
    assert trainer.ui.trainButton.text == "Resume"


def test_a_scan_that_was_mended_is_used_again(trainer, cases, tmp_path):
    folder = tmp_path / "mended"
    shutil.copytree(cases, folder)
    whole = (folder / "scan_0003.nrrd").read_bytes()
    (folder / "scan_0003.nrrd").write_bytes(whole[:200])
    trainer.fill_in(folder)
    trainer.click(trainer.ui.lookButton)
    trainer.wait()
    assert ("scan_0003", "scan_0003", False) in trainer.panel.casesPanel.rows()
    (folder / "scan_0003.nrrd").write_bytes(whole)
    trainer.click(trainer.ui.lookButton)
    trainer.wait()
    assert ("scan_0003", "scan_0003", True) in trainer.panel.casesPanel.rows()


def test_nothing_begins_on_a_processor_unless_it_is_confirmed(trainer, cases):
    asked = []
    trainer.panel.confirm = lambda estimate: asked.append(estimate)
    trainer.pretend()
    trainer.fill_in(cases)
    trainer.click(trainer.ui.trainButton)
    trainer.wait()
    assert asked[0]["seconds"] > 0
    assert "CPU" in asked[0]["hardware"]
    assert trainer.ui.statusLabel.text == "Not begun."
    assert read_run(trainer.folder).ended_by == PLANNED
    assert trainer.ui.trainButton.text == "Train"
    assert not (trainer.folder / "training").exists()


def test_the_question_names_the_time_and_the_processor(trainer, monkeypatch):
    del trainer.panel.confirm
    shown = []
    monkeypatch.setattr(
        "LaminaSegmentationGui.train_panel.ask", lambda text, buttons, safe: shown.append(text) or "begin"
    )
    assert trainer.panel.confirm({"seconds": 9000.0, "hardware": "CPU (x86_64, 2 cores), no GPU", "gpu": ""})
    assert "about 2.5 hours" in shown[0]
    assert "2 cores" in shown[0]
    trainer.panel.confirm = None


def test_scans_that_are_left_out_and_patients_reach_the_dataset(trainer, cases, host, qt_check):
    trainer.panel.confirm = lambda estimate: False
    trainer.pretend()
    trainer.fill_in(cases)
    trainer.click(trainer.ui.lookButton)
    trainer.wait()
    table = trainer.ui.casesTable
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
    table.item(rows["scan_0003"], 0).setCheckState(qt_check.Unchecked)
    table.item(rows["scan_0001"], 1).setText("patient 7")
    trainer.ui.testSpinBox.setValue(0)
    trainer.click(trainer.ui.trainButton)
    trainer.wait()
    dataset = json.loads((trainer.folder / "dataset.json").read_text())
    entries = [*dataset["training"], *dataset["validation"]]
    assert sorted(Path(entry["image"]).name for entry in entries) == [f"scan_000{n}.nrrd" for n in range(3)]
    assert {entry["patient"] for entry in entries} == {"scan_0000", "patient 7", "scan_0002"}
    assert not dataset["test"]


@pytest.fixture
def qt_check():
    import qt

    return qt.Qt


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ui: ui.nameEdit.setText("a/b"), "'a/b' cannot be the name of a model"),
        (lambda ui: ui.outputEdit.setText(""), "Choose a folder for the results"),
        (lambda ui: ui.outputEdit.setText(ui.casesEdit.text), "The results would lie among the labeled scans"),
    ],
)
def test_what_is_not_filled_in_is_a_sentence(trainer, cases, host, change, sentence):
    trainer.fill_in(cases)
    change(trainer.ui)
    trainer.click(trainer.ui.trainButton)
    assert sentence in trainer.ui.statusLabel.text
    assert trainer.ui.trainButton.text == "Train"
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_a_folder_without_labels_is_a_sentence(trainer, tmp_path):
    (tmp_path / "empty").mkdir()
    trainer.panel.casesPanel.choose(tmp_path / "empty")
    assert "Nobody has saved labels" in trainer.ui.casesLabel.text
    trainer.panel.casesPanel.choose(tmp_path / "none")
    assert "There is no folder" in trainer.ui.casesLabel.text


def test_too_few_patients_are_a_sentence_and_nothing_is_begun(trainer, cases, tmp_path, host):
    folder = tmp_path / "one"
    folder.mkdir()
    for path in cases.glob("scan_0000*"):
        shutil.copy(path, folder)
    trainer.fill_in(folder)
    trainer.click(trainer.ui.trainButton)
    trainer.wait()
    assert "too few for this split" in trainer.ui.statusLabel.text
    assert read_run(trainer.folder).ended_by == PLANNED
    assert len(host.take_slot_errors()) == 1


def test_the_charts_show_the_log_and_the_views_come_back(trainer, host, slicer):
    row = {"epoch": 1, "loss": 0.9, "val_loss": 0.95, "val_d3d": 400.0, "val_missed": 30.0, "val_false": 2.0}
    trainer.panel.charts.begin([row, {**row, "epoch": 2, "loss": 0.5}])
    trainer.panel.show()
    layout = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    before = layout.GetViewArrangement()
    host.click(trainer.ui.chartButton)
    chart = slicer.app.layoutManager().plotWidget(0).chart()
    assert chart.GetTitle() == "Loss"
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [node.GetName() for node in series] == ["training", "validation"]
    table = series[0].GetTableNode().GetTable()
    assert [table.GetValueByName(row, "loss").ToDouble() for row in range(2)] == [0.9, 0.5]
    trainer.ui.chartComboBox.setCurrentIndex(1)
    assert "Distance" in chart.GetTitle()
    slicer.mrmlScene.Clear()
    trainer.panel.charts.add({**row, "epoch": 3})  # a closed scene takes the nodes, the next epoch brings them back
    assert slicer.app.layoutManager().plotWidget(0).chart().GetNumberOfPlotSeriesNodes() == 1
    host.click(trainer.ui.chartButton)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0
    assert layout.GetViewArrangement() == before
