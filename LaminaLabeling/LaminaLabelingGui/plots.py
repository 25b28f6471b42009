"""The Bland-Altman plot as a Slicer plot: nothing that Slicer does not bring is needed."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

_POINTS, _LINES = (0.12, 0.44, 0.70), (0.75, 0.30, 0.10)
_TAG = "LaminaUltrasound.BlandAltman"


def showBlandAltman(blandAltman, title, xTitle, yTitle):
    """Show a Bland-Altman plot in the plot view, in place of the former one; return the chart.

    Parameters
    ----------
    blandAltman : agreement.BlandAltman
    title, xTitle, yTitle : str
    """
    removePlot()
    chart = _node("vtkMRMLPlotChartNode", title)
    chart.SetTitle(title)
    chart.SetXAxisTitle(xTitle)
    chart.SetYAxisTitle(yTitle)
    chart.SetLegendVisibility(False)  # it would hide points; the title says what the lines are
    means, differences = np.asarray(blandAltman.means), np.asarray(blandAltman.differences)
    points = _series(_("laminae"), means, differences, blandAltman.names)
    points.SetPlotType(points.PlotTypeScatter)
    points.SetLineStyle(points.LineStyleNone)
    points.SetMarkerStyle(points.MarkerStyleCircle)
    points.SetColor(*_POINTS)
    chart.AddAndObservePlotSeriesNodeID(points.GetID())
    ends = (
        np.array([means.min(), means.max()])
        if means.size and np.ptp(means) > 0
        else np.array([-1.0, 1.0]) + (means.mean() if means.size else 0.0)
    )
    for name, value in (
        (_("bias"), blandAltman.bias),
        (_("+1.96 SD"), blandAltman.upper),
        (_("-1.96 SD"), blandAltman.lower),
    ):
        if not np.isfinite(value):
            continue
        line = _series(f"{name}: {value:.2f}", ends, np.full(2, value))
        line.SetPlotType(line.PlotTypeScatter)
        line.SetMarkerStyle(line.MarkerStyleNone)
        line.SetLineStyle(line.LineStyleSolid if value == blandAltman.bias else line.LineStyleDash)
        line.SetColor(*_LINES)
        chart.AddAndObservePlotSeriesNodeID(line.GetID())
    slicer.app.applicationLogic().GetSelectionNode().SetActivePlotChartID(chart.GetID())
    slicer.app.applicationLogic().PropagatePlotChartSelection()
    return chart


def removePlot():
    """Take the plot and its tables out of the scene."""
    for className in ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTableNode"):
        for node in slicer.util.getNodesByClass(className):
            if node.GetAttribute(_TAG):
                slicer.mrmlScene.RemoveNode(node)


def _series(name, x, y, labels=None):
    """Return a series over a table of its own."""
    table = _node("vtkMRMLTableNode", name)
    columns = [_column("x", x), _column("y", y)]
    if labels is not None:
        texts = vtk.vtkStringArray()
        texts.SetName("lamina")
        for label in labels:
            texts.InsertNextValue(label)
        columns.append(texts)
    for column in columns:
        table.AddColumn(column)
    series = _node("vtkMRMLPlotSeriesNode", name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    if labels is not None:
        series.SetLabelColumnName("lamina")
    return series


def _column(name, values):
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(float(value))
    return column


def _node(className, name):
    node = slicer.mrmlScene.AddNewNodeByClass(className, name)
    node.SetAttribute(_TAG, "1")
    node.SetSaveWithScene(False)
    return node
