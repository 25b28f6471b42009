import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.anatomy import Numbering, provisional_name
from LaminaLabelingLib.label_values import label_value, names_fit, names_of_values

# Five levels of a straight spine: rows 18 mm apart, levels 20 mm; slot 1 is the first point.
DOWN = np.repeat(20.0 * np.arange(5), 2)
ACROSS = np.tile([-9.0, 9.0], 5)


@pytest.mark.parametrize(
    ("name", "numbering", "value"),
    [
        ("T1L", Numbering(), 1),
        ("L5R", Numbering(), 34),
        ("L1L", Numbering(11, 5), 23),
        ("L6R", Numbering(13, 6), 38),
        ("P01L", Numbering(), 101),
        ("P10R", Numbering(), 120),
    ],
)
def test_the_value_is_the_slot_counted_from_one_and_that_of_a_provisional_name_from_101(name, numbering, value):
    assert label_value(name, numbering) == value
    assert names_of_values(np.array([value]), numbering) == [name]


@given(st.lists(st.integers(0, 9998), unique=True), st.sampled_from("LR"))
def test_provisional_names_come_back(numbers, side):
    names = [provisional_name(number, side) for number in numbers]
    values = np.array([label_value(name, Numbering()) for name in names])
    assert names_of_values(values, Numbering()) == names


@pytest.mark.parametrize(
    ("values", "numbering"),
    [
        ([0], Numbering()),
        ([-1], Numbering()),
        ([35], Numbering()),
        ([31], Numbering(11, 4)),
        ([100], Numbering()),
        ([1, 101], Numbering()),
        ([1, 1], Numbering()),
        ([101 + 2 * 9999], Numbering()),
    ],
)
def test_other_values_stand_for_no_names(values, numbering):
    assert names_of_values(np.array(values), numbering) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_whole_numbers_of_any_type_are_values(dtype):
    values = np.array([3, 34], dtype)
    assert names_of_values(values, Numbering()) == ["T2L", "L5R"]
    assert names_fit(values, np.array([-9.0, 9.0]), np.array([0.0, 300.0]))


@settings(deadline=None)
@given(st.sets(st.integers(0, 9), min_size=1).map(sorted), st.integers(0, 12), st.randoms(use_true_random=False))
def test_any_part_of_a_spine_fits_its_values_in_any_order(kept, first, random):
    random.shuffle(kept)
    # From any level of the whole spine, which the places do not show.
    assert names_fit(np.array(kept) + 1 + 2 * first, ACROSS[kept], DOWN[kept])


@pytest.mark.parametrize(
    "values",
    [
        [2, 1, 4, 3, 6, 5, 8, 7, 10, 9],  # left and right exchanged
        [9, 10, 7, 8, 5, 6, 3, 4, 1, 2],  # counted upwards
        [1, 2, 3, 4, 7, 8, 5, 6, 9, 10],  # two levels exchanged
        [1, 2, 3, 4, 5, 6, 9, 8, 7, 10],  # two of one side exchanged
        [1, 2, 4, 3, 5, 6, 7, 8, 9, 10],  # the two of a level exchanged
        [1, 4, 3, 6, 5, 8, 7, 10, 9, 12],  # right ones a level too low: 4 is at the height of 1
        [1, 3, 5, 7, 9, 11, 13, 15, 17, 19],  # all on the left
    ],
)
def test_values_in_contrast_to_the_places_do_not_fit(values):
    assert names_fit(np.arange(1, 11), ACROSS, DOWN)
    assert not names_fit(np.array(values), ACROSS, DOWN)


def test_a_count_past_a_missing_one_does_not_fit():
    kept = [slot for slot in range(10) if slot != 3]
    assert not names_fit(np.arange(1, 10), ACROSS[kept], DOWN[kept])


def test_two_of_one_level_lie_beside_each_other():
    assert names_fit(np.array([5, 6]), np.array([-9.0, 9.0]), np.array([0.0, 6.0]))
    assert not names_fit(np.array([5, 6]), np.array([-9.0, 9.0]), np.array([0.0, 40.0]))
    assert not names_fit(np.array([5, 6]), np.array([9.0, -9.0]), np.array([0.0, 6.0]))


def test_a_single_label_fits_any_value():
    assert names_fit(np.array([34]), np.array([3.0]), np.array([5.0]))
