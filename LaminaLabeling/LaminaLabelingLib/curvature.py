"""Curves of a spine from its laminae: center-of-lamina angles with their uncertainty (METHOD section 7).

The coronal tilt of a vertebra is the angle of the line from its left to its right lamina against the horizontal, and
the angle of a curve is the difference of the tilts of its end vertebrae (center of lamina method, COL [1]_). A single
pair is too noisy for that: see `slope_fit`. It is a research measurement, not a diagnosis.

References
----------
.. [1] W. Chen, L. H. Le, E. H. M. Lou. Ultrasound Imaging of Spinal Vertebrae to Study Scoliosis. Open Journal of
   Acoustics 2 (2012) no. 3. doi:10.4236/oja.2012.23011
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.slope_fit import SlopeFit, fit_slopes

POINT_SD_MM = 1.3
"""Error of a lamina's position along each axis where a person placed it, standard deviation (METHOD section 7)."""

DETECTED_SD_MM = 0.8
"""The same where the network saw it: 0.7 mm were measured on simulated scans."""

MISPLACED_SD_MM = 6.0
"""The same where it was taken for something else: such points lie 5 mm and more beside the lamina."""

SUGGESTED_FACTOR = 2.5
"""How many times larger the error of a suggested lamina is taken to be: an assumption, on the safe side."""

LEAST_CURVE_DEG = 10.0
"""A smaller difference of tilts is no curve: scoliosis begins at 10 degrees."""

LEAST_PAIRS = 5

_ROTATION_AMPLITUDES_DEG = (4.0, 8.0, 14.0)
_SAGITTAL_AMPLITUDES_DEG = (15.0, 30.0)
# The midline of the laminae wanders by this beside the vertebrae's own.
_MIDLINE_SD_MM = 0.3
_LEAST_STEP_MM = 3.0
_DISAGREEMENT = 3.5
_PROXIMAL, _MAIN = ("T1", "T2", "T3", "T4", "T5"), ("T6", "T7", "T8", "T9", "T10", "T11")


@dataclass(frozen=True)
class Angle:
    """An angle in degrees and its standard deviation."""

    value: float
    sd: float

    @property
    def interval(self) -> tuple[float, float]:
        """The range in which it lies with a probability of 95 %."""
        return self.value - 1.96 * self.sd, self.value + 1.96 * self.sd


@dataclass(frozen=True)
class LevelMeasure:
    """A vertebra with both laminae.

    Attributes
    ----------
    vertebra : str
    midpoint : tuple of float
        Between its laminae, RAS mm.
    tilt : Angle
        Coronal, positive where the right lamina is the higher one.
    rotation : Angle
        Axial, positive where the right lamina is the more posterior one.
    is_suggested : bool
        Whether one of its laminae was suggested and not seen.
    disagreement : float
        By how many standard deviations its pair leans otherwise than its neighbors and the midline say.
    """

    vertebra: str
    midpoint: tuple[float, float, float]
    tilt: Angle
    rotation: Angle
    is_suggested: bool
    disagreement: float


@dataclass(frozen=True)
class Curve:
    """A lateral curve.

    Attributes
    ----------
    upper, apex, lower : str
        Its end vertebrae, the most tilted ones, and the one farthest from the line between them.
    side : str
        "right" or "left": to which its convexity looks.
    region : str
        "proximal thoracic", "main thoracic" or "thoracolumbar/lumbar", by the apex; empty for numbered pairs.
    angle : Angle
        Between the end vertebrae in the coronal plane, not negative.
    sagittal : Angle
        By which the midline turns between them in the sagittal plane, kyphosis positive.
    plane_deg : float
        Of maximum curvature, against the sagittal plane: 90 for a curve that lies in the coronal plane.
    maximum : Angle
        The angle in that plane.
    """

    upper: str
    apex: str
    lower: str
    side: str
    region: str
    angle: Angle
    sagittal: Angle
    plane_deg: float
    maximum: Angle


@dataclass(frozen=True)
class SpineMeasurement:
    """What the laminae of a spine say about its curves.

    Attributes
    ----------
    levels : tuple of LevelMeasure
        From the top down.
    curves : tuple of Curve
        The largest first; those below 10 degrees are none.
    kyphosis, lordosis : Angle or None
        From T1 to T12 and from L1 to L5, of the midline between the laminae; None where a level lacks its pair.
    notes : tuple of str
        Sentences about what to beware of.
    coronal : SlopeFit or None
        The tilts of the levels with their covariance, which `angle_between` needs.
    """

    levels: tuple[LevelMeasure, ...]
    curves: tuple[Curve, ...]
    kyphosis: Angle | None
    lordosis: Angle | None
    notes: tuple[str, ...] = ()
    coronal: SlopeFit | None = field(default=None, repr=False, compare=False)

    def level(self, vertebra: str) -> LevelMeasure:
        """Return a level; raise KeyError without one."""
        for level in self.levels:
            if level.vertebra == vertebra:
                return level
        raise KeyError(vertebra)


def measure(laminae: LaminaSet, point_sd_mm: float | None = None) -> SpineMeasurement:
    """Measure the curves of a spine.

    Parameters
    ----------
    laminae : LaminaSet
        Positions in patient axes, RAS mm; named, or numbered from the top. Vertebrae with one lamina do not count.
    point_sd_mm : float, optional
        Error of each lamina that is not suggested. When left out, it goes by the lamina's source (`POINT_SD_MM`,
        `DETECTED_SD_MM`) and, until somebody has reviewed it, by its confidence: with the probability that is left, it
        is misplaced by `MISPLACED_SD_MM`. Suggested laminae count `SUGGESTED_FACTOR` times more uncertain.

    Returns
    -------
    SpineMeasurement

    Raises
    ------
    LaminaError
        If fewer than `LEAST_PAIRS` vertebrae have both laminae, a left lamina lies right of its right one in most of
        them, or they do not follow each other from the top down.
    """
    pairs = {
        vertebra: pair
        for vertebra, pair in laminae.pairs().items()
        if all(lamina is not None and lamina.position is not None for lamina in pair)
    }
    names = tuple(pairs)
    if len(names) < LEAST_PAIRS:
        raise LaminaError(
            _("{count} vertebrae have both laminae: at least {least} are needed to measure a curve.").format(
                count=len(names), least=LEAST_PAIRS
            )
        )
    left, right = (np.array([pair[side].position for pair in pairs.values()], float) for side in (0, 1))
    _check_course(names, left, right)
    sd = np.array([[_point_sd(lamina, point_sd_mm) for lamina in pair] for pair in pairs.values()])
    midpoints, across = 0.5 * (left + right), right - left
    along = midpoints[0, 2] - midpoints[:, 2]
    pair_sd, middle_sd = np.sqrt((sd**2).sum(axis=1)), 0.5 * np.sqrt((sd**2).sum(axis=1))
    middle_sd = np.hypot(middle_sd, _MIDLINE_SD_MM)
    seen = across[:, 2] / across[:, 0]
    seen_sd = pair_sd * np.hypot(1.0, seen) / across[:, 0]
    coronal = fit_slopes(along, midpoints[:, 0], middle_sd, seen, seen_sd)
    sagittal = fit_slopes(along, midpoints[:, 1], middle_sd, amplitudes_deg=_SAGITTAL_AMPLITUDES_DEG)
    turned = -across[:, 1] / across[:, 0]
    turned_sd = pair_sd * np.hypot(1.0, turned) / across[:, 0]
    rotation = fit_slopes(along, slopes=turned, slope_sd=turned_sd, amplitudes_deg=_ROTATION_AMPLITUDES_DEG)
    away = (seen - coronal.mean) / np.hypot(seen_sd, np.sqrt(np.diag(coronal.covariance)))
    levels = tuple(
        LevelMeasure(
            name,
            tuple(midpoints[index].tolist()),
            _angle(coronal, index),
            _angle(rotation, index),
            any(lamina.is_suggested for lamina in pairs[name]),
            float(abs(away[index])),
        )
        for index, name in enumerate(names)
    )
    curves = _curves(names, along, coronal, sagittal)
    return SpineMeasurement(
        levels,
        curves,
        _between(names, sagittal, "T1", "T12"),
        _between(names, sagittal, "L5", "L1"),
        _notes(levels, curves),
        coronal,
    )


def angle_between(measurement: SpineMeasurement, upper: str, lower: str) -> Angle:
    """Return the coronal angle between any two measured vertebrae, positive where the convexity looks to the right.

    Its standard deviation takes into account that the errors of the two tilts belong together.

    Parameters
    ----------
    measurement : SpineMeasurement
        As `measure` returns it.
    upper, lower : str

    Returns
    -------
    Angle
        The tilt of the upper vertebra less that of the lower one, degrees.

    Raises
    ------
    KeyError
        If one of them was not measured.
    """
    names = [level.vertebra for level in measurement.levels]
    for name in (upper, lower):
        measurement.level(name)
    return _difference(measurement.coronal, names.index(lower), names.index(upper))


def _point_sd(lamina: Lamina, point_sd_mm: float | None) -> float:
    given = point_sd_mm is not None
    usual = point_sd_mm if given else (POINT_SD_MM if lamina.source is Source.manual else DETECTED_SD_MM)
    sd = usual * (SUGGESTED_FACTOR if lamina.is_suggested else 1.0)
    if given or lamina.confidence is None or lamina.review is not Review.unreviewed:
        return sd
    wrong = 1.0 - lamina.confidence
    return float(np.sqrt((1.0 - wrong) * sd**2 + wrong * max(sd, MISPLACED_SD_MM) ** 2))


def _check_course(names: Sequence[str], left: np.ndarray, right: np.ndarray) -> None:
    heights = 0.5 * (left + right)[:, 2]
    steps = -np.diff(heights)
    if (steps < _LEAST_STEP_MM).any():
        first = int(np.flatnonzero(steps < _LEAST_STEP_MM)[0])
        raise LaminaError(
            _("{lower} does not lie below {upper}: check the names and the axes of the scan.").format(
                upper=names[first], lower=names[first + 1]
            )
        )
    exchanged = np.flatnonzero(right[:, 0] - left[:, 0] < _LEAST_STEP_MM)
    if len(exchanged):
        raise LaminaError(
            _("The right lamina of {vertebra} does not lie on the right of the left one: check its sides.").format(
                vertebra=names[exchanged[0]]
            )
        )


def _angle(fit: SlopeFit, index: int) -> Angle:
    return Angle(float(fit.degrees[index]), float(np.sqrt(fit.degrees_covariance[index, index])))


def _difference(fit: SlopeFit, first: int, second: int) -> Angle:
    """Return the angle at the second level less that at the first."""
    covariance = fit.degrees_covariance
    variance = covariance[first, first] + covariance[second, second] - 2.0 * covariance[first, second]
    return Angle(float(fit.degrees[second] - fit.degrees[first]), float(np.sqrt(max(variance, 0.0))))


def _between(names: Sequence[str], fit: SlopeFit, first: str, second: str) -> Angle | None:
    if first not in names or second not in names:
        return None
    return _difference(fit, names.index(first), names.index(second))


def _curves(names: Sequence[str], along: np.ndarray, coronal: SlopeFit, sagittal: SlopeFit) -> tuple[Curve, ...]:
    ends = turning_points(coronal.degrees, LEAST_CURVE_DEG)
    found = [_curve(names, along, coronal, sagittal, first, last) for first, last in pairwise(ends)]
    return tuple(sorted(found, key=lambda curve: -curve.angle.value))


def turning_points(values: np.ndarray, least: float) -> list[int]:
    """Return where a sequence turns, so that successive values there differ by at least ``least`` with changing signs.

    Parameters
    ----------
    values : array, shape (N,)
    least : float

    Returns
    -------
    list of int
        Empty if no two values differ so much.

    Examples
    --------
    >>> turning_points(np.array([0.0, 12.0, 11.0, 11.5, -5.0, -4.0]), 10.0)
    [0, 1, 4]
    """
    inner = [
        index
        for index in range(1, len(values) - 1)
        if (values[index] - values[index - 1]) * (values[index + 1] - values[index]) < 0
    ]
    points = [0, *inner, len(values) - 1]
    while len(points) > 1:
        differences = np.abs(np.diff(values[points]))
        smallest = int(differences.argmin())
        if differences[smallest] >= least:
            return points
        if len(points) == 2:
            return []
        if smallest == 0:
            del points[0]
        elif smallest == len(points) - 2:
            del points[-1]
        else:  # a small wave: the turns on both sides of it belong to one long slope
            del points[smallest : smallest + 2]
    return []


def _curve(names, along, coronal, sagittal, first, last) -> Curve:
    turn = _difference(coronal, first, last)
    chord = np.interp(along, along[[first, last]], coronal.line[[first, last]])
    beside = (coronal.line - chord)[first : last + 1]
    apex = first + int(np.abs(beside).argmax())
    side = "right" if coronal.line[apex] > chord[apex] else "left"
    bent = _difference(sagittal, first, last)
    largest = float(np.hypot(turn.value, bent.value))
    largest_sd = float(np.hypot(turn.value * turn.sd, bent.value * bent.sd) / largest)
    return Curve(
        names[first],
        names[apex],
        names[last],
        side,
        _region(names[apex]),
        Angle(abs(turn.value), turn.sd),
        bent,
        float(np.degrees(np.arctan2(abs(turn.value), bent.value))),
        Angle(largest, largest_sd),
    )


def _region(apex: str) -> str:
    if apex.startswith("P"):
        return ""
    if apex in _PROXIMAL:
        return "proximal thoracic"
    return "main thoracic" if apex in _MAIN else "thoracolumbar/lumbar"


def _notes(levels: Sequence[LevelMeasure], curves: Sequence[Curve]) -> tuple[str, ...]:
    notes = []
    odd = [level.vertebra for level in levels if level.disagreement > _DISAGREEMENT]
    if odd:
        notes.append(
            _("The pairs of {names} lean otherwise than the midline of the spine: check these laminae.").format(
                names=", ".join(odd)
            )
        )
    suggested = [level.vertebra for level in levels if level.is_suggested]
    if suggested:
        notes.append(
            _("Laminae of {names} are suggested: they were not seen and count less.").format(names=", ".join(suggested))
        )
    ends = {levels[0].vertebra, levels[-1].vertebra}
    cut = [curve for curve in curves if ends & {curve.upper, curve.lower} and not ends <= {"T1", "L5"}]
    if cut:
        notes.append(
            _("A curve ends at {names}, where the labeled part of the spine ends: it may be larger.").format(
                names=", ".join(sorted(ends & {end for curve in cut for end in (curve.upper, curve.lower)}))
            )
        )
    return tuple(notes)
