"""Peaks of a probability map and their places beside the spinous process column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_maps import SHAPE, grid, probability_of, straight_column

from LaminaSegmentationLib.candidates import by_column, find_candidates, from_column, place_by_column, scanned_range


def test_merged_cubes_are_divided_at_their_peaks():
    volume = grid()
    probability = np.zeros(SHAPE, np.float32)
    probability[50:70, 40:43, 20:23] = 0.6
    probability[51, 41, 21] = probability[68, 41, 21] = 1.0
    found = find_candidates(probability, volume)
    assert len(found) == 2
    assert found[0].index[0] < 60 < found[1].index[0]


def test_a_ridge_without_a_valley_is_one_candidate():
    probability = np.zeros(SHAPE, np.float32)
    probability[50:60, 40:43, 20:23] = np.linspace(0.5, 0.9, 10)[:, None, None]
    assert len(find_candidates(probability, grid())) == 1


def test_confidence_is_the_share_of_a_certain_cube():
    volume = grid()
    probability = probability_of([[60, 40, 20]], 0.8)
    assert find_candidates(probability, volume)[0].confidence == pytest.approx(0.8, abs=1e-6)
    small = np.zeros(SHAPE, np.float32)
    small[60, 40, 18:23] = 1.0
    assert find_candidates(small, volume)[0].confidence == pytest.approx(5 / 27)


def test_the_centroid_is_exact_and_speckle_is_left_out():
    volume = grid((0.9, 0.8, 1.1))
    probability = probability_of([[60, 40, 20], [200, 70, 30]])
    probability[300, 50, 20] = 0.9
    found = find_candidates(probability, volume)
    assert [candidate.voxels for candidate in found] == [27, 27]
    assert np.allclose([candidate.index for candidate in found], [[60, 40, 20], [200, 70, 30]])
    assert np.allclose(found[1].position, volume.to_world(np.array([[200.0, 70.0, 30.0]]))[0])
    assert len(find_candidates(probability, volume, minimum_voxels=1)) == 3


def test_candidates_at_the_edge_of_the_grid_are_found():
    probability = probability_of([[0, 0, 0], [383, 95, 47]])
    assert len(find_candidates(probability, grid())) == 2


def test_an_empty_map_has_none():
    assert find_candidates(np.zeros(SHAPE, np.float32), grid()) == []


def test_a_tilted_column_turns_the_frame_with_it():
    volume = grid()
    rows = np.arange(0.0, 380.0, 5.0)
    column = volume.to_world(np.stack([rows, 20 + 0.15 * rows, np.full_like(rows, 20.0)], axis=-1))
    middle = np.array([200.0, 50.0])
    normal = np.array([-0.15, 1.0]) / np.hypot(0.15, 1.0)
    points = [[*(middle + 10 * side * normal), 20.0] for side in (-1, 1)]
    candidates = find_candidates(probability_of(np.round(points)), volume)
    placed = sorted(place_by_column(candidates, volume, column), key=lambda c: c.lateral)
    assert [c.side for c in placed] == ["L", "R"]
    assert abs(placed[0].along - placed[1].along) < 1.0
    assert placed[1].lateral == pytest.approx(10.0, abs=1.0)
    assert placed[1].depth == pytest.approx(20.0)


@settings(max_examples=30, deadline=None)
@given(
    slope=st.floats(-0.4, 0.4),
    along=st.floats(20.0, 330.0),
    lateral=st.floats(-25.0, 25.0),
    depth=st.floats(0.0, 47.0),
)
def test_places_beside_a_straight_column_go_there_and_back(slope, along, lateral, depth):
    volume = grid((0.95, 1.05, 1.2))
    rows = np.arange(0.0, 384.0, 3.0)
    column = volume.to_world(np.stack([rows, 48 + slope * (rows - 190) * 0.3, np.full_like(rows, 20.0)], axis=-1))
    place = np.array([[along, lateral, depth]])
    assert np.allclose(by_column(from_column(place, volume, column), volume, column), place, atol=1e-6)


def test_the_scan_reaches_as_far_as_voxels_are_not_zero():
    volume = grid((0.5, 1.0, 1.0))
    volume.array[40:300, 10:20] = 1.0
    assert scanned_range(volume, straight_column(volume)) == pytest.approx((19.75, 149.75))
    assert scanned_range(grid(), straight_column(grid())) == pytest.approx((-0.5, 383.5))
