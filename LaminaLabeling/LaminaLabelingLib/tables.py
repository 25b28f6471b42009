"""Laminae as a table: one CSV row for each lamina."""

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
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
    rows = []
    for lamina in laminae.values():
        position = lamina.position or ("", "", "")
        confidence = "" if lamina.confidence is None else lamina.confidence
        rows.append([lamina.name, *position, lamina.review, lamina.source or "", confidence])
    write_rows(COLUMNS, rows, path)


def write_rows(columns: Iterable[str], rows: Iterable[Iterable], path: str | Path) -> None:
    """Write a table with a header, in UTF-8. Raises LaminaError if the file cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def read_csv(path: str | Path) -> LaminaSet:
    """Read laminae from a table.

    Parameters
    ----------
    path : str or Path
        With a header. The columns name, r_mm, a_mm and s_mm are needed; without the others, each row with a position
        counts as placed by hand. Other columns are ignored, but each row needs as many as the header. The numbering is
        deduced from the names.

    Returns
    -------
    LaminaSet
        Provisional if the names are.

    Raises
    ------
    LaminaError
        If it is no such table, or a row cannot be used; the message names the row.
    """
    laminae = read_rows(path)
    with naming_table(path):
        return LaminaSet.of(laminae)


def read_rows(path: str | Path) -> list[Lamina]:
    """Read the rows of a table as laminae, just those that the file lists.

    Parameters
    ----------
    path : str or Path
        See `read_csv`.

    Returns
    -------
    list of Lamina
        In the order of the file; a name may come twice.

    Raises
    ------
    LaminaError
        If it is no such table, or a row cannot be used; the message names the row.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LaminaError(
            _('There is no file "{file}" in that folder: check the name and the folder.').format(file=path.name)
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LaminaError(
            _('"{file}" cannot be read as a table: give a CSV file in UTF-8.').format(file=path.name)
        ) from error
    with naming_table(path):
        rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        missing = [column for column in COLUMNS[:4] if column not in (rows.fieldnames or ())]
        if missing:
            raise LaminaError(
                _('it has no column {column}; the first line must read "{header}".').format(
                    column=missing[0], header=",".join(COLUMNS)
                )
            )
        return [_lamina(row, rows.line_num) for row in rows]


@contextmanager
def naming_table(path: str | Path) -> Iterator[None]:
    """Put the name of a table's file before what a `LaminaError` in the block says."""
    try:
        yield
    except (LaminaError, csv.Error) as error:
        raise LaminaError(
            _('"{file}" cannot be read as a table of laminae: {error}').format(file=Path(path).name, error=error)
        ) from error


def _lamina(row: dict, line: int) -> Lamina:
    """Return the lamina of one row."""
    # Programs write every column of every row, so a short row was cut, perhaps in the middle of a number.
    if any(cell is None for cell in row.values()):
        raise LaminaError(
            _("line {line} has fewer columns than the first line: check that the file is complete.").format(line=line)
        )
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    coordinates = [cells[column] for column in COLUMNS[1:4]]
    try:
        position = [float(cell) for cell in coordinates] if any(coordinates) else None
        review = Review(cells["review"] or (Review.unset if position is None else Review.placed))
        source = parse_source(cells["source"]) if position is not None or cells["source"] else None
        confidence = float(cells["confidence"]) if cells["confidence"] else None
        return Lamina(cells["name"], position, review, source, confidence)
    except ValueError as error:
        raise LaminaError(
            _("line {line} has a value that cannot be used ({error}).").format(line=line, error=error)
        ) from error
