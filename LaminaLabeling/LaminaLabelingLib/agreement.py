"""Agreement of two raters, or of a rater and a model: slot by slot in millimeters, and over a scan or a folder.

All positions are patient RAS mm: the caller transforms sets of scans whose files lie in another world.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import REGIONS, Numbering, is_provisional, name_key
from LaminaLabelingLib.consensus import consensus as consensus
from LaminaLabelingLib.consensus import resolve as resolve
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review
from LaminaLabelingLib.rater_statistics import (
    BlandAltman,
    bland_altman_of,
    icc_2_1,
    mean,
    percentile,
    standard_deviation,
)
from LaminaLabelingLib.tables import write_rows

STATES = ("both", "first only", "second only", "absent differs", "absent", "unset")
"""What two raters say of a slot: both have a position; only one has and the other has not decided; one has a position
and the other says absent; both say absent; neither has a position and at least one has not decided."""

QUANTITIES = ("R", "A", "S", "tilt")
"""What is compared: the coordinates in mm, and the coronal tilt of each pair in degrees."""

CSV_COLUMNS = (
    *("scan", "name", "state", "distance_mm", "dr_mm", "da_mm", "ds_mm"),
    *("first_review", "first_r_mm", "first_a_mm", "first_s_mm"),
    *("second_review", "second_r_mm", "second_a_mm", "second_s_mm"),
)
"""Header of the table that `write_agreement_csv` writes."""

# Has every vertebra that can be named.
_WIDEST = Numbering(13, 6)


@dataclass(frozen=True)
class SlotDifference:
    """One slot as two raters see it.

    Attributes
    ----------
    name : str
    distance_mm : float
        NaN unless both have a position.
    difference : tuple of 3 floats, or None
        R, A and S in mm, the second less the first.
    state : str
        One of `STATES`.
    first, second : Lamina
        Unset where a rater's list does not have the slot.
    scan : str
        Name of the scan where several are pooled.
    """

    name: str
    distance_mm: float
    difference: tuple[float, float, float] | None
    state: str
    first: Lamina
    second: Lamina
    scan: str = ""

    @property
    def one_sided(self) -> bool:
        """Whether only one of the two has a position."""
        return (self.first.position is None) != (self.second.position is None)


@dataclass(frozen=True)
class Agreement:
    """How two raters agree, over the slots of one scan or of several.

    Every figure of nothing is NaN: means of no slot, deviations of fewer than two.

    Attributes
    ----------
    differences : tuple of SlotDifference
        In anatomical order, scan after scan.
    notes : tuple of str
        What the user should know about the comparison.
    """

    differences: tuple[SlotDifference, ...]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of slots in which both have a position."""
        return len(self._both)

    @property
    def mean_mm(self) -> float:
        """Mean distance."""
        return mean(self._distances)

    @property
    def sd_mm(self) -> float:
        """Standard deviation of the distances, with n - 1."""
        return standard_deviation(self._distances)

    @property
    def median_mm(self) -> float:
        """Median distance."""
        return percentile(self._distances, 50)

    @property
    def p95_mm(self) -> float:
        """95th percentile of the distances, interpolated linearly."""
        return percentile(self._distances, 95)

    @property
    def max_mm(self) -> float:
        """Largest distance."""
        return percentile(self._distances, 100)

    @property
    def first_only(self) -> tuple[str, ...]:
        """Slots in which only the first has a position, also where the second says absent."""
        return tuple(slot.name for slot in self.differences if slot.one_sided and slot.first.position is not None)

    @property
    def second_only(self) -> tuple[str, ...]:
        """Slots in which only the second has a position, also where the first says absent."""
        return tuple(slot.name for slot in self.differences if slot.one_sided and slot.second.position is not None)

    def worst(self, count: int | None = None) -> tuple[SlotDifference, ...]:
        """Return the slots that are worth a look, worst first.

        Parameters
        ----------
        count : int or None
            At most so many; None returns all in which at least one has a position.

        Returns
        -------
        tuple of SlotDifference
            Those that only one has in anatomical order, then by descending distance.
        """
        one_sided = [slot for slot in self.differences if slot.one_sided]
        by_distance = sorted(self._both, key=lambda slot: -slot.distance_mm)
        return tuple([*one_sided, *by_distance][:count])

    @cached_property
    def by_region(self) -> "dict[str, Agreement]":
        """The same for the slots of each of `REGIONS`; slots without a vertebra's number count to none."""
        numbered = [slot for slot in self.differences if not is_provisional(slot.name)]
        return {
            region: Agreement(tuple(slot for slot in numbered if _WIDEST.region(slot.first.vertebra) == region))
            for region in REGIONS
        }

    @cached_property
    def icc(self) -> dict[str, float]:
        """ICC(2,1) of each of `QUANTITIES`.

        Laminae spread over half a meter along the spine, so that of ``"S"`` is close to 1 in any case: it says that
        both labeled the same levels. That of ``"tilt"`` says whether they would measure the same curve.
        """
        return {quantity: icc_2_1(self._ratings(quantity)[1]) for quantity in QUANTITIES}

    def bland_altman(self, quantity: str) -> BlandAltman:
        """Return the Bland-Altman figures of one of `QUANTITIES`.

        Parameters
        ----------
        quantity : str
            The coordinates are compared for each lamina that both have, the tilt for each pair that both have.

        Returns
        -------
        BlandAltman

        Raises
        ------
        ValueError
            If there is no such quantity.
        """
        if quantity not in QUANTITIES:
            raise ValueError(f"no quantity {quantity!r}: it is one of {QUANTITIES}")
        keys, ratings = self._ratings(quantity)
        return bland_altman_of([name for _scan, name in keys], ratings, [scan for scan, _name in keys])

    @cached_property
    def _both(self) -> tuple[SlotDifference, ...]:
        return tuple(slot for slot in self.differences if slot.difference is not None)

    @property
    def _distances(self) -> np.ndarray:
        return np.array([slot.distance_mm for slot in self._both])

    def _ratings(self, quantity: str) -> tuple[list[tuple[str, str]], np.ndarray]:
        """Return scan and name of what both measured, and its two values, shape (N, 2)."""
        if quantity == "tilt":
            tilts = self._tilts()
            return list(tilts), np.array(list(tilts.values())).reshape(-1, 2)
        axis = QUANTITIES.index(quantity)
        values = [(slot.first.position[axis], slot.second.position[axis]) for slot in self._both]
        return [(slot.scan, slot.name) for slot in self._both], np.array(values).reshape(-1, 2)

    def _tilts(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Return the tilt of each pair that is complete for both, by scan and vertebra."""
        slots = {(slot.scan, slot.name): slot for slot in self._both}
        tilts = {}
        for (scan, _name), left in slots.items():
            right = slots.get((scan, left.first.vertebra + "R"))
            if left.first.side == "R" or right is None:
                continue
            first = coronal_tilt(left.first.position, right.first.position)
            second = coronal_tilt(left.second.position, right.second.position)
            if np.isfinite(first) and np.isfinite(second):
                # 179 and -179 degrees differ by 2, not by 358.
                tilts[scan, left.first.vertebra] = (first, first + math.remainder(second - first, 360.0))
        return tilts


def coronal_tilt(left: Iterable[float], right: Iterable[float]) -> float:
    """Return the coronal tilt of a pair of laminae (METHOD section 7).

    Parameters
    ----------
    left, right : 3 floats each
        Patient RAS mm.

    Returns
    -------
    float
        Degrees, positive when the right lamina lies higher; NaN if the two lie in one place as seen from behind.

    Examples
    --------
    >>> coronal_tilt((-10, 0, 100), (10, 5, 120))
    45.0
    """
    across, _along_depth, up = np.subtract(tuple(right), tuple(left))
    return float(np.degrees(np.arctan2(up, across))) if across or up else float("nan")


def compare(first: LaminaSet, second: LaminaSet, scan: str = "") -> Agreement:
    """Compare two sets of laminae of one scan, slot by slot by name.

    Parameters
    ----------
    first, second : LaminaSet
        Patient RAS mm. Both numbered, perhaps differently, or both provisional.
    scan : str
        Name of the scan, for `pool`.

    Returns
    -------
    Agreement
        Over the slots of both; differing numberings are mentioned in its notes.

    Raises
    ------
    LaminaError
        If one set is numbered and the other provisional.
    """
    if first.is_provisional != second.is_provisional:
        raise LaminaError(
            _(
                "A list with numbered vertebrae cannot be compared with one without numbers: say of one pair of the "
                "latter which vertebra it is."
            )
        )
    names = sorted({*first, *second}, key=name_key)
    differences = tuple(
        _difference(first.get(name) or Lamina(name), second.get(name) or Lamina(name), scan) for name in names
    )
    return Agreement(differences, _notes(first, second))


def pool(agreements: Iterable[Agreement]) -> Agreement:
    """Return the agreement over several scans, such as those of a folder.

    Every figure is taken over all slots of all scans, so a scan with more laminae counts more.

    Parameters
    ----------
    agreements : iterable of Agreement
        With the scans' names, see `compare`.

    Returns
    -------
    Agreement
        Each note once.

    Raises
    ------
    ValueError
        If two of them have a slot of the same scan.
    """
    agreements = list(agreements)
    differences = tuple(slot for agreement in agreements for slot in agreement.differences)
    if len({(slot.scan, slot.name) for slot in differences}) < len(differences):
        raise ValueError("agreements are pooled by the names of their scans, which must differ")
    notes = dict.fromkeys(note for agreement in agreements for note in agreement.notes)
    return Agreement(differences, tuple(notes))


def state_text(state: str) -> str:
    """Return one of `STATES` in the user's language."""
    return {
        "both": _("both"),
        "first only": _("first only"),
        "second only": _("second only"),
        "absent differs": _("absent for one"),
        "absent": _("absent for both"),
        "unset": _("not placed"),
    }[state]


def write_agreement_csv(agreement: Agreement, path: str | Path) -> None:
    """Write an agreement as a table, one row for each slot, with the columns `CSV_COLUMNS` and all digits.

    Parameters
    ----------
    agreement : Agreement
    path : str or Path

    Raises
    ------
    LaminaError
        If the file cannot be written.
    """
    rows = []
    for slot in agreement.differences:
        distance = "" if slot.difference is None else slot.distance_mm
        row = [slot.scan, slot.name, slot.state, distance, *(slot.difference or ("",) * 3)]
        for lamina in (slot.first, slot.second):
            row += [lamina.review, *(lamina.position or ("",) * 3)]
        rows.append(row)
    write_rows(CSV_COLUMNS, rows, path)


def _difference(first: Lamina, second: Lamina, scan: str) -> SlotDifference:
    if first.position is None or second.position is None:
        return SlotDifference(first.name, float("nan"), None, _state(first, second), first, second, scan)
    difference = tuple(np.subtract(second.position, first.position).tolist())
    return SlotDifference(
        first.name, float(np.linalg.norm(difference)), difference, _state(first, second), first, second, scan
    )


def _state(first: Lamina, second: Lamina) -> str:
    """Return which of `STATES` two laminae are in."""
    if first.position is not None and second.position is not None:
        return "both"
    if first.position is None and second.position is None:
        return "absent" if first.review is second.review is Review.absent else "unset"
    if Review.absent in (first.review, second.review):
        return "absent differs"
    return "first only" if second.position is None else "second only"


def _notes(first: LaminaSet, second: LaminaSet) -> tuple[str, ...]:
    if first.is_provisional:
        return (_("The pairs have no vertebra numbers: they are compared as counted from the top of each list."),)
    if first.numbering == second.numbering:
        return ()
    text = _(
        "The lists count vertebrae differently, {first_thoracic} thoracic and {first_lumbar} lumbar ones in the first "
        "and {second_thoracic} and {second_lumbar} in the second: they are compared by name, and a slot that only one "
        "of them has is not placed in the other."
    )
    return (
        text.format(
            first_thoracic=first.numbering.thoracic,
            first_lumbar=first.numbering.lumbar,
            second_thoracic=second.numbering.thoracic,
            second_lumbar=second.numbering.lumbar,
        ),
    )
