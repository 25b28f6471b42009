"""Names for the labels of a label volume: by their values where these can be slots, else by their places."""

from dataclasses import dataclass

import numpy as np

from LaminaLabelingLib.anatomy import SIDES, Numbering, name_key, provisional_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.label_values import names_fit, names_of_values
from LaminaLabelingLib.row_pairs import Pair, pair_rows
from LaminaLabelingLib.scan_bounds import MOST_REVERSED, SOME_PAIRS
from LaminaLabelingLib.two_rows import TwoRows, split_rows
from LaminaLabelingLib.volumes import Volume

# In distances between the rows: so far apart along the spine may the two laminae be that a full count pairs.
_COUNTED_APART = 0.7


@dataclass(frozen=True)
class NamedPoints:
    """Labels with names, and how these were found.

    Attributes
    ----------
    points : dict of str to ndarray (3,)
        RAS mm by name, in anatomical order.
    doubtful : frozenset of str
        The names whose side could as well be the other one.
    by_value : bool
        Whether the values of the labels gave the names.
    reversed_sides : bool
        Whether the values name slots, but with left and right exchanged in nearly all pairs.
    """

    points: dict[str, np.ndarray]
    doubtful: frozenset[str] = frozenset()
    by_value: bool = False
    reversed_sides: bool = False


def name_points(
    points: np.ndarray, volume: Volume, file: str, numbering: Numbering | None = None
) -> dict[str, np.ndarray]:
    """Name the components of a label volume by side and order.

    Laminae lie in two rows beside a smooth midline, see `split_rows`, and the two of a vertebra at one height along it,
    see `pair_rows`.

    Parameters
    ----------
    points : (N, 3) array
        RAS mm.
    volume : Volume
        Its axes say where superior and right are.
    file : str
        For messages.
    numbering : Numbering or None
        The vertebrae that the patient has; None is the usual 12 and 5.

    Returns
    -------
    dict of str to array (3,)
        ``T1L`` ... ``L5R`` for as many on each side as there are vertebrae, otherwise ``P01L``, ``P01R``, ... from the
        top down, where a lamina whose other side is missing is alone in its pair.

    Raises
    ------
    LaminaError
        If there are more than the numbering has, 34 with the usual one, or they do not form two rows, so that their
        sides could only be guessed.
    """
    return name_components(points, None, volume, file, numbering).points


def name_components(
    points: np.ndarray, values: np.ndarray | None, volume: Volume, file: str, numbering: Numbering | None
) -> NamedPoints:
    """Name the components of a label volume by their values if these are given and fit, else by their places.

    Parameters
    ----------
    points : (N, 3) array
        RAS mm.
    values : (N,) array of whole numbers, or None
        None if two components share one.
    volume, file, numbering
        See `name_points`.

    Returns
    -------
    NamedPoints

    Raises
    ------
    LaminaError
        See `name_points`; labels in one row can be named by their values.
    """
    numbering = Numbering() if numbering is None else numbering
    if len(points) > len(numbering.slots):
        raise LaminaError(
            _(
                "'{file}' has {count} separate labels, more than the {most} laminae from T1 to {last}: remove "
                "specks and what is no lamina."
            ).format(file=file, count=len(points), most=len(numbering.slots), last=numbering.vertebrae[-1])
        )
    if not len(points):
        return NamedPoints({})
    down, across, _depth = (volume.to_index(points) * volume.spacing).T
    names = None if values is None else names_of_values(values, numbering)
    if names and names_fit(values, across, down):
        return NamedPoints(dict(sorted(zip(names, points), key=lambda item: name_key(item[0]))), by_value=True)
    rows = split_rows(across, down)
    if rows is None:
        raise LaminaError(
            _(
                "Left and right cannot be told in {called} because its labels do not form two rows down the spine: "
                "label both sides, or name the laminae as segments in 3D Slicer (.seg.nrrd) or as points (.mrk.json)."
            ).format(called=f'"{file}"')
        )
    pairs = _counted_pairs(rows, down, numbering)
    complete = pairs is not None
    indices = {
        numbering.vertebrae[number] + side if complete else provisional_name(number, side): point
        for number, pair in enumerate(pairs if complete else pair_rows(rows))
        for side, point in zip(SIDES, pair)
        if point is not None
    }
    return NamedPoints(
        {name: points[point] for name, point in indices.items()},
        frozenset(name for name, point in indices.items() if rows.doubtful[point]),
        reversed_sides=bool(names) and _are_reversed(values, across),
    )


def _counted_pairs(rows: TwoRows, down: np.ndarray, numbering: Numbering) -> list[Pair] | None:
    """Return the pairs of a spine of which no lamina is missing, None if some are or others are among them."""
    left, right = (np.flatnonzero(side) for side in (~rows.right, rows.right))
    if not len(left) == len(right) == len(numbering.vertebrae):
        return None
    left, right = (side[np.argsort(down[side], kind="stable")] for side in (left, right))
    if np.abs(rows.along[left] - rows.along[right]).max() > _COUNTED_APART * rows.width:
        return None
    return list(zip(left.tolist(), right.tolist()))


def _are_reversed(values: np.ndarray, across: np.ndarray) -> bool:
    """Return whether in nearly all of several pairs the label with the left one's value lies on the right."""
    places = dict(zip((int(value) for value in values), across))
    reversed_ = [place > places[value + 1] for value, place in places.items() if value % 2 and value + 1 in places]
    return len(reversed_) >= SOME_PAIRS and sum(reversed_) >= MOST_REVERSED * len(reversed_)
