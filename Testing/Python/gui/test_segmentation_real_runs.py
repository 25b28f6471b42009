"""Real runs with the shipped model on the sample scan: found, cancelled, killed, saved with the scene."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gui_paths import ROOT

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node
from LaminaLabelingLib.markups_files import read_markups

HEAVY = ("tensorflow", "keras", "torch", "jax", "openvino", "skimage", "matplotlib", "SimpleITK", "scipy")


@pytest.fixture
def panel(host):
    widget = host.select_module("LaminaSegmentation")
    yield widget
    widget.segmentPanel.cancel("")
    host.select_module("LaminaLabeling")


@pytest.fixture
def sample(host, slicer, panel):
    """The sample scan, loaded as from the module Sample Data, and its true laminae."""
    from LaminaLabelingGui import sample_data

    volume = sample_data.load()[0]
    host.process_events()
    return volume, read_markups(sample_data.TRUTH_FILE).positions()


def node_ids(scene):
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


def run(host, panel):
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: not panel.logic.isRunning, timeout=300)
    host.process_events()


def alive(pid):
    """Whether a process computes: one that has ended may wait for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_one_click_on_the_sample_gives_named_fiducials(host, slicer, panel, sample):
    truth = sample[1]
    run(host, panel)
    node = slicer.util.getNode("SimulatedSpineUltrasound laminae")
    found = from_node(node).positions()
    near = [name for name in truth if name in found and np.linalg.norm(found[name] - truth[name]) <= 5.0]
    assert len(near) >= 28  # by name, on a simulated scan that no model has seen
    assert "named T1 to L5" in panel.ui.resultLabel.text
    assert "Computed by OpenVINO" in panel.ui.resultLabel.text
    laminae = from_node(node)
    assert all(laminae[name].confidence is not None for name in found)
    assert {laminae[name].review for name in found} == {"unreviewed"}


@pytest.mark.parametrize("moment", ["at once", "reading", "network"])
def test_cancel_leaves_the_scene_as_it_was(host, slicer, panel, sample, moment):
    before = node_ids(slicer.mrmlScene)
    host.click(panel.ui.applyButton)
    if moment == "reading":
        host.wait_until(lambda: "Reading" in panel.ui.progressBar.format, timeout=60)
    elif moment == "network":
        host.wait_until(lambda: "network" in panel.ui.progressBar.format, timeout=60)
    job = panel.logic.segmentation.job
    child, folder = job._command._process.pid, job.scan_path.parent
    host.click(panel.ui.applyButton)
    assert not alive(child)
    assert not folder.exists()
    assert panel.ui.resultLabel.text == "Canceled."
    assert node_ids(slicer.mrmlScene) == before


def test_a_worker_that_is_killed_is_a_message_and_leaves_the_scene_as_it_was(host, slicer, panel, sample):
    before = node_ids(slicer.mrmlScene)
    host.click(panel.ui.applyButton)
    host.wait_until(lambda: panel.ui.progressBar.value > 0, timeout=60)
    os.kill(panel.logic.segmentation.job._command._process.pid, signal.SIGKILL)
    host.wait_until(lambda: not panel.logic.isRunning, timeout=60)
    assert "ended from outside (SIGKILL)" in panel.ui.resultLabel.text
    assert "memory is full" in panel.ui.resultLabel.text
    assert "last lines of its log" in panel.ui.resultLabel.text
    assert node_ids(slicer.mrmlScene) == before
    assert [type(error) for error in host.take_slot_errors()] == [LaminaError]


def test_the_result_survives_saving_and_loading_the_scene(host, slicer, panel, sample, tmp_path):
    run(host, panel)
    name = "SimulatedSpineUltrasound laminae"
    before = from_node(slicer.util.getNode(name))
    curve = slicer.util.arrayFromMarkupsControlPoints(slicer.util.getNode("SimulatedSpineUltrasound spinous column"))
    region = np.zeros(6)
    slicer.util.getNode("SimulatedSpineUltrasound region of interest").GetRASBounds(region)
    scene = slicer.mrmlScene
    assert scene.WriteToMRB(str(tmp_path / "saved.mrb"))
    scene.Clear()
    host.process_events()
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert scene.ReadFromMRB(str(tmp_path / "saved.mrb"))
    host.process_events()
    after = from_node(slicer.util.getNode(name))
    assert list(after) == list(before)
    for lamina in before.values():
        assert after[lamina.name].review == lamina.review
        assert after[lamina.name].source == lamina.source
        assert after[lamina.name].confidence == lamina.confidence
        if lamina.position is not None:
            assert after[lamina.name].position == pytest.approx(lamina.position, abs=1e-3)
    column = slicer.util.getNode("SimulatedSpineUltrasound spinous column")
    assert slicer.util.arrayFromMarkupsControlPoints(column) == pytest.approx(curve, abs=1e-3)
    bounds = np.zeros(6)
    slicer.util.getNode("SimulatedSpineUltrasound region of interest").GetRASBounds(bounds)
    assert bounds == pytest.approx(region, abs=1e-3)
    segmentation = slicer.util.getNode("SimulatedSpineUltrasound lamina segmentation").GetSegmentation()
    assert segmentation.GetNumberOfSegments() == len(before.positions())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = hierarchy.GetItemByDataNode(slicer.util.getNode("SimulatedSpineUltrasound"))
    for kind in ("laminae", "spinous column", "lamina segmentation", "region of interest"):
        item = hierarchy.GetItemByDataNode(slicer.util.getNode(f"SimulatedSpineUltrasound {kind}"))
        assert hierarchy.GetItemParent(item) == parent, kind


def test_the_region_is_a_box_that_slicer_can_turn(host, slicer, panel, sample):
    run(host, panel)
    matrix = slicer.util.getNode("SimulatedSpineUltrasound region of interest").GetObjectToNodeMatrix()
    assert np.linalg.det(slicer.util.arrayFromVTKMatrix(matrix)[:3, :3]) == pytest.approx(1.0)


def test_the_segmentation_is_edited_on_the_grid_of_the_scan(host, slicer, panel, sample):
    run(host, panel)
    node = slicer.util.getNode("SimulatedSpineUltrasound lamina segmentation")
    parameter = node.GetSegmentation().GetConversionParameter("Reference image geometry")
    extent = [int(number) for number in parameter.split(";")[16:22]]
    size = sample[0].GetImageData().GetDimensions()
    assert extent == [0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1]


def test_the_modules_bring_in_nothing_heavy_when_they_are_loaded_and_opened():
    program = f"""
import sys
sys.path.insert(0, {str(ROOT / "Testing")!r})
from pathlib import Path
from SlicerHost import Host
heavy = lambda: [name for name in {HEAVY!r} if name in sys.modules]
host = Host.start([Path({str(ROOT)!r}) / name / f"{{name}}.py" for name in ("LaminaLabeling", "LaminaSegmentation")])
loaded, panels = heavy(), [name for name in sys.modules if name.endswith(("_panel", "_work"))]
for name in ("LaminaLabeling", "LaminaSegmentation"):
    host.select_module(name)
    host.process_events()
print(loaded, heavy(), panels)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # Slicer itself brings NumPy and VTK; the panels are made when they are opened.
    assert done.stdout.splitlines()[-1] == "[] [] []"
