"""The main window: the module panel on the left, the views on the right."""

from PySide6 import QtCore, QtWidgets

from .errors import not_imitated

_PANEL_WIDTH = 430


class MainWindow(QtWidgets.QMainWindow):
    """Slicer's main window (``qSlicerMainWindow``), reduced to the module selector, the panel and the views."""

    def __init__(self, app):
        super().__init__()
        self._app = app
        self._current = None
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("SlicerHost (a stand-in for 3D Slicer)")
        self._selector = QtWidgets.QComboBox()
        self._selector.setIconSize(QtCore.QSize(18, 18))
        self._names = []
        for name in app.moduleManager().modulesNames():
            module = app.moduleManager().module(name)
            if hasattr(module, "widgetRepresentation") and not module.hidden:
                self._names.append(name)
                self._selector.addItem(module.icon or self.windowIcon, module.title)
        self._selector.activated.connect(lambda index: self.select_module(self._names[index]))
        self._panel = QtWidgets.QScrollArea()
        self._panel.setWidgetResizable(True)
        self._panel.setFrameShape(QtWidgets.QFrame.NoFrame)
        self._panel.setFixedWidth(_PANEL_WIDTH)
        bar = self.addToolBar("Modules")
        bar.setMovable(False)
        bar.addWidget(QtWidgets.QLabel(" Modules: "))
        bar.addWidget(self._selector)
        self._selector.setMinimumWidth(220)
        body = QtWidgets.QWidget()
        layout = QtWidgets.QHBoxLayout(body)
        layout.setContentsMargins(4, 2, 2, 2)
        layout.addWidget(self._panel)
        layout.addWidget(app.layoutManager().viewport(), 1)
        self.setCentralWidget(body)
        self.statusBar()

    def moduleSelector(self):
        return ModuleSelector(self)

    def select_module(self, name):
        """Leave the current module, enter module ``name`` and return its widget object."""
        module = self._app.moduleManager().module(name)
        panel = module.widgetRepresentation()
        widget = panel.self()
        if self._current is not panel:
            if self._current is not None:
                self._current.isEntered = False
                _call(self._current.self(), "exit")
                self._panel.takeWidget()
            self._panel.setWidget(panel)
            panel.show()
            self._current = panel
            panel.isEntered = True
            self._selector.setCurrentIndex(self._names.index(name))
            _call(widget, "enter")
        self._app.processEvents()
        return widget


class ModuleSelector:
    """The module selector of the tool bar, which opens a module; nothing else of it is imitated."""

    def __init__(self, window):
        self._window = window

    def __getattr__(self, name):
        raise not_imitated("moduleSelector()", name)

    def selectModule(self, name):
        self._window.select_module(name)


def _call(widget, name):
    """Call the method ``name`` of a module's widget if it has one: ``enter`` and ``exit`` are optional."""
    method = getattr(widget, name, None)
    if method is not None:
        method()
