"""Draws the icons of the extension and of its modules.

    python Testing/make_icons.py

They are drawn here rather than kept as pictures only, so that they can be changed together.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
SIZE = 128
OVERSAMPLING = 8
NIGHT, DEEP, TISSUE = (18, 27, 43), (32, 48, 74), (104, 122, 150)
GREEN, AMBER, WHITE = (70, 235, 145), (255, 170, 40), (238, 243, 250)


class Canvas:
    """A square picture whose coordinates run from 0 to 128, drawn large and scaled down."""

    def __init__(self):
        side = SIZE * OVERSAMPLING
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def plate(self, color):
        self.draw.rounded_rectangle(self._scaled([(3, 3), (125, 125)]), 24 * OVERSAMPLING, fill=color)

    def dot(self, x, y, radius, color):
        self.draw.ellipse(self._scaled([(x - radius, y - radius), (x + radius, y + radius)]), fill=color)

    def line(self, points, width, color):
        points = list(points)
        self.draw.line(self._scaled(points), fill=color, width=round(width * OVERSAMPLING), joint="curve")
        for x, y in (points[0], points[-1]):
            self.dot(x, y, width / 2, color)

    def polygon(self, points, color):
        self.draw.polygon(self._scaled(points), fill=color)

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.image.resize((SIZE, SIZE), Image.LANCZOS).save(path)

    @staticmethod
    def _scaled(points):
        return [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in points]


def spine(fraction, center=64, bend=10):
    """Return (x, y) of the midline of a curved spine, for 0 at its top to 1 at its bottom."""
    return center + bend * np.sin(2 * np.pi * (fraction - 0.08)), 20 + 88 * fraction


def draw_spine(canvas, colors, center=64, bend=10, half_width=15, radius=5.6):
    """Draw the midline and one pair of laminae for each (left, right) pair of colors."""
    canvas.line([spine(fraction, center, bend) for fraction in np.linspace(0, 1, 60)], 3.2, NIGHT)
    for fraction, (left, right) in zip(np.linspace(0.02, 0.98, len(colors)), colors):
        x, y = spine(fraction, center, bend)
        ahead = spine(fraction + 0.01, center, bend)
        tilt = 0.2 * (np.arctan2(ahead[1] - y, ahead[0] - x) - np.pi / 2)  # a vertebra tilts less than the curve
        across = half_width * np.array([np.cos(tilt), np.sin(tilt)])
        canvas.dot(x - across[0], y - across[1], radius, left)
        canvas.dot(x + across[0], y + across[1], radius, right)


def swept_strip(canvas, center=64, bend=10):
    """Draw the strip that the probe has swept along the spine."""
    line = [spine(fraction, center, bend) for fraction in np.linspace(-0.08, 1.08, 60)]
    canvas.polygon([(x - 31, y) for x, y in line] + [(x + 31, y) for x, y in reversed(line)], TISSUE)


def extension_icon(canvas):
    """Laminae on a curved spine in the strip that the probe has swept."""
    canvas.plate(NIGHT)
    swept_strip(canvas)
    draw_spine(canvas, [(GREEN, GREEN)] * 5)


def segmentation_icon(canvas):
    """The fan of the probe, the shadow of a spinous process, and the two laminae found beside it."""
    canvas.plate(NIGHT)
    angles = np.radians(np.linspace(52, 128, 40))
    near, far = 26, 92
    apex = (64, 4)
    arc = [(apex[0] + far * np.cos(angle), apex[1] + far * np.sin(angle) + 14) for angle in angles]
    inner = [(apex[0] + near * np.cos(angle), apex[1] + near * np.sin(angle) + 4) for angle in reversed(angles)]
    canvas.polygon(arc + inner, TISSUE)
    canvas.polygon([(61, 50), (67, 50), (73, 109), (55, 109)], NIGHT)
    canvas.line([(58, 50), (64, 44), (70, 50)], 5, WHITE)
    for x, lean in ((42, 1), (86, -1)):
        canvas.line([(x - 15 * lean, 80), (x + 11 * lean, 68)], 6.5, WHITE)
        canvas.dot(x - 2 * lean, 74, 8.5, GREEN)


def labeling_icon(canvas):
    """Pairs of laminae, one of them suggested, and the lines of a list."""
    canvas.plate(NIGHT)
    swept_strip(canvas, center=47, bend=6)
    draw_spine(canvas, [(GREEN, GREEN), (GREEN, GREEN), (GREEN, AMBER), (GREEN, GREEN)], 47, 6, 15, 6.8)
    for index, y in enumerate(np.linspace(21.5, 106.5, 4)):
        canvas.line([(88, y), (112, y)], 7, AMBER if index == 2 else WHITE)


def main():
    for path, paint in (
        ("Resources/Icons/LaminaUltrasound.png", extension_icon),
        ("LaminaSegmentation/Resources/Icons/LaminaSegmentation.png", segmentation_icon),
        ("LaminaLabeling/Resources/Icons/LaminaLabeling.png", labeling_icon),
    ):
        canvas = Canvas()
        paint(canvas)
        canvas.save(ROOT / path)


if __name__ == "__main__":
    main()
