"""The result of a segmentation as nodes of the scene, under its scan."""

import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance, decision_nodes, lists
from LaminaLabelingLib.decisions import Decisions
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import curve_to_node, to_node
from LaminaSegmentationGui import preview_nodes


def addResult(volumeNode, result, moved=None):
    """Add what was found to the scene, show it, and return the markups node of the laminae.

    A point list of the laminae, the spinous column as a curve, a segmentation and the region of interest as a box, all
    under the scan in the subject hierarchy. They are always new nodes: an earlier list may have been edited. Earlier
    ones of this volume are hidden. The last two are not shown, as they would cover the scan. The point list carries
    why laminae are suggested and echoes were left out.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode
    result : SegmentationResult
    moved : ndarray, shape (4, 4), optional
        By which the scan was moved in the world since it was given to the computation.
    """
    name = volumeNode.GetName()
    # First, since it may fail, and nothing must then be left behind.
    segmentation = _segmentation(volumeNode, result.segmentation)
    laminae = _newNode("vtkMRMLMarkupsFiducialNode", _("{name} laminae").format(name=name))
    column = _newNode("vtkMRMLMarkupsCurveNode", _("{name} spinous column").format(name=name))
    to_node(result.laminae, laminae)
    decision_nodes.setDecisions(laminae, Decisions.of(result.summary, result.laminae))
    curve_to_node(result.column, column)
    others = [node for node in (_region(name, result.summary.get("region")), segmentation) if node is not None]
    if moved is not None:
        for node in (laminae, column, *others):
            decision_nodes.applyMatrix(node, slicer.util.vtkMatrixFromArray(moved))
    appearance.replaceOnScan(volumeNode, laminae, column, *others)
    appearance.style(laminae, column)
    lists.show(laminae, volumeNode)
    return laminae


def describe(result):
    """Return what was found in a sentence or two, what ran, and the warnings, one a line."""
    laminae = result.laminae
    pairs = list(laminae.complete_pairs())
    suggested = sum(lamina.is_suggested for lamina in laminae.values())
    text = _("{count} laminae").format(count=len(laminae.positions()))
    if suggested:
        text += _(" ({suggested} of them suggested)").format(suggested=suggested)
    text += _(", {pairs} pairs").format(pairs=len(pairs))
    if pairs:
        how = _(", numbered {first} to {last}") if laminae.is_provisional else _(", named {first} to {last}")
        text += how.format(first=pairs[0], last=pairs[-1])
    lines = [text + "."]
    if engine := result.summary.get("engine"):
        lines.append(_("Computed by {engine}.").format(engine=engine))
    if corrected := result.summary.get("corrected"):
        titles = preview_nodes.titles()
        lines.append(_("Corrected by hand: {parts}.").format(parts=", ".join(titles[part] for part in corrected)))
    return "\n".join([*lines, *(_("Warning: {text}").format(text=text) for text in result.warnings)])


def _newNode(className, name):
    return slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))


def _region(name, region):
    """Return the region of interest as a box that can be shown, None if the command did not tell it."""
    if not region:
        return None
    node = _newNode("vtkMRMLMarkupsROINode", _("{name} region of interest").format(name=name))
    node.CreateDefaultDisplayNodes()
    node.SetDisplayVisibility(False)
    node.SetLocked(True)
    preview_nodes.setShape(node, preview_nodes.rightHanded(region))
    return node


def _segmentation(volumeNode, content):
    """Return the segmentation that the command wrote, None if there is none."""
    if not content:
        return None
    node = _newNode("vtkMRMLSegmentationNode", _("{name} lamina segmentation").format(name=volumeNode.GetName()))
    with tempfile.TemporaryDirectory(prefix="lamina-") as folder:
        path = Path(folder) / "laminae.seg.nrrd"
        path.write_bytes(content)
        reader = slicer.vtkMRMLSegmentationStorageNode()
        reader.SetFileName(str(path))
        if not reader.ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            raise LaminaError(_("The segmentation that was computed cannot be read."))
    # The file holds no more than its segments; whoever edits them has the whole scan to do so.
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    node.CreateDefaultDisplayNodes()
    node.SetDisplayVisibility(False)
    return node
