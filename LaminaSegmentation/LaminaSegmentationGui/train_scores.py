"""The figures of a model's evaluation in the training panel."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import fillTable, prepareTable

_REGIONS = ("T1-T6", "T7-T12", "L1-L5")
_PICTURE_WIDTH = 360


def scoreTitles():
    """Return the figures that are shown, as (key of ``metrics.json``, text) pairs: the worst error first."""
    return (
        ("missed", _("Missed in a scan")),
        ("false", _("False in a scan")),
        ("recall_5mm", _("Recall at 5 mm")),
        ("mean_error_mm", _("Error of the found (mm)")),
        ("d3d_total_vox", _("d3D (voxels)")),
        ("dice", _("Dice")),
    )


class TrainScores:
    """Shows a table of the figures by region, and the box plot.

    Parameters
    ----------
    ui : namespace of widgets
    """

    def __init__(self, ui):
        self.ui = ui
        prepareTable(ui.scoresTable, ["", _("All"), *_REGIONS])

    def show(self, run):
        """Show the evaluation of a run, nothing if it has none.

        Parameters
        ----------
        run : training_run.Run or None
        """
        ui = self.ui
        summary = run.metrics.get("summary", {}) if run is not None else {}
        rows = [(text, _parts(summary[key])) for key, text in scoreTitles() if key in summary]
        fillTable(ui.scoresTable, [(text, *map(_mean, parts)) for text, parts in rows])
        for row, (text, parts) in enumerate(rows):
            for column, part in enumerate(parts, 1):
                ui.scoresTable.item(row, column).setToolTip(f"{text}: {_meanAndSpread(part)}")
        ui.scoresTable.setVisible(bool(rows))
        picture = qt.QPixmap(str(Path(run.settings.output, "evaluation", "boxplot.png"))) if rows else qt.QPixmap()
        if not picture.isNull():
            ui.boxplotLabel.setPixmap(picture.scaledToWidth(_PICTURE_WIDTH, qt.Qt.SmoothTransformation))
        ui.boxplotLabel.setVisible(not picture.isNull())


def _parts(figure):
    """Return the figure of all laminae and those of the regions."""
    regions = figure.get("by_region") or {}
    return [figure, *(regions.get(name, {}) for name in _REGIONS)]


def _mean(part):
    """Return the mean as a text, empty if there is none."""
    mean = part.get("mean")
    return "" if mean is None else f"{mean:.{0 if abs(mean) >= 100 else 1 if abs(mean) >= 10 else 2}f}"


def _meanAndSpread(part):
    spread = part.get("std")
    return _mean(part) + ("" if spread is None else _(" ± {spread:.2f} (standard deviation)").format(spread=spread))
