"""Laminae as a Slicer segmentation, and points from a label volume."""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.i18n import tr as _
from LaminaLabelingLib.image_files import read_image, write_image
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.markups_files import SUGGESTED
from LaminaLabelingLib.volumes import Volume

RADIUS_MM = 2.0
"""Smallest radius of the ball that marks a lamina; a ball is at least 3 x 3 x 3 voxels."""

# Labels of laminae fill less than a hundredth of a scan. A scan that is given by mistake would take minutes.
_MAX_LABELED = 0.5

_CONNECTED_26 = np.ones((3, 3, 3), dtype=bool)


def write_segmentation(laminae: LaminaSet, volume: Volume, path: str | Path, crop: bool = False) -> None:
    """Write laminae as a segmentation that 3D Slicer opens, one segment for each lamina with a position.

    Each segment is a ball of `RADIUS_MM`, together with the 3 x 3 x 3 voxels around the point, clipped at the border
    of the scan. Where two balls overlap, each voxel goes to the nearer lamina, so that none erases another.

    Parameters
    ----------
    laminae : LaminaSet
    volume : Volume
        The scan, not a crop of it: the segmentation lies on the grid of its file.
    path : str or Path
        Ends in ``.seg.nrrd``.
    crop : bool
        Write the box that holds the segments instead of the whole grid: 3D Slicer shows it in the same place and reads
        it many times faster.

    Raises
    ------
    LaminaError
        If the name ends otherwise, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(".seg.nrrd"):
        raise LaminaError(
            _('"{file}" cannot be written as a segmentation: give a name that ends in .seg.nrrd.').format(
                file=path.name
            )
        )
    marked = [lamina for lamina in laminae.values() if lamina.position is not None]
    points = np.array([lamina.position for lamina in marked]).reshape(-1, 3)
    labels = mark_voxels(points, range(1, len(marked) + 1), volume, RADIUS_MM)
    if crop and (box := _box_around(points, volume)) is not None:
        volume, labels = volume.crop(box), labels[box]
    array_kji = volume.to_kji(labels)
    write_image(array_kji, volume.ijk_to_ras, path, _segment_metadata(marked, array_kji))


def read_label_volume(source: str | Path | Volume) -> np.ndarray:
    """Return the centroids of the connected components of a label volume.

    Parameters
    ----------
    source : str, Path or Volume
        0 is background. Voxels that touch, corners included, with the same value are one component. A segmentation
        with several layers (``.seg.nrrd`` with overlapping segments) is read layer by layer.

    Returns
    -------
    ndarray, shape (N, 3)
        Unweighted centroids in RAS mm, by layer and label value; empty if there is no label.

    Raises
    ------
    LaminaError
        If the file cannot be read, or its values are not whole numbers.
    """
    if isinstance(source, Volume):
        layers, matrix, name = [source.array], source.matrix, source.name
    else:
        image = read_image(source, components=True)
        matrix, name = image.ijk_to_ras, Path(source).name
        layers = [layer.T for layer in ([image.array] if image.array.ndim == 3 else np.moveaxis(image.array, -1, 0))]
    indices = np.concatenate([_component_centroids(layer, name) for layer in layers])
    return indices @ matrix[:3, :3].T + matrix[:3, 3]


def mark_voxels(points: np.ndarray, values: Sequence[int], volume: Volume, radius_mm: float) -> np.ndarray:
    """Mark the voxels around points: those within a radius together with 3 x 3 x 3 around the point's own voxel.

    Parameters
    ----------
    points : ndarray, shape (N, 3)
        RAS mm. One whose voxels all lie outside the volume leaves no mark.
    values : sequence of N ints above 0
    volume : Volume
    radius_mm : float
        0 marks 3 x 3 x 3 voxels only.

    Returns
    -------
    ndarray of unsigned integers, same shape as the volume
        The value of the nearest point at each marked voxel, elsewhere 0.
    """
    # In the memory order of the scan, which is its file's: to be written it need not be transposed.
    labels = np.zeros_like(volume.array, dtype=np.min_scalar_type(max(values, default=0)))
    # At least one voxel, which the 3 x 3 x 3 cube needs.
    reach = np.maximum(np.ceil(radius_mm / volume.spacing), 1).astype(int)
    for number, center in enumerate(np.rint(volume.to_index(points)).astype(int)):
        start, stop = np.maximum(center - reach, 0), np.minimum(center + reach + 1, volume.shape)
        if (start >= stop).any():
            continue
        indices = np.stack(np.meshgrid(*map(np.arange, start, stop), indexing="ij"), axis=-1)
        distances = np.linalg.norm(volume.to_world(indices)[..., None, :] - points, axis=-1)
        in_cube = (np.abs(indices - center) <= 1).all(axis=-1)
        mine = (in_cube | (distances[..., number] <= radius_mm)) & (distances.argmin(axis=-1) == number)
        labels[tuple(map(slice, start, stop))][mine] = values[number]
    return labels


def _box_around(points: np.ndarray, volume: Volume) -> tuple[slice, ...] | None:
    """Return the box of the voxels that `mark_voxels` can mark, None if there are none."""
    reach = np.maximum(np.ceil(RADIUS_MM / volume.spacing), 1).astype(int)
    centers = np.rint(volume.to_index(points)).astype(int).reshape(-1, 3)
    if not len(centers):
        return None
    start = np.clip(centers.min(axis=0) - reach, 0, np.array(volume.shape) - 1)
    stop = np.clip(centers.max(axis=0) + reach + 1, start + 1, volume.shape)
    return tuple(map(slice, start.tolist(), stop.tolist()))


def _segment_metadata(laminae: list[Lamina], array_kji: np.ndarray) -> dict[str, str]:
    """Return the header fields by which Slicer knows the segments."""
    metadata = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ConversionParameters": "",
        # The second name is the one that Slicer used up to version 5.0.
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    boxes = _label_boxes(array_kji)
    for number, lamina in enumerate(laminae):
        box = boxes[number] if number < len(boxes) else None
        # Slicer's way to write an empty extent.
        extent = "0 -1 0 -1 0 -1"
        if box is not None:
            extent = " ".join(f"{part.start} {part.stop - 1}" for part in reversed(box))
        red, green, blue = _color(lamina, number, len(laminae))
        metadata |= {
            f"Segment{number}_ID": lamina.name,
            f"Segment{number}_Name": lamina.name,
            f"Segment{number}_NameAutoGenerated": "0",
            f"Segment{number}_Color": f"{red:.6g} {green:.6g} {blue:.6g}",
            f"Segment{number}_ColorAutoGenerated": "0",
            f"Segment{number}_LabelValue": str(number + 1),
            f"Segment{number}_Layer": "0",
            f"Segment{number}_Extent": extent,
            f"Segment{number}_Tags": _tags(lamina),
        }
    return metadata


def _label_boxes(labels: np.ndarray) -> list[tuple[slice, ...] | None]:
    """Return the box of each label, None where it has no voxel; searches only where there are labels."""
    from scipy import ndimage  # here, so that importing the module stays quick

    where = []
    for axis in range(3):
        trimmed = labels[tuple(where)]
        used = np.flatnonzero(trimmed.any(axis=tuple(other for other in range(3) if other != axis)))
        if not used.size:
            return []
        where.append(slice(used[0], used[-1] + 1))
    found = ndimage.find_objects(labels[tuple(where)])
    return [
        box and tuple(slice(part.start + start.start, part.stop + start.start) for part, start in zip(box, where))
        for box in found
    ]


def _color(lamina: Lamina, number: int, count: int) -> tuple[float, float, float]:
    """Return a color that runs around the color circle down the spine; the right side is darker than the left."""
    return colorsys.hsv_to_rgb(number / max(count, 1), 0.75, 1.0 if lamina.side == "L" else 0.75)


def _tags(lamina: Lamina) -> str:
    """Return the segment's tags; Slicer shows the status in its segment list."""
    status = "completed" if lamina.review == "placed" else "inprogress"
    source = SUGGESTED if lamina.is_suggested else lamina.source
    return f"Segmentation.Status:{status}|LaminaUltrasound.Source:{source}|"


def _component_centroids(labels: np.ndarray, name: str) -> np.ndarray:
    """Return the centroids, in indices, of the 26-connected components of each label, shape (N, 3)."""
    from scipy import ndimage

    if labels.dtype.kind == "f" and not np.array_equal(labels, np.rint(labels)):
        raise LaminaError(
            _('"{file}" is not a label volume because its values are not whole numbers: give labels.').format(file=name)
        )
    if np.count_nonzero(labels) > _MAX_LABELED * labels.size:
        raise LaminaError(
            _('"{file}" looks like a scan, not like labels, because most of it is not 0: give labels.').format(
                file=name
            )
        )
    centroids = []
    voxels = np.argwhere(labels)
    values = labels[tuple(voxels.T)]
    for value in np.unique(values):
        own = voxels[values == value]
        start = own.min(axis=0)
        box = labels[tuple(map(slice, start, own.max(axis=0) + 1))] == value
        components, count = ndimage.label(box, _CONNECTED_26)
        centroids += [np.add(start, center) for center in ndimage.center_of_mass(box, components, range(1, count + 1))]
    return np.array(centroids).reshape(-1, 3)
