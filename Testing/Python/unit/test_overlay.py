"""The picture with the laminae: dots where they are, names beside them, everything inside the picture."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageColor

from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib.overlay import draw_overlay, make_overlay
from LaminaSegmentationLib.pictures import COLUMN, LEFT, RIGHT, TRUTH

# IRA order with patient directions: index 0 runs down, 1 to the right, 2 to the front.
MATRIX = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def scan(size=(300, 100, 60)):
    array = np.full(size, 40, np.uint8)
    return Volume(array, MATRIX, name="a")


def laminae(volume, **indices):
    return LaminaSet(
        laminae=[
            Lamina(name, tuple(volume.to_world(np.array(index, float))), "placed", "manual")
            for name, index in indices.items()
        ]
    )


def color_at(picture, place):
    return picture.getpixel(tuple(round(float(value)) for value in place))


def test_dots_lie_where_the_laminae_are_in_all_three_panels():
    volume = scan()
    found = laminae(volume, T5L=(100, 30, 20), T5R=(110, 70, 25))
    picture, panels = make_overlay(volume, found)
    for name, across, down in (("coronal", 1, 0), ("sagittal", 2, 0), ("axial", 1, 2)):
        for index, color in (((100, 30, 20), LEFT), ((110, 70, 25), RIGHT)):
            place = panels[name].pixels(np.array([index[across] + 0.5, index[down] + 0.5]))
            assert color_at(picture, place - 0.5) == ImageColor.getrgb(color), name


def test_truth_is_a_circle_around_its_place():
    volume = scan()
    picture, panels = make_overlay(volume, laminae(volume), truth=laminae(volume, T5L=(150, 50, 30)))
    center = np.round(panels["coronal"].pixels(np.array([50.5, 150.5])) - 0.5)
    pixels = np.asarray(picture).astype(int)
    around = pixels[int(center[1]) - 7 : int(center[1]) + 8, int(center[0]) - 7 : int(center[0]) + 8]
    green = np.abs(around - ImageColor.getrgb(TRUTH)).sum(axis=2) < 90
    assert green.sum() >= 12
    assert not green[6:9, 6:9].any()


def test_the_column_is_drawn_where_it_is(coarse_scan, prepared_scan):
    volume = coarse_scan.volume
    picture, panels = make_overlay(volume, LaminaSet(), prepared_scan)
    pixels = np.asarray(picture).astype(int)
    point = prepared_scan.column_points[len(prepared_scan.column_points) // 2]
    index = volume.to_index(point[None])[0]
    for name, across in (("coronal", 1), ("sagittal", 2)):
        places = (index[[across, 0]] + 0.5) * volume.spacing[[across, 0]]
        x, y = np.round(panels[name].pixels(places)).astype(int)
        red = np.abs(pixels[y - 2 : y + 3, x - 2 : x + 3] - ImageColor.getrgb(COLUMN)).sum(axis=2)
        assert red.min() < 160, name


@pytest.mark.parametrize("size", [(1073, 334, 230), (60, 400, 400), (400, 40, 40), (33, 33, 33)])
def test_panels_of_any_shape_lie_inside_the_picture_and_beside_each_other(size):
    volume = scan(size)
    picture, panels = make_overlay(volume, laminae(volume), title="x")
    edges = []
    for panel in panels.values():
        (left, top), (width, height) = panel.corner, panel.size
        edges.append((left, left + width))
        assert top > 0 and top + height < picture.height
        # One scale for all.
        assert width == pytest.approx(panel.extent[0] * panels["coronal"].scale, abs=1)
    assert all(end < start for (_, end), (start, _) in pairwise(edges))
    assert edges[-1][1] < picture.width <= 1320
    # No more is left empty below than the numbers of the scale need, or the six lines of the legend.
    lowest = max(panel.corner[1] + panel.size[1] for panel in panels.values())
    legend = panels["axial"].corner[1] + panels["axial"].size[1] + 80 + 6 * 34
    assert picture.height == min(max(lowest, legend) + 34, 1140)


def test_a_long_or_foreign_title_and_an_empty_scan_are_drawn(tmp_path):
    volume = scan().with_array(np.zeros((300, 100, 60), np.float32))
    draw_overlay(volume, LaminaSet(), tmp_path / "a.png", title="脊柱 Überprüfung.nrrd " * 20)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width <= 1320 and picture.height <= 1140
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_nan_in_a_scan_of_floats_does_not_fail():
    array = np.ones((100, 60, 50), np.float32)
    array[10:20] = np.nan
    picture, _ = make_overlay(scan(array.shape).with_array(array), LaminaSet())
    assert picture.mode == "RGB"
