import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import agreement
from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.consensus import consensus, resolve
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source


def placed(name, *position):
    return Lamina(name, position, Review.placed, Source.manual)


def absent(name):
    return Lamina(name, None, Review.absent)


FIRST = LaminaSet(
    laminae=[
        placed("T1L", 0, 0, 0),
        placed("T1R", 0, 0, 0),
        placed("T2L", 1, 2, 3),
        Lamina("T3L", (4, 5, 6), Review.unreviewed, Source.detected, 0.7),
        absent("T4L"),
        absent("T4R"),
        absent("T5L"),
    ]
)
SECOND = LaminaSet(
    laminae=[placed("T1L", 0, 0, 3), placed("T1R", 0, 0, 3.5), absent("T2L"), absent("T4L"), placed("T5R", 7, 8, 9)]
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("T1L", placed("T1L", 0, 0, 1.5)),
        ("T1R", Lamina("T1R", (0, 0, 1.75), Review.unreviewed, Source.inferred)),
        ("T2L", Lamina("T2L", (1, 2, 3), Review.unreviewed, Source.manual)),
        ("T3L", Lamina("T3L", (4, 5, 6), Review.unreviewed, Source.detected, 0.7)),
        ("T4L", Lamina("T4L", None, Review.absent, Source.manual)),
        ("T4R", Lamina("T4R")),
        ("T5L", Lamina("T5L")),
        ("T5R", Lamina("T5R", (7, 8, 9), Review.unreviewed, Source.manual)),
        ("T6L", Lamina("T6L")),
    ],
)
def test_what_two_raters_say_of_a_slot_decides_what_becomes_of_it(name, expected):
    assert consensus(FIRST, SECOND)[name] == expected


def test_the_distance_of_agreement_can_be_given():
    assert consensus(FIRST, SECOND, within_mm=4.0)["T1R"] == placed("T1R", 0, 0, 1.75)
    assert consensus(FIRST, SECOND, within_mm=2.0)["T1L"].review is Review.unreviewed


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(Numbering().slots), st.tuples(*[st.integers(-9, 9)] * 3)),
    st.dictionaries(st.sampled_from(Numbering().slots), st.tuples(*[st.integers(-9, 9)] * 3)),
)
def test_the_order_of_the_raters_does_not_matter_and_nothing_is_lost(first, second):
    one, other = (LaminaSet.from_positions(points, Numbering()) for points in (first, second))
    merged = consensus(one, other)
    assert merged == consensus(other, one)
    assert set(merged.positions()) == set(first) | set(second)
    assert consensus(one, one) == one


def test_other_numberings_are_refused_and_equal_ones_kept():
    for other in (LaminaSet(Numbering(13, 5)), LaminaSet.from_positions({"P01L": (0, 0, 0)})):
        with pytest.raises(LaminaError, match="same numbering") as caught:
            consensus(LaminaSet(), other)
        assert_one_sentence(caught.value)
    assert consensus(LaminaSet(Numbering(11, 6)), LaminaSet(Numbering(11, 6))).numbering == Numbering(11, 6)


def test_provisional_lists_are_merged_by_their_names():
    first = LaminaSet.from_positions({"P02L": (0, 0, 0), "P01L": (0, 0, 30)})
    second = LaminaSet.from_positions({"P01L": (0, 0, 32), "P03R": (1, 1, 1)})
    merged = consensus(first, second)
    assert merged.is_provisional
    assert list(merged) == ["P01L", "P02L", "P03R"]
    assert merged["P01L"] == placed("P01L", 0, 0, 31)
    assert resolve(merged, "P02L", "first", first, second)["P02L"] == placed("P02L", 0, 0, 0)


@pytest.mark.parametrize(("choice", "height"), [("first", 0.0), ("second", 3.5), ("middle", 1.75)])
def test_a_person_chooses_a_position(choice, height):
    merged = consensus(FIRST, SECOND)
    decided = resolve(merged, "T1R", choice, FIRST, SECOND)
    assert decided["T1R"] == placed("T1R", 0, 0, height)
    assert {name: lamina for name, lamina in decided.items() if name != "T1R"} == {
        name: lamina for name, lamina in merged.items() if name != "T1R"
    }


def test_a_person_can_side_with_the_one_who_says_absent():
    assert resolve(consensus(FIRST, SECOND), "T2L", "second", FIRST, SECOND)["T2L"].review is Review.absent
    assert resolve(consensus(FIRST, SECOND), "T2L", "first", FIRST, SECOND)["T2L"] == placed("T2L", 1, 2, 3)


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("T5R", "first", "first list says nothing about T5R"),
        ("T3L", "second", "second list says nothing about T3L"),
        ("T3L", "middle", "T3L has no middle"),
        ("T13L", "first", "T13L"),
    ],
)
def test_a_choice_that_is_none_is_refused(name, choice, message):
    with pytest.raises(LaminaError, match=message) as caught:
        resolve(consensus(FIRST, SECOND), name, choice, FIRST, SECOND)
    assert_one_sentence(caught.value)


def test_an_unknown_choice_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="third"):
        resolve(FIRST, "T1L", "third", FIRST, SECOND)


def test_the_mean_is_exact():
    first = LaminaSet.from_positions({"T1L": (0.1, 0.2, 0.3)})
    second = LaminaSet.from_positions({"T1L": (0.3, 0.4, 0.5)})
    np.testing.assert_allclose(consensus(first, second)["T1L"].position, (0.2, 0.3, 0.4), atol=1e-15)


def test_agreement_offers_both_as_well():
    assert (agreement.consensus, agreement.resolve) == (consensus, resolve)
