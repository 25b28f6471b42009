"""The modules: loads the scripted ones as Slicer's factory does, and fills ``slicer.modules``."""

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6 import QtCore

from .errors import not_imitated
from .mrml_widgets import qSlicerScriptedLoadableModuleWidget


class CoreModule:
    """One of Slicer's C++ modules, of which only the logic exists here."""

    def __init__(self, name, logic):
        self.name = name
        self._logic = logic

    def __getattr__(self, name):
        raise not_imitated(f"modules.{self.__dict__['name'].lower()}", name)

    def logic(self):
        return self._logic


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """What Slicer knows of one scripted module: the ``parent`` of its module class."""

    def __init__(self, path):
        super().__init__()
        self.path = str(path)
        self.moduleName = path.stem
        self.title = path.stem
        self.categories = []
        self.dependencies = []
        self.contributors = []
        self.helpText = ""
        self.acknowledgementText = ""
        self.hidden = False
        self.icon = None
        self._panel = None

    def load(self):
        """Import the file and create its module class."""
        path = Path(self.path)
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        specification = importlib.util.spec_from_file_location(path.stem, path)
        self._python_module = importlib.util.module_from_spec(specification)
        sys.modules[path.stem] = self._python_module
        specification.loader.exec_module(self._python_module)
        instance = getattr(self._python_module, path.stem)(self)
        setattr(slicer.modules, path.stem.lower(), self)
        setattr(slicer.modules, path.stem + "Instance", instance)

    def widgetRepresentation(self):
        """Return the panel of the module; it is made and set up when it is first asked for."""
        if self._panel is None:
            self._panel = qSlicerScriptedLoadableModuleWidget()
            widget = getattr(self._python_module, self.moduleName + "Widget")(self._panel)
            self._panel.setPythonSelf(widget)
            setattr(slicer.modules, self.moduleName + "Widget", widget)
            widget.setup()
        return self._panel


# In Slicer the name of a module is its property ``name``; here it must not hide QObject's.
qSlicerScriptedLoadableModule.name = property(lambda self: self.moduleName)


class ModuleManager(QtCore.QObject):
    """``slicer.app.moduleManager()``."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self):
        super().__init__()
        self._modules = {}

    def __getattr__(self, name):
        raise not_imitated("app.moduleManager()", name)

    def add_core_module(self, name, logic):
        self._modules[name] = CoreModule(name, logic)
        setattr(slicer.modules, name.lower(), self._modules[name])

    def load_scripted_modules(self, paths):
        """Load the module files in the order of the list; a module's dependencies must come before it."""
        for path in map(Path, paths):
            module = qSlicerScriptedLoadableModule(path.resolve())
            module.load()
            missing = [name for name in module.dependencies if name not in self._modules]
            if missing:
                raise RuntimeError(f"{module.moduleName} depends on {missing}, which are not loaded.")
            self._modules[module.moduleName] = module

    def module(self, name):
        return self._modules.get(name)

    def modulesNames(self):
        return list(self._modules)
