"""A plot view: draws the active plot chart with VTK's charts, as Slicer does, into a plain Qt widget."""

import slicer
import vtk
from PySide6 import QtGui, QtWidgets
from vtk.util import numpy_support

from .errors import NotImitatedError, not_imitated

_LINE_STYLES = {"none": vtk.vtkPen.NO_PEN, "solid": vtk.vtkPen.SOLID_LINE, "dash": vtk.vtkPen.DASH_LINE}
_MARKERS = {"none": vtk.vtkPlotPoints.NONE, "circle": vtk.vtkPlotPoints.CIRCLE}


class qMRMLPlotWidget(QtWidgets.QWidget):
    """Shows the chart that is active in the selection node. Only scatter series are imitated."""

    def __init__(self, scene, parent=None):
        super().__init__(parent)
        self._scene = scene
        self.setMinimumSize(120, 80)

    def __getattr__(self, name):
        raise not_imitated("qMRMLPlotWidget", name)

    def chart(self):
        """Return the chart node that is shown, or None."""
        selection = slicer.app.applicationLogic().GetSelectionNode()
        node_id = selection.GetActivePlotChartID() if selection is not None else None
        return self._scene.GetNodeByID(node_id) if node_id else None

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        chart = self.chart()
        if chart is None:
            painter.fillRect(self.rect, QtGui.QColor("white"))
        else:
            painter.drawImage(0, 0, self._draw(chart))
        painter.end()

    def _draw(self, node):
        view = vtk.vtkContextView()
        window = vtk.vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.SetMultiSamples(0)
        window.SetSize(self.width, self.height)
        view.SetRenderWindow(window)
        view.GetRenderer().SetBackground(1.0, 1.0, 1.0)
        chart = vtk.vtkChartXY()
        view.GetScene().AddItem(chart)
        chart.SetTitle(node.GetTitle())
        chart.SetShowLegend(node.GetLegendVisibility())
        chart.GetAxis(0).SetTitle(node.GetYAxisTitle())
        chart.GetAxis(0).SetLogScale(node.GetYAxisLogScale())
        chart.GetAxis(1).SetTitle(node.GetXAxisTitle())
        for index in range(node.GetNumberOfPlotSeriesNodes()):
            _add_series(chart, node.GetNthPlotSeriesNode(index))
        window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        pixels = grabber.GetOutput()
        width, height, _ = pixels.GetDimensions()
        rgb = numpy_support.vtk_to_numpy(pixels.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()
        return QtGui.QImage(rgb.data, width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()


def _add_series(chart, series):
    """Add one series to a VTK chart."""
    if series.GetPlotType() != series.PlotTypeScatter:
        raise NotImitatedError("SlicerHost draws scatter series only.")
    has_line = series.GetLineStyle() != series.LineStyleNone
    plot = chart.AddPlot(vtk.vtkChart.LINE if has_line else vtk.vtkChart.POINTS)
    plot.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
    plot.SetLabel(series.GetName())
    plot.GetPen().SetColorF(*series.GetColor())
    plot.GetPen().SetWidth(series.GetLineWidth())
    plot.GetPen().SetLineType(_LINE_STYLES[series.GetLineStyleAsString(series.GetLineStyle())])
    plot.SetMarkerStyle(_MARKERS[series.GetMarkerStyleAsString(series.GetMarkerStyle())])
    plot.SetMarkerSize(series.GetMarkerSize())
