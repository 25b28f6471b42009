"""Slicer markups files (``.mrk.json``) without Slicer: laminae as a point list, a curve as a curve.

A point list holds one control point per lamina, labeled with its name. What a markup has no field for stands in the
point's description as one line of JSON: ``{"review": "unreviewed", "source": "detected", "confidence": 0.93}``; an
inferred point has ``"note": "suggested"`` besides, for whoever reads the list in 3D Slicer.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

SUGGESTED = "suggested"
"""The word for an inferred point, wherever a person reads it."""

DEFINED, UNDEFINED, MISSING = "defined", "undefined", "missing"
"""Position statuses of a control point, as Slicer's markups files name them."""

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
# A control point's own axes are those of RAS, written in LPS; Slicer writes the same.
_ORIENTATION = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]
_POINT_DISPLAY = {
    "visibility": True,
    "pointLabelsVisibility": True,
    "textScale": 2.5,
    "glyphType": "Sphere3D",
    "glyphSize": 4.0,
    "useGlyphScale": False,
}
_CURVE_DISPLAY = {
    "visibility": True,
    "pointLabelsVisibility": False,
    "propertiesLabelVisibility": False,
    "glyphScale": 1.0,
}


def status_of(lamina: Lamina) -> str:
    """Return the position status of a lamina's control point: defined, undefined (unset) or missing (absent)."""
    if lamina.review is Review.absent:
        return MISSING
    return UNDEFINED if lamina.position is None else DEFINED


def description_of(lamina: Lamina) -> str:
    """Return the description of a lamina's control point: one line of JSON, see the module's text."""
    fields = {"review": lamina.review.value, "source": lamina.source, "confidence": lamina.confidence}
    if lamina.is_suggested:
        fields["note"] = SUGGESTED
    return json.dumps(fields)


def lamina_from_point(name: str, status: str, position: Sequence[float] | None, description: str) -> Lamina:
    """Return the lamina that a control point stands for.

    The position status decides, because Slicer's own tools change it and leave the description alone: a defined point
    is there even if its description says unset, and then a person has placed it. The same goes for points without a
    description of ours, which come from a plain Slicer list.

    Parameters
    ----------
    name : str
        The point's label.
    status : str
        ``"defined"`` and ``"missing"`` count; anything else, a preview too, is unset.
    position : sequence of 3 floats or None
        RAS mm; needed where the status is ``"defined"``.
    description : str

    Returns
    -------
    Lamina

    Raises
    ------
    LaminaError
        If the label is not a lamina's name, the position is not three finite numbers, or the description is ours
        but has a value that does not exist.
    """
    name = name.strip()
    if status not in (DEFINED, MISSING):
        return Lamina(name)
    fields = _fields(description)
    try:
        review = Review(fields.get("review", Review.placed))
        if status == MISSING:
            source = fields.get("source") if review is Review.absent else None
            return Lamina(name, None, Review.absent, None if source is None else parse_source(source))
        if review not in (Review.placed, Review.unreviewed):
            return Lamina(name, position, Review.placed, Source.manual)
        return Lamina(name, position, review, parse_source(fields.get("source")), fields.get("confidence"))
    except (ValueError, TypeError, OverflowError) as error:
        raise LaminaError(
            _("The point {name} has a value that cannot be used: {error}.").format(name=name, error=error)
        ) from error


def parse_source(text: str | None) -> Source:
    """Return the source that a file names; ``suggested`` is inferred, and nothing is manual."""
    if not text:
        return Source.manual
    return Source.inferred if text == SUGGESTED else Source(text)


def _fields(description: str) -> dict:
    """Return the fields of a description of ours, an empty dictionary for any other text."""
    try:
        fields = json.loads(description)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) and "review" in fields else {}


def write_markups(laminae: LaminaSet, path: str | Path, name: str = "Laminae") -> None:
    """Write laminae as a Slicer point list, in LPS.

    A named set is written with all its slots and a fixed number of points, so that its numbering can be read back.

    Parameters
    ----------
    laminae : LaminaSet
    path : str or Path
        Should end in ``.mrk.json``, by which 3D Slicer knows the format.
    name : str
        Name of the list.

    Raises
    ------
    LaminaError
        If the file cannot be written.
    """
    points = [
        _control_point(
            number, lamina.name, lamina.position, status_of(lamina), description_of(lamina), not lamina.is_suggested
        )
        for number, lamina in enumerate(laminae.values(), start=1)
    ]
    _write("Fiducial", points, path, name, fixed=not laminae.is_provisional, display=_POINT_DISPLAY)


def read_markups(path: str | Path) -> LaminaSet:
    """Read laminae from a Slicer point list.

    Parameters
    ----------
    path : str or Path
        Written by us or by 3D Slicer, in LPS or RAS. Of several lists in one file, the first point list counts.
        Points without a description of ours count as placed by hand. The numbering is deduced from the names.

    Returns
    -------
    LaminaSet
        Provisional if the names are; a list without points gives a named set in which all is unset.

    Raises
    ------
    LaminaError
        If it is no point list, or a point's label, position or description cannot be used.
    """
    laminae = read_points(path)
    with naming_list(path):
        return LaminaSet.of(laminae)


def read_points(path: str | Path) -> list[Lamina]:
    """Read the control points of a Slicer point list as laminae, just those that the file lists.

    Parameters
    ----------
    path : str or Path
        See `read_markups`.

    Returns
    -------
    list of Lamina
        In the order of the file; a name may come twice.

    Raises
    ------
    LaminaError
        If it is no point list, or a point's label, position or description cannot be used.
    """
    path = Path(path)
    markup = _read(
        path,
        ("Fiducial",),
        _('"{file}" does not hold a point list: save one from 3D Slicer as .mrk.json and give that.'),
    )
    laminae = []
    with naming_list(path):
        for point in markup["controlPoints"]:
            status = point.get("positionStatus", DEFINED)
            position = _position(point, markup) if status == DEFINED else None
            label, description = str(point.get("label", "")), str(point.get("description", ""))
            laminae.append(lamina_from_point(label, status, position, description))
    return laminae


@contextmanager
def naming_list(path: str | Path) -> Iterator[None]:
    """Put the name of a list's file before what a `LaminaError` in the block says."""
    try:
        yield
    except LaminaError as error:
        raise LaminaError(
            _('"{file}" cannot be read as a list of laminae: {error}').format(file=Path(path).name, error=error)
        ) from error


def write_curve(points: np.ndarray, path: str | Path, name: str = "Spinous process column") -> None:
    """Write points as a Slicer curve, in LPS.

    Parameters
    ----------
    points : array_like, shape (N, 3)
        RAS mm, along the curve.
    path : str or Path
        Should end in ``.mrk.json``.
    name : str
        Name of the curve.

    Raises
    ------
    LaminaError
        If the file cannot be written.
    ValueError
        If the points are not finite or not of that shape.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"a curve needs finite points of shape (N, 3), not {points.shape}")
    control_points = [
        _control_point(number, str(number), point, DEFINED, "", True)
        for number, point in enumerate(points.tolist(), start=1)
    ]
    _write("Curve", control_points, path, name, fixed=False, display=_CURVE_DISPLAY)


def read_curve(path: str | Path) -> np.ndarray:
    """Read the control points of a Slicer curve.

    Parameters
    ----------
    path : str or Path
        In LPS or RAS.

    Returns
    -------
    ndarray, shape (N, 3)
        RAS mm; points without a position are left out.

    Raises
    ------
    LaminaError
        If it is no curve.
    """
    path = Path(path)
    markup = _read(
        path,
        ("Curve", "ClosedCurve"),
        _('"{file}" does not hold a curve: save one from 3D Slicer as .mrk.json and give that.'),
    )
    positions = [
        _position(point, markup) for point in markup["controlPoints"] if point.get("positionStatus", DEFINED) == DEFINED
    ]
    return np.array(positions, dtype=np.float64).reshape(-1, 3)


def _control_point(
    number: int, label: str, position: Sequence[float] | None, status: str, description: str, selected: bool
) -> dict:
    """Return one control point as Slicer writes it."""
    point = {
        "id": str(number),
        "label": label,
        "description": description,
        "associatedNodeID": "",
        "orientation": _ORIENTATION,
        # Slicer draws points that are not selected in another color: the suggested ones.
        "selected": selected,
        "locked": False,
        "visibility": True,
        "positionStatus": status,
    }
    if position is not None:
        right, anterior, superior = position
        # Adding zero turns -0.0 into 0.0, which is nicer to read.
        point["position"] = [-right + 0.0, -anterior + 0.0, superior]
    return point


def _write(kind: str, points: list[dict], path: str | Path, name: str, fixed: bool, display: dict) -> None:
    """Write a file with one markup."""
    markup = {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": fixed,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": points,
        "measurements": [],
        "display": display,
    }
    text = json.dumps({"@schema": _SCHEMA, "markups": [markup]}, indent=1, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _read(path: Path, kinds: tuple[str, ...], without: str) -> dict:
    """Return the first markup of a kind that a file holds, with its list of control points checked to be one.

    What to say where there is none has ``{file}`` in place of the file's name.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise LaminaError(
            _('There is no file "{file}" in that folder: check the name and the folder.').format(file=path.name)
        ) from error
    except OSError as error:
        raise LaminaError(
            _('"{file}" cannot be opened: check that it is a file that you may read.').format(file=path.name)
        ) from error
    except ValueError as error:
        raise LaminaError(
            _(
                "{called} is not a markups file of 3D Slicer, or was cut short: give a complete file that ends in "
                ".mrk.json."
            ).format(called=f'"{path.name}"')
        ) from error
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise LaminaError(
            _('"{file}" is not a markups file of 3D Slicer: give a file that ends in .mrk.json.').format(file=path.name)
        )
    markup = next((markup for markup in markups if markup.get("type") in kinds), None)
    if markup is None:
        raise LaminaError(without.format(file=path.name))
    points = markup.setdefault("controlPoints", [])
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise LaminaError(
            _('"{file}" is damaged because its control points cannot be read: save it again from 3D Slicer.').format(
                file=path.name
            )
        )
    if markup.get("coordinateUnits", "mm") not in ("mm", "millimeter"):
        raise LaminaError(_('"{file}" is not in millimeters: save it in mm.').format(file=path.name))
    if markup.setdefault("coordinateSystem", "LPS") not in ("LPS", "RAS"):
        raise LaminaError(
            _('"{file}" is neither in LPS nor in RAS coordinates: save it again from 3D Slicer.').format(file=path.name)
        )
    return markup


def _position(point: dict, markup: dict) -> tuple[float, float, float]:
    """Return the RAS position of a defined control point."""
    label, position = point.get("label", ""), point.get("position")
    try:
        first, second, third = (float(value) for value in position)
    except (TypeError, ValueError, OverflowError) as error:
        raise LaminaError(
            _("The point {name} has no position of three numbers: place it again.").format(name=label)
        ) from error
    if not all(math.isfinite(value) for value in (first, second, third)):
        raise LaminaError(_("The point {name} has a position that is not finite: place it again.").format(name=label))
    if markup["coordinateSystem"] == "LPS":
        return -first, -second, third
    return first, second, third
