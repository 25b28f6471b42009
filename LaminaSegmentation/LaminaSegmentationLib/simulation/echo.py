"""Echoes along the scan lines of a convex probe: tissue, bone, shadow and speckle, log compressed to 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, zoom

from .styles import Style

FWHM = 2.355
"""Width at half maximum of a Gaussian over its standard deviation."""

WATER_DB = (10.0, 25.0)
"""How far water lies below soft tissue; its echoes are those of the noise and of side lobes."""


@dataclass(frozen=True)
class Probe:
    """A convex probe: radius and depth in mm, half opening angle in radians, and its sampling."""

    radius: float
    half_angle: float
    depth: float
    lines: int = 144
    step: float = 0.4

    @property
    def angles(self) -> np.ndarray:
        """The lines' angles, (L,) radians."""
        return np.linspace(-self.half_angle, self.half_angle, self.lines)

    @property
    def samples(self) -> int:
        """Number of samples on a line."""
        return round(self.depth / self.step) + 1


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], scales: tuple[float, ...]) -> np.ndarray:
    """Return smooth Gaussian noise of unit variance with the given correlation lengths in samples.

    It is drawn on a grid as coarse as the correlation allows and interpolated, because a long filter over a whole
    scan would cost more than the rest of the simulation.
    """
    coarse = tuple(max(2, int(np.ceil(2.0 * n / scale)) + 1) if scale > 2 else n for n, scale in zip(shape, scales))
    noise = rng.standard_normal(coarse, dtype=np.float32)
    noise = gaussian_filter(noise, [1.0 if n < full else 0.0 for n, full in zip(coarse, shape)], mode="reflect")
    noise = zoom(noise, [full / n for full, n in zip(shape, coarse)], order=1, mode="nearest", grid_mode=False)
    noise = noise[tuple(slice(0, full) for full in shape)]
    return (noise - noise.mean()) / (noise.std() + 1e-9)


def tissue_level(
    rng: np.random.Generator, probe: Probe, lamina_depth: np.ndarray, frame_step: float, style: Style
) -> np.ndarray:
    """Return the backscatter of soft tissue in dB relative to muscle, (F, L, T).

    Skin, subcutaneous fat with septa, fascia and muscle with fibres along the spine; time-gain error and what
    attenuation leaves, more of it under thick lumbar muscle.

    Parameters
    ----------
    rng : numpy.random.Generator
    probe : Probe
    lamina_depth : (F,) array
        Depth of the laminae under the skin in mm, which sets the thickness of fat and muscle.
    frame_step : float
        Distance between frames in mm.
    style : Style
    """
    frames, lines, samples = len(lamina_depth), probe.lines, probe.samples
    depth = np.arange(samples, dtype=np.float32) * probe.step
    shape = (frames, lines, samples)

    def field(along: float, across: float, deep: float) -> np.ndarray:
        return smooth_noise(rng, shape, (along / frame_step, across / 0.6, deep / probe.step))

    undulation = smooth_noise(rng, (frames, lines), (12.0 / frame_step, 16.0))[..., None].astype(np.float32)
    skin = 1.8 + 0.15 * undulation
    fat = skin + (0.16 * lamina_depth[:, None, None]).astype(np.float32) + 0.6 * undulation
    fibers = field(18.0, 2.2, 0.9)
    clouds = field(10.0, 8.0, 5.0)
    level = rng.uniform(*style.fibers_db) * fibers + rng.uniform(*style.clouds_db) * clouds
    in_fat = depth < fat
    level[in_fat] += np.float32(3.0) - np.float32(1.5) * fibers[in_fat]
    level += 24.0 * np.exp(-0.5 * ((depth - 0.5 * skin) / 0.8) ** 2)
    level += 12.0 * np.exp(-0.5 * ((depth - fat) / 0.45) ** 2)
    for share in (0.38, 0.66):
        fascia = share * lamina_depth[:, None, None].astype(np.float32) + 1.3 * undulation + rng.normal(0.0, 0.8)
        level += rng.uniform(4.0, 11.0) * np.exp(-0.5 * ((depth - fascia) / 0.45) ** 2)

    slope = rng.uniform(*style.residual_attenuation)
    thick = rng.uniform(*style.muscle_attenuation)
    extra = thick * np.clip(lamina_depth - 20.0, 0.0, None) / np.maximum(lamina_depth, 1.0)
    gain = smooth_noise(rng, (samples,), (12.0 / probe.step,)) * rng.uniform(*style.gain_error_db)
    level += gain.astype(np.float32) - ((slope + extra)[:, None, None] * depth).astype(np.float32)
    # Laminae overlap like shingles and ligaments fill the windows between them: little comes back from below.
    level += rng.uniform(*style.tissue_db)
    if rng.random() < style.water_bath:
        level -= rng.uniform(*WATER_DB)
    below = np.clip(depth - lamina_depth[:, None, None].astype(np.float32) - 2.5, 0.0, None)
    level -= rng.uniform(15.0, 22.0) * (1.0 - np.exp(-below / 5.0))
    return level.astype(np.float32)


def render_frames(
    rng: np.random.Generator,
    probe: Probe,
    level_db: np.ndarray,
    hit: np.ndarray,
    echo: np.ndarray,
    midline_dim: np.ndarray,
    frame_step: float,
    style: Style,
) -> np.ndarray:
    """Return the frames in polar form, (F, L, T) uint8.

    The envelope is ``|h * (sqrt(s) (n1 + i n2) + bone)|``, log compressed, with a separable Gaussian point spread
    function h whose lateral width grows with depth by the fan's own divergence. Bone is blocked by the bone above it;
    behind it only the reverberation leak is left.

    Parameters
    ----------
    level_db : (F, L, T) array
        Backscatter of soft tissue, dB.
    hit : (F, L) array
        Depth of the first bone below the probe, mm; infinite for none.
    echo : (F, L) array
        Its relative amplitude.
    midline_dim : (F, L) array
        dB by which the interspinous ligaments dim a line.
    frame_step : float
        Distance between frames, mm.
    style : Style
    """
    _frames, _lines, samples = level_db.shape
    depth = np.arange(samples, dtype=np.float32) * probe.step
    leak = rng.uniform(*style.leak)
    elevation = rng.uniform(*style.elevation_mm) / FWHM / frame_step
    lateral = rng.uniform(*style.beam_lines)
    axial = rng.uniform(*style.pulse_mm) / FWHM / probe.step

    behind = depth > (np.where(np.isfinite(hit), hit, 1e6).astype(np.float32) + 0.6)[..., None]
    amplitude = np.exp(level_db * np.float32(np.log(10) / 20))
    below_skin = np.clip((depth - 6.0) / 8.0, 0.0, 1.0)
    amplitude *= np.exp(-(midline_dim[..., None] * below_skin) * np.float32(np.log(10) / 20))
    shadow = np.where(behind, np.float32(leak), np.float32(1.0))
    # The beam is wider than a line: the edge of a shadow is soft.
    shadow = gaussian_filter1d(gaussian_filter1d(shadow, 1.2, axis=1), elevation, axis=0)
    fade = np.exp(-np.maximum(depth - np.where(np.isfinite(hit), hit, 1e6)[..., None], 0.0) / 14.0)
    amplitude *= shadow * fade.astype(np.float32)

    bone = np.zeros_like(amplitude)
    f, line = np.nonzero(np.isfinite(hit))
    place = hit[f, line] / probe.step
    index = np.clip(place.astype(int), 0, samples - 2)
    strength = (echo[f, line] * 10 ** (rng.uniform(*style.bone_db) / 20)).astype(np.float32)
    # Bone shares the tissue's attenuation at its depth.
    strength *= np.exp((level_db[f, line, index] * 0.35) * np.float32(np.log(10) / 20))
    for offset, weight in ((0, 1.0), (1, 1.0), (2, 0.7), (3, 0.35)):
        np.add.at(bone, (f, line, np.clip(index + offset, 0, samples - 1)), strength * weight)

    envelope = np.zeros_like(amplitude)
    gain = np.sqrt(2.0 * np.sqrt(np.pi)) ** 3 * np.sqrt(elevation * lateral * axial)
    # Bone is rough: its echo varies over a few millimetres, and from line to line.
    texture = np.exp(0.45 * smooth_noise(rng, hit.shape, (4.0 / frame_step, 5.0))).astype(np.float32)
    texture *= 1.0 + 0.3 * rng.standard_normal(hit.shape, dtype=np.float32)
    for quadrature in (0, 1):
        part = rng.standard_normal(amplitude.shape, dtype=np.float32)
        part *= amplitude
        part *= np.float32(gain)
        if quadrature == 0:
            part += bone * texture[..., None] * np.float32(2.0)
        for axis, sigma in ((0, elevation), (1, lateral), (2, axial)):
            part = gaussian_filter1d(part, sigma, axis=axis, truncate=3.0, mode="nearest")
        envelope += part**2
    noise_floor = rng.uniform(*style.noise_floor) * np.exp(depth / depth[-1])
    envelope += (noise_floor * np.abs(rng.standard_normal(envelope.shape, dtype=np.float32))) ** 2
    dynamic_range = rng.uniform(*style.dynamic_range)
    decibel = 10.0 * np.log10(envelope + 1e-9)
    top = rng.uniform(*style.ceiling_db)
    grey = np.clip((decibel - top) / dynamic_range + 1.0, 0.0, 1.0) ** rng.uniform(*style.gamma)
    return np.maximum(np.round(255.0 * grey), 0).astype(np.uint8)
