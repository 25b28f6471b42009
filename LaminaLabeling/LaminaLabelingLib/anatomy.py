"""The vertebrae and laminae that can be named, their regions and their order.

A lamina is named by its vertebra and the patient's side: ``T1L`` is the left lamina of the first thoracic vertebra.
Pairs whose vertebra is not known yet are provisional: ``P01L``, ``P01R``, ``P02L``, ... counted from the top.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _

THORACIC = tuple(f"T{number}" for number in range(1, 13))
LUMBAR = tuple(f"L{number}" for number in range(1, 6))
VERTEBRAE = THORACIC + LUMBAR
SIDES = ("L", "R")
SLOTS = tuple(vertebra + side for vertebra in VERTEBRAE for side in SIDES)

REGIONS = {"T1-T6": THORACIC[:6], "T7-T12": THORACIC[6:], "L1-L5": LUMBAR}
"""The regions in which results are reported (METHOD section 5), for the usual numbering."""

_NAME = re.compile(r"(?P<vertebra>T(?:[1-9]|1[0-3])|L[1-6]|P(?!0+[LR])[0-9]{2,4})(?P<side>[LR])")


@dataclass(frozen=True)
class Numbering:
    """How many thoracic and lumbar vertebrae the patient has.

    Parameters
    ----------
    thoracic : int
        11, 12 or 13.
    lumbar : int
        4, 5 or 6.

    Raises
    ------
    LaminaError
        If a count is outside these ranges.
    """

    thoracic: int = 12
    lumbar: int = 5

    def __post_init__(self) -> None:
        if self.thoracic not in (11, 12, 13) or self.lumbar not in (4, 5, 6):
            raise LaminaError(
                _(
                    "{thoracic} thoracic and {lumbar} lumbar vertebrae cannot be numbered: give 11 to 13 thoracic and "
                    "4 to 6 lumbar ones."
                ).format(thoracic=self.thoracic, lumbar=self.lumbar)
            )

    @property
    def vertebrae(self) -> tuple[str, ...]:
        """Names of the vertebrae from the top down, ``T1`` first."""
        return tuple(f"T{number}" for number in range(1, self.thoracic + 1)) + tuple(
            f"L{number}" for number in range(1, self.lumbar + 1)
        )

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the laminae from the top down, left before right."""
        return tuple(vertebra + side for vertebra in self.vertebrae for side in SIDES)

    def region(self, vertebra: str) -> str:
        """Return the key of `REGIONS` to which a vertebra counts.

        T13 counts to ``T7-T12`` and L6 to ``L1-L5``, so that every numbering reports the same three regions.

        Parameters
        ----------
        vertebra : str
            A vertebra of this numbering, such as ``"T6"``.

        Returns
        -------
        str

        Raises
        ------
        LaminaError
            If the vertebra does not exist in this numbering.
        """
        if vertebra not in self.vertebrae:
            raise LaminaError(
                _('There is no vertebra "{vertebra}" here: it goes from T1 to T{thoracic} and L1 to L{lumbar}.').format(
                    vertebra=vertebra, thoracic=self.thoracic, lumbar=self.lumbar
                )
            )
        if vertebra.startswith("L"):
            return "L1-L5"
        return "T1-T6" if int(vertebra[1:]) <= 6 else "T7-T12"

    @classmethod
    def of(cls, names: Iterable[str]) -> "Numbering":
        """Deduce the numbering from the lamina names of a list.

        A list that holds exactly the slots of one numbering has that numbering. Any other list is taken as an
        incomplete one: 12 and 5 unless it names T13 or L6, because a missing T12 or L5 then means nothing.

        Parameters
        ----------
        names : iterable of str
            Lamina names; provisional names say nothing and are ignored.

        Returns
        -------
        Numbering
        """
        named = {name for name in names if not is_provisional(name)}
        for thoracic in (11, 12, 13):
            for lumbar in (4, 5, 6):
                numbering = cls(thoracic, lumbar)
                if named == set(numbering.slots):
                    return numbering
        vertebrae = {split_name(name)[0] for name in named}
        return cls(13 if "T13" in vertebrae else 12, 6 if "L6" in vertebrae else 5)


def split_name(name: str) -> tuple[str, str]:
    """Split a lamina's name into vertebra and side.

    Parameters
    ----------
    name : str
        Such as ``"T6R"`` or the provisional ``"P03L"``.

    Returns
    -------
    vertebra : str
        ``"T6"``, ``"P03"``.
    side : str
        ``"L"`` or ``"R"``, the patient's.

    Raises
    ------
    LaminaError
        If it is not a lamina's name.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise LaminaError(
            _(
                "{name} is not the name of a lamina: use T1 to T13 or L1 to L6 followed by L or R, such as T6R, "
                "or P01L, P01R, P02L and so on for vertebrae that are not numbered yet."
            ).format(name=f'"{name}"')
        )
    return match["vertebra"], match["side"]


def is_name(name: str) -> bool:
    """Return whether a text is the name of a lamina, provisional ones included."""
    return _NAME.fullmatch(name) is not None


def is_provisional(name: str) -> bool:
    """Return whether a lamina's name is provisional, such as ``P03L``; False for any text that is not a name."""
    return name.startswith("P") and is_name(name)


def opposite(name: str) -> str:
    """Return the name of the lamina on the other side of the same vertebra: ``T6L`` for ``T6R``.

    Raises
    ------
    LaminaError
        If it is not a lamina's name.
    """
    vertebra, side = split_name(name)
    return vertebra + ("R" if side == "L" else "L")


def provisional_name(index: int, side: str) -> str:
    """Return the provisional name of a lamina.

    Parameters
    ----------
    index : int
        Number of the pair, counted from 0 at the top.
    side : str
        ``"L"`` or ``"R"``.

    Returns
    -------
    str
        ``"P01L"`` for index 0 on the left.

    Raises
    ------
    ValueError
        If the index is negative or above 9998, or the side is neither of the two.
    """
    name = f"P{index + 1:02d}{side}"
    if not 0 <= index < 9999 or side not in SIDES:
        raise ValueError(f"no provisional name for index {index} and side {side!r}")
    return name


def name_key(name: str) -> tuple[int, int, int]:
    """Return the sort key that puts names in anatomical order: top down, left before right, provisional ones last.

    Use it as ``sorted(names, key=name_key)``.

    Raises
    ------
    LaminaError
        If it is not a lamina's name.
    """
    vertebra, side = split_name(name)
    return "TLP".index(vertebra[0]), int(vertebra[1:]), SIDES.index(side)
