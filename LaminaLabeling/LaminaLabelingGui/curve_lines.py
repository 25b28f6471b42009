"""The end vertebrae, the apex and the angle of each curve, drawn in the coronal views."""

import math

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LaminaLabelingGui import appearance
from LaminaLabelingLib.report_texts import angle_text

INNER_MM, OUTER_MM = 19.0, 48.0
"""From the middle of an end vertebra to where its line begins and ends on each side: the laminae stay free."""

APEX_MM = 3.0
"""From the middle of the apex to the corners of the mark around it."""

ABOVE_MM = 3.0
"""From the height of the apex up to its text: a click on the apex brings the line of the axial slice there."""

_COLOR = (0.35, 0.95, 1.0)
_LINE_PIXELS = 2


class CurveLines(VTKObservationMixin):
    """Draws a measurement with two nodes: a model of the lines, and a locked point list of their texts.

    No editor shows them, no scene keeps them, the mouse cannot take hold of them, and they are there only while they
    are drawn. They lie in the world, as the measurement does.

    Parameters
    ----------
    onViewsChanged : callable
        Called without arguments when another view has become coronal, or one is looked at from the other side: draw
        again then.
    """

    def __init__(self, onViewsChanged):
        VTKObservationMixin.__init__(self)
        self._onViewsChanged = onViewsChanged
        self._views = ()
        self.modelNode = None
        self.textNode = None

    def show(self, measurement, named=str):
        """Draw the curves of a measurement.

        Parameters
        ----------
        measurement : SpineMeasurement
        named : callable
            Returns what a vertebra is called in the picture.
        """
        views = _coronalViews()
        if not measurement.curves or not views:
            self.hide()
            self._watch(views)
            return
        self._need()
        self._watch(views)
        segments, texts = _drawing(measurement, named, _towardsRight(views[0]))
        self.modelNode.SetAndObservePolyData(_polyData(segments))
        _write(texts, self.textNode)
        names = [view.GetID() for view in views]
        for node in (self.modelNode, self.textNode):
            _showIn(node.GetDisplayNode(), names)

    def hide(self):
        """Take everything out of the scene, and follow the views no longer."""
        self.removeObservers()
        self._views = ()
        nodes, self.modelNode, self.textNode = (self.modelNode, self.textNode), None, None
        for node in nodes:
            appearance.removeList(node)

    def _need(self):
        """Make the nodes, also those that somebody has removed."""
        if self.modelNode is None or self.modelNode.GetScene() is None:
            self.modelNode = appearance.addHidden("vtkMRMLModelNode", _("end vertebra lines"))
            display = self.modelNode.GetDisplayNode()
            display.SetColor(*_COLOR)
            display.SetVisibility2D(True)
            display.SetVisibility3D(False)
            display.SetSliceDisplayModeToProjection()  # laminae lie at very different depths
            display.SetSliceIntersectionThickness(_LINE_PIXELS)
        if self.textNode is None or self.textNode.GetScene() is None:
            self.textNode = appearance.addHidden("vtkMRMLMarkupsFiducialNode", _("angles of the curves"))
            self.textNode.SetLocked(True)
            display = self.textNode.GetDisplayNode()
            display.SetSelectedColor(*_COLOR)
            display.SetColor(*_COLOR)
            display.SetGlyphScale(0.01)  # the texts are wanted, not the points
            display.SetTextScale(2.6)
            display.SetSliceProjection(True)
            display.SetSliceProjectionUseFiducialColor(True)
            display.SetSliceProjectionOpacity(1.0)
            display.SetVisibility3D(False)

    def _watch(self, views):
        """Notice when the views are turned."""
        self._views = _signature(views)
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if not self.hasObserver(node, vtk.vtkCommand.ModifiedEvent, self._onSliceModified):
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._onSliceModified)

    def _onSliceModified(self, caller, event):
        if _signature(_coronalViews()) != self._views:
            self._onViewsChanged()


def _coronalViews():
    return appearance.viewsOf("Coronal")


def _towardsRight(sliceNode):
    """Return 1 where a view shows the patient's right on the right, -1 where it shows it on the left."""
    return 1 if sliceNode.GetSliceToRAS().GetElement(0, 0) > 0 else -1


def _signature(views):
    return tuple((view.GetID(), _towardsRight(view)) for view in views)


def _drawing(measurement, named, right):
    """Return lines, each a sequence of points, and texts with the points that they begin at; in the world, mm."""
    segments, texts = [], []
    ends = {name for curve in measurement.curves for name in (curve.upper, curve.lower)}
    for level in measurement.levels:
        if level.vertebra in ends:
            tilt = math.radians(level.tilt.value)
            for side in (-right, right):
                segments.append([_beside(level.midpoint, side * mm, tilt) for mm in (INNER_MM, OUTER_MM)])
            texts.append((segments[-1][-1], named(level.vertebra)))
    for curve in measurement.curves:
        apex = measurement.level(curve.apex).midpoint
        corners = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)]
        segments.append([(apex[0] + APEX_MM * x, apex[1], apex[2] + APEX_MM * z) for x, z in corners])
        text = _("apex {vertebra}: {angle}").format(vertebra=named(curve.apex), angle=angle_text(curve.angle))
        beside = _beside(apex, right * OUTER_MM, 0.0)
        texts.append(((beside[0], beside[1], beside[2] + ABOVE_MM), text))
    return segments, texts


def _beside(point, distance, tilt):
    """Return a point on the line through another one that rises towards the patient's right by an angle."""
    return (point[0] + distance * math.cos(tilt), point[1], point[2] + distance * math.sin(tilt))


def _polyData(segments):
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    for segment in segments:
        lines.InsertNextCell(len(segment))
        for point in segment:
            lines.InsertCellPoint(points.InsertNextPoint(point))
    polyData = vtk.vtkPolyData()
    polyData.SetPoints(points)
    polyData.SetLines(lines)
    return polyData


def _write(texts, node):
    """Show texts with the control points of a list, of which there are as many as texts afterwards."""
    modifying = node.StartModify()
    while node.GetNumberOfControlPoints() > len(texts):
        node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)
    for index, (point, text) in enumerate(texts):
        if index == node.GetNumberOfControlPoints():
            node.AddControlPoint(point, text)
        else:
            node.SetNthControlPointPosition(index, point)
            node.SetNthControlPointLabel(index, text)
    node.EndModify(modifying)


def _showIn(display, viewIds):
    """Show a display node in these views only."""
    if list(display.GetViewNodeIDs() or ()) != viewIds:
        modifying = display.StartModify()
        display.RemoveAllViewNodeIDs()
        for viewId in viewIds:
            display.AddViewNodeID(viewId)
        display.EndModify(modifying)
