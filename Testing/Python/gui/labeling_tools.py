"""A user of the module LaminaLabeling: real clicks and keys on the real widgets and views."""

import numpy as np
import vtk

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups import from_node

SPACING = (0.5, 0.8, 1.0)
SHAPE_IJK = (120, 60, 200)


def spine_positions(center=(30.0, 25.0, 100.0)):
    """Made-up laminae that no check objects to: 34 points on a gentle curve inside the test volume, RAS mm."""
    heights = np.cumsum([0, *np.linspace(9.0, 13.0, 16)])
    heights = center[2] + 0.5 * heights[-1] - heights
    positions = {}
    for index, name in enumerate(SLOTS):
        level = index // 2
        middle = center[0] + 6.0 * np.sin(np.pi * level / 16)
        depth = center[1] + 5.0 * np.cos(np.pi * level / 16)
        positions[name] = (middle + (-8.0 if name.endswith("L") else 8.0), depth, float(heights[level]))
    return positions


def make_scan(slicer, name="scan"):
    """Add a volume in patient axes that holds `spine_positions`, with speckle."""
    array = np.random.default_rng(4).integers(1, 120, size=SHAPE_IJK[::-1], dtype=np.uint8)
    matrix = np.diag([*SPACING, 1.0])
    matrix[:3, 3] = (0.0, 0.0, -5.0)
    return slicer.util.addVolumeFromArray(array, matrix, name)


FOUND = LaminaSet(
    laminae=[
        Lamina("T1L", (22.0, 30.0, 170.0), "unreviewed", "detected", 0.95),
        Lamina("T1R", (38.0, 30.0, 170.0), "placed", "manual"),
        Lamina("T2L", (22.0, 30.0, 160.0), "unreviewed", "inferred", 0.2),
        Lamina("L4L", (22.0, 21.0, 30.0), "unreviewed", "detected", 0.6),
        Lamina("L5R", None, "absent"),
    ]
)


def labeler_with_list(host):
    """Yield a user with an empty list for the scan of the scene, in the module, and leave it afterwards."""
    user = Labeler(host)
    user.press(user.ui.newListButton)
    yield user
    user.widget.editPanel.leave()
    host.select_module("LaminaSegmentation")


def fill(user, laminae=None):
    """Put laminae into the list, as a model's result."""
    laminae = laminae or LaminaSet.from_positions(spine_positions())
    user.session.labeling.reset(laminae)
    user.host.process_events()


class Labeler:
    """The panel and the views in the hands of a user."""

    def __init__(self, host):
        import qt

        self.host = host
        host.select_module("LaminaSegmentation")
        self.widget = host.select_module("LaminaLabeling")
        self.ui = self.widget.ui
        self.session = self.widget.logic.session
        self.views = self.widget.views
        for name in (
            "Red",
            "Green",
            "Yellow",
        ):  # no mouse has been here yet: the last user's may have been left over a view
            self.slice_widget(name).sliceView().setAttribute(qt.Qt.WA_UnderMouse, False)
        host.window.activateWindow()
        host.process_events()

    @property
    def laminae(self):
        """What the point list of the scene holds."""
        return from_node(self.session.listNode)

    def press(self, button):
        """Click a button of the panel."""
        assert button.enabled, f"{button.objectName} is disabled"
        self.host.click(button)

    def check(self, box):
        """Click a check box on its mark."""
        self.host.click(box, (8, box.height // 2))

    def key(self, keys):
        """Press keys with the main window in front, as "Ctrl+Z"."""
        self.key_in(self.host.window, keys)

    def key_in(self, widget, keys):
        """Press keys in a widget that has the focus."""
        import qt
        from PySide6 import QtTest

        combination = qt.QKeySequence(keys)[0]
        QtTest.QTest.keyClick(widget, combination.key(), combination.keyboardModifiers())
        self.host.process_events()

    def slice_widget(self, name):
        import slicer

        return slicer.app.layoutManager().sliceWidget(name)

    def pixel(self, name, position):
        """Return the pixel of a view, from its top left corner, that shows a position of the world."""
        view = self.slice_widget(name).sliceView()
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.slice_widget(name).mrmlSliceNode().GetXYToRAS(), inverse)
        x, y, _, _ = inverse.MultiplyPoint((*position, 1.0))
        return round(x), view.height - 1 - round(y)

    def millimeters_per_pixel(self, name):
        node = self.slice_widget(name).mrmlSliceNode()
        return node.GetFieldOfView()[0] / node.GetDimensions()[0]

    def click_in(self, name, position):
        """Click a view where it shows a position; the slice is moved to its depth first, as with the mouse wheel."""
        from PySide6 import QtCore, QtTest

        self.slice_widget(name).mrmlSliceNode().JumpSliceByOffsetting(*position)
        self.host.process_events()
        view = self.slice_widget(name).sliceView()
        pixel = self.pixel(name, position)
        assert 0 <= pixel[0] < view.width and 0 <= pixel[1] < view.height, f"{position} is not in the {name} view"
        for approach in (20, 6, 0):  # a mouse comes from somewhere
            QtTest.QTest.mouseMove(view, QtCore.QPoint(pixel[0] + approach, pixel[1]))
            self.host.process_events()
        self.host.click(view, pixel)
        self.host.process_events()

    def drag_in(self, name, start, end):
        """Drag what a view shows at one position to another one."""
        from PySide6 import QtCore, QtTest

        view = self.slice_widget(name).sliceView()
        self.slice_widget(name).mrmlSliceNode().JumpSliceByOffsetting(*start)
        self.host.process_events()
        first, last = np.array(self.pixel(name, start)), np.array(self.pixel(name, end))
        left, none = QtCore.Qt.LeftButton, QtCore.Qt.NoModifier
        for approach in (20, 6, 0):  # a mouse comes from somewhere
            QtTest.QTest.mouseMove(view, QtCore.QPoint(*(first + approach).tolist()))
            self.host.process_events()
        QtTest.QTest.mousePress(view, left, none, QtCore.QPoint(*first.tolist()))
        for share in (0.25, 0.5, 0.75, 1.0):
            QtTest.QTest.mouseMove(view, QtCore.QPoint(*np.rint(first + share * (last - first)).astype(int).tolist()))
            self.host.process_events()
        QtTest.QTest.mouseRelease(view, left, none, QtCore.QPoint(*last.tolist()))
        self.host.process_events()

    def click_slot(self, name):
        """Click the cell of a slot in the grid."""
        table = self.ui.slotTable
        row, column = self.widget.editPanel.grid.cell(name)
        item = table.item(row, column)
        table.scrollToItem(item)
        middle = table.visualItemRect(item).center()
        self.host.click(table.viewport(), (middle.x(), middle.y()))
        self.host.process_events()

    def cell_text(self, name):
        row, column = self.widget.editPanel.grid.cell(name)
        return self.ui.slotTable.item(row, column).text()
