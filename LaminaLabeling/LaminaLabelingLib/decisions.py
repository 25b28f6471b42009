"""Why a computation put laminae where it suggests them, and why it left echoes out: what a person wants to check.

A decision belongs to a place, not to a name: pairs that are renumbered and sides that are exchanged keep their own, a
lamina that somebody moves loses it, and gets it back when the move is undone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.tables import read_csv

Point = tuple[float, float, float]

# Files round coordinates; two laminae are never so near each other.
_SAME_PLACE_MM = 0.01
_SUMMARY, _TABLE = "summary.json", "laminae.csv"


@dataclass(frozen=True)
class Decision:
    """What was decided about one place.

    Attributes
    ----------
    why : str
        One phrase, as the computation gave it.
    position : 3 floats
        In mm, in the coordinates of the list that it belongs to.
    """

    why: str
    position: Point


@dataclass(frozen=True)
class Decisions:
    """What was decided about a scan, beside the laminae themselves.

    Attributes
    ----------
    suggested : tuple of Decision
        Laminae that were not seen clearly, and are suggested all the same.
    left_out : tuple of Decision
        Echoes as strong as a lamina's that were not taken for one.
    reliable : bool
        False when what was found is not one spine.
    """

    suggested: tuple[Decision, ...] = ()
    left_out: tuple[Decision, ...] = ()
    reliable: bool = True

    @classmethod
    def of(cls, summary: Mapping[str, Any], laminae: LaminaSet) -> Decisions:
        """Return the decisions that the summary of ``lamina segment`` tells about the laminae that it found.

        Parameters
        ----------
        summary : mapping
            Its keys ``suggested`` (phrase by name), ``rejected_candidates`` and ``reliable``. Summaries of other
            versions lack some of them; what cannot be used is left out.
        laminae : LaminaSet
            As they were found.
        """
        phrases = summary.get("suggested")
        found = laminae.positions() if isinstance(phrases, Mapping) else {}
        suggested = [
            {"why": phrases[name], "at": point}
            for name, point in found.items()
            if name in phrases and laminae[name].is_suggested
        ]
        rejected = summary.get("rejected_candidates")
        left_out = [
            {"why": entry.get("why"), "at": entry.get("position_ras_mm")}
            for entry in (rejected if isinstance(rejected, Sequence) else ())
            if isinstance(entry, Mapping)
        ]
        return cls(_decisions(suggested), _decisions(left_out), summary.get("reliable") is not False)

    def why(self, lamina: Lamina | None) -> str:
        """Return why a lamina is suggested where it is; empty if it is not suggested, or was not put there so."""
        if lamina is None or not lamina.is_suggested or lamina.position is None:
            return ""
        same = (each for each in self.suggested if math.dist(each.position, lamina.position) <= _SAME_PLACE_MM)
        return next((each.why for each in same), "")

    def moved(self, move: Callable[[Point], Sequence[float]]) -> Decisions:
        """Return the same decisions in other coordinates."""
        suggested, left_out = (
            tuple(Decision(each.why, tuple(float(value) for value in move(each.position))) for each in group)
            for group in (self.suggested, self.left_out)
        )
        return Decisions(suggested, left_out, self.reliable)

    def to_text(self) -> str:
        """Return them as one line of JSON, see `from_text`; empty if there is nothing to tell."""
        if self == Decisions():
            return ""
        suggested, left_out = (
            [{"why": each.why, "at": each.position} for each in group] for group in (self.suggested, self.left_out)
        )
        return json.dumps({"suggested": suggested, "left_out": left_out, "reliable": self.reliable})

    @classmethod
    def from_text(cls, text: str | None) -> Decisions:
        """Return the decisions that a line of JSON tells; none if it tells something else."""
        fields = _object(text or "{}")
        suggested, left_out = (
            [entry for entry in group if isinstance(entry, Mapping)] if isinstance(group, list) else []
            for group in (fields.get("suggested"), fields.get("left_out"))
        )
        return cls(_decisions(suggested), _decisions(left_out), fields.get("reliable") is not False)


def read_decisions(path: str | Path) -> Decisions:
    """Return what the files beside a point list tell about it, none unless it lies in a results folder.

    Parameters
    ----------
    path : str or Path
        The point list that ``lamina segment`` wrote. It may have been saved again since: where its laminae were is read
        from the table beside it.

    Returns
    -------
    Decisions
        In the coordinates of the scan's file.
    """
    folder = Path(path).parent
    try:
        summary = _object((folder / _SUMMARY).read_text(encoding="utf-8"))
        return Decisions.of(summary, read_csv(folder / _TABLE)) if summary else Decisions()
    except (OSError, ValueError, LaminaError):  # nobody has asked for these files
        return Decisions()


def common_motion(before: LaminaSet, after: LaminaSet) -> Callable[[Point], Point] | None:
    """Return by what all laminae of a set have moved together, as a hardened transform moves them.

    Parameters
    ----------
    before, after : LaminaSet

    Returns
    -------
    callable or None
        From a position before to the one after; None if the laminae did not move as one, or are no longer the same.
    """
    old, new = before.positions(), after.positions()
    if list(old) != list(new) or len(old) < 2:
        return None
    start, end = (np.array(list(points.values())) for points in (old, new))
    origin = start.mean(axis=0)
    # The smallest shift that fits, which is none across a row of laminae: they may lie on a line.
    homogeneous = np.column_stack([start - origin, np.ones(len(start))])
    shift = np.linalg.lstsq(homogeneous, end - start, rcond=None)[0]
    if np.abs(homogeneous @ shift - (end - start)).max() > _SAME_PLACE_MM:
        return None
    return lambda point: tuple((np.array(point) + np.append(np.subtract(point, origin), 1.0) @ shift).tolist())


def _object(text: str) -> dict:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _decisions(entries: Sequence[Mapping[str, Any]]) -> tuple[Decision, ...]:
    """Return the entries that have a phrase and a position."""
    found = []
    for entry in entries:
        try:
            position = tuple(float(value) for value in entry["at"])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if isinstance(entry.get("why"), str) and len(position) == 3 and all(map(math.isfinite, position)):
            found.append(Decision(entry["why"], position))
    return tuple(found)
