"""The true laminae of a labeled scan: from a point list or a label volume, checked against the scan."""

from __future__ import annotations

from pathlib import Path

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_laminae
from LaminaLabelingLib.label_volumes import read_labels_of_volume
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.scan_bounds import OUTSIDE_MM, distance_outside
from LaminaLabelingLib.volumes import Volume

MOST_LAMINAE = len(Numbering().slots)
"""34: two for each vertebra from T1 to L5."""


def read_truth(path: Path, volume: Volume) -> LaminaSet:
    """Read and check the true laminae of a scan.

    Parameters
    ----------
    path : Path
        A point list (``.mrk.json``, ``.csv``), a segmentation of 3D Slicer whose segments are named like laminae
        (``.seg.nrrd``), or any label volume, whose connected components are the laminae. Their values name them where
        these can be slots; else 34 of them are named from the top down when 17 lie on each side of the spine, and
        fewer are numbered, ``P01L`` and so on.
    volume : Volume
        The scan that the labels belong to.

    Returns
    -------
    LaminaSet

    Raises
    ------
    LaminaError
        If the labels cannot be read, hold no lamina or too many, or do not lie in the scan.
    """
    path = Path(path)
    if path.suffix.lower() in (".json", ".csv"):
        truth = read_laminae(path)
    else:
        truth = read_labels_of_volume(path, volume)
    check_truth(truth, volume, path.name)
    return truth


def check_truth(truth: LaminaSet, volume: Volume, name: str) -> None:
    """Check that laminae can be those of a scan.

    More than 34 are accepted only where the list holds every slot of a numbering with more vertebrae, which is how a
    list declares one: 13 thoracic and 5 lumbar vertebrae have 36.

    Parameters
    ----------
    truth : LaminaSet
    volume : Volume
    name : str
        Of the label file, for messages.

    Raises
    ------
    LaminaError
        If there is none, there are too many, or one lies more than 5 mm outside the scan.
    """
    positions = truth.positions()
    if not positions:
        raise LaminaError(f"'{name}' has no laminae: label the scan, or take it out of the dataset.")
    if len(positions) > MOST_LAMINAE and set(positions) != set(Numbering.of(positions).slots):
        raise LaminaError(
            f"'{name}' has {len(positions)} laminae, more than the {MOST_LAMINAE} from T1 to L5: remove those that are "
            "none."
        )
    distance = distance_outside(list(positions.values()), volume)
    outside = [lamina for lamina, value in zip(positions, distance) if value > OUTSIDE_MM]
    if outside:
        others = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        raise LaminaError(
            f"'{name}': {outside[0]}{others} outside the scan '{volume.name}' (up to {distance.max():.0f} mm away); "
            "check that the labels belong to this scan and are in its coordinates."
        )
