"""The true laminae of a labeled scan: from a point list or a label volume, checked against the scan."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.ndimage import center_of_mass, find_objects, label

from LaminaLabelingLib.anatomy import Numbering, is_name, is_provisional, name_key, provisional_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.files import read_label_volume, read_laminae
from LaminaLabelingLib.image_files import read_image
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume

OUTSIDE_MM = 5.0
"""A label may lie this far outside its scan, which is the distance at which a lamina still counts as found; one that
lies farther was made on another scan or in other axes."""

MOST_LAMINAE = len(Numbering().slots)
"""34: two for each vertebra from T1 to L5."""

_SEGMENT = re.compile(r"Segment(\d+)_Name")
_MIDLINE_DEGREE = 5


def read_truth(path: Path, volume: Volume) -> LaminaSet:
    """Read and check the true laminae of a scan.

    Parameters
    ----------
    path : Path
        A point list (``.mrk.json``, ``.csv``), a segmentation of 3D Slicer whose segments are named like laminae
        (``.seg.nrrd``), or any label volume, whose connected components are the laminae. 34 of those are named from
        the top down when 17 lie on each side of the spine; else they are numbered, ``P01L`` and so on.
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
        named = _named_segments(path)
        points = named or name_points(read_label_volume(path), volume, path.name)
        truth = LaminaSet.from_positions(points) if points else LaminaSet()
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
    index = volume.to_index(np.array(list(positions.values())))
    # The edges of the first and the last voxel, not their centers.
    beyond = np.maximum(np.maximum(-0.5 - index, index - (np.array(volume.shape) - 0.5)), 0.0)
    distance = np.linalg.norm(beyond * volume.spacing, axis=1)
    outside = [lamina for lamina, value in zip(positions, distance) if value > OUTSIDE_MM]
    if outside:
        others = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        raise LaminaError(
            f"'{name}': {outside[0]}{others} outside the scan '{volume.name}' (up to {distance.max():.0f} mm away); "
            "check that the labels belong to this scan and are in its coordinates."
        )


def name_points(points: np.ndarray, volume: Volume, file: str) -> dict[str, np.ndarray]:
    """Name the components of a label volume by side and order.

    The spine's midline is a smooth curve through all points; what lies right of it is a right lamina.

    Parameters
    ----------
    points : (N, 3) array
        RAS mm.
    volume : Volume
        Its axes say where superior and right are.
    file : str
        For messages.

    Returns
    -------
    dict of str to array (3,)
        ``T1L`` ... ``L5R`` for 17 on each side, otherwise ``P01L``, ``P01R``, ... counted on each side from the top.

    Raises
    ------
    LaminaError
        If there are more than 34.
    """
    if len(points) > MOST_LAMINAE:
        raise LaminaError(
            f"'{file}' has {len(points)} separate labels, more than the {MOST_LAMINAE} laminae from T1 to L5: remove "
            "specks and what is no lamina."
        )
    if not len(points):
        return {}
    index = volume.to_index(points)
    degree = min(_MIDLINE_DEGREE, max(len(points) // 4, 0))
    down = (index[:, 0] - index[:, 0].min()) / max(np.ptp(index[:, 0]), 1.0)
    midline = np.polynomial.Polynomial.fit(down, index[:, 1], degree, domain=[0.0, 1.0])(down)
    sides = np.where(index[:, 1] > midline, "R", "L")
    complete = all(np.count_nonzero(sides == side) == MOST_LAMINAE // 2 for side in "LR")
    names: dict[str, np.ndarray] = {}
    for side in "LR":
        mine = np.flatnonzero(sides == side)
        for number, chosen in enumerate(mine[np.argsort(index[mine, 0], kind="stable")]):
            vertebra = Numbering().vertebrae[number] if complete else None
            names[vertebra + side if vertebra else provisional_name(number, side)] = points[chosen]
    return names


def _named_segments(path: Path) -> dict[str, np.ndarray]:
    """Return the centroids of the segments that are named like laminae; empty unless all segments are."""
    if not path.name.lower().endswith(".seg.nrrd"):
        return {}
    image = read_image(path, components=True)
    segments = _segments(path)
    if not segments or not all(is_name(name) for name in segments):
        return {}
    if len({is_provisional(name) for name in segments}) > 1:
        raise LaminaError(f"'{path.name}' mixes numbered vertebrae and provisional names: use one kind.")
    layers = image.array[..., None] if image.array.ndim == 3 else image.array
    centroids = {}
    for name, (value, layer) in sorted(segments.items(), key=lambda item: name_key(item[0])):
        mask = layers[..., layer] == value
        if not mask.any():
            continue  # Slicer keeps segments that nothing was painted in
        box = find_objects(mask.astype(np.uint8))[0]
        _, parts = label(mask[box], structure=np.ones((3, 3, 3)))
        if parts > 1:
            raise LaminaError(f"The segment {name} in '{path.name}' has {parts} separate parts: keep one of them.")
        center = np.add(center_of_mass(mask[box]), [part.start for part in box])
        centroids[name] = image.ijk_to_ras[:3, :3] @ center[::-1] + image.ijk_to_ras[:3, 3]
    return centroids


def _segments(path: Path) -> dict[str, tuple[int, int]]:
    """Return label value and layer of each segment that the header names."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    found: dict[str, tuple[int, int]] = {}
    for key in reader.GetMetaDataKeys():
        match = _SEGMENT.fullmatch(key)
        if not match:
            continue
        name = reader.GetMetaData(key).strip()
        if name in found:
            raise LaminaError(f"'{path.name}' has two segments with the name {name}: give each lamina one.")
        prefix = f"Segment{match[1]}_"
        value = reader.GetMetaData(f"{prefix}LabelValue") if reader.HasMetaDataKey(f"{prefix}LabelValue") else "1"
        layer = reader.GetMetaData(f"{prefix}Layer") if reader.HasMetaDataKey(f"{prefix}Layer") else "0"
        found[name] = (int(value), int(layer))
    return found
