"""The row of levels and the fit of the whole spine, on spines drawn from the shape model itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_spines_by_column import NAMES, candidate, candidates_of, draw

from LaminaLabelingLib.anatomy import Numbering
from LaminaSegmentationLib.evidence import Evidence
from LaminaSegmentationLib.shape_model import generic_shape
from LaminaSegmentationLib.spine_chain import find_row
from LaminaSegmentationLib.spine_fit import fit_spine

SHAPE = generic_shape().of(Numbering())
EVIDENCE = Evidence()


def found(candidates, scanned, **known):
    row = find_row(candidates, SHAPE, EVIDENCE, scanned, **known)
    return row, fit_spine(row, candidates, SHAPE, EVIDENCE)


def scanned_of(places):
    along = np.array(list(places.values()))[:, 0]
    return float(along.min() - 9.0), float(along.max() + 14.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.8, 1.2), missing=st.sets(st.sampled_from(NAMES[4:30]), max_size=4))
def test_every_lamina_of_a_drawn_spine_gets_its_level_and_side(seed, size, missing):
    places = draw(np.random.default_rng(seed), size=size)
    kept = {name: place for name, place in places.items() if name not in missing}
    row, slots = found(candidates_of(kept), scanned_of(places))
    assert row.count == 17  # which of them is T1 is the count's business, see localization
    by_name = {NAMES[2 * (slot.level - row.first) + "LR".index(slot.side)]: slot for slot in slots}
    assert set(by_name) == set(places)
    for name, slot in by_name.items():
        if name in missing:
            assert slot.candidate == -1
            # Between spines that vary as much as assumed, a level is known to some millimeters.
            assert np.linalg.norm(slot.place - places[name]) < 5.0 * np.linalg.norm(slot.spread)
        else:
            assert np.allclose(slot.place, places[name])


def test_no_candidate_serves_twice_and_each_side_runs_downwards():
    rng = np.random.default_rng(3)
    places = candidates_of(rng.uniform([0.0, -20.0, 10.0], [400.0, 20.0, 30.0], (150, 3)), 0.6)
    row, slots = found(places, (0.0, 400.0))
    used = [number for _, *pair in row.levels for number in pair if number >= 0]
    assert len(set(used)) == len(used)
    taken = [slot.candidate for slot in slots if slot.candidate >= 0]
    assert len(set(taken)) == len(taken)
    for side in (1, 2):
        along = [places[level[side]].along for level in row.levels if level[side] >= 0]
        assert along == sorted(along)


def test_a_candidate_between_two_levels_is_left_out():
    places = draw(np.random.default_rng(1))
    between = 0.5 * (places["T8R"] + places["T9R"])
    candidates = [*candidates_of(places), candidate(between, 0.3)]
    _row, slots = found(candidates, scanned_of(places))
    assert 34 not in [slot.candidate for slot in slots]
    assert len([slot for slot in slots if slot.candidate >= 0]) == 34


def test_a_faint_candidate_in_place_wins_over_a_strong_one_elsewhere():
    places = draw(np.random.default_rng(2))
    right = places.pop("L3R")
    candidates = [*candidates_of(places), candidate(right, 0.15), candidate(right + np.array([16.0, 6.0, -4.0]), 0.6)]
    _row, slots = found(candidates, scanned_of(draw(np.random.default_rng(2))))
    taken = next(slot for slot in slots if (slot.level, slot.side) == (15, "R"))
    assert taken.candidate == 33


def test_an_anchor_decides_the_level():
    places = draw(np.random.default_rng(4))
    kept = {name: place for name, place in places.items() if 6 <= NAMES.index(name) < 26}  # T4 to L1
    t12 = 0.5 * (places["T12L"] + places["T12R"])[0]
    for level in (11, 12, 13):
        row, _slots = found(candidates_of(kept), scanned_of(kept), anchor=(level, float(t12)))
        assert row.first == 4 + level - 12


def test_without_candidates_there_is_no_row():
    assert find_row([], SHAPE, EVIDENCE, (0.0, 400.0)) is None


def test_the_rival_tells_how_certain_the_count_is():
    places = draw(np.random.default_rng(5))
    row, _slots = found(candidates_of(places), scanned_of(places))
    assert row.count == 17
    sure = row.score - row.rival
    assert sure > 3.0
    # With half a level of room below, and nothing seen of L5, 16 levels are as good.
    kept = {name: place for name, place in places.items() if not name.startswith("L5")}
    low, high = scanned_of(kept)
    other, _slots = found(candidates_of(kept), (low, high + 8.0))
    assert other.score - other.rival < sure


def test_confidence_falls_with_evidence_fit_and_prediction():
    places = draw(np.random.default_rng(6))
    candidates = candidates_of(places)
    _row, slots = found(candidates, scanned_of(places))
    sure = slots[10].confidence
    faint = [*candidates[:10], candidate(candidates[10].place, 0.1), *candidates[11:]]
    _row, slots = found(faint, scanned_of(places))
    assert slots[10].candidate == 10
    assert slots[10].confidence < sure
    moved = [*candidates[:10], candidate(candidates[10].place + np.array([5.0, 0.0, 3.0]), 0.97), *candidates[11:]]
    _row, slots = found(moved, scanned_of(places))
    assert slots[10].candidate == 10
    assert slots[10].confidence < sure
    _row, slots = found([*candidates[:10], *candidates[11:]], scanned_of(places))
    assert slots[10].candidate == -1
    assert slots[10].confidence < sure


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_candidates_do_not_fail(count):
    places = list(draw(np.random.default_rng(7)).values())[:count]
    row, slots = found(candidates_of(places), (0.0, 400.0))
    assert sum(slot.candidate >= 0 for slot in slots) == count
    assert np.isfinite([slot.place for slot in slots]).all()
    assert row is not None
