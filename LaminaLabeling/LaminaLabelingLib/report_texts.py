"""How the figures of a report read."""

from collections.abc import Sequence

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


def difference_text(change: Change) -> str:
    """Return a change with its sign, such as ``+9°``."""
    text = angle_text(change.change)
    return f"+{text}" if change.change.value >= 0.5 else text


def change_text(change: Change) -> str:
    """Return a change in a line, such as ``36° to 45°, +9° (3° to 15°), beyond chance, 5° or more``."""
    return _("{earlier} to {later}, {change} ({interval}), {remark}").format(
        earlier=angle_text(change.earlier),
        later=angle_text(change.later),
        change=difference_text(change),
        interval=interval_text(change.change),
        remark=remark_text(change),
    )


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


def names_text(names: Sequence[str], vertebrae: Sequence[str]) -> str:
    """Return laminae in few words: a vertebra for both of its laminae, the first and the last of neighboring ones.

    Parameters
    ----------
    names : sequence of str
        Of laminae.
    vertebrae : sequence of str
        All of the list, from the top down.

    Returns
    -------
    str

    Examples
    --------
    >>> names_text(["T1L", "T1R", "T2L", "T2R", "T3L", "T3R", "L5R"], ["T1", "T2", "T3", "L5"])
    'T1–T3, L5R'
    """
    parts: list[list[str]] = []
    runs_on = False
    for vertebra in vertebrae:
        missing = [vertebra + side for side in "LR" if vertebra + side in names]
        if len(missing) == 2:
            parts = [*parts[:-1], [*parts[-1], vertebra]] if runs_on else [*parts, [vertebra]]
        else:
            parts += [[name] for name in missing]
        runs_on = len(missing) == 2
    return ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 2 else ", ".join(part) for part in parts)
