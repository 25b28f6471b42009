"""How lists of laminae and the curve of the spinous column look, and where they stand in the subject hierarchy."""

import slicer

from LaminaLabelingGui.scan_nodes import SCAN_REFERENCE
from LaminaLabelingLib.markups import to_node

_READ_ONLY = (0.75, 0.75, 0.8)
FIRST_COLOR, SECOND_COLOR = (0.35, 0.65, 1.0), (1.0, 0.45, 0.75)
"""Of two lists that are compared."""


def style(markupsNode, curveNode=None):
    """Give a list of laminae, and the curve of the spinous column, their colors and sizes.

    Laminae lie at very different depths, so that a coronal slice meets only a few: coronal views show all of them.
    """
    markupsNode.CreateDefaultDisplayNodes()
    display = markupsNode.GetDisplayNode()
    display.SetSelectedColor(0.25, 0.95, 0.55)
    display.SetColor(1.0, 0.65, 0.1)  # suggested laminae are not selected
    display.SetGlyphScale(1.6)
    display.SetTextScale(2.2)
    projectInCoronalViews(markupsNode)
    if curveNode is not None:
        curveNode.CreateDefaultDisplayNodes()
        display = curveNode.GetDisplayNode()
        display.SetSelectedColor(0.35, 0.75, 1.0)
        display.SetGlyphScale(0.5)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        projectInCoronalViews(curveNode)
        curveNode.SetLocked(True)


def styleReadOnly(markupsNode, color=_READ_ONLY):
    """Give a list that is only looked at a color of its own, and lock it."""
    style(markupsNode)
    for index in range(markupsNode.GetNumberOfDisplayNodes()):
        display = markupsNode.GetNthDisplayNode(index)
        display.SetSelectedColor(*color)
        display.SetColor(*color)
        display.SetGlyphScale(1.2)
        display.SetPointLabelsVisibility(False)
    markupsNode.SetLocked(True)


def projectInCoronalViews(markupsNode):
    """Show the points that lie off the slice in the coronal views too, fainter, by a second display node for these."""
    projectInViews(markupsNode, "Coronal")


def projectInViews(markupsNode, orientation):
    """Show the points that lie off the slice in the views of an orientation too; see `projectInCoronalViews`."""
    chosen = [node.GetID() for node in viewsOf(orientation)]
    if not chosen or markupsNode.GetNumberOfDisplayNodes() > 1:
        return
    main = markupsNode.GetDisplayNode()
    projected = slicer.mrmlScene.AddNewNodeByClass(main.GetClassName())
    projected.CopyContent(main)
    projected.SetColor(*main.GetSelectedColor())  # Slicer draws projected points in this one, whether selected or not
    projected.SetSliceProjection(True)
    projected.SetSliceProjectionUseFiducialColor(True)
    projected.SetSliceProjectionOpacity(0.8)
    for viewId in chosen:
        projected.AddViewNodeID(viewId)
    markupsNode.AddAndObserveDisplayNodeID(projected.GetID())


def viewsOf(orientation):
    """Return the nodes of the slice views of an orientation, "Coronal", also where it is looked at from behind."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [node for node in views if node.GetOrientation().startswith(orientation)]


def belongToScan(volumeNode, *nodes):
    """Put markups nodes under their scan in the subject hierarchy and remember which scan that is."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetItemByDataNode(volumeNode) if hierarchy else 0
    for node in nodes:
        node.SetNodeReferenceID(SCAN_REFERENCE, volumeNode.GetID())
        if parent and hierarchy.GetItemByDataNode(node):
            hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), parent)


def replaceOnScan(volumeNode, *nodes):
    """Put new markups nodes under their scan in the subject hierarchy, and hide the scan's earlier ones."""
    for node in companionsOf(volumeNode):
        if node not in nodes:
            node.SetDisplayVisibility(False)
    belongToScan(volumeNode, *nodes)


def showOnly(markupsNode, volumeNode):
    """Show a list, and hide the scan's other lists: two on one scan cannot be told apart."""
    for node in companionsOf(volumeNode) if volumeNode is not None else ():
        if node is not markupsNode and node.IsA("vtkMRMLMarkupsFiducialNode"):
            node.SetDisplayVisibility(False)
    markupsNode.SetDisplayVisibility(True)


def companionsOf(volumeNode):
    """Return the markups, segmentation and model nodes that belong to a scan."""
    nodes = [
        node
        for className in ("vtkMRMLMarkupsNode", "vtkMRMLSegmentationNode", "vtkMRMLModelNode")
        for node in slicer.util.getNodesByClass(className)
    ]
    return [node for node in nodes if node.GetNodeReference(SCAN_REFERENCE) is volumeNode]


def listToLookAt(name, laminae, besides, volumeNode, color=_READ_ONLY):
    """Show laminae to look at only, in a list that no editor shows and no scene keeps; return its node.

    Parameters
    ----------
    name : str
    laminae : LaminaSet
    besides : vtkMRMLMarkupsFiducialNode
        The list in whose coordinates they are.
    volumeNode : vtkMRMLScalarVolumeNode or None
        Their scan.
    color : 3 floats
    """
    node = addHidden("vtkMRMLMarkupsFiducialNode", name)
    node.SetAndObserveTransformNodeID(besides.GetTransformNodeID())
    to_node(laminae, node)
    styleReadOnly(node, color)  # makes the second display node
    for index in range(node.GetNumberOfDisplayNodes()):
        node.GetNthDisplayNode(index).SetSaveWithScene(False)
    if volumeNode is not None:
        node.SetNodeReferenceID(SCAN_REFERENCE, volumeNode.GetID())
    return node


def addHidden(className, name):
    """Add a node with a display node that no editor shows and no scene keeps; return the node.

    Slicer makes every new point list the one that its place tool fills: the former one stays that instead.
    """
    selection = slicer.app.applicationLogic().GetSelectionNode()
    before = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    node = slicer.mrmlScene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)  # before it is added, so that nothing lists it
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    if selection.GetActivePlaceNodeClassName() != before[0]:
        selection.SetReferenceActivePlaceNodeClassName(before[0])
    if selection.GetActivePlaceNodeID() != before[1]:
        selection.SetActivePlaceNodeID(before[1])
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node


def removeList(node):
    """Take a node out of the scene with its display nodes, which would stay."""
    if node is None or node.GetScene() is None:
        return
    scene = node.GetScene()
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    scene.RemoveNode(node)
    for display in displays:
        if display is not None and display.GetScene() is not None:
            scene.RemoveNode(display)
