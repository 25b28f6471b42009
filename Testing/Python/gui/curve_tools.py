"""What the tests of the curves share: a curved spine inside the test volume, and the hands of the user."""

import numpy as np
from labeling_tools import Labeler

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.laminae import LaminaSet

FIVE_PAIRS = tuple(f"T{number}{side}" for number in range(4, 9) for side in "LR")
"""The fewest that can be measured."""


def curved_positions(amplitude=12.0, center=(30.0, 25.0, 100.0)):
    """Return 34 laminae on a right convex curve whose vertebrae stand across it, RAS mm."""
    heights = np.linspace(85.0, -85.0, 17)
    positions = {}
    for index, name in enumerate(SLOTS):
        level = index // 2
        middle = center[0] - 6.0 + amplitude * np.sin(np.pi * level / 16)
        slope = amplitude * np.pi / 170.0 * np.cos(np.pi * level / 16)  # rightwards on the way down
        side = -1.0 if name.endswith("L") else 1.0
        across = 8.0 * side / np.hypot(1.0, slope)
        positions[name] = (middle + across, center[1], center[2] + heights[level] + across * slope)
    return positions


def curved(*names, **changes):
    """Return these laminae of the curved spine, or all of them; ``changes`` are other positions."""
    positions = {**curved_positions(), **changes}
    return LaminaSet.from_positions({name: positions[name] for name in names or SLOTS})


class Measurer(Labeler):
    """A user who looks at the curves."""

    @property
    def panel(self):
        return self.widget.curvePanel

    @property
    def nodes(self):
        """The nodes of the lines that are in the scene."""
        found = (self.panel.lines.modelNode, self.panel.lines.textNode)
        return [node for node in found if node is not None and node.GetScene() is not None]

    def settle(self):
        """Wait until what has changed is measured and shown."""
        self.host.process_events()
        self.host.wait_until(lambda: not self.panel._timer.isActive())
        self.host.process_events()

    def put(self, laminae):
        """Put laminae into the list, as a model's result."""
        self.session.labeling.reset(laminae)
        self.settle()

    def open_section(self):
        self.ui.curvesCollapsibleButton.collapsed = False
        self.settle()

    def show_lines(self):
        self.open_section()
        if not self.ui.endLinesCheckBox.checked:
            self.check(self.ui.endLinesCheckBox)
        self.settle()

    def rows(self):
        table = self.ui.curveTable
        columns = range(table.columnCount)
        return [[table.item(row, column).text() for column in columns] for row in range(table.rowCount)]

    def angle(self):
        """The angle of the first curve as it is written."""
        return self.rows()[0][-1]

    def texts(self):
        """What is written into the coronal view, and where: R, A, S in mm."""
        node = self.panel.lines.textNode
        return {
            node.GetNthControlPointLabel(index): tuple(node.GetNthControlPointPosition(index))
            for index in range(node.GetNumberOfControlPoints())
        }

    def click_cell(self, row, column):
        table = self.ui.curveTable
        self.host.window._panel.ensureWidgetVisible(table)
        middle = table.visualItemRect(table.item(row, column)).center()
        self.host.click(table.viewport(), (middle.x(), middle.y()))
        self.settle()

    def picture(self, name):
        """What a view shows, as an array of RGB."""
        import vtk
        from vtk.util import numpy_support

        view = self.slice_widget(name).sliceView()
        view.forceRender()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(view.renderWindow())
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        width, height, _ = grabber.GetOutput().GetDimensions()
        pixels = numpy_support.vtk_to_numpy(grabber.GetOutput().GetPointData().GetScalars())
        return pixels.reshape(height, width, 3).astype(int)


def measurer_with_list(host):
    """Yield a user with an empty list for the scan of the scene who looks at the curves, and leave it afterwards."""
    user = Measurer(host)
    user.press(user.ui.newListButton)
    user.open_section()
    yield user
    user.widget.editPanel.leave()
    if user.widget._parameterNode:
        user.widget._parameterNode.showEndLines = False
    user.ui.curvesCollapsibleButton.collapsed = True
    host.select_module("LaminaSegmentation")


def line_pixels(picture):
    """Return how many pixels have the color of the lines."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    return int(((red < 110) & (green > 190) & (blue > 200)).sum())
