"""Named sets of simulation parameters. A style's numbers never change without a new version."""

from __future__ import annotations

from dataclasses import dataclass

from LaminaLabelingLib.errors import LaminaError


@dataclass(frozen=True)
class Style:
    """How hard a simulated scan is.

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
    bone_db : float
        Echo of bone hit at a right angle, in dB above muscle.
    lobe : (float, float)
        Exponent n of the specular lobe, cos(incidence)**n; a larger one shows less of each bone.
    leak : (float, float)
        Reverberation that fills the shadow, as a share of the amplitude.
    residual_attenuation : (float, float)
        Attenuation left after time-gain compensation, dB per mm of depth.
    muscle_attenuation : (float, float)
        What thick lumbar muscle and fat add per mm of depth beyond 20 mm, dB.
    dropout : float
        Standard deviation in dB of a lamina's own brightness (contact, surface, angle).
    loss_rate_lumbar, loss_rate_thoracic : float
        Share of laminae whose echo is almost lost.
    gaps : (float, ...)
        Probability of 0, 1, 2, ... gaps where the probe was lifted.
    wobble : (float, float)
        Standard deviation of the probe's low-frequency lateral wander, mm.
    tracking_error : float
        Standard deviation of what the tracker does not know (breathing, patient motion), mm.
    """

    name: str
    version: int
    description: str
    cobb_mean: float = 24.8
    cobb_sd: float = 9.7
    cobb_range: tuple[float, float] = (6.0, 60.0)
    bone_db: float = 24.0
    lobe: tuple[float, float] = (4.0, 8.0)
    leak: tuple[float, float] = (0.10, 0.20)
    residual_attenuation: tuple[float, float] = (0.08, 0.25)
    muscle_attenuation: tuple[float, float] = (0.5, 1.1)
    dropout: float = 3.0
    loss_rate_lumbar: float = 0.05
    loss_rate_thoracic: float = 0.01
    gaps: tuple[float, ...] = (0.6, 0.28, 0.12)
    wobble: tuple[float, float] = (1.0, 3.5)
    tracking_error: float = 0.5


STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        Style(
            name="clinic",
            version=1,
            description="a freehand scan as a clinic makes it: speckle, shadow, fading lumbar laminae, gaps, wobble",
        ),
        Style(
            name="clear",
            version=1,
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
