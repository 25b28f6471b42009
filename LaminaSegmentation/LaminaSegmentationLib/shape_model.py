"""The shape of a spine as statistics: spacing, offset, depth and smoothness of its laminae, learned from labels.

Each lamina has three coordinates by the spinous process column: along it, beside it, and depth. A vertebra's two
laminae are its middle plus and minus a half. Middles and halves are Gaussian: what all spines share is the mean, how
smoothly one spine departs from it is a Gaussian process over the levels [1]_, what is left is noise of each lamina. So
every lamina predicts every other, with an uncertainty.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. MIT Press, 2006.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.optimize import minimize

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering, split_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.proportions import TYPICAL_SCALE, offset_mm, stations

LEAST_SPINES = 10
"""Fewer labeled spines teach no statistics."""

LEAST_SPACING_SD = 0.02
"""Simulated spines vary less than real ones; below this share, a model would trust its spacing too much."""

# Where a spine lies and how it leans as a whole is free.
_FREE_MM, _FREE_SLOPE_MM = 1000.0, 20.0
_LISTS = ("spacing", "offset", "depth", "noise", "room")


@dataclass(frozen=True)
class Smooth:
    """How one coordinate departs from the mean: standard deviation in mm, and over how many levels it changes."""

    sd: float
    levels: float

    def covariance(self, numbers: np.ndarray) -> np.ndarray:
        """Return the covariance (N, N) between levels with these numbers."""
        away = (numbers[:, None] - numbers[None, :]) / self.levels
        return self.sd**2 * np.exp(-0.5 * away**2)


@dataclass(frozen=True)
class ShapeModel:
    """Statistics of 17 levels, T1 to L5; lengths in mm at the mean size of the spines that they were learned from.

    Attributes
    ----------
    spacing : tuple of 16 floats
        Distance of neighboring middles along the column.
    spacing_sd : float
        By which share of itself a distance varies, beside the size of the patient.
    size_sd : float
        By which share the size of patients varies.
    offset : tuple of 17 floats
        Half the distance of the two laminae.
    depth : tuple of 17 floats
        Mean depth of the middle, relative to the spine's mean.
    middle, half : tuple of 3 Smooth
        Along (of the middle unused: see ``spacing_sd``), lateral, depth.
    noise : tuple of 3 floats
        Of each lamina's coordinates.
    room : tuple of 2 floats
        How far a scan usually reaches beyond T1 and beyond L5, mm: seldom farther.
    learned_from : str
        For the record.
    """

    spacing: tuple[float, ...]
    spacing_sd: float
    size_sd: float
    offset: tuple[float, ...]
    depth: tuple[float, ...]
    middle: tuple[Smooth, Smooth, Smooth]
    half: tuple[Smooth, Smooth, Smooth]
    noise: tuple[float, float, float]
    room: tuple[float, float] = (30.0, 45.0)
    learned_from: str = ""

    def as_dict(self) -> dict:
        """Return it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> ShapeModel:
        """Return the model of `as_dict`.

        Raises
        ------
        LaminaError
            If values are missing, of another number or kind, or not finite.
        """
        try:
            smooth = {
                key: tuple(Smooth(float(one["sd"]), float(one["levels"])) for one in values[key])
                for key in ("middle", "half")
            }
            lists = {
                key: tuple(float(x) for x in values[key]) for key in ("spacing", "offset", "depth", "noise", "room")
            }
            result = cls(
                **lists,
                **smooth,
                spacing_sd=float(values["spacing_sd"]),
                size_sd=float(values["size_sd"]),
                learned_from=str(values.get("learned_from", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LaminaError(f"the shape of the spine in it cannot be read ({error})") from error
        lengths = [len(lists[key]) for key in ("spacing", "offset", "depth", "noise", "room")]
        positive = [
            *lists["spacing"],
            *lists["offset"],
            *lists["noise"],
            *lists["room"],
            result.spacing_sd,
            result.size_sd,
        ]
        positive += [value for key in smooth for one in smooth[key] for value in (one.sd, one.levels)]
        sizes = [len(smooth[key]) for key in smooth]
        if lengths != [16, 17, 17, 3, 2] or sizes != [3, 3] or not np.isfinite(lists["depth"]).all():
            raise LaminaError("the shape of the spine in it is not that of 17 levels")
        if not all(np.isfinite(value) and value > 0 for value in positive):
            raise LaminaError("the shape of the spine in it holds a length that is not positive")
        return result

    def of(self, numbering: Numbering) -> ShapeModel:
        """Return the shape of a spine with other numbers of vertebrae, and with one more level at each end.

        A 13th thoracic and a 6th lumbar vertebra are like the ones above them, and so are the levels beyond the ends,
        which stand for the neighbors C7 and S1 that a scan may show.
        """
        thoracic = [min(number, 12) for number in range(1, numbering.thoracic + 1)]
        lumbar = [min(number, 5) for number in range(1, numbering.lumbar + 1)]
        rows = [VERTEBRAE.index(f"T{number}") for number in thoracic]
        rows += [VERTEBRAE.index(f"L{number}") for number in lumbar]
        rows = [rows[0], *rows, rows[-1]]
        # A gap belongs to the level above it; a level that is like its neighbor has that one's gap.
        filled = [self.spacing[min(upper, 15)] for upper in rows[:-1]]
        return replace(
            self,
            spacing=tuple(filled),
            offset=tuple(self.offset[row] for row in rows),
            depth=tuple(self.depth[row] for row in rows),
        )

    def moments(self, numbers: np.ndarray, sides: np.ndarray, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of laminae, noise left out.

        Parameters
        ----------
        numbers : int array, shape (N,)
            Their levels, counted from 0 in this model.
        sides : float array, shape (N,)
            -1 for left, 1 for right.
        size : float
            Of the patient, around which size still varies.

        Returns
        -------
        mean : ndarray, shape (3, N)
            Along, lateral, depth, mm.
        covariance : ndarray, shape (3, N, N)
        """
        numbers, sides = np.asarray(numbers, int), np.asarray(sides, float)
        station = np.concatenate([[0.0], np.cumsum(self.spacing)])
        walk = np.concatenate([[0.0], np.cumsum(np.square(self.spacing))]) * (size * self.spacing_sd) ** 2
        at, offset = station[numbers], np.array(self.offset)[numbers] * sides
        mean = np.stack([size * at, size * offset, size * np.array(self.depth)[numbers]])
        both = sides[:, None] * sides[None, :]
        centered = at - station.mean()
        slope = centered / np.ptp(station)
        free = _FREE_MM**2 + _FREE_SLOPE_MM**2 * np.outer(slope, slope)
        along = _FREE_MM**2 + self.size_sd**2 * np.outer(centered, centered)
        along = along + np.minimum(walk[numbers][:, None], walk[numbers][None, :])
        halves = [both * half.covariance(numbers) for half in self.half]
        lateral = self.middle[1].covariance(numbers) + self.size_sd**2 * np.outer(offset, offset) + halves[1]
        depth = free + self.middle[2].covariance(numbers)
        return mean, np.stack([along + halves[0], lateral, depth + halves[2]])


def generic_shape() -> ShapeModel:
    """Return a shape from published proportions, for models that were not calibrated; how far it varies is assumed."""
    spacing = TYPICAL_SCALE * np.diff(stations(VERTEBRAE))
    return ShapeModel(
        spacing=tuple(spacing.tolist()),
        spacing_sd=0.07,
        size_sd=0.12,
        offset=tuple(TYPICAL_SCALE * offset_mm(vertebra) for vertebra in VERTEBRAE),
        depth=(0.0,) * len(VERTEBRAE),
        middle=(Smooth(1.0, 3.0), Smooth(2.5, 3.0), Smooth(10.0, 5.0)),
        half=(Smooth(1.5, 3.0), Smooth(1.0, 3.0), Smooth(2.0, 3.0)),
        noise=(1.2, 1.0, 1.0),
        learned_from="published proportions; the variation is assumed",
    )


def learn_shape(
    spines: Sequence[Mapping[str, np.ndarray]],
    scanned: Sequence[tuple[float, float]] | None = None,
    learned_from: str = "",
) -> ShapeModel:
    """Learn the statistics from labeled spines.

    Parameters
    ----------
    spines : sequence of mapping of str to (3,) array
        Of each spine, laminae by name: along, lateral, depth in mm, as `candidates.by_column` gives them. Some may be
        missing. Names beyond T12 and L5 are left out.
    scanned : sequence of (float, float), optional
        From where to where along the column each scan reaches, mm.
    learned_from : str
        For the record.

    Returns
    -------
    ShapeModel
        Means by levels; the rest by maximum likelihood.

    Raises
    ------
    LaminaError
        If there are fewer than 10 spines, or a level has no pair in any of them.
    """
    if len(spines) < LEAST_SPINES:
        raise LaminaError(
            f"{len(spines)} labeled spines are too few to learn their shape: give {LEAST_SPINES} or more."
        )
    values = np.full((len(spines), len(VERTEBRAE), 2, 3), np.nan)
    for spine, places in zip(values, spines):
        for name, place in places.items():
            vertebra, side = split_name(name)
            if vertebra in VERTEBRAE:
                spine[VERTEBRAE.index(vertebra), "LR".index(side)] = place
    middle, half = values.mean(axis=2), 0.5 * (values[:, :, 1] - values[:, :, 0])
    seen = np.isfinite(middle[:, :, 0])
    if not seen.any(axis=0).all() or not (seen[:, 1:] & seen[:, :-1]).any(axis=0).all():
        missing = [name for name, any_ in zip(VERTEBRAE, seen.any(axis=0)) if not any_] or ["a level and its neighbor"]
        raise LaminaError(f"No labeled scan shows {missing[0]} with both laminae: give scans of whole spines.")
    gaps = np.diff(middle[:, :, 0], axis=1)
    size = np.array([np.nanmean(gap / np.nanmean(gaps, axis=0)) for gap in gaps])
    spacing = np.nanmean(gaps / size[:, None], axis=0)
    spacing_sd = float(np.nanstd(gaps / size[:, None] / spacing - 1.0))
    depth = np.nanmean(middle[:, :, 2] - np.nanmean(middle[:, :, 2], axis=1, keepdims=True), axis=0)
    model = replace(
        generic_shape(),
        spacing=tuple(spacing.tolist()),
        spacing_sd=max(spacing_sd, 0.01),
        size_sd=float(max(np.std(size), 0.02)),
        offset=tuple(np.nanmean(half[:, :, 1] / size[:, None], axis=0).tolist()),
        depth=tuple(depth.tolist()),
        room=_room(middle[:, :, 0], scanned),
        learned_from=learned_from,
    )
    for axis in range(3):
        model = _fitted(model, values, axis)
    return model


def _room(along: np.ndarray, scanned: Sequence[tuple[float, float]] | None) -> tuple[float, float]:
    """Return how far 95 % of the scans at most reach beyond T1 and beyond L5; what is usual where none shows it."""
    usual = generic_shape().room
    if scanned is None:
        return usual
    ends = np.array(scanned, float)
    rooms = along[:, 0] - ends[:, 0], ends[:, 1] - along[:, -1]
    return tuple(
        max(5.0, float(np.nanpercentile(room, 95.0))) if np.isfinite(room).sum() >= LEAST_SPINES else other
        for room, other in zip(rooms, usual)
    )


def _fitted(model: ShapeModel, values: np.ndarray, axis: int) -> ShapeModel:
    """Return the model with smoothness and noise of one coordinate chosen by maximum likelihood."""
    numbers, sides = np.repeat(np.arange(len(VERTEBRAE)), 2), np.tile([-1.0, 1.0], len(VERTEBRAE))
    # Patterns of what is there: spines of one pattern share a factorization.
    flat = values[..., axis].reshape(len(values), -1)
    patterns: dict[bytes, list[np.ndarray]] = {}
    for row in flat:
        patterns.setdefault(np.isfinite(row).tobytes(), []).append(row)

    def changed(logs: np.ndarray) -> ShapeModel:
        numbers_ = np.exp(np.clip(logs, -3.0, 4.0))
        middle, half, noise = list(model.middle), list(model.half), list(model.noise)
        half[axis] = Smooth(float(numbers_[0]), float(np.clip(numbers_[1], 0.5, 12.0)))
        noise[axis] = float(numbers_[2])
        spacing_sd = model.spacing_sd
        if axis == 0:
            spacing_sd = max(float(numbers_[3] / 100.0), LEAST_SPACING_SD)
        else:
            middle[axis] = Smooth(float(numbers_[3]), float(np.clip(numbers_[4], 0.5, 12.0)))
        return replace(model, middle=tuple(middle), half=tuple(half), noise=tuple(noise), spacing_sd=spacing_sd)

    def cost(logs: np.ndarray) -> float:
        tried = changed(logs)
        mean, covariance = tried.moments(numbers, sides)
        total = 0.0
        for pattern, rows in patterns.items():
            there = np.frombuffer(pattern, bool)
            block = covariance[axis][np.ix_(there, there)] + tried.noise[axis] ** 2 * np.eye(there.sum())
            factor = np.linalg.cholesky(block)
            left = np.linalg.solve(factor, (np.array(rows)[:, there] - mean[axis, there]).T)
            total += len(rows) * np.log(np.diag(factor)).sum() + 0.5 * (left**2).sum()
        return total / len(flat)

    start = [model.half[axis].sd, model.half[axis].levels, model.noise[axis]]
    start += [100.0 * model.spacing_sd] if axis == 0 else [model.middle[axis].sd, model.middle[axis].levels]
    simplex = np.log(start) + 0.7 * np.vstack([np.zeros(len(start)), np.eye(len(start))])
    options = {"maxfev": 400, "xatol": 0.02, "fatol": 1e-3, "initial_simplex": simplex}
    return changed(minimize(cost, np.log(start), method="Nelder-Mead", options=options).x)
