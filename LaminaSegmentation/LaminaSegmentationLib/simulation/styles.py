"""Named sets of simulation parameters. A style's numbers never change without a new version."""

from __future__ import annotations

from dataclasses import dataclass

from LaminaLabelingLib.errors import LaminaError

Range = tuple[float, float]
"""A scan draws its value uniformly between these two."""


@dataclass(frozen=True)
class Style:
    """How a simulated scan looks and how hard it is.

    Attributes
    ----------
    name : str
        The name given to ``lamina simulate --style``.
    version : int
        Raised whenever any number below changes, because models record it.
    description : str
        One line for ``--help``.
    cobb_mean, cobb_sd, cobb_range : float, float, (float, float)
        Major coronal curve in degrees (AIS figures of METHOD section 8).
    bone_db : Range
        Echo of bone hit at a right angle, in dB above muscle.
    bait_db : Range
        What is added to the echo of everything that is bone but no lamina, dB.
    lobe : Range
        Exponent n of the specular lobe, cos(incidence)**n; a larger one shows less of each bone.
    facet : (float, float, float)
        Standard deviation in mm, along SI, LR and PA, of the part of a lamina that reflects from the lamina's centre:
        the surface is no ellipsoid, and what faces the probe is seldom its middle.
    dropout : float
        Standard deviation in dB of a lamina's own brightness (contact, surface, angle).
    loss_rate_lumbar, loss_rate_thoracic : float
        Share of laminae whose echo is almost lost.
    loss_db : Range
        How much of it is lost, dB.
    leak : Range
        Reverberation that fills the shadow, as a share of the amplitude.
    residual_attenuation : Range
        Attenuation left after time-gain compensation, dB per mm of depth.
    muscle_attenuation : Range
        What thick lumbar muscle and fat add per mm of depth beyond 20 mm, dB.
    tissue_db : Range
        Backscatter of soft tissue relative to ordinary muscle, dB.
    water_bath : float
        Probability of a scan in which soft tissue sends back next to nothing, as the water around a phantom.
    fibers_db, clouds_db : Range
        Standard deviation of the tissue's fine streaks along the spine and of its coarse clouds, dB.
    gain_error_db : Range
        Standard deviation of the error of the time-gain compensation, dB.
    pulse_mm, elevation_mm : Range
        Axial and elevational width of the point spread function at half maximum, mm.
    beam_lines : Range
        Standard deviation of its lateral width in scan lines, which widen with depth as the fan does.
    probe_radius, probe_half_angle : Range
        Of the convex probe, mm and radians.
    linear_probe : float
        Probability of a sweep with a linear probe instead, whose lines are all but parallel.
    noise_floor : Range
        Amplitude of the receiver's noise, relative to muscle.
    dynamic_range, ceiling_db : Range
        Of the log compression, dB: width of the display, and the level that is shown white.
    gamma : Range
        Exponent of the gray map.
    gaps : (float, ...)
        Probability of 0, 1, 2, ... gaps where the probe was lifted.
    wobble : Range
        Standard deviation of the probe's low-frequency lateral wander, mm.
    tracking_error : float
        Standard deviation of what the tracker does not know (breathing, patient motion), mm.
    testing_only : bool
        No model is trained on scans of this style, so that it tells how a model does on another scanner.
    """

    name: str
    version: int
    description: str
    cobb_mean: float = 24.8
    cobb_sd: float = 9.7
    cobb_range: Range = (6.0, 60.0)
    bone_db: Range = (24.0, 24.0)
    bait_db: Range = (0.0, 0.0)
    lobe: Range = (4.0, 8.0)
    facet: tuple[float, float, float] = (0.0, 0.0, 0.0)
    dropout: float = 3.0
    loss_rate_lumbar: float = 0.05
    loss_rate_thoracic: float = 0.01
    loss_db: Range = (12.0, 22.0)
    leak: Range = (0.10, 0.20)
    residual_attenuation: Range = (0.08, 0.25)
    muscle_attenuation: Range = (0.5, 1.1)
    tissue_db: Range = (0.0, 0.0)
    water_bath: float = 0.0
    fibers_db: Range = (3.5, 3.5)
    clouds_db: Range = (3.0, 3.0)
    gain_error_db: Range = (1.5, 1.5)
    pulse_mm: Range = (0.8, 0.8)
    elevation_mm: Range = (2.5, 2.5)
    beam_lines: Range = (1.7, 1.7)
    probe_radius: Range = (52.0, 60.0)
    probe_half_angle: Range = (0.41, 0.49)
    linear_probe: float = 0.0
    noise_floor: Range = (0.02, 0.05)
    dynamic_range: Range = (55.0, 62.0)
    ceiling_db: Range = (29.0, 34.0)
    gamma: Range = (0.95, 1.15)
    gaps: tuple[float, ...] = (0.6, 0.28, 0.12)
    wobble: Range = (1.0, 3.5)
    tracking_error: float = 0.5
    testing_only: bool = False


STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        Style(
            name="clinic",
            version=2,
            description="a freehand scan as a clinic makes it: speckle, shadow, fading lumbar laminae, gaps, wobble",
            bone_db=(13.0, 19.0),
            bait_db=(2.0, 5.0),
            facet=(3.4, 1.5, 1.0),
            dropout=6.0,
            loss_rate_lumbar=0.4,
            loss_rate_thoracic=0.06,
            loss_db=(12.0, 24.0),
            muscle_attenuation=(0.8, 1.8),
            clouds_db=(3.0, 4.5),
            elevation_mm=(2.5, 3.5),
        ),
        Style(
            name="varied",
            version=2,
            description="clinic with every setting of the scanner and the sweep varied widely; for training",
            cobb_sd=13.0,
            bone_db=(14.0, 27.0),
            bait_db=(-2.0, 5.0),
            lobe=(3.0, 9.0),
            facet=(1.8, 0.8, 0.5),
            dropout=5.5,
            loss_rate_lumbar=0.25,
            loss_rate_thoracic=0.05,
            loss_db=(12.0, 24.0),
            leak=(0.03, 0.3),
            residual_attenuation=(0.0, 0.6),
            muscle_attenuation=(0.3, 1.6),
            tissue_db=(-8.0, 4.0),
            water_bath=0.06,
            fibers_db=(1.5, 5.0),
            clouds_db=(1.5, 5.0),
            gain_error_db=(0.5, 4.0),
            pulse_mm=(0.5, 1.3),
            elevation_mm=(1.6, 4.0),
            beam_lines=(1.2, 3.2),
            probe_radius=(38.0, 66.0),
            probe_half_angle=(0.36, 0.58),
            linear_probe=0.15,
            noise_floor=(0.005, 0.12),
            dynamic_range=(48.0, 72.0),
            ceiling_db=(24.0, 35.0),
            gamma=(0.7, 1.4),
            gaps=(0.45, 0.3, 0.15, 0.1),
            wobble=(0.5, 5.0),
            tracking_error=0.8,
        ),
        Style(
            name="portable",
            version=1,
            description="another probe, never trained on: lower frequency, coarse speckle, high contrast, more faults",
            bone_db=(20.0, 22.0),
            bait_db=(2.0, 4.0),
            lobe=(3.0, 5.0),
            facet=(1.5, 0.6, 0.4),
            dropout=5.0,
            loss_rate_lumbar=0.2,
            loss_rate_thoracic=0.06,
            loss_db=(12.0, 24.0),
            leak=(0.2, 0.32),
            residual_attenuation=(0.02, 0.1),
            muscle_attenuation=(0.6, 1.2),
            fibers_db=(1.5, 2.5),
            clouds_db=(4.5, 6.0),
            gain_error_db=(2.5, 4.0),
            pulse_mm=(1.3, 1.6),
            elevation_mm=(3.4, 4.2),
            beam_lines=(2.6, 3.4),
            probe_radius=(40.0, 46.0),
            probe_half_angle=(0.5, 0.6),
            noise_floor=(0.08, 0.14),
            dynamic_range=(44.0, 50.0),
            ceiling_db=(26.0, 30.0),
            gamma=(1.2, 1.5),
            gaps=(0.3, 0.4, 0.2, 0.1),
            wobble=(3.0, 5.0),
            tracking_error=0.9,
            testing_only=True,
        ),
        Style(
            name="clear",
            version=2,
            description="a cooperative, slim patient and a steady hand: little fading, no gaps; for teaching",
            residual_attenuation=(0.02, 0.06),
            muscle_attenuation=(0.05, 0.15),
            dropout=1.5,
            loss_rate_lumbar=0.0,
            loss_rate_thoracic=0.0,
            gaps=(1.0,),
            wobble=(0.5, 1.0),
            tracking_error=0.2,
        ),
    )
}


def style_named(name: str) -> Style:
    """Return the style called ``name``; raise LaminaError, naming the known ones, when there is none."""
    try:
        return STYLES[name]
    except KeyError:
        known = ", ".join(sorted(STYLES))
        raise LaminaError(f"There is no simulation style called '{name}'; choose one of: {known}.") from None


def style_for_training(name: str) -> Style:
    """Return the style called ``name``; raise LaminaError when there is none, or no model may be trained on it."""
    style = style_named(name)
    if style.testing_only:
        raise LaminaError(
            f"Scans of style '{name}' are kept for tests, so that they tell how a model does on another scanner; "
            f"train on style {' or '.join(sorted(other.name for other in STYLES.values() if not other.testing_only))}."
        )
    return style
