"""One lamina: a position, what a person has decided about it, where it comes from, and how certain it is."""

import math
from dataclasses import dataclass
from enum import StrEnum

from LaminaLabelingLib.anatomy import split_name
from LaminaLabelingLib.i18n import tr as _


class _Choice(StrEnum):
    """A fixed choice of words, as files have them."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        # Python's own sentence, in the user's language: a word that a file has wrong is shown to the user.
        raise ValueError(_("{value} is not a valid {kind}").format(value=repr(value), kind=cls.__name__))


class Review(_Choice):
    """What a person has decided about a lamina."""

    unset = "unset"
    """Nothing yet: no position."""
    unreviewed = "unreviewed"
    """It has a position that nobody has confirmed."""
    placed = "placed"
    """It has a position that a person placed or confirmed."""
    absent = "absent"
    """A person said that it is not in this scan: no position."""


class Source(_Choice):
    """Where a position comes from."""

    detected = "detected"
    """The network saw it."""
    inferred = "inferred"
    """Filled in from the neighbors; shown and written as "suggested", and it counts less in a measurement."""
    manual = "manual"
    """A person placed it."""


@dataclass(frozen=True)
class Lamina:
    """One lamina.

    Parameters
    ----------
    name : str
        Such as ``"T6R"``, or provisional, ``"P03L"``.
    position : sequence of 3 floats or None
        RAS millimeters in the world of the scan's file. Kept as a tuple.
    review : Review or str
    source : Source or str or None
        Required with a position; an unset lamina has none.
    confidence : float or None
        0 to 1; only with a position.

    Raises
    ------
    LaminaError
        If the name is not a lamina's name.
    ValueError
        If the fields contradict each other: an unset or absent lamina with a position, a placed or unreviewed one
        without, a coordinate that is not finite, a confidence outside 0 to 1.
    """

    name: str
    position: tuple[float, float, float] | None = None
    review: Review = Review.unset
    source: Source | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        split_name(self.name)
        # The dataclass is frozen, and callers hand in arrays, strings and NumPy scalars: normalize them once, here.
        object.__setattr__(self, "review", Review(self.review))
        object.__setattr__(self, "source", None if self.source is None else Source(self.source))
        if self.position is not None:
            position = tuple(float(value) for value in self.position)
            if len(position) != 3 or not all(math.isfinite(value) for value in position):
                raise ValueError(
                    _("{name}: a position is three finite numbers, not {position}").format(
                        name=self.name, position=position
                    )
                )
            object.__setattr__(self, "position", position)
        if self.confidence is not None:
            object.__setattr__(self, "confidence", float(self.confidence))
            if not 0.0 <= self.confidence <= 1.0:
                raise ValueError(
                    _("{name}: the confidence {confidence} is not between 0 and 1").format(
                        name=self.name, confidence=self.confidence
                    )
                )
        self._check_consistency()

    def _check_consistency(self) -> None:
        # The sentences go through `_` because a file that contradicts itself is shown to the user with them.
        if self.review in (Review.unreviewed, Review.placed):
            if self.position is None:
                raise ValueError(
                    _("{name}: a lamina that is {review} needs a position").format(name=self.name, review=self.review)
                )
            if self.source is None:
                raise ValueError(
                    _("{name}: a lamina that is {review} needs a source").format(name=self.name, review=self.review)
                )
            return
        if self.position is not None or self.confidence is not None:
            raise ValueError(
                _("{name}: a lamina that is {review} has neither position nor confidence").format(
                    name=self.name, review=self.review
                )
            )
        if self.review is Review.unset and self.source is not None:
            raise ValueError(_("{name}: a lamina that is unset has no source").format(name=self.name))

    @property
    def vertebra(self) -> str:
        """The vertebra's name, ``"T6"`` for ``T6R``."""
        return split_name(self.name)[0]

    @property
    def side(self) -> str:
        """The patient's side, ``"L"`` or ``"R"``."""
        return split_name(self.name)[1]

    @property
    def is_suggested(self) -> bool:
        """Whether the position was inferred, not seen and not placed by a person."""
        return self.source is Source.inferred
