"""Elements of a page and of its drawings. Texts are escaped when the page is written, whatever a name holds."""

import xml.etree.ElementTree as ET


def add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> ET.Element:
    """Append an element to another one and return it.

    Parameters
    ----------
    parent : Element
    tag : str
    text : str
    **attributes
        By name: an underscore stands for a hyphen, one at the end is dropped (``class_``), numbers are rounded to a
        hundredth, and what is None is left out.

    Returns
    -------
    Element
    """
    element = ET.SubElement(parent, tag, _attributes(attributes))
    element.text = text
    return element


def _attributes(attributes: dict[str, object]) -> dict[str, str]:
    return {
        name.rstrip("_").replace("_", "-"): f"{value:.2f}".rstrip("0").rstrip(".")
        if isinstance(value, float)
        else str(value)
        for name, value in attributes.items()
        if value is not None
    }


def as_text(element: ET.Element) -> str:
    """Return an element as text that is well-formed XML and right in HTML as well: nothing closes itself."""
    return ET.tostring(element, encoding="unicode", short_empty_elements=False)
