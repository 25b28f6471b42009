"""What a search has found: ``trials.csv``, ``best.json`` and ``tune.png``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.tables import write_rows

from .experiment import write_json
from .pictures import new_figure, save_figure
from .tune_space import SEARCHED, train_command_line
from .validation_score import FALSE_SHARE

if TYPE_CHECKING:
    import optuna

TABLE, BEST, PICTURE = "trials.csv", "best.json", "tune.png"

COLUMNS = ("trial", "state", "score", "missed", "false", "epoch", "epochs", "seconds", *SEARCHED, "error")
"""Header of ``trials.csv``."""

LEAST_TRIALS = 10
"""Whole trials from which on it is told what the options matter."""

_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "interrupted"}
_INK, _DIM, _BLUE, _RED = "#1f2933", "#9aa5b1", "#2f6fb0", "#c2412d"


def rows_of(trials: Sequence[optuna.trial.FrozenTrial]) -> list[list]:
    """Return the rows of ``trials.csv``, one a trial, in their order."""
    rows = []
    for trial in sorted(trials, key=lambda each: each.number):
        told, values = trial.user_attrs, trial.user_attrs.get("values", {})
        figures = [told.get(key) for key in ("score", "missed", "false", "epoch", "epochs", "seconds")]
        drawn = [values.get(name) for name in SEARCHED]
        cells = [trial.number, _STATES.get(trial.state.name, ""), *figures, *drawn, told.get("error")]
        rows.append(["" if cell is None else cell for cell in cells])
    return rows


def best_of(trials: Sequence[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial | None:
    """Return the trial with the lowest score among those that came to their end; the earliest of equals."""
    ended = [trial for trial in trials if trial.state.name == "COMPLETE"]
    return min(ended, key=lambda trial: (trial.value, trial.number), default=None)


def write_report(
    study: optuna.study.Study, folder: Path, common: Sequence[str], miniature: bool, picture: bool = True
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Write what is known of the trials so far, each file completely or not at all.

    Parameters
    ----------
    study : optuna.study.Study
    folder : Path
    common : sequence of str
        Arguments of ``lamina train`` that all trials have in common.
    miniature : bool
        Whether the figures mean nothing.
    picture : bool
        Whether ``tune.png`` is drawn, too.

    Returns
    -------
    files : dict
        Paths by kind.
    best : dict or None
        The content of ``best.json``; None as long as no trial has come to its end.
    """
    trials = study.get_trials(deepcopy=False)
    write_rows(COLUMNS, rows_of(trials), folder / TABLE)
    files = {"table": str(folder / TABLE)}
    found = best_of(trials)
    if found is None:
        return files, None
    values = found.user_attrs["values"]
    best = {
        "trial": found.number,
        "score": found.value,
        "score_means": f"missed laminae and {FALSE_SHARE:g} of the false ones, mean over the validation scans that "
        "chose the trial and its epoch; an optimistic estimate",
        **{key: found.user_attrs[key] for key in ("missed", "false", "epoch", "epochs", "seconds")},
        "options": values,
        "command": train_command_line(values, common),
        "trials": len(trials),
        **({"note": "A miniature: its figures mean nothing."} if miniature else {}),
    }
    write_json(best, folder / BEST)
    files["best"] = str(folder / BEST)
    if picture:
        draw_search(trials, importances(study), folder / PICTURE, "miniature" if miniature else "")
        files["picture"] = str(folder / PICTURE)
    return files, best


def importances(study: optuna.study.Study) -> dict[str, float]:
    """Return the share of each option in the differences between the scores (PED-ANOVA); empty for too few trials.

    Only options that all whole trials have drawn are compared: of one that few have, such as the momentum of batch
    normalization, chance alone makes a large share.
    """
    import optuna

    drawn = [set(trial.params) for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    common = sorted(set.intersection(*drawn)) if drawn else []
    if len(drawn) < LEAST_TRIALS or not common:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of options that few trials have: the picture is no proof anyway
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=common)
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def draw_search(
    trials: Sequence[optuna.trial.FrozenTrial], shares: Mapping[str, float], path: Path, title: str = ""
) -> None:
    """Draw the course of a search and what its options matter.

    Parameters
    ----------
    trials : sequence of FrozenTrial
    shares : mapping of str to float
        As `importances` returns them.
    path : Path
    title : str
    """
    figure = new_figure(10.0, 4.2, "white")
    course, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    ended = [trial for trial in trials if trial.state.name == "COMPLETE"]
    pruned = [
        (trial.number, min(trial.intermediate_values.values()))
        for trial in trials
        if trial.state.name == "PRUNED" and trial.intermediate_values
    ]
    if pruned:
        course.plot(*zip(*pruned), "x", color=_DIM, ms=6, label="given up early: best epoch so far")
    course.plot([trial.number for trial in ended], [trial.value for trial in ended], "o", color=_BLUE, label="complete")
    lowest = [min(each.value for each in ended[: number + 1]) for number in range(len(ended))]
    course.step([trial.number for trial in ended], lowest, where="post", color=_RED, label="best so far")
    course.set_xlabel("trial")
    course.set_ylabel(f"missed + {FALSE_SHARE:g} false laminae a scan")
    course.xaxis.get_major_locator().set_params(integer=True)
    course.legend(fontsize=8)
    names = sorted(shares, key=lambda name: shares[name])
    bars.barh(range(len(names)), [shares[name] for name in names], color=_BLUE)
    bars.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    bars.set_xlabel("importance (PED-ANOVA)")
    if not names:
        bars.text(0.5, 0.5, "too few trials", ha="center", va="center", color=_INK, transform=bars.transAxes)
    if title:
        figure.suptitle(title, color=_INK)
    save_figure(figure, path)
