"""What looks wrong in a list of laminae: each finding names the slot to look at.

The checks run after every edit. They say what a person should look at again; they never change anything. One wrong
point sets off one finding, or two of different kinds: each check leaves out what an earlier one has named, and looks
at a point against curves that single points do not bend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LaminaLabelingLib.anatomy import name_key, provisional_name
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.spacing import spacing_problems
from LaminaLabelingLib.spine_curve import Rows, depth_outliers, rows_of

KINDS = ("swapped", "order", "spacing", "perpendicular", "sagittal", "outside", "same place")

SAME_PLACE_MM = 3.0
"""Two laminae are never closer than this."""

MIRRORED_SHARE = 0.8
MIRRORED_PAIRS = 3
"""When this share of at least so many complete pairs is exchanged, the scan or the list is mirrored."""

REVERSED_SHARE = 0.8
REVERSED_POINTS = 4
"""When this share of at least so many points of a side runs upwards, the scan or the list is upside down."""

SKEW_DEG = 25.0
"""A pair that deviates more from the perpendicular to the column in the coronal plane is named."""

NEAR_LEVELS = 2
"""Only neighbors as near as this tell the column's direction."""

SAGITTAL_MM = 7.0
"""A point that lies further in front of or behind its neighbors' curve is named; in mm of an adult."""

MIN_SAGITTAL_POINTS = 5


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    name : str
        The slot to look at.
    text : str
        One short sentence for a person.
    others : tuple of str
        Further slots that are part of it, in anatomical order.
    """

    kind: str
    name: str
    text: str
    others: tuple[str, ...] = ()


def check(
    laminae: LaminaSet, ijk_to_ras: np.ndarray | None = None, shape_ijk: Sequence[int] | None = None
) -> tuple[Finding, ...]:
    """Return everything that looks wrong in a list.

    Spacing and depth are judged in proportion to the list's own size, so that children and adults are treated alike.

    Parameters
    ----------
    laminae : LaminaSet
        Patient RAS mm. Unset and absent slots are left out.
    ijk_to_ras : array_like, shape (4, 4), or None
        From the scan's voxels to the same RAS; None, here or for the shape, leaves "outside" out.
    shape_ijk : 3 ints or None
        The scan's voxels along i, j and k.

    Returns
    -------
    tuple of Finding
        In anatomical order of their slots, those of one slot in the order of `KINDS`.
    """
    points = laminae.positions()
    findings: list[Finding] = []
    if ijk_to_ras is not None and shape_ijk is not None:
        findings += _outside(points, np.asarray(ijk_to_ras, float), np.asarray(shape_ijk, float))
    findings += _same_place(points)
    if points:
        rows = rows_of(_vertebrae(laminae), points)
        found, rows = _swapped(rows)
        findings += found
        found, rows, reversed_ = _order(rows)
        findings += found
        if not reversed_:
            findings += _along(rows)
    return tuple(sorted(findings, key=lambda finding: (name_key(finding.name), KINDS.index(finding.kind))))


def _vertebrae(laminae: LaminaSet) -> tuple[str, ...]:
    if not laminae.is_provisional:
        return laminae.numbering.vertebrae
    numbers = [int(vertebra[1:]) for vertebra in laminae.pairs()]
    return tuple(provisional_name(number - 1, "L")[:-1] for number in sorted(numbers))


def _outside(points: dict[str, np.ndarray], matrix: np.ndarray, shape: np.ndarray) -> list[Finding]:
    if not points:
        return []
    indices = (np.array(list(points.values())) - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    # A voxel reaches half its size beyond its center; the slack keeps rounding from deciding.
    inside = ((indices >= -0.5 - 1e-6) & (indices <= shape - 0.5 + 1e-6)).all(axis=1)
    text = _("{name} lies outside the scan.")
    return [Finding("outside", name, text.format(name=name)) for name, within in zip(points, inside) if not within]


def _same_place(points: dict[str, np.ndarray]) -> list[Finding]:
    """Name each point once that lies on an earlier one."""
    names = list(points)
    if len(names) < 2:
        return []
    places = np.array(list(points.values()))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    findings = []
    for number, name in enumerate(names):
        close = np.flatnonzero(distances[number, :number] < SAME_PLACE_MM)
        if len(close):
            others = tuple(names[other] for other in close)
            text = _("{name} lies within {distance:.1f} mm of {others}.").format(
                name=name, distance=distances[number, close].min(), others=", ".join(others)
            )
            findings.append(Finding("same place", name, text, others))
    return findings


def _swapped(rows: Rows) -> tuple[list[Finding], Rows]:
    """Name pairs whose left lamina is right of the right one, and go on with them exchanged."""
    across = rows.points[1, :, 0] - rows.points[0, :, 0]
    complete = np.isfinite(across)
    wrong = np.flatnonzero(complete & (across < 0.0))
    if not len(wrong):
        return [], rows
    right_way = rows.exchanged(wrong)
    if complete.sum() >= MIRRORED_PAIRS and len(wrong) >= MIRRORED_SHARE * complete.sum():
        names = [rows.name(side, level) for level in wrong for side in (0, 1)]
        text = _(
            "Left and right are exchanged in {count} of {total} pairs: the scan or the list is mirrored (LPS and RAS)."
        ).format(count=len(wrong), total=int(complete.sum()))
        return [Finding("swapped", names[0], text, tuple(names[1:]))], right_way
    text = _("{name} lies {distance:.0f} mm to the right of {other}: left and right are exchanged.")
    findings = []
    for level in wrong:
        left, right = rows.name(0, level), rows.name(1, level)
        distance = -across[level] * rows.scale
        findings.append(Finding("swapped", left, text.format(name=left, other=right, distance=distance), (right,)))
    return findings, right_way


def _order(rows: Rows) -> tuple[list[Finding], Rows, bool]:
    """Name the fewest points of each side without which every level lies below the one before.

    Returns the findings, the rows without the points in question, and whether the list is upside down.
    """
    findings: list[Finding] = []
    dropped: list[tuple[int, int]] = []
    for side in (0, 1):
        levels = np.flatnonzero(rows.known[side])
        heights = rows.points[side, levels, 2]
        if len(levels) >= REVERSED_POINTS and len(_longest_descent(-heights)) >= REVERSED_SHARE * len(levels):
            names = [rows.name(side, level) for level in levels]
            text = _("{first} lies below {last}, and so all the way: the scan or the list is upside down.").format(
                first=names[0], last=names[-1]
            )
            return [Finding("order", names[0], text, tuple(names[1:]))], rows, True
        kept = _longest_descent(heights)
        for number in sorted(set(range(len(levels))) - set(kept)):
            above = [other for other in kept if other < number and heights[other] <= heights[number]]
            below = [other for other in kept if other > number and heights[other] >= heights[number]]
            text = _("{name} lies above {others}.") if above else _("{name} lies below {others}.")
            against = above or below
            others = tuple(rows.name(side, levels[other]) for other in against)
            name = rows.name(side, levels[number])
            findings.append(Finding("order", name, text.format(name=name, others=", ".join(others)), others))
            dropped.append((side, levels[number]))
            # Two neighbors that were exchanged: the one that was kept is as wrong.
            if len(against) == 1:
                dropped.append((side, levels[against[0]]))
    return findings, rows.without(dropped), False


def _longest_descent(heights: np.ndarray) -> list[int]:
    """Return the indices of the longest strictly falling subsequence, its first members as early as possible."""
    count = len(heights)
    length, following = np.ones(count, int), np.full(count, -1)
    for start in range(count - 2, -1, -1):
        lower = np.flatnonzero(heights[start + 1 :] < heights[start]) + start + 1
        if len(lower):
            best = lower[length[lower].argmax()]
            length[start], following[start] = length[best] + 1, best
    at = int(length.argmax()) if count else -1
    chosen = []
    while at >= 0:
        chosen.append(at)
        at = int(following[at])
    return chosen


def _along(rows: Rows) -> list[Finding]:
    """Check depth, spacing and pairs of rows whose order is right."""
    findings, rows = _sagittal(rows)
    named: list[tuple[int, int]] = []
    for problem in spacing_problems(rows):
        findings.append(Finding("spacing", problem.name, problem.text, problem.others))
        named += problem.wrong
    return findings + _perpendicular(rows.without(named))


def _sagittal(rows: Rows) -> tuple[list[Finding], Rows]:
    """Name points that lie off the sagittal curve of the others, and go on without them."""
    if rows.known.sum() < MIN_SAGITTAL_POINTS:
        return [], rows
    findings, wrong = [], []
    for side, level, distance in depth_outliers(rows, SAGITTAL_MM):
        name = rows.name(side, level)
        if distance > 0:
            text = _("{name} lies {distance:.0f} mm in front of its neighbors' curve.")
        else:
            text = _("{name} lies {distance:.0f} mm behind its neighbors' curve.")
        findings.append(Finding("sagittal", name, text.format(name=name, distance=abs(distance) * rows.scale)))
        wrong.append((side, level))
    return findings, rows.without(wrong)


def _perpendicular(rows: Rows) -> list[Finding]:
    """Name pairs that are not perpendicular to the column, a run of pairs that lean alike once."""
    levels = np.flatnonzero(rows.known.all(axis=0))
    if len(levels) < 3:
        return []
    left, right = rows.points[:, levels][..., [0, 2]]
    middle = (left + right) / 2
    before = np.maximum(np.arange(len(levels)) - 1, 0)
    after = np.minimum(np.arange(len(levels)) + 1, len(levels) - 1)
    down, across = middle[after] - middle[before], right - left
    lengths = np.linalg.norm(down, axis=1) * np.linalg.norm(across, axis=1)
    sine = (down * across).sum(axis=1) / np.maximum(lengths, 1e-9)
    skew = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    # A pair far away says little about the direction of a curved column here.
    near = np.maximum(levels[after] - levels, levels - levels[before]) <= NEAR_LEVELS
    runs: list[list[int]] = []
    for number in np.flatnonzero((np.abs(skew) > SKEW_DEG) & near):
        if runs and runs[-1][-1] == number - 1 and skew[number] * skew[number - 1] > 0:
            runs[-1].append(number)
        else:
            runs.append([number])
    findings = []
    for run in runs:
        names = [rows.name(side, levels[number]) for number in run for side in (0, 1)]
        # Positive: the right lamina lies further down than the left one.
        lower, higher = (names[1], names[0]) if skew[run[0]] > 0 else (names[0], names[1])
        text = _("{lower} lies too low or {higher} too high: the pair is {angle:.0f}° off the perpendicular.").format(
            lower=lower, higher=higher, angle=abs(skew[run[0]])
        )
        findings.append(Finding("perpendicular", names[0], text, tuple(names[1:])))
    return findings
