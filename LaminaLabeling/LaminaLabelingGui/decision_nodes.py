"""The decisions of a computation on its list of laminae: kept in an attribute, which is saved with the scene."""

from LaminaLabelingLib.decisions import Decisions, read_decisions

_ATTRIBUTE = "LaminaUltrasound.Decisions"


def decisionsOf(markupsNode):
    """Return what was decided about a list, in its own coordinates; nothing for None and for a list made by hand."""
    return Decisions.from_text(None if markupsNode is None else markupsNode.GetAttribute(_ATTRIBUTE))


def setDecisions(markupsNode, decisions):
    """Keep decisions with a list, in its own coordinates, instead of the former ones."""
    text = decisions.to_text()
    if text:
        markupsNode.SetAttribute(_ATTRIBUTE, text)
    else:
        markupsNode.RemoveAttribute(_ATTRIBUTE)


def applyMatrix(node, matrix):
    """Move a node by a vtkMatrix4x4 in its own coordinates, and the decisions with it."""
    node.ApplyTransformMatrix(matrix)
    if node.GetAttribute(_ATTRIBUTE):
        setDecisions(node, decisionsOf(node).moved(lambda point: matrix.MultiplyPoint((*point, 1.0))[:3]))


def carryOver(decisions, markupsNode, move):
    """Give a list decisions of other coordinates, if there are any; ``move`` takes a point to those of the list."""
    if decisions != Decisions():
        setDecisions(markupsNode, decisions.moved(move))


def takeFromFolder(markupsNode):
    """Take the decisions about a list that was loaded from a results folder, if it has none yet."""
    storage = markupsNode.GetStorageNode()
    path = storage.GetFullNameFromFileName() if storage is not None else None
    if path and not markupsNode.GetAttribute(_ATTRIBUTE):
        setDecisions(markupsNode, read_decisions(path))
