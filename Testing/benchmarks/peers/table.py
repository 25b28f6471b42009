"""The statistics of the rounds, and the table of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = (
    ("", "title", "{}"),
    ("median s", "median_seconds", "{:.2f}"),
    ("least s", "least_seconds", "{:.2f}"),
    ("x ours", "ratio", "{:.2f}"),
    ("x ours, least", "ratio_of_least", "{:.2f}"),
    ("CPU s", "cpu_seconds", "{:.2f}"),
    ("load + first s", "fresh_seconds", "{:.2f}"),
    ("x ours, fresh", "fresh_ratio", "{:.2f}"),
    ("peak MiB", "peak_mib", "{:.0f}"),
    ("parameters", "parameters", "{:,}"),
    ("GFLOP", "gflop", "{:.0f}"),
)


def summarize(starts: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of one peer beside ours.

    Parameters
    ----------
    starts, ours : sequence of dict
        For each start of the process its ``load_seconds``, and its ``answers``: ``seconds``, ``cpu_seconds`` and
        ``peak_mib`` of each round, the first prediction first.

    Returns
    -------
    dict
        ``ratio`` is the median of the ratios of the rounds: a round's two times were taken side by side, so what else
        the machine did cancels in part. ``ratio_of_least`` is that of the two least times. ``fresh_seconds`` is what
        a process that is started for one scan takes: loading and the first prediction, which is in none of the others.
    """
    seconds, our_seconds = (_repeated(given, "seconds") for given in (starts, ours))
    fresh, our_fresh = (
        [start["load_seconds"] + start["answers"][0]["seconds"] for start in given] for given in (starts, ours)
    )
    peaks = [answer["peak_mib"] for start in starts for answer in start["answers"]]
    return {
        "seconds": seconds,
        "median_seconds": statistics.median(seconds),
        "least_seconds": min(seconds),
        "cpu_seconds": statistics.median(_repeated(starts, "cpu_seconds")),
        "ratio": statistics.median(one / other for one, other in zip(seconds, our_seconds)),
        "ratio_of_least": min(seconds) / min(our_seconds),
        "load_seconds": statistics.median(start["load_seconds"] for start in starts),
        "first_seconds": statistics.median(start["answers"][0]["seconds"] for start in starts),
        "fresh_seconds": statistics.median(fresh),
        "fresh_ratio": statistics.median(one / other for one, other in zip(fresh, our_fresh)),
        "peak_mib": None if None in peaks else max(peaks),
    }


def _repeated(starts: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Return a figure of all predictions but the first of each start."""
    return [answer[key] for start in starts for answer in start["answers"][1:]]


def format_table(rows: Sequence[Mapping[str, Any]], markdown: bool = False) -> str:
    """Return the table as text; what is not known is a dash."""
    cells = [[heading for heading, _, _ in _COLUMNS]]
    for row in rows:
        values = [(row.get(key), pattern) for _, key, pattern in _COLUMNS]
        cells.append(["-" if value is None else pattern.format(value) for value, pattern in values])
    if markdown:
        cells.insert(1, ["---", *["---:"] * (len(_COLUMNS) - 1)])
        return "\n".join(f"| {' | '.join(line)} |" for line in cells)
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    lines = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))] for line in cells
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def judge(title: str, ratio: float, goal: float) -> str:
    """Return a sentence that says whether a goal is met, and if not by how much it is missed."""
    if ratio >= goal:
        return f"{title}: {ratio:.2f} times ours, the goal of {goal:g} is met."
    return f"{title}: {ratio:.2f} times ours, the goal of {goal:g} is missed by {1 - ratio / goal:.0%}."
