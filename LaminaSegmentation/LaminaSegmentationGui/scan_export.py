"""Writing a volume of the scene for the computation."""

import slicer
import vtk
from slicer.i18n import tr as _

from LaminaLabelingLib.errors import LaminaError


def exportVolume(volumeNode, path):
    """Write a volume as NRRD, in world coordinates: the transforms that it lies under become its geometry.

    Raises LaminaError if there is no image, the volume is bent, or the file cannot be written.
    """
    if volumeNode is None or volumeNode.GetImageData() is None:
        raise LaminaError(_("Choose a volume that holds an image."))
    ijkToWorld = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToWorld)
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode is not None:
        if not transformNode.IsTransformToWorldLinear():
            raise LaminaError(_("The volume lies under a transform that bends it: harden the transform first."))
        toWorld = vtk.vtkMatrix4x4()
        transformNode.GetMatrixTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Multiply4x4(toWorld, ijkToWorld, ijkToWorld)
    # A second node on the same voxels, outside the scene: neither is copied nor changed.
    exported = slicer.vtkMRMLScalarVolumeNode()
    exported.SetAndObserveImageData(volumeNode.GetImageData())
    exported.SetIJKToRASMatrix(ijkToWorld)
    writer = slicer.vtkMRMLNRRDStorageNode()
    writer.SetFileName(str(path))
    writer.SetUseCompression(False)
    if not writer.WriteData(exported):
        raise LaminaError(_("The volume could not be written: is the disk of the temporary folder full?"))
