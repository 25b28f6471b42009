"""The drawing of a report: the spine from behind and from the side, and its rotation, level beside level."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.curvature import Curve, LevelMeasure
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, Review
from LaminaLabelingLib.report_elements import add
from LaminaLabelingLib.report_pictures import Picture, coronal_picture, sagittal_picture
from LaminaLabelingLib.report_texts import angle_text, interval_text

if TYPE_CHECKING:
    from LaminaLabelingLib.report import Report

WIDTH_MM = 186.0
_NAMES_MM, _GAP_MM, _TOP_MM, _BOTTOM_MM = 9.0, 3.0, 5.0, 7.5
_CORONAL_MM, _SAGITTAL_MM = 72.0, 46.0
_ROTATION_MM = WIDTH_MM - 0.2 - 2 * _NAMES_MM - 2 * _GAP_MM - _CORONAL_MM - _SAGITTAL_MM
_MARGIN_MM = 14.0  # of the patient, above and below the levels
_LARGEST_SCALE = 0.55
_LINE_MM = (48.0, 22.0)  # of the patient: a line through an end vertebra, to the concave and to the convex side
_APEX_MM = 27.0
_INK, _PALE = "#16202b", "#4a5663"
_HALO = {"stroke": "#000", "stroke_width": 0.7, "paint_order": "stroke", "stroke_linejoin": "round"}


@dataclass(frozen=True)
class _View:
    """A panel: from a plane of the patient (mm to the right or to the front, mm up) to its own mm on the page."""

    panel: ET.Element
    scale: float
    left: float
    top: float
    axis: int
    is_dark: bool

    def at(self, point) -> tuple[float, float]:
        return self.scale * (float(point[self.axis]) - self.left), self.scale * (self.top - float(point[2]))

    @property
    def ink(self) -> str:
        return "#ffffff" if self.is_dark else _INK

    @property
    def accent(self) -> str:
        return "#ffd54a" if self.is_dark else "#8a4b00"

    def text(self, text: str, x: float, y: float, size: float, color: str, anchor: str = "middle", **more) -> None:
        halo = _HALO if self.is_dark else {**_HALO, "stroke": "#fff"}
        add(self.panel, "text", text, x=x, y=y, font_size=size, fill=color, text_anchor=anchor, **halo, **more)


def draw(parent: ET.Element, report: Report, height_mm: float) -> None:
    """Draw the laminae of a report, on the scan where there is one, into an element of its page.

    Without any position and any scan nothing is drawn.

    Parameters
    ----------
    parent : Element
    report : Report
    height_mm : float
        Of the pictures on the page, at most.
    """
    points = np.array(list(report.laminae.positions().values())).reshape(-1, 3)
    if not len(points) and report.volume is None:
        return
    corners = points if len(points) else _corners(report.volume)
    low, high = corners.min(axis=0), corners.max(axis=0)
    top, extent = high[2] + _MARGIN_MM, high[2] - low[2] + 2 * _MARGIN_MM
    scale = min(height_mm / extent, _LARGEST_SCALE)
    height = scale * extent
    svg = add(
        parent,
        "svg",
        viewBox=f"0 0 {WIDTH_MM:g} {height + _TOP_MM + _BOTTOM_MM:.2f}",
        style=f"width:100%;max-width:{WIDTH_MM:g}mm;height:auto",
        role="img",
        aria_label=_("The spine from behind and from the side, and the axial rotation of its levels"),
    )
    levels = _midpoints(report)
    middle = 0.5 * (low + high)
    views = {}
    left = _NAMES_MM
    for axis, width, picture_of in ((0, _CORONAL_MM, coronal_picture), (1, _SAGITTAL_MM, sagittal_picture)):
        panel = add(svg, "svg", x=left, y=_TOP_MM, width=width, height=height, viewBox=f"0 0 {width:g} {height:.2f}")
        is_dark = report.volume is not None
        add(panel, "rect", width=width, height=height, fill="#000000" if is_dark else "#f3f5f7")
        view = _View(panel, scale, middle[axis] - 0.5 * width / scale, top, axis, is_dark)
        if report.volume is not None:
            picture = picture_of(report.volume, np.array(list(levels.values())).reshape(-1, 3))
            _place(view, picture)
        views[axis] = view
        _level_names(svg, levels, left - 1.2, view)
        left += width + _GAP_MM + (_NAMES_MM if axis == 0 else 0.0)
    _coronal(views[0], svg, report, height)
    _sagittal(views[1], svg, report, height)
    _rotation(svg, report, views[0], left, height)
    _legend(parent, report)


def _corners(volume) -> np.ndarray:
    index = np.array(np.meshgrid(*((-0.5, size - 0.5) for size in volume.shape))).reshape(3, -1).T
    return volume.to_world(index)


def _midpoints(report: Report) -> dict[str, np.ndarray]:
    """Return the middle of the laminae of each level, of one lamina where it has only one."""
    result = {}
    for vertebra, pair in report.laminae.pairs().items():
        there = [lamina.position for lamina in pair if lamina is not None and lamina.position is not None]
        if there:
            result[vertebra] = np.mean(there, axis=0)
    return result


def _place(view: _View, picture: Picture) -> None:
    """Put the picture of the scan under what is drawn."""
    to_page = np.array([[view.scale, 0.0, -view.scale * view.left], [0.0, -view.scale, view.scale * view.top]])
    matrix = to_page @ np.vstack([picture.to_plane, [0.0, 0.0, 1.0]])
    rows, columns = picture.pixels.shape
    add(
        view.panel,
        "image",
        href=picture.address,
        width=columns,
        height=rows,
        preserveAspectRatio="none",
        transform="matrix(" + " ".join(f"{value:.6g}" for value in matrix.T.ravel()) + ")",
    )


def _level_names(svg: ET.Element, levels, right: float, view: _View) -> None:
    for name, middle in levels.items():
        y = view.at(middle)[1] + _TOP_MM
        add(svg, "text", name, x=right, y=y + 0.85, font_size=2.5, fill=_INK, text_anchor="end")


def _coronal(view: _View, svg: ET.Element, report: Report, height: float) -> None:
    _heading(svg, _("From behind"), view, _NAMES_MM)
    for text, x, anchor in ((_("L"), 2.0, "start"), (_("R"), _CORONAL_MM - 2.0, "end")):
        view.text(text, x, 5.0, 4.2, view.ink, anchor, font_weight=700)
    _scale_bar(view, height)
    measurement = report.measurement
    if measurement is not None:
        for curve in measurement.curves:
            for name in (curve.upper, curve.lower):
                _end_line(view, measurement.level(name), curve.side)
    _marks(view, report)
    if measurement is not None:
        for curve in measurement.curves:
            _curve_mark(view, report, curve)


def _end_line(view: _View, level: LevelMeasure, side: str) -> None:
    """Draw the line through an end vertebra, inclined as the fit says; on the concave side the two lines converge."""
    middle, tilt = np.array(level.midpoint), np.radians(level.tilt.value)
    to_convex = (1.0 if side == "right" else -1.0) * np.array([np.cos(tilt), 0.0, np.sin(tilt)])
    (x1, y1), (x2, y2) = view.at(middle - _LINE_MM[0] * to_convex), view.at(middle + _LINE_MM[1] * to_convex)
    for color, width in (("#000" if view.is_dark else "#fff", 0.9), (view.accent, 0.45)):
        add(view.panel, "line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=color, stroke_width=width, stroke_linecap="round")


def _curve_mark(view: _View, report: Report, curve: Curve) -> None:
    """Mark the apex on the convex side, and write the angle on the concave one."""
    measurement = report.measurement
    sign = 1.0 if curve.side == "right" else -1.0
    x, y = view.at(np.array(measurement.level(curve.apex).midpoint) + np.array([sign * _APEX_MM, 0.0, 0.0]))
    corners = f"{x:.2f},{y:.2f} {x + 2.6 * sign:.2f},{y - 1.4:.2f} {x + 2.6 * sign:.2f},{y + 1.4:.2f}"
    add(view.panel, "polygon", points=corners, fill=view.accent, stroke="#000", stroke_width=0.2)
    view.text(curve.apex, x + 3.4 * sign, y + 0.9, 2.5, view.accent, "start" if sign > 0 else "end")
    upper, lower = (np.array(measurement.level(name).midpoint) for name in (curve.upper, curve.lower))
    beside = 0.5 * (upper + lower)
    between = [level.midpoint[0] for level in measurement.levels if lower[2] <= level.midpoint[2] <= upper[2]]
    beside[0] = (min(between) if sign > 0 else max(between)) - sign * 24.0
    x, y = view.at(beside)
    anchor = "end" if sign > 0 else "start"
    view.text(angle_text(curve.angle), x, y + 0.6, 5.0, view.accent, anchor, font_weight=700)
    view.text(interval_text(curve.angle), x, y + 3.8, 2.5, view.ink, anchor)


def _marks(view: _View, report: Report) -> None:
    for lamina in report.laminae.values():
        if lamina.position is not None:
            x, y = view.at(lamina.position)
            _mark(view.panel, _kind(lamina), x, y, view.is_dark)


def _kind(lamina: Lamina) -> str:
    if lamina.is_suggested:
        return "suggested"
    return "placed" if lamina.review is Review.placed else "found"


def _mark(panel: ET.Element, kind: str, x: float, y: float, is_dark: bool) -> None:
    """Draw a lamina: a disk for a placed one, a ring for a found one, a hollow diamond for a suggested one."""
    ink, ground = ("#ffffff", "#000000") if is_dark else (_INK, "#ffffff")
    if kind == "suggested":
        for size, look in ((1.65, {"fill": ground}), (1.2, {"fill": "none", "stroke": ink, "stroke_width": 0.35})):
            add(panel, "path", d=f"M{x:.2f} {y - size:.2f}l{size} {size}l{-size} {size}l{-size} {-size}z", **look)
        return
    add(panel, "circle", cx=x, cy=y, r=1.05, fill=ground)
    if kind == "placed":
        add(panel, "circle", cx=x, cy=y, r=0.8, fill=ink)
    else:
        add(panel, "circle", cx=x, cy=y, r=0.75, fill="none", stroke=ink, stroke_width=0.4)


def _sagittal(view: _View, svg: ET.Element, report: Report, height: float) -> None:
    left = _NAMES_MM + _CORONAL_MM + _GAP_MM + _NAMES_MM
    _heading(svg, _("From the right side"), view, left)
    for text, x, anchor in ((_("back"), 2.0, "start"), (_("front"), _SAGITTAL_MM - 2.0, "end")):
        view.text(text, x, 4.4, 2.9, view.ink, anchor)
    _marks(view, report)
    measurement = report.measurement
    for upper, lower in (("T1", "T12"), ("L1", "L5")):
        angle = None
        if measurement is not None:
            angle = measurement.kyphosis if upper == "T1" else measurement.lordosis
        if angle is None:
            continue
        middle = 0.5 * (np.array(measurement.level(upper).midpoint) + np.array(measurement.level(lower).midpoint))
        y = view.at(middle)[1]
        view.text(angle_text(angle), _SAGITTAL_MM - 2.0, y + 0.6, 4.0, view.accent, "end", font_weight=700)
        view.text(f"{upper}–{lower}", _SAGITTAL_MM - 2.0, y + 3.6, 2.5, view.ink, "end")


def _rotation(svg: ET.Element, report: Report, coronal: _View, left: float, height: float) -> None:
    """Plot the axial rotation of each level beside it, with its interval."""
    if report.measurement is None:
        return
    levels = report.measurement.levels
    reach = max(abs(bound) for level in levels for bound in level.rotation.interval)
    limit = max(5.0 * np.ceil(reach / 5.0), 15.0)
    panel = add(svg, "g", transform=f"translate({left:.2f} {_TOP_MM:.2f})")
    add(svg, "text", _("Axial rotation"), x=left, y=_TOP_MM - 1.4, font_size=2.9, font_weight=600, fill=_INK)
    add(panel, "rect", width=_ROTATION_MM, height=height, fill="none", stroke="#9aa5b1", stroke_width=0.2)

    def across(value: float) -> float:
        return float(_ROTATION_MM * (0.5 + 0.5 * value / limit))

    step = 10 if limit <= 30 else 20
    for tick in range(-step * int(limit // step), int(limit) + 1, step):
        x = across(tick)
        add(panel, "line", x1=x, x2=x, y1=0, y2=height, stroke="#d5dbe1" if tick else _INK, stroke_width=0.25)
        if abs(tick) < limit:
            add(panel, "text", f"{tick}°".replace("-", "−"), x=x, y=height + 3.0, font_size=2.5, text_anchor="middle")
    for level in levels:
        y = coronal.at(level.midpoint)[1]
        low, high = (across(bound) for bound in level.rotation.interval)
        x = across(level.rotation.value)
        add(panel, "line", x1=low, x2=high, y1=y, y2=y, stroke=_INK, stroke_width=0.3)
        for end in (low, high):
            add(panel, "line", x1=end, x2=end, y1=y - 0.7, y2=y + 0.7, stroke=_INK, stroke_width=0.3)
        _mark(panel, "suggested" if level.is_suggested else "placed", x, y, False)
    for text, x, anchor in ((_("left side behind"), 0.0, "start"), (_("right side behind"), _ROTATION_MM, "end")):
        add(panel, "text", text, x=x, y=height + 6.2, font_size=2.5, fill=_PALE, text_anchor=anchor)


def _heading(svg: ET.Element, text: str, view: _View, left: float) -> None:
    add(svg, "text", text, x=left, y=_TOP_MM - 1.4, font_size=2.9, font_weight=600, fill=_INK)


def _scale_bar(view: _View, height: float) -> None:
    length = 50.0 * view.scale
    x, y = 2.5, height - 2.5
    add(view.panel, "path", d=f"M{x} {y - 1:.2f}v1h{length:.2f}v-1", fill="none", stroke=view.ink, stroke_width=0.35)
    view.text("50 mm", x + 0.5 * length, y - 1.2, 2.3, view.ink)


def _legend(parent: ET.Element, report: Report) -> None:
    line = add(parent, "p", class_="legend")
    shown = {_kind(lamina) for lamina in report.laminae.values() if lamina.position is not None}
    for kind, text in (
        ("placed", _("placed or confirmed")),
        ("found", _("found, not reviewed")),
        ("suggested", _("suggested, not seen")),
    ):
        if kind in shown:
            _mark(_legend_key(line, text), kind, 0.0, 0.0, False)
    if report.measurement is not None and report.measurement.curves:
        key = _legend_key(line, _("through an end vertebra"))
        add(key, "line", x1=-1.6, x2=1.6, y1=0.6, y2=-0.6, stroke="#8a4b00", stroke_width=0.6)
        key = _legend_key(line, _("apex, on the convex side"))
        add(key, "polygon", points="-1.3,0 1.3,-1.4 1.3,1.4", fill="#8a4b00")
    if report.measurement is not None:
        key = _legend_key(line, _("95 % interval"))
        add(key, "path", d="M-1.5 0h3M-1.5 -0.8v1.6M1.5 -0.8v1.6", fill="none", stroke=_INK, stroke_width=0.35)


def _legend_key(line: ET.Element, text: str) -> ET.Element:
    item = add(line, "span")
    key = add(item, "svg", viewBox="-1.6 -1.6 3.2 3.2", class_="key")
    add(item, "span", text)
    return key
