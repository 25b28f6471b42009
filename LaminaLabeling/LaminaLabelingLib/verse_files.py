"""Laminae in the JSON format of the VerSe challenge, for tools that exchange spine landmarks in it.

A file is a list. Its first entry, ``{"direction": ["L", "P", "S"]}``, names the directions in which the image's
indices increase; each further one is a point, ``{"label": 8, "X": 12.5, "Y": 80.0, "Z": 44.25}``, in voxels of that
image. VerSe labels vertebrae, not laminae, so each point has a ``"side"`` besides, ``"L"`` or ``"R"``, which is ours.

References
----------
Sekuboyina et al., "VerSe: A vertebrae labelling and segmentation benchmark for multi-detector CT images", Medical
Image Analysis 73, 2021, https://doi.org/10.1016/j.media.2021.102166
"""

import json
import math
from pathlib import Path

import numpy as np

from LaminaLabelingLib import orientation
from LaminaLabelingLib.anatomy import SIDES, Numbering
from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.markups_files import naming_list
from LaminaLabelingLib.volumes import Volume

# T1 to T12 are 8 to 19, L1 to L6 are 20 to 25, and T13, which came later, is 28.
LABELS = {vertebra: number for number, vertebra in enumerate(Numbering(12, 6).vertebrae, start=8)} | {"T13": 28}
"""VerSe's label for each vertebra."""

_VERTEBRAE = {label: vertebra for vertebra, label in LABELS.items()}


def write_verse(laminae: LaminaSet, volume: Volume, path: str | Path) -> None:
    """Write the laminae that have a position.

    Review state, source and confidence have no place in the format and are lost.

    Parameters
    ----------
    laminae : LaminaSet
        With numbered vertebrae.
    volume : Volume
        The scan, whose file's voxels the coordinates count.
    path : str or Path

    Raises
    ------
    LaminaError
        If the vertebrae are not numbered, or the file cannot be written.
    """
    path = Path(path)
    if laminae.is_provisional:
        raise LaminaError(
            _('"{file}" cannot be written because its vertebrae have no numbers yet: name them.').format(file=path.name)
        )
    to_ijk = np.linalg.inv(volume.ijk_to_ras)
    entries: list[dict] = [{"direction": list(orientation.nearest_code(volume.ijk_to_ras)[0])}]
    for name, point in laminae.positions().items():
        x, y, z = (to_ijk[:3, :3] @ point + to_ijk[:3, 3]).tolist()
        entries.append({"label": LABELS[laminae[name].vertebra], "side": laminae[name].side, "X": x, "Y": y, "Z": z})
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def read_verse(path: str | Path, volume: Volume, numbering: Numbering | None = None) -> LaminaSet:
    """Read laminae, which count as placed by hand.

    Parameters
    ----------
    path : str or Path
    volume : Volume
        The scan to which the voxel coordinates belong. Its axes may be stored in another order than the file says.
    numbering : Numbering or None
        The vertebrae that the patient has; None deduces it from the names.

    Returns
    -------
    LaminaSet

    Raises
    ------
    LaminaError
        If it is no such file, holds vertebrae without a side, or one that does not exist in the numbering.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
        direction = orientation.parse_code("".join(entries[0]["direction"]))
        points = [(entry["label"], entry.get("side"), [float(entry[key]) for key in "XYZ"]) for entry in entries[1:]]
    except FileNotFoundError as error:
        raise LaminaError(
            _('There is no file "{file}" in that folder: check the name and the folder.').format(file=path.name)
        ) from error
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, LaminaError) as error:
        raise LaminaError(
            _(
                "{called} is not a list of points in the format of VerSe: it must start with a direction, followed "
                "by points with label, X, Y and Z."
            ).format(called=f'"{path.name}"')
        ) from error
    to_ras = volume.ijk_to_ras @ _between(direction, volume)
    positions = {}
    for label, side, coordinates in points:
        # Whatever JSON can hold may stand for a label; lists could not be looked up.
        vertebra = _VERTEBRAE.get(label) if isinstance(label, int | float) else None
        if side not in SIDES or vertebra is None or not all(map(math.isfinite, coordinates)):
            raise LaminaError(
                _(
                    "{called} has a point that is no lamina (label {label}, side {side}): each point needs a "
                    "thoracic or lumbar vertebra, the side L or R, and coordinates."
                ).format(called=f'"{path.name}"', label=label, side=side)
            )
        name = vertebra + side
        if name in positions:
            raise LaminaError(
                _('"{file}" has the lamina {name} twice: keep one of them.').format(file=path.name, name=name)
            )
        positions[name] = to_ras[:3, :3] @ coordinates + to_ras[:3, 3]
    with naming_list(path):
        return LaminaSet.from_positions(positions, numbering)


def _between(direction: str, volume: Volume) -> np.ndarray:
    """Return the matrix from voxels of the scan as it would be stored with an axis code to those of its own file."""
    own = orientation.nearest_code(volume.ijk_to_ras)[0]
    array_ijk = volume.to_kji().T
    shape_ira = orientation.to_ira(array_ijk, own).shape
    return orientation.ira_to_ijk(own, shape_ira) @ np.linalg.inv(orientation.ira_to_ijk(direction, shape_ira))
