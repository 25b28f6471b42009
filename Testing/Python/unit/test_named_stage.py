"""What is judged after localization: sides and names beside the positions."""

import math

import numpy as np
import pytest

from LaminaSegmentationLib.dataset import Case
from LaminaSegmentationLib.metrics import NETWORK_KEYS, score_segmentation
from LaminaSegmentationLib.named_stage import score_named
from LaminaSegmentationLib.samples import cube_labels

SHAPE = (64, 32, 16)
TRUTH = {
    f"{vertebra}{side}": (row, column, 8.0)
    for vertebra, row in (("T12", 10.0), ("L1", 25.0), ("L2", 40.0))
    for side, column in (("L", 8.0), ("R", 22.0))
}


@pytest.fixture
def case():
    centroids = np.array(list(TRUTH.values()))
    return Case("scan", np.zeros(SHAPE, np.float16), centroids, tuple(TRUTH), np.ones(3))


@pytest.fixture
def network(case):
    """A map that shows two laminae only and one that is false."""
    return score_segmentation(cube_labels(SHAPE, [TRUTH["T12L"], TRUTH["T12R"], (58, 15, 8)]).astype(float), case)


def test_the_map_keeps_its_figures_and_the_points_get_theirs(case, network):
    score = score_named(TRUTH, case, network)
    for key in NETWORK_KEYS:
        assert score.values[key] == network.values[key]
        assert score.by_region["L1-L5"][key] == pytest.approx(network.by_region["L1-L5"][key])
    assert network.values["missed"] == 4
    assert network.values["delta"] == 3
    assert (score.values["missed"], score.values["false"], score.values["complete_pairs"]) == (0, 0, 3)
    assert (score.values["named"], score.values["naming_errors"], score.values["side_errors"]) == (1, 0, 0)


def test_names_shifted_by_a_level_are_wrong_but_their_sides_right(case, network):
    below = {"T12": "L1", "L1": "L2", "L2": "L3"}
    score = score_named({below[name[:-1]] + name[-1]: place for name, place in TRUTH.items()}, case, network)
    assert (score.values["naming_errors"], score.values["side_errors"], score.values["missed"]) == (6, 0, 0)
    assert score.by_region["L1-L5"]["naming_errors"] == 4
    assert math.isnan(score.by_region["T1-T6"]["naming_errors"])


def test_swapped_sides_are_counted(case, network):
    points = TRUTH | {"L1L": TRUTH["L1R"], "L1R": TRUTH["L1L"]}
    score = score_named(points, case, network)
    assert (score.values["naming_errors"], score.values["side_errors"]) == (0, 2)


def test_numbered_pairs_have_sides_but_no_naming_errors(case, network):
    score = score_named({"P01L": TRUTH["T12L"], "P01R": TRUTH["T12R"], "P02R": (25, 8, 8)}, case, network)
    assert score.values["named"] == 0
    assert math.isnan(score.values["naming_errors"])
    assert score.values["side_errors"] == 1
    assert score.values["missed"] == 3


def test_a_point_near_no_lamina_is_false_and_its_name_not_judged(case, network):
    score = score_named({"T12L": TRUTH["T12L"], "T12R": (58, 15, 8)}, case, network)
    assert (score.values["false"], score.values["naming_errors"]) == (1, 0)
    assert np.allclose(score.false_positions, [[58, 15, 8]])


def test_no_points_are_no_names(case, network):
    score = score_named({}, case, network)
    assert (score.values["named"], score.values["missed"], score.values["side_errors"]) == (0, 6, 0)
    assert math.isnan(score.values["naming_errors"])
