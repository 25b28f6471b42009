"""``slicer.i18n``: texts come out as they are written, as in Slicer without a language pack."""


def tr(text):
    """Return the translation of ``text``."""
    return text


def translate(context, text):
    """Return the translation of ``text`` in ``context``."""
    return text
