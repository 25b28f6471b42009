"""The report of a measurement: one page to read and print, and the same figures as a table and as JSON.

The page needs nothing but itself: no script, no picture and no style from elsewhere. It prints on one page of A4 or
Letter. It is a research measurement, not a diagnosis, and says so.
"""

from __future__ import annotations

import datetime
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.curvature import SpineMeasurement, measure
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.progression import Comparison, compare
from LaminaLabelingLib.report_figures import COLUMNS, figures_of, table_rows
from LaminaLabelingLib.report_page import page_of
from LaminaLabelingLib.tables import write_rows
from LaminaLabelingLib.volumes import Volume

SOFTWARE = "LaminaUltrasound"


@dataclass(frozen=True)
class Report:
    """What a report tells. Only the laminae are needed.

    All positions, and the matrix of the volume, are in patient axes, RAS mm. What was read from files with an axis code
    is brought there by `patient_axes.in_patient_axes`; in 3D Slicer it is the world, once the scan's axes are chosen.

    Parameters
    ----------
    laminae : LaminaSet
        Named, or numbered from the top.
    volume : Volume, optional
        The scan, for the pictures.
    case : str
        What the case is called: a code or the name of the scan's file, nothing that identifies the patient unless
        asked for.
    model : str
        Name and version of the model that found the laminae, if known.
    software : str
        Name and version.
    created : str
        Date of the report; today when left out.
    is_simulated : bool
        Whether the scan is known to be simulated.
    earlier : LaminaSet, optional
        Of an earlier scan of the same patient, for the follow-up, in patient axes as well.
    earlier_case : str
        What the earlier scan is called.
    measurement : SpineMeasurement, optional
        What `measure` says of the laminae; measured when left out.

    Attributes
    ----------
    problem : str
        Why nothing could be measured, a sentence; else empty.
    comparison : Comparison or None
        With the earlier scan.
    comparison_problem : str
        Why the scans cannot be compared, a sentence; else empty.

    Examples
    --------
    >>> report = Report(laminae, volume, case="S017")  # doctest: +SKIP
    >>> write_report(report, "S017.html")  # doctest: +SKIP
    """

    laminae: LaminaSet
    volume: Volume | None = None
    case: str = ""
    model: str = ""
    software: str = SOFTWARE
    created: str = ""
    is_simulated: bool = False
    earlier: LaminaSet | None = None
    earlier_case: str = ""
    measurement: SpineMeasurement | None = None
    problem: str = field(init=False, default="")
    comparison: Comparison | None = field(init=False, default=None)
    comparison_problem: str = field(init=False, default="")

    def __post_init__(self) -> None:
        # The dataclass is frozen; what follows from its fields is set once, here.
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        if not self.created:
            put("created", datetime.date.today().isoformat())
        if self.measurement is None:
            try:
                put("measurement", measure(self.laminae))
            except LaminaError as error:
                put("problem", str(error))
        if self.earlier is not None:
            try:
                put("comparison", compare(self.earlier, self.laminae, later_measurement=self.measurement))
            except LaminaError as error:
                put("comparison_problem", str(error))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to beware of, in sentences."""
        return self.measurement.notes if self.measurement else ()

    def html(self) -> str:
        """Return the page."""
        return page_of(self)


def report_files(path: str | Path) -> dict[str, Path]:
    """Return the three files of a report by kind, ``page``, ``table`` and ``figures``, given the name of the page.

    Raises
    ------
    LaminaError
        If the name does not end in .html or .htm.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise LaminaError(
            _('"{file}" is not the name of a page: let the name of the report end in .html.').format(file=path.name)
        )
    return {"page": path, "table": path.with_suffix(".csv"), "figures": path.with_suffix(".json")}


def write_report(report: Report, path: str | Path, replace: bool = False) -> dict[str, Path]:
    """Write a report as a page and, beside it, its figures as ``.csv`` and ``.json``: all three, or none.

    Parameters
    ----------
    report : Report
    path : str or Path
        Of the page; ends in .html.
    replace : bool
        Whether files of these names may be replaced.

    Returns
    -------
    dict of str to Path
        See `report_files`.

    Raises
    ------
    LaminaError
        If one of the files exists and ``replace`` is false, the name is none of a page, or a file cannot be written.
    """
    files = report_files(path)
    there = [file.name for file in files.values() if file.exists()]
    if there and not replace:
        raise LaminaError(
            _("{names} would be replaced: choose another name for the report.").format(names=", ".join(there))
        )
    figures = figures_of(report)
    page = report.html()
    with ExitStack() as stack:
        # Each takes its place when the block ends, after all three are complete.
        temporary = {kind: stack.enter_context(atomic_path(file)) for kind, file in files.items()}
        temporary["page"].write_text(page, encoding="utf-8")
        write_rows(COLUMNS, table_rows(figures), temporary["table"])
        text = json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False)
        temporary["figures"].write_text(text + "\n", encoding="utf-8")
    return files
