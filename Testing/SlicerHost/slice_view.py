"""A slice view: Slicer's slice logic and displayable managers, rendered by EGL into a plain Qt widget."""

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util import numpy_support

from .errors import not_imitated

DISPLAYABLE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)

_MOUSE_BUTTONS = {
    QtCore.Qt.LeftButton: "LeftButton",
    QtCore.Qt.MiddleButton: "MiddleButton",
    QtCore.Qt.RightButton: "RightButton",
}


def register_displayable_managers(application_logic):
    """Tell MRML's factory which displayable managers a slice view has. Once for the process."""
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(application_logic)
    for name in DISPLAYABLE_MANAGERS:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)


class qMRMLSliceView(QtWidgets.QWidget):
    """Draws one slice with everything that lies on it, and hands the mouse to MRML's interactor style."""

    def __init__(self, slice_logic, parent=None):
        super().__init__(parent)
        self._slice_logic = slice_logic
        self._picture = None
        self._paused = False
        self._build_pipeline()
        self.setMinimumSize(80, 80)
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.StrongFocus)

    def _build_pipeline(self):
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(0)
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())  # one that does nothing of its own
        # The slice logic makes an 8 bit picture of the size of the view: this mapper only shows it.
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image_actor = vtk.vtkActor2D()
        self._image_actor.SetMapper(self._mapper)
        self._image_actor.GetProperty().SetDisplayLocationToBackground()
        self._image_actor.VisibilityOff()
        self._renderer.AddViewProp(self._image_actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._managers = factory.InstantiateDisplayableManagers(self._renderer)
        self._managers.SetMRMLDisplayableNode(self._slice_logic.GetSliceNode())
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetInteractor(self._interactor)
        self._style.SetSliceLogic(self._slice_logic)
        self._style.SetDisplayableManagers(self._managers)
        self._interactor.Initialize()
        self._managers.AddObserver("AnyEvent", lambda *_: self.scheduleRender())
        self._slice_logic.AddObserver("ModifiedEvent", lambda *_: self.scheduleRender())
        self._slice_logic.GetSliceNode().AddObserver("ModifiedEvent", lambda *_: self.scheduleRender())

    def __getattr__(self, name):
        raise not_imitated("qMRMLSliceView", name)

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def mrmlSliceNode(self):
        return self._slice_logic.GetSliceNode()

    def displayableManagerByClassName(self, name):
        count = self._managers.GetDisplayableManagerCount()
        managers = (self._managers.GetNthDisplayableManager(index) for index in range(count))
        return next((manager for manager in managers if manager.IsA(name)), None)

    # Rendering

    def setRenderPaused(self, paused):
        self._paused = paused
        if not paused:
            self.scheduleRender()

    def scheduleRender(self):
        """Draw again when the event loop comes round."""
        self._picture = None
        if not self._paused:
            self.update()

    def forceRender(self):
        """Draw now."""
        connection = self._slice_logic.GetImageDataConnection()
        self._image_actor.SetVisibility(connection is not None)
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self._window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._window)
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        pixels = grabber.GetOutput()
        width, height, _ = pixels.GetDimensions()
        rgb = numpy_support.vtk_to_numpy(pixels.GetPointData().GetScalars()).reshape(height, width, 3)
        top_down = rgb[::-1].copy()
        self._picture = QtGui.QImage(
            top_down.data, width, height, 3 * width, QtGui.QImage.Format_RGB888
        ).copy()  # the array does not outlive this call

    def paintEvent(self, event):
        if self._picture is None:
            self.forceRender()
        painter = QtGui.QPainter(self)
        painter.drawImage(0, 0, self._picture)
        painter.end()

    def resizeEvent(self, event):
        width, height = self.width, self.height
        self._window.SetSize(width, height)
        self._interactor.UpdateSize(width, height)
        self._slice_logic.ResizeSliceNode(width, height)
        self.scheduleRender()

    # Mouse and keyboard

    def _tell_interactor(self, position, modifiers, repeat=0, key="\0"):
        self._interactor.SetEventInformation(
            round(position.x()),
            self.height - 1 - round(position.y()),
            int(bool(modifiers & QtCore.Qt.ControlModifier)),
            int(bool(modifiers & QtCore.Qt.ShiftModifier)),
            key,
            repeat,
            None,
        )
        self._interactor.SetAltKey(int(bool(modifiers & QtCore.Qt.AltModifier)))

    def _mouse(self, event, what, repeat=0):
        self._tell_interactor(event.position(), event.modifiers(), repeat)
        button = _MOUSE_BUTTONS.get(event.button())
        if button is not None:
            self._interactor.InvokeEvent(f"{button}{what}Event")

    def mousePressEvent(self, event):
        self._mouse(event, "Press")

    def mouseReleaseEvent(self, event):
        self._mouse(event, "Release")

    def mouseDoubleClickEvent(self, event):
        self._mouse(event, "DoubleClick", repeat=1)

    def mouseMoveEvent(self, event):
        self._tell_interactor(event.position(), event.modifiers())
        self._interactor.InvokeEvent("MouseMoveEvent")

    def wheelEvent(self, event):
        self._tell_interactor(event.position(), event.modifiers())
        forward = event.angleDelta().y() > 0
        self._interactor.InvokeEvent("MouseWheelForwardEvent" if forward else "MouseWheelBackwardEvent")

    def enterEvent(self, event):
        self._tell_interactor(event.position(), QtCore.Qt.NoModifier)
        self._interactor.InvokeEvent("EnterEvent")

    def leaveEvent(self, event):
        self._interactor.InvokeEvent("LeaveEvent")


class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view under its controller bar: the letter of the view, a slider and the offset."""

    def __init__(self, slice_logic, parent=None):
        super().__init__(parent)
        self._slice_logic = slice_logic
        self._view = qMRMLSliceView(slice_logic, self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._controller_bar())
        layout.addWidget(self._view, 1)
        slice_logic.GetSliceNode().AddObserver("ModifiedEvent", lambda *_: self._show_offset())
        slice_logic.AddObserver("ModifiedEvent", lambda *_: self._show_offset())
        self._show_offset()

    def __getattr__(self, name):
        raise not_imitated("qMRMLSliceWidget", name)

    def _controller_bar(self):
        node = self._slice_logic.GetSliceNode()
        red, green, blue = (round(255 * channel) for channel in node.GetLayoutColor())
        bar = QtWidgets.QFrame()
        bar.setFixedHeight(24)
        label = QtWidgets.QLabel(node.GetLayoutLabel())
        label.setAlignment(QtCore.Qt.AlignCenter)
        label.setFixedWidth(22)
        label.setStyleSheet(f"background: rgb({red},{green},{blue}); color: black; font-weight: bold")
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._slider.setRange(0, 1000)
        self._slider.valueChanged.connect(self._on_slider)
        self._offset = QtWidgets.QLabel()
        self._offset.setMinimumWidth(86)
        self._offset.setAlignment(QtCore.Qt.AlignRight | QtCore.Qt.AlignVCenter)
        layout = QtWidgets.QHBoxLayout(bar)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.addWidget(label)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._offset)
        return bar

    def _offset_range(self):
        bounds = [0.0] * 6
        self._slice_logic.GetLowestVolumeSliceBounds(bounds)
        return bounds[4], bounds[5]

    def _show_offset(self):
        lowest, highest = self._offset_range()
        offset = self._slice_logic.GetSliceOffset()
        blocked = self._slider.blockSignals(True)
        if highest > lowest:
            self._slider.setValue(round(1000 * (offset - lowest) / (highest - lowest)))
        self._slider.blockSignals(blocked)
        # The letter of the direction that the slice moves along, as Slicer prefixes it.
        axis = {"Axial": "SI", "Coronal": "AP", "Sagittal": "LR"}.get(self.mrmlSliceNode().GetOrientation(), "  ")
        self._offset.setText(f"{axis[0] if offset >= 0 else axis[1]}: {abs(offset):.2f}mm")

    def _on_slider(self, value):
        lowest, highest = self._offset_range()
        self._slice_logic.SetSliceOffset(lowest + (highest - lowest) * value / 1000)

    def sliceLogic(self):
        return self._slice_logic

    def sliceView(self):
        return self._view

    def mrmlSliceNode(self):
        return self._slice_logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._slice_logic.GetSliceCompositeNode()

    def fitSliceToBackground(self):
        self._slice_logic.FitSliceToBackground()
