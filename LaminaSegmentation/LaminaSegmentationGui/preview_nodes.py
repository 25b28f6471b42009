"""The preprocessing of a scan as nodes of the scene: curves and a box to drag, and what was changed by hand.

Each node knows its scan by a node reference, its part by an attribute, and by two more what is automatic and what the
last preview was computed with, so that corrections survive the saving and loading of a scene. They are compared in the
node's own coordinates, which are those of the scan: the nodes lie under the same transform.
"""

import json
from itertools import product

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from LaminaLabelingGui import appearance, scan_nodes
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.markups import curve_from_node, curve_to_node

COLUMN, TOP_LAYER, REGION = PARTS = ("column", "top_layer", "region")
"""What can be corrected, under the keys that the command knows."""

SURFACE, PREPARED = "surface", "prepared"

_CLASSES = {
    COLUMN: "vtkMRMLMarkupsCurveNode",
    TOP_LAYER: "vtkMRMLMarkupsCurveNode",
    REGION: "vtkMRMLMarkupsROINode",
    SURFACE: "vtkMRMLModelNode",
    PREPARED: "vtkMRMLScalarVolumeNode",
}
COLORS = {COLUMN: (0.2, 0.95, 0.95), TOP_LAYER: (1.0, 0.6, 0.1), REGION: (0.4, 0.6, 1.0)}

_PART = "LaminaUltrasound.Preview"
_AUTOMATIC = "LaminaUltrasound.PreviewAutomatic"
_USED = "LaminaUltrasound.PreviewUsed"
_SUMMARY = "LaminaUltrasound.PreviewSummary"
_GEOMETRY = "LaminaUltrasound.PreviewGeometry"
_TRANSFORM = "LaminaPreviewTransform"
_TOLERANCE_MM = 0.01
_HANDLE_SCALE = 1.5
_LINE_THICKNESS = 0.5
_NEAR_MM, _NO_FADING_MM = 4.0, 1000.0
# Darkest and brightest of what the network sees, in standard deviations from the mean.
_WINDOW = (-2.5, 5.0)


def titles():
    """Return what the parts are called."""
    return {COLUMN: _("Column"), TOP_LAYER: _("Top layer"), REGION: _("Region of interest")}


# Finding


def nodeOf(volumeNode, part):
    """Return the node of a part of a scan's preprocessing, None if there is none."""
    if volumeNode is None:
        return None
    for node in slicer.util.getNodesByClass(_CLASSES[part]):
        if node.GetAttribute(_PART) == part and node.GetNodeReference(scan_nodes.SCAN_REFERENCE) is volumeNode:
            return node
    return None


def nodesOf(volumeNode, parts=PARTS):
    """Return the nodes of a scan's preprocessing that are there, by part."""
    found = {part: nodeOf(volumeNode, part) for part in parts}
    return {part: node for part, node in found.items() if node is not None}


def remove(volumeNode):
    """Take everything that shows the preprocessing of a scan out of the scene."""
    for node in nodesOf(volumeNode, _CLASSES).values():
        appearance.removeList(node)


def removeOrphans():
    """Take the preprocessing of scans that were removed out of the scene."""
    for className in set(_CLASSES.values()):
        for node in slicer.util.getNodesByClass(className):
            if node.GetAttribute(_PART) and node.GetNodeReference(scan_nodes.SCAN_REFERENCE) is None:
                appearance.removeList(node)


# Shapes: an array of points of a curve, or the region as a dict, in the coordinates of the node or of the world


def shapeOf(node):
    """Return the points of a curve or the box of a region, in the node's own coordinates."""
    if not node.IsA("vtkMRMLMarkupsROINode"):
        return curve_from_node(node)
    matrix = slicer.util.arrayFromVTKMatrix(node.GetObjectToNodeMatrix())
    return {
        "center_ras_mm": matrix[:3, 3].tolist(),
        "size_mm": [abs(size) for size in node.GetSize()],
        "directions": matrix[:3, :3].T.tolist(),
    }


def setShape(node, shape):
    """Give a curve its points, or a region its box."""
    if not isinstance(shape, dict):
        curve_to_node(shape, node)
        return
    matrix = np.eye(4)
    matrix[:3, :3] = np.transpose(shape["directions"])
    matrix[:3, 3] = shape["center_ras_mm"]
    node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.SetSize(shape["size_mm"])


def moved(shape, matrix):
    """Return a shape in other coordinates."""
    if not isinstance(shape, dict):
        return np.asarray(shape, float).reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    edges = (np.array(shape["size_mm"])[:, None] * np.array(shape["directions"])) @ matrix[:3, :3].T
    lengths = np.linalg.norm(edges, axis=1)
    return {
        "center_ras_mm": moved([shape["center_ras_mm"]], matrix)[0].tolist(),
        "size_mm": lengths.tolist(),
        "directions": (edges / lengths[:, None]).tolist(),
    }


def rightHanded(shape):
    """Return a region whose axes a box can have in Slicer: the same box, one axis reversed if need be."""
    if isinstance(shape, dict) and np.linalg.det(shape["directions"]) < 0:
        first, *others = shape["directions"]
        shape = {**shape, "directions": [[-value for value in first], *others]}
    return shape


def plain(shape):
    """Return a shape as plain values for JSON."""
    return shape if isinstance(shape, dict) else np.asarray(shape).tolist()


def _points(shape):
    if not isinstance(shape, dict):
        return np.asarray(shape, float).reshape(-1, 3)
    half = 0.5 * np.array(shape["size_mm"])[:, None] * np.array(shape["directions"])
    return np.array(shape["center_ras_mm"]) + np.array(list(product((-1, 1), repeat=3))) @ half


def _differs(node, attribute):
    stored = node.GetAttribute(attribute)
    if stored is None:
        return False
    now, then = _points(shapeOf(node)), _points(json.loads(stored))
    return now.shape != then.shape or np.abs(now - then).max(initial=0.0) > _TOLERANCE_MM


# What was changed by hand


def isChanged(node):
    """Return whether a part is no longer as it was found automatically."""
    return _differs(node, _AUTOMATIC)


def isPending(node):
    """Return whether a part is no longer as the last preview was computed with."""
    return _differs(node, _USED)


def makeAutomatic(node):
    """Put a part back to what was found automatically."""
    setShape(node, json.loads(node.GetAttribute(_AUTOMATIC)))


def follow(volumeNode):
    """Put the nodes under the transform that their scan lies under now.

    Raises LaminaError if the scan's own geometry is another one than in the preview, or a node was put elsewhere.
    """
    geometry = geometryOf(volumeNode)
    for part, node in nodesOf(volumeNode, _CLASSES).items():
        stored = json.loads(node.GetAttribute(_GEOMETRY) or "null")
        if stored is not None and not np.allclose(stored, geometry, atol=1e-4):
            text = _(
                'The volume "{name}" was moved or resampled since its preprocessing was shown: press "Update" to '
                "show it anew."
            )
            if any(isChanged(each) for each in nodesOf(volumeNode).values()):
                text = _(
                    'The volume "{name}" was moved or resampled since its preprocessing was shown, so that corrections '
                    'no longer lie on it: press "Back to automatic".'
                )
            raise LaminaError(text.format(name=volumeNode.GetName()))
        here, before = node.GetTransformNodeID(), node.GetNodeReferenceID(_TRANSFORM)
        if here == volumeNode.GetTransformNodeID():
            continue
        if here != before and part in PARTS:
            raise LaminaError(
                _('"{name}" lies under another transform than its volume: put both under the same one.').format(
                    name=node.GetName()
                )
            )
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        node.SetNodeReferenceID(_TRANSFORM, volumeNode.GetTransformNodeID())


def geometryOf(volumeNode):
    """Return a scan's own matrix and size, without the transforms that it lies under."""
    image = volumeNode.GetImageData()
    return [*scan_nodes.ijkToRas(volumeNode).ravel().tolist(), *(image.GetDimensions() if image else (0, 0, 0))]


def volumeToWorld(volumeNode):
    """Return the matrix from a scan's own coordinates to the world; raise LaminaError if it lies in a bent space."""
    return scan_nodes.ijkToWorld(volumeNode) @ np.linalg.inv(scan_nodes.ijkToRas(volumeNode))


# Showing a result


def addSteps(volumeNode, steps, fromWorld, geometry, sent):
    """Show what ``lamina preprocess`` found; parts that were changed by hand stay as they are.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode
    steps : dict
        The command's file ``preprocessing.json``.
    fromWorld : ndarray, shape (4, 4)
        From the world of that file to the scan's coordinates.
    geometry : list
        Of the scan when it was written for the command, see `geometryOf`.
    sent : dict
        The shapes of the parts that the command was given as corrections, in the scan's coordinates.
    """
    summary = json.dumps({key: value for key, value in steps.items() if key not in (*PARTS, SURFACE)})
    for part in PARTS:
        node = nodeOf(volumeNode, part)
        if part in sent:
            if node is None:
                continue  # it was removed meanwhile: automatic from the next time on
            node.SetAttribute(_USED, json.dumps(plain(sent[part])))
        else:
            shape = rightHanded(moved(steps[part], fromWorld))
            changed = node is not None and isChanged(node)  # while the command ran
            node = node or _newPart(volumeNode, part)
            for attribute in (_AUTOMATIC, _USED):
                node.SetAttribute(attribute, json.dumps(plain(shape)))
            if not changed:
                setShape(node, shape)
        node.SetAttribute(_SUMMARY, summary)
        _tie(node, volumeNode, geometry)
    surface = nodeOf(volumeNode, SURFACE) or _newSurface(volumeNode)
    grid = steps[SURFACE]
    surface.SetAndObservePolyData(_grid(moved(grid["points"], fromWorld), grid["rows"], grid["columns"]))
    _tie(surface, volumeNode, geometry)


def addPrepared(volumeNode, path, fromWorld, geometry):
    """Keep what the network sees, an image file in the world, as a volume that is not listed nor saved."""
    node = nodeOf(volumeNode, PREPARED)
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass(_CLASSES[PREPARED])
        node.UnRegister(None)
        node.SetName(_("{name} as the network sees it").format(name=volumeNode.GetName()))
        node.SetHideFromEditors(True)  # before it is added: else it would be offered as a scan
        node.SetSaveWithScene(False)
        node.SetAttribute(_PART, PREPARED)
        slicer.mrmlScene.AddNode(node)
    reader = slicer.vtkMRMLNRRDStorageNode()
    reader.SetFileName(str(path))
    if not reader.ReadData(node):
        raise LaminaError(_("The prepared volume that was computed cannot be read."))
    matrix = fromWorld @ scan_nodes.ijkToRas(node)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*_WINDOW)
    _tie(node, volumeNode, geometry)


def summaryOf(volumeNode):
    """Return what the command said about a scan beside the geometry, an empty dict without a preview."""
    stored = [node.GetAttribute(_SUMMARY) for node in nodesOf(volumeNode).values()]
    return json.loads(next(filter(None, stored), "{}"))


def _tie(node, volumeNode, geometry):
    """Make a node belong to a scan and follow it."""
    appearance.belongToScan(volumeNode, node)
    node.SetAttribute(_GEOMETRY, json.dumps(geometry))
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    node.SetNodeReferenceID(_TRANSFORM, volumeNode.GetTransformNodeID())


def _newPart(volumeNode, part):
    name = _("{name} preprocessing: {part}").format(name=volumeNode.GetName(), part=titles()[part].lower())
    node = slicer.mrmlScene.AddNewNodeByClass(_CLASSES[part], slicer.mrmlScene.GenerateUniqueName(name))
    node.SetAttribute(_PART, part)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*COLORS[part])
    display.SetColor(*COLORS[part])
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    if part == REGION:
        display.SetFillOpacity(0.08)
        display.SetRotationHandleVisibility(False)  # the network's region lies along the axes of the scan
        display.SetTranslationHandleVisibility(False)  # would cover the scan; each face can be dragged
        display.SetInteractionHandleScale(_HANDLE_SCALE)
    else:
        node.SetCurveTypeToLinear()
        display.SetGlyphScale(1.6)
        display.SetLineThickness(_LINE_THICKNESS)
        display.SetLineColorFadingStart(_NEAR_MM)
        display.SetLineColorFadingEnd(1.1 * _NEAR_MM)
        # From behind the two would cover each other.
        appearance.projectInViews(node, "Coronal" if part == COLUMN else "Sagittal")
        if part == TOP_LAYER:
            for view in _viewsBut("Coronal"):
                display.AddViewNodeID(view.GetID())
        for index in range(1, node.GetNumberOfDisplayNodes()):  # lines off the slice would turn red and blue, and fade
            node.GetNthDisplayNode(index).SetLineColorFadingStart(_NO_FADING_MM)
            node.GetNthDisplayNode(index).SetLineColorFadingEnd(2 * _NO_FADING_MM)
    setAdjustable(node, False)
    return node


def _viewsBut(orientation):
    """Return the 3D views, and the slice views of other orientations."""
    slices = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    others = [node for node in slices if not node.GetOrientation().startswith(orientation)]
    return [*others, *slicer.util.getNodesByClass("vtkMRMLViewNode")]


def _newSurface(volumeNode):
    name = _("{name} preprocessing: surface of the top layer").format(name=volumeNode.GetName())
    node = slicer.mrmlScene.AddNewNodeByClass(_CLASSES[SURFACE], slicer.mrmlScene.GenerateUniqueName(name))
    node.SetAttribute(_PART, SURFACE)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(*COLORS[TOP_LAYER])
    display.SetOpacity(0.4)
    display.SetSliceIntersectionOpacity(1.0)
    display.SetSliceIntersectionThickness(2)
    display.SetVisibility2D(True)
    display.SetBackfaceCulling(False)
    return node


def _grid(points, rows, columns):
    """Return a surface through a grid of points."""
    shape = vtk.vtkPolyData()
    vertices, faces = vtk.vtkPoints(), vtk.vtkCellArray()
    for point in points:
        vertices.InsertNextPoint(point)
    for row in range(rows - 1):
        for column in range(columns - 1):
            corner = row * columns + column
            faces.InsertNextCell(4)
            for index in (corner, corner + 1, corner + columns + 1, corner + columns):
                faces.InsertCellPoint(index)
    shape.SetPoints(vertices)
    shape.SetPolys(faces)
    return shape


# Appearance


def setAdjustable(node, adjustable):
    """Let a part be dragged, or not."""
    node.SetLocked(not adjustable)
    if node.IsA("vtkMRMLMarkupsROINode"):
        for index in range(node.GetNumberOfDisplayNodes()):
            node.GetNthDisplayNode(index).SetHandlesInteractive(adjustable)


def setVisible(volumeNode, part, visible):
    """Show or hide a part."""
    for node in nodesOf(volumeNode, (part, SURFACE) if part == TOP_LAYER else (part,)).values():
        node.SetDisplayVisibility(visible)
