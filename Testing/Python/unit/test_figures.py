"""The figures of an evaluation, judged by what is drawn and by the colors that reach the file."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from LaminaSegmentationLib import figures
from LaminaSegmentationLib.dataset import Case
from LaminaSegmentationLib.figures import PREDICTION, TRUTH, draw_boxplots, draw_overlay_comparison
from LaminaSegmentationLib.metrics import score_segmentation
from LaminaSegmentationLib.samples import cube_labels

SHAPE = (64, 24, 16)
LAMINAE = {"T1L": (10, 6, 8), "T1R": (10, 18, 8), "L5L": (50, 6, 8), "L5R": (50, 18, 8)}


@pytest.fixture
def case():
    grid = np.random.default_rng(0).normal(size=SHAPE).astype(np.float16)
    return Case("scan", grid, np.array(list(LAMINAE.values()), float), tuple(LAMINAE), np.array([4.0, 2.0, 2.0]))


@pytest.fixture
def drawn(monkeypatch):
    """The figure that was drawn last, in place of its file."""
    kept = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: kept.append(figure))
    return kept


def texts(axes):
    return [text.get_text() for text in axes.texts]


def marks(axes, kind):
    """Places of the marks of TP, FN or FP on a panel."""
    style = figures._MARKS[kind]
    lines = [line for line in axes.lines if line.get_marker() == style["marker"]]
    return np.concatenate([line.get_xydata() for line in lines])


def pixels(path, color):
    picture = imread(path)[..., :3]
    return int((np.abs(picture - to_rgb(color)).max(axis=-1) < 0.02).sum())


def test_what_was_missed_and_what_is_false_is_marked_in_mm(case, drawn, tmp_path):
    probability = cube_labels(SHAPE, [(10, 6, 8), (10, 18, 8), (50, 6, 8), (30, 12, 4)]).astype(np.float32)
    draw_overlay_comparison(case, probability, tmp_path / "a.png", title="Network, scan 1")
    coronal, sagittal, legend = drawn[0].axes
    # A voxel's center lies half a voxel from the panel's edge: (18 + 0.5) * 2 mm across, (50 + 0.5) * 4 mm down.
    assert marks(coronal, "FN").tolist() == [[37.0, 202.0]]
    assert marks(coronal, "FP").tolist() == [[25.0, 122.0]]
    assert len(marks(coronal, "TP")) == 3
    assert marks(sagittal, "FN").tolist() == [[17.0, 202.0]]
    assert "FN L5R" in texts(coronal)
    assert "FP" in texts(coronal)
    assert {"L", "R"} < set(texts(coronal))
    assert "Network, scan 1" in texts(legend)
    shown = [text.get_text() for text in legend.get_legend().get_texts()]
    assert shown[2:] == ["TP, found within 5 mm: 3", "FN, missed: 1", "FP, false: 1"]
    assert any("Missed: L5R" in text and "Delta: 0" in text for text in texts(legend))


def test_levels_are_named_where_they_lie(case, drawn, tmp_path):
    draw_overlay_comparison(case, np.zeros(SHAPE), tmp_path / "a.png")
    ticks = drawn[0].axes[0].get_yticklabels()
    assert [(tick.get_text(), tick.get_position()[1]) for tick in ticks] == [("T1", 42.0), ("L5", 202.0)]


def test_truth_is_orange_and_prediction_green(case, tmp_path):
    draw_overlay_comparison(case, np.zeros(SHAPE), tmp_path / "none.png")
    found = cube_labels(SHAPE, case.centroids).astype(np.float32)
    draw_overlay_comparison(case, found, tmp_path / "all.png")
    few, many = (pixels(tmp_path / name, PREDICTION) for name in ("none.png", "all.png"))
    assert many > few + 100
    assert pixels(tmp_path / "none.png", TRUTH) > 100


def test_a_judgment_of_another_stage_can_be_marked(case, drawn, tmp_path):
    score = score_segmentation(cube_labels(SHAPE, case.centroids[:1]).astype(float), case)
    draw_overlay_comparison(case, np.zeros(SHAPE), tmp_path / "a.png", score=score)
    assert len(marks(drawn[0].axes[0], "TP")) == 1


def test_hundreds_of_false_components_get_marks_without_words(case, drawn, tmp_path):
    probability = np.zeros(SHAPE)
    probability[::4, ::4, ::4] = 1.0
    draw_overlay_comparison(case, probability, tmp_path / "a.png")
    assert len(marks(drawn[0].axes[0], "FP")) > 300
    assert "FP" not in texts(drawn[0].axes[0])


def test_a_scan_without_labels_or_prediction_can_be_drawn(tmp_path):
    empty = Case("scan", np.zeros(SHAPE, np.float16), np.zeros((0, 3)), (), np.ones(3))
    draw_overlay_comparison(empty, np.zeros(SHAPE), tmp_path / "a.png")
    assert imread(tmp_path / "a.png").shape[0] > 500


def boxes(figure, panel):
    """Low and high whisker end of each box."""
    lines = [line for line in figure.axes[panel].lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 2]
    upright = [line for line in lines if line.get_xdata()[0] == line.get_xdata()[1]]
    ends = [sorted(line.get_ydata()) for line in upright]
    return [(low[0], high[1]) for low, high in zip(ends[::2], ends[1::2])]


def test_whiskers_end_at_the_last_scan_within_one_and_a_half_ranges(drawn, tmp_path):
    # The quartiles are the third and the seventh of nine values, 20 and 40, so that whiskers may reach from -10 to 70.
    values = [-11.0, 20.0, 20.0, 25.0, 30.0, 35.0, 40.0, 40.0, 70.0]
    draw_boxplots({"a": [{"d3d_total_vox": value, "delta": -value} for value in values]}, tmp_path / "a.png")
    assert boxes(drawn[0], 0) == [(20, 70)]
    assert boxes(drawn[0], 1) == [(-70, -20)]
    dots = next(line for line in drawn[0].axes[0].lines if line.get_marker() == "o")
    assert sorted(dots.get_ydata()) == values


def test_networks_stand_side_by_side_and_undefined_values_are_left_out(case, drawn, tmp_path):
    score = score_segmentation(cube_labels(SHAPE, case.centroids).astype(float), case)
    groups = {"D-U-net": [score], "C-U-net": [{"d3d_total_vox": None, "delta": 2.0}, {"d3d_total_vox": 8.0}]}
    draw_boxplots(groups, tmp_path / "a.png", title="simulated scans")
    upper, lower = drawn[0].axes
    assert [label.get_text() for label in lower.get_xticklabels()] == ["D-U-net\n(1 scan)", "C-U-net\n(2 scans)"]
    dots = [line.get_ydata().tolist() for line in upper.lines if line.get_marker() == "o"]
    assert dots == [[0.0], [8.0]]
    assert drawn[0].get_suptitle() == "simulated scans"


def test_box_plots_reach_the_file(tmp_path):
    draw_boxplots({"a": [{"d3d_total_vox": 1.0, "delta": 0.0}], "nothing": []}, tmp_path / "a.png")
    assert imread(tmp_path / "a.png").std() > 0.05
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
