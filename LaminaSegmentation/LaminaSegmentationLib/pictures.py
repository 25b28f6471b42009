"""Pictures of a scan, its preprocessing and its laminae, as PNG files. Needs no display."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LaminaLabelingLib.atomic import atomic_path
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume

from .preprocessing import Prepared

_BACKGROUND = "#101418"
_LEFT, _RIGHT, _COLUMN = "#4fc3f7", "#ffb74d", "#ef5350"


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


def new_figure(width: float, height: float, color: str = _BACKGROUND):
    """Return an empty matplotlib figure of a size in inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=color, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def show_picture(axes, picture: np.ndarray, pixel: tuple[float, float], title: str, top=None, cmap="gray") -> None:
    """Show a picture with pixels of ``pixel`` mm (vertical, horizontal); ``top`` is what is shown white."""
    extent = (0.0, picture.shape[1] * pixel[1], picture.shape[0] * pixel[0], 0.0)
    seen = picture[np.isfinite(picture) & (picture != 0)]
    top = top if top is not None else (np.percentile(seen, 99.7) if seen.size else 1.0)
    axes.imshow(picture, cmap=cmap, extent=extent, vmin=0.0, vmax=top, aspect="equal", interpolation="bilinear")
    axes.set_title(title, color="white", fontsize=10)
    axes.tick_params(colors="#9aa5b1", labelsize=7)
    axes.set_facecolor("black")


def save_figure(figure, path: Path) -> None:
    """Write a figure as PNG, under a temporary name first."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        figure.savefig(stream, format="png", dpi=120, facecolor=figure.get_facecolor())


def draw_overlay(
    volume: Volume,
    laminae: LaminaSet,
    path: Path,
    prepared: Prepared | None = None,
    truth: LaminaSet | None = None,
    title: str = "",
) -> None:
    """Draw the coronal, sagittal and axial projections of a scan with the laminae on them.

    Parameters
    ----------
    volume : Volume
    laminae : LaminaSet
        Drawn as dots, left blue and right orange, with their names.
    path : Path
        The PNG to write, under a temporary name first.
    prepared : Prepared, optional
        Adds the spinous process column and the slab at the depth of the laminae.
    truth : LaminaSet, optional
        Drawn as hollow circles.
    title : str
    """
    from matplotlib.patheffects import withStroke

    pictures = projections(volume, prepared)
    figure = new_figure(11.0, 9.5)
    grid = figure.add_gridspec(2, 3, width_ratios=[1.5, 0.9, 1.1], height_ratios=[1.0, 1.0])
    coronal, sagittal = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
    axial, legend = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    panels = {"coronal": (coronal, 1, 0), "sagittal": (sagittal, 2, 0), "axial": (axial, 1, 2)}
    heading = {
        "coronal": "Coronal, seen from behind (left of the patient on the left)",
        "sagittal": "Sagittal (anterior on the right)",
        "axial": "Axial, half way down (all laminae projected)",
    }
    spacing = volume.spacing
    for name, (axes, across, down) in panels.items():
        show_picture(axes, *pictures[name], heading[name])
        for points, style in _point_layers(volume, laminae, truth, prepared, name):
            places = (points + 0.5) * spacing
            axes.plot(places[:, across], places[:, down], **style)
    for name, position in laminae.positions().items():
        place = (volume.to_index(position[None])[0] + 0.5) * spacing
        shift, align = (-9, "right") if name.endswith("L") else (9, "left")
        text = coronal.annotate(
            name,
            (place[1], place[0]),
            (shift, 0),
            textcoords="offset points",
            ha=align,
            va="center",
            fontsize=7,
            color=_LEFT if name.endswith("L") else _RIGHT,
        )
        text.set_path_effects([withStroke(linewidth=2.0, foreground="black")])
    _legend(legend, laminae, truth, title)
    save_figure(figure, path)


def _point_layers(volume, laminae, truth, prepared, view):
    if prepared is not None and view != "axial":
        yield volume.to_index(prepared.column_points), {"color": _COLUMN, "lw": 1.0, "alpha": 0.8}
    if truth is not None and truth.positions():
        points = volume.to_index(np.array(list(truth.positions().values())))
        yield points, {"ls": "", "marker": "o", "mfc": "none", "mec": "#9ccc65", "ms": 7, "mew": 0.8}
    for side, color in (("L", _LEFT), ("R", _RIGHT)):
        points = [position for name, position in laminae.positions().items() if name.endswith(side)]
        if points:
            yield volume.to_index(np.array(points)), {"ls": "", "marker": "o", "color": color, "ms": 3.2}


def _legend(axes, laminae, truth, title) -> None:
    axes.axis("off")
    lines = [(title, "white")] if title else []
    lines += [
        (f"{len(laminae.positions())} laminae", "white"),
        ("left lamina", _LEFT),
        ("right lamina", _RIGHT),
        ("spinous process column", _COLUMN),
    ]
    if truth is not None:
        lines.append(("simulated truth (circles)", "#9ccc65"))
    lines.append(("Scales in mm. Research use only.", "#9aa5b1"))
    for number, (text, color) in enumerate(lines):
        axes.text(0.02, 0.95 - 0.09 * number, text, color=color, fontsize=9, va="top", transform=axes.transAxes)


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
    axes[0].contour(survey.seen, levels=[0.5], colors="#9ccc65", linewidths=0.8, extent=extent, origin="upper")
    show_picture(axes[1], np.nan_to_num(column.projection), (survey.step[0], survey.step[1]), "2 spinous column")
    axes[1].plot((column.position + 0.5) * spacing[1], rows, color=_COLUMN, lw=1.0)

    nearest = np.clip(np.round(column.position).astype(int), 0, shape[1] - 1)
    sagittal = np.stack([volume.array[min(int(row), shape[0] - 1), at] for row, at in zip(survey.rows, nearest)])
    show_picture(axes[2], sagittal, (survey.step[0], spacing[2]), "1 skin, cut and laminae")
    cells = np.clip(
        np.round((column.position - survey.columns[0]) / np.diff(survey.columns[:2])).astype(int),
        0,
        len(survey.columns) - 1,
    )
    every = np.arange(len(rows))
    for surface, color in ((survey.skin, "#9ccc65"), (layer.cut, _COLUMN), (survey.bottom, "#9aa5b1")):
        axes[2].plot((surface[every, cells] + 0.5) * spacing[2], rows, color=color, lw=1.0)
    laminae = layer.cut[every, cells] + layer.clearance / spacing[2]
    axes[2].plot((laminae + 0.5) * spacing[2], rows, color=_RIGHT, lw=1.0, ls="--")

    show_picture(axes[3], mean, (spacing[0], spacing[1]), "3 region of interest")
    box = [(part.start * size, part.stop * size) for part, size in zip(prepared.box, spacing)]
    axes[3].plot(
        [box[1][0], box[1][1], box[1][1], box[1][0], box[1][0]],
        [box[0][0], box[0][0], box[0][1], box[0][1], box[0][0]],
        color="#9ccc65",
        lw=1.0,
    )
    grid = np.where(prepared.scanned, prepared.grid.array, np.nan)
    sizes = prepared.grid.spacing
    for panel, axis, name in ((axes[4], 2, "coronal"), (axes[5], 1, "sagittal")):
        picture = np.where(prepared.scanned.any(axis=axis), np.nan_to_num(grid, nan=-9.0).max(axis=axis), -3.0)
        pixel = (sizes[0], sizes[1] if axis == 2 else sizes[2])
        show_picture(panel, np.clip(picture, -3.0, 6.0) + 3.0, pixel, f"4, 5 grid, {name} maximum", top=8.0)
    save_figure(figure, path)
