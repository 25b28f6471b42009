"""Follow-up: how the curves of one patient changed from an earlier scan to a later one.

Both scans are measured between the same vertebrae, as one does on radiographs, so that a change of the angle is not a
change of the end vertebrae. Both scans decide alike which ones: those between which the mean of their tilts turns most.
End vertebrae that one scan alone chooses fit its errors, and make its angle too large beside the other's. The errors of
the mean, in contrast, say nothing about those of the difference as long as both scans are equally certain.

The interval of a change holds the errors of the points. How the patient stood and how the probe was led comes on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LaminaLabelingLib.curvature import (
    LEAST_CURVE_DEG,
    LEAST_PAIRS,
    Angle,
    Curve,
    SpineMeasurement,
    angle_between,
    measure,
)
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet

USUAL_CHANGE_DEG = 5.0
"""From this change on a curve is usually said to have progressed; on radiographs smaller ones are lost in the error."""

LEAST_OVERLAP = 0.25
"""Curves to the same side are one curve if they share at least this part of the vertebrae that both cover together."""

BOTH, NEW, GONE = "both", "new", "gone"
"""Whether a curve reaches 10 degrees in both scans, only in the later one, or only in the earlier one."""


@dataclass(frozen=True)
class Change:
    """An angle in both scans, measured between the same vertebrae.

    Attributes
    ----------
    upper, lower : str
        Between which vertebrae.
    earlier, later : Angle
        Degrees; of a lateral curve negative where it looks to the other side than `CurveChange.side`.
    """

    upper: str
    lower: str
    earlier: Angle
    later: Angle

    @property
    def change(self) -> Angle:
        """The later angle less the earlier one; their errors are independent."""
        return Angle(self.later.value - self.earlier.value, float(np.hypot(self.later.sd, self.earlier.sd)))

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the interval of the change excludes 0."""
        low, high = self.change.interval
        return low > 0.0 or high < 0.0

    @property
    def reaches_usual_change(self) -> bool:
        """Whether the change is `USUAL_CHANGE_DEG` or more in size."""
        return abs(self.change.value) >= USUAL_CHANGE_DEG


@dataclass(frozen=True)
class CurveChange(Change):
    """A lateral curve in both scans.

    Attributes
    ----------
    side : str
        "right" or "left": to which its convexity looks.
    region : str
        As `curvature.Curve` has it, of the larger curve.
    state : str
        `BOTH`, `NEW` or `GONE`.
    """

    side: str
    region: str
    state: str


@dataclass(frozen=True)
class Comparison:
    """What changed from an earlier scan to a later one.

    Attributes
    ----------
    curves : tuple of CurveChange
        The largest of either scan first.
    kyphosis, lordosis : Change or None
        None where either scan lacks it.
    notes : tuple of str
        Sentences about what could not be compared.
    """

    curves: tuple[CurveChange, ...]
    kyphosis: Change | None
    lordosis: Change | None
    notes: tuple[str, ...] = ()


def compare(
    earlier: LaminaSet,
    later: LaminaSet,
    earlier_measurement: SpineMeasurement | None = None,
    later_measurement: SpineMeasurement | None = None,
) -> Comparison:
    """Compare two scans of one patient.

    Parameters
    ----------
    earlier, later : LaminaSet
        Both named, in patient axes, RAS mm. The origin may differ.
    earlier_measurement, later_measurement : SpineMeasurement, optional
        What `measure` says of them; measured here when left out.

    Returns
    -------
    Comparison

    Raises
    ------
    LaminaError
        If the levels of either are not named, they are numbered differently, either cannot be measured, or fewer than
        `LEAST_PAIRS` vertebrae have both laminae in both.
    """
    _check_names(earlier, later)
    before = earlier_measurement or _measured(earlier, True)
    after = later_measurement or _measured(later, False)
    first, second = ([level.vertebra for level in each.levels] for each in (before, after))
    common = [name for name in first if name in second]
    if len(common) < LEAST_PAIRS:
        raise LaminaError(
            _("{count} vertebrae have both laminae in both scans: at least {least} are needed to compare them.").format(
                count=len(common), least=LEAST_PAIRS
            )
        )
    mean = {name: 0.5 * (before.level(name).tilt.value + after.level(name).tilt.value) for name in common}
    changes, notes = [], []
    order = list(later.numbering.vertebrae)
    for old, new in pair_curves(before.curves, after.curves, order):
        curves = [curve for curve in (old, new) if curve is not None]
        side = curves[0].side
        top, bottom = _reach(curves, order)
        ends = _most_turned([name for name in common if top <= order.index(name) <= bottom], mean, side)
        angles = [_toward(side, angle_between(each, *ends)) for each in (before, after)] if ends else []
        is_whole = {order[top], order[bottom]} <= set(common)
        if not is_whole and all(angle.value < LEAST_CURVE_DEG for angle in angles):
            notes.append(
                _("The curve from {upper} to {lower} cannot be compared: one of the scans lacks its vertebrae.").format(
                    upper=order[top], lower=order[bottom]
                )
            )
            continue
        larger = max(curves, key=lambda curve: curve.angle.value)
        state = BOTH if len(curves) == 2 else GONE if new is None else NEW
        changes.append(CurveChange(*ends, *angles, side, larger.region, state))
    changes.sort(key=lambda change: -max(change.earlier.value, change.later.value))
    return Comparison(
        tuple(changes),
        _change("T1", "T12", before.kyphosis, after.kyphosis),
        _change("L1", "L5", before.lordosis, after.lordosis),
        tuple(notes),
    )


def pair_curves(
    earlier: Sequence[Curve], later: Sequence[Curve], order: Sequence[str]
) -> list[tuple[Curve | None, Curve | None]]:
    """Find out which curves of two scans are the same.

    Curves to the same side belong together when they share vertebrae, see `LEAST_OVERLAP`; of all ways to pair them,
    the one with the most in common counts.

    Parameters
    ----------
    earlier, later : sequence of Curve
    order : sequence of str
        All vertebrae from the top down.

    Returns
    -------
    list of (Curve or None, Curve or None)
        Each curve once; None where it has no partner.
    """
    shared = np.array([[_overlap(old, new, order) for new in later] for old in earlier]).reshape(
        len(earlier), len(later)
    )
    from scipy.optimize import linear_sum_assignment  # not at the top: opening a panel must not wait for it

    rows, columns = linear_sum_assignment(-shared)
    pairs = [(row, column) for row, column in zip(rows, columns) if shared[row, column] >= LEAST_OVERLAP]
    paired_rows, paired_columns = {row for row, _column in pairs}, {column for _row, column in pairs}
    return [
        *((earlier[row], later[column]) for row, column in pairs),
        *((curve, None) for index, curve in enumerate(earlier) if index not in paired_rows),
        *((None, curve) for index, curve in enumerate(later) if index not in paired_columns),
    ]


def _check_names(earlier: LaminaSet, later: LaminaSet) -> None:
    if earlier.is_provisional:
        raise LaminaError(_("The levels of the earlier scan are not named: name its vertebrae to compare the scans."))
    if later.is_provisional:
        raise LaminaError(_("The levels of the later scan are not named: name its vertebrae to compare the scans."))
    old, new = earlier.numbering, later.numbering
    if old != new:
        raise LaminaError(
            _(
                "The scans are numbered differently, {old_thoracic} thoracic and {old_lumbar} lumbar vertebrae in the "
                "earlier and {new_thoracic} and {new_lumbar} in the later one: give both the same numbering."
            ).format(old_thoracic=old.thoracic, old_lumbar=old.lumbar, new_thoracic=new.thoracic, new_lumbar=new.lumbar)
        )


def _measured(laminae: LaminaSet, is_earlier: bool) -> SpineMeasurement:
    try:
        return measure(laminae)
    except LaminaError as error:
        if is_earlier:
            text = _("The earlier scan cannot be measured: {reason}")
        else:
            text = _("The later scan cannot be measured: {reason}")
        raise LaminaError(text.format(reason=error)) from error


def _reach(curves: Sequence[Curve], order: Sequence[str]) -> tuple[int, int]:
    return min(order.index(curve.upper) for curve in curves), max(order.index(curve.lower) for curve in curves)


def _overlap(old: Curve, new: Curve, order: Sequence[str]) -> float:
    """Return which part of the vertebrae that two curves cover together both cover; 0 for different sides."""
    if old.side != new.side:
        return 0.0
    (old_top, old_bottom), (new_top, new_bottom) = _reach([old], order), _reach([new], order)
    shared = min(old_bottom, new_bottom) - max(old_top, new_top)
    return max(shared, 0) / (max(old_bottom, new_bottom) - min(old_top, new_top))


def _most_turned(names: Sequence[str], mean: dict[str, float], side: str) -> tuple[str, str] | None:
    """Return the two vertebrae, the upper one first, between which the tilt turns most towards a side."""
    sign = 1.0 if side == "right" else -1.0
    turns = {
        (upper, lower): sign * (mean[upper] - mean[lower])
        for index, upper in enumerate(names)
        for lower in names[index + 1 :]
    }
    return max(turns, key=turns.get) if turns else None


def _toward(side: str, angle: Angle) -> Angle:
    return angle if side == "right" else Angle(-angle.value, angle.sd)


def _change(upper: str, lower: str, earlier: Angle | None, later: Angle | None) -> Change | None:
    return None if earlier is None or later is None else Change(upper, lower, earlier, later)
