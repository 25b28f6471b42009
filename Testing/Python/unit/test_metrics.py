"""Every figure of a segmentation against values worked out by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import center_of_mass, label

from LaminaLabelingLib.anatomy import REGIONS, SLOTS
from LaminaSegmentationLib.dataset import Case
from LaminaSegmentationLib.metrics import (
    KEYS,
    false_laminae,
    missed_laminae,
    predicted_centroids,
    score_segmentation,
    summarize,
    total_distance,
)
from LaminaSegmentationLib.samples import cube_labels

SHAPE = (64, 32, 16)
NAN = math.nan


def case_of(laminae, spacing=(1.0, 1.0, 1.0), shape=SHAPE):
    """A case whose truth is a dictionary of voxels by name."""
    centroids = np.array(list(laminae.values()), float).reshape(-1, 3)
    return Case("scan", np.zeros(shape, np.float16), centroids, tuple(laminae), np.array(spacing, float))


def cubes(*points, shape=SHAPE):
    return cube_labels(shape, np.array(points, float)).astype(np.float32)


def scored(laminae, *found, **options):
    return score_segmentation(cubes(*found), case_of(laminae, **options))


def check(values, **expected):
    for key, value in expected.items():
        assert values[key] == pytest.approx(value, nan_ok=True), key


# The paper's three


def test_dice_compares_the_map_with_the_cubes():
    # 3x3x3 cubes that share two of three layers: 2 * 18 / (27 + 27).
    check(scored({"T1L": (10, 10, 8)}, (11, 10, 8)).values, dice=2 / 3)


def test_distance_is_a_mean_and_a_sum_over_the_truths_in_voxels_and_mm():
    truth = {"T1L": (10, 10, 8), "T2L": (20, 10, 8)}
    score = scored(truth, (10, 13, 8), spacing=(2.0, 1.0, 1.0))
    far, far_mm = math.hypot(10, 3), math.hypot(20, 3)
    check(score.values, d3d_mean_vox=(3 + far) / 2, d3d_total_vox=3 + far)
    check(score.values, d3d_mean_mm=(3 + far_mm) / 2, d3d_total_mm=3 + far_mm)


def test_the_nearest_component_in_mm_may_be_another_than_in_voxels():
    score = scored({"T1L": (10, 10, 8)}, (13, 10, 8), (10, 14, 8), spacing=(2.0, 1.0, 1.0))
    check(score.values, d3d_mean_vox=3, d3d_mean_mm=4)


def test_delta_counts_laminae_and_components_and_lets_errors_cancel():
    truth = {"T1L": (10, 10, 8), "T2L": (20, 10, 8)}
    score = scored(truth, (10, 10, 8), (50, 20, 8))
    check(score.values, delta=0, missed=1, false=1)
    check(scored(truth, (10, 10, 8)).values, delta=1)
    check(scored(truth, (10, 10, 8), (20, 10, 8), (30, 10, 8), (40, 10, 8)).values, delta=2)


def test_laminae_whose_cubes_touch_are_still_two():
    truth = {"T1L": (10, 10, 8), "T1R": (10, 13, 8)}
    score = scored(truth, (10, 10, 8), (10, 13, 8))
    # One component of two cubes, half way between the laminae.
    check(score.values, dice=1, delta=1, d3d_mean_vox=1.5, missed=1, false=0)


def test_nothing_predicted_is_a_diagonal_away():
    shape, spacing = (384, 96, 48), (1.0, 0.8, 1.2)
    truth = {"T1L": (10, 10, 8), "T1R": (10, 30, 8), "L5L": (300, 20, 20)}
    score = score_segmentation(np.zeros(shape), case_of(truth, spacing, shape))
    assert score.values["d3d_mean_vox"] == pytest.approx(398.7, abs=0.05)
    diagonal_mm = math.sqrt(384**2 + (96 * 0.8) ** 2 + (48 * 1.2) ** 2)
    check(score.values, d3d_total_vox=3 * math.sqrt(384**2 + 96**2 + 48**2), d3d_mean_mm=diagonal_mm, dice=0, delta=3)
    check(score.values, d3d_total_mm=3 * diagonal_mm, recall_5mm=0, precision_5mm=NAN, f1_5mm=0, missed=3, false=0)
    check(score.values, mean_error_mm=NAN, p95_error_mm=NAN, complete_pairs=0)
    check(score.values, tilt_error_deg=NAN, curve_angle_error_deg=NAN)
    check(score.by_region["L1-L5"], d3d_total_vox=math.sqrt(384**2 + 96**2 + 48**2), missed=1)
    assert score.missed_names == ("T1L", "T1R", "L5L")


# Matching


def test_each_gate_has_its_own_shares():
    truth = {"T1L": (10, 8, 8), "T2L": (30, 8, 8), "T3L": (50, 8, 8)}
    score = scored(truth, (12, 8, 8), (34, 8, 8), (58, 8, 8), (10, 28, 8))
    check(score.values, recall_3mm=1 / 3, recall_5mm=2 / 3, recall_10mm=1)
    check(score.values, precision_3mm=1 / 4, precision_5mm=2 / 4, precision_10mm=3 / 4)
    check(score.values, f1_3mm=2 / 7, f1_5mm=4 / 7, f1_10mm=6 / 7)
    check(score.values, missed=1, false=2)


def test_gates_are_in_mm_and_inclusive():
    truth = {"T1L": (10, 8, 8)}
    check(scored(truth, (15, 8, 8)).values, recall_5mm=1)
    check(scored(truth, (15, 8, 8), spacing=(1.01, 1.0, 1.0)).values, recall_5mm=0, recall_10mm=1)
    check(scored(truth, (20, 8, 8), spacing=(0.3, 1.0, 1.0)).values, recall_3mm=1)


def test_two_components_near_one_lamina_are_one_hit_and_one_false():
    score = scored({"T1L": (10, 10, 8)}, (8, 10, 8), (13, 10, 8))
    check(score.values, recall_5mm=1, precision_5mm=0.5, f1_5mm=2 / 3, missed=0, false=1, mean_error_mm=2, delta=1)
    assert np.allclose(score.false_positions, [[13, 10, 8]])


def test_one_component_is_not_two_laminae():
    score = scored({"T1L": (10, 8, 8), "T1R": (10, 12, 8)}, (10, 9, 8))
    check(score.values, recall_5mm=0.5, precision_5mm=1, missed=1, mean_error_mm=1, d3d_total_vox=1 + 3)
    assert score.missed_names == ("T1R",)


def test_the_localization_error_is_that_of_found_laminae():
    truth = {"T1L": (10, 8, 8), "T2L": (30, 8, 8), "T3L": (50, 8, 8)}
    score = scored(truth, (11, 8, 8), (33, 8, 8))
    # The 95th percentile of 1 and 3 is 1 + 0.95 * 2.
    check(score.values, mean_error_mm=2, p95_error_mm=2.9)
    assert [outcome.found for outcome in score.outcomes] == [True, True, False]
    assert [outcome.error_mm for outcome in score.outcomes[:2]] == pytest.approx([1, 3])
    assert score.outcomes[2].nearest_vox == pytest.approx(17)


# Regions


def test_laminae_and_false_components_count_where_they_belong():
    truth = {"T6L": (10, 8, 8), "T7L": (25, 8, 8), "L1L": (40, 8, 8), "L5R": (55, 20, 8)}
    score = scored(truth, (10, 9, 8), (40, 8, 8), (58, 28, 8), (27, 18, 8), (18, 8, 8))
    thoracic, middle, lumbar = (score.by_region[region] for region in ("T1-T6", "T7-T12", "L1-L5"))
    check(thoracic, missed=0, false=0, recall_5mm=1, precision_5mm=1, mean_error_mm=1, delta=0)
    check(middle, missed=1, false=2, recall_5mm=0, precision_5mm=0, f1_5mm=0, mean_error_mm=NAN, delta=1)
    check(middle, d3d_mean_vox=7, dice=0)
    check(lumbar, missed=1, false=1, recall_5mm=0.5, precision_5mm=0.5, f1_5mm=0.5, delta=0)
    check(lumbar, dice=2 * 27 / (54 + 54), d3d_total_vox=0 + math.hypot(3, 8))
    # Two of the cube's layers are right; the first layer of the last component is nearer to T6 than to T7, too.
    check(thoracic, dice=2 * 18 / (27 + 9 + 27))


def test_a_region_without_truth_is_not_in_the_scan():
    score = scored({"L1L": (10, 8, 8), "L1R": (10, 20, 8)}, (10, 8, 8), (10, 20, 8), (50, 10, 8))
    for region in ("T1-T6", "T7-T12"):
        assert all(math.isnan(value) for value in score.by_region[region].values())
    check(score.by_region["L1-L5"], recall_5mm=1, false=1, complete_pairs=1)
    check(score.values, missed=0, false=1)


def test_laminae_without_vertebrae_have_no_region_but_pairs():
    score = scored({"P01L": (10, 8, 8), "P01R": (10, 20, 8)}, (10, 8, 8), (10, 20, 8))
    check(score.values, complete_pairs=1, tilt_error_deg=0, recall_5mm=1)
    assert all(math.isnan(value) for figures in score.by_region.values() for value in figures.values())


def test_a_thirteenth_thoracic_and_a_sixth_lumbar_vertebra_count():
    score = scored({"T13L": (10, 8, 8), "L6L": (40, 8, 8)}, (40, 8, 8))
    check(score.by_region["T7-T12"], missed=1)
    check(score.by_region["L1-L5"], recall_5mm=1)


# Pairs and angles


def test_a_pair_is_complete_when_both_sides_are_found():
    truth = {"T1L": (10, 8, 8), "T1R": (10, 20, 8), "T2L": (25, 8, 8), "T2R": (25, 20, 8), "T3L": (40, 8, 8)}
    score = scored(truth, (10, 8, 8), (10, 20, 8), (25, 8, 8), (40, 8, 8))
    check(score.values, complete_pairs=1)


def test_the_tilt_is_that_of_the_line_from_left_to_right_in_mm():
    truth = {"T1L": (10, 8, 8), "T1R": (10, 18, 8)}
    score = scored(truth, (10, 8, 8), (8, 18, 8), spacing=(1.5, 0.5, 1.0))
    # The right lamina is found 3 mm too high, 5 mm beside the left one.
    check(score.values, tilt_error_deg=math.degrees(math.atan2(3, 5)))


def test_tilts_are_averaged_without_their_signs():
    truth = {"T1L": (10, 8, 8), "T1R": (10, 18, 8), "T2L": (30, 8, 8), "T2R": (30, 18, 8)}
    score = scored(truth, (10, 8, 8), (8, 18, 8), (30, 8, 8), (32, 18, 8))
    angle = math.degrees(math.atan2(2, 10))
    check(score.values, tilt_error_deg=angle, curve_angle_error_deg=2 * angle)


def level(number, row, tilt_mm, width=10):
    """A level whose right lamina is ``tilt_mm`` higher than its left one."""
    return {f"T{number}L": (row, 8, 8), f"T{number}R": (row - tilt_mm, 8 + width, 8)}


def degrees(rise, run=10):
    return math.degrees(math.atan2(rise, run))


def test_the_curve_is_taken_between_the_true_end_vertebrae():
    truth = level(1, 10, 0) | level(2, 25, 4) | level(3, 40, 1)
    found = [*level(1, 10, 1).values(), *level(2, 25, 3).values(), *level(3, 40, 0).values()]
    # True: 4 in 10 at T2 against 0 at T1. Found: 3 in 10 against 1 in 10. T3, found flattest, does not matter.
    error = degrees(4) - (degrees(3) - degrees(1))
    check(scored(truth, *found).values, curve_angle_error_deg=error)


def test_a_missing_end_vertebra_is_interpolated_over_the_levels():
    truth = level(1, 5, 0) | level(2, 20, 4) | level(4, 50, 1)
    found = [*level(1, 5, 0).values(), *level(4, 50, 1).values()]
    # T2 lies a third of the way from T1 to T4.
    check(scored(truth, *found).values, curve_angle_error_deg=degrees(4) - degrees(1) / 3)


def test_beyond_the_found_levels_the_last_tilt_holds():
    truth = level(1, 5, 0) | level(2, 20, 2) | level(3, 40, 4)
    found = [*level(1, 5, 0).values(), *level(2, 20, 2).values()]
    check(scored(truth, *found).values, curve_angle_error_deg=degrees(4) - degrees(2))


def test_a_curve_to_the_wrong_side_is_wrong_twice_over():
    truth = level(1, 10, 0) | level(2, 30, 2)
    found = [*level(1, 10, 0).values(), *level(2, 30, -2).values()]
    check(scored(truth, *found).values, curve_angle_error_deg=2 * degrees(2))


def test_one_level_has_no_curve():
    check(scored(level(1, 10, 0), *level(1, 10, 2).values()).values, curve_angle_error_deg=NAN, complete_pairs=1)
    truth = level(1, 10, 0) | level(2, 30, 2)
    check(scored(truth, *level(1, 10, 2).values()).values, curve_angle_error_deg=NAN)


# At the edges


def test_a_lamina_outside_the_grid_is_missed():
    truth = {"T1L": (-20, 8, 8), "T2L": (10, 8, 8)}
    score = scored(truth, (10, 8, 8))
    check(score.values, missed=1, recall_5mm=0.5, dice=1, delta=1, d3d_total_vox=30)
    assert score.missed_names == ("T1L",)


def test_a_scan_without_laminae_has_only_false_ones():
    score = scored({}, (10, 8, 8), (30, 8, 8))
    check(score.values, false=2, missed=0, delta=2, dice=0, recall_5mm=NAN, precision_5mm=0, f1_5mm=0)
    check(score.values, d3d_mean_vox=NAN, d3d_total_mm=NAN, complete_pairs=0)
    assert total_distance(cubes((10, 8, 8)), case_of({})) == 0.0


def test_dice_of_nothing_and_nothing_is_undefined():
    check(scored({"T1L": (-20, 8, 8)}).values, dice=NAN, missed=1)


def test_the_threshold_counts_from_its_own_value_on():
    case, probability = case_of({"T1L": (10, 8, 8)}), cubes((10, 8, 8)) * 0.5
    check(score_segmentation(probability, case).values, dice=1)
    check(score_segmentation(probability, case, threshold=0.51).values, dice=0)


def test_a_map_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="shape"):
        score_segmentation(np.zeros((8, 8, 8)), case_of({"T1L": (1, 1, 1)}))


def test_voxels_that_touch_at_a_corner_are_one_component():
    probability = np.zeros(SHAPE)
    probability[10, 10, 10] = probability[11, 11, 11] = 1.0
    assert predicted_centroids(probability).tolist() == [[10.5, 10.5, 10.5]]


@given(arrays(bool, (6, 7, 5)))
def test_components_are_those_of_scipy(mask):
    components, count = label(mask, structure=np.ones((3, 3, 3)))
    expected = np.array(center_of_mass(mask, components, range(1, count + 1))).reshape(-1, 3)
    assert np.allclose(predicted_centroids(mask.astype(float)), expected)


# Whatever the scan


PLACES = [(row, column, depth) for row in range(6, 60, 10) for column in (7, 22) for depth in (4, 11)]


@st.composite
def laminae(draw, least=1):
    """Up to 17 laminae on places that are far apart, with names from anywhere in the spine."""
    places = draw(st.lists(st.sampled_from(PLACES), min_size=least, max_size=17, unique=True))
    names = draw(st.lists(st.sampled_from(SLOTS), min_size=len(places), max_size=len(places), unique=True))
    return dict(zip(names, places))


SPACINGS = st.tuples(*[st.floats(0.4, 1.5)] * 3)


@given(laminae(), SPACINGS)
@settings(max_examples=40)
def test_a_perfect_map_has_perfect_figures(truth, spacing):
    score = scored(truth, *truth.values(), spacing=spacing)
    for key in KEYS:
        value = score.values[key]
        if key.startswith(("dice", "recall", "precision", "f1")):
            assert value == 1.0
        elif key == "complete_pairs":
            assert value == sum(name[:-1] + "R" in truth for name in truth if name.endswith("L"))
        else:
            assert value == pytest.approx(0.0, abs=1e-9) or (math.isnan(value) and key.endswith("deg"))


def test_a_point_between_two_regions_belongs_to_the_upper_one_whatever_the_order():
    truth = {"T1L": (6, 7, 4), "T7L": (46, 7, 4)}
    for ordered in (truth, dict(reversed(truth.items()))):
        score = scored(ordered, (6, 7, 4), (26, 7, 4))
        assert score.by_region["T1-T6"]["false"] == 1
        assert score.by_region["T7-T12"]["false"] == 0


@given(laminae(), st.lists(st.sampled_from(PLACES), max_size=12, unique=True), SPACINGS, st.randoms())
@settings(max_examples=40)
def test_the_order_of_the_truth_does_not_matter(truth, found, spacing, random):
    shuffled = list(truth.items())
    random.shuffle(shuffled)
    first, second = scored(truth, *found, spacing=spacing), scored(dict(shuffled), *found, spacing=spacing)
    check(first.values, **second.values)
    for region in REGIONS:
        check(first.by_region[region], **second.by_region[region])


@given(laminae(), st.lists(st.sampled_from(PLACES), max_size=12, unique=True), st.tuples(*[st.integers(-2, 2)] * 3))
@settings(max_examples=40)
def test_moving_scan_and_truth_together_changes_nothing(truth, found, shift):
    moved = {name: tuple(np.add(place, shift)) for name, place in truth.items()}
    first, second = scored(truth, *found), scored(moved, *[np.add(place, shift) for place in found])
    check(first.values, **second.values)


@given(laminae(), st.lists(st.sampled_from(PLACES), max_size=12, unique=True))
@settings(max_examples=40)
def test_counts_of_the_regions_add_up(truth, found):
    score = scored(truth, *found)
    for key in ("missed", "false", "complete_pairs", "d3d_total_vox", "d3d_total_mm"):
        assert np.nansum([score.by_region[region][key] for region in REGIONS]) == pytest.approx(score.values[key])
    hits = score.values["recall_5mm"] * len(truth)
    assert hits + score.values["missed"] == pytest.approx(len(truth))
    assert hits + score.values["false"] == pytest.approx(len(found))
    assert score.values["recall_3mm"] <= score.values["recall_5mm"] <= score.values["recall_10mm"]


@given(laminae(), st.lists(st.sampled_from(PLACES), max_size=12, unique=True), SPACINGS)
@settings(max_examples=30)
def test_what_training_watches_is_what_evaluation_reports(truth, found, spacing):
    case, probability = case_of(truth, spacing), cubes(*found)
    values = score_segmentation(probability, case).values
    assert missed_laminae(probability, case) == values["missed"]
    assert false_laminae(probability, case) == values["false"]
    assert total_distance(probability, case) == pytest.approx(values["d3d_total_vox"])


def test_scores_and_summaries_are_json_without_nan():
    scores = [scored({"L1L": (10, 8, 8)}), scored({"T1L": (10, 8, 8), "L1R": (30, 8, 8)}, (10, 9, 8))]
    text = json.dumps({"summary": summarize(scores), "cases": [score.as_dict() for score in scores]}, allow_nan=False)
    content = json.loads(text)
    assert set(content["summary"]) == set(KEYS)
    assert content["cases"][0]["values"]["precision_5mm"] is None
    assert content["summary"]["precision_5mm"]["mean"] == 1.0
    assert content["summary"]["missed"]["by_region"]["T1-T6"] == {"mean": 0.0, "std": None, "n": 1}
    assert content["summary"]["missed"]["by_region"]["L1-L5"] == {"mean": 1.0, "std": 0.0, "n": 2}
    assert content["cases"][1]["laminae"][1]["found"] is False
