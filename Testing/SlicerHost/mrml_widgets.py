"""Slicer's widgets that know the scene: ``qMRMLWidget`` and ``qMRMLNodeComboBox``."""

import slicer
from PySide6 import QtCore, QtWidgets

from .errors import NotImitatedError, not_imitated


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that holds the scene and tells its children when it changes."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The panel of one scripted module; ``self()`` is the Python object that filled it."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setLayout(QtWidgets.QVBoxLayout())
        self.isEntered = False
        self._python_self = None

    def setPythonSelf(self, widget):
        self._python_self = widget

    def self(self):
        return self._python_self


def _switch(name):
    """Return the Qt property for one of the switches of :class:`qMRMLNodeComboBox`."""

    def write(self, value):
        self._switches[name] = bool(value)
        if self._scene is not None:
            self._fill()

    return QtCore.Property(bool, lambda self: self._switches[name], write)


class qMRMLNodeComboBox(qMRMLWidget):
    """Selects one node of the scene.

    Only selecting is imitated. Nodes cannot be added, removed, renamed or edited here: a module must switch these off,
    as in Slicer they are on by default (the last two are off).
    """

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node_types = []
        self._switches = {
            "noneEnabled": False,
            "addEnabled": True,
            "removeEnabled": True,
            "editEnabled": False,
            "renameEnabled": False,
            "showChildNodeTypes": True,
            "showHidden": False,
            "selectNodeUponCreation": True,
        }
        self._nodes = []
        self._current = None
        self._observations = []
        self._filling = False
        self._box = QtWidgets.QComboBox(self)
        self._box.currentIndexChanged.connect(self._on_index)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)

    # Scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        for name in ("addEnabled", "removeEnabled", "editEnabled", "renameEnabled"):
            if self._switches[name]:
                raise NotImitatedError(f"SlicerHost's qMRMLNodeComboBox {self.objectName} needs {name} set to false.")
        for observed, tag in self._observations:
            observed.RemoveObserver(tag)
        self._observations = []
        super().setMRMLScene(scene)
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
                self._observations.append((scene, scene.AddObserver(event, lambda *_: self._fill())))
        self._fill()

    def _accepts(self, node):
        if node.GetHideFromEditors() and not self._switches["showHidden"]:
            return False
        if self._switches["showChildNodeTypes"]:
            return any(node.IsA(name) for name in self._node_types)
        return node.GetClassName() in self._node_types

    def _fill(self):
        """List the nodes again and keep the current one; without a "None" entry the first one is chosen for it."""
        scene = self._scene
        count = scene.GetNumberOfNodes() if scene is not None else 0
        nodes = [node for node in map(scene.GetNthNode, range(count)) if self._accepts(node)] if count else []
        self._nodes = ([None] if self._switches["noneEnabled"] else []) + nodes
        self._filling = True
        self._box.clear()
        for node in self._nodes:
            self._box.addItem("None" if node is None else node.GetName())
        self._filling = False
        current = self._current if self._current in self._nodes else None
        if current is None and not self._switches["noneEnabled"]:
            current = next(iter(nodes), None)
        self.setCurrentNode(current)

    # Current node

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node)
        index = self._nodes.index(node) if node in self._nodes else -1
        self._filling = True
        self._box.setCurrentIndex(index)
        self._filling = False
        self._make_current(self._nodes[index] if index >= 0 else None)

    def setCurrentNodeID(self, node_id):
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if node_id else None)

    def setCurrentNodeIndex(self, index):
        self.setCurrentNode(self.nodeFromIndex(index))

    def nodeFromIndex(self, index):
        return [node for node in self._nodes if node is not None][index]

    def nodeCount(self):
        return sum(node is not None for node in self._nodes)

    def _on_index(self, index):
        if not self._filling:
            self._make_current(self._nodes[index] if index >= 0 else None)

    def _make_current(self, node):
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged.emit(node)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def __getattr__(self, name):
        raise not_imitated("qMRMLNodeComboBox", name)

    # Properties, as the .ui files set them

    noneEnabled = _switch("noneEnabled")
    addEnabled = _switch("addEnabled")
    removeEnabled = _switch("removeEnabled")
    editEnabled = _switch("editEnabled")
    renameEnabled = _switch("renameEnabled")
    showChildNodeTypes = _switch("showChildNodeTypes")
    showHidden = _switch("showHidden")
    selectNodeUponCreation = _switch("selectNodeUponCreation")

    def _set_node_types(self, names):
        self._node_types = list(names)
        self._fill()

    nodeTypes = QtCore.Property("QStringList", lambda self: list(self._node_types), _set_node_types)
    currentNodeID = QtCore.Property(
        str, lambda self: self._current.GetID() if self._current is not None else "", setCurrentNodeID
    )


def install_mrml_widgets():
    """Put the widgets into the module ``slicer``."""
    for cls in (qMRMLWidget, qMRMLNodeComboBox, qSlicerScriptedLoadableModuleWidget):
        setattr(slicer, cls.__name__, cls)
