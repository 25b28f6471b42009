"""From the network's probability map to named laminae: the spine is fitted as a whole (METHOD section 6).

Candidates are the map's peaks (`candidates`); the row of levels that explains them best is found by dynamic programming
(`spine_chain`); each lamina is then judged by all others (`spine_fit`). What that knows of spines and of the model
comes with the model (`calibration`). Here the result gets its names, and each decision a phrase.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from LaminaLabelingLib.anatomy import Numbering, provisional_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.volumes import Volume

from .calibration import Calibration
from .candidates import Candidate, by_column, find_candidates, from_column, place_by_column, scanned_range
from .known_vertebrae import Anchor, Known, vertebra_and_sides
from .spine_chain import Row, find_row
from .spine_fit import Slot, fit_spine

# A guess that is less probable than this helps nobody.
_LEAST_CONFIDENCE = 0.25
# What an unreliable result may claim at most.
_UNRELIABLE_CONFIDENCE = 0.4
# Logarithm of how much better the count must be than any other before levels are named by it.
_CERTAIN = 3.0
# From T1 to L5 the spacing nearly doubles (METHOD section 8): the last gaps are at least this much wider.
_GROWTH, _END_GAPS = 1.15, 5
_UPSIDE_DOWN = "the scan may be upside down, and then left and right are swapped: check its axes"
_FEWEST_SEEN, _SHARE_SEEN, _SHARE_PAIRED = 6, 0.6, 0.4
_STRONG, _MOST_STRONG, _SHARE_STRONG = 0.5, 4, 0.25
_SAME_LAMINA_MM = 8.0
_ON_MIDLINE_MM, _BESIDE_MM = 1.5, 24.0


@dataclass(frozen=True)
class Localization:
    """The laminae of a scan.

    Attributes
    ----------
    laminae : LaminaSet
        Named when the count or an anchor allows it, else provisional. Every one ``unreviewed``; ``detected`` where the
        map exceeds the model's threshold, else ``inferred``; its confidence is the probability that it lies within 5 mm
        of the true lamina.
    candidates : tuple of Candidate
    rejected : tuple of (Candidate, str)
        Candidates above the threshold that were left out, with the reason in one phrase.
    suggested : dict of str to str
        Why each inferred lamina is where it is, in one phrase, by name.
    reliable : bool
        False when what was found is not one spine; ``notes`` says why.
    notes : tuple of str
        Sentences for the user.
    """

    laminae: LaminaSet
    candidates: tuple[Candidate, ...]
    rejected: tuple[tuple[Candidate, str], ...]
    notes: tuple[str, ...]
    suggested: Mapping[str, str] = field(default_factory=dict)
    reliable: bool = True


def localize(
    probability: np.ndarray,
    grid: Volume,
    column_ras: np.ndarray,
    threshold: float = 0.5,
    minimum_voxels: int = 3,
    calibration: Calibration | None = None,
    known: Known | None = None,
) -> Localization:
    """Turn a probability map into laminae with sides, pairs and, when the count or an anchor allows it, names.

    Parameters
    ----------
    probability : float array of the grid's shape
    grid : Volume
        The network's input: maps grid indices to RAS; exactly 0 where nothing was scanned.
    column_ras : (N, 3) array
        The spinous process column, RAS mm, superior to inferior.
    threshold : float
        Probability from which a lamina counts as detected.
    minimum_voxels : int
        Smaller candidates are speckle.
    calibration : Calibration, optional
        What comes with the model; published proportions when left out.
    known : Known, optional
        What a person knows of the vertebrae.

    Returns
    -------
    Localization

    Raises
    ------
    LaminaError
        If the anchor or an absent name does not exist in the numbering, or the anchor lies outside the scan.
    """
    calibration, known = calibration or Calibration(), known or Known()
    numbering = known.numbering
    scanned = scanned_range(grid, column_ras)
    placed = place_by_column(find_candidates(probability, grid, minimum_voxels=minimum_voxels), grid, column_ras)
    placed = sorted(placed, key=lambda candidate: (*candidate.place, *candidate.index))
    inside = [candidate for candidate in placed if scanned[0] < candidate.along < scanned[1]]
    missing = _absent(known.absent, numbering)
    anchor = _anchored(known.anchor, numbering, grid, column_ras, scanned)
    shape = calibration.shape.of(numbering)
    row = find_row(inside, shape, calibration.evidence, scanned, anchor, _absent_ends(missing, numbering))
    slots: list[Slot] = []
    if row is not None:
        row = _shifted(row, numbering, missing) if anchor is None else row
        slots = fit_spine(row, inside, shape, calibration.evidence, frozenset(missing))
        if anchor is not None:  # what lies beyond T1 and L5 has no name
            slots = [slot for slot in slots if 1 <= slot.level <= len(numbering.vertebrae)]
    found = _Found(slots, inside, row, numbering, threshold, probability, missing)
    doubt = found.doubt()
    reason = "" if anchor is not None and row else found.why_unnamed(doubt)
    laminae, suggested = _laminae(found, grid, column_ras, not reason, bool(doubt), missing)
    return Localization(
        laminae,
        tuple(placed),
        tuple(_rejected(found, placed, inside)),
        tuple(_notes(found, doubt, reason)),
        suggested,
        not doubt,
    )


def _absent(names: Collection[str], numbering: Numbering) -> set[tuple[int, str]]:
    """Return level and side of each absent lamina."""
    result = set()
    for name in names:
        vertebra, sides = vertebra_and_sides(name)
        if vertebra not in numbering.vertebrae:
            raise LaminaError(
                f"'{name}' cannot be absent: there is no such vertebra or lamina from T1 to T{numbering.thoracic} and "
                f"L1 to L{numbering.lumbar}."
            )
        result |= {(numbering.vertebrae.index(vertebra) + 1, side) for side in sides}
    return result


def _absent_ends(missing: set[tuple[int, str]], numbering: Numbering) -> frozenset[int]:
    """Return the levels at the ends that show nothing, because both their laminae are absent."""
    count = len(numbering.vertebrae)
    both = {level for level in range(1, count + 1) if {(level, "L"), (level, "R")} <= missing}
    ends = set()
    for levels in (range(1, count + 1), range(count, 0, -1)):
        for level in levels:
            if level not in both:
                break
            ends.add(level)
    return frozenset(ends)


def _anchored(
    anchor: Anchor | None, numbering: Numbering, grid: Volume, column_ras, scanned
) -> tuple[int, float] | None:
    if anchor is None:
        return None
    if anchor.vertebra not in numbering.vertebrae:
        raise LaminaError(
            f"'{anchor.vertebra}' cannot be the known vertebra: there is none from T1 to T{numbering.thoracic} and L1 "
            f"to L{numbering.lumbar}."
        )
    along = by_column(grid.to_index(np.array([anchor.position], float)), grid, column_ras)[0, 0]
    if not scanned[0] <= along <= scanned[1]:
        raise LaminaError(f"The point given for {anchor.vertebra} does not lie in the scan: check its coordinates.")
    return numbering.vertebrae.index(anchor.vertebra) + 1, float(along)


def _shifted(row: Row, numbering: Numbering, missing) -> Row:
    """Return a row that shows as many levels as the patient has with its first level first: the count names it."""
    ends = _absent_ends(missing, numbering)
    shown = [level for level in range(1, len(numbering.vertebrae) + 1) if level not in ends]
    by = (shown[0] if shown else 1) - row.first
    if row.count != len(shown) or not by:
        return row
    levels = tuple((level + by, left, right) for level, left, right in row.levels)
    return replace(row, levels=levels, first=row.first + by, last=row.last + by)


@dataclass(frozen=True)
class _Found:
    slots: Sequence[Slot]
    candidates: Sequence[Candidate]
    row: Row | None
    numbering: Numbering
    threshold: float
    probability: np.ndarray
    missing: Collection[tuple[int, str]]

    def is_detected(self, candidate: Candidate) -> bool:
        """Whether the map exceeds the threshold at a candidate."""
        low = np.maximum(np.floor(candidate.index).astype(int) - 1, 0)
        return bool(self.probability[tuple(slice(a, a + 4) for a in low)].max() >= self.threshold)

    @property
    def seen(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.candidate >= 0]

    def doubt(self) -> str:
        """Return why what was found cannot be trusted to be one spine, or an empty string."""
        if self.row is None or not self.slots:
            return ""
        seen = self.seen
        levels = [slot.level for slot in seen]
        paired = sum(levels.count(level) == 2 for level in set(levels))
        used = {slot.candidate for slot in seen}
        strong = sum(c.confidence >= _STRONG for number, c in enumerate(self.candidates) if number not in used)
        if self.growth() < 1.0 / _GROWTH:
            return f"the spacing of the levels shrinks downwards; {_UPSIDE_DOWN}"
        if len(seen) < _FEWEST_SEEN:
            return "1 lamina was seen" if len(seen) == 1 else f"{len(seen)} laminae were seen"
        if strong > max(_MOST_STRONG, _SHARE_STRONG * len(seen)):
            return (
                f"{strong} strong echoes belong to no lamina of this spine; there may be more than one spine in the "
                "scan, or the spinous process column is wrong"
            )
        if len(seen) < _SHARE_SEEN * len(self.slots):
            return f"{len(seen)} laminae were seen where {len(self.slots)} are expected"
        if paired < _SHARE_PAIRED * self.row.count:
            return f"{paired} of {self.row.count} levels show both laminae"
        return ""

    def why_unnamed(self, doubt: str) -> str:
        """Return why the levels cannot be named by their number, or an empty string when they can."""
        if self.row is None or not self.slots:
            return "no lamina was found"
        if doubt:
            return "the result is not reliable"
        expected = len(self.numbering.vertebrae) - len(_absent_ends(set(self.missing), self.numbering))
        seen = len({slot.level for slot in self.seen})
        if self.row.count != expected:
            found = "1 level was" if seen == 1 else f"{seen} levels were"
            return f"{found} found where a whole spine has {expected}"
        if self.row.score - self.row.rival < _CERTAIN:
            return "it is not certain how many levels the scan shows"
        if self.growth() < _GROWTH:
            return f"their spacing does not grow downwards as it does in a spine; {_UPSIDE_DOWN}"
        return ""

    def growth(self) -> float:
        """Return how many times wider the last gaps between levels are than the first ones; 1 for a few levels."""
        levels = sorted({slot.level for slot in self.seen})
        if len(levels) < 2 * _END_GAPS:
            return 1.0
        along = [np.mean([slot.place[0] for slot in self.seen if slot.level == level]) for level in levels]
        gaps = np.diff(along) / np.diff(levels)
        return float(gaps[-_END_GAPS:].mean() / gaps[:_END_GAPS].mean())


def _laminae(found: _Found, grid: Volume, column_ras, named: bool, doubtful: bool, missing):
    """Return the laminae and why each suggested one is where it is."""
    numbering, vertebrae = found.numbering, found.numbering.vertebrae
    shown = sorted({slot.level for slot in found.slots if slot.candidate >= 0 or not doubtful})
    partners = {(slot.level, slot.side) for slot in found.seen}
    laminae: list[Lamina] = []
    suggested: dict[str, str] = {}
    for slot in found.slots:
        candidate = found.candidates[slot.candidate] if slot.candidate >= 0 else None
        detected = candidate is not None and found.is_detected(candidate)
        if not detected and (doubtful or slot.confidence < _LEAST_CONFIDENCE):
            continue
        name = vertebrae[slot.level - 1] + slot.side if named else provisional_name(shown.index(slot.level), slot.side)
        if candidate is not None:
            position = candidate.position
        else:
            position = grid.to_world(from_column(slot.place[None], grid, column_ras))[0]
        confidence = min(slot.confidence, _UNRELIABLE_CONFIDENCE) if doubtful else slot.confidence
        source = Source.detected if detected else Source.inferred
        if not detected:
            suggested[name] = _why_suggested(slot, partners)
        laminae.append(Lamina(name, tuple(position), Review.unreviewed, source, round(confidence, 4)))
    if not named:
        return LaminaSet.provisional(laminae), suggested
    absent = [Lamina(vertebrae[level - 1] + side, review=Review.absent) for level, side in missing]
    return LaminaSet(numbering, [*laminae, *absent]), suggested


def _why_suggested(slot: Slot, partners: set[tuple[int, str]]) -> str:
    if slot.candidate >= 0:
        return "a faint echo where its neighbors expect it"
    if (slot.level, "R" if slot.side == "L" else "L") in partners:
        return "no echo; placed by its partner and its neighbors"
    return "no echo of the level; placed by the levels around it"


def _rejected(found: _Found, placed: Sequence[Candidate], inside: Sequence[Candidate]):
    """Yield the candidates above the threshold that were left out, and why."""
    used = {id(found.candidates[slot.candidate]) for slot in found.seen}
    within = {id(candidate) for candidate in inside}
    size = found.row.size if found.row is not None else 1.0
    for candidate in placed:
        if id(candidate) not in used and found.is_detected(candidate):
            yield (
                candidate,
                "outside the scan" if id(candidate) not in within else _why_rejected(candidate, found, size),
            )


def _why_rejected(candidate: Candidate, found: _Found, size: float) -> str:
    if abs(candidate.lateral) < _ON_MIDLINE_MM:
        return "on the midline"
    if abs(candidate.lateral) > _BESIDE_MM * size:
        return "too far beside the midline"
    near = [slot for slot in found.seen if slot.side == candidate.side]
    if any(abs(slot.place[0] - candidate.along) < _SAME_LAMINA_MM for slot in near):
        return "too close to a more certain lamina of the same side"
    side = [slot for slot in found.slots if slot.side == candidate.side]
    if not side:
        return "belongs to no level"
    nearest = min(side, key=lambda slot: float((((candidate.place - slot.predicted) / slot.spread) ** 2).sum()))
    away = (candidate.place - nearest.predicted) / nearest.spread
    worst = int(np.abs(away).argmax())
    if worst == 0:
        return (
            "between two levels" if side[0].place[0] < candidate.along < side[-1].place[0] else "beyond the spine's end"
        )
    if worst == 1:
        return "not in the row of its side"
    return "deeper than the laminae around it" if away[2] > 0 else "shallower than the laminae around it"


def _notes(found: _Found, doubt: str, reason: str):
    if found.row is None or not found.slots:
        yield "No lamina was found; check the axes and the region of interest, or place the laminae by hand."
        return
    if doubt:
        yield f"The result is not reliable: {doubt}. Check the axes, the region of interest and each lamina."
    if reason:
        yield f"The pairs are numbered P01, P02, ... from the top and not named T1 to L5: {reason}."
