"""How long something takes, as a person says it."""

from slicer.i18n import tr as _


def duration(seconds):
    """Return a time in words: 40 s, 12 min, 3.5 hours, 2.1 days."""
    if seconds < 90:
        return _("{number} s").format(number=max(1, round(seconds)))
    if seconds < 5400:
        return _("{number} min").format(number=round(seconds / 60))
    if seconds < 172800:
        return _("{number:.1f} hours").format(number=seconds / 3600)
    return _("{number:.1f} days").format(number=seconds / 86400)
