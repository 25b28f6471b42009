"""The arrangement of the views for labeling, which gives the user's own arrangement back."""

import slicer
import vtk
from slicer.i18n import tr as _

LAYOUT = 53417
PLOT_LAYOUT = 53418
"""Numbers of our layouts; Slicer's own ones are below 1000."""

CORONAL, SAGITTAL, AXIAL = "Green", "Yellow", "Red"
SLICE_VIEWS = (CORONAL, SAGITTAL, AXIAL)
FROM_BEHIND = "CoronalFromBehind"  # without spaces: scenes store it in the name of an XML attribute
SLAB_TYPES = ("mean", "maximum")

_SLICE = '<view class="vtkMRMLSliceNode" singletontag="{tag}"><property name="orientation" action="default">'
_SLICE += '{orientation}</property><property name="viewlabel" action="default">{tag[0]}</property></view>'
_PLOT = '<view class="vtkMRMLPlotViewNode" singletontag="PlotView1"><property name="viewlabel" action="default">1'
_PLOT += "</property></view>"
# How near to the border of a view a lamina may lie before the view is moved to show it, as a share of its size.
_MARGIN = 0.01
# Distance of the samples through a slab.
_SAMPLE_MM = 1.0


def _layout(*smaller):
    coronal = _SLICE.format(tag=CORONAL, orientation="Coronal")
    items = "".join(f'<item splitSize="{size}">{view}</item>' for size, view in smaller)
    return (
        f'<layout type="horizontal" split="true"><item splitSize="560">{coronal}</item><item splitSize="440">'
        f'<layout type="vertical" split="true">{items}</layout></item></layout>'
    )


_SAGITTAL_VIEW = _SLICE.format(tag=SAGITTAL, orientation="Sagittal")
_AXIAL_VIEW = _SLICE.format(tag=AXIAL, orientation="Axial")
_DESCRIPTIONS = {
    LAYOUT: _layout((600, _SAGITTAL_VIEW), (400, _AXIAL_VIEW)),
    PLOT_LAYOUT: _layout((300, _SAGITTAL_VIEW), (300, _AXIAL_VIEW), (400, _PLOT)),
}


def registerLayouts():
    """Tell Slicer our layouts; at its start too, so that a scene that was saved with one can show it."""
    if slicer.app.layoutManager() is None:
        return
    layoutNode = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    for number, description in _DESCRIPTIONS.items():
        if not layoutNode.IsLayoutDescription(number):
            layoutNode.AddLayoutDescription(number, description)


class LabelingViews:
    """A large coronal view beside a sagittal and an axial one, with a slab, intersections and a common place."""

    def __init__(self):
        self._before = None
        self._paused = 0
        self._fromBehind = False

    @property
    def isShown(self):
        """Whether the views are arranged for labeling now."""
        return self._before is not None

    @staticmethod
    def sliceNode(name):
        """Return the slice node of a view, None without one (Slicer without a main window)."""
        return slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")

    def show(self):
        """Arrange the views, and remember how they were."""
        if self.isShown or slicer.app.layoutManager() is None:
            return
        registerLayouts()
        layoutNode = self._layoutNode()
        arrangement = layoutNode.GetViewArrangement()
        if arrangement in _DESCRIPTIONS:  # of a scene that was saved in this module
            arrangement = layoutNode.SlicerLayoutFourUpView
        applicationLogic = slicer.app.applicationLogic()
        visibility = applicationLogic.IntersectingSlicesVisibility
        self._before = {
            "layout": arrangement,
            "intersections": applicationLogic.GetIntersectingSlicesEnabled(visibility),
            "slices": {name: _SliceState(self.sliceNode(name)) for name in SLICE_VIEWS if self.sliceNode(name)},
        }
        layoutNode.SetViewArrangement(LAYOUT)
        self.showAgain()
        for name, orientation in zip(SLICE_VIEWS, ("Coronal", "Sagittal", "Axial")):
            node = self.sliceNode(name)
            if node and node.GetOrientation() != orientation:
                node.SetOrientation(orientation)
            if node and node.GetOrientationMarkerType() == node.OrientationMarkerTypeNone:
                node.SetOrientationMarkerType(node.OrientationMarkerTypeAxes)  # its letters say which side is which
                node.SetOrientationMarkerSize(node.OrientationMarkerSizeSmall)
        self.fit()

    def showAgain(self):
        """Show what the closing of a scene takes away: the intersections of the slices."""
        if self.isShown:
            applicationLogic = slicer.app.applicationLogic()
            applicationLogic.SetIntersectingSlicesEnabled(applicationLogic.IntersectingSlicesVisibility, True)

    def restore(self):
        """Give the arrangement back that the user had, unless he has chosen another one meanwhile."""
        before, self._before = self._before, None
        if before is None or slicer.app.layoutManager() is None:
            return
        layoutNode = self._layoutNode()
        if layoutNode.GetViewArrangement() in _DESCRIPTIONS:
            layoutNode.SetViewArrangement(before["layout"])
        applicationLogic = slicer.app.applicationLogic()
        applicationLogic.SetIntersectingSlicesEnabled(
            applicationLogic.IntersectingSlicesVisibility, before["intersections"]
        )
        for name, state in before["slices"].items():
            if self.sliceNode(name):
                state.restore(self.sliceNode(name))
        self._fromBehind = False

    @staticmethod
    def _layoutNode():
        return slicer.app.layoutManager().layoutLogic().GetLayoutNode()

    def pauseLayout(self, paused):
        """Give the user's arrangement back while a scene is saved: another computer may not know ours."""
        layoutNode = self._layoutNode() if self.isShown else None
        if layoutNode is None:
            return
        if paused and layoutNode.GetViewArrangement() in _DESCRIPTIONS:
            self._paused = layoutNode.GetViewArrangement()
            layoutNode.SetViewArrangement(self._before["layout"])
        elif not paused and self._paused:
            layoutNode.SetViewArrangement(self._paused)
            self._paused = 0

    def showPlot(self, shown):
        """Add the view of plots below the others, or take it away."""
        if self.isShown:
            self._layoutNode().SetViewArrangement(PLOT_LAYOUT if shown else LAYOUT)

    def setSlab(self, thickness, kind):
        """Show the mean or the maximum of a slab in the coronal view.

        Parameters
        ----------
        thickness : float
            In mm; 0 shows a single slice.
        kind : str
            One of `SLAB_TYPES`.
        """
        node = self.sliceNode(CORONAL)
        if node is None:
            return
        modifying = node.StartModify()
        node.SetSlabReconstructionEnabled(thickness > 0)
        node.SetSlabReconstructionType(vtk.VTK_IMAGE_SLAB_MAX if kind == "maximum" else vtk.VTK_IMAGE_SLAB_MEAN)
        if thickness > 0:
            # Slicer takes thickness / spacing samples, each (spacing of view x spacing / oversampling) from the next:
            # the slab has the thickness that is asked for only where all of these are 1 mm. It is quick, besides.
            node.SetSliceSpacingModeToPrescribed()
            node.SetPrescribedSliceSpacing(_SAMPLE_MM, _SAMPLE_MM, _SAMPLE_MM)
            node.SetSlabReconstructionOversamplingFactor(1.0)
            node.SetSlabReconstructionThickness(thickness)
            width, height, _depth = node.GetFieldOfView()
            node.SetFieldOfView(width, height, _SAMPLE_MM)
        else:
            node.SetSliceSpacingModeToAutomatic()
        node.EndModify(modifying)

    def setFromBehind(self, fromBehind):
        """Look at the coronal view from behind (the patient's left on the left) or from the front, Slicer's default."""
        node = self.sliceNode(CORONAL)
        if node is None or fromBehind == self._fromBehind:
            return
        self._fromBehind = fromBehind
        if not node.HasSliceOrientationPreset(FROM_BEHIND):
            behind = vtk.vtkMatrix3x3()
            for row, values in enumerate(((1, 0, 0), (0, 0, -1), (0, 1, 0))):
                for column, value in enumerate(values):
                    behind.SetElement(row, column, value)
            node.AddSliceOrientationPreset(FROM_BEHIND, behind)
        place = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        node.SetOrientation(FROM_BEHIND if fromBehind else "Coronal")
        node.JumpSliceByOffsetting(*place)

    def fit(self):
        """Show the whole scan in every view."""
        if slicer.app.layoutManager() is not None:
            slicer.util.resetSliceViews()

    def jump(self, position):
        """Move all views to a position in the world; a view that does not show it is moved sideways too."""
        if position is None:
            return
        for name in SLICE_VIEWS:
            node = self.sliceNode(name)
            if node is None:
                continue
            node.JumpSliceByOffsetting(*position)
            if not _shows(node, position):
                node.JumpSliceByCentering(*position)

    def intersection(self):
        """Return the place where the three views meet, in the world."""
        points = [self.sliceNode(name).GetSliceToRAS() for name in (SAGITTAL, CORONAL, AXIAL)]
        return tuple(matrix.GetElement(axis, 3) for axis, matrix in enumerate(points))

    def directions(self):
        """Return the world's directions to the right and to the top of the view that is under the mouse.

        The coronal view is meant when the mouse is elsewhere.
        """
        name = next((name for name in SLICE_VIEWS if self._isUnderMouse(name)), CORONAL)
        matrix = self.sliceNode(name).GetSliceToRAS()
        return [tuple(matrix.GetElement(row, column) for row in range(3)) for column in range(2)]

    @staticmethod
    def _isUnderMouse(name):
        widget = slicer.app.layoutManager().sliceWidget(name)
        return widget is not None and widget.sliceView().underMouse()


class _SliceState:
    """How a slice view was before."""

    def __init__(self, node):
        self._sliceToRAS = vtk.vtkMatrix4x4()
        self._sliceToRAS.DeepCopy(node.GetSliceToRAS())
        self._orientation = node.GetOrientation()
        self._slab = (
            node.GetSlabReconstructionEnabled(),
            node.GetSlabReconstructionType(),
            node.GetSlabReconstructionThickness(),
            node.GetSlabReconstructionOversamplingFactor(),
        )
        self._marker = node.GetOrientationMarkerType(), node.GetOrientationMarkerSize()
        self._spacing = node.GetSliceSpacingMode(), node.GetPrescribedSliceSpacing(), node.GetFieldOfView()[2]

    def restore(self, node):
        modifying = node.StartModify()
        enabled, kind, thickness, oversampling = self._slab
        node.SetSlabReconstructionEnabled(enabled)
        node.SetSlabReconstructionType(kind)
        node.SetSlabReconstructionThickness(thickness)
        node.SetSlabReconstructionOversamplingFactor(oversampling)
        node.SetOrientationMarkerType(self._marker[0])
        node.SetOrientationMarkerSize(self._marker[1])
        mode, spacing, depth = self._spacing
        node.SetSliceSpacingMode(mode)
        node.SetPrescribedSliceSpacing(*spacing)
        node.SetFieldOfView(*node.GetFieldOfView()[:2], depth)
        if node.GetOrientation() != self._orientation:  # also an oblique one, which has no name
            node.GetSliceToRAS().DeepCopy(self._sliceToRAS)
            node.UpdateMatrices()
        node.EndModify(modifying)


def _shows(node, position):
    """Return whether a position lies well inside a view."""
    fromXY = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), fromXY)
    pixel = fromXY.MultiplyPoint((*position, 1.0))
    return all(_MARGIN * size <= value <= (1 - _MARGIN) * size for value, size in zip(pixel, node.GetDimensions()[:2]))


def slabText(kind):
    """Return what a kind of slab is called."""
    return {"mean": _("Mean"), "maximum": _("Maximum")}[kind]
