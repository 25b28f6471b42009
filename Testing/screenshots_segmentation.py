"""The pictures of the module LaminaSegmentation; see screenshots.py."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "Resources" / "Screenshots"
SEGMENTATION, TRAINING = ROOT / "docs" / "segmentation", ROOT / "docs" / "training"
SEED, SPACING_MM = 11, 0.5
SECONDS = 900


def simulate(folder, count, seed, spacing):
    """Simulate scans into a folder with the command, as a user would."""
    from LaminaSegmentationLib.worker import child_environment

    options = ["simulate", "-n", str(count), "--seed", str(seed), "--spacing", str(spacing), "--force", "-o"]
    command = [sys.executable, "-m", "LaminaSegmentationLib", *options, str(folder)]
    subprocess.run(command, check=True, env=child_environment(), capture_output=True)


def load_simulated_scan():
    """Load a simulated scan from a file, as a user would."""
    import slicer

    with tempfile.TemporaryDirectory() as folder:
        simulate(folder, 1, SEED, SPACING_MM)
        path = Path(folder, f"simulated scan {SEED}.nrrd")
        Path(folder, "scan_0000.nrrd").rename(path)
        return slicer.util.loadVolume(str(path))


def open_module(host):
    """Open the module with all but its first section closed."""
    widget = host.select_module("LaminaSegmentation")
    host.wait_until(lambda: not widget.settingsPanel.isRunning)
    for name in ("preview", "batch", "train", "settings"):
        getattr(widget.ui, f"{name}CollapsibleButton").collapsed = True
    widget.ui.inputsCollapsibleButton.collapsed = False
    host.process_events()
    return widget


def take_segmentation(host, photographer):
    """One click on a simulated scan, and what it finds in the labeling view."""
    import slicer

    widget = open_module(host)
    print("Simulating the scan...", flush=True)
    load_simulated_scan()
    host.process_events()
    print("Finding the laminae...", flush=True)
    host.click(widget.ui.applyButton)
    host.wait_until(lambda: not widget.logic.isRunning, timeout=SECONDS)
    if errors := host.take_slot_errors():
        raise SystemExit(f"The module failed: {errors[0]}")
    labeling = host.select_module("LaminaLabeling")
    middle = list(labeling.logic.session.laminae)[16]
    labeling.editPanel.onSlot(middle)
    host.process_events()
    photographer.take(SCREENSHOTS / "LaminaLabeling.png")
    slicer.app.layoutManager().setLayout(53417)  # the same views beside the other panel
    host.window.select_module("LaminaSegmentation")
    slicer.app.layoutManager().setLayout(53417)
    labeling.views.setSlab(16.0, "mean")
    labeling.views.jump(labeling.logic.session.position(middle))
    photographer.take(SCREENSHOTS / "LaminaSegmentation.png")


def take_preview(host, photographer):
    """The steps of the preprocessing of the same scan, one of them being corrected."""
    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLMarkupsNode"):
        node.SetDisplayVisibility(False)
    widget = open_module(host)
    slicer.app.layoutManager().setLayout(53417)
    panel = widget.previewPanel
    widget.ui.inputsCollapsibleButton.collapsed = True
    widget.ui.previewCollapsibleButton.collapsed = False
    host.click(panel.ui.previewButton)
    host.wait_until(lambda: not panel.isRunning, timeout=SECONDS)
    panel.ui.adjustColumnCheckBox.setChecked(True)
    column = next(node for node in slicer.util.getNodesByClass("vtkMRMLMarkupsCurveNode") if not node.GetLocked())
    point = [0.0, 0.0, 0.0]
    column.GetNthControlPointPositionWorld(6, point)
    column.SetNthControlPointPositionWorld(6, point[0] + 6.0, *point[1:])
    host.process_events()
    photographer.take(SEGMENTATION / "preview.png")
    slicer.mrmlScene.Clear()


def take_folder(host, photographer):
    """A folder of scans, one of which is damaged."""
    widget = open_module(host)
    panel = widget.batchPanel
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):  # the fields then show no path of this computer
        scans = Path("scans")
        print("Simulating a folder of scans...", flush=True)
        simulate(scans, 4, 20, 1.0)
        (scans / "scan_0002.nrrd").write_bytes(b"NRRD0004\ncut off")
        widget.ui.inputsCollapsibleButton.collapsed = True
        widget.ui.batchCollapsibleButton.collapsed = False
        panel.ui.scansLineEdit.setText(str(scans))
        panel.ui.resultsLineEdit.setText("results")
        panel.start("")
        host.wait_until(lambda: not panel.isRunning, timeout=SECONDS)
        panel.work.openCase(0)
        panel.ui.caseTable.selectRow(2)
        host.process_events()
        photographer.take(SEGMENTATION / "folder.png")


def take_training(host, photographer):
    """A small training on simulated scans, from the choice of the scans to the evaluation."""
    import slicer

    from LaminaLabelingGui import sample_data

    widget = open_module(host)
    panel, ui = widget.trainPanel, widget.trainPanel.ui
    panel.confirm = lambda estimate: True  # the question would wait for somebody
    sample_data.load()
    slicer.app.layoutManager().setLayout(53417)
    slicer.app.layoutManager().resetSliceViews()
    host.window.statusBar().clearMessage()
    widget.ui.inputsCollapsibleButton.collapsed = True
    widget.ui.trainCollapsibleButton.collapsed = False
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        cases = Path("spines")
        print("Simulating a case folder...", flush=True)
        simulate(cases, 12, 1_000_400, 1.0)
        for path in cases.glob("*.mrk.json"):
            path.rename(path.with_name(path.name.replace(".mrk", ".consensus.mrk")))
        (cases / "scan_0003.consensus.mrk.json").unlink()
        panel.casesPanel.choose(cases)
        panel.openRun("run")
        host.click(ui.lookButton)
        host.wait_until(lambda: not panel.isRunning, timeout=SECONDS)
        for widget_, value in (
            (ui.trainingSpinBox, 7),
            (ui.validationSpinBox, 2),
            (ui.testSpinBox, 2),
            (ui.epochsSpinBox, 10),
            (ui.rowsSpinBox, 128),
            (ui.stepsSpinBox, 30),
            (ui.rateSpinBox, 0.001),
        ):
            widget_.setValue(value)
        ui.lossComboBox.setCurrentIndex(ui.lossComboBox.findData("dice"))
        ui.presetComboBox.setCurrentIndex(0)
        host.process_events()
        host.window._panel.ensureWidgetVisible(ui.casesEdit, 0, 60)
        photographer.take(TRAINING / "cases.png")
        print("Training for some minutes...", flush=True)
        host.click(ui.trainButton)
        host.wait_until(lambda: len(panel.charts.rows) >= 7, timeout=SECONDS)
        ui.chartButton.setChecked(True)
        host.window._panel.ensureWidgetVisible(ui.chartButton, 0, 60)
        photographer.take(TRAINING / "progress.png")
        host.wait_until(lambda: not panel.isRunning, timeout=SECONDS)
        ui.chartComboBox.setCurrentIndex(1)
        host.process_events()
        host.window._panel.ensureWidgetVisible(ui.boxplotLabel, 0, 60)
        photographer.take(TRAINING / "evaluation.png")
        ui.chartButton.setChecked(False)
        panel.openRun("nothing")
        slicer.app.settings().remove("LaminaUltrasound/Models")
    slicer.mrmlScene.Clear()
