"""A table that says of which patient each scan of a case folder is, and which scans are left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.tables import write_rows

COLUMNS = ("scan", "patient", "use")
"""Columns of a list of cases; only the first is needed."""

_YES, _NO = ("yes", "y", "1", "true"), ("no", "n", "0", "false")


@dataclass(frozen=True)
class ListedCase:
    """A line of a list of cases: the code of the patient, and whether the scan is wanted."""

    patient: str = ""
    use: bool = True


def read_case_list(path: Path) -> dict[str, ListedCase]:
    """Read a list of cases: a CSV table with the columns scan, patient and use ("no" leaves a scan out).

    Raises
    ------
    LaminaError
        If it cannot be read, has no column "scan", or names a scan twice.
    """
    try:
        rows = list(
            csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), skipinitialspace=True)
        )
    except FileNotFoundError as error:
        raise LaminaError(f"There is no list of cases '{path}'.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LaminaError(f"'{path.name}' cannot be read as a list of cases: give a CSV file in UTF-8.") from error
    if rows and "scan" not in rows[0]:
        raise LaminaError(
            f"'{path.name}' has no column 'scan': the first line must read scan,patient,use, with commas."
        )
    listed: dict[str, ListedCase] = {}
    for line, row in enumerate(rows, 2):
        name = (row.get("scan") or "").strip()
        if not name:
            raise LaminaError(f"Line {line} of '{path.name}' names no scan; the first line must read scan,patient,use.")
        if name in listed:
            raise LaminaError(f"Line {line} of '{path.name}' names '{name}' again: list each scan once.")
        use = (row.get("use") or "").strip().lower() or _YES[0]
        if use not in (*_YES, *_NO):
            raise LaminaError(f"Line {line} of '{path.name}' says '{use}' under use: write yes or no.")
        listed[name] = ListedCase((row.get("patient") or "").strip(), use in _YES)
    return listed


def write_case_list(rows: Iterable[tuple[str, str, bool]], path: Path) -> None:
    """Write scan, patient and whether it is used of each row. Raises LaminaError if the file cannot be written."""
    write_rows(COLUMNS, ((scan, patient, "yes" if use else "no") for scan, patient, use in rows), path)
