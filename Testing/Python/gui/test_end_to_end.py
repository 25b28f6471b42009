"""The modules with the real command and the shipped model, in SlicerHost: what a user sees on the first day."""

import subprocess
import sys

import numpy as np
import pytest

from LaminaLabelingLib.files import read_markups
from LaminaLabelingLib.markups import from_node
from LaminaSegmentationLib.worker import child_environment


@pytest.fixture(scope="module")
def scan_and_truth(tmp_path_factory):
    """A coarse simulated scan and its true laminae, made by the command."""
    folder = tmp_path_factory.mktemp("scans")
    options = ["simulate", "-n", "1", "--seed", "7", "--spacing", "1.0", "--force", "-o"]
    command = [sys.executable, "-m", "LaminaSegmentationLib", *options, str(folder)]
    subprocess.run(command, check=True, env=child_environment(), capture_output=True)
    return folder / "scan_0000.nrrd", read_markups(folder / "scan_0000.mrk.json").positions()


@pytest.fixture
def panel(host):
    widget = host.select_module("LaminaSegmentation")
    yield widget
    widget.logic.cancel()
    host.select_module("LaminaLabeling")


def test_one_click_finds_the_laminae_of_a_scan(host, slicer, panel, scan_and_truth):
    path, truth = scan_and_truth
    slicer.util.loadVolume(str(path))
    host.process_events()
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: not panel.logic.isRunning, timeout=400)
    found = from_node(slicer.util.getNode("scan_0000 laminae")).positions()
    near = [
        name for name, point in truth.items() if min(np.linalg.norm(point - other) for other in found.values()) <= 5.0
    ]
    assert len(near) >= 25
    assert panel.ui.resultLabel.text.startswith(f"{len(found)} laminae")
    curve = slicer.util.arrayFromMarkupsControlPoints(slicer.util.getNode("scan_0000 spinous column"))
    middle = np.mean(list(truth.values()), axis=0)
    assert np.abs(curve[:, 0].mean() - middle[0]) < 10
    segmentation = slicer.util.getNode("scan_0000 lamina segmentation").GetSegmentation()
    assert segmentation.GetNumberOfSegments() == len(found)
    region = slicer.util.getNode("scan_0000 region of interest")
    bounds = np.zeros(6)
    region.GetRASBounds(bounds)
    low, high = bounds[::2], bounds[1::2]
    inside = [name for name, point in truth.items() if (point > low).all() and (point < high).all()]
    assert len(inside) == len(truth)


def test_axes_that_make_no_sense_are_a_sentence_in_the_panel(host, slicer, panel, scan_and_truth):
    slicer.util.loadVolume(str(scan_and_truth[0]))
    host.process_events()
    panel.ui.axesComboBox.setEditText("RRA")
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: not panel.logic.isRunning)
    assert "RRA" in panel.ui.resultLabel.text
    assert panel.ui.resultLabel.text.count("\n") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert [str(error) for error in host.take_slot_errors()] == [panel.ui.resultLabel.text]


@pytest.mark.parametrize("module", ["LaminaLabeling", "LaminaSegmentation"])
def test_the_self_test_of_the_module_passes(host, slicer, module):
    """As the button of the developer's section and ctest run it."""
    getattr(slicer.modules, f"{module}Instance").runTest()
