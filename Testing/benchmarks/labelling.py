"""Measures what a clinician waits for: opening a folder of scans, and a click or drag until every view is drawn.

    python Testing/benchmarks/labelling.py [--scans 200] [--clicks 34] [--json FILE]

The folder holds scans with the labels of three raters; their voxels are not there at all, because the status must not
need them. The clicks are real ones in SlicerHost (real MRML and slice logic, drawn in software) on a volume of 1150 x
290 x 145 voxels with a slab of 16 mm in the coronal view. Ratios are to the goals: 1 s and 100 ms.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
MODULES = [ROOT / name / f"{name}.py" for name in ("LaminaLabeling", "LaminaSegmentation")]
GOAL_FOLDER_S, GOAL_CLICK_MS = 1.0, 100.0
SHAPE_KJI = (1150, 145, 290)
SPACING_MM = 0.38


def folder_seconds(scans):
    """Return how long a folder of scans takes to open, and how many cases it shows."""
    from LaminaLabelingLib.anatomy import SLOTS
    from LaminaLabelingLib.cases import CaseFolder
    from LaminaLabelingLib.files import write_markups
    from LaminaLabelingLib.laminae import LaminaSet

    laminae = LaminaSet.from_positions({name: (1.0 + index, 2.0, -3.0 * index) for index, name in enumerate(SLOTS)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_markups(laminae, folder / "labels.mrk.json")
        labels = (folder / "labels.mrk.json").read_bytes()
        for number in range(scans):
            (folder / f"scan{number}.nrrd").write_bytes(b"")
            for rater in ("anna", "bert", "model"):
                (folder / f"scan{number}.{rater}.mrk.json").write_bytes(labels)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            cases = CaseFolder(folder, "anna").cases
            times.append(time.perf_counter() - start)
    return statistics.median(times), len(cases)


def big_volume(slicer):
    """Add a volume of full size with a spine's worth of speckle."""
    array = np.zeros(SHAPE_KJI, dtype=np.uint8)
    array[:, 20:130, 40:250] = np.random.default_rng(1).integers(1, 200, size=(1150, 110, 210), dtype=np.uint8)
    matrix = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    return slicer.util.addVolumeFromArray(array, matrix, "full size")


def positions(count):
    """Return places of laminae in the volume by name."""
    from LaminaLabelingLib.anatomy import SLOTS

    size = np.array([SHAPE_KJI[2], SHAPE_KJI[1], SHAPE_KJI[0]]) * SPACING_MM
    places = {}
    for index, name in enumerate(SLOTS[:count]):
        level = index // 2
        side = -9.0 if name.endswith("L") else 9.0
        places[name] = (size[0] / 2 + side, size[1] / 2 + 3 * np.cos(level), size[2] * (0.96 - 0.92 * level / 16))
    return places


def drawn(host, action):
    """Return the milliseconds from an action until all views are drawn, which the event loop does."""
    start = time.perf_counter()
    action()
    host.process_events()
    return 1000 * (time.perf_counter() - start)


def click_milliseconds(clicks):
    """Return the application, the times of clicks on slots, and those of clicks that place a lamina."""
    from SlicerHost import Host

    host = Host.start(MODULES, (1600, 1000))
    import slicer
    from PySide6 import QtCore, QtTest

    big_volume(slicer)
    widget = host.select_module("LaminaLabeling")
    host.click(widget.ui.newListButton)
    session = widget.logic.session
    places = positions(clicks)
    view = slicer.app.layoutManager().sliceWidget("Green").sliceView()
    node = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    host.click(widget.ui.placeButton)
    placing = []
    for name, position in places.items():
        session.select(name)
        node.JumpSliceByOffsetting(*position)
        host.process_events()
        inverse = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
        x, y = (inverse @ (*position, 1.0))[:2]
        pixel = QtCore.QPoint(round(x), view.height - 1 - round(y))
        for approach in (15, 0):
            QtTest.QTest.mouseMove(view, pixel + QtCore.QPoint(approach, 0))
            host.process_events()
        placing.append(drawn(host, lambda pixel=pixel: host.click(view, (pixel.x(), pixel.y()))))
    if len(session.laminae.positions()) != len(places):
        raise SystemExit(f"only {len(session.laminae.positions())} of {len(places)} clicks placed a lamina")
    host.click(widget.ui.placeButton)
    table, selecting = widget.ui.slotTable, []
    for name in places:
        item = table.item(*widget.editPanel.grid.cell(name))
        table.scrollToItem(item)
        middle = table.visualItemRect(item).center()
        selecting.append(drawn(host, lambda at=middle: host.click(table.viewport(), (at.x(), at.y()))))
    return host, selecting, placing


def drag_milliseconds(host, steps=60):
    """Return the times of the steps of a drag: without the curves, and with their table and lines."""
    import slicer
    from PySide6 import QtCore, QtTest

    from LaminaLabelingLib.laminae import LaminaSet

    widget = slicer.modules.laminalabeling.widgetRepresentation().self()
    curved = {}
    for index, (name, place) in enumerate(positions(34).items()):
        phase = np.pi * (index // 2) / 16
        side = -9.0 if name.endswith("L") else 9.0
        curved[name] = np.add(place, (20.0 * np.sin(phase), 0.0, side * 0.16 * np.cos(phase)))
    widget.logic.session.labeling.reset(LaminaSet.from_positions(curved))
    widget.editPanel.onSlot("T6R")
    widget._parameterNode.lock = False
    host.process_events()
    view = slicer.app.layoutManager().sliceWidget("Green").sliceView()
    node = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    left, none, times = QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, []
    for shown in (False, True):
        widget.ui.curvesCollapsibleButton.collapsed = not shown
        widget._parameterNode.showEndLines = shown
        host.wait_until(lambda shown=shown: (widget.curvePanel.lines.modelNode is not None) == shown)
        inverse = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
        x, y = (inverse @ (*widget.logic.session.position("T6R"), 1.0))[:2]
        pixel = QtCore.QPoint(round(x), view.height - 1 - round(y))
        for approach in (15, 6, 0):
            QtTest.QTest.mouseMove(view, pixel + QtCore.QPoint(approach, 0))
            host.process_events()
        QtTest.QTest.mousePress(view, left, none, pixel)
        moves = [pixel + QtCore.QPoint(step % 12, step // 12) for step in range(1, steps + 1)]
        times.append([drawn(host, lambda at=at: QtTest.QTest.mouseMove(view, at)) for at in moves])
        QtTest.QTest.mouseRelease(view, left, none, moves[-1])
        host.process_events()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=200, help="scans in the folder")
    parser.add_argument("--clicks", type=int, default=34, help="how many slots are placed and clicked, 1 to 34")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT / "Testing"), *(str(path.parent) for path in MODULES)]
    seconds, cases = folder_seconds(options.scans)
    host, selecting, placing = click_milliseconds(options.clicks)
    dragging, measured = drag_milliseconds(host)
    rows = [(f"open a folder of {cases} scans", 1000 * seconds, 1000 * seconds, 1000 * GOAL_FOLDER_S)]
    for text, times in (
        ("click on a slot, all views drawn", selecting),
        ("click that places a lamina", placing),
        ("step of a drag", dragging),
        ("step of a drag, curves and lines", measured),
    ):
        rows.append((text, statistics.median(times), float(np.percentile(times, 95)), GOAL_CLICK_MS))
    print(f"{'':36}{'median ms':>11}{'95 % ms':>10}{'goal ms':>9}{'median / goal':>15}")
    for text, median, high, goal in rows:
        print(f"{text:36}{median:11.1f}{high:10.1f}{goal:9.0f}{median / goal:15.2f}")
    if options.json:
        keys = ("median_ms", "p95_ms", "goal_ms")
        options.json.write_text(json.dumps({row[0]: dict(zip(keys, row[1:])) for row in rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
