"""Finding the laminae of a volume of the scene, in a child process."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from LaminaLabelingGui import scan_nodes
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui import result_nodes
from LaminaSegmentationGui.installation import SEGMENT
from LaminaSegmentationGui.scan_export import exportVolume
from LaminaSegmentationLib.segmentation_job import SegmentationJob


class SegmentWork:
    """Runs ``lamina segment`` on a volume and adds what it finds to the scene.

    Parameters
    ----------
    installation : Installation
    models : Models
    """

    def __init__(self, installation, models):
        self._installation, self._models = installation, models
        self.job = None
        self._volumeNode = None
        self._found = self._place = None
        self.resultText = ""

    @property
    def isRunning(self):
        """Whether a segmentation has been started and has neither ended nor been canceled."""
        return self.job is not None

    def start(self, volumeNode, axes, model, engine, onEvent, corrections=None, lowMemory=False):
        """Start to find the laminae of ``volumeNode``; then call :meth:`poll` until it returns a node.

        Parameters
        ----------
        volumeNode : vtkMRMLScalarVolumeNode
        axes, engine : str
            As ``lamina segment`` takes them.
        model : str
            A name of the list of models; empty for the first one.
        onEvent : callable
            Called with the events of the command ``lamina segment --json``, each a dict.
        corrections : dict, optional
            Of the preprocessing, made by hand; see ``LaminaSegmentationLib.preprocessing.corrections``.
        lowMemory : bool
            Whether to run the network on one part of the scan after the other.

        Raises
        ------
        LaminaError
            With a sentence for the user if it cannot be started.
        """
        if self.isRunning:
            raise LaminaError(_("A segmentation is running: wait for it, or cancel it first."))
        self._installation.ensurePackages(SEGMENT)
        self._volumeNode = volumeNode
        self.job = SegmentationJob(onEvent, **self._installation.how(SEGMENT))
        try:
            exportVolume(volumeNode, self.job.scan_path)
            self._place = _placeOf(volumeNode)
            self.job.start(axes, self._models.argumentOf(model), engine, corrections, lowMemory)
        except Exception:
            self.cancel()
            raise

    def poll(self):
        """Pass on what has happened; return the new markups node at the end, and None before.

        The result is read in one call and added to the scene in the next, so that the interface does not wait for both.
        """
        if self.job is None:  # canceled while somebody waited
            raise LaminaError(_("Canceled."))
        if self._found is None:
            try:
                self._found = self.job.poll()
            except Exception:
                self.cancel()
                raise
            return None
        result, self._found, self.job = self._found, None, None
        if slicer.mrmlScene.GetNodeByID(self._volumeNode.GetID() or "") is not self._volumeNode:
            raise LaminaError(_("The volume was removed from the scene meanwhile, so the result was dropped."))
        moved = self._movedSince(self._place)
        self.resultText = result_nodes.describe(result)
        return result_nodes.addResult(self._volumeNode, result, moved)

    def _movedSince(self, place):
        """Return the matrix by which the volume was moved in the world, None if it was not; or raise LaminaError."""
        now, then = _placeOf(self._volumeNode), place
        if now[0] != then[0] or not np.allclose(now[1], then[1]):
            raise LaminaError(_("The volume was changed meanwhile, so the result was dropped: press Apply again."))
        moved = now[2] @ np.linalg.inv(then[2])
        return None if np.allclose(moved, np.eye(4), atol=1e-6) else moved

    def cancel(self):
        """End what runs, if anything does. The scene stays as it was."""
        if self.job is not None:
            self.job.cancel()
        self.job = self._found = None


def _placeOf(volumeNode):
    """Return a volume's size, its own matrix, and where its voxels lie in the world."""
    size = volumeNode.GetImageData().GetDimensions() if volumeNode.GetImageData() is not None else None
    return size, scan_nodes.ijkToRas(volumeNode), scan_nodes.ijkToWorld(volumeNode)
