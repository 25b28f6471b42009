"""Distances of neighboring levels against those of an adult's spine: points that slid, levels missed or doubled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.spine_curve import Rows

SLID_MM = 6.0
"""A point that is this much too far from one neighbor and too close to the other has slid along; mm of an adult."""

SLID_END_MM = 8.5
"""The same for the first or last point of a side, whose gap differs from the other side's by as much."""

MISSING_SHARE = 0.6
"""A gap that is wider than usual by this share of a level: one is missing."""

CLOSE_SHARE = 0.45
"""A gap that is narrower than usual by this share of a level: one is marked twice."""


@dataclass(frozen=True)
class SpacingProblem:
    """What is wrong: a slot, a sentence, further slots, and the (side, level) that later checks should leave out."""

    name: str
    text: str
    others: tuple[str, ...] = ()
    wrong: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class _Gap:
    """From one known level of a side to the next: both in adult mm; `excess` is what it is too wide."""

    upper: int
    lower: int
    length: float
    usual: float

    @property
    def excess(self) -> float:
        return self.length - self.usual

    @property
    def slid(self) -> float:
        """What the gap is too wide, less the more levels it spans: their own differences and a curve's bend add up."""
        return self.excess / (self.lower - self.upper)

    @property
    def level(self) -> float:
        """Usual distance of two neighboring levels here."""
        return self.usual / (self.lower - self.upper)

    @property
    def ends(self) -> tuple[int, int]:
        return self.upper, self.lower


def spacing_problems(rows: Rows) -> list[SpacingProblem]:
    """Return what is wrong with the distances along each side.

    Parameters
    ----------
    rows : Rows
        Each side in descending order.

    Returns
    -------
    list of SpacingProblem
        Empty when there are too few points to know the list's own scale.
    """
    if not rows.has_scale:
        return []
    problems = []
    gaps, slid = _take_out_slid(rows)
    for side, level, excess in slid:
        problems.append(_slid_problem(rows, side, level, excess))
    return problems + _missing(rows, gaps) + _close(rows, gaps)


def _gaps(rows: Rows, side: int, levels: Sequence[int]) -> list[_Gap]:
    """Measure the gaps of a side between some of its levels, each along the direction of the curve there."""
    points, curve = rows.points[side], rows.curves()[side]
    gaps = []
    for upper, lower in pairwise(levels):
        direction = curve[lower] - curve[upper]
        direction = direction / max(np.linalg.norm(direction), 1e-9)
        length = float((points[lower] - points[upper]) @ direction)
        gaps.append(_Gap(upper, lower, length, float(rows.stations[lower] - rows.stations[upper])))
    return gaps


def _take_out_slid(rows: Rows) -> tuple[list[list[_Gap]], list[tuple[int, int, float]]]:
    """Take points that have slid out, the worst first, and return the gaps that are left and (side, level, mm down)."""
    levels = [list(np.flatnonzero(known)) for known in rows.known]
    slid = []
    while True:
        gaps = [_gaps(rows, side, levels[side]) for side in (0, 1)]
        worst = max(
            (candidate for side in (0, 1) for candidate in _candidates(gaps, side)),
            key=lambda candidate: candidate[0],
            default=None,
        )
        if worst is None:
            return gaps, slid
        _severity, side, level, excess = worst
        slid.append((side, level, excess))
        levels[side].remove(level)


def _candidates(gaps: list[list[_Gap]], side: int) -> list[tuple[float, int, int, float]]:
    """Return (severity, side, level, mm down) of the points of a side that have slid, relative to their threshold."""
    own = gaps[side]
    found = []
    for above, below in pairwise(own):
        size = min(abs(above.slid), abs(below.slid))
        if above.slid * below.slid < 0 and size > SLID_MM:
            excess = np.sign(above.excess) * min(abs(above.excess), abs(below.excess))
            found.append((size / SLID_MM, side, above.lower, float(excess)))
    # At an end only the other side can tell a point that slid from a level that was left out.
    across = {gap.ends: gap for gap in gaps[1 - side]}
    for gap, level, sign in ((own[0], own[0].upper, -1), (own[-1], own[-1].lower, 1)) if own else ():
        other = across.get(gap.ends)
        if other is not None and abs(gap.slid - other.slid) > SLID_END_MM and abs(other.slid) < SLID_END_MM / 2:
            found.append((abs(gap.slid) / SLID_END_MM, side, level, sign * gap.excess))
    return found


def _slid_problem(rows: Rows, side: int, level: int, excess: float) -> SpacingProblem:
    name = rows.name(side, level)
    if excess > 0:
        text = _("{name} lies {distance:.0f} mm too low along the spine.")
    else:
        text = _("{name} lies {distance:.0f} mm too high along the spine.")
    return SpacingProblem(name, text.format(name=name, distance=abs(excess) * rows.scale), (), ((side, level),))


def _missing(rows: Rows, gaps: list[list[_Gap]]) -> list[SpacingProblem]:
    """Name wide gaps, one that both sides have once."""
    problems = []
    for ends, found in _by_ends(gaps, lambda gap: gap.slid > MISSING_SHARE * gap.level).items():
        names = [rows.name(side, level) for level in reversed(ends) for side, _gap in found]
        text = _("A level seems to be missing between {upper} and {lower}: {length:.0f} mm instead of {usual:.0f} mm.")
        problems.append(SpacingProblem(names[0], _text(text, rows, ends, found), tuple(names[1:])))
    return problems


def _close(rows: Rows, gaps: list[list[_Gap]]) -> list[SpacingProblem]:
    """Name narrow gaps, one that both sides have once, and two that follow each other by the level between them."""
    narrow = _by_ends(gaps, lambda gap: gap.slid < -CLOSE_SHARE * gap.level)
    problems = []
    previous = None
    for ends, found in narrow.items():
        if previous is not None and previous[1] == ends[0]:
            # The level between two narrow gaps is one too many; the first of the two has named it.
            previous = None
            continue
        previous = ends
        names = [rows.name(side, level) for level in reversed(ends) for side, _gap in found]
        text = _("{upper} and {lower} are too close: {length:.0f} mm instead of {usual:.0f} mm.")
        problems.append(SpacingProblem(names[0], _text(text, rows, ends, found), tuple(names[1:])))
    return problems


def _by_ends(gaps: list[list[_Gap]], wanted: Callable[[_Gap], bool]) -> dict[tuple[int, int], list[tuple[int, _Gap]]]:
    """Return the wanted gaps of both sides as (side, gap), by their ends from the top down."""
    found: dict[tuple[int, int], list[tuple[int, _Gap]]] = {}
    for side in (0, 1):
        for gap in gaps[side]:
            if wanted(gap):
                found.setdefault(gap.ends, []).append((side, gap))
    return dict(sorted(found.items()))


def _text(text: str, rows: Rows, ends: tuple[int, int], found: list[tuple[int, _Gap]]) -> str:
    """Fill a sentence in: with vertebrae when both sides show it, else with the slots of the side."""
    if len(found) == 2:
        upper, lower = (rows.vertebrae[level] for level in ends)
    else:
        upper, lower = (rows.name(found[0][0], level) for level in ends)
    length = float(np.mean([gap.length for _side, gap in found])) * rows.scale
    usual = float(np.mean([gap.usual for _side, gap in found])) * rows.scale
    return text.format(upper=upper, lower=lower, length=length, usual=usual)
