"""Lists of laminae and scans in the scene: finding, making and showing them."""

import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance
from LaminaLabelingGui.scan_nodes import SCAN_REFERENCE
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups import from_node, to_node


def isScan(node):
    """Return whether a node is a scalar volume: a label map is one by its class, and no scan."""
    return node.GetClassName() == "vtkMRMLScalarVolumeNode"


def firstScan():
    """Return the first volume of the scene that can be a scan, or None."""
    return next(filter(isScan, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")), None)


def scanOf(markupsNode):
    """Return the scan that a list belongs to, None if that is not known."""
    return markupsNode.GetNodeReference(SCAN_REFERENCE) if markupsNode is not None else None


def latestList(volumeNode=None):
    """Return the point list of laminae that was added last, of one scan or of any; or None."""
    for markupsNode in reversed(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")):
        if volumeNode is not None and scanOf(markupsNode) is not volumeNode:
            continue
        try:
            if not markupsNode.GetHideFromEditors() and len(from_node(markupsNode).positions()) > 0:
                return markupsNode
        except LaminaError:
            continue  # another kind of list
    return None


def newList(volumeNode, laminae=None):
    """Make a point list for a scan, empty or with a set of laminae in the scan's coordinates; return its node."""
    if volumeNode is None:
        raise LaminaError(_("Choose a scan first."))
    name = slicer.mrmlScene.GenerateUniqueName(_("{name} laminae").format(name=volumeNode.GetName()))
    markupsNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    markupsNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    to_node(LaminaSet() if laminae is None else laminae, markupsNode)
    appearance.style(markupsNode)
    appearance.belongToScan(volumeNode, markupsNode)
    return markupsNode


def show(markupsNode, volumeNode):
    """Show a list on its scan in the slice views, jump to its first lamina, and make it the active list."""
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    slicer.modules.markups.logic().SetActiveList(markupsNode)
    for index in range(markupsNode.GetNumberOfControlPoints()):
        if markupsNode.GetNthControlPointPositionStatus(index) == markupsNode.PositionDefined:
            slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(markupsNode.GetID(), index, False)
            break
