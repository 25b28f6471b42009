"""A scan of a folder and its results, opened in the scene."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance, lists, scan_nodes
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_curve, read_markups
from LaminaSegmentationGui import result_nodes
from LaminaSegmentationLib.batch_scans import identity_of, read_summary
from LaminaSegmentationLib.segmentation_job import SegmentationResult


def openResult(scanPath, folder):
    """Load a scan and what was found in it into the scene, and show it; return the markups node of the laminae.

    The scan lies in patient axes as in LaminaLabeling: where its axes were given, a transform turns it, and its results
    follow.

    Parameters
    ----------
    scanPath, folder : Path
        The scan's file, and the folder of its results.

    Raises
    ------
    LaminaError
        If something cannot be read, or the scan's file has changed since: the results would lie beside the anatomy.
    """
    result = readResult(folder)
    if not scanPath.is_file():
        raise LaminaError(_('The scan "{name}" is no longer in its folder.').format(name=scanPath.name))
    if result.summary.get("source") != identity_of(scanPath):
        raise LaminaError(
            _('The scan "{name}" has changed since its laminae were found: find them again.').format(name=scanPath.name)
        )
    volumeNode = scan_nodes.loadScan(scanPath)
    nodesBefore = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLTransformNode")}
    try:
        laminae = result_nodes.addResult(volumeNode, result)
        if result.summary.get("axes_from", "file") != "file":
            scan_nodes.setAxes(volumeNode, result.summary["axes"], appearance.companionsOf(volumeNode))
            lists.show(laminae, volumeNode)  # where they lie now
    except Exception:
        _remove(volumeNode, nodesBefore)
        raise
    return laminae


def readResult(folder):
    """Return what was found in a scan as a SegmentationResult; raise LaminaError if it cannot be read."""
    folder = Path(folder)
    summary = read_summary(folder)
    if summary is None:
        raise LaminaError(
            _('The results in "{name}" are incomplete: find the laminae of this scan again.').format(name=folder.name)
        )
    try:
        segmentation = (folder / "laminae.seg.nrrd").read_bytes()
    except OSError:
        segmentation = b""  # not needed to review the laminae
    return SegmentationResult(
        laminae=read_markups(folder / "laminae.mrk.json"),
        column=read_curve(folder / "spinous_column.mrk.json"),
        warnings=tuple(summary.get("warnings", ())),
        summary=summary,
        segmentation=segmentation,
    )


def _remove(volumeNode, transformsBefore):
    """Take a scan out of the scene again with what belongs to it."""
    for node in appearance.companionsOf(volumeNode):
        appearance.removeList(node)
    transformNode = volumeNode.GetParentTransformNode()
    slicer.mrmlScene.RemoveNode(volumeNode)
    if transformNode is not None and transformNode.GetID() not in transformsBefore:
        slicer.mrmlScene.RemoveNode(transformNode)
