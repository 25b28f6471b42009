"""Scans and lists in the scene: coordinates, the transform to patient axes, how they are shown."""

from dataclasses import replace

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from LaminaLabelingGui import decision_nodes
from LaminaLabelingLib import orientation
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.patient_axes import patient_transform
from LaminaLabelingLib.volumes import WHOLE_SPINE_MM, Volume

SCAN_REFERENCE = "LaminaScan"
"""Role of the node reference from a list to its scan."""

_AXES_ATTRIBUTE = "LaminaUltrasound.Axes"


def pointToWorld(node, point):
    """Return a point of a node's own coordinates in the world."""
    world = [0.0, 0.0, 0.0]
    node.TransformPointToWorld(list(point), world)
    return tuple(world)


def pointFromWorld(node, point):
    """Return a point of the world in a node's own coordinates."""
    local = [0.0, 0.0, 0.0]
    node.TransformPointFromWorld(list(point), local)
    return tuple(local)


def moved(laminae, move):
    """Return a set of laminae whose positions went through a function."""
    there = [lamina for lamina in laminae.values() if lamina.position is not None]
    return laminae.with_laminae([replace(lamina, position=move(lamina.position)) for lamina in there])


def between(source, target):
    """Return the function from points of one node's own coordinates to those of another."""
    return lambda point: pointFromWorld(target, pointToWorld(source, point))


def carriedOver(laminae, source, target):
    """Return laminae of one node's coordinates in those of another: the same ones under the same transform."""
    if source.GetParentTransformNode() is target.GetParentTransformNode():
        return laminae
    return moved(laminae, between(source, target))


def ijkToRas(volumeNode):
    """Return a volume's own matrix as an array, shape (4, 4), without the transforms that it lies under."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijkToWorld(volumeNode):
    """Return the matrix from a volume's voxels to the world, shape (4, 4).

    Raises LaminaError if the volume lies under a transform that bends it.
    """
    toWorld = vtk.vtkMatrix4x4()
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode is not None:
        if not transformNode.IsTransformToWorldLinear():
            raise LaminaError(_("The volume lies under a transform that bends it: harden the transform first."))
        transformNode.GetMatrixTransformToWorld(toWorld)
    return slicer.util.arrayFromVTKMatrix(toWorld) @ ijkToRas(volumeNode)


def volumeOf(volumeNode, code=""):
    """Return a volume node as a library volume, in the node's own coordinates; its voxels are not copied.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode
    code : str
        Axis code; empty for the one that its directions say.
    """
    matrix = ijkToRas(volumeNode)
    code = code or orientation.nearest_code(matrix)[0]
    array = orientation.to_ira(slicer.util.arrayFromVolume(volumeNode).transpose(2, 1, 0), code)
    return Volume(array, matrix @ orientation.ira_to_ijk(code, array.shape), code, volumeNode.GetName())


def worldVolumeOf(volumeNode):
    """Return a volume node as a library volume in the world, which is the patient's; see `volumeOf`."""
    volume = volumeOf(volumeNode, axesOf(volumeNode))
    return replace(volume, matrix=ijkToWorld(volumeNode) @ orientation.ira_to_ijk(volume.axes, volume.shape))


def loadScan(path):
    """Load a scan from its file without showing it; return its node.

    Raises LaminaError if the file is gone, or cannot be read.
    """
    if not path.is_file():
        raise LaminaError(_('The scan "{name}" is gone: refresh the folder.').format(name=path.name))
    try:
        return slicer.util.loadVolume(str(path), {"show": False})
    except RuntimeError as error:
        raise LaminaError(
            _('The scan "{name}" cannot be read: it is damaged or not a 3D volume.').format(name=path.name)
        ) from error


# Patient axes


def axesOf(volumeNode):
    """Return the axis code that was chosen for a volume, or else the one that its directions say."""
    transformNode = volumeNode.GetParentTransformNode()
    chosen = transformNode.GetAttribute(_AXES_ATTRIBUTE) if transformNode is not None else None
    return chosen or orientation.nearest_code(ijkToRas(volumeNode))[0]


def setAxes(volumeNode, code, companions=()):
    """Turn a volume into patient axes by a transform; its voxels and its own matrix stay as they are.

    Parameters
    ----------
    volumeNode : vtkMRMLScalarVolumeNode
    code : str
        Axis code of its i, j, k axes. A code of the other handedness mirrors the volume, which only `flipSides` asks
        for.
    companions : sequence of vtkMRMLTransformableNode
        Lists and curves of the scan, which stay on the anatomy.

    Returns
    -------
    vtkMRMLLinearTransformNode
    """
    code = orientation.parse_code(code)
    former = volumeNode.GetParentTransformNode()
    if former is not None and former.GetAttribute(_AXES_ATTRIBUTE) is None:
        raise LaminaError(
            _("The volume lies under the transform {name}: harden it or take it away first.").format(
                name=former.GetName()
            )
        )
    dimensions = volumeNode.GetImageData().GetDimensions()
    matrix = patient_transform(ijkToRas(volumeNode), dimensions, code)
    before = np.eye(4)
    if former is not None:
        before = slicer.util.arrayFromTransformMatrix(former)
    transformNode = former or slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLLinearTransformNode", _("{name} to patient axes").format(name=volumeNode.GetName())
    )
    # Those that lie under the same transform follow it; the others are moved along.
    apart = [node for node in companions if node is not None and node.GetParentTransformNode() is not former]
    slicer.util.updateTransformMatrixFromArray(transformNode, matrix)
    transformNode.SetAttribute(_AXES_ATTRIBUTE, code)
    move = slicer.util.vtkMatrixFromArray(matrix @ np.linalg.inv(before))
    for node in apart:
        decision_nodes.applyMatrix(node, move)
    for node in (volumeNode, *companions):
        if node is not None and node not in apart:
            node.SetAndObserveTransformNodeID(transformNode.GetID())
    return transformNode


def checkedAxes(volumeNode, code):
    """Check an axis code that a user gives for a volume; return the code and warnings.

    ``auto`` reads it off the volume's directions and checks it on the image. Raises LaminaError if the code is none,
    would mirror the patient, or cannot be read off.
    """
    if code.strip().lower() == "auto":
        if doubt := axesDoubt(volumeNode):
            raise LaminaError(doubt)
        return orientation.nearest_code(ijkToRas(volumeNode))[0], []
    code, warnings = orientation.resolve_code(code, ijkToRas(volumeNode))
    volume = volumeOf(volumeNode, code)
    return code, [*warnings, *orientation.code_warnings(volume.array, volume.spacing, code, WHOLE_SPINE_MM[0])]


def axesDoubt(volumeNode):
    """Return why a volume's own directions cannot be a patient's, as a sentence; empty if they can."""
    matrix = ijkToRas(volumeNode)
    try:
        code, angle = orientation.nearest_code(matrix)
        if angle <= orientation.MAX_OBLIQUE_DEG:
            volume = volumeOf(volumeNode, code)
            orientation.check_plausible(volume.array, volume.spacing)
            return ""
    except LaminaError:
        pass  # its sentence is about the command line
    return _(
        "The directions of this volume do not look like a patient's: choose its axes under Orientation, so that left, "
        "right, top and bottom are right."
    )


def flippedAxes(code):
    """Return an axis code with left and right exchanged."""
    return code.translate(str.maketrans("LR", "RL"))


# Appearance


def ultrasoundWindow(volumeNode, preset):
    """Return the darkest and brightest value to show: percentiles of what was scanned, which is not 0."""
    low, high = WINDOW_PRESETS[preset]
    array = slicer.util.arrayFromVolume(volumeNode)
    step = max(1, round((array.size / 500_000) ** (1 / 3)))
    sampled = array[::step, ::step, ::step]
    scanned = sampled[(sampled != 0) & np.isfinite(sampled)]
    if not scanned.size:
        return 0.0, 1.0
    darkest, brightest = np.percentile(scanned, (low, high))
    return float(darkest), float(max(brightest, darkest + 1.0))


WINDOW_PRESETS = {"ultrasound": (2.0, 97.0), "bone": (60.0, 99.9), "soft": (0.5, 90.0)}
"""Percentiles of the scanned voxels that become black and white."""


def showWindow(volumeNode, preset):
    """Set window and level of a volume to a preset."""
    volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*ultrasoundWindow(volumeNode, preset))
