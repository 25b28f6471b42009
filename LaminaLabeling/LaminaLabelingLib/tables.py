"""Laminae as a table: one CSV row for each lamina."""

import csv
import io
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review
from LaminaLabelingLib.markups_files import parse_source

COLUMNS = ("name", "r_mm", "a_mm", "s_mm", "review", "source", "confidence")
"""Header of the table; the coordinates are RAS mm."""


def write_csv(laminae: LaminaSet, path: str | Path) -> None:
    """Write laminae as a table with the columns `COLUMNS`, numbers with all their digits.

    A named set is written with all its slots; those without a position have empty cells.

    Parameters
    ----------
    laminae : LaminaSet
    path : str or Path

    Raises
    ------
    LaminaError
        If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for lamina in laminae.values():
        position = lamina.position or ("", "", "")
        confidence = "" if lamina.confidence is None else lamina.confidence
        writer.writerow([lamina.name, *position, lamina.review, lamina.source or "", confidence])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def read_csv(path: str | Path) -> LaminaSet:
    """Read laminae from a table.

    Parameters
    ----------
    path : str or Path
        With a header. The columns name, r_mm, a_mm and s_mm are needed; without the others, each row with a position
        counts as placed by hand. Other columns are ignored. The numbering is deduced from the names.

    Returns
    -------
    LaminaSet
        Provisional if the names are.

    Raises
    ------
    LaminaError
        If it is no such table, or a row cannot be used; the message names the row.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LaminaError(f'There is no file "{path.name}" in that folder: check the name and the folder.') from error
    except (OSError, UnicodeDecodeError) as error:
        raise LaminaError(f'"{path.name}" cannot be read as a table: give a CSV file in UTF-8.') from error
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        missing = [column for column in COLUMNS[:4] if column not in (rows.fieldnames or ())]
        if missing:
            raise LaminaError(f'it has no column {missing[0]}; the first line must read "{",".join(COLUMNS)}".')
        return LaminaSet.of([_lamina(row, rows.line_num) for row in rows])
    except (LaminaError, csv.Error) as error:
        raise LaminaError(f'"{path.name}" cannot be read as a table of laminae: {error}') from error


def _lamina(row: dict, line: int) -> Lamina:
    """Return the lamina of one row."""
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    coordinates = [cells[column] for column in COLUMNS[1:4]]
    try:
        position = [float(cell) for cell in coordinates] if any(coordinates) else None
        review = Review(cells["review"] or (Review.unset if position is None else Review.placed))
        source = parse_source(cells["source"]) if position is not None or cells["source"] else None
        confidence = float(cells["confidence"]) if cells["confidence"] else None
        return Lamina(cells["name"], position, review, source, confidence)
    except ValueError as error:
        raise LaminaError(f"line {line} has a value that cannot be used ({error}).") from error
