"""Starts the stand-in application and drives it: modules, clicks, waiting, screenshots."""

import logging
import os
import sys
import time
import types
from pathlib import Path

_logger = logging.getLogger(__name__)


class Host:
    """The running stand-in. There is one in a process: get it with :meth:`start`."""

    _running = None

    @classmethod
    def start(cls, module_paths, size=(1280, 800), testing=True):
        """Start the application with scripted modules loaded.

        Parameters
        ----------
        module_paths : sequence of pathlib.Path
            The module files, dependencies first.
        size : (int, int)
            Width and height of the main window in pixels.
        testing : bool
            Slicer's testing mode: message boxes are logged instead of shown.

        Returns
        -------
        Host
            The one host of this process; a later call returns the same, whatever its arguments.
        """
        if cls._running is None:
            cls._running = cls(module_paths, size, testing)
        return cls._running

    def __init__(self, module_paths, size, testing):
        # No display is needed: Qt paints into memory and VTK renders through EGL.
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        from PySide6 import QtCore

        from .ctk_widgets import install_ctk
        from .pythonqt import dress_pyside, install_qt

        dress_pyside()
        QtCore.qInstallMessageHandler(lambda kind, context, text: _logger.debug("Qt: %s", text))
        import slicer

        from .application import qSlicerApplication
        from .main_window import MainWindow
        from .mrml_widgets import install_mrml_widgets
        from .ui_loader import SlicerUiLoader

        install_qt(SlicerUiLoader)
        install_ctk()
        # slicer-core looks for further parts of the package "slicer" on its __path__.
        slicer.__path__.append(str(Path(__file__).parent / "modules"))
        slicer.modules = types.SimpleNamespace()
        install_mrml_widgets()
        self.app = qSlicerApplication()
        slicer.app = self.app
        slicer.mrmlScene = self.app.mrmlScene()
        self._install_submodules(slicer)
        self.app.build()
        self._slot_errors = []
        sys.excepthook = self._on_exception
        self.app.setTestingEnabled(testing)
        self.app.moduleManager().load_scripted_modules(module_paths)
        self.window = MainWindow(self.app)
        self.window.resize(*size)
        self.window.show()
        self.app.startupCompleted.emit()
        self.process_events()

    @staticmethod
    def _install_submodules(slicer):
        import slicer.i18n
        import slicer.packaging
        import slicer.parameterNodeWrapper
        import slicer.SampleData
        import slicer.ScriptedLoadableModule

        from .modules_manager import qSlicerScriptedLoadableModule

        slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
        sys.modules["SampleData"] = slicer.SampleData  # a module of its own in Slicer

    def _on_exception(self, kind, error, trace):
        """Keep what a slot raised: Slicer prints it to the Python console and goes on, and so does Qt here."""
        self._slot_errors.append(error)
        sys.__excepthook__(kind, error, trace)

    def take_slot_errors(self):
        """Return the exceptions that slots raised since the last call, and forget them."""
        errors, self._slot_errors = self._slot_errors, []
        return errors

    # Modules

    def select_module(self, name):
        """Open a module, as the module menu does, and return its widget object (``<Name>Widget``)."""
        return self.window.select_module(name)

    # Events

    def process_events(self):
        """Run everything that is due in the event loop."""
        self.app.processEvents()

    def in_event_loop(self, function, interval=0):
        """Call ``function()`` from a running event loop, as Slicer calls everything, until it returns something true.

        Outside of one, ``deleteLater`` would delete a message box at the moment that it is shown. What the function
        raises comes out of this call.
        """
        from PySide6 import QtCore

        loop = QtCore.QEventLoop()
        timer = QtCore.QTimer()
        outcome = []

        def call():
            timer.stop()
            try:
                outcome[:] = [function(), None]
            except BaseException as error:
                outcome[:] = [None, error]
            if outcome[0] or outcome[1]:
                loop.quit()
            else:
                timer.start(interval)

        timer.timeout.connect(call)
        timer.start(0)
        loop.exec()
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def wait_until(self, condition, timeout=120.0):
        """Run the event loop until ``condition()`` holds.

        Raises
        ------
        TimeoutError
            After ``timeout`` seconds: a hang must end a test, not block it.
        """
        end = time.monotonic() + timeout

        def check():
            if condition():
                return True
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout:.0f} s in vain")
            return False

        self.in_event_loop(check, interval=10)

    def click(self, widget, position=None):
        """Click a widget with the left button, at its center or at (x, y) pixels from its top left corner."""
        from PySide6 import QtCore, QtTest

        self.process_events()  # a layout that is being made may still move the widget

        def press_and_release():
            point = QtCore.QPoint(*position) if position is not None else widget.rect.center()
            QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, point)
            return True

        self.in_event_loop(press_and_release)
        self.process_events()

    # Pictures

    def screenshot(self, path):
        """Write the main window to a PNG file."""
        for name in self.app.layoutManager().sliceViewNames():
            self.app.layoutManager().sliceWidget(name).sliceView().forceRender()
        self.process_events()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not self.window.grab().save(str(path)):
            raise OSError(f"{path} could not be written")
