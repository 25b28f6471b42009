"""Charts of a training run as Slicer plots: nothing that Slicer does not bring is needed."""

import slicer
import vtk
from slicer.i18n import tr as _

_TAG = "LaminaUltrasound.Training"
_BLUE, _ORANGE = (0.12, 0.44, 0.70), (0.85, 0.40, 0.05)

LOSS, DISTANCE, COUNTS = "loss", "d3d", "counts"


def chartTitles():
    """Return the charts as (key, text) pairs."""
    return (
        (LOSS, _("Loss")),
        (DISTANCE, _("Distance d3D")),
        (COUNTS, _("Missed and false")),
    )


class TrainingCharts:
    """Keeps the rows of a run, and shows them in a plot view.

    The nodes are made when they are shown first, and again when a scene was closed meanwhile. They are not saved with
    the scene: the run's folder holds the log.
    """

    def __init__(self):
        self.rows = []
        self.shown = ""
        self._layoutBefore = None

    def begin(self, rows=()):
        """Start anew, with the rows that a run has already."""
        self.rows = []
        for row in rows:
            self.add(row)
        self._refresh()

    def add(self, row):
        """Add an epoch, a mapping of the log's columns; a repeated epoch takes the place of the former one."""
        self.rows = [known for known in self.rows if known["epoch"] < row["epoch"]]
        self.rows.append(dict(row))
        self._refresh()

    def show(self, key):
        """Show a chart in the plot view beside the slices; an empty key puts the views back."""
        layoutManager = slicer.app.layoutManager()
        layoutNode = layoutManager.layoutLogic().GetLayoutNode() if layoutManager is not None else None
        self.shown = key
        if not key:
            removeCharts()
            if layoutNode is not None and self._layoutBefore is not None:
                layoutNode.SetViewArrangement(self._layoutBefore)
            self._layoutBefore = None
            return
        if layoutNode is not None and layoutNode.GetViewArrangement() != layoutNode.SlicerLayoutFourUpPlotView:
            self._layoutBefore = layoutNode.GetViewArrangement()
            layoutNode.SetViewArrangement(layoutNode.SlicerLayoutFourUpPlotView)
        self._refresh()

    def _refresh(self):
        if not self.shown:
            return
        chart = _only("vtkMRMLPlotChartNode", _("Training"))
        table = _only("vtkMRMLTableNode", _("Training log"))
        _fill(table, self.rows)
        title, axis, series = _chart(self.shown)
        chart.SetTitle(title)
        chart.SetXAxisTitle(_("epoch"))
        chart.SetYAxisTitle(axis)
        chart.SetLegendVisibility(len(series) > 1)
        chart.SetYAxisLogScale(_spreads(self.rows, [column for column, _name, _color in series]))
        chart.RemoveAllPlotSeriesNodeIDs()
        for number, (column, name, color) in enumerate(series):
            node = _only("vtkMRMLPlotSeriesNode", name, str(number))
            node.SetName(name)
            node.SetAndObserveTableNodeID(table.GetID())
            node.SetXColumnName("epoch")
            node.SetYColumnName(column)
            node.SetPlotType(node.PlotTypeScatter)
            node.SetMarkerStyle(node.MarkerStyleCircle)
            node.SetLineStyle(node.LineStyleSolid)
            node.SetColor(*color)
            chart.AddAndObservePlotSeriesNodeID(node.GetID())
        slicer.app.applicationLogic().GetSelectionNode().SetActivePlotChartID(chart.GetID())
        slicer.app.applicationLogic().PropagatePlotChartSelection()


def _spreads(rows, columns):
    """Return whether values differ so much that only a logarithmic axis shows them: the centroid loss begins at 1e4."""
    values = [row[column] for row in rows for column in columns]
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)


def removeCharts():
    """Take charts and tables out of the scene."""
    for className in ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTableNode"):
        for node in slicer.util.getNodesByClass(className):
            if node.GetAttribute(_TAG) is not None:
                slicer.mrmlScene.RemoveNode(node)


def _chart(key):
    """Return the title, the title of the vertical axis, and column, name and color of each series."""
    return {
        LOSS: (
            _("Loss"),
            _("loss"),
            (("loss", _("training"), _BLUE), ("val_loss", _("validation"), _ORANGE)),
        ),
        DISTANCE: (
            _("Distance of the true laminae to the nearest found ones"),
            _("d3D, sum over a validation scan (voxels)"),
            (("val_d3d", _("d3D"), _ORANGE),),
        ),
        COUNTS: (
            _("Laminae in a validation scan"),
            _("laminae"),
            (("val_missed", _("missed"), _ORANGE), ("val_false", _("false"), _BLUE)),
        ),
    }[key]


def _only(className, name, key=""):
    """Return the node of a class that is ours and has a key; a new one if there is none."""
    for node in slicer.util.getNodesByClass(className):
        if node.GetAttribute(_TAG) == f"run {key}":
            return node
    node = slicer.mrmlScene.AddNewNodeByClass(className, name)
    node.SetAttribute(_TAG, f"run {key}")
    node.SetSaveWithScene(False)
    return node


def _fill(table, rows):
    node = vtk.vtkTable()
    for name in ("epoch", "loss", "val_loss", "val_d3d", "val_missed", "val_false"):
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for row in rows:
            column.InsertNextValue(float(row[name]))
        node.AddColumn(column)
    table.SetAndObserveTable(node)
