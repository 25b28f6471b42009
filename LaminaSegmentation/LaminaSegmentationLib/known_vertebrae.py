"""What a person knows of the vertebrae in a scan, and how it is given on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from LaminaLabelingLib.anatomy import Numbering, is_name
from LaminaLabelingLib.errors import LaminaError

_ANCHOR = re.compile(r"\s*([TL][0-9]{1,2})\s*[=:]\s*([^,]+),([^,]+),([^,]+)")


@dataclass(frozen=True)
class Anchor:
    """A vertebra that a person knows: its name, and a point on it or beside it in RAS mm."""

    vertebra: str
    position: tuple[float, float, float]


@dataclass(frozen=True)
class Known:
    """What a person knows of the vertebrae in a scan.

    Attributes
    ----------
    numbering : Numbering
        How many thoracic and lumbar vertebrae the patient has.
    anchor : Anchor or None
    absent : tuple of str
        Vertebrae or laminae that the scan does not show, or that the patient lacks: ``"T1"``, ``"L5R"``.
    """

    numbering: Numbering = field(default_factory=Numbering)
    anchor: Anchor | None = None
    absent: tuple[str, ...] = ()


def parse_known(vertebrae: str, anchor: str | None, absent: str | None) -> Known:
    """Read the options ``--vertebrae``, ``--anchor`` and ``--absent`` of ``lamina segment``.

    Parameters
    ----------
    vertebrae : str
        Thoracic and lumbar ones, ``"12,5"``.
    anchor : str or None
        ``"T12=R,A,S"``, in mm.
    absent : str or None
        Names, divided by commas.

    Returns
    -------
    Known

    Raises
    ------
    LaminaError
        If one of them cannot be read, or names what the numbering does not have.
    """
    try:
        thoracic, lumbar = (int(part) for part in vertebrae.split(","))
    except ValueError:
        raise LaminaError(
            f"--vertebrae is '{vertebrae}'; give the numbers of thoracic and lumbar vertebrae, such as 12,5."
        ) from None
    numbering = Numbering(thoracic, lumbar)
    names = tuple(part.strip().upper() for part in (absent or "").split(",") if part.strip())
    for name in names:
        if name not in numbering.vertebrae and name not in numbering.slots:
            raise LaminaError(
                f"--absent names '{name}'; give vertebrae or laminae of T1 to T{thoracic} and L1 to L{lumbar}, such as "
                "T1,L5R."
            )
    if anchor is None:
        return Known(numbering, None, names)
    found = _ANCHOR.fullmatch(anchor.upper())
    try:
        position = tuple(float(part) for part in found.groups()[1:]) if found else ()
    except ValueError:
        position = ()
    if not position:
        raise LaminaError(
            f"--anchor is '{anchor}'; give a vertebra and a point on it in RAS mm, such as T12=4.5,-20,110."
        )
    if found[1] not in numbering.vertebrae:
        raise LaminaError(f"--anchor names '{found[1]}'; give one of T1 to T{thoracic} and L1 to L{lumbar}.")
    return Known(numbering, Anchor(found[1], position), names)


def vertebra_and_sides(name: str) -> tuple[str, str]:
    """Return the vertebra that a name means and its sides: ``("L5", "R")`` of L5R, ``("L5", "LR")`` of L5."""
    return (name[:-1], name[-1]) if is_name(name) else (name, "LR")
