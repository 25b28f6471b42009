"""Laminae in MRML nodes: the only file of the library that knows them.

The nodes are handed in, so that not even this file imports ``slicer`` or ``vtk``: it works in 3D Slicer and with the
``slicer-core`` package alike. Positions are the node's own coordinates, which are the scan's when the node lies under
the same transform as the scan, or neither lies under one.
"""

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups_files import (
    DEFINED,
    MISSING,
    UNDEFINED,
    description_of,
    lamina_from_point,
    status_of,
)


def to_node(laminae: LaminaSet, node) -> None:
    """Show laminae in a point list.

    Control points that already carry the right names are updated and keep their IDs, so that observers and a
    selection survive; else the list is filled anew. A named set has a fixed number of points, which keeps Slicer's
    own tools from removing slots. Inferred points are not selected, which gives them the list's other color.

    Parameters
    ----------
    laminae : LaminaSet
    node : vtkMRMLMarkupsFiducialNode
    """
    modifying = node.StartModify()
    try:
        labels = [node.GetNthControlPointLabel(index) for index in range(node.GetNumberOfControlPoints())]
        if labels != list(laminae):
            descriptions = {label: node.GetNthControlPointDescription(index) for index, label in enumerate(labels)}
            node.SetFixedNumberOfControlPoints(False)  # a fixed list refuses to be changed
            node.RemoveAllControlPoints()
            for index, name in enumerate(laminae):
                node.AddControlPoint([0.0, 0.0, 0.0], name)
                node.SetNthControlPointDescription(index, descriptions.get(name, ""))
            node.UnsetAllControlPoints()
        for index, lamina in enumerate(laminae.values()):
            _set_point(node, index, lamina)
        node.SetFixedNumberOfControlPoints(not laminae.is_provisional)
    finally:
        node.EndModify(modifying)


def lamina_to_node(lamina: Lamina, node) -> None:
    """Show one lamina in a point list that has a control point of its name.

    Parameters
    ----------
    lamina : Lamina
    node : vtkMRMLMarkupsFiducialNode

    Raises
    ------
    KeyError
        If the list has no such control point.
    """
    index = node.GetControlPointIndexByLabel(lamina.name)
    if index < 0:
        raise KeyError(lamina.name)
    modifying = node.StartModify()
    try:
        _set_point(node, index, lamina)
    finally:
        node.EndModify(modifying)


def from_node(node) -> LaminaSet:
    """Read laminae from a point list.

    Parameters
    ----------
    node : vtkMRMLMarkupsFiducialNode
        One of ours or any other whose labels are names of laminae. A preview point, which follows the mouse, counts
        as unset.

    Returns
    -------
    LaminaSet
        Provisional if the names are; the numbering is deduced from the names.

    Raises
    ------
    LaminaError
        If a label is not a lamina's name or comes twice.
    """
    return LaminaSet.of(lamina_from_node(node, index) for index in range(node.GetNumberOfControlPoints()))


def lamina_from_node(node, index: int) -> Lamina:
    """Read one control point of a point list as a lamina; see `from_node`."""
    return lamina_from_point(
        node.GetNthControlPointLabel(index),
        _status_names(node).get(node.GetNthControlPointPositionStatus(index), UNDEFINED),
        node.GetNthControlPointPosition(index),
        node.GetNthControlPointDescription(index),
    )


def curve_to_node(points: np.ndarray, node) -> None:
    """Show points as a curve.

    Parameters
    ----------
    points : array_like, shape (N, 3)
        In mm, in the node's coordinates.
    node : vtkMRMLMarkupsCurveNode
        Its former points are removed.
    """
    modifying = node.StartModify()
    try:
        node.SetFixedNumberOfControlPoints(False)
        node.RemoveAllControlPoints()
        for number, point in enumerate(np.asarray(points, dtype=np.float64).tolist(), start=1):
            node.AddControlPoint(point, str(number))
    finally:
        node.EndModify(modifying)


def curve_from_node(node) -> np.ndarray:
    """Return the control points of a curve that have a position, shape (N, 3), in mm in the node's coordinates."""
    points = [
        node.GetNthControlPointPosition(index)
        for index in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(index) == node.PositionDefined
    ]
    return np.array(points, dtype=np.float64).reshape(-1, 3)


def _status_names(node) -> dict[int, str]:
    return {node.PositionDefined: DEFINED, node.PositionMissing: MISSING}


def _set_point(node, index: int, lamina: Lamina) -> None:
    """Bring one control point to the state of a lamina, touching only what differs."""
    status = status_of(lamina)
    shown = _status_names(node).get(node.GetNthControlPointPositionStatus(index), UNDEFINED)
    description = node.GetNthControlPointDescription(index)
    # A note that a person has written there stays, as long as it does not say something else about the lamina.
    if not _means(description, status, lamina):
        node.SetNthControlPointDescription(index, description_of(lamina))
    if node.GetNthControlPointSelected(index) == lamina.is_suggested:
        node.SetNthControlPointSelected(index, not lamina.is_suggested)
    if status == DEFINED:
        if shown != DEFINED or tuple(node.GetNthControlPointPosition(index)) != lamina.position:
            node.SetNthControlPointPosition(index, lamina.position)
    elif status != shown:
        node.UnsetNthControlPointPosition(index)
        if status == MISSING:
            node.SetNthControlPointPositionMissing(index)


def _means(description: str, status: str, lamina: Lamina) -> bool:
    """Return whether a point with this description would be read as this lamina."""
    if description == description_of(lamina):
        return True
    if not description:
        return False
    try:
        return lamina_from_point(lamina.name, status, lamina.position, description) == lamina
    except LaminaError:
        return False
