"""Everything that is read from and written to files for a scan's laminae, without Slicer.

============================  ==========================================================
`write_markups`               point list ``.mrk.json``, `read_markups` reads it back
`write_curve`                 curve ``.mrk.json``, `read_curve` reads it back
`write_csv`                   table, `read_csv` reads it back
`write_segmentation`          ``.seg.nrrd`` on the scan's grid, one segment for each lamina
`read_label_volume`           centroids of the components of a label volume
`write_label_volume`          plain label volume, `read_labels_of_volume` names its components again
`write_verse`                 JSON of the VerSe challenge, `read_verse` reads it back
`read_laminae`                a point list or a table, by the file's extension
`import_labels`               all of these, checked against the scan; `export_labels` writes them
`atomic_path`                 a temporary file that takes its place only when complete
============================  ==========================================================
"""

from pathlib import Path

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.label_volumes import read_labels_of_volume, write_label_volume
from LaminaLabelingLib.labels_import import export_labels, import_labels
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups_files import read_curve, read_markups, write_curve, write_markups
from LaminaLabelingLib.segmentation_files import read_label_volume, write_segmentation
from LaminaLabelingLib.tables import read_csv, write_csv
from LaminaLabelingLib.verse_files import read_verse, write_verse

__all__ = [
    "atomic_path",
    "export_labels",
    "import_labels",
    "read_csv",
    "read_curve",
    "read_label_volume",
    "read_labels_of_volume",
    "read_laminae",
    "read_markups",
    "read_verse",
    "write_csv",
    "write_curve",
    "write_label_volume",
    "write_markups",
    "write_segmentation",
    "write_verse",
]


def read_laminae(path: str | Path) -> LaminaSet:
    """Read laminae from a point list (``.mrk.json``, ``.json``) or a table (``.csv``).

    Raises
    ------
    LaminaError
        If the extension is another one, or the file cannot be used; see `read_markups` and `read_csv`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return read_markups(path)
    if suffix == ".csv":
        return read_csv(path)
    raise LaminaError(
        _('"{file}" is not a list of laminae: give a file that ends in .mrk.json or .csv.').format(file=path.name)
    )
