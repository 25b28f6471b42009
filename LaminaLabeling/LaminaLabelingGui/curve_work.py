"""Measuring the curves of a list, and writing the report. No widget: everything can be done from a script."""

from dataclasses import replace
from pathlib import Path

from slicer.i18n import tr as _

from LaminaLabelingGui import lists, sample_data, scan_nodes
from LaminaLabelingLib.case_files import scan_name
from LaminaLabelingLib.curvature import measure
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import from_node


def worldLaminae(markupsNode):
    """Return the laminae that a list holds now with the positions of the world, which are the patient's R, A and S."""
    return scan_nodes.moved(from_node(markupsNode), lambda point: scan_nodes.pointToWorld(markupsNode, point))


def measureList(markupsNode, scanNode=None):
    """Measure the curves of the spine whose laminae a list holds.

    Parameters
    ----------
    markupsNode : vtkMRMLMarkupsFiducialNode
    scanNode : vtkMRMLScalarVolumeNode, optional
        Its scan. A note says so if its directions cannot be a patient's and nobody has chosen its axes.

    Returns
    -------
    SpineMeasurement

    Raises
    ------
    LaminaError
        If there are too few pairs, or they do not follow each other; see `curvature.measure`.
    """
    return withDoubt(measure(worldLaminae(markupsNode)), doubtAbout(scanNode))


def doubtAbout(scanNode):
    """Return why the world may not be the patient's, as a sentence; empty if it may well be."""
    if not _hasVoxels(scanNode) or scanNode.GetParentTransformNode() is not None:
        return ""
    return scan_nodes.axesDoubt(scanNode)


def withDoubt(measurement, doubt):
    """Return a measurement with a doubt as its first note."""
    return replace(measurement, notes=(doubt, *measurement.notes)) if doubt else measurement


def caseName(markupsNode, scanNode=None):
    """Return what a report calls its scan: the name of the scan's file, or else that of the scan or the list."""
    file = _fileOf(scanNode)
    if file is not None:
        return scan_name(file.name) or file.stem
    return (scanNode if scanNode is not None else markupsNode).GetName()


def proposedReport(markupsNode, scanNode=None):
    """Return the path that a report gets unless the user chooses another one: beside the scan's file."""
    name = "".join("-" if letter in '<>:"/\\|?*' else letter for letter in caseName(markupsNode, scanNode))
    file = _fileOf(scanNode)
    # What comes with the extension lies where nobody looks for documents.
    isOurs = file is None or file.parent == sample_data.SAMPLE_FILE.parent or not file.parent.is_dir()
    return (Path.home() if isOurs else file.parent) / f"{name}-report.html"


def writeReport(markupsNode, path, scanNode=None, earlierNode=None, replaceFiles=False):
    """Write the report of a list: a page, and its figures as a table and as JSON beside it.

    Parameters
    ----------
    markupsNode : vtkMRMLMarkupsFiducialNode
    path : str or Path
        Of the page; ends in .html.
    scanNode : vtkMRMLScalarVolumeNode, optional
        Its scan, for the pictures; else the one that the list belongs to.
    earlierNode : vtkMRMLMarkupsFiducialNode, optional
        Laminae of an earlier scan of the same patient, for the follow-up.
    replaceFiles : bool
        Whether files of these names may be replaced.

    Returns
    -------
    dict of str to Path
        See `report.report_files`.

    Raises
    ------
    LaminaError
        If the list holds something else than laminae, or a file exists already or cannot be written.
    """
    from LaminaLabelingLib.report import Report, write_report  # nobody who labels needs it

    if earlierNode is markupsNode:
        raise LaminaError(_("A list cannot be compared with itself: choose that of an earlier scan."))
    if scanNode is None:
        scanNode = lists.scanOf(markupsNode)
    laminae, doubt = worldLaminae(markupsNode), doubtAbout(scanNode)
    try:
        measurement = withDoubt(measure(laminae), doubt)
    except LaminaError:
        measurement = None  # the report says why
    earlierScan = lists.scanOf(earlierNode)
    report = Report(
        laminae,
        volume=scan_nodes.worldVolumeOf(scanNode) if _hasVoxels(scanNode) else None,
        case=caseName(markupsNode, scanNode),
        is_simulated=sample_data.SAMPLE_NAME in caseName(markupsNode, scanNode),
        earlier=None if earlierNode is None else worldLaminae(earlierNode),
        earlier_case="" if earlierNode is None else caseName(earlierNode, earlierScan),
        measurement=measurement,
    )
    return write_report(report, path, replace=replaceFiles)


def _fileOf(scanNode):
    """Return the file that a scan was loaded from, None if it was not."""
    storage = scanNode.GetStorageNode() if scanNode is not None else None
    name = storage.GetFileName() if storage is not None else None
    return Path(name) if name else None


def _hasVoxels(scanNode):
    return scanNode is not None and scanNode.GetImageData() is not None
