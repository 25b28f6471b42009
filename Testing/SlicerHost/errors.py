"""The one error of the stand-in: it was asked for something of Slicer's that it does not imitate."""


class NotImitatedError(NotImplementedError, AttributeError):
    """Slicer has this, the stand-in has not.

    It is an ``AttributeError`` too, so that ``hasattr`` answers no instead of failing.
    """


def not_imitated(owner, name):
    """Return the error for attribute ``name`` of ``owner``, to be raised by a ``__getattr__``.

    Python's own look-ups of special names (``__path__``, ``__wrapped__``...) get a plain ``AttributeError``, because
    they are questions of the interpreter and not uses of Slicer's interface.
    """
    if name.startswith("__"):
        return AttributeError(name)
    return NotImitatedError(f"SlicerHost does not imitate {owner}.{name}: add it there if Slicer really has it.")
