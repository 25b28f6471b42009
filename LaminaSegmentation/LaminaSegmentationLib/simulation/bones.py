"""The bones that an ultrasound beam meets on a spine, as ellipsoids, and the first of them on each scan line."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from LaminaLabelingLib.anatomy import THORACIC

from .anatomy import Spine, Vertebra
from .styles import Style


@dataclass(frozen=True)
class Ellipsoid:
    """One bony part: ``center`` (3,) and ``axes`` (3, 3) rows of unit directions in IRA mm, ``radii`` (3,) mm.

    ``gain_db`` is its echo relative to bone hit at a right angle, ``kind`` a word for tests and pictures.
    """

    center: np.ndarray
    axes: np.ndarray
    radii: np.ndarray
    gain_db: float
    kind: str

    @property
    def whitening(self) -> np.ndarray:
        """The matrix (3, 3) that turns the ellipsoid into the unit sphere."""
        return self.axes / self.radii[:, None]


def lamina_surface(vertebra: Vertebra, side: int) -> np.ndarray:
    """Return the IRA position (3,) of a lamina's centre on its posterior surface; ``side`` is +1 right, -1 left."""
    return vertebra.point(0.0, side * vertebra.lamina_offset, 0.0)


def _turned(axes: np.ndarray, about: int, degrees: float) -> np.ndarray:
    """Rotate rows of ``axes`` about its row ``about`` by ``degrees``."""
    first, second = [row for row in range(3) if row != about]
    angle = np.radians(degrees)
    turned = axes.copy()
    turned[first] = np.cos(angle) * axes[first] + np.sin(angle) * axes[second]
    turned[second] = np.cos(angle) * axes[second] - np.sin(angle) * axes[first]
    return turned


def bones_of(spine: Spine, style: Style, rng: np.random.Generator) -> tuple[list[Ellipsoid], dict[str, float]]:
    """Return every bony part of the spine and, for each lamina by name, the dB by which its echo is weakened.

    Parts: laminae (two bright lines in an axial slice), spinous processes (which cast the dark midline), and as bait
    the articular processes, transverse processes, ribs and the sacrum.
    """
    parts: list[Ellipsoid] = []
    loss: dict[str, float] = {}
    bait = rng.uniform(*style.bait_db)
    for index, vertebra in enumerate(spine.vertebrae):
        lumbar = vertebra.name not in THORACIC
        rate = style.loss_rate_lumbar if lumbar else style.loss_rate_thoracic
        for side, letter in ((-1, "L"), (1, "R")):
            weaker = abs(rng.normal(0.0, style.dropout))
            if rng.random() < rate:
                weaker += rng.uniform(*style.loss_db)
            # The lamina on the far side of a strongly rotated vertebra turns out of the beam.
            if abs(vertebra.rotation) > 30.0 and np.sign(vertebra.rotation) != side:
                weaker += 25.0
            loss[vertebra.name + letter] = weaker
            parts.append(_lamina(vertebra, side, lumbar, -weaker, style, rng))
            parts.extend(_brighter(part, bait) for part in _lateral_parts(vertebra, side, lumbar, index, rng))
        parts.append(_spinous_process(vertebra, lumbar, rng))
    parts.extend(_brighter(part, bait) for part in _sacrum(spine.vertebrae[-1], rng))
    return parts, loss


def _brighter(part: Ellipsoid, decibel: float) -> Ellipsoid:
    return replace(part, gain_db=part.gain_db + decibel)


def _lamina(vertebra, side, lumbar, gain_db, style, rng):
    # The posterior surface slopes away laterally like a roof, steeper in the lumbar spine.
    slope = side * (rng.normal(17.0 if lumbar else 12.0, 4.0))
    axes = _turned(vertebra.axes, 0, slope)
    axes = _turned(axes, 1, rng.normal(8.0 if not lumbar else 3.0, 4.0))
    radii = np.array([0.34 * vertebra.lamina_height, 0.45 * vertebra.lamina_width + 0.8, 2.2])
    surface = lamina_surface(vertebra, side) + rng.normal(0.0, style.facet) @ vertebra.axes
    return Ellipsoid(surface + axes[2] * radii[2], axes, radii, gain_db, "lamina")


def _spinous_process(vertebra, lumbar, rng):
    length = np.clip(vertebra.depth - rng.uniform(5.0, 8.0), 6.0, 26.0 if lumbar else 20.0)
    # Thoracic processes hang over the level below, lumbar ones stick straight out.
    slant = 8.0 if lumbar else {"T1": 20.0, "T2": 25.0, "T3": 32.0, "T11": 28.0, "T12": 15.0}.get(vertebra.name, 42.0)
    axes = _turned(vertebra.axes, 1, -slant)
    height = (0.42 if lumbar else 0.33) * vertebra.body_height + 2.0
    radii = np.array([height, rng.uniform(1.9, 2.6), 0.62 * length])
    reach = axes[2] * (0.55 * length)
    return Ellipsoid(vertebra.center - reach, axes, radii, -7.0 + rng.normal(0.0, 2.0), "spinous process")


def _lateral_parts(vertebra, side, lumbar, index, rng):
    """Articular and transverse processes and ribs of one side."""

    def at(caudal, lateral, anterior):
        return vertebra.point(caudal, side * lateral, anterior)

    offset, gap = vertebra.lamina_offset, 0.5 * vertebra.body_height
    parts = []
    size = 3.4 if lumbar else 2.4
    joint = np.array([size * 1.3, size, size]) * rng.uniform(0.85, 1.2)
    parts.append(
        Ellipsoid(
            at(gap + rng.normal(1.5, 1.0), offset + rng.uniform(3.5, 7.0), rng.uniform(0.5, 3.0)),
            vertebra.axes,
            joint,
            -6.0 + rng.normal(0.0, 3.0),
            "articular process",
        )
    )
    if lumbar:
        reach = rng.uniform(10.0, 14.0)
        parts.append(
            Ellipsoid(
                at(-0.15 * gap, offset + 8.0 + reach, rng.uniform(8.0, 12.0)),
                _turned(vertebra.axes, 0, side * 8.0),
                np.array([3.8, reach, 2.5]),
                -9.0 + rng.normal(0.0, 3.0),
                "transverse process",
            )
        )
        return parts
    reach = (10.0 if index < 9 else 6.0) * rng.uniform(0.85, 1.15)
    parts.append(
        Ellipsoid(
            at(-0.35 * gap, offset + 5.0 + reach, rng.uniform(1.5, 4.5)),
            _turned(_turned(vertebra.axes, 2, side * rng.normal(8.0, 5.0)), 0, side * rng.normal(4.0, 5.0)),
            np.array([4.0, reach, 3.0]),
            -7.0 + rng.normal(0.0, 3.0),
            "transverse process",
        )
    )
    # Ribs run laterally and caudally from the tip of the transverse process and sink away from the probe.
    drop = np.linspace(0.0, 1.0, 3) * (6.0 + index)
    for step in range(3):
        parts.append(
            Ellipsoid(
                at(drop[step], offset + 18.0 + 13.0 * step, 4.0 + 2.5 * step + rng.normal(0.0, 0.6)),
                _turned(_turned(vertebra.axes, 2, side * (14.0 + index)), 0, side * 10.0),
                np.array([4.2, 9.0, 3.4]),
                -7.0 + rng.normal(0.0, 3.0),
                "rib",
            )
        )
    return parts


def _sacrum(last, rng):
    """The median crest's flanks of S1 below L5: broad, bright and no lamina of ours."""
    parts = []
    for side in (-1, 1):
        axes = _turned(last.axes, 1, -25.0)
        center = last.point(last.body_height + 14.0, side * rng.uniform(10.0, 14.0), rng.uniform(2.0, 5.0))
        parts.append(Ellipsoid(center, axes, np.array([8.0, 8.0, 3.0]), -6.0 + rng.normal(0.0, 2.0), "sacrum"))
    return parts


def first_hits(
    parts: list[Ellipsoid],
    origins: np.ndarray,
    directions: np.ndarray,
    start: float,
    stop: float,
    lobe: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Follow each scan line to the first bone.

    Parameters
    ----------
    parts : list of Ellipsoid
        The bones.
    origins : (F, 3) array
        Apex of each frame's fan, IRA mm; a frame lies in the plane of constant first coordinate.
    directions : (F, L, 3) array
        Unit direction of each line.
    start, stop : float
        Range of distances from the apex that is imaged, mm.
    lobe : float
        Exponent of the specular lobe.

    Returns
    -------
    distance : (F, L) array
        Distance of the hit from the apex in mm, infinite where no bone is met.
    amplitude : (F, L) array
        Relative amplitude of its echo, ``10**(gain/20) * cos(incidence)**lobe``.
    """
    shape = directions.shape[:2]
    distance = np.full(shape, np.inf)
    amplitude = np.zeros(shape)
    for part in parts:
        whitening = part.whitening
        reach = np.sqrt(((part.axes[:, 0] * part.radii) ** 2).sum())
        frames = np.flatnonzero(np.abs(origins[:, 0] - part.center[0]) < reach)
        if not frames.size:
            continue
        rows = slice(frames[0], frames[-1] + 1)
        origin = (origins[rows] - part.center) @ whitening.T
        direction = directions[rows] @ whitening.T
        square = np.einsum("flk,flk->fl", direction, direction)
        half = np.einsum("fk,flk->fl", origin, direction)
        rest = (origin**2).sum(-1)[:, None] - 1.0
        discriminant = half**2 - square * rest
        with np.errstate(invalid="ignore"):
            hit = (-half - np.sqrt(discriminant)) / square
        nearer = (discriminant > 0) & (hit > start) & (hit < stop) & (hit < distance[rows])
        if not nearer.any():
            continue
        at = origin[:, None, :] + hit[..., None] * direction
        normal = at @ whitening
        incidence = np.abs(np.einsum("flk,flk->fl", normal, directions[rows]))
        with np.errstate(invalid="ignore", divide="ignore"):
            incidence /= np.linalg.norm(normal, axis=-1)
        echo = 10.0 ** (part.gain_db / 20.0) * np.nan_to_num(incidence) ** lobe
        distance[rows][nearer] = hit[nearer]
        amplitude[rows][nearer] = echo[nearer]
    return distance, amplitude
