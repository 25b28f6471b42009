"""What a person who places or reviews laminae does next: orders, queues, progress, small moves, predicted places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from LaminaLabelingLib.anatomy import REGIONS, SIDES, name_key, split_name
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review
from LaminaLabelingLib.prediction import predicted_position
from LaminaLabelingLib.renumbering import renumbered, with_scan_range

__all__ = [
    "DOUBTFUL_BELOW",
    "ORDERS",
    "Progress",
    "next_to_place",
    "next_to_review",
    "nudged",
    "order_of",
    "order_text",
    "predicted_position",
    "progress",
    "renumbered",
    "review_queue",
    "with_scan_range",
]

ORDERS = ("pairs down", "pairs up", "left side then right", "right side then left")
"""Keys of the orders in which slots are placed; `order_text` names them for a person."""

DOUBTFUL_BELOW = 0.5
"""A confidence below this needs a closer look."""

_REVIEW_REGIONS = tuple(reversed(REGIONS))


@dataclass(frozen=True)
class Progress:
    """How far a list is.

    Attributes
    ----------
    total, placed, absent, unreviewed, unset : int
        Numbers of slots.
    by_region : dict of str to Progress
        The same for each of `anatomy.REGIONS`; empty within a region and for a provisional list.
    """

    total: int = 0
    placed: int = 0
    absent: int = 0
    unreviewed: int = 0
    unset: int = 0
    by_region: dict[str, Progress] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Slots that a person has decided about."""
        return self.placed + self.absent


def order_text(key: str) -> str:
    """Return an order's name for a person.

    Raises
    ------
    ValueError
        If there is no such order.
    """
    texts = {
        "pairs down": _("pair by pair, from the top down"),
        "pairs up": _("pair by pair, from the bottom up"),
        "left side then right": _("left side, then right side, from the top down"),
        "right side then left": _("right side, then left side, from the top down"),
    }
    _check_order(key)
    return texts[key]


def order_of(laminae: LaminaSet, order: str, first_side: str = "L") -> tuple[str, ...]:
    """Return all slots in the order in which they are placed.

    Parameters
    ----------
    laminae : LaminaSet
        The slots of a provisional set are both sides of each pair of which it holds a lamina.
    order : str
        One of `ORDERS`.
    first_side : str
        ``"L"`` or ``"R"``: the side that comes first in a pair, where the order goes pair by pair.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If there is no such order or side.
    """
    _check_order(order)
    if first_side not in SIDES:
        raise ValueError(f"there is no side {first_side!r}")
    vertebrae = tuple(laminae.pairs())
    if order == "left side then right":
        return tuple(vertebra + side for side in "LR" for vertebra in vertebrae)
    if order == "right side then left":
        return tuple(vertebra + side for side in "RL" for vertebra in vertebrae)
    sides = "LR" if first_side == "L" else "RL"
    if order == "pairs up":
        vertebrae = vertebrae[::-1]
    return tuple(vertebra + side for vertebra in vertebrae for side in sides)


def next_to_place(laminae: LaminaSet, order: str, after: str | None, first_side: str = "L") -> str | None:
    """Return the next unset slot.

    Parameters
    ----------
    laminae : LaminaSet
    order : str
        One of `ORDERS`.
    after : str or None
        The slot that was worked on; the search goes on behind it and comes back to the start at the end of the order,
        so that a slot which is itself unset comes last. None, or a slot that the set no longer has, starts at the
        beginning.
    first_side : str
        See `order_of`.

    Returns
    -------
    str or None
        None if no slot is unset.
    """
    names = order_of(laminae, order, first_side)
    start = names.index(after) + 1 if after in names else 0
    for name in names[start:] + names[:start]:
        if _slot(laminae, name).review is Review.unset:
            return name
    return None


def review_queue(laminae: LaminaSet, doubtful_below: float = DOUBTFUL_BELOW) -> tuple[str, ...]:
    """Return the slots that need a person, those first where a person is needed most.

    Doubtful slots come before the certain ones: unset ones, inferred ones and those whose confidence is low or not
    known. Within each group the lumbar region comes first, then T7-T12, then T1-T6; within a region empty slots, then
    ascending confidence (an unknown one counts as 0), then anatomical order.

    Parameters
    ----------
    laminae : LaminaSet
        A provisional set has no regions: its pairs are all in one.
    doubtful_below : float
        0 to 1.

    Returns
    -------
    tuple of str
        Unset and unreviewed slots; without placed and absent ones.
    """
    waiting = [
        name
        for name in order_of(laminae, "pairs down")
        if _slot(laminae, name).review in (Review.unset, Review.unreviewed)
    ]
    return tuple(sorted(waiting, key=lambda name: _review_key(laminae, name, doubtful_below)))


def next_to_review(laminae: LaminaSet, after: str | None = None, doubtful_below: float = DOUBTFUL_BELOW) -> str | None:
    """Return the slot that comes after another in the review queue, and at its end the first again.

    Parameters
    ----------
    laminae : LaminaSet
    after : str or None
        The slot that was worked on. When it has left the queue, the search goes on where it stood: an accepted lamina
        keeps its source and confidence and so its place, one that a person placed or marked as absent stands where
        the empty slots of its region do. None, or a slot that the set no longer has, is the start.
    doubtful_below : float
        See `review_queue`.

    Returns
    -------
    str or None
        None if the queue is empty; `after` itself if only that is left.
    """
    queue = review_queue(laminae, doubtful_below)
    if not queue:
        return None
    if after is None or after not in order_of(laminae, "pairs down"):
        return queue[0]
    place = _review_key(laminae, after, doubtful_below)
    return next((name for name in queue if _review_key(laminae, name, doubtful_below) > place), queue[0])


def progress(laminae: LaminaSet) -> Progress:
    """Return how many slots are placed, absent, unreviewed and unset, in all and by region.

    Parameters
    ----------
    laminae : LaminaSet
        A provisional set counts both sides of each pair of which it holds a lamina.

    Returns
    -------
    Progress
    """
    names = order_of(laminae, "pairs down")
    by_region = {}
    if not laminae.is_provisional:
        for region in REGIONS:
            inside = [name for name in names if laminae.numbering.region(split_name(name)[0]) == region]
            by_region[region] = _counted(laminae, inside)
    return _counted(laminae, names, by_region)


def nudged(position: Sequence[float], direction: Sequence[float], ijk_to_ras: np.ndarray) -> tuple[float, float, float]:
    """Move a position by one voxel along the volume axis that is nearest to a direction.

    Parameters
    ----------
    position : 3 floats
        RAS mm.
    direction : 3 floats
        RAS, any length: where the arrow key points in the view. The axis is taken in this sense.
    ijk_to_ras : array_like, shape (4, 4)

    Returns
    -------
    (r, a, s)
        RAS mm.

    Raises
    ------
    ValueError
        If the direction has no length, or an axis of the volume has none.
    """
    steps = np.asarray(ijk_to_ras, float)[:3, :3]
    direction = np.asarray(direction, float)
    lengths = np.linalg.norm(steps, axis=0)
    if not np.linalg.norm(direction) > 0.0 or not (lengths > 0.0).all():
        raise ValueError("a nudge needs a direction and a volume whose axes have a length")
    along = direction @ steps / lengths
    axis = int(np.abs(along).argmax())
    moved = np.asarray(position, float) + np.sign(along[axis]) * steps[:, axis]
    return tuple(float(value) for value in moved)


def _check_order(order: str) -> None:
    if order not in ORDERS:
        raise ValueError(f"there is no order {order!r}; there are {', '.join(ORDERS)}")


def _slot(laminae: LaminaSet, name: str) -> Lamina:
    """Return a slot; a provisional set does not hold its empty ones."""
    return laminae.get(name) or Lamina(name)


def _review_key(laminae: LaminaSet, name: str, doubtful_below: float) -> tuple:
    """Return the sort key of the review queue, see `review_queue`; also for slots that have left it."""
    lamina = _slot(laminae, name)
    # What a person placed or marked as absent has no confidence: it stands among the empty slots, where it came from.
    by_person = lamina.review in (Review.placed, Review.absent) and lamina.confidence is None
    empty = lamina.position is None or by_person
    confidence = 0.0 if lamina.confidence is None else lamina.confidence
    doubtful = empty or lamina.is_suggested or lamina.confidence is None or confidence < doubtful_below
    region = 0
    if not laminae.is_provisional:
        region = _REVIEW_REGIONS.index(laminae.numbering.region(lamina.vertebra))
    return not doubtful, region, not empty, 0.0 if empty else confidence, name_key(name)


def _counted(laminae: LaminaSet, names: Sequence[str], by_region: dict[str, Progress] | None = None) -> Progress:
    reviews = [_slot(laminae, name).review for name in names]
    counts = {review.value: reviews.count(review) for review in Review}
    return Progress(total=len(reviews), **counts, by_region=by_region or {})
