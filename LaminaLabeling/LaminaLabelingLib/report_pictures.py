"""Pictures of a scan for a report: the laminae's slab seen from behind and from the side, as PNG in text."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import zoom

from LaminaLabelingLib.volumes import Volume

CORONAL_HALF_MM = 6.0
"""Half of the slab at the depth of the laminae whose maximum the coronal picture is: there they stand out."""

SAGITTAL_HALF_MM = 20.0
"""Half of the slab beside the midline whose mean the sagittal picture is, wide enough for both laminae."""

PIXEL_MM = 0.5
"""Smaller voxels are averaged to this: a page shows no more."""

_WHITE_PERCENTILE = 99.7


@dataclass(frozen=True)
class Picture:
    """A picture of a scan and where it lies in a plane of the patient.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (H, W)
        Rows run down the spine.
    to_plane : ndarray, shape (2, 3)
        From (x, y, 1) in pixels, (0, 0) being the corner of the first pixel, to mm: right (coronal) or anterior
        (sagittal), and superior.
    """

    pixels: np.ndarray
    to_plane: np.ndarray

    @property
    def address(self) -> str:
        """The picture itself as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(png_bytes(self.pixels)).decode("ascii")


def coronal_picture(volume: Volume, midpoints: np.ndarray) -> Picture:
    """Return the maximum over a slab that follows the depth of the laminae.

    Parameters
    ----------
    volume : Volume
        In patient axes.
    midpoints : ndarray, shape (N, 3)
        Of the levels, RAS mm; without any, the mean over the whole depth is taken.

    Returns
    -------
    Picture
    """
    return _picture(volume, midpoints, kept=1, reduced=2, half_mm=CORONAL_HALF_MM, by_maximum=True)


def sagittal_picture(volume: Volume, midpoints: np.ndarray) -> Picture:
    """Return the mean of what was scanned over a slab that follows the midline; see `coronal_picture`."""
    return _picture(volume, midpoints, kept=2, reduced=1, half_mm=SAGITTAL_HALF_MM, by_maximum=False)


def png_bytes(pixels: np.ndarray) -> bytes:
    """Return a gray picture, uint8 of shape (H, W), as a PNG file [1]_.

    References
    ----------
    .. [1] Portable Network Graphics (PNG) Specification, second edition. ISO/IEC 15948, W3C 2003.
    """
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, 0
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _picture(volume, midpoints, kept, reduced, half_mm, by_maximum) -> Picture:
    spacing = volume.spacing
    index = volume.to_index(np.reshape(midpoints, (-1, 3)))
    middle = 0.5 * (volume.shape[reduced] - 1)
    if len(index):
        index = index[np.argsort(index[:, 0])]
        at = np.interp(np.arange(volume.shape[0]), index[:, 0], index[:, reduced])
        half, middle = half_mm / spacing[reduced], float(index[:, reduced].mean())
    else:
        at, half, by_maximum = np.full(volume.shape[0], middle), float(volume.shape[reduced]), False
    values = np.stack([_reduce(plane, reduced - 1, place, half, by_maximum) for plane, place in zip(volume.array, at)])
    factors = np.minimum(1.0, [spacing[0] / PIXEL_MM, spacing[kept] / PIXEL_MM])
    shape = values.shape
    if (factors < 0.9).any():
        values = zoom(values, factors, order=1, grid_mode=True, mode="nearest")
    steps = np.array(shape) / values.shape
    return Picture(_gray(values), _to_plane(volume, kept, reduced, steps, middle))


def _reduce(plane: np.ndarray, axis: int, place: float, half: float, by_maximum: bool) -> np.ndarray:
    low, high = max(0, round(place - half)), max(1, round(place + half) + 1)
    slab = np.moveaxis(plane, axis, 0)[min(low, plane.shape[axis] - 1) : high]
    if by_maximum:
        return slab.max(axis=0).astype(np.float64)
    count = np.count_nonzero(slab, axis=0)  # 0 was never scanned
    return slab.sum(axis=0, dtype=np.float64) / np.maximum(count, 1)


def _gray(values: np.ndarray) -> np.ndarray:
    seen = values[values > 0]
    white = float(np.percentile(seen, _WHITE_PERCENTILE)) if seen.size else 1.0
    return np.clip(np.rint(values * (255.0 / white)), 0, 255).astype(np.uint8)


def _to_plane(volume: Volume, kept: int, reduced: int, steps: np.ndarray, middle: float) -> np.ndarray:
    """Return the affine map of the picture's pixels for the plane in the middle of the slab."""
    index = np.zeros((3, 3))  # of the pixel corners (0, 0), (1, 0) and (0, 1)
    index[:, 0] = np.array([0.0, 0.0, 1.0]) * steps[0] - 0.5
    index[:, kept] = np.array([0.0, 1.0, 0.0]) * steps[1] - 0.5
    index[:, reduced] = middle
    places = volume.to_world(index)[:, [0 if kept == 1 else 1, 2]]
    return np.column_stack([places[1] - places[0], places[2] - places[0], places[0]])
