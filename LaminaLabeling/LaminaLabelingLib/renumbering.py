"""Which vertebra is which: all pairs moved by some levels, and scans that show a part of the spine."""

from __future__ import annotations

from dataclasses import replace

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

# The most that a numbering can have.
_MOST_LUMBAR = 6


def renumbered(laminae: LaminaSet, vertebra: str, becomes: str, numbering: Numbering | None = None) -> LaminaSet:
    """Return a set in which a pair has become another vertebra and all others have moved along with it.

    Provisional pairs become named ones, counted from that pair by their numbers, so that a number without laminae
    keeps its level. Absent slots move along; those that fall off an end are dropped, and the end that becomes free
    stays unset.

    Parameters
    ----------
    laminae : LaminaSet
    vertebra : str
        The pair as it is called now, such as ``"T11"`` or ``"P03"``.
    becomes : str
        What it is, such as ``"T12"``.
    numbering : Numbering or None
        Of the result; None keeps the set's own, which is the usual one for a provisional set.

    Returns
    -------
    LaminaSet

    Raises
    ------
    LaminaError
        If either vertebra does not exist, or a lamina with a position would fall off the end.
    """
    numbering = laminae.numbering if numbering is None else numbering
    vertebrae = numbering.vertebrae
    here = laminae.pairs()
    if vertebra not in here:
        raise LaminaError(_("The list has no pair {vertebra}: choose one of its pairs.").format(vertebra=vertebra))
    _check_exists(becomes, numbering)
    shift = vertebrae.index(becomes) - _level(laminae, vertebra)
    lowest = max((_level(laminae, lamina.vertebra) for lamina in laminae.values() if _stays(lamina)), default=0)
    # So many lumbar vertebrae would be enough; before a provisional list has names, no other number can be chosen.
    enough = None if laminae.is_provisional else numbering.lumbar + lowest + shift + 1 - len(vertebrae)
    moved = []
    for lamina in laminae.values():
        level = _level(laminae, lamina.vertebra) + shift
        if lamina.review is Review.unset:
            continue
        if 0 <= level < len(vertebrae):
            moved.append(replace(lamina, name=vertebrae[level] + lamina.side))
        elif _stays(lamina):
            raise _falls_off(lamina.name, vertebra, becomes, vertebrae, level < 0, enough)
    return LaminaSet(numbering, moved)


def with_scan_range(laminae: LaminaSet, first: str, last: str) -> LaminaSet:
    """Return a set for a scan that shows the vertebrae from one to another only: all slots outside are absent.

    What lay outside the scan's range before and is inside now becomes unset again. That is every vertebra in an
    unbroken run from either end of the numbering whose laminae are both absent; an absent lamina elsewhere is
    something that a person has seen, and stays.

    Parameters
    ----------
    laminae : LaminaSet
        A named one.
    first, last : str
        The topmost and the lowest vertebra in the scan, such as ``"T4"`` and ``"L2"``; the same for a single one.

    Returns
    -------
    LaminaSet

    Raises
    ------
    LaminaError
        If the set is provisional, a vertebra does not exist, the two are the wrong way round, or a lamina outside has
        a position.
    """
    if laminae.is_provisional:
        raise LaminaError(_("A list of provisional names has no levels yet: say first which vertebra one pair is."))
    _check_exists(first, laminae.numbering)
    _check_exists(last, laminae.numbering)
    vertebrae = laminae.numbering.vertebrae
    start, stop = vertebrae.index(first), vertebrae.index(last) + 1
    if start >= stop:
        raise LaminaError(
            _("{first} lies below {last}: give the topmost vertebra of the scan first.").format(first=first, last=last)
        )
    inside = set(vertebrae[start:stop])
    outside_before = _absent_ends(laminae)
    changed = []
    for lamina in laminae.values():
        if lamina.vertebra in inside:
            if lamina.vertebra in outside_before:
                changed.append(Lamina(lamina.name))
        elif lamina.position is not None:
            raise LaminaError(
                _(
                    "{name} has a position and lies outside {first} to {last}: empty it first, or widen the range."
                ).format(name=lamina.name, first=first, last=last)
            )
        elif lamina.review is not Review.absent:
            changed.append(Lamina(lamina.name, None, Review.absent, Source.manual))
    return laminae.with_laminae(changed)


def _level(laminae: LaminaSet, vertebra: str) -> int:
    if laminae.is_provisional:
        return int(vertebra[1:]) - 1
    return laminae.numbering.vertebrae.index(vertebra)


def _check_exists(vertebra: str, numbering: Numbering) -> None:
    if vertebra not in numbering.vertebrae:
        raise LaminaError(
            _(
                "There is no vertebra {vertebra} here: it goes from T1 to T{thoracic} and L1 to L{lumbar}; "
                "choose one of these, or change the numbering."
            ).format(vertebra=vertebra, thoracic=numbering.thoracic, lumbar=numbering.lumbar)
        )


def _stays(lamina: Lamina) -> bool:
    """Return whether a lamina must not fall off an end."""
    return lamina.review not in (Review.unset, Review.absent)


def _falls_off(
    name: str, vertebra: str, becomes: str, vertebrae: tuple[str, ...], above: bool, enough: int | None
) -> LaminaError:
    """Return what to say when a lamina would fall off; `enough` lumbar vertebrae would prevent it below."""
    if above:
        text = _("{name} would lie above {end} if {vertebra} were {becomes}: choose a lower one, or empty it first.")
    elif enough is not None and enough <= _MOST_LUMBAR:
        text = _(
            "{name} would lie below {end} if {vertebra} were {becomes}: choose a higher one, say first that there "
            "are {enough} lumbar vertebrae, or empty it first."
        )
    else:
        text = _("{name} would lie below {end} if {vertebra} were {becomes}: choose a higher one, or empty it first.")
    end = vertebrae[0 if above else -1]
    return LaminaError(text.format(name=name, end=end, vertebra=vertebra, becomes=becomes, enough=enough))


def _absent_ends(laminae: LaminaSet) -> set[str]:
    """Return the vertebrae in unbroken runs from either end whose laminae are both absent."""
    pairs = laminae.pairs()
    found = set()
    for run in (list(pairs), list(reversed(pairs))):
        for vertebra in run:
            if any(lamina.review is not Review.absent for lamina in pairs[vertebra]):
                break
            found.add(vertebra)
    return found
