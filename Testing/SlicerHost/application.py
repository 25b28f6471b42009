"""``slicer.app``: the application, its scene, its logics and the reading of volumes."""

import os
import tempfile
from pathlib import Path

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .errors import NotImitatedError, not_imitated
from .layout import qSlicerLayoutManager
from .modules_manager import ModuleManager

_VOLUME_ENDINGS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")


class qSlicerApplication(QtWidgets.QApplication):
    """The application object. Everything that is not written here raises ``NotImplementedError``."""

    applicationName = "Slicer"
    startupCompleted = QtCore.Signal()

    def __init__(self):
        super().__init__(["SlicerHost"])
        self.setStyle("Fusion")
        self._testing = False
        self._temporary = tempfile.TemporaryDirectory(prefix="SlicerHost-")
        self.temporaryPath = self._temporary.name
        # The settings of one run are its own: nothing is read from or written to the user's files.
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, self.temporaryPath)
        self._scene = slicer.vtkMRMLScene()
        # Scene bundles (.mrb) are unpacked into the cache.
        cache = slicer.vtkCacheManager()
        cache.SetRemoteCacheDirectory(str(Path(self.temporaryPath) / "cache"))
        data_io = slicer.vtkDataIOManager()
        data_io.SetCacheManager(cache)
        self._scene.SetCacheManager(cache)
        self._scene.SetDataIOManager(data_io)
        self._application_logic = slicer.vtkSlicerApplicationLogic()
        self._application_logic.SetMRMLScene(self._scene)
        self._modules = ModuleManager()
        self._io = CoreIOManager(self)
        self._layout_manager = None

    def __getattr__(self, name):
        raise not_imitated("app", name)

    def build(self):
        """Make the logics of the core modules and the views. Separate from the constructor, as they use ``slicer``."""
        for name, logic in (
            ("Colors", slicer.vtkMRMLColorLogic()),
            ("Markups", slicer.vtkSlicerMarkupsLogic()),
            ("Volumes", slicer.vtkSlicerVolumesLogic()),
        ):
            logic.SetMRMLApplicationLogic(self._application_logic)
            self._application_logic.SetModuleLogic(name, logic)
            logic.SetMRMLScene(self._scene)
            self._modules.add_core_module(name, logic)
        self._application_logic.SetColorLogic(self._application_logic.GetModuleLogic("Colors"))
        self._keep_subject_hierarchy()
        self._layout_manager = qSlicerLayoutManager(self._application_logic, self._scene)

    def _keep_subject_hierarchy(self):
        """Give every data node an item of the subject hierarchy, as Slicer's plugin logic does."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def add_item(caller, event, node):
            if node.IsA("vtkMRMLDisplayableNode") and not node.GetHideFromEditors():
                hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)
                if not hierarchy.GetItemByDataNode(node):
                    hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

        self._scene.AddObserver(self._scene.NodeAddedEvent, add_item)

    # What scripted modules ask for

    def mrmlScene(self):
        return self._scene

    def applicationLogic(self):
        return self._application_logic

    def layoutManager(self):
        return self._layout_manager

    def moduleManager(self):
        return self._modules

    def coreIOManager(self):
        return self._io

    def ioManager(self):
        return self._io

    def testingEnabled(self):
        return self._testing

    def setTestingEnabled(self, enabled):
        """Switch the testing mode (an option of the command line in Slicer): message boxes are then only logged."""
        self._testing = enabled

    def settings(self):
        return QtCore.QSettings()

    userSettings = settings

    def startupEnvironment(self):
        """Return the environment without the launcher's variables: there is no launcher that added any."""
        return QtCore.QProcessEnvironment.systemEnvironment()

    def pauseRender(self):
        self._layout_manager.setRenderPaused(True)

    def resumeRender(self):
        self._layout_manager.setRenderPaused(False)

    def restart(self):
        raise NotImitatedError("SlicerHost cannot restart itself.")


class CoreIOManager:
    """Reads volumes with Slicer's own volumes logic. Other files, and writing, are not imitated."""

    def __init__(self, application):
        self._application = application

    def __getattr__(self, name):
        raise not_imitated("app.coreIOManager()", name)

    def fileType(self, path):
        if str(path).lower().endswith(_VOLUME_ENDINGS):
            return "VolumeFile"
        raise NotImitatedError(f"SlicerHost reads volumes only, not {os.fspath(path)}.")

    def loadNodes(self, file_type, properties, loaded=None, messages=None):
        """Load one volume, show it in the slice views and fit them; False if it could not be read."""
        unknown = set(properties) - {"fileName", "name", "show"}
        if file_type != "VolumeFile" or unknown:
            raise NotImitatedError(f"SlicerHost cannot load {file_type} with {sorted(unknown)}.")
        path = Path(properties["fileName"])
        logic = self._application.applicationLogic().GetModuleLogic("Volumes")
        node = logic.AddArchetypeVolume(str(path), properties.get("name", path.name.partition(".")[0]))
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        if properties.get("show", True):
            application_logic = self._application.applicationLogic()
            application_logic.GetSelectionNode().SetActiveVolumeID(node.GetID())
            application_logic.PropagateVolumeSelection()
        return True
