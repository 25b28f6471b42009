"""A stand-in for the 3D Slicer application, for tests and screenshots.

The MRML scene, the markups, the slice logic and the displayable managers are Slicer's own (``slicer-core``), and so is
``slicer.util``. Qt is PySide6, dressed so that it behaves as PythonQt does in Slicer. What Slicer writes in C++ on top
of Qt (the layout, the node selectors, the module manager) and the Python files that ``slicer-core`` does not carry
(``ScriptedLoadableModule``, ``parameterNodeWrapper``, ``packaging``, ``i18n``) are small versions of our own of the
documented behavior. Whatever is not imitated raises :class:`SlicerHost.errors.NotImitatedError`, a
``NotImplementedError``, rather than doing something that Slicer would not do.

Example
-------
>>> from SlicerHost import Host                                           # doctest: +SKIP
>>> host = Host.start([Path("LaminaLabeling/LaminaLabeling.py")])         # doctest: +SKIP
>>> widget = host.select_module("LaminaLabeling")                         # doctest: +SKIP
>>> host.screenshot("window.png")                                         # doctest: +SKIP

It is a test tool and no part of the extension.
"""

from .host import Host

__all__ = ["Host"]
