"""The figures of a report as plain values: for its JSON file, its table, and its page.

Degrees and millimeters are rounded to three decimals, the same in all files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from LaminaLabelingLib.curvature import Angle, Curve, LevelMeasure
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.progression import Change, Comparison, CurveChange

if TYPE_CHECKING:
    from LaminaLabelingLib.report import Report

COLUMNS = ("figure", "region", "side", "upper", "apex", "lower", "value_deg", "sd_deg", "low_deg", "high_deg", "remark")
"""Header of the table; ``low_deg`` to ``high_deg`` is the 95 % interval."""

PLACED, FOUND, SUGGESTED, ABSENT, MISSING = "placed", "found", "suggested", "absent", "missing"
"""States of a lamina in a report: placed or confirmed by a person, found and not reviewed, not seen but filled in,
not in the scan as a person said, and without a position."""

_DECIMALS = 3


def lamina_states(laminae: LaminaSet) -> dict[str, tuple[str, ...]]:
    """Return the names of the laminae by their state in a report.

    Parameters
    ----------
    laminae : LaminaSet

    Returns
    -------
    dict of str to tuple of str
        All five states; of numbered pairs only a partner can be missing.
    """
    states: dict[str, list[str]] = {state: [] for state in (PLACED, FOUND, SUGGESTED, ABSENT, MISSING)}
    for vertebra, pair in laminae.pairs().items():
        for side, lamina in zip("LR", pair):
            if lamina is None or lamina.review is Review.unset:
                state = MISSING
            elif lamina.review is Review.absent:
                state = ABSENT
            elif lamina.is_suggested:
                state = SUGGESTED
            else:
                state = PLACED if lamina.review is Review.placed else FOUND
            states[state].append(vertebra + side)
    return {state: tuple(names) for state, names in states.items()}


def figures_of(report: Report) -> dict:
    """Return all that a report says, as its JSON file holds it.

    Returns
    -------
    dict
        ``curves``, ``kyphosis``, ``lordosis``, ``levels``, ``laminae``, ``notes``, ``problem`` (why nothing was
        measured, else empty), ``follow_up`` (None without an earlier scan) and what the header says. An angle is a
        dict of ``value_deg``, ``sd_deg``, ``low_deg`` and ``high_deg``.
    """
    measurement = report.measurement
    curves = measurement.curves if measurement else ()
    return {
        "case": report.case,
        "created": report.created,
        "software": report.software,
        "model": report.model,
        "simulated": report.is_simulated,
        "intended_use": "research only",
        "named": not report.laminae.is_provisional,
        "problem": report.problem,
        "curves": [_curve(curve) for curve in curves],
        "kyphosis": _optional(measurement.kyphosis if measurement else None),
        "lordosis": _optional(measurement.lordosis if measurement else None),
        "levels": [_level(level) for level in (measurement.levels if measurement else ())],
        "laminae": {state: list(names) for state, names in lamina_states(report.laminae).items()},
        "notes": list(report.notes),
        "follow_up": _follow_up(report),
    }


def table_rows(figures: Mapping) -> list[list]:
    """Return the rows under `COLUMNS` for what `figures_of` returned: one figure a row, empty cells where none fits."""
    rows = []
    for curve in figures["curves"]:
        where = [curve[key] for key in ("region", "side", "upper", "apex", "lower")]
        for kind in ("angle", "sagittal", "maximum"):
            rows.append([f"curve {kind}", *where, *curve[kind].values(), ""])
        rows.append(["curve plane", *where, curve["plane_deg"], "", "", "", "against the sagittal plane"])
    for kind, upper, lower in (("kyphosis", "T1", "T12"), ("lordosis", "L1", "L5")):
        if figures[kind]:
            rows.append([kind, "", "", upper, "", lower, *figures[kind].values(), ""])
    for level in figures["levels"]:
        remark = "suggested" if level["suggested"] else ""
        for kind in ("tilt", "rotation"):
            rows.append([kind, "", "", level["vertebra"], "", "", *level[kind].values(), remark])
    return rows + _change_rows(figures["follow_up"])


def _change_rows(follow_up: Mapping | None) -> list[list]:
    if not follow_up or follow_up["problem"]:
        return []
    changes = [("curve", change) for change in follow_up["curves"]]
    changes += [(kind, follow_up[kind]) for kind in ("kyphosis", "lordosis") if follow_up[kind]]
    rows = []
    for kind, change in changes:
        where = [change.get("region", ""), change.get("side", ""), change["upper"], "", change["lower"]]
        remark = "beyond chance" if change["beyond_chance"] else "may be chance"
        for when, cell in (("earlier", ""), ("later", ""), ("change", remark)):
            rows.append([f"{kind} {when}", *where, *change[when].values(), cell])
    return rows


def _number(value: float) -> float:
    return round(float(value), _DECIMALS) + 0.0


def _angle(angle: Angle) -> dict[str, float]:
    low, high = angle.interval
    return {
        "value_deg": _number(angle.value),
        "sd_deg": _number(angle.sd),
        "low_deg": _number(low),
        "high_deg": _number(high),
    }


def _optional(angle: Angle | None) -> dict[str, float] | None:
    return None if angle is None else _angle(angle)


def _curve(curve: Curve) -> dict:
    return {
        "region": curve.region,
        "side": curve.side,
        "upper": curve.upper,
        "apex": curve.apex,
        "lower": curve.lower,
        "angle": _angle(curve.angle),
        "sagittal": _angle(curve.sagittal),
        "maximum": _angle(curve.maximum),
        "plane_deg": _number(curve.plane_deg),
    }


def _level(level: LevelMeasure) -> dict:
    return {
        "vertebra": level.vertebra,
        "midpoint_ras_mm": [_number(value) for value in level.midpoint],
        "tilt": _angle(level.tilt),
        "rotation": _angle(level.rotation),
        "suggested": level.is_suggested,
        "disagreement_sd": _number(level.disagreement),
    }


def _follow_up(report: Report) -> dict | None:
    if report.earlier is None:
        return None
    comparison: Comparison | None = report.comparison
    return {
        "earlier_case": report.earlier_case,
        "problem": report.comparison_problem,
        "curves": [_change(change) for change in (comparison.curves if comparison else ())],
        "kyphosis": _change(comparison.kyphosis) if comparison and comparison.kyphosis else None,
        "lordosis": _change(comparison.lordosis) if comparison and comparison.lordosis else None,
        "notes": list(comparison.notes) if comparison else [],
    }


def _change(change: Change) -> dict:
    curve = {}
    if isinstance(change, CurveChange):
        curve = {"region": change.region, "side": change.side, "state": change.state}
    return {
        **curve,
        "upper": change.upper,
        "lower": change.lower,
        "earlier": _angle(change.earlier),
        "later": _angle(change.later),
        "change": _angle(change.change),
        "beyond_chance": change.is_beyond_chance,
        "reaches_5_deg": change.reaches_usual_change,
    }
