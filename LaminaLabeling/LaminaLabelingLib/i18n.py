"""Translation of what the library says, without needing 3D Slicer.

Inside Slicer a text comes back in the language of the application; anywhere else as it is written. The library can
therefore be imported without Slicer and still speak the user's language in it.
"""

import sys
from pathlib import PurePath
from string import Formatter


def tr(text: str) -> str:
    """Return a text in the language of the application.

    Import it as ``_``, which is what Slicer's tools look for when they collect texts. Values are filled in
    afterwards: ``_("{count} laminae").format(count=3)``.

    Parameters
    ----------
    text : str
        English, as it stands in the source file.

    Returns
    -------
    str
        The text itself without Slicer, without a translation, or if the translation has other placeholders.
    """
    i18n = sys.modules.get("slicer.i18n")
    if i18n is None:
        return text
    # Slicer's own name for the texts of a file in a package: "Package.file".
    source = PurePath(sys._getframe(1).f_code.co_filename)
    translated = i18n.translate(f"{source.parent.name}.{source.stem}", text)
    return translated if _placeholders(translated) == _placeholders(text) else text


def _placeholders(text: str) -> list[tuple] | None:
    """Return the values that a text takes and their formats, None if it could not take any: a brace stands alone."""
    try:
        return sorted((field, how, conversion or "") for _, field, how, conversion in Formatter().parse(text) if field)
    except ValueError:
        return None
