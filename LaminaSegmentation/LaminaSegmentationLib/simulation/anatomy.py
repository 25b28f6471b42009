"""The simulated patient: 17 vertebrae on a scoliotic, kyphotic, lordotic and axially rotated spine under curved skin.

Coordinates in this package are millimetres in the order of the library's arrays (IRA): inferior, right, anterior.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from LaminaLabelingLib.anatomy import VERTEBRAE

from .styles import Style

# Adult figures of METHOD section 8, T1..L5.
BODY_HEIGHTS_MM = (14.1, 15.6, 15.7, 16.2, 16.2, 17.4, 18.2, 18.7, 19.3, 20.2, 21.3, 22.7, 23.8, 24.3, 23.8, 24.1, 22.9)
# The disc below each vertebra, T1/2 .. L4/5.
DISC_HEIGHTS_MM = (3.2, 3.2, 2.9, 2.7, 3.2, 3.6, 4.0, 4.4, 4.8, 5.4, 5.8, 6.5, 7.5, 9.0, 10.0, 11.0)
# Lamina centre from the midline.
LAMINA_OFFSETS_MM = (10.8, 9.8, 9.2, 8.6, 8.6, 8.6, 8.6, 8.6, 8.6, 9.1, 9.7, 11.1, 11.8, 11.9, 12.2, 12.7, 13.5)
# Cranio-caudal height and width of the bony lamina; METHOD fixes 25 mm at T11, 5.8 mm at T4 and 15.7 mm at L5.
LAMINA_HEIGHTS_MM = (
    17.0,
    18.0,
    18.5,
    19.0,
    19.5,
    20.0,
    20.5,
    21.5,
    22.5,
    24.0,
    25.0,
    24.5,
    24.0,
    23.5,
    22.5,
    20.0,
    17.5,
)
LAMINA_WIDTHS_MM = (8.5, 7.0, 6.3, 5.8, 5.9, 6.0, 6.2, 6.5, 6.9, 7.5, 8.2, 9.0, 10.0, 11.0, 12.2, 13.8, 15.7)

# (probability, ((upper, lower, share of the major Cobb angle, +1 convex right), ...)): Lenke types in outline.
PATTERNS: dict[str, tuple[float, tuple[tuple[str, str, float, int], ...]]] = {
    "main thoracic": (0.50, (("T1", "T5", 0.45, -1), ("T5", "T12", 1.0, 1), ("T12", "L4", 0.45, -1))),
    "double thoracic": (0.15, (("T1", "T6", 0.7, -1), ("T6", "T12", 1.0, 1), ("T12", "L5", 0.35, -1))),
    "double major": (0.20, (("T1", "T5", 0.35, -1), ("T5", "T11", 1.0, 1), ("T11", "L4", 0.9, -1))),
    "thoracolumbar": (0.15, (("T3", "T9", 0.4, 1), ("T9", "L3", 1.0, -1), ("L3", "L5", 0.4, 1))),
}


@dataclass(frozen=True)
class Vertebra:
    """One vertebra as seen from behind.

    ``center`` is the point midway between its two laminae, (3,) mm; ``axes`` has the local caudal, right and anterior
    directions in its rows, (3, 3). ``tilt``, ``rotation`` and ``depth`` are the coronal tilt and the axial rotation in
    degrees and the depth of the laminae below the skin in mm.
    """

    name: str
    center: np.ndarray
    axes: np.ndarray
    body_height: float
    lamina_offset: float
    lamina_height: float
    lamina_width: float
    tilt: float
    rotation: float
    depth: float

    def point(self, caudal: float, right: float, anterior: float) -> np.ndarray:
        """Return the IRA position (3,) of a point given in the vertebra's own millimetres."""
        return self.center + np.array([caudal, right, anterior]) @ self.axes


@dataclass(frozen=True)
class Spine:
    """A whole simulated spine: its vertebrae, its midline and the skin above it, as functions of the IRA ordinate i."""

    vertebrae: tuple[Vertebra, ...]
    path: np.ndarray  # (N, 3) the line midway between the laminae, IRA mm, monotonic in i
    path_depth: np.ndarray  # (N,) depth of that line below the skin, mm
    path_rotation: np.ndarray  # (N,) axial rotation, degrees
    parameters: dict = field(default_factory=dict)

    def midline(self, i: np.ndarray) -> np.ndarray:
        """Return right and anterior coordinates, (N, 2) mm, of the midline at the inferior ordinates ``i``."""
        return np.stack([np.interp(i, self.path[:, 0], self.path[:, axis]) for axis in (1, 2)], axis=-1)

    def depth(self, i: np.ndarray) -> np.ndarray:
        """Return the depth of the laminae below the skin, mm, at the inferior ordinates ``i``."""
        return np.interp(i, self.path[:, 0], self.path_depth)

    def rotation(self, i: np.ndarray) -> np.ndarray:
        """Return the axial rotation in degrees at the inferior ordinates ``i``."""
        return np.interp(i, self.path[:, 0], self.path_rotation)


def draw_spine(rng: np.random.Generator, style: Style) -> Spine:
    """Draw a patient of 10 to 16 years with adolescent idiopathic scoliosis.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every random choice.
    style : Style
        Severity of the curves.

    Returns
    -------
    Spine
        With T1 near ordinate 0; the caller places it in a volume.
    """
    scale = rng.uniform(0.82, 1.0)
    weight = np.clip(20.0 + (scale - 0.82) / 0.18 * 28.0 + rng.normal(14.0, 7.0), 28.0, 80.0)
    heights = scale * np.array(BODY_HEIGHTS_MM) * rng.normal(1.0, 0.015, 17)
    discs = scale * np.array(DISC_HEIGHTS_MM) * rng.normal(1.0, 0.04, 16)
    tops = np.concatenate([[0.0], np.cumsum(heights[:-1] + discs)])
    stations = dict(zip(VERTEBRAE, tops + heights / 2))
    arc = np.arange(stations["T1"] - 35.0, stations["L5"] + 40.0, 0.5)

    curves, pattern = _draw_curves(rng, style)
    tilt = _coronal_tilt(arc, stations, curves, rng)
    rotation_gain = rng.normal(0.5, 0.08)
    rotation = _axial_rotation(arc, stations, curves, rotation_gain) + rng.normal(0.0, 1.5)
    kyphosis, lordosis = np.clip(rng.normal(30.0, 7.0), 12, 50), np.clip(rng.normal(55.0, 8.0), 35, 75)
    inclination = _sagittal_inclination(arc, stations, kyphosis, lordosis)

    step = np.gradient(arc)
    down = np.stack([np.cos(tilt) * np.cos(inclination), np.sin(tilt), np.cos(tilt) * np.sin(inclination)], axis=-1)
    path = np.cumsum(down * step[:, None], axis=0)
    path -= path[np.searchsorted(arc, stations["T1"])]
    depth = _lamina_depth(arc, stations, weight, scale, rng)

    vertebrae = []
    for index, name in enumerate(VERTEBRAE):
        at = np.searchsorted(arc, stations[name])
        wedge = rng.normal(0.0, 0.8, 2)
        axes = _axes(tilt[at] + np.radians(wedge[0]), inclination[at], np.radians(rotation[at] + wedge[1]))
        vertebrae.append(
            Vertebra(
                name=name,
                center=path[at] + rng.normal(0.0, [0.5, 0.3, 0.4]),
                axes=axes,
                body_height=heights[index],
                lamina_offset=scale * LAMINA_OFFSETS_MM[index] * rng.normal(1.0, 0.04),
                lamina_height=scale * LAMINA_HEIGHTS_MM[index] * rng.normal(1.0, 0.05),
                lamina_width=scale * LAMINA_WIDTHS_MM[index] * rng.normal(1.0, 0.06),
                tilt=float(np.degrees(tilt[at])) + wedge[0],
                rotation=float(rotation[at]) + wedge[1],
                depth=float(depth[at]),
            )
        )
    parameters = {
        "scale": float(scale),
        "weight_kg": float(weight),
        "pattern": pattern,
        "curves": [
            {"upper": upper, "lower": lower, "cobb_deg": float(cobb), "convex": "right" if sign > 0 else "left"}
            for upper, lower, cobb, sign in curves
        ],
        "rotation_gain": float(rotation_gain),
        "kyphosis_deg": float(kyphosis),
        "lordosis_deg": float(lordosis),
    }
    return Spine(tuple(vertebrae), path, depth, rotation, parameters)


def _draw_curves(rng, style):
    names = list(PATTERNS)
    weights = np.array([PATTERNS[name][0] for name in names])
    pattern = names[rng.choice(len(names), p=weights / weights.sum())]
    major = np.clip(rng.normal(style.cobb_mean, style.cobb_sd), *style.cobb_range)
    mirror = -1 if rng.random() < 0.1 else 1
    curves = [
        (upper, lower, major * share * (1.0 if share == 1.0 else rng.uniform(0.75, 1.15)), sign * mirror)
        for upper, lower, share, sign in PATTERNS[pattern][1]
    ]
    return curves, pattern + (" (mirrored)" if mirror < 0 else "")


def _coronal_tilt(arc, stations, curves, rng):
    """Tilt in radians; PCHIP is flat at its extremes, so the end vertebrae are the most tilted ones by construction."""
    knots = [stations[curves[0][0]], *(stations[lower] for _, lower, _, _ in curves)]
    tilts = np.concatenate([[0.0], -np.cumsum([sign * cobb for _, _, cobb, sign in curves])])
    knots = np.concatenate([[min(arc[0], knots[0]) - 1], knots, [max(arc[-1], knots[-1]) + 1]])
    tilts = np.concatenate([tilts[:1], tilts, tilts[-1:]])
    tilt = PchipInterpolator(knots, tilts)(arc)
    inside = (arc >= stations["T1"]) & (arc <= stations["L5"])
    return np.radians(tilt - tilt[inside].mean() + rng.normal(0.0, 1.2))


def _axial_rotation(arc, stations, curves, gain):
    """Degrees, positive when the right side moves posteriorly: bodies turn to the convex side of their curve."""
    rotation = np.zeros_like(arc)
    for upper, lower, cobb, sign in curves:
        phase = np.clip((arc - stations[upper]) / (stations[lower] - stations[upper]), 0.0, 1.0)
        rotation += sign * gain * cobb * np.sin(np.pi * phase) ** 2
    return rotation


def _sagittal_inclination(arc, stations, kyphosis, lordosis):
    """Radians, positive where the spine runs anteriorly as it descends.

    Lordosis is measured to S1: about a quarter of it lies at L5/S1, below the last lamina, and lying prone or leaning
    on a support flattens it by another fifth.
    """
    levels = [stations["T1"], stations["T12"], stations["L5"]]
    angles = [-0.55 * kyphosis, 0.45 * kyphosis, 0.45 * kyphosis - 0.55 * lordosis]
    knots = np.concatenate([[arc[0] - 1], levels, [arc[-1] + 1]])
    angle = PchipInterpolator(knots, [angles[0], *angles, angles[-1]])(arc)
    # Vertebrae share the change of direction over several levels.
    angle = gaussian_filter1d(angle, 30.0, mode="nearest")
    inside = (arc >= stations["T1"]) & (arc <= stations["L5"])
    return np.radians(angle - angle[inside].mean())


def _lamina_depth(arc, stations, weight, scale, rng):
    thoracic = np.clip(15.0 + 0.12 * (weight - 30.0) + rng.normal(1.5, 1.5), 13.5, 25.0)
    lumbar = np.clip(0.4 * weight + 8.0 + rng.normal(0.0, 1.5), thoracic + 1.0, 38.0)
    levels = ("T1", "T4", "T9", "T12", "L3", "L5")
    values = (
        thoracic + rng.uniform(1.0, 5.0),
        thoracic,
        thoracic + rng.normal(0.0, 0.7),
        thoracic + 0.4 * (lumbar - thoracic),
        lumbar,
        lumbar + rng.uniform(0.0, 2.0),
    )
    knots = [arc[0] - 1, *(stations[name] for name in levels), arc[-1] + 1]
    return PchipInterpolator(knots, [values[0], *values, values[-1]])(arc)


def _axes(tilt, inclination, rotation):
    """Rows: caudal, right and anterior directions of a vertebra, orthonormal, in IRA components."""
    down = np.array([np.cos(tilt) * np.cos(inclination), np.sin(tilt), np.cos(tilt) * np.sin(inclination)])
    right = np.array([-np.sin(tilt), np.cos(tilt), 0.0])
    anterior = np.array([-np.cos(tilt) * np.sin(inclination), -np.sin(tilt) * np.sin(inclination), np.cos(inclination)])
    right -= down * (right @ down)
    right /= np.linalg.norm(right)
    anterior -= down * (anterior @ down) + right * (anterior @ right)
    anterior /= np.linalg.norm(anterior)
    turned_right = np.cos(rotation) * right - np.sin(rotation) * anterior
    turned_anterior = np.sin(rotation) * right + np.cos(rotation) * anterior
    return np.stack([down, turned_right, turned_anterior])
