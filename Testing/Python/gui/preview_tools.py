"""A user of the preview of the preprocessing: real clicks on the panel and in the views, with the real command."""

import json
import sys

import numpy as np
from gui_paths import FAKE_LAMINA
from labeling_tools import Labeler

RECORDER = """
import json, shutil, subprocess, sys
from pathlib import Path
arguments = sys.argv[2:]
Path(sys.argv[1]).write_text(json.dumps(arguments))
if "--corrections" in arguments:
    shutil.copy(arguments[arguments.index("--corrections") + 1], sys.argv[1] + ".corrections")
sys.exit(subprocess.call([sys.executable, {fake!r}, "good", *arguments]))
"""


class Previewer(Labeler):
    """The panel of LaminaSegmentation with its section for the preprocessing open."""

    def __init__(self, host):
        self.host, self.app = host, host.app
        self.widget = host.select_module("LaminaSegmentation")
        self.logic, self.work = self.widget.logic, self.widget.logic.preview
        self.panel, self.ui = self.widget.previewPanel, self.widget.previewPanel.ui
        self.widget.ui.previewCollapsibleButton.collapsed = False
        # Whatever an earlier test has left: the same arrangement, and the whole scan in each view.
        layout = self.app.layoutManager()
        layout.setLayout(layout.layoutLogic().GetLayoutNode().SlicerLayoutFourUpView)
        host.process_events()
        layout.resetSliceViews()
        host.process_events()

    def leave(self):
        self.logic.installation.program = None
        self.panel.cancel("")
        self.logic.cancel()
        self.widget.ui.previewCollapsibleButton.collapsed = True
        self.host.select_module("LaminaLabeling")

    def wait(self):
        self.host.wait_until(lambda: not self.panel.isRunning, timeout=60)
        self.host.process_events()

    def preview(self):
        """Press Show preprocessing and wait."""
        self.press(self.ui.previewButton)
        self.wait()
        assert self.ui.previewLabel.text.startswith("The spinous process column"), self.ui.previewLabel.text

    def update(self):
        self.press(self.ui.updateButton)
        self.wait()

    def choose(self, volume):
        self.widget.ui.inputSelector.setCurrentNode(volume)
        self.host.process_events()

    @property
    def lines(self):
        return self.ui.previewLabel.text.splitlines()

    def record_apply(self, tmp_path):
        """Press Apply with a command that keeps what it is given; return its arguments and corrections."""
        program, record = tmp_path / "recorder.py", tmp_path / "record.json"
        program.write_text(RECORDER.format(fake=str(FAKE_LAMINA)))
        self.logic.installation.program = [sys.executable, str(program), str(record)]
        corrections = record.with_name(record.name + ".corrections")
        corrections.unlink(missing_ok=True)
        self.press(self.widget.ui.applyButton)
        self.host.wait_until(lambda: not self.logic.isRunning, timeout=60)
        self.host.process_events()
        self.logic.installation.program = None
        arguments = json.loads(record.read_text())
        return arguments, json.loads(corrections.read_text()) if corrections.is_file() else None


def previewer_of(host):
    """Yield a user with the section open, and leave it afterwards."""
    user = Previewer(host)
    yield user
    user.leave()


def add_scan(slicer, simulated, name="scan"):
    """Add a simulated scan as a volume."""
    matrix = slicer.util.vtkMatrixFromArray(simulated.volume.ijk_to_ras)
    return slicer.util.addVolumeFromArray(simulated.volume.to_kji(), matrix, name)


def node(volume, part):
    """Return the node of a part of a volume's preprocessing."""
    from LaminaSegmentationGui import preview_nodes

    return preview_nodes.nodeOf(volume, part)


def world_points(markups):
    """Return the control points of a curve in the world."""
    points = np.zeros((markups.GetNumberOfControlPoints(), 3))
    for index, point in enumerate(points):
        markups.GetNthControlPointPositionWorld(index, point)
    return points


def move_point(markups, index, by):
    """Move a control point by some mm in the world."""
    point = world_points(markups)[index] + by
    markups.SetNthControlPointPositionWorld(index, *point)
    return point


def save_scene(slicer, folder):
    """Save the scene with its data, as Slicer's scene writer does."""
    scene = slicer.mrmlScene
    for index in range(scene.GetNumberOfNodes()):
        storable = scene.GetNthNode(index)
        if not storable.IsA("vtkMRMLStorableNode") or not storable.GetSaveWithScene():
            continue
        if not (
            storable.IsA("vtkMRMLMarkupsNode") or storable.IsA("vtkMRMLVolumeNode") or storable.IsA("vtkMRMLModelNode")
        ):
            continue
        storable.AddDefaultStorageNode()
        ending = storable.GetStorageNode().GetDefaultWriteFileExtension()
        storable.GetStorageNode().SetFileName(str(folder / f"{storable.GetID()}.{ending}"))
        assert storable.GetStorageNode().WriteData(storable), storable.GetName()
    scene.SetRootDirectory(str(folder))
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Commit()


def load_scene(slicer, host, folder):
    """Load a saved scene in the place of the one that is open."""
    scene = slicer.mrmlScene
    scene.Clear()
    host.process_events()
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Import()
    host.process_events()
