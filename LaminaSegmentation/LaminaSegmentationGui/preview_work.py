"""The preprocessing of a volume of the scene, computed in a child process, shown, and corrected by hand."""

import json

import numpy as np
import slicer
from slicer.i18n import tr as _

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationGui import preview_nodes
from LaminaSegmentationGui.installation import SEGMENT
from LaminaSegmentationGui.preview_nodes import PARTS, PREPARED
from LaminaSegmentationGui.scan_export import exportVolume
from LaminaSegmentationLib.segmentation_job import scan_arguments

_CLEAR_COLUMN = 0.25


class PreviewWork:
    """Runs ``lamina preprocess`` on a volume and shows each step; tells what was corrected by hand.

    Parameters
    ----------
    installation : Installation
    models : Models
    """

    def __init__(self, installation, models):
        self._installation, self._models = installation, models
        self._command = None
        self._volumeNode = None
        self._fromWorld, self._geometry, self._sent = np.eye(4), [], {}
        self._layers = None

    # Computing

    @property
    def isRunning(self):
        """Whether a preview has been started and has neither ended nor been canceled."""
        return self._command is not None

    def start(self, volumeNode, axes="auto", model="", onEvent=None):
        """Start to compute the preprocessing of ``volumeNode`` with its corrections; then call :meth:`poll`.

        Parameters
        ----------
        volumeNode : vtkMRMLScalarVolumeNode
        axes, model : str
            See :meth:`SegmentWork.start`.
        onEvent : callable, optional
            Called with the events of the command ``lamina preprocess --json``, each a dict.

        Raises
        ------
        LaminaError
            With a sentence for the user if it cannot be started.
        """
        if self.isRunning:
            raise LaminaError(_("A preview is being computed: wait for it, or cancel it first."))
        self._installation.ensurePackages(SEGMENT)
        corrections = self.corrections(volumeNode)
        self._volumeNode = volumeNode
        self._command = self._installation.command(SEGMENT, onEvent or (lambda event: None))
        try:
            exportVolume(volumeNode, self._command.folder / "scan.nrrd")
            # Where the scan lies now, since it may be moved while the command runs.
            self._fromWorld = np.linalg.inv(preview_nodes.volumeToWorld(volumeNode))
            self._geometry = preview_nodes.geometryOf(volumeNode)
            self._sent = {
                part: preview_nodes.moved(shape, self._fromWorld) for part, shape in (corrections or {}).items()
            }
            arguments = ["preprocess", "scan.nrrd", "-o", "result", "--axes", axes, "--no-picture", "--json"]
            model = self._models.argumentOf(model)
            self._command.start(arguments + scan_arguments(self._command, model, corrections))
        except Exception:
            self.cancel()
            raise

    def poll(self):
        """Pass on what has happened; return the summary of the command once its steps are shown, and None before."""
        volumeNode = self._volumeNode
        try:
            if self._command.poll() is None:
                return None
            if slicer.mrmlScene.GetNodeByID(volumeNode.GetID() or "") is not volumeNode:
                raise LaminaError(_("The volume was removed from the scene meanwhile, so the preview was dropped."))
            folder = self._command.folder / "result"
            steps = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
            preview_nodes.addPrepared(volumeNode, folder / "prepared.nrrd", self._fromWorld, self._geometry)
            preview_nodes.addSteps(volumeNode, steps, self._fromWorld, self._geometry, self._sent)
        except Exception:
            self.cancel()
            raise
        self.cancel()
        return preview_nodes.summaryOf(volumeNode)

    def cancel(self):
        """End what runs, if anything does. The scene stays as it was."""
        if self._command is not None:
            self._command.cancel()
        self._command = None

    # Corrections

    def corrections(self, volumeNode):
        """Return what was changed by hand, in the world as the volume lies now; None if nothing was.

        Returns
        -------
        dict or None
            As ``LaminaSegmentationLib.preprocessing.corrections`` takes it.

        Raises
        ------
        LaminaError
            If the volume has been changed so that the corrections do not lie on it any more.
        """
        changed = self.changed(volumeNode)
        if not changed:
            return None
        preview_nodes.follow(volumeNode)
        toWorld = preview_nodes.volumeToWorld(volumeNode)
        nodes = preview_nodes.nodesOf(volumeNode, changed)
        shapes = {part: preview_nodes.shapeOf(node) for part, node in nodes.items()}
        return {part: preview_nodes.plain(preview_nodes.moved(shape, toWorld)) for part, shape in shapes.items()}

    def changed(self, volumeNode):
        """Return which parts were changed by hand."""
        nodes = preview_nodes.nodesOf(volumeNode)
        return [part for part, node in nodes.items() if preview_nodes.isChanged(node)]

    def isPending(self, volumeNode):
        """Return whether the last preview was computed with other corrections than those that are there now."""
        return any(preview_nodes.isPending(node) for node in preview_nodes.nodesOf(volumeNode).values())

    def reset(self, volumeNode, part=None):
        """Put a part, or all, back to what was found automatically. What follows from it needs a new preview."""
        for node in preview_nodes.nodesOf(volumeNode, PARTS if part is None else (part,)).values():
            preview_nodes.makeAutomatic(node)

    # Showing

    def follow(self, volumeNode):
        """Let the preview follow a volume that was put under another transform; return a sentence if it cannot."""
        try:
            if volumeNode is not None and volumeNode.GetImageData() is not None:
                preview_nodes.follow(volumeNode)
        except LaminaError as error:
            return str(error)
        return ""

    def show(self, volumeNode):
        """Show all steps on the volume, in views that meet on the column."""
        for part in PARTS:
            preview_nodes.setVisible(volumeNode, part, True)
        slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
        column = preview_nodes.nodeOf(volumeNode, preview_nodes.COLUMN)
        if column is None or not column.GetNumberOfControlPoints():
            return
        middle = [0.0, 0.0, 0.0]
        column.GetNthControlPointPositionWorld(column.GetNumberOfControlPoints() // 2, middle)
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.JumpSliceByOffsetting(*middle)

    def remove(self, volumeNode):
        """Take the preview of a volume out of the scene, with its corrections."""
        self.showPrepared(None)
        preview_nodes.remove(volumeNode)

    def hasPrepared(self, volumeNode):
        """Return whether the volume that the network sees is there; it is not saved with the scene."""
        return preview_nodes.nodeOf(volumeNode, PREPARED) is not None

    def showPrepared(self, volumeNode):
        """Show what the network sees in front of the volume, or give the views their foreground back for None."""
        prepared = preview_nodes.nodeOf(volumeNode, PREPARED)
        views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        if prepared is not None and self._layers is None:
            self._layers = {view.GetID(): (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) for view in views}
        for view in views:
            if prepared is not None:
                view.SetForegroundVolumeID(prepared.GetID())
                view.SetForegroundOpacity(1.0)
            elif self._layers is not None and view.GetID() in self._layers:
                volumeId, opacity = self._layers[view.GetID()]
                view.SetForegroundVolumeID(volumeId)
                view.SetForegroundOpacity(opacity)
        if prepared is None:
            self._layers = None

    def describe(self, volumeNode):
        """Return in plain words what was found, what was changed by hand, and what to beware of, one a line."""
        nodes, summary = preview_nodes.nodesOf(volumeNode), preview_nodes.summaryOf(volumeNode)
        if not summary:
            return ""
        lines = [_columnText(summary)]
        shallow, deep = summary["lamina_depth_mm"]
        lines.append(
            _(
                "The laminae are expected {shallow:.0f} to {deep:.0f} mm below the skin. What lies more than "
                "{clearance:.0f} mm above them is left out."
            ).format(shallow=shallow, deep=deep, clearance=summary["clearance_mm"])
        )
        changed = self.changed(volumeNode)
        for part, title in preview_nodes.titles().items():
            how = _("{part}: changed by hand") if part in changed else _("{part}: automatic")
            lines.append(how.format(part=title))
        if preview_nodes.REGION in nodes:
            lines[-1] += _(" ({length:.0f} mm long, {width:.0f} mm wide, {depth:.0f} mm deep)").format(
                **dict(zip(("length", "width", "depth"), nodes[preview_nodes.REGION].GetSize()))
            )
        lines += [_("Warning: {text}").format(text=text) for text in summary["warnings"]]
        if self.isPending(volumeNode):
            lines.append(_('Press "Update" to see what follows from your changes.'))
        return "\n".join(lines)


def _columnText(summary):
    contrast = summary["column_contrast"]
    if summary["column_is_faint"]:
        text = _("The spinous process column is hardly visible (contrast {contrast:.2f}): check it.")
    elif contrast < _CLEAR_COLUMN:
        text = _("The spinous process column is faint (contrast {contrast:.2f}): check it.")
    else:
        text = _("The spinous process column is clear (contrast {contrast:.2f}).")
    return text.format(contrast=contrast)
