"""One set of laminae out of two raters': what they agree on, and a person's choice where they do not."""

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

WITHIN_MM = 3.0
"""Two raters who place a lamina this close together agree."""

CHOICES = ("first", "second", "middle")
"""What a person can choose for a slot, see `resolve`."""


def consensus(first: LaminaSet, second: LaminaSet, within_mm: float = WITHIN_MM) -> LaminaSet:
    """Return what two raters agree on, and what is left to choose as unreviewed.

    Parameters
    ----------
    first, second : LaminaSet
        In the same coordinates, in mm, and with the same numbering; or both provisional.
    within_mm : float
        Largest distance at which they agree, inclusive.

    Returns
    -------
    LaminaSet
        For each slot:

        - both have a position and agree: their mean, placed, by hand;
        - both have a position and disagree: the middle, unreviewed, suggested (inferred), since nobody saw it there;
        - only one has a position: that one, unreviewed, with its source and confidence;
        - both say absent: absent; nobody has a position otherwise: unset.

    Raises
    ------
    LaminaError
        If the numberings differ.
    """
    if first.is_provisional != second.is_provisional or first.numbering != second.numbering:
        raise LaminaError(
            _("The two lists do not have the same numbering of vertebrae: change that of one of them before merging.")
        )
    names = dict.fromkeys([*first, *second])
    laminae = [_merged(_slot(first, name), _slot(second, name), within_mm) for name in names]
    return LaminaSet.provisional(laminae) if first.is_provisional else LaminaSet(first.numbering, laminae)


def resolve(laminae: LaminaSet, name: str, choice: str, first: LaminaSet, second: LaminaSet) -> LaminaSet:
    """Return a set in which a person has decided one slot.

    Parameters
    ----------
    laminae : LaminaSet
        As `consensus` returns it.
    name : str
    choice : str
        ``"first"`` or ``"second"`` takes what that rater says, absent too; ``"middle"`` the middle of their positions.
    first, second : LaminaSet
        What the raters say.

    Returns
    -------
    LaminaSet
        With that slot placed by hand, or absent.

    Raises
    ------
    LaminaError
        If the chosen rater has said nothing about the slot, or one has no position to take the middle of.
    ValueError
        If the choice is another one.
    """
    if choice not in CHOICES:
        raise ValueError(f"no choice {choice!r}: it is one of {CHOICES}")
    raters = {"first": _slot(first, name), "second": _slot(second, name)}
    if choice == "middle":
        if any(lamina.position is None for lamina in raters.values()):
            raise LaminaError(
                _("{name} has no middle because only both positions together have one: choose a list.").format(
                    name=name
                )
            )
        return laminae.with_lamina(_placed(name, _middle(*raters.values())))
    chosen = raters[choice]
    if chosen.review is Review.absent:
        return laminae.with_lamina(Lamina(name, None, Review.absent, Source.manual))
    if chosen.position is None:
        text = (
            _("The first list says nothing about {name}: choose the second one, or place it yourself.")
            if choice == "first"
            else _("The second list says nothing about {name}: choose the first one, or place it yourself.")
        )
        raise LaminaError(text.format(name=name))
    return laminae.with_lamina(_placed(name, chosen.position))


def _slot(laminae: LaminaSet, name: str) -> Lamina:
    """Return a slot, unset where a provisional set does not hold it."""
    return laminae.get(name) or Lamina(name)


def _merged(first: Lamina, second: Lamina, within_mm: float) -> Lamina:
    """Return what becomes of one slot, see `consensus`."""
    there = [lamina for lamina in (first, second) if lamina.position is not None]
    if len(there) == 2:
        middle = _middle(first, second)
        if np.linalg.norm(np.subtract(first.position, second.position)) <= within_mm:
            return _placed(first.name, middle)
        return Lamina(first.name, middle, Review.unreviewed, Source.inferred)
    if there:
        (only,) = there
        return Lamina(only.name, only.position, Review.unreviewed, only.source, only.confidence)
    if first.review is second.review is Review.absent:
        return Lamina(first.name, None, Review.absent, Source.manual)
    return Lamina(first.name)


def _placed(name: str, position: tuple[float, ...]) -> Lamina:
    return Lamina(name, position, Review.placed, Source.manual)


def _middle(first: Lamina, second: Lamina) -> tuple[float, ...]:
    return tuple(np.mean([first.position, second.position], axis=0).tolist())
