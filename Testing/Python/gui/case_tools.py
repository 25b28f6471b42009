"""What the tests of case folders share: a folder of scans, and the hands of the user in it."""

import numpy as np
import SimpleITK
from labeling_tools import SHAPE_IJK, SPACING, Labeler

POINT = (38.0, 27.0, 120.0)


def write_scan(path, direction=None):
    """Write a scan that lies like `labeling_tools.make_scan` in the world."""
    array = np.random.default_rng(4).integers(1, 120, size=SHAPE_IJK[::-1], dtype=np.uint8)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    # LPS: i and j run to the patient's right and anterior, as RAS says.
    image.SetDirection(direction or (-1, 0, 0, 0, -1, 0, 0, 0, 1))
    image.SetOrigin((0.0, 0.0, -5.0))
    SimpleITK.WriteImage(image, str(path), useCompression=False)


def fill_folder(folder):
    """Write three scans."""
    for number in (1, 2, 10):
        write_scan(folder / f"scan{number}.nrrd")
    return folder


def rater_in(host, folder):
    """Yield a rater who has opened a folder, and close it afterwards."""
    user = Labeler(host)
    user.ui.raterLineEdit.setText("anna")
    user.ui.casesCollapsibleButton.collapsed = False
    user.widget.casePanel.openFolder(str(folder))
    host.process_events()
    yield user
    user.widget.logic.cases.closeFolder()
    user.widget.casePanel.show()
    host.select_module("LaminaSegmentation")


def names(user):
    table = user.ui.caseTable
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]


def open_case(user, row):
    """Double-click a row of the case table."""
    from PySide6 import QtCore, QtTest

    table = user.ui.caseTable
    table.scrollToItem(table.item(row, 0))
    middle = table.visualItemRect(table.item(row, 0)).center()
    left, none = QtCore.Qt.LeftButton, QtCore.Qt.NoModifier
    QtTest.QTest.mouseClick(table.viewport(), left, none, middle)
    QtTest.QTest.mouseDClick(table.viewport(), left, none, middle)
    user.host.process_events()


def place(user, name, position=POINT):
    user.click_slot(name)
    user.key("P")
    user.click_in("Green", position)
    user.key("P")


def answer(user, button, action):
    """Run an action that asks something, and click a button of the box."""
    import qt
    import slicer

    seen = []

    def click():
        box = qt.QApplication.activeModalWidget()
        if box is None or seen:
            return
        seen.append(box.text)
        user.host.click(next(made for made in box.buttons() if made.text.replace("&", "") == button))

    watcher = qt.QTimer()
    watcher.timeout.connect(click)
    watcher.start(20)
    slicer.app.setTestingEnabled(False)
    try:
        action()
        user.host.process_events()
    finally:
        slicer.app.setTestingEnabled(True)
        watcher.stop()
    assert len(seen) == 1, seen
    return seen[0]
