"""The picture of a scan with its laminae, as a PNG file: drawn with Pillow, in a tenth of a plotting library's time."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume

from .pictures import BACKGROUND, COLUMN, GRAY, LEFT, RIGHT, TRUTH, projections, white_level
from .preprocessing import Prepared

_HEIGHT, _WIDTH = 1140, 1320
"""Pixels that the picture fills, at one scale for all three panels."""

_TOP, _BOTTOM, _BESIDE, _BETWEEN = 44, 34, 58, 26
"""Pixels around a panel: its title, the numbers below it and on its left, and the next panel's distance."""

_FINE = 4
"""Dots and lines are drawn this many times larger and reduced, since Pillow draws no smooth edges."""

_HEADINGS = {
    "coronal": "Coronal, seen from behind\n(left of the patient on the left)",
    "sagittal": "Sagittal\n(anterior on the right)",
    "axial": "Axial, half way down\n(all laminae projected)",
}
_AXES = {"coronal": (1, 0), "sagittal": (2, 0), "axial": (1, 2)}
"""Axes of the scan that run across and down each panel."""


def draw_overlay(
    volume: Volume,
    laminae: LaminaSet,
    path: Path,
    prepared: Prepared | None = None,
    truth: LaminaSet | None = None,
    title: str = "",
) -> None:
    """Draw the coronal, sagittal and axial projections of a scan with the laminae on them.

    Parameters
    ----------
    volume : Volume
    laminae : LaminaSet
        Drawn as dots, left blue and right orange, with their names.
    path : Path
        The PNG to write, under a temporary name first.
    prepared : Prepared, optional
        Adds the spinous process column and the slab at the depth of the laminae.
    truth : LaminaSet, optional
        Drawn as hollow circles.
    title : str
    """
    picture = make_overlay(volume, laminae, prepared, truth, title)[0]
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        picture.save(stream, format="png", compress_level=4)


def make_overlay(
    volume: Volume,
    laminae: LaminaSet,
    prepared: Prepared | None = None,
    truth: LaminaSet | None = None,
    title: str = "",
) -> tuple[Image.Image, dict[str, _Panel]]:
    """Return the picture that `draw_overlay` writes, and its panels by name."""
    pictures = projections(volume, prepared)
    sizes = {name: volume.extent_mm[list(_AXES[name])] for name in _AXES}
    across = sum(size[0] for size in sizes.values())
    scale = min((_HEIGHT - _TOP - _BOTTOM) / sizes["coronal"][1], (_WIDTH - 3 * (_BESIDE + _BETWEEN)) / across)
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT), BACKGROUND)
    panels, left = {}, _BESIDE
    for name in _AXES:
        panels[name] = _Panel(canvas, (left, _TOP), sizes[name], scale)
        panels[name].show(pictures[name][0], _HEADINGS[name])
        left += max(panels[name].size[0], 170) + _BETWEEN + _BESIDE
    for name, panel in panels.items():
        _mark(panel, name, volume, laminae, prepared, truth)
    right, bottom = _legend(panels["axial"], laminae, truth, title)
    right = max(right, panels["axial"].corner[0] + panels["axial"].size[0])
    bottom = max(bottom, *(panel.corner[1] + panel.size[1] for panel in panels.values()))
    return canvas.crop((0, 0, right + _BETWEEN, min(bottom + _BOTTOM, _HEIGHT))), panels


def _mark(panel: _Panel, name: str, volume: Volume, laminae: LaminaSet, prepared, truth) -> None:
    """Draw column, truth and laminae into a panel."""

    def places(points) -> np.ndarray:
        return ((volume.to_index(np.array(list(points))) + 0.5) * volume.spacing)[:, list(_AXES[name])]

    if prepared is not None and name != "axial":
        panel.line(places(prepared.column_points), COLUMN)
    if truth is not None and truth.positions():
        panel.dots(places(truth.positions().values()), TRUTH, 4.8, hollow=True)
    for side, color in (("L", LEFT), ("R", RIGHT)):
        named = {key: point for key, point in laminae.positions().items() if key.endswith(side)}
        if named:
            at = places(named.values())
            panel.dots(at, color, 3.2)
            if name == "coronal":
                panel.names(zip(named, at), color, -1 if side == "L" else 1)


class _Panel:
    """A projection at a place of the canvas, with a scale in mm.

    Parameters
    ----------
    canvas : Image
    corner : (int, int)
        Pixel of its upper left corner.
    extent : (float, float)
        Millimetres across and down.
    scale : float
        Pixels per mm.
    """

    def __init__(self, canvas: Image.Image, corner: tuple[int, int], extent: np.ndarray, scale: float) -> None:
        self.canvas, self.corner, self.extent, self.scale = canvas, corner, extent, scale
        self.size = tuple(max(1, round(float(length) * scale)) for length in extent)
        self.draw = ImageDraw.Draw(canvas)

    def show(self, picture: np.ndarray, heading: str) -> None:
        """Paste the picture and write its heading and scales."""
        shown = np.clip(picture / max(white_level(picture), 1e-9), 0.0, 1.0) * 255
        image = Image.fromarray(np.nan_to_num(shown).astype(np.uint8))
        self.canvas.paste(image.resize(self.size, Image.Resampling.BILINEAR), self.corner)
        x, y = self.corner
        self.draw.multiline_text((x, y - 6), heading, "white", _font(14), anchor="ld", spacing=2)
        every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if step * self.scale >= 42)
        for mark in range(0, int(self.extent[0]) + 1, every):
            at = x + mark * self.scale
            self.draw.line([(at, y + self.size[1]), (at, y + self.size[1] + 5)], GRAY)
            self.draw.text((at, y + self.size[1] + 8), str(mark), GRAY, _font(12), anchor="mt")
        for mark in range(0, int(self.extent[1]) + 1, every):
            at = y + mark * self.scale
            self.draw.line([(x - 5, at), (x, at)], GRAY)
            self.draw.text((x - 9, at), str(mark), GRAY, _font(12), anchor="rm")

    def pixels(self, places: np.ndarray) -> np.ndarray:
        """Return the canvas' pixels of places in mm."""
        return places * self.scale + self.corner

    def dots(self, places: np.ndarray, color: str, radius: float, hollow: bool = False) -> None:
        """Draw a dot at each place, or a circle around it; it may lie beyond the panel's border."""
        stamp = _dot(radius, hollow)
        for x, y in self.pixels(places):
            corner = (round(x - stamp.width / 2), round(y - stamp.height / 2))
            self.canvas.paste(color, (*corner, corner[0] + stamp.width, corner[1] + stamp.height), stamp)

    def line(self, places: np.ndarray, color: str) -> None:
        """Draw a line through the places, inside the panel."""
        mask = Image.new("L", (self.size[0] * _FINE, self.size[1] * _FINE), 0)
        points = [tuple(point) for point in (places * self.scale * _FINE).tolist()]
        ImageDraw.Draw(mask).line(points, 205, width=round(1.7 * _FINE), joint="curve")
        self.canvas.paste(color, (*self.corner, *np.add(self.corner, self.size).tolist()), mask.reduce(_FINE))

    def names(self, named: Iterable[tuple[str, np.ndarray]], color: str, side: int) -> None:
        """Write names beside their places, -1 on the left of it and 1 on the right."""
        for name, place in named:
            x, y = self.pixels(place)
            anchor = "rm" if side < 0 else "lm"
            self.draw.text((x + 13 * side, y), name, color, _font(12), anchor, stroke_width=2, stroke_fill="black")


def _legend(panel: _Panel, laminae: LaminaSet, truth: LaminaSet | None, title: str) -> tuple[int, int]:
    """Write the legend below a panel; return where it ends on the right and at the bottom."""
    lines = [(title, "white")] if title else []
    lines += [
        (f"{len(laminae.positions())} laminae", "white"),
        ("left lamina", LEFT),
        ("right lamina", RIGHT),
        ("spinous process column", COLUMN),
    ]
    if truth is not None:
        lines.append(("simulated truth (circles)", TRUTH))
    lines.append(("Scales in mm. Research use only.", GRAY))
    x, y = panel.corner[0], panel.corner[1] + panel.size[1] + 80
    for number, (text, color) in enumerate(lines):
        panel.draw.text((x, y + 34 * number), text, color, _font(16))
    widest = max(int(panel.draw.textlength(text, _font(16))) for text, _ in lines)
    return min(x + widest, _WIDTH - _BETWEEN), y + 34 * len(lines)


@lru_cache
def _dot(radius: float, hollow: bool) -> Image.Image:
    """Return a smooth disk, or a ring, as a mask."""
    edge = 2 * int(np.ceil(radius) + 1)
    mask = Image.new("L", (edge * _FINE, edge * _FINE), 0)
    middle, reach = edge * _FINE / 2, radius * _FINE
    circle = [middle - reach, middle - reach, middle + reach, middle + reach]
    ImageDraw.Draw(mask).ellipse(circle, **({"outline": 255, "width": _FINE} if hollow else {"fill": 255}))
    return mask.reduce(_FINE)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return matplotlib's font, which knows more scripts than Pillow's own; without it that one."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin:
        path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.exists():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)
