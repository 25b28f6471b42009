"""The part of the panel that shows the preprocessing of the volume, and lets a person put it right."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LaminaSegmentationGui import preview_nodes
from LaminaSegmentationGui.job_timer import JobTimer
from LaminaSegmentationGui.panel_loading import loadInto
from LaminaSegmentationGui.preview_nodes import COLUMN, PARTS, REGION, TOP_LAYER

_SHARES = {"read": (0.0, 0.2), "preprocess": (0.2, 0.4), "write": (0.6, 0.4)}
"""Where each stage of the command begins, and its part of the whole time: for a progress bar, no measurement."""


class PreviewPanel(VTKObservationMixin):
    """Starts the preview, shows and hides its parts, and says what was changed by hand.

    Parameters
    ----------
    section : ctkCollapsibleButton
        Where it is put.
    logic : LaminaSegmentationLogic
    settings : callable
        Returns the parameter node, None while there is none.
    """

    def __init__(self, section, logic, settings):
        VTKObservationMixin.__init__(self)
        self.logic, self.work, self._settings = logic, logic.preview, settings
        self.ui = ui = loadInto(section, "PreviewPanel")
        self._rows = {
            COLUMN: (ui.columnColorLabel, ui.showColumnCheckBox, ui.adjustColumnCheckBox),
            TOP_LAYER: (ui.topLayerColorLabel, ui.showTopLayerCheckBox, ui.adjustTopLayerCheckBox),
            REGION: (ui.regionColorLabel, ui.showRegionCheckBox, ui.adjustRegionCheckBox),
        }
        self._text = ""
        self._shown = None
        self._observed = ()
        self._toShow = None
        self._timer = JobTimer(_("The preprocessing could not be shown."), self.onEnd, self.onFailure)
        ui.previewProgressBar.setVisible(False)
        for part, (color, show, adjust) in self._rows.items():
            red, green, blue = (round(255 * channel) for channel in preview_nodes.COLORS[part])
            color.setStyleSheet(f"background: rgb({red},{green},{blue})")
            show.toggled.connect(lambda checked, part=part: self.onShow(part, checked))
            adjust.toggled.connect(lambda checked, part=part: self.onAdjust(part, checked))
        ui.preparedCheckBox.toggled.connect(self.onPrepared)
        ui.previewButton.clicked.connect(lambda *_args: self.toggle())
        ui.updateButton.clicked.connect(lambda *_args: self.run(showAll=False))
        ui.automaticButton.clicked.connect(lambda *_args: self.backToAutomatic())
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onImported)

    def cleanup(self):
        """Forget the scene: the panel is taken away."""
        self.cancel("")
        self.removeObservers()

    # Running

    @property
    def isRunning(self):
        """Whether a preview is being computed."""
        return self.work.isRunning

    @property
    def volumeNode(self):
        """The volume that is chosen above, None if there is none."""
        settings = self._settings()
        return settings.inputVolume if settings else None

    def toggle(self):
        """Start, or cancel what runs: the button is both."""
        if self.isRunning:
            self.cancel(_("Canceled."))
        else:
            self.run(showAll=True)

    def run(self, showAll=False):
        """Compute the preprocessing with the corrections; then show all of its parts, if asked for."""
        settings = self._settings()
        self._toShow, self._text = (settings.inputVolume if showAll else None), ""
        self.ui.previewProgressBar.setValue(0)
        self.ui.previewProgressBar.setFormat(_("Starting..."))
        self._timer.begin(
            lambda: self.work.start(settings.inputVolume, settings.axes or "auto", settings.model, self.onEvent),
            self.work.poll,
        )
        self.update()

    def cancel(self, text):
        """End what runs, and say why."""
        self._timer.stop()
        self.work.cancel()
        self._text = text
        if slicer.mrmlScene.IsClosing():
            self.work.showPrepared(None)
            _check(self.ui.preparedCheckBox, False)
        self.update()

    def onEvent(self, event):
        """Show one event of the computation in the progress bar."""
        begin, share = _SHARES.get(event.get("stage"), (0.0, 0.0))
        if event["event"] == "stage":
            self.ui.previewProgressBar.setFormat(event["text"])
        if event["event"] in ("stage", "progress"):
            self.ui.previewProgressBar.setValue(round(100 * (begin + share * event.get("fraction", 0.0))))

    def onEnd(self, summary):
        """Show what was found."""
        if self._toShow is not None and self._toShow is self.volumeNode:  # no other was chosen meanwhile
            self.work.show(self._toShow)
        self.update()

    def onFailure(self, sentence):
        """Leave the sentence of an error in the panel."""
        self.work.cancel()
        self._text = sentence
        self.update()

    def backToAutomatic(self):
        """Drop what was changed by hand, and compute what follows from it."""
        self.work.reset(self.volumeNode)
        self.run(showAll=False)

    # Parts

    def onShow(self, part, checked):
        """Show or hide a part."""
        preview_nodes.setVisible(self.volumeNode, part, checked)

    def onAdjust(self, part, checked):
        """Let a part be dragged, or not; what can be dragged is shown."""
        node = preview_nodes.nodeOf(self.volumeNode, part)
        if node is not None:
            preview_nodes.setAdjustable(node, checked)
            if checked:
                preview_nodes.setVisible(self.volumeNode, part, True)
        self.update()

    def onPrepared(self, checked):
        """Show what the network sees in front of the volume, or no longer."""
        self.work.showPrepared(self.volumeNode if checked else None)

    # Showing

    def applySettings(self, settings):
        """Show the state of the volume that is chosen."""
        if self.volumeNode is not self._shown:
            self._text = ""
            if self.ui.preparedCheckBox.checked:
                self.ui.preparedCheckBox.setChecked(False)
            self._shown = self.volumeNode
        self.update()

    def onNodeRemoved(self, caller, event):
        """Remove what belonged to a volume that was removed."""
        scene = slicer.mrmlScene
        if not (scene.IsClosing() or scene.IsImporting() or scene.IsBatchProcessing()):
            preview_nodes.removeOrphans()
            self.update()

    def onImported(self, caller, event):
        """Show the preview that a scene has brought."""
        self.update()

    def onNode(self, caller=None, event=None):
        """Follow what is dragged, shown, hidden or moved."""
        if not slicer.mrmlScene.IsClosing():
            self.update()

    def update(self):
        """Show what is there, and enable what can be done."""
        volumeNode, running, ui = self.volumeNode, self.isRunning, self.ui
        problem = self.work.follow(volumeNode)
        nodes = preview_nodes.nodesOf(volumeNode)
        self._observe(volumeNode, nodes)
        ui.previewButton.setText(_("Cancel") if running else _("Show preprocessing"))
        ui.previewButton.setEnabled(running or volumeNode is not None)
        ui.previewProgressBar.setVisible(running)
        for part, (_color, show, adjust) in self._rows.items():
            node = nodes.get(part)
            for box, checked in (
                (show, node is not None and bool(node.GetDisplayVisibility())),
                (adjust, node is not None and not node.GetLocked()),
            ):
                box.setEnabled(node is not None and not running)
                _check(box, checked)
        ui.preparedCheckBox.setEnabled(self.work.hasPrepared(volumeNode))
        ui.updateButton.setEnabled(bool(nodes) and not running)
        ui.automaticButton.setEnabled(bool(self.work.changed(volumeNode)) and not running)
        text = "" if running else self.work.describe(volumeNode)
        ui.previewLabel.setText("\n".join(filter(None, (self._text, problem, text))))

    def _observe(self, volumeNode, nodes):
        """Observe the volume and the parts of its preview, and no others."""
        wanted = (volumeNode, *(nodes.get(part) for part in PARTS))
        if wanted == self._observed:
            return
        for node in filter(None, self._observed):
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onNode)
            for event in _events(node):
                self.removeObserver(node, event, self.onNode)
        self._observed = wanted
        for node in filter(None, wanted):
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onNode)
            for event in _events(node):
                self.addObserver(node, event, self.onNode)


def _events(node):
    if not node.IsA("vtkMRMLMarkupsNode"):
        return (slicer.vtkMRMLTransformableNode.TransformModifiedEvent,)
    return (slicer.vtkMRMLMarkupsNode.PointModifiedEvent, slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent)


def _check(box, checked):
    """Set a check box without telling anybody."""
    blocked = box.blockSignals(True)
    box.setChecked(checked)
    box.blockSignals(blocked)
