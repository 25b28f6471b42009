import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib.localization import find_candidates, localize, pair_levels, place_by_column
from LaminaSegmentationLib.preprocessing import stamp_cubes

SHAPE = (384, 96, 48)


def grid(spacing=(1.0, 1.0, 1.0)):
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[0, 1], matrix[1, 2], matrix[3, 3] = -spacing[0], spacing[1], spacing[2], 1.0
    return Volume(array=np.zeros(SHAPE, np.float32), matrix=matrix, axes="ARI", name="grid")


def straight_column(volume, lateral=48.0):
    rows = np.arange(0, SHAPE[0], 5.0)
    return volume.to_world(np.stack([rows, np.full_like(rows, lateral), np.full_like(rows, 20.0)], axis=-1))


def whole_spine(spacing=21.0, first=15.0):
    """Index positions of 34 laminae, T1L, T1R, T2L, ..., whose spacing grows downwards around its mean."""
    gaps = np.linspace(0.7, 1.3, 16) * spacing
    rows = np.round(first + np.concatenate([[0.0], np.cumsum(gaps)]))
    return np.array([[row, 48 + side * 10, 20] for row in rows for side in (-1, 1)], float)


def probability_of(points, volume, value=1.0):
    labels, _ = stamp_cubes(volume.to_world(points), volume)
    return labels * np.float32(value)


def test_17_pairs_are_named_from_the_top_with_the_patients_sides():
    volume = grid()
    points = whole_spine()
    result = localize(probability_of(points, volume), volume, straight_column(volume))
    assert not result.laminae.is_provisional
    for number, name in enumerate(name for name in result.laminae):
        assert np.allclose(result.laminae[name].position, volume.to_world(points[number : number + 1])[0], atol=1e-6)
        assert result.laminae[name].confidence == pytest.approx(1.0)
    assert result.notes == ()


def test_16_pairs_are_numbered_and_the_reason_is_given():
    volume = grid()
    result = localize(probability_of(whole_spine()[:-2], volume), volume, straight_column(volume))
    assert result.laminae.is_provisional
    assert list(result.laminae)[:2] == ["P01L", "P01R"]
    assert len(result.laminae.positions()) == 32
    assert "16 levels" in result.notes[0]


def test_a_missing_level_in_the_middle_with_a_false_one_below_is_not_named():
    volume = grid()
    points = np.delete(whole_spine(spacing=19.0), [16, 17], axis=0)
    below = points[-1, 0] + 26
    points = np.concatenate([points, [[below, 38, 20], [below, 58, 20]]])
    result = localize(probability_of(points, volume), volume, straight_column(volume))
    assert result.laminae.is_provisional
    assert "missing" in result.notes[0]


def test_a_spine_upside_down_is_not_named():
    volume = grid()
    points = whole_spine() * [-1, -1, 1] + [383, 95, 0]
    result = localize(probability_of(points, volume), volume, straight_column(volume, 47.0))
    assert result.laminae.is_provisional
    assert "upside down" in result.notes[0]


def test_one_missed_lamina_leaves_its_slot_unset_and_the_others_named():
    volume = grid()
    points = np.delete(whole_spine(), 9, axis=0)  # T5R
    result = localize(probability_of(points, volume), volume, straight_column(volume))
    assert not result.laminae.is_provisional
    assert result.laminae["T5R"].position is None
    assert len(result.laminae.positions()) == 33


def test_nothing_found_is_said():
    volume = grid()
    result = localize(np.zeros(SHAPE, np.float32), volume, straight_column(volume))
    assert len(result.laminae.positions()) == 0
    assert "No lamina" in result.notes[0]


def test_candidates_far_beside_the_midline_are_rejected_with_the_reason():
    volume = grid()
    points = np.concatenate([whole_spine(), [[100.0, 90.0, 20.0]]])
    result = localize(probability_of(points, volume), volume, straight_column(volume))
    assert [why for _, why in result.rejected] == ["too far beside the midline"]
    assert len(result.laminae.positions()) == 34


def test_merged_cubes_are_divided_at_their_peaks():
    volume = grid()
    probability = np.zeros(SHAPE, np.float32)
    probability[50:70, 40:43, 20:23] = 0.6
    probability[51, 41, 21] = probability[68, 41, 21] = 1.0
    found = find_candidates(probability, volume)
    assert len(found) == 2
    assert found[0].index[0] < 60 < found[1].index[0]


def test_confidence_is_the_share_of_a_certain_cube():
    volume = grid()
    probability = probability_of([[60, 40, 20]], volume, 0.8)
    assert find_candidates(probability, volume)[0].confidence == pytest.approx(0.8, abs=1e-6)
    small = np.zeros(SHAPE, np.float32)
    small[60, 40, 18:23] = 1.0
    assert find_candidates(small, volume)[0].confidence == pytest.approx(5 / 27)


def test_a_tilted_column_turns_the_frame_with_it():
    volume = grid()
    rows = np.arange(0.0, 380.0, 5.0)
    column = volume.to_world(np.stack([rows, 20 + 0.15 * rows, np.full_like(rows, 20.0)], axis=-1))
    middle = np.array([200.0, 50.0])
    normal = np.array([-0.15, 1.0]) / np.hypot(0.15, 1.0)
    points = [[*(middle + 10 * side * normal), 20.0] for side in (-1, 1)]
    candidates = find_candidates(probability_of(np.round(points), volume), volume)
    placed = sorted(place_by_column(candidates, volume, column), key=lambda c: c.lateral)
    assert [c.side for c in placed] == ["L", "R"]
    assert abs(placed[0].along - placed[1].along) < 1.0
    assert placed[1].lateral == pytest.approx(10.0, abs=1.0)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(34)), st.sets(st.integers(0, 33), max_size=5))
def test_pairs_never_cross_and_use_each_candidate_once(order, missing):
    volume = grid()
    kept = [index for index in order if index not in missing]
    candidates = find_candidates(probability_of(whole_spine()[sorted(kept)], volume), volume)
    shuffled = [candidates[index % len(candidates)] for index in range(len(candidates))][::-1]
    placed = place_by_column(shuffled, volume, straight_column(volume))
    levels = pair_levels(placed)
    used = [candidate for level in levels for candidate in level if candidate is not None]
    assert len(used) == len(candidates) == 34 - len(missing)
    both = [level for level in levels if None not in level]
    assert all(abs(left.along - right.along) < 1e-6 for left, right in both)


def test_a_mirrored_scan_gives_mirrored_sides():
    volume = grid()
    points = np.delete(whole_spine(), [4, 21], axis=0)
    mirrored = points * [1, -1, 1] + [0, 95, 0]
    plain = localize(probability_of(points, volume), volume, straight_column(volume))
    swapped = localize(probability_of(mirrored, volume), volume, straight_column(volume, 47.0))
    assert set(swapped.laminae.positions()) == {
        name[:-1] + {"L": "R", "R": "L"}[name[-1]] for name in plain.laminae.positions()
    }
