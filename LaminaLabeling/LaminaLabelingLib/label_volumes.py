"""Laminae as a label volume: named from its components when read, a cube of voxels for each when written."""

import re
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import SIDES, Numbering, is_name, is_provisional, name_key, provisional_name, split_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.image_files import read_image, write_image
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.scan_bounds import distance_outside, turn_round
from LaminaLabelingLib.segmentation_files import mark_voxels, read_label_volume
from LaminaLabelingLib.two_rows import split_rows
from LaminaLabelingLib.volumes import Volume

_SEGMENT = re.compile(r"Segment(\d+)_Name")
# Only what is more than rounding counts as outside.
_ROUNDING_MM = 0.01


def read_labels_of_volume(
    path: str | Path, volume: Volume | None, numbering: Numbering | None = None, half_turn: bool = False
) -> LaminaSet:
    """Read laminae from a segmentation or a label volume.

    They count as placed by hand, except components whose side is in doubt, which are left to be reviewed.

    Parameters
    ----------
    path : str or Path
        A segmentation of 3D Slicer whose segments are named like laminae (``.seg.nrrd``), or any label volume, whose
        connected components are the laminae; see `name_points`.
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
    path = Path(path)
    points, doubtful = named_segments(path), frozenset()
    if points and half_turn:
        points = {name: turn_round(point) for name, point in points.items()}
    if not points:
        if volume is None:
            raise LaminaError(
                _('"{file}" holds labels without names, which a scan is needed to name: load its scan first.').format(
                    file=path.name
                )
            )
        components = read_label_volume(path)
        if half_turn:
            components = turn_round(components)
        points, doubtful = _name_with_doubts(components, volume, path.name, numbering)
    laminae = [
        Lamina(name, point, Review.unreviewed if name in doubtful else Review.placed, Source.manual)
        for name, point in points.items()
    ]
    try:
        return LaminaSet.of(laminae, numbering)
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


def label_value(name: str, numbering: Numbering) -> int:
    """Return the value of a lamina in a label volume: its slot counted from 1, from the top down, left before right.

    Parameters
    ----------
    name : str
        Provisional ones count likewise: ``P02L`` is 3.
    numbering : Numbering
        Of the list; it must have the name unless that is provisional.

    Returns
    -------
    int

    Examples
    --------
    >>> label_value("T1R", Numbering()), label_value("L5R", Numbering()), label_value("L5R", Numbering(13, 5))
    (2, 34, 36)
    """
    if is_provisional(name):
        vertebra, side = split_name(name)
        return 2 * int(vertebra[1:]) - 1 + SIDES.index(side)
    return numbering.slots.index(name) + 1


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


def name_points(
    points: np.ndarray, volume: Volume, file: str, numbering: Numbering | None = None
) -> dict[str, np.ndarray]:
    """Name the components of a label volume by side and order.

    Laminae lie in two rows beside a smooth midline; see `split_rows`.

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
        ``T1L`` ... ``L5R`` for as many on each side as there are vertebrae, otherwise ``P01L``, ``P01R``, ... counted
        on each side from the top.

    Raises
    ------
    LaminaError
        If there are more than the numbering has, 34 with the usual one, or they do not form two rows, so that their
        sides could only be guessed.
    """
    return _name_with_doubts(points, volume, file, numbering)[0]


def _name_with_doubts(
    points: np.ndarray, volume: Volume, file: str, numbering: Numbering | None
) -> tuple[dict[str, np.ndarray], frozenset[str]]:
    """Return what `name_points` does, and the names whose side is in doubt."""
    numbering = Numbering() if numbering is None else numbering
    if len(points) > len(numbering.slots):
        raise LaminaError(
            _(
                "'{file}' has {count} separate labels, more than the {most} laminae from T1 to {last}: remove "
                "specks and what is no lamina."
            ).format(file=file, count=len(points), most=len(numbering.slots), last=numbering.vertebrae[-1])
        )
    if not len(points):
        return {}, frozenset()
    down, across, _depth = (volume.to_index(points) * volume.spacing).T
    rows = split_rows(across, down)
    if rows is None:
        raise LaminaError(
            _(
                "Left and right cannot be told in {called} because its labels do not form two rows down the spine: "
                "label both sides, or name the laminae as segments in 3D Slicer (.seg.nrrd) or as points (.mrk.json)."
            ).format(called=f'"{file}"')
        )
    of_side = {"L": np.flatnonzero(~rows.right), "R": np.flatnonzero(rows.right)}
    complete = all(len(mine) == len(numbering.vertebrae) for mine in of_side.values())
    names: dict[str, np.ndarray] = {}
    doubtful = set()
    for side in SIDES:
        mine = of_side[side]
        for number, chosen in enumerate(mine[np.argsort(down[mine], kind="stable")]):
            name = numbering.vertebrae[number] + side if complete else provisional_name(number, side)
            names[name] = points[chosen]
            if rows.doubtful[chosen]:
                doubtful.add(name)
    return names, frozenset(doubtful)


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
