"""The panel of LaminaSegmentation in the hands of a user, and a scan for it."""

import sys

import numpy as np
import pytest
from gui_paths import FAKE_LAMINA


def oblique_scan(slicer):
    """A volume that is oblique, anisotropic and off center."""
    turn = np.radians(20)
    matrix = np.eye(4)
    matrix[:3, :3] = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    matrix[:3, :3] *= (0.5, 0.7, 1.1)
    matrix[:3, 3] = (12, -30, 45)
    array = np.random.default_rng(1).integers(1, 200, size=(60, 40, 36), dtype=np.uint8)
    return slicer.util.addVolumeFromArray(array, matrix, "case 12")


class Panel:
    """The module's panel in the hands of a user."""

    def __init__(self, host):
        self.host = host
        self.widget = host.select_module("LaminaSegmentation")
        self.ui = self.widget.ui

    def use_fake(self, mode):
        self.widget.logic.installation.program = [sys.executable, str(FAKE_LAMINA), mode]

    def click_apply(self):
        self.host.click(self.ui.applyButton)

    def wait(self):
        self.host.wait_until(lambda: not self.widget.logic.isRunning)
        self.host.process_events()


def panel_with_fake(host):
    """Yield the panel with a command that finds known laminae, and leave the module afterwards."""
    panel = Panel(host)
    panel.use_fake("good")
    yield panel
    panel.widget.logic.cancel()
    panel.widget.logic.installation.program = None
    host.select_module("LaminaLabeling")  # leave it, so that the next test enters it anew


def expected_positions(array_shape_kji, matrix):
    """Return the points of the fake command, through the geometry as displayed."""
    size = np.array(array_shape_kji[::-1])
    positions = {}
    for index, name in enumerate(f"{v}{s}" for v in vertebrae() for s in "LR"):
        fraction = np.array([0.5, 0.4 if name[-1] == "L" else 0.6, 0.95 - 0.9 * (index // 2) / 16])
        positions[name] = (matrix @ np.append(fraction * (size - 1), 1))[:3]
    return positions


def vertebrae():
    return [f"T{n}" for n in range(1, 13)] + [f"L{n}" for n in range(1, 6)]


def world_positions(node):
    positions = {}
    for index in range(node.GetNumberOfControlPoints()):
        point = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(index, point)
        positions[node.GetNthControlPointLabel(index)] = np.array(point)
    return positions


def assert_same_positions(found, expected):
    assert list(found) == list(expected)
    for name, point in expected.items():
        assert found[name] == pytest.approx(point, abs=1e-3), name


def ijk_to_ras(slicer, volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix
