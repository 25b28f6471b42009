"""How the figures of a report read."""

from LaminaLabelingLib.curvature import Angle
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.progression import BOTH, NEW, Change, CurveChange


def angle_text(angle: Angle) -> str:
    """Return an angle as people read it, such as ``32°``."""
    return f"{angle.value:.0f}°".replace("-0°", "0°").replace("-", "−")


def interval_text(angle: Angle) -> str:
    """Return the 95 % interval of an angle, such as ``28° to 36°``."""
    low, high = (angle_text(Angle(value, 0.0)) for value in angle.interval)
    return _("{low} to {high}").format(low=low, high=high)


def region_text(region: str) -> str:
    """Return the region of a curve in the user's language; a dash for numbered pairs."""
    return {
        "proximal thoracic": _("proximal thoracic"),
        "main thoracic": _("main thoracic"),
        "thoracolumbar/lumbar": _("thoracolumbar/lumbar"),
    }.get(region, "–")


def side_text(side: str) -> str:
    """Return a side in the user's language."""
    return _("right") if side == "right" else _("left")


def curve_name(change: CurveChange) -> str:
    """Return what a curve is called in the follow-up, such as ``main thoracic, right``."""
    return f"{region_text(change.region)}, {side_text(change.side)}"


def remark_text(change: Change) -> str:
    """Return what a change says: whether it is beyond chance, and the usual threshold of 5 degrees."""
    if not change.is_beyond_chance:
        text = _("may be chance")
    elif change.reaches_usual_change:
        text = _("beyond chance, 5° or more")
    else:
        text = _("beyond chance, less than 5°")
    state = getattr(change, "state", BOTH)
    if state == BOTH:
        return text
    if state == NEW:
        return _("below 10° before; {text}").format(text=text)
    return _("below 10° now; {text}").format(text=text)
