"""The layout manager: slice and plot views, arranged as the layout node describes in XML."""

import xml.etree.ElementTree as ElementTree

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .errors import NotImitatedError, not_imitated
from .plot_view import qMRMLPlotWidget
from .slice_view import qMRMLSliceWidget, register_displayable_managers

# Slicer's names, letters and colors of its three slice views.
_VIEWS = (
    ("Red", "R", "Axial", (0.953, 0.290, 0.200)),
    ("Yellow", "Y", "Sagittal", (0.929, 0.835, 0.298)),
    ("Green", "G", "Coronal", (0.431, 0.690, 0.294)),
)


class qSlicerLayoutManager:
    """The three slice views and one plot view of Slicer.

    An arrangement that is made of these is shown as its description says. Where one has a view that is not imitated
    (3D, tables), that place says so.
    """

    def __init__(self, application_logic, scene):
        register_displayable_managers(application_logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logics = vtk.vtkCollection()
        logics = {}
        for name, letter, orientation, color in _VIEWS:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(application_logic)
            logic.SetMRMLScene(scene)
            node = logic.AddSliceNode(name)
            node.SetLayoutLabel(letter)
            node.SetLayoutColor(*color)
            node.SetOrientation(orientation)
            node.SetMappedInLayout(True)
            self._logics.AddItem(logic)
            logics[name] = logic
        # The views look here for the slices whose intersections they draw.
        application_logic.SetSliceLogics(self._logics)
        self._widgets = {name: qMRMLSliceWidget(logic) for name, logic in logics.items()}
        self._plot = qMRMLPlotWidget(scene)
        self._viewport = QtWidgets.QWidget()
        self._viewport.setLayout(QtWidgets.QVBoxLayout())
        self._viewport.layout().setContentsMargins(0, 0, 0, 0)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._shown = None
        layout_node = self._logic.GetLayoutNode()
        layout_node.SetViewArrangement(layout_node.SlicerLayoutFourUpView)
        layout_node.AddObserver("ModifiedEvent", lambda *_: self._arrange())
        self._arrange()

    def __getattr__(self, name):
        raise not_imitated("app.layoutManager()", name)

    def layoutLogic(self):
        return self._logic

    def setLayout(self, number):
        self._logic.GetLayoutNode().SetViewArrangement(number)

    @property
    def layout(self):
        return self._logic.GetLayoutNode().GetViewArrangement()

    def _arrange(self):
        """Build the arrangement anew when its description has changed."""
        description = self._logic.GetLayoutNode().GetCurrentLayoutDescription()
        if not description or description == self._shown:
            return
        self._shown = description
        holder = self._viewport.layout()
        for widget in (*self._widgets.values(), self._plot):
            widget.hide()
            widget.setParent(self._viewport)
        while holder.count():
            holder.takeAt(0).widget().deleteLater()
        holder.addWidget(self._build(ElementTree.fromstring(description)))

    def _build(self, element):
        if element.tag == "view":
            return self._view(element)
        if element.get("type") not in ("horizontal", "vertical"):
            raise NotImitatedError(f"SlicerHost cannot arrange views as {element.get('type')}.")
        horizontal = element.get("type") == "horizontal"
        splitter = QtWidgets.QSplitter(QtCore.Qt.Horizontal if horizontal else QtCore.Qt.Vertical)
        sizes = []
        for item in element.findall("item"):
            splitter.addWidget(self._build(item[0]))
            sizes.append(int(item.get("splitSize", "500")))
        splitter.setSizes(sizes)
        for index, size in enumerate(sizes):
            splitter.setStretchFactor(index, size)
        return splitter

    def _view(self, element):
        name = element.get("singletontag")
        widget = self._widgets.get(name)
        if element.get("class") == "vtkMRMLPlotViewNode":
            widget = self._plot
        if widget is None:
            widget = QtWidgets.QLabel(f"{element.get('class')} {name}: not imitated")
            widget.setAlignment(QtCore.Qt.AlignCenter)
            return widget
        widget.show()
        return widget

    def viewport(self):
        return self._viewport

    def sliceViewNames(self):
        return list(self._widgets)

    def sliceWidget(self, name):
        return self._widgets.get(name)

    plotViewCount = 1

    def plotWidget(self, index):
        return self._plot if index == 0 else None

    def mrmlSliceLogics(self):
        return self._logics

    def resetSliceViews(self):
        for widget in self._widgets.values():
            widget.fitSliceToBackground()

    def setRenderPaused(self, paused):
        for widget in self._widgets.values():
            widget.sliceView().setRenderPaused(paused)

    threeDViewCount = 0
