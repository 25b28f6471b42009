"""Where a lamina that has no position yet probably is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from LaminaLabelingLib.anatomy import opposite, provisional_name, split_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet, Review
from LaminaLabelingLib.proportions import TYPICAL_SCALE, half_height_mm, offset_mm, stations, usual_turns

DEPTH_MM = 20.0
"""How far below the scan's posterior face a lamina is looked for when no point is there yet."""

USUAL_LEVELS = 17

STRAIGHTENING_MM = 50.0
"""Beyond the last point a curve loses its direction over this length of an adult's spine."""

_DOWN = np.array([0.0, 0.0, -1.0])


def predicted_position(
    laminae: LaminaSet, name: str, box: np.ndarray | None = None
) -> tuple[float, float, float] | None:
    """Return where a lamina probably is, from its partner and its neighbors.

    The neighbors on its side are interpolated or extrapolated with the spacing of an adult's levels, scaled to the
    points that are there; its partner is mirrored with the left-right vector of the nearest complete pairs. Where
    both are known they are averaged, and the partner counts more the further away the neighbors are. Beyond the last
    neighbor the spine is taken to straighten out seen from behind, and to bend as usual seen from the side. The slot's
    own position, if it has one, is left out of account.

    Parameters
    ----------
    laminae : LaminaSet
        Patient RAS mm. In a provisional set neighboring numbers are taken to be equally far apart.
    name : str
        Any slot of the set; any provisional name for a provisional one.
    box : array_like, shape (3, 2), or None
        The scan's bounds along R, A and S, for a set without any other point.

    Returns
    -------
    (r, a, s) or None
        RAS mm; None without another point and without a box.

    Raises
    ------
    LaminaError
        If the set has no such slot.
    """
    levels = _Levels.of(laminae, name)
    vertebra, side = split_name(name)
    points = {other: point for other, point in laminae.positions().items() if other != name}
    if not points:
        absent = {lamina.vertebra for lamina in laminae.values() if lamina.review is Review.absent}
        shown = [level for level in levels.vertebrae if level == vertebra or level not in absent]
        return None if box is None else _from_box(levels, shown, vertebra, side, np.asarray(box, float))
    spine = _Spine(levels, points)
    along = spine.from_neighbors(vertebra, side)
    partner = points.get(opposite(name))
    if partner is None:
        return _as_tuple(along)
    mirrored = partner + spine.towards(vertebra, side)
    if along is None:
        return _as_tuple(mirrored)
    weight = spine.partner_weight(vertebra, side)
    return _as_tuple((along + weight * mirrored) / (1.0 + weight))


@dataclass(frozen=True)
class _Levels:
    """The vertebrae of a set from the top down, and their stations in adult mm."""

    vertebrae: tuple[str, ...]
    stations: dict[str, float]

    @classmethod
    def of(cls, laminae: LaminaSet, name: str) -> _Levels:
        vertebra, _side = split_name(name)
        if laminae.is_provisional:
            numbers = [int(known[1:]) for known in laminae.pairs()] + [USUAL_LEVELS]
            if vertebra[0] == "P":
                numbers.append(int(vertebra[1:]))
            vertebrae = tuple(provisional_name(index, "L")[:-1] for index in range(max(numbers)))
        else:
            vertebrae = laminae.numbering.vertebrae
        if vertebra not in vertebrae:
            raise LaminaError(_("The list has no slot {name}: change its numbering first.").format(name=name))
        return cls(vertebrae, dict(zip(vertebrae, stations(vertebrae).tolist())))

    def bend(self, start: float, stop: float, straight_at: float) -> float:
        """Return how far in front of the line a usual spine lies at one station.

        The line starts at another station with the direction that the spine has at a third one.
        """
        places = np.array(list(self.stations.values()))
        turned = np.cumsum(usual_turns(self.vertebrae))
        steps = np.diff(places) * (turned[:-1] + turned[1:]) / 2
        depth = np.concatenate([[0.0], np.cumsum(steps)])
        before, after = np.interp([start, stop], places, depth)
        return float(after - before - np.interp(straight_at, places, turned) * (stop - start))


class _Spine:
    """The points of a set as curves over the stations of the levels."""

    def __init__(self, levels: _Levels, points: dict[str, np.ndarray]) -> None:
        self._levels = levels
        # Left-right vectors relative to an adult's width, so that they can be carried over to wider levels.
        self._widths = {
            levels.stations[vertebra]: (points[vertebra + "R"] - points[vertebra + "L"]) / (2 * offset_mm(vertebra))
            for vertebra in levels.vertebrae
            if vertebra + "L" in points and vertebra + "R" in points
        }
        anterior = _anterior(self._widths.values())
        self._curves = {side: _Curve(levels, points, side, anterior) for side in "LR"}
        self._scale = _scale(list(self._curves.values()))

    def from_neighbors(self, vertebra: str, side: str) -> np.ndarray | None:
        """Return the position by the points of the same side, or by the other side's where those are much nearer."""
        station = self._levels.stations[vertebra]
        own, other = self._curves[side], self._curves["R" if side == "L" else "L"]
        level = self._levels.vertebrae.index(vertebra)
        far = own.levels_to(level) > other.levels_to(level) + 1 and len(other) >= 2
        if len(own) >= 2 and not far:
            return own.at(station, self._scale)
        if len(other) >= 2:
            across = other.at(station, self._scale) + self.towards(vertebra, side)
            if len(own) != 1:
                return across
            # One point of the own side carries the other side's curve over.
            vertebra_there = self._levels.vertebrae[own.indices[0]]
            there = other.at(own.stations[0], self._scale) + self.towards(vertebra_there, side)
            return across + own.points[0] - there
        if len(own):
            return own.points[0] + _DOWN * (station - own.stations[0]) * self._scale
        if abs(other.stations[0] - station) < 1e-9:
            return None  # all that is known is the partner
        return other.points[0] + _DOWN * (station - other.stations[0]) * self._scale + self.towards(vertebra, side)

    def partner_weight(self, vertebra: str, side: str) -> float:
        """Return how much more the partner's mirror image counts than what the neighbors tell.

        As much where the neighbors above and below are there; more with every level by which they are further away
        or with neighbors on one end only.
        """
        own, level = self._curves[side], self._levels.vertebrae.index(vertebra)
        above, below = own.indices[own.indices < level], own.indices[own.indices > level]
        if len(above) and len(below):
            return 1.0 + float(below[0] - above[-1] - 2) / 2
        return 1.0 + min(own.levels_to(level), len(self._levels.vertebrae))

    def towards(self, vertebra: str, side: str) -> np.ndarray:
        """Return the vector from the other side's lamina of a vertebra to this side's."""
        sign = 1.0 if side == "R" else -1.0
        station, width = self._levels.stations[vertebra], 2 * offset_mm(vertebra)
        if self._widths:
            known = np.array(list(self._widths))
            vectors = np.array(list(self._widths.values()))
            return sign * width * np.array([np.interp(station, known, vectors[:, axis]) for axis in range(3)])
        tangent = _DOWN
        longest = max(self._curves.values(), key=len)
        if len(longest) >= 2:
            tangent = longest.slope(station, self._scale)
        right = np.array([-tangent[2], 0.0, tangent[0]])
        length = np.linalg.norm(right)
        right = right / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])
        return sign * width * self._scale * right


class _Curve:
    """The points of one side over their stations: indices (N,), stations (N,) and points (N, 3), from the top down."""

    def __init__(self, levels: _Levels, points: dict[str, np.ndarray], side: str, anterior: np.ndarray) -> None:
        self._levels = levels
        self._anterior = anterior
        self.indices = np.array(
            [index for index, vertebra in enumerate(levels.vertebrae) if vertebra + side in points], int
        )
        self.stations = np.array([levels.stations[levels.vertebrae[index]] for index in self.indices])
        self.points = np.array([points[levels.vertebrae[index] + side] for index in self.indices]).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self.indices)

    def levels_to(self, level: int) -> float:
        """Return how many levels away the nearest point is, infinite without any."""
        return float(np.abs(self.indices - level).min()) if len(self) else np.inf

    @property
    def secants(self) -> np.ndarray:
        """Slopes between neighbors, shape (N - 1, 3)."""
        return np.diff(self.points, axis=0) / np.diff(self.stations)[:, None]

    def at(self, station: float, scale: float) -> np.ndarray:
        """Return the point at a station: a cubic between two points, a line that straightens beyond the ends."""
        number = int(np.searchsorted(self.stations, station))
        if number in (0, len(self)):
            return self._beyond(0 if number == 0 else -1, station, scale)
        gap = self.stations[number] - self.stations[number - 1]
        share = (station - self.stations[number - 1]) / gap
        start, end = self._slope_at(number - 1), self._slope_at(number)
        # Hermite: it passes through both points in the direction that their other neighbors tell.
        return (
            self.points[number - 1] * (1 + 2 * share) * (1 - share) ** 2
            + self.points[number] * (3 - 2 * share) * share**2
            + gap * share * (1 - share) * (start * (1 - share) - end * share)
        )

    def _beyond(self, end: int, station: float, scale: float) -> np.ndarray:
        """Go on from the first or last point: towards straight down, and bent in depth as a usual spine is."""
        beyond = station - self.stations[end]
        slope = self._end_slope(end, scale)
        down = _DOWN * scale
        # The integral of a slope that goes over to straight down: lateral curves of a spine balance each other.
        kept = STRAIGHTENING_MM * (1.0 - np.exp(-abs(beyond) / STRAIGHTENING_MM)) * np.sign(beyond)
        step = beyond * down + kept * (slope - down)
        middle = float(np.mean(self.stations[_stretch(end)]))
        depth = beyond * (slope @ self._anterior)
        depth += scale * self._levels.bend(float(self.stations[end]), station, middle)
        return self.points[end] + step + (depth - step @ self._anterior) * self._anterior

    def slope(self, station: float, scale: float) -> np.ndarray:
        """Return the direction downwards at a station, per adult mm."""
        number = int(np.searchsorted(self.stations, station))
        if number in (0, len(self)):
            return self._end_slope(0 if number == 0 else -1, scale)
        return self.secants[number - 1]

    def _slope_at(self, number: int) -> np.ndarray:
        """Return the slope at a point: that of the parabola through it and its two neighbors, if it has two."""
        secants = self.secants
        if number in (0, len(self) - 1):
            return secants[0 if number == 0 else -1]
        before, after = np.diff(self.stations)[number - 1 : number + 1]
        return (after * secants[number - 1] + before * secants[number]) / (before + after)

    def _end_slope(self, end: int, scale: float) -> np.ndarray:
        """Return the slope with which the curve goes on beyond an end: the last two gaps' direction, the list's scale.

        One gap alone would carry the error of one point on over several levels.
        """
        stretch = self.points[_stretch(end)]
        direction = stretch[-1] - stretch[0]
        length = np.linalg.norm(direction)
        return direction / length * scale if length > 1e-9 else _DOWN * scale


def _stretch(end: int) -> slice:
    return slice(0, 3) if end == 0 else slice(-3, None)


def _anterior(across: Iterable[np.ndarray]) -> np.ndarray:
    """Return the direction that is anterior for a spine with these left-right vectors; the patient's without any."""
    right, front, _up = np.sum([np.zeros(3), *across], axis=0)
    if right <= 0.0:
        return np.array([0.0, 1.0, 0.0])
    return np.array([-front, right, 0.0]) / np.hypot(front, right)


def _scale(curves: Sequence[_Curve]) -> float:
    """Return the list's mm per adult mm: the median over all gaps, or the usual one without any."""
    ratios = np.concatenate([np.linalg.norm(curve.secants, axis=1) for curve in curves if len(curve) >= 2] or [[]])
    return float(np.median(ratios)) if len(ratios) else TYPICAL_SCALE


def _from_box(
    levels: _Levels, shown: list[str], vertebra: str, side: str, box: np.ndarray
) -> tuple[float, float, float]:
    """Spread the levels that the scan shows over its length."""
    if box.shape != (3, 2) or not np.isfinite(box).all():
        raise ValueError("the box is three finite pairs of bounds")
    box = np.sort(box, axis=1)
    first, last = shown[0], shown[-1]
    top, bottom = levels.stations[first] - half_height_mm(first), levels.stations[last] + half_height_mm(last)
    scale = (box[2, 1] - box[2, 0]) / (bottom - top)
    lateral = min(scale, 1.0) * offset_mm(vertebra) * (1.0 if side == "R" else -1.0)
    # A scan thinner than twice the depth has its laminae nearer to its middle.
    depth = min(DEPTH_MM, (box[1, 1] - box[1, 0]) / 2)
    superior = box[2, 1] - (levels.stations[vertebra] - top) * scale
    return _as_tuple(np.array([box[0].mean() + lateral, box[1, 0] + depth, superior]))


def _as_tuple(point: np.ndarray | None) -> tuple[float, float, float] | None:
    return None if point is None else tuple(float(value) for value in point)
