"""The layout of the views: a large coronal one, with the sagittal and the axial one beside it."""

import slicer
import vtk
from PySide6 import QtWidgets

from .errors import not_imitated
from .slice_view import qMRMLSliceWidget, register_displayable_managers

# Slicer's names, letters and colors of its three slice views.
_VIEWS = (
    ("Red", "R", "Axial", (0.953, 0.290, 0.200)),
    ("Yellow", "Y", "Sagittal", (0.929, 0.835, 0.298)),
    ("Green", "G", "Coronal", (0.431, 0.690, 0.294)),
)


class qSlicerLayoutManager:
    """The three slice views of Slicer. The arrangement is fixed: there is no 3D view, table or plot."""

    def __init__(self, application_logic, scene):
        register_displayable_managers(application_logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logics = vtk.vtkCollection()
        self._widgets = {}
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
            self._widgets[name] = qMRMLSliceWidget(logic)
        application_logic.SetSliceLogics(self._logics)
        self._viewport = self._arrange()

    def __getattr__(self, name):
        raise not_imitated("app.layoutManager()", name)

    def _arrange(self):
        viewport = QtWidgets.QWidget()
        layout = QtWidgets.QGridLayout(viewport)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self._widgets["Green"], 0, 0, 2, 1)
        layout.addWidget(self._widgets["Yellow"], 0, 1)
        layout.addWidget(self._widgets["Red"], 1, 1)
        layout.setColumnStretch(0, 1)
        layout.setColumnStretch(1, 1)
        layout.setRowStretch(0, 3)
        layout.setRowStretch(1, 2)
        return viewport

    def viewport(self):
        return self._viewport

    def sliceViewNames(self):
        return list(self._widgets)

    def sliceWidget(self, name):
        return self._widgets.get(name)

    def mrmlSliceLogics(self):
        return self._logics

    def resetSliceViews(self):
        for widget in self._widgets.values():
            widget.fitSliceToBackground()

    def setRenderPaused(self, paused):
        for widget in self._widgets.values():
            widget.sliceView().setRenderPaused(paused)

    threeDViewCount = 0
