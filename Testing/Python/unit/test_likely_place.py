"""Where an empty slot probably is: the other laminae, and the skin of the scan."""

import numpy as np
import pytest

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.likely_place import likely_position, skin_index
from LaminaLabelingLib.volumes import Volume

SPACING = np.array([2.0, 1.0, 0.5])


def made_scan(matrix=None):
    """A back of 400 x 80 x 60 mm whose skin lies 5 mm deep at the top and 15 mm at the bottom; the rest is empty."""
    array = np.zeros((200, 120, 120), dtype=np.uint8)
    for row in range(200):
        array[row, 20:100, round(10 + row / 10) :] = 60
    if matrix is None:
        matrix = np.eye(4)
        matrix[:3, :3] = np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]]) * SPACING  # IRA to RAS
        matrix[:3, 3] = (-60.0, 10.0, 300.0)
    return Volume(array, matrix)


def depth_under_skin(volume, point):
    row, column, place = volume.to_index(np.array(point))
    return (place - skin_index(volume, round(row), round(column))) * volume.spacing[2]


def test_the_skin_is_where_the_scanned_tissue_begins():
    volume = made_scan()
    assert skin_index(volume, 0, 50) == 10
    assert skin_index(volume, 100, 50) == 20
    assert skin_index(volume, 100, 5) is None
    assert skin_index(volume, -1, 50) is None


def test_a_speck_in_front_of_the_skin_is_not_skin():
    volume = made_scan()
    volume.array[100, 50, 3:5] = 200
    assert skin_index(volume, 100, 50) == 20


def test_in_an_empty_list_the_first_lamina_lies_under_the_skin_beside_the_middle():
    volume = made_scan()
    index = volume.to_index(np.array(likely_position(LaminaSet(), "T1L", volume)))
    assert 0 <= index[0] <= 20
    assert 45 < index[1] < 59.5
    assert depth_under_skin(volume, volume.to_world(index)) == pytest.approx(19.0, abs=0.5)


def test_a_lamina_beyond_the_last_one_keeps_the_depth_under_the_skin():
    volume = made_scan()
    placed = []
    for number in (1, 2, 3):  # 12 mm under the skin, sloping away from it as a misleading trend
        for side, column in (("L", 50), ("R", 70)):
            row = 10 * number
            place = skin_index(volume, row, column) + 24
            placed.append(Lamina(f"T{number}{side}", volume.to_world((row, column, place)), "placed", "manual"))
    found = likely_position(LaminaSet(laminae=placed), "T8L", volume)
    assert depth_under_skin(volume, found) == pytest.approx(12.0, abs=0.5)


def test_a_lamina_between_others_is_told_by_them():
    volume = made_scan()
    places = {"T4L": (60, 50, 70), "T6L": (80, 50, 90)}
    laminae = LaminaSet.from_positions({name: volume.to_world(index) for name, index in places.items()})
    index = volume.to_index(np.array(likely_position(laminae, "T5L", volume)))
    assert index == pytest.approx((70, 50, 80), abs=1.5)


def test_a_gap_where_the_probe_was_lifted_is_looked_across():
    volume = made_scan()
    volume.array[0:14] = 0
    point = likely_position(LaminaSet(), "T1L", volume)
    assert volume.to_index(np.array(point))[2] > 10 + 2 * 15


def test_the_place_lies_in_the_scan_whatever_is_known():
    volume = made_scan()
    far = LaminaSet.from_positions({"T1L": (0.0, 500.0, 2000.0)})
    index = volume.to_index(np.array(likely_position(far, "L5R", volume)))
    assert (index >= 0).all() and (index <= np.array(volume.shape) - 1).all()


def test_the_levels_that_a_partial_scan_shows_fill_it():
    volume = made_scan()
    absent = [name for name in SLOTS if name[:-1] not in ("L1", "L2", "L3")]
    laminae = LaminaSet(laminae=[Lamina(name, None, "absent") for name in absent])
    rows = [volume.to_index(np.array(likely_position(laminae, f"L{n}L", volume)))[0] for n in (1, 2, 3)]
    assert 10 < rows[0] < 60 < rows[1] < 140 < rows[2] < 195


def test_a_provisional_list_takes_further_pairs():
    volume = made_scan()
    places = {f"P{n:02d}{side}": (20 * n, column, 60) for n in (1, 2) for side, column in (("L", 50), ("R", 70))}
    laminae = LaminaSet.from_positions({name: volume.to_world(index) for name, index in places.items()})
    row, column, _ = volume.to_index(np.array(likely_position(laminae, "P03R", volume)))
    assert row == pytest.approx(60, abs=4)
    assert column == pytest.approx(70, abs=2)


def test_clicking_in_the_coronal_view_alone_does_not_drift_in_depth(coarse_scan):
    """A person who clicks each lamina where it is seen from behind, and takes the depth that is offered."""
    volume, truth = coarse_scan.volume, coarse_scan.truth.positions()
    laminae, errors = LaminaSet(), []
    for name, point in truth.items():
        index = volume.to_index(point)
        offered = volume.to_index(np.array(likely_position(laminae, name, volume)))[2]
        errors.append((offered - index[2]) * volume.spacing[2])
        clicked = volume.to_world((index[0], index[1], offered))
        laminae = laminae.with_lamina(Lamina(name, clicked, "placed", "manual"))
    assert np.abs(errors).mean() < 6.0
    assert np.abs(errors).max() < 18.0
