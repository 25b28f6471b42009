"""``slicer.parameterNodeWrapper``: typed attributes over a parameter node, connected to widgets.

Imitated are parameters of type ``str``, ``bool``, ``int``, ``float`` and of MRML node classes, the annotations
``Choice`` and ``WithinRange``, and defaults given with ``=``. Another type raises ``NotImplementedError``.
"""

import typing

import qt
import slicer
import vtk

__all__ = ["Choice", "WithinRange", "parameterNodeWrapper"]

_READERS = {str: str, int: int, float: float, bool: lambda text: text == "True"}


class Choice:
    """Annotation: the value is one of ``choices``."""

    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value must be one of {self.choices}, is '{value}'")


class WithinRange:
    """Annotation: the value lies between two bounds, inclusive."""

    def __init__(self, minimum, maximum):
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within {self.minimum} and {self.maximum}, is {value}")


class _Parameter:
    """One attribute of a wrapper class (a Python descriptor)."""

    def __init__(self, name, annotation, default):
        self.name = name
        self.type = annotation
        self.choice = self.range = None
        if typing.get_origin(annotation) is typing.Annotated:
            self.type, *extras = typing.get_args(annotation)
            for extra in extras:
                if isinstance(extra, Choice):
                    self.choice = extra
                elif isinstance(extra, WithinRange):
                    self.range = extra
                else:
                    raise NotImplementedError(f"SlicerHost does not imitate the annotation {extra!r}.")
        self.is_node = isinstance(self.type, type) and issubclass(self.type, slicer.vtkMRMLNode)
        if not self.is_node and self.type not in _READERS:
            raise NotImplementedError(f"SlicerHost does not imitate parameters of type {annotation}.")
        self.default = default if default is not None or self.is_node else self.type()

    def __get__(self, wrapper, owner=None):
        if wrapper is None:
            return self
        node = wrapper.parameterNode
        if self.is_node:
            return node.GetNodeReference(self.name)
        return _READERS[self.type](node.GetParameter(self.name))

    def __set__(self, wrapper, value):
        for rule in filter(None, (self.choice, self.range)):
            rule.validate(value)
        node = wrapper.parameterNode
        if self.is_node:
            if value is not None and not isinstance(value, self.type):
                raise TypeError(f"{self.name} must be a {self.type.__name__}")
            with slicer.util.NodeModify(node):
                node.SetParameter(self.name, "")
                node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif not isinstance(value, (int, float) if self.type is float else self.type):
            raise TypeError(f"{self.name} must be a {self.type.__name__}, not {value!r}")
        else:
            node.SetParameter(self.name, str(value))


class _Wrapper:
    """The methods that the decorator adds."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connections = {}
        self._updating = False
        for name, parameter in self.allParameters.items():
            if not parameterNode.HasParameter(name):
                setattr(self, name, parameter.default)
        self._tag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._write_widgets())

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        return self.parameterNode.EndModify(wasModified)

    def connectGui(self, gui):
        """Connect the widgets that carry a ``SlicerParameterName``. No tag comes back, as in Slicer (issue 7547)."""
        widgets = gui.findChildren(qt.QWidget) if isinstance(gui, qt.QWidget) else list(vars(gui).values())
        named = [(widget.property("SlicerParameterName"), widget) for widget in widgets]
        self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping):
        """Connect parameters with widgets; return a tag for :meth:`disconnectGui`."""
        connectors = [_connector(widget, name, self.allParameters[name]) for name, widget in mapping.items()]
        tag = len(self._connections)
        self._connections[tag] = connectors
        self._write_widgets()
        for connector in connectors:
            connector.start(self)
        return tag

    def disconnectGui(self, tag):
        for connector in self._connections.pop(tag, ()):
            connector.stop()

    def _write_widgets(self):
        if self._updating:
            return
        self._updating = True
        try:
            for connectors in self._connections.values():
                for connector in connectors:
                    connector.write(getattr(self, connector.name))
        finally:
            self._updating = False


def _connector(widget, name, parameter):
    """Return the connector for a widget and a parameter; the pairs are those that Slicer knows."""
    kind = type(widget)
    if kind is qt.QCheckBox and parameter.type is bool:
        return _Connector(name, widget.toggled, lambda: widget.checked, widget.setChecked)
    if kind is qt.QLineEdit and parameter.type is str:
        return _Connector(name, widget.textChanged, lambda: widget.text, widget.setText)
    if kind is qt.QSpinBox and parameter.type is int:
        return _Connector(name, widget.valueChanged, lambda: widget.value, widget.setValue)
    if kind is qt.QDoubleSpinBox and parameter.type is float:
        # As in Slicer: the limits of the .ui file do not count.
        limits = parameter.range or WithinRange(float("-inf"), float("inf"))
        widget.setRange(limits.minimum, limits.maximum)
        return _Connector(name, widget.valueChanged, lambda: widget.value, widget.setValue)
    if kind is slicer.qMRMLNodeComboBox and parameter.is_node:
        widget.nodeTypes = [parameter.type.__name__]
        return _Connector(name, widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)
    if kind is qt.QComboBox and parameter.choice is not None:
        choices = parameter.choice.choices
        widget.clear()
        widget.addItems([str(choice) for choice in choices])
        return _Connector(
            name,
            widget.currentIndexChanged,
            lambda: choices[widget.currentIndex],
            lambda value: widget.setCurrentIndex(choices.index(value)),
        )
    raise RuntimeError(f"Unable to create GUI connector from {parameter.type} to widget type {kind}")


class _Connector:
    """Keeps one widget and one parameter equal."""

    def __init__(self, name, signal, read, write):
        self.name = name
        self.read = read
        self.write = write
        self._signal = signal
        self._slot = None

    def start(self, wrapper):
        def to_parameter(*_):
            if not wrapper._updating:
                setattr(wrapper, self.name, self.read())

        self._slot = to_parameter
        self._signal.connect(to_parameter)

    def stop(self):
        self._signal.disconnect(self._slot)


def parameterNodeWrapper(cls):
    """Class decorator: turn the annotations of ``cls`` into parameters of a ``vtkMRMLScriptedModuleNode``."""
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: _Parameter(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}
    for name, parameter in parameters.items():
        setattr(cls, name, parameter)
    cls.allParameters = parameters
    for name, method in vars(_Wrapper).items():
        if name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__"):
            setattr(cls, name, method)
    return cls
