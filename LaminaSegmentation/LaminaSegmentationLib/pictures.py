"""Pictures of a scan and its preprocessing, as PNG files. Needs no display."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.volumes import Volume

from .preprocessing import Prepared

BACKGROUND, GRAY = "#101418", "#9aa5b1"
LEFT, RIGHT, COLUMN, TRUTH = "#4fc3f7", "#ffb74d", "#ef5350", "#9ccc65"


def masked_mean(array: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of the scanned (nonzero) voxels along an axis, 0 where there are none."""
    count = np.count_nonzero(array, axis=axis)
    total = array.sum(axis=axis, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), 0.0)


def projections(volume: Volume, prepared: Prepared | None = None) -> dict[str, tuple[np.ndarray, tuple[float, float]]]:
    """Return the coronal, sagittal and axial pictures of a scan and their pixel sizes (vertical, horizontal) in mm.

    With a prepared scan the coronal picture is the maximum over a slab of 16 mm at the depth of the laminae, where
    they stand out, and the sagittal one the mean within 20 mm of the column; else both are means.
    """
    array, spacing = volume.array, volume.spacing
    # Over the whole length the skin would hide everything: the axial picture is one slice, half way down.
    axial = array[array.shape[0] // 2]
    if prepared is None:
        coronal, sagittal = masked_mean(array, 2), masked_mean(array, 1)
    else:
        shape = array.shape[:2]
        depth = prepared.survey.at_full_size(prepared.top_layer.cut, shape) + prepared.top_layer.clearance / spacing[2]
        coronal = _slab_maximum(array, depth, 8.0 / spacing[2])
        column = prepared.column.at(np.arange(shape[0]))
        sagittal = np.stack(
            [
                masked_mean(row[max(0, int(at - 20 / spacing[1])) : int(at + 20 / spacing[1]) + 1], 0)
                for row, at in zip(array, column)
            ]
        )
    return {
        "coronal": (coronal, (spacing[0], spacing[1])),
        "sagittal": (sagittal, (spacing[0], spacing[2])),
        "axial": (axial.T, (spacing[2], spacing[1])),
    }


def _slab_maximum(array: np.ndarray, middle: np.ndarray, half: float) -> np.ndarray:
    result = np.zeros(array.shape[:2])
    offsets = np.arange(-int(half), int(half) + 1)
    for row in range(array.shape[0]):
        index = np.clip(middle[row][:, None].astype(int) + offsets, 0, array.shape[2] - 1)
        result[row] = np.take_along_axis(array[row], index, axis=1).max(axis=1)
    return result


def white_level(picture: np.ndarray) -> float:
    """Return the value that is shown white: hardly anything of what was scanned is brighter."""
    seen = picture[np.isfinite(picture) & (picture != 0)]
    return float(np.percentile(seen, 99.7)) if seen.size else 1.0


def new_figure(width: float, height: float, color: str = BACKGROUND):
    """Return an empty matplotlib figure of a size in inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=color, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def show_picture(axes, picture: np.ndarray, pixel: tuple[float, float], title: str, top=None, cmap="gray") -> None:
    """Show a picture with pixels of ``pixel`` mm (vertical, horizontal); ``top`` is what is shown white."""
    extent = (0.0, picture.shape[1] * pixel[1], picture.shape[0] * pixel[0], 0.0)
    top = top if top is not None else white_level(picture)
    axes.imshow(picture, cmap=cmap, extent=extent, vmin=0.0, vmax=top, aspect="equal", interpolation="bilinear")
    axes.set_title(title, color="white", fontsize=10)
    axes.tick_params(colors=GRAY, labelsize=7)
    axes.set_facecolor("black")


def save_figure(figure, path: Path) -> None:
    """Write a figure as PNG, under a temporary name first."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        figure.savefig(stream, format="png", dpi=120, facecolor=figure.get_facecolor())


def draw_steps(volume: Volume, prepared: Prepared, path: Path) -> None:
    """Draw each preprocessing step: footprint and skin, column, top layer, region of interest, the network's grid."""
    figure = new_figure(15.0, 8.0)
    axes = figure.subplots(1, 6)
    spacing, survey, column, layer = volume.spacing, prepared.survey, prepared.column, prepared.top_layer
    shape = volume.array.shape
    mean = masked_mean(volume.array, 2)
    rows = (survey.rows + 0.5) * spacing[0]
    extent = (0.0, shape[1] * spacing[1], shape[0] * spacing[0], 0.0)

    show_picture(axes[0], mean, (spacing[0], spacing[1]), "0 footprint")
    axes[0].contour(survey.seen, levels=[0.5], colors=TRUTH, linewidths=0.8, extent=extent, origin="upper")
    show_picture(axes[1], np.nan_to_num(column.projection), (survey.step[0], survey.step[1]), "2 spinous column")
    axes[1].plot((column.position + 0.5) * spacing[1], rows, color=COLUMN, lw=1.0)

    nearest = np.clip(np.round(column.position).astype(int), 0, shape[1] - 1)
    sagittal = np.stack([volume.array[min(int(row), shape[0] - 1), at] for row, at in zip(survey.rows, nearest)])
    show_picture(axes[2], sagittal, (survey.step[0], spacing[2]), "1 skin, cut and laminae")
    cells = np.clip(
        np.round((column.position - survey.columns[0]) / np.diff(survey.columns[:2])).astype(int),
        0,
        len(survey.columns) - 1,
    )
    every = np.arange(len(rows))
    for surface, color in ((survey.skin, TRUTH), (layer.cut, COLUMN), (survey.bottom, GRAY)):
        axes[2].plot((surface[every, cells] + 0.5) * spacing[2], rows, color=color, lw=1.0)
    laminae = layer.cut[every, cells] + layer.clearance / spacing[2]
    axes[2].plot((laminae + 0.5) * spacing[2], rows, color=RIGHT, lw=1.0, ls="--")

    show_picture(axes[3], mean, (spacing[0], spacing[1]), "3 region of interest")
    box = [(part.start * size, part.stop * size) for part, size in zip(prepared.box, spacing)]
    axes[3].plot(
        [box[1][0], box[1][1], box[1][1], box[1][0], box[1][0]],
        [box[0][0], box[0][0], box[0][1], box[0][1], box[0][0]],
        color=TRUTH,
        lw=1.0,
    )
    grid = np.where(prepared.scanned, prepared.grid.array, np.nan)
    sizes = prepared.grid.spacing
    for panel, axis, name in ((axes[4], 2, "coronal"), (axes[5], 1, "sagittal")):
        picture = np.where(prepared.scanned.any(axis=axis), np.nan_to_num(grid, nan=-9.0).max(axis=axis), -3.0)
        pixel = (sizes[0], sizes[1] if axis == 2 else sizes[2])
        show_picture(panel, np.clip(picture, -3.0, 6.0) + 3.0, pixel, f"4, 5 grid, {name} maximum", top=8.0)
    save_figure(figure, path)
