"""The report of an experiment: table, statistics, plots and the page that ties them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from LaminaLabelingLib.atomic import atomic_path

from .experiment import ARMS, BY_LOSS, SAID_OF_A_MINIATURE, Arm, Folder, Run, Settings, write_json
from .experiment_table import (
    BETTER,
    COLUMNS,
    markdown,
    plus_minus,
    summarize_experiment,
    table_csv,
    table_markdown,
)

NAMES = {key: head for key, (head, _) in COLUMNS.items()}

_INK, _GRID = "#1f2933", "#d5dbe1"
LOSS_COLORS = {"dice": "#1f77b4", "wbce": "#7f7f7f", "centroid": "#2ca02c", "lamina_dice": "#d62728"}

MEANING = """\
- **D** is the Dice coefficient of the map thresholded at 0.5 and the 3 x 3 x 3 cubes; higher is better.
- **d3D total** is the sum, over the true laminae, of the distance to the nearest predicted component in voxels (eq. 7
  without its division, which is what Table I of the paper must hold); lower is better. It is blind to false positives.
- **Delta** is the difference between the numbers of true laminae and predicted components (eq. 8); errors may cancel.
- **missed**, **missed lumbar** (L1 to L5) and **false** count laminae and components without a partner within 5 mm;
  **recall 5 mm** is the share of true laminae found.
- **best epoch** is the one with the lowest validation loss, or the lowest d3D on the validation scans where the name
  of the network says so. **training** is the time of all epochs on the machine named above.
"""

TESTS = """\
One-tailed paired Student's t-tests as in the paper, and beside them the exact Wilcoxon signed rank test and a 95 %
percentile bootstrap interval of the mean difference (first minus second). The unit is the test scan; its values are
averaged over the training seeds first, so that the number of seeds makes no test easier to pass. `Holm` is the p-value
adjusted for all tests of this table; without it, one in twenty differences that are nothing but luck falls below 0.05.
"""


def write_report(folder: Folder) -> tuple[dict[str, str], dict | None]:
    """Write the report of what is finished so far.

    Parameters
    ----------
    folder : Folder

    Returns
    -------
    files : dict of str to str
        Path of each file by what it is.
    summary : dict or None
        See `experiment_table.summarize_experiment`; None, and no report, as long as no seed is finished for all arms.
    """
    files = {"experiment": str(folder.summary)}
    summary = summarize_experiment(folder)
    if summary is None:
        return files, None
    path = folder.path
    content, settings = folder.read(), folder.settings()
    _write_text(table_csv(summary), path / "table1.csv")
    _write_text(table_markdown(summary), path / "table1.md")
    write_json(summary, path / "stats.json")
    _draw_boxes(summary, path / "boxplot.png")
    draw_curves(folder, summary, path / "curves.png")
    scan, overlays = _draw_overlays(folder, settings, summary)
    _write_text(report_text(content, settings, summary, scan, overlays), path / "report.md")
    names = ("report.md", "table1.csv", "table1.md", "stats.json", "boxplot.png", "curves.png", "overlays")
    return {**files, **{name.replace(".", "_"): str(path / name) for name in names}}, summary


def _write_text(text: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the console shows of each arm."""
    rows = []
    for arm in summary["arms"].values():
        figures = [
            f"{NAMES[key]} {plus_minus(arm['keys'][key]['mean'], arm['keys'][key]['std'], COLUMNS[key][1])}"
            for key in (*BETTER, "false")
        ]
        rows.append((arm["label"], ", ".join(figures)))
    return rows


def _draw_boxes(summary: Mapping[str, Any], path: Path) -> None:
    from .figures import draw_boxplots

    groups = {arm["label"]: list(arm["cases"].values()) for arm in summary["arms"].values()}
    draw_boxplots(groups, path, "Miniature: means nothing" if summary["miniature"] else f"Test: {summary['data']}")


def middle_scan(summary: Mapping[str, Any]) -> tuple[int, str]:
    """Return number and name of the test scan whose d3D in the first arm is the median."""
    cases = next(iter(summary["arms"].values()))["cases"]
    names = list(cases)
    order = sorted(range(len(names)), key=lambda number: cases[names[number]]["d3d_total_vox"])
    number = order[(len(order) - 1) // 2]
    return number, names[number]


def _draw_overlays(folder: Folder, settings: Settings, summary: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Draw the same test scan as each arm's first training sees it."""
    from .experiment_worker import load_mask
    from .figures import draw_overlay_comparison

    number, name = middle_scan(summary)
    case = folder.load_cases(settings, "test")[number]
    (folder.path / "overlays").mkdir(exist_ok=True)
    written = []
    for arm in (ARMS[name] for name in summary["arms"]):
        mask = load_mask(folder, Run(arm.loss, summary["seeds"][0]), arm.choice, number, case.grid.shape)
        written.append(f"overlays/{arm.name}.png")
        title = f"{arm.label}, test scan {name}" + (" (miniature: means nothing)" if summary["miniature"] else "")
        draw_overlay_comparison(case, mask.astype(np.float32), folder.path / written[-1], title=title)
    return name, written


def draw_curves(folder: Folder, summary: Mapping[str, Any], path: Path) -> None:
    """Draw validation loss and validation d3D by epoch: thin lines for the seeds, dots at the epochs that were chosen.

    Parameters
    ----------
    folder : Folder
    summary : mapping
        See `experiment_table.summarize_experiment`.
    path : Path
        The PNG to write.
    """
    from .pictures import new_figure, save_figure

    arms = [ARMS[name] for name in summary["arms"]]
    losses = list(dict.fromkeys(arm.loss for arm in arms))
    figure = new_figure(3.1 * max(len(losses), 3), 7.0, "white")
    grid = figure.add_gridspec(2, len(losses), height_ratios=[1.0, 1.25])
    below = figure.add_subplot(grid[1, :])
    shown: list[float] = []
    for column, loss in enumerate(losses):
        axes = figure.add_subplot(grid[0, column])
        histories = {seed: folder.result(Run(loss, seed))["history"] for seed in summary["seeds"]}
        _draw_loss(axes, [arm for arm in arms if arm.loss == loss], folder, histories)
        axes.set_title(f"Validation loss: {loss}", fontsize=10, color=_INK)
        _draw_d3d(below, loss, list(histories.values()))
        shown += [row["val_d3d"] for history in histories.values() for row in history]
        if column == 0:
            axes.set_ylabel("loss (each has its own scale)", color=_INK, fontsize=9)
            axes.legend(frameon=False, fontsize=8)
    below.set(xlabel="epoch", ylabel="voxels")
    _scale_axis(below, shown)
    below.set_title("d3D total on the validation scans: mean and range over the seeds", fontsize=10, color=_INK)
    below.legend(frameon=False, fontsize=9, ncols=len(losses))
    for axes in figure.axes:
        axes.grid(color=_GRID, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK, labelsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)
    if summary["miniature"]:
        figure.suptitle("Miniature: these figures mean nothing", color="#b00020", fontsize=11)
    save_figure(figure, path)


def _draw_loss(axes, arms: Sequence[Arm], folder: Folder, histories: Mapping[int, Sequence[Mapping]]) -> None:
    color = LOSS_COLORS[arms[0].loss]
    for seed, history in histories.items():
        epochs, values = [row["epoch"] for row in history], [row["val_loss"] for row in history]
        axes.plot(epochs, values, color=color, lw=1.0, alpha=0.85)
        for arm in arms:
            best = folder.result(Run(arm.loss, seed))["choices"][arm.choice]["epoch"]
            label = "lowest loss" if arm.choice == BY_LOSS else "lowest d3D"
            # One entry in the legend for all seeds.
            label = label if seed == next(iter(histories)) else None
            # The diamond is hollow and larger: both may choose the same epoch.
            style = {"marker": "o", "mec": "white", "ms": 6.0}
            if arm.choice != BY_LOSS:
                style = {"marker": "D", "mfc": "none", "mec": _INK, "ms": 8.5}
            axes.plot(best, values[best - 1], ls="", color=color, label=label, **style)
    _scale_axis(axes, [row["val_loss"] for history in histories.values() for row in history])


def _scale_axis(axes, values: Sequence[float]) -> None:
    """Make the vertical axis logarithmic where the first epochs would press all others flat."""
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")


def _draw_d3d(axes, loss: str, histories: Sequence[Sequence[Mapping]]) -> None:
    epochs = [row["epoch"] for row in histories[0]]
    values = np.array([[row["val_d3d"] for row in history] for history in histories])
    axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=LOSS_COLORS[loss], alpha=0.15, lw=0)
    axes.plot(epochs, values.mean(axis=0), color=LOSS_COLORS[loss], lw=1.4, label=loss)


def report_text(
    content: Mapping[str, Any], settings: Settings, summary: Mapping[str, Any], scan: str, overlays: Sequence[str]
) -> str:
    """Return the page: what ran on what, the table, the tests, the pictures and what they mean.

    Parameters
    ----------
    content : mapping
        ``experiment.json``.
    settings : Settings
    summary : mapping
        See `experiment_table.summarize_experiment`.
    scan : str
        Name of the scan in the pictures.
    overlays : sequence of str
        Their files, relative to the page.
    """
    parts = ["# The experiment of Wong et al., run anew", ""]
    if settings.miniature:
        parts += [f"**{SAID_OF_A_MINIATURE}**", ""]
    if not content["complete"]:
        parts += ["**Not all trainings are finished: this page holds the seeds that all networks have finished.**", ""]
    parts += [*_what_ran(content, settings, summary), "", "## Table I", "", table_markdown(summary)]
    parts += [
        "Mean ± standard deviation over the test scans. The paper's rows are its own: scans of patients, a network of "
        f"width 64, one training each on a V100. The others are of {summary['data']}; the two kinds of rows cannot be "
        "compared with each other, only among themselves.",
        "",
        MEANING,
        "### Spread between training seeds",
        "",
        _spread(summary),
        "## Significance",
        "",
        TESTS,
        _tests(summary),
        "## Pictures",
        "",
        "![Box plots of d3D and Delta](boxplot.png)",
        "",
        "![Validation by epoch](curves.png)",
        "",
        f"The same test scan, `{scan}`, by each network's first training; it is the one whose d3D is the median of the "
        "first network.",
        "",
        *(f"![{name}]({name})\n" for name in overlays),
        "Research use only, not for diagnosis.",
    ]
    return "\n".join(parts) + "\n"


def _what_ran(content: Mapping[str, Any], settings: Settings, summary: Mapping[str, Any]) -> list[str]:
    data = settings.data
    training, validation, test = data["scans"]
    scans = f"{training} training, {validation} validation and {_count(test, 'test scan')}"
    if "dataset" in data:
        scans += f" of `{data['dataset']}`" + (f", simulated (style {data['style']})" if settings.simulated else "")
    else:
        size = f"{data['spacing_mm']:g} mm" if data["spacing_mm"] else "0.38 to 1 mm"
        scans += (
            f", all simulated (style {data['style']}, version {data['style_version']}, voxels of {size}; seeds from "
            f"{data['seed']} on for training and validation, from {data['test_seed']} on for the test)"
        )
    runs = [run for run in content["runs"].values() if run]
    steps = settings.steps or training
    crops = f", on stretches of {settings.crop_rows} rows" if settings.crop_rows else ", on whole grids"
    hardware = sorted({f"{run['hardware']} with {run['backend']}, {run['precision']}" for run in runs})
    return [
        f"- Data: {scans}.",
        f"- Network: 3D U-net of preset `{settings.preset}`"
        + (f" with width {settings.width}" if settings.width else "")
        + f", grid {' x '.join(map(str, settings.grid))}.",
        f"- Training: {_count(settings.epochs, 'epoch')} of {_count(steps, 'step')}{crops}; "
        f"Adam at {settings.learning_rate:g}, batches of one, sagittal flips.",
        f"- Training seeds: {', '.join(map(str, summary['seeds']))}.",
        f"- Ran on: {'; '.join(hardware)}. {content['software']}.",
        f"- Time of the whole experiment so far: {content['seconds'] / 60:.1f} minutes.",
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _spread(summary: Mapping[str, Any]) -> str:
    keys = [*BETTER, "false"]
    rows = []
    for arm in summary["arms"].values():
        cells = []
        for key in keys:
            figures, digits = arm["keys"][key], COLUMNS[key][1]
            cells.append(", ".join(plus_minus(value, None, digits) for value in figures["by_seed"]))
        rows.append([arm["label"], *cells, ", ".join(map(str, arm["best_epochs"]))])
    return markdown(["network", *(f"{NAMES[key]}, by seed" for key in keys), "best epoch, by seed"], rows)


def _tests(summary: Mapping[str, Any]) -> str:
    labels = {name: arm["label"] for name, arm in summary["arms"].items()}
    rows = []
    for row in summary["comparisons"]:
        digits = COLUMNS[row["key"]][1] + 1
        interval = row["interval"]
        rows.append(
            [
                f"{labels[row['first']]} better than {labels[row['second']]}"
                + (" (paper's)" if row["of_the_paper"] else ""),
                f"{NAMES[row['key']]}, {row['better']}",
                str(row["n"]),
                plus_minus(row["difference"], None, digits),
                "–" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}",
                f"{row['wins']}/{row['ties']}/{row['losses']}",
                *(_p(row[name]) for name in ("p_t", "p_t_holm", "p_wilcoxon", "p_wilcoxon_holm")),
                "; ".join(row["notes"]) or "",
            ]
        )
    if not rows:
        return "No two of the networks that are compared were trained.\n"
    heads = ["question", "figure, better when", "n", "difference", "95 % interval", "wins/ties/losses"]
    return markdown([*heads, "p (t)", "Holm", "p (Wilcoxon)", "Holm", "notes"], rows)


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
