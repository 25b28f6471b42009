"""The page of a report: header, drawing, tables of the curves and the follow-up, notes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html import escape
from typing import TYPE_CHECKING

from LaminaLabelingLib.curvature import Angle, Curve
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.progression import Change, Comparison
from LaminaLabelingLib.report_drawing import draw
from LaminaLabelingLib.report_elements import add, as_text
from LaminaLabelingLib.report_figures import ABSENT, FOUND, MISSING, PLACED, SUGGESTED, lamina_states
from LaminaLabelingLib.report_texts import (
    angle_text,
    curve_name,
    difference_text,
    interval_text,
    names_text,
    region_text,
    remark_text,
    side_text,
)

if TYPE_CHECKING:
    from LaminaLabelingLib.report import Report

_LARGEST_PICTURE_MM, _SMALLEST_PICTURE_MM = 140.0, 60.0
_ROW_MM, _LINE_MM, _LETTERS_A_LINE = 5.9, 4.1, 105
_TITLE_MM, _LETTERS_A_TITLE = 6.5, 32

_STYLE = """
@page { margin: 11mm 12mm; }
:root { color-scheme: light; }
* { box-sizing: border-box; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { width: 186mm; margin: 8mm auto; font: 8.6pt/1.32 "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif;
  color: #16202b; background: #fff; }
h1 { font-size: 15pt; line-height: 1.15; margin: 0; font-weight: 650; }
h2 { font-size: 10pt; margin: 2.6mm 0 0.6mm; font-weight: 650; }
p, ul { margin: 0.6mm 0; } ul { padding-left: 4.5mm; }
header { display: flex; justify-content: space-between; gap: 6mm; border-bottom: 0.5mm solid #16202b;
  padding-bottom: 1.6mm; margin-bottom: 2mm; }
.case { overflow-wrap: anywhere; } .about { color: #4a5663; font-size: 7.6pt; overflow-wrap: anywhere; }
.use { flex: none; width: 58mm; border: 0.35mm solid #16202b; padding: 1mm 2mm; font-size: 7.6pt; line-height: 1.25;
  align-self: flex-start; }
.use strong { display: block; font-size: 9pt; }
.problem { border-left: 1mm solid #16202b; background: #f0f2f4; padding: 1.2mm 2.5mm; margin: 2mm 0; }
svg { display: block; } figure { margin: 0; } text { font-family: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: 1mm 5mm; font-size: 7.2pt; color: #4a5663; margin: 0.4mm 0 0 9mm; }
.legend span { display: flex; align-items: center; gap: 1.2mm; }
.key { width: 3.2mm; height: 3.2mm; } .wide { width: 6mm; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; font-size: 7.6pt; color: #4a5663; border-bottom: 0.3mm solid #16202b;
  padding: 0.4mm 2mm 0.6mm 0; vertical-align: bottom; }
td { border-bottom: 0.15mm solid #c9d0d7; padding: 0.6mm 2mm 0.6mm 0; vertical-align: top; }
table.plain { border-top: 0.3mm solid #16202b; } table.plain td:nth-child(-n+2) { width: 38mm; }
td.value { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.value b { font-size: 9.6pt; }
.interval { color: #4a5663; }
.small { font-size: 7.2pt; color: #4a5663; line-height: 1.28; }
@media print { body { width: auto; margin: 0; } h2, tr, svg, .problem { break-inside: avoid; }
  h2 { break-after: avoid; } }
@media screen and (max-width: 720px) { body { width: auto; margin: 4mm; } }
"""


def page_of(report: Report) -> str:
    """Return the page of a report: HTML that is well-formed XML too and names nothing outside itself."""
    title = _title(report)
    body = ET.Element("body")
    _header(body, report)
    if report.problem:
        add(body, "p", report.problem, class_="problem")
    draw(add(body, "figure"), report, _height_mm(report))
    _curves(body, report)
    if report.earlier is not None:
        _follow_up(body, report)
    _laminae(body, report)
    _footer(body, report)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8" />\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1" />\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:" />\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n{as_text(body)}\n</html>\n"
    )


def _height_mm(report: Report) -> float:
    """Return how high the pictures may be, so that what is below them comes on the same page."""
    height = _LARGEST_PICTURE_MM - _TITLE_MM * (len(_title(report)) // _LETTERS_A_TITLE)
    if report.measurement is not None:
        height -= _ROW_MM * max(0, len(report.measurement.curves) - 1)
    texts = [_laminae_text(report), *report.notes]
    if report.earlier is not None:
        height -= 17.0
        if report.comparison is not None:
            height -= _ROW_MM * len(_changes(report.comparison))
            texts += report.comparison.notes
    lines = sum(1 + len(text) // _LETTERS_A_LINE for text in texts)
    return max(height - _LINE_MM * (lines - 1), _SMALLEST_PICTURE_MM)


def _title(report: Report) -> str:
    return _("Spine curvature: {case}").format(case=report.case) if report.case else _("Spine curvature")


def _header(body: ET.Element, report: Report) -> None:
    header = add(body, "header")
    about = add(header, "div")
    add(about, "h1", _title(report), class_="case")
    line = [report.created, report.software]
    if report.model:
        line.append(_("laminae found by {model}").format(model=report.model))
    add(about, "p", " · ".join(line), class_="about")
    if report.is_simulated:
        add(add(about, "p"), "strong", _("Simulated scan, not a patient's."))
    use = add(header, "div", class_="use")
    add(use, "strong", _("Research use only"))
    add(use, "span", _("A research measurement, not a diagnosis. Left and right are as the scan's axes say."))


def _curves(body: ET.Element, report: Report) -> None:
    measurement = report.measurement
    if measurement is None:
        return
    add(body, "h2", _("Curves in the coronal plane"))
    if measurement.curves:
        table = _table(
            body,
            _("Curve"),
            _("End vertebrae"),
            _("Apex"),
            _("Convex to the"),
            _("Coronal angle (95 %)"),
            _("Largest in any plane (95 %)"),
            _("That plane"),
        )
        for curve in measurement.curves:
            _curve_row(table, curve)
    else:
        add(body, "p", _("No curve of 10 degrees or more."))
    add(body, "h2", _("Sagittal profile of the laminae"))
    table = add(add(body, "table", class_="plain"), "tbody")
    named = not report.laminae.is_provisional
    for name, upper, lower, angle in (
        (_("Kyphosis"), "T1", "T12", measurement.kyphosis),
        (_("Lordosis"), "L1", "L5", measurement.lordosis),
    ):
        row = add(table, "tr")
        add(row, "td", name)
        add(row, "td", f"{upper}–{lower}")
        if angle is not None:
            _angle_cell(row, angle)
        else:
            add(row, "td", _why_not(measurement, named, upper, lower))


def _why_not(measurement, named: bool, upper: str, lower: str) -> str:
    if not named:
        return _("not measured: the levels are not named")
    measured = {level.vertebra for level in measurement.levels}
    lacking = [name for name in (upper, lower) if name not in measured]
    return _("not measured: {names} without both laminae").format(names=", ".join(lacking))


def _curve_row(table: ET.Element, curve: Curve) -> None:
    row = add(table, "tr")
    for text in (region_text(curve.region), f"{curve.upper}–{curve.lower}", curve.apex, side_text(curve.side)):
        add(row, "td", text)
    _angle_cell(row, curve.angle)
    _angle_cell(row, curve.maximum)
    add(row, "td", f"{curve.plane_deg:.0f}°", class_="value")


def _follow_up(body: ET.Element, report: Report) -> None:
    add(body, "h2", _("Follow-up"))
    comparison = report.comparison
    if comparison is None:
        add(body, "p", _("Not compared. {reason}").format(reason=report.comparison_problem), class_="problem")
        return
    earlier = report.earlier_case or _("earlier scan")
    add(body, "p", _("Compared with {earlier}, between the same vertebrae in both scans.").format(earlier=earlier))
    if not _changes(comparison):
        add(body, "p", _("No curve of 10 degrees or more in either scan."))
    else:
        table = _table(body, _("Angle"), _("Between"), _("Earlier"), _("Now"), _("Change (95 %)"), _("What it says"))
        for name, change in _changes(comparison):
            _change_row(table, name, change)
    for note in comparison.notes:
        add(body, "p", note)


def _changes(comparison: Comparison) -> list[tuple[str, Change]]:
    changes: list[tuple[str, Change]] = [(curve_name(change), change) for change in comparison.curves]
    for name, change in ((_("kyphosis"), comparison.kyphosis), (_("lordosis"), comparison.lordosis)):
        if change is not None:
            changes.append((name, change))
    return changes


def _change_row(table: ET.Element, name: str, change: Change) -> None:
    row = add(table, "tr")
    add(row, "td", name)
    add(row, "td", f"{change.upper}–{change.lower}")
    for angle in (change.earlier, change.later):
        add(row, "td", angle_text(angle), class_="value")
    _angle_cell(row, change.change, difference_text(change))
    add(row, "td", remark_text(change))


def _laminae(body: ET.Element, report: Report) -> None:
    add(body, "h2", _("Laminae and notes"))
    add(body, "p", _laminae_text(report))
    if report.notes:
        listed = add(body, "ul")
        for note in report.notes:
            add(listed, "li", note)


def _laminae_text(report: Report) -> str:
    """Return how many laminae there are of each state, and which ones are not just there."""
    texts = {
        PLACED: _("{count} placed or confirmed by a person"),
        FOUND: _("{count} found by the program and not reviewed"),
        SUGGESTED: _("{count} suggested, not seen: {names}"),
        ABSENT: _("{count} not in the scan: {names}"),
        MISSING: _("{count} missing: {names}"),
    }
    states = lamina_states(report.laminae)
    parts = [
        text.format(count=len(states[state]), names=names_text(states[state], list(report.laminae.pairs())))
        for state, text in texts.items()
        if states[state]
    ]
    return "; ".join(parts) + "." if parts else _("There are no laminae in the list.")


def _footer(body: ET.Element, report: Report) -> None:
    add(
        body,
        "p",
        _(
            "Angles are measured on the centers of the laminae (center of lamina method), smoothed over the levels; "
            "they are not Cobb angles of a radiograph. The plane of the largest angle is 0° where a curve is a pure "
            "kyphosis, 90° where it lies in the coronal plane, 180° where it is a pure lordosis. Rotation is that of "
            "the line through both laminae. In brackets: the range that holds the angle with "
            "a probability of 95 %, as far as the errors of the points go; those of posture and scan come on top."
        ),
        class_="small",
    )


def _table(body: ET.Element, *heads: str) -> ET.Element:
    table = add(body, "table")
    row = add(add(table, "thead"), "tr")
    for head in heads:
        add(row, "th", head.replace(" %", "\N{NO-BREAK SPACE}%"))
    return add(table, "tbody")


def _angle_cell(row: ET.Element, angle: Angle, text: str = "") -> None:
    cell = add(row, "td", class_="value")
    add(cell, "b", text or angle_text(angle))
    add(cell, "span", f" ({interval_text(angle)})", class_="interval")
