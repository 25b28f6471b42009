"""Imports that wait until they are needed: Slicer's start must not wait for what is opened later."""

import importlib


def lazyParts(package, files):
    """Return what a file needs to stand for the parts of its package without importing any of them.

    Parameters
    ----------
    package : str
    files : mapping of str to str
        The file that each class or function is in; a name that is its own file stands for the whole file.

    Returns
    -------
    getattr : callable
        For the file's ``__getattr__``: imports a part at its first use.
    later : callable
        ``later(file, name)`` returns a static method that calls a function of a file, imported at the first call.
    """

    def part(name):
        if name not in files:
            raise AttributeError(f"{package} has no part {name!r}")
        file = importlib.import_module(f"{package}.{files[name]}")
        return file if files[name] == name else getattr(file, name)

    def later(file, name):
        def call(*arguments, **options):
            return getattr(importlib.import_module(f"{package}.{file}"), name)(*arguments, **options)

        call.__name__ = call.__qualname__ = name
        call.__doc__ = f"See ``{package}.{file}.{name}``."
        return staticmethod(call)

    return part, later
