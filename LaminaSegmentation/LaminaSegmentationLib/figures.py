"""Figures of an evaluation as PNG files: box plots of several networks, and what a network found in one scan.

They show what Figures 3 and 4 of the paper show. Need no display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LaminaLabelingLib.anatomy import is_name, split_name

from .metrics import THRESHOLD, CaseScore, score_segmentation, value_of
from .pictures import new_figure, save_figure, show_picture
from .samples import CUBE, cube_labels

if TYPE_CHECKING:
    from .dataset import Case

TRUTH, PREDICTION = "#ff9f1c", "#2ee66b"
"""The colors of the paper's Figures 3c and 4."""

_INK, _RULE, _DIM = "#1f2933", "#d5dbe1", "#9aa5b1"
_BOXES = ("#2f6fb0", "#8a8f98", "#2a9d4e", "#c2412d", "#7b4fa3", "#b8860b", "#0f8b8d", "#444444")
# What is wrong is told by its shape and its text, too: red and green are alike to one man in twelve.
_MARKS = {
    "TP": {"marker": "o", "mec": "#ffffff", "ms": 11.0, "mew": 0.7, "alpha": 0.75},
    "FN": {"marker": "s", "mec": "#ff4d4d", "ms": 15.0, "mew": 1.6},
    "FP": {"marker": "D", "mec": "#f5e663", "ms": 12.0, "mew": 1.4},
}
_MOST_TEXTS = 25
_PANELS = (
    ("d3d_total_vox", "$d_{3D}$, total (voxels)", "Distance from the true laminae to the nearest components"),
    ("delta", "$\\Delta$", "Difference between the numbers of laminae and components"),
)


def draw_boxplots(
    groups: Mapping[str, Sequence[CaseScore | Mapping[str, float | None]]], path: Path, title: str = ""
) -> None:
    """Draw box plots of the total d3D (top) and of Delta (bottom), as the paper's Figure 3a.

    Boxes reach from the first to the third quartile with a line at the median; whiskers to the last scan within 1.5
    interquartile ranges of the box. Every scan is a dot, and a diamond is the mean.

    Parameters
    ----------
    groups : mapping of str to sequence
        The scores of each network by its label, in the order of the boxes: `metrics.CaseScore`, or mappings with the
        keys ``d3d_total_vox`` and ``delta``. Undefined values are left out.
    path : Path
        The PNG to write, under a temporary name first.
    title : str
        Stands above the plots; the place for "simulated scans".
    """
    figure = new_figure(max(4.6, 1.9 + 1.35 * len(groups)), 7.2, "white")
    panels = figure.subplots(2, 1, sharex=True)
    for axes, (key, name, meaning) in zip(panels, _PANELS):
        values = [np.array([value_of(score, key) for score in scores]) for scores in groups.values()]
        values = [group[np.isfinite(group)] for group in values]
        _boxes(axes, values)
        axes.set_ylabel(name, color=_INK, fontsize=11)
        axes.set_title(meaning, color=_INK, fontsize=9, loc="left")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -0.04 * high), high)
        axes.yaxis.get_major_locator().set_params(integer=True)
    labels = [f"{label}\n({len(scores)} scan{'s' * (len(scores) != 1)})" for label, scores in groups.items()]
    panels[1].set_xticks(range(1, len(groups) + 1), labels, fontsize=8.5, color=_INK)
    panels[1].set_xlabel(
        "box: quartiles and median; whiskers: 1.5 interquartile ranges;\ndots: scans; diamond: mean",
        color="#66717d",
        fontsize=8,
    )
    if title:
        figure.suptitle(title, color=_INK, fontsize=11)
    save_figure(figure, path)


def _boxes(axes, values: Sequence[np.ndarray]) -> None:
    style = {"color": _INK, "linewidth": 1.1}
    drawn = axes.boxplot(
        values,
        whis=1.5,
        widths=0.55,
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        medianprops=style | {"linewidth": 1.8},
        whiskerprops=style,
        capprops=style,
        meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": _INK, "markersize": 5.5},
    )
    generator = np.random.default_rng(0)
    for number, (box, group) in enumerate(zip(drawn["boxes"], values)):
        color = _BOXES[number % len(_BOXES)]
        box.set(facecolor=color, alpha=0.45, edgecolor=_INK)
        across = number + 1 + generator.uniform(-0.16, 0.16, len(group))
        axes.plot(across, group, ls="", marker="o", ms=3.6, mfc=color, mec="white", mew=0.4, zorder=3)
    axes.grid(axis="y", color=_RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=8.5)


def draw_overlay_comparison(
    case: Case,
    probability: np.ndarray,
    path: Path,
    title: str = "",
    threshold: float = THRESHOLD,
    score: CaseScore | None = None,
) -> None:
    """Draw what a network found in a scan over its truth, as the paper's Figures 3b, 3c and 4.

    Coronal and sagittal projections of the scan as the network sees it; the true cubes in orange, the thresholded map
    in green. Each lamina that was found (TP), missed (FN), and each false component (FP) is marked, at 5 mm.

    Parameters
    ----------
    case : dataset.Case
    probability : array (SI, LR, PA)
        The network's output, or a mask.
    path : Path
        The PNG to write, under a temporary name first.
    title : str
    threshold : float
    score : metrics.CaseScore, optional
        The judgment to mark, if it is another than that of the map's components.
    """
    score = score or score_segmentation(probability, case, threshold)
    shape, spacing = np.array(case.grid.shape), np.asarray(case.spacing, float)
    size = shape * spacing
    # The panels lie side by side at one scale, and what is left of the page is the legend's.
    height = 11.0
    inches = (height - 1.0) / size[0]
    width = (size[1] + size[2]) * inches + 4.2
    figure = new_figure(width, height)
    grid = figure.add_gridspec(1, 3, width_ratios=[size[1] * inches, size[2] * inches, 2.4])
    panels = {2: figure.add_subplot(grid[0]), 1: figure.add_subplot(grid[1])}
    legend = figure.add_subplot(grid[2])
    intensities = np.asarray(case.grid, np.float32)
    cubes, predicted = cube_labels(shape, case.centroids).astype(bool), np.asarray(probability) >= threshold
    names = {2: "Coronal, from behind", 1: "Sagittal, anterior right"}
    for axis, axes in panels.items():
        across = 3 - axis
        _show_grid(axes, intensities, axis, spacing, names[axis])
        _cover(axes, cubes.any(axis=axis), spacing[[0, across]], TRUTH, 0.55)
        _cover(axes, predicted.any(axis=axis), spacing[[0, across]], PREDICTION, 0.45)
        _mark(axes, score, case, across)
    _name_levels(panels[2], case)
    panels[1].tick_params(labelleft=False)
    _explain(legend, score, title, threshold)
    save_figure(figure, path)


def _show_grid(axes, intensities: np.ndarray, axis: int, spacing: np.ndarray, title: str) -> None:
    seen = (intensities != 0).any(axis=axis)
    picture = np.where(seen, np.clip(intensities.max(axis=axis), -1.0, 6.0) + 1.0, 0.0)
    show_picture(axes, 0.75 * picture, (spacing[0], spacing[3 - axis]), title, top=7.0)


def _cover(axes, mask: np.ndarray, pixel: np.ndarray, color: str, strength: float) -> None:
    """Lay a projected mask over a panel: a filled area with a sharp edge."""
    from matplotlib.colors import to_rgb

    height, width = mask.shape
    extent = (0.0, width * pixel[1], height * pixel[0], 0.0)
    area = np.zeros((height, width, 4))
    area[mask] = (*to_rgb(color), strength)
    axes.imshow(area, extent=extent, aspect="equal", interpolation="nearest")
    if mask.any():
        # Along the voxels' edges, so that cubes stay squares: each voxel is 4 x 4 cells, with a rim around the panel.
        fine = np.pad(np.kron(mask, np.ones((4, 4))), 1)
        rows = (np.arange(fine.shape[0]) - 0.5) / 4.0 * pixel[0]
        columns = (np.arange(fine.shape[1]) - 0.5) / 4.0 * pixel[1]
        axes.contour(columns, rows, fine, levels=[0.5], colors=color, linewidths=0.9)
        axes.set(xlim=extent[:2], ylim=extent[2:])


def _mark(axes, score: CaseScore, case: Case, across: int) -> None:
    """Put the marks of TP, FN and FP on a panel whose horizontal axis is ``across``."""
    spacing = np.asarray(case.spacing, float)
    places = (np.asarray(case.centroids, float).reshape(-1, 3) + 0.5) * spacing
    found = np.array([outcome.found for outcome in score.outcomes], bool)
    groups = {"TP": places[found], "FN": places[~found], "FP": (score.false_positions + 0.5) * spacing}
    texts = {"FN": [f"FN {name}".strip() for name in score.missed_names], "FP": ["FP"] * len(groups["FP"])}
    for kind, points in groups.items():
        axes.plot(points[:, across], points[:, 0], ls="", mfc="none", zorder=4, **_MARKS[kind])
        # Where everything is wrong the marks are enough; hundreds of texts would hide the scan.
        if kind in texts and across == 1 and len(points) <= _MOST_TEXTS:
            for point, text in zip(points, texts[kind]):
                _text_beside(axes, point[1], point[0], text, _MARKS[kind]["mec"])


def _text_beside(axes, x: float, y: float, text: str, color: str) -> None:
    from matplotlib.patheffects import withStroke

    low, high = axes.get_xlim()
    # Away from the column and the other side's marks, unless the edge is too near for a word.
    right = x > 0.5 * (low + high)
    if min(x - low, high - x) < 0.2 * (high - low):
        right = not right
    drawn = axes.annotate(
        text,
        (x, y),
        (11 if right else -11, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=7.5,
        color=color,
        zorder=5,
        annotation_clip=True,
    )
    drawn.set_path_effects([withStroke(linewidth=2.2, foreground="black")])


def _name_levels(axes, case: Case) -> None:
    """Write the vertebrae's names where the panel's scale would be, and the patient's sides into its corners."""
    for side, x in (("L", 0.03), ("R", 0.97)):
        axes.text(x, 0.995, side, color="white", fontsize=11, ha="center", va="top", transform=axes.transAxes)
    rows: dict[str, list[float]] = {}
    for name, centroid in zip(case.names, np.asarray(case.centroids, float).reshape(-1, 3)):
        if is_name(name) and 0 <= centroid[0] < case.grid.shape[0]:
            rows.setdefault(split_name(name)[0], []).append(float((centroid[0] + 0.5) * case.spacing[0]))
    if rows:
        axes.set_yticks([float(np.mean(places)) for places in rows.values()], list(rows), fontsize=8)
        axes.tick_params(axis="y", length=0)


def _explain(axes, score: CaseScore, title: str, threshold: float) -> None:
    """Write title, legend and the scan's figures."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    axes.axis("off")
    count = len(score.outcomes)
    missed, false = len(score.missed_names), len(score.false_rows)
    mark = {kind: Line2D([], [], ls="", mfc="none", **style) for kind, style in _MARKS.items()}
    handles = [
        (Patch(fc=TRUTH, alpha=0.75), f"truth: {CUBE} x {CUBE} x {CUBE} voxels around\neach lamina"),
        (Patch(fc=PREDICTION, alpha=0.65), f"prediction: the map from {threshold:g} on"),
        (mark["TP"], f"TP, found within 5 mm: {count - missed}"),
        (mark["FN"], f"FN, missed: {missed}"),
        (mark["FP"], f"FP, false: {false}"),
    ]
    for handle, _ in handles[2:]:
        handle.set_markersize(8.5)
    axes.text(0.0, 0.985, _wrapped(title, 30), color="white", fontsize=10.5, va="top", transform=axes.transAxes)
    axes.legend(
        *zip(*handles),
        loc="upper left",
        bbox_to_anchor=(-0.04, 0.92),
        frameon=False,
        labelcolor="white",
        fontsize=9,
        labelspacing=1.1,
    )
    lines = [f"{name}: {text}" for name, text in _figures_of(score)]
    if missed:
        shown = score.missed_names[:_MOST_TEXTS]
        lines += ["", _wrapped("Missed: " + ", ".join(shown) + (" and more" if missed > len(shown) else ""), 36)]
    lines += ["", "Scales in mm. Research use only."]
    axes.text(0.0, 0.69, "\n".join(lines), color=_DIM, fontsize=9, va="top", linespacing=1.5, transform=axes.transAxes)


def _figures_of(score: CaseScore) -> list[tuple[str, str]]:
    known = [
        ("Dice", "dice", "{:.3f}"),
        ("d3D, total", "d3d_total_vox", "{:.1f} voxels"),
        ("Delta", "delta", "{:.0f}"),
        ("Error of found laminae", "mean_error_mm", "{:.2f} mm"),
    ]
    values = [(name, value_of(score, key), form) for name, key, form in known]
    return [(name, form.format(value)) for name, value, form in values if np.isfinite(value)]


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
