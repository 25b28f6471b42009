"""Laminae as a label volume: named from its labels when read, a cube of voxels for each when written."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import Numbering, is_name, is_provisional, name_key
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.image_files import read_image, write_image
from LaminaLabelingLib.label_naming import NamedPoints, name_components, name_points
from LaminaLabelingLib.label_values import label_value
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.scan_bounds import distance_outside, turn_round
from LaminaLabelingLib.segmentation_files import mark_voxels, read_label_volume
from LaminaLabelingLib.volumes import Volume

_SEGMENT = re.compile(r"Segment(\d+)_Name")
# Only what is more than rounding counts as outside.
_ROUNDING_MM = 0.01

__all__ = [
    "NamedLabels",
    "check_inside",
    "label_value",
    "name_labels",
    "name_points",
    "named_segments",
    "read_labels_of_volume",
    "write_label_volume",
]


@dataclass(frozen=True)
class NamedLabels:
    """The laminae of a label volume, and how their names were found.

    Attributes
    ----------
    laminae : LaminaSet
    by_value : bool
        Whether the values of the labels, taken as slots, gave the names.
    reversed_sides : bool
        Whether the values are those of slots, but with left and right exchanged in nearly all pairs, as in a file in
        which LPS and RAS were mixed up, or one of a mirrored scan. The places then gave the names.
    """

    laminae: LaminaSet
    by_value: bool = False
    reversed_sides: bool = False


def read_labels_of_volume(
    path: str | Path, volume: Volume | None, numbering: Numbering | None = None, half_turn: bool = False
) -> LaminaSet:
    """Read laminae from a segmentation or a label volume.

    See `name_labels`, which says more about where the names are from.

    Parameters
    ----------
    path : str or Path
        A segmentation of 3D Slicer whose segments are named like laminae (``.seg.nrrd``), or any label volume, whose
        connected components are the laminae.
    volume : Volume or None
        The scan that the labels belong to. None is enough for named segments.
    numbering : Numbering or None
        The vertebrae that the patient has. None is the usual numbering for components, and is deduced from the names
        of segments.
    half_turn : bool
        Whether to negate R and A first, for a file in which LPS and RAS were mixed up.

    Returns
    -------
    LaminaSet
        Empty if there is no label.

    Raises
    ------
    LaminaError
        If the file cannot be read or used, has more components than there are laminae or components that do not form
        a left and a right row, or needs a scan.
    """
    return name_labels(path, volume, numbering, half_turn).laminae


def name_labels(
    path: str | Path, volume: Volume | None, numbering: Numbering | None = None, half_turn: bool = False
) -> NamedLabels:
    """Read laminae from a segmentation or a label volume, and say where their names are from.

    Segments that are named like laminae keep their names. The labels of any other file are named by their values where
    each value is that of a slot or of a provisional name (`label_value`), is one component, and lies where a lamina of
    that name can; else by their places alone (`name_points`). Laminae count as placed by hand, except those whose side
    is told from their places and in doubt, which are left to be reviewed.

    Parameters
    ----------
    path, volume, numbering, half_turn
        See `read_labels_of_volume`.

    Returns
    -------
    NamedLabels

    Raises
    ------
    LaminaError
        See `read_labels_of_volume`.
    """
    path = Path(path)
    points, named = named_segments(path), NamedPoints({})
    if points and half_turn:
        points = {name: turn_round(point) for name, point in points.items()}
    if not points:
        if volume is None:
            raise LaminaError(
                _('"{file}" holds labels without names, which a scan is needed to name: load its scan first.').format(
                    file=path.name
                )
            )
        components, values = _components(path)
        if half_turn:
            components = turn_round(components)
        named = name_components(components, values, volume, path.name, numbering)
        points = named.points
    laminae = [
        Lamina(name, point, Review.unreviewed if name in named.doubtful else Review.placed, Source.manual)
        for name, point in points.items()
    ]
    try:
        # Values were counted by one numbering, which the names that happen to be there must not change.
        counted_by = Numbering() if named.by_value and numbering is None else numbering
        return NamedLabels(LaminaSet.of(laminae, counted_by), named.by_value, named.reversed_sides)
    except LaminaError as error:
        raise LaminaError(
            _('"{file}" cannot be read as labels of laminae: {error}').format(file=path.name, error=error)
        ) from error


def write_label_volume(laminae: LaminaSet, volume: Volume, path: str | Path) -> None:
    """Write the laminae that have a position as a plain label volume on the grid of the scan's file.

    Each is a cube of 3 x 3 x 3 voxels (METHOD section 2), clipped at the border. Where two cubes overlap, each voxel
    goes to the nearer center, so that none erases another. Names, review state, source and confidence have no place
    in the format; see `label_value` for what a voxel says.

    Parameters
    ----------
    laminae : LaminaSet
    volume : Volume
        The scan, not a crop of it.
    path : str or Path
        Ends in .nrrd, .nii, .nii.gz or .mha.

    Raises
    ------
    LaminaError
        If the name ends otherwise, a lamina lies outside the scan or two lie in one voxel, or the file cannot be
        written.
    """
    path = Path(path)
    if path.name.lower().endswith(".seg.nrrd"):
        raise LaminaError(
            _('"{file}" is the name of a segmentation: give a label volume a name that ends in .nrrd only.').format(
                file=path.name
            )
        )
    check_inside(laminae, volume, path.name)
    positions = laminae.positions()
    index = np.rint(volume.to_index(np.array(list(positions.values())).reshape(-1, 3))).astype(int)
    # A point on the outer edge of the last voxel rounds to one beyond it.
    centers = np.clip(index, 0, np.array(volume.shape) - 1)
    _check_apart(list(positions), centers, path.name)
    values = [label_value(name, laminae.numbering) for name in positions]
    labels = mark_voxels(volume.to_world(centers), values, volume, radius_mm=0.0)
    write_image(volume.to_kji(labels), volume.ijk_to_ras, path)


def check_inside(laminae: LaminaSet, volume: Volume, file: str) -> None:
    """Refuse laminae that the voxels of a scan cannot hold, which would be lost without a word.

    Parameters
    ----------
    laminae : LaminaSet
    volume : Volume
    file : str
        For messages.

    Raises
    ------
    LaminaError
        If one lies outside the scan.
    """
    positions = laminae.positions()
    distances = distance_outside(list(positions.values()), volume)
    outside = [name for name, distance in zip(positions, distances) if distance > _ROUNDING_MM]
    if outside:
        raise LaminaError(
            _(
                "{called} cannot be written because {names} would be lost outside the scan: move what lies outside, "
                "mark it as absent, or choose .mrk.json."
            ).format(called=f'"{file}"', names=", ".join(outside))
        )


def _components(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the centroids (N, 3) in RAS mm and the values (N,) of components; None unless each has its own value."""
    image = read_image(path, components=True)
    layers = [image.array] if image.array.ndim == 3 else list(np.moveaxis(image.array, -1, 0))
    volumes = [Volume(layer.T, image.ijk_to_ras, name=path.name) for layer in layers]
    points = np.concatenate([read_label_volume(volume) for volume in volumes])
    values = np.unique(image.array[image.array != 0])
    # In the order of the points if there are as many, because every value has one component at least.
    return points, values if len(layers) == 1 and len(values) == len(points) else None


def named_segments(path: str | Path) -> dict[str, np.ndarray]:
    """Return the centroids of the segments of a segmentation that are named like laminae.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to ndarray (3,)
        RAS mm, in anatomical order, without segments in which nothing is painted. Empty unless the file ends in
        ``.seg.nrrd`` and all its segments are named so.

    Raises
    ------
    LaminaError
        If the file cannot be read, numbered and provisional names mix, a name comes twice, or a segment has several
        parts.
    """
    from scipy.ndimage import center_of_mass, find_objects, label  # here, so that importing the module stays quick

    path = Path(path)
    if not path.name.lower().endswith(".seg.nrrd"):
        return {}
    image = read_image(path, components=True)
    segments = _segments(path)
    if not segments or not all(is_name(name) for name in segments):
        return {}
    if len({is_provisional(name) for name in segments}) > 1:
        raise LaminaError(
            _("'{file}' mixes numbered vertebrae and provisional names: use one kind.").format(file=path.name)
        )
    layers = image.array[..., None] if image.array.ndim == 3 else image.array
    centroids = {}
    for name, (value, layer) in sorted(segments.items(), key=lambda item: name_key(item[0])):
        if not 0 <= layer < layers.shape[-1]:
            raise _damaged_segments(path)
        mask = layers[..., layer] == value
        if not mask.any():
            continue  # Slicer keeps segments that nothing was painted in
        box = find_objects(mask.astype(np.uint8))[0]
        parts = label(mask[box], structure=np.ones((3, 3, 3)))[1]
        if parts > 1:
            raise LaminaError(
                _("The segment {name} in '{file}' has {parts} separate parts: keep one of them.").format(
                    name=name, file=path.name, parts=parts
                )
            )
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
            raise LaminaError(
                _("'{file}' has two segments with the name {name}: give each lamina one.").format(
                    file=path.name, name=name
                )
            )
        prefix = f"Segment{match[1]}_"
        value = reader.GetMetaData(f"{prefix}LabelValue") if reader.HasMetaDataKey(f"{prefix}LabelValue") else "1"
        layer = reader.GetMetaData(f"{prefix}Layer") if reader.HasMetaDataKey(f"{prefix}Layer") else "0"
        try:
            found[name] = (int(value), int(layer))
        except ValueError as error:
            raise _damaged_segments(path) from error
    return found


def _damaged_segments(path: Path) -> LaminaError:
    return LaminaError(
        _("The list of segments in '{file}' is damaged: save the segmentation again from 3D Slicer.").format(
            file=path.name
        )
    )


def _check_apart(names: list[str], centers: np.ndarray, file: str) -> None:
    """Refuse two laminae in one voxel, of which a label volume could hold only one."""
    taken: dict[tuple[int, ...], str] = {}
    for name, center in zip(names, map(tuple, centers.tolist())):
        if center in taken:
            raise LaminaError(
                _('"{file}" cannot be written because {first} and {second} lie in one voxel: move one of them.').format(
                    file=file, first=taken[center], second=name
                )
            )
        taken[center] = name
