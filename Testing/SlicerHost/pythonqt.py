"""Makes PySide6 behave as PythonQt does in Slicer, and provides the module ``qt``.

Three differences matter to a scripted module:

- a Qt property is an attribute: ``button.text``, ``button.enabled = False`` (PySide6 has ``button.text()``), and
  ``name`` is short for ``objectName``;
- signals can be connected by their C++ signature: ``button.connect("clicked(bool)", f)``;
- one module ``qt`` holds QtCore, QtGui, QtWidgets and the ``QUiLoader``.
"""

import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets

from .errors import not_imitated

_QT_MODULES = (QtCore, QtGui, QtWidgets)


def _as_attribute(cls, meta_property):
    """Return a Python ``property`` for one Qt property of ``cls``.

    The getter of the same name is called where there is one: reading a virtual one (``sizeHint``) through the
    meta-object would come back to this very property and never end.
    """
    name = meta_property.name()
    getter = cls.__dict__.get(name)
    setter = getattr(cls, "set" + name[0].upper() + name[1:], None)

    def read(self):
        return getter(self) if getter is not None else self.property(name)

    def write(self, value):
        if setter is not None:
            setter(self, value)
        else:
            self.setProperty(name, value)

    return property(read, write if meta_property.isWritable() else None, doc=f"Qt property {name}.")


def _connect(self, signature, slot):
    """Connect the signal with the C++ ``signature`` to a callable: PythonQt's ``QObject.connect``."""
    _signal(self, signature).connect(slot)
    return True


def _disconnect(self, signature, slot):
    """Undo a :func:`_connect`."""
    _signal(self, signature).disconnect(slot)
    return True


def _signal(sender, signature):
    """Return the signal of ``sender`` that ``signature`` names, such as ``clicked(bool)``."""
    name, _, arguments = signature.rstrip(")").partition("(")
    signal = getattr(sender, name, None)
    if not isinstance(signal, QtCore.SignalInstance):
        raise ValueError(f"{type(sender).__name__} has no signal {signature}")
    # A class of our own declares its signals with Python types, which no C++ signature matches: there is one anyway.
    if sender.metaObject().indexOfSignal(f"{name}({arguments})") >= 0 and arguments:
        return signal[arguments]
    return signal


def dress_pyside():
    """Put properties, ``name``, ``connect`` and ``disconnect`` on the PySide6 classes, once for the process."""
    if hasattr(QtCore.QObject, "_dressed_as_pythonqt"):
        return
    for module in _QT_MODULES:
        for class_name in dir(module):
            cls = getattr(module, class_name)
            if not (isinstance(cls, type) and issubclass(cls, QtCore.QObject)):
                continue
            meta = cls.staticMetaObject
            attributes = {}
            for index in range(meta.propertyCount()):
                meta_property = meta.property(index)
                function = cls.__dict__.get(meta_property.name())
                # An inherited property is inherited, unless its virtual getter is overridden here (sizeHint). And a
                # static function (QTimer.singleShot) keeps its name, in PythonQt too.
                if (index < meta.propertyOffset() and function is None) or isinstance(function, staticmethod):
                    continue
                attributes[meta_property.name()] = _as_attribute(cls, meta_property)
            for name, attribute in attributes.items():
                setattr(cls, name, attribute)
    QtCore.QObject.name = QtCore.QObject.objectName
    QtCore.QObject.className = lambda self: self.metaObject().className()
    # PySide6 answers for these two names before it looks at the class: assigning them to it would have no effect.
    plain = QtCore.QObject.__getattribute__
    methods = {"connect": _connect, "disconnect": _disconnect}

    def with_methods(self, name):
        if name not in methods:
            return plain(self, name)

        def call(*arguments):
            if arguments and isinstance(arguments[0], str):
                return methods[name](self, *arguments)
            return plain(self, name)(*arguments)  # PySide6 itself, as in QTimer.singleShot

        return call

    QtCore.QObject.__getattribute__ = with_methods
    QtCore.QObject._dressed_as_pythonqt = True


class DesktopServices:
    """``qt.QDesktopServices``: opens nothing, and keeps what it was asked to open."""

    opened: list[str] = []

    @staticmethod
    def openUrl(url):
        """Keep an address, and say that it was opened."""
        DesktopServices.opened.append(url.toString())
        return True


def install_qt(ui_loader):
    """Create the module ``qt`` with everything of QtCore, QtGui and QtWidgets, and ``ui_loader`` as ``QUiLoader``."""
    qt = types.ModuleType("qt", "Qt as PythonQt presents it in Slicer (imitated over PySide6).")
    for module in _QT_MODULES:
        for name in dir(module):
            if name.startswith("Q") or name == "Signal":
                setattr(qt, name, getattr(module, name))
    qt.QUiLoader = ui_loader
    qt.QDesktopServices = DesktopServices
    qt.__getattr__ = lambda name: (_ for _ in ()).throw(not_imitated("qt", name))
    sys.modules["qt"] = qt
    return qt
