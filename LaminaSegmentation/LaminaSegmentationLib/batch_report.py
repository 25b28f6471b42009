"""What is told of a folder of scans: a table, a page to read and print, and the counts."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.tables import write_rows

from .batch_scans import PAGE, SUMMARY, TABLE

WAITING, RUNNING, DONE, SKIPPED, FAILED = "waiting", "running", "done", "skipped", "failed"
"""States of a scan; those that an earlier run has done are skipped."""

COLUMNS = (
    "scan",
    "state",
    "laminae",
    "levels",
    "named",
    "doubtful",
    "warnings",
    "seconds",
    "error",
    "folder",
)
"""Header of ``results.csv``."""

DOUBTFUL_BELOW = 0.5
"""Laminae of a lower confidence are for a person to check, and so are all that were suggested."""

_LINKS = {
    "overlay": "picture",
    "table": "table",
    "laminae": "points",
    "segmentation": "segmentation",
    "column": "column",
    "steps": "preprocessing",
    "summary": "summary",
}


@dataclass(frozen=True)
class Row:
    """What is told of one scan.

    Attributes
    ----------
    scan : str
        Its file's name.
    state : str
        One of `WAITING`, `RUNNING`, `DONE`, `SKIPPED`, `FAILED`.
    text : str
        What was found, in a line.
    laminae, levels, doubtful : int or None
        How many; doubtful ones are for a person to check.
    named : bool or None
        Whether they have the names of vertebrae, not only numbers.
    warnings : tuple of str
    seconds : float or None
    error : str
        Why it failed, in a sentence.
    folder : str
        Of its results, within the results folder; empty without.
    files : dict
        Names of its files by kind.
    """

    scan: str
    state: str = WAITING
    text: str = ""
    laminae: int | None = None
    levels: int | None = None
    named: bool | None = None
    doubtful: int | None = None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None
    error: str = ""
    folder: str = ""
    files: Mapping[str, str] | None = None

    @property
    def has_result(self) -> bool:
        """Whether its results are there, of this run or of an earlier one."""
        return self.state in (DONE, SKIPPED)

    @classmethod
    def of_summary(cls, scan: str, state: str, folder: str, summary: Mapping[str, Any]) -> Row:
        """Return the row of a scan from the ``summary.json`` of its folder."""
        return cls(
            scan,
            state,
            text=str(summary["result"]),
            laminae=summary["laminae"],
            levels=summary["levels"],
            named=summary["named"],
            doubtful=summary["doubtful"],
            warnings=tuple(summary["warnings"]),
            seconds=round(sum(summary["seconds"].values()), 1),
            folder=folder,
            files=dict(summary["files"]),
        )


def count(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many scans there are, and how many are done, failed, skipped and waiting."""
    states = [row.state for row in rows]
    return {"scans": len(states), **{state: states.count(state) for state in (DONE, FAILED, SKIPPED, WAITING)}}


def write_reports(rows: Sequence[Row], about: Mapping[str, Any], output: Path) -> dict[str, str]:
    """Write ``results.csv``, ``results.html`` and ``summary.json``, each completely or not at all.

    Parameters
    ----------
    rows : sequence of Row
    about : mapping
        ``name`` of the folder of scans, ``software``, ``model`` (its name and version), ``engine``, ``date``.
    output : Path

    Returns
    -------
    dict
        Paths by kind.
    """
    write_rows(COLUMNS, (csv_cells(row) for row in rows), output / TABLE)
    with atomic_path(output / PAGE) as temporary:
        temporary.write_text(page(rows, about), encoding="utf-8")
    summary = {
        **about,
        **count(rows),
        "cases": [{key: value for key, value in asdict(row).items() if key != "files"} for row in rows],
        "intended_use": "research only",
    }
    with atomic_path(output / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return {kind: str(output / name) for kind, name in (("table", TABLE), ("page", PAGE), ("summary", SUMMARY))}


def csv_cells(row: Row) -> list:
    """Return the cells of a scan in ``results.csv``: empty where there is nothing to tell."""
    # What an earlier run has done is done, for whoever reads the table.
    state = DONE if row.has_result else row.state
    named = "" if row.named is None else "yes" if row.named else "no"
    warnings = " | ".join(row.warnings)
    return [
        row.scan,
        state,
        *("" if value is None else value for value in (row.laminae, row.levels)),
        named,
        "" if row.doubtful is None else row.doubtful,
        warnings,
        "" if row.seconds is None else row.seconds,
        row.error,
        row.folder,
    ]


# The page

_STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.4 system-ui, "Segoe UI", Arial, sans-serif; color: #1b2530; background: #fff; margin: 24px auto;
  max-width: 1100px; padding: 0 16px; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
p { margin: 4px 0; } .muted { color: #5b6774; }
.notice { border: 1px solid #c9a227; background: #fdf6dd; padding: 6px 10px; border-radius: 4px; margin: 10px 0; }
table { border-collapse: collapse; width: 100%; margin-top: 12px; }
th { text-align: left; border-bottom: 2px solid #1b2530; padding: 6px 8px; }
td { border-bottom: 1px solid #d5dbe1; padding: 6px 8px; vertical-align: top; }
th { white-space: nowrap; } td.files { width: 170px; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.scan { font-weight: 600; overflow-wrap: anywhere; min-width: 150px; }
td.picture { width: 162px; } td.picture img { display: block; width: 162px; height: 140px; object-fit: contain;
  background: #101418; }
tr.failed { background: #fdecea; } tr.failed .state { color: #a61b1b; font-weight: 700; }
tr.waiting { color: #5b6774; } .check { color: #8a5a00; font-weight: 600; }
ul { margin: 4px 0 0; padding-left: 18px; } .files a { margin-right: 8px; white-space: nowrap; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } tr { break-inside: avoid; } thead {
  display: table-header-group; } a { color: inherit; text-decoration: none; } .files { display: none; }
  td.scan { min-width: 90px; } th:last-child { display: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

_ORDER = {FAILED: 0, DONE: 1, SKIPPED: 1, RUNNING: 2, WAITING: 2}


def page(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Return ``results.html``: failures first, one row a scan; it needs nothing but the results beside it."""
    model = about["model"]
    title = _text(f"Laminae found in the folder “{about['name']}”")
    head = ("", "Scan", "Result", "Laminae", "Levels", "To check", "Time", "Files")
    numbers = ("Laminae", "Levels", "To check", "Time")
    cells = "".join(f"<th{_number(name in numbers)}>{name}</th>" for name in head)
    body = "\n".join(_row(row) for row in sorted(rows, key=lambda row: _ORDER[row.state]))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>{_text(counts_text(rows))}</p>
<p class="muted">Model {_text(model["name"])} {_text(model["version"])}, {_text(about["engine"])},
{_text(about["software"])}, {_text(about["date"])}</p>
<p class="notice"><strong>Research use only, not for diagnosis.</strong> The laminae were found by a program and have
to be reviewed. Left and right are as the axes of each scan say: check them.</p>
<table>
<thead><tr>{cells}</tr></thead>
<tbody>
{body}
</tbody>
</table>
<p class="muted">To check: laminae whose confidence is below {DOUBTFUL_BELOW:g}, or that were not seen but suggested
between their neighbors.</p>
</body>
</html>
"""


def counts_text(rows: Sequence[Row]) -> str:
    """Return the counts in a line, such as ``12 scans: 10 done, 2 failed``."""
    counts = count(rows)
    done = counts[DONE] + counts[SKIPPED]
    parts = [f"{done} done"]
    if counts[SKIPPED]:
        parts[0] += f" ({counts[SKIPPED]} of them in an earlier run)"
    if counts[FAILED]:
        parts.append(f"{counts[FAILED]} failed")
    if rest := counts["scans"] - done - counts[FAILED]:
        parts.append(f"{rest} not done yet")
    return f"{counts['scans']} scan{'s' * (counts['scans'] != 1)}: {', '.join(parts)}"


def _row(row: Row) -> str:
    picture = files = ""
    result = {FAILED: row.error, RUNNING: "not done yet", WAITING: "not done yet"}.get(row.state, row.text)
    told = f'<span class="state">Failed:</span> {_text(result)}' if row.state == FAILED else _text(result)
    if row.warnings:
        told += "<ul>" + "".join(f"<li>{_text(text)}</li>" for text in row.warnings) + "</ul>"
    if row.has_result:
        links = {kind: quote(f"{row.folder}/{name}") for kind, name in (row.files or {}).items()}
        if overlay := links.get("overlay"):
            alt = _text(f"laminae found in {row.scan}")
            # The point and slash keep a folder named like "http:" from being taken for an address elsewhere.
            picture = f'<a href="./{overlay}"><img src="./{overlay}" alt="{alt}" loading="lazy"></a>'
        files = " ".join(f'<a href="./{links[kind]}">{text}</a>' for kind, text in _LINKS.items() if kind in links)
    doubtful = "" if row.doubtful is None else row.doubtful
    if row.doubtful:
        doubtful = f'<span class="check">{row.doubtful}</span>'
    seconds = f"{row.seconds:.1f} s" if row.has_result and row.seconds is not None else ""
    kind = "waiting" if row.state in (WAITING, RUNNING) else DONE if row.has_result else row.state
    return (
        f'<tr class="{kind}"><td class="picture">{picture}</td><td class="scan">{_text(row.scan)}</td><td>{told}</td>'
        f'<td class="number">{_cell(row.laminae)}</td><td class="number">{_cell(row.levels)}</td>'
        f'<td class="number">{doubtful}</td>'
        f'<td class="number">{seconds}</td>'
        f'<td class="files">{files}</td></tr>'
    )


def _text(value: Any) -> str:
    return html.escape("" if value is None else str(value))


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
