"""Which vertebra is which, and scans that show a part of the spine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_spines import absent, found, placed
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import SLOTS, VERTEBRAE, Numbering, split_name
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.guidance import (
    renumbered,
    with_scan_range,
)
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review

# Renumbering


def test_this_pair_is_t12_moves_all_pairs_along():
    laminae = LaminaSet(laminae=[placed("T3L", 1, 1, 1), found("T11R", 0.4), absent("L1L")])
    moved = renumbered(laminae, "T11", "T12")
    assert moved["T4L"] == placed("T4L", 1, 1, 1)
    assert moved["T12R"] == found("T12R", 0.4)
    assert moved["L2L"] == absent("L2L")
    assert [name for name, lamina in moved.items() if lamina.review is not Review.unset] == ["T4L", "T12R", "L2L"]


def test_renumbering_keeps_the_numbering_and_crosses_its_own_border():
    laminae = LaminaSet(Numbering(13, 4), [placed("T12L")])
    assert list(renumbered(laminae, "T12", "L1").positions()) == ["L1L"]
    assert renumbered(laminae, "T12", "T13").numbering == Numbering(13, 4)


@pytest.mark.parametrize(
    ("name", "becomes", "words"),
    [("T1R", "T5", ("T1R", "above T1")), ("L5L", "T7", ("L5L", "below L5"))],
)
def test_a_lamina_that_would_fall_off_is_refused(name, becomes, words):
    laminae = LaminaSet(laminae=[placed("T6L"), placed(name)])
    with pytest.raises(LaminaError) as caught:
        renumbered(laminae, "T6", becomes)
    assert_one_sentence(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_absent_slots_fall_off_silently_and_the_free_end_is_unset():
    laminae = LaminaSet(laminae=[absent("T1L"), absent("T1R"), absent("T2L"), placed("T6L"), absent("L5R")])
    moved = renumbered(laminae, "T6", "T5")
    assert [name for name, lamina in moved.items() if lamina.review is Review.absent] == ["T1L", "L4R"]
    assert moved["L5R"].review is Review.unset


def test_provisional_pairs_are_counted_from_the_one_that_is_known():
    laminae = LaminaSet.provisional([placed("P01L", 1, 1, 1), placed("P03R", 3, 3, 3), found("P04L", 0.3)])
    moved = renumbered(laminae, "P03", "T12")
    assert not moved.is_provisional
    assert moved.numbering == Numbering()
    assert moved["T10L"].position == (1, 1, 1)
    assert moved["T12R"].position == (3, 3, 3)
    assert moved["L1L"] == found("L1L", 0.3)


def test_provisional_pairs_can_get_another_numbering():
    laminae = LaminaSet.provisional([placed("P01L"), placed("P02L")])
    assert list(renumbered(laminae, "P01", "T13", Numbering(13, 5)).positions()) == ["T13L", "L1L"]


def test_provisional_pairs_that_would_fall_off_are_refused():
    laminae = LaminaSet.provisional([placed("P01L"), placed("P03L")])
    with pytest.raises(LaminaError, match="P01L would lie above T1 if P03 were T2"):
        renumbered(laminae, "P03", "T2")


@pytest.mark.parametrize(("vertebra", "becomes"), [("T13", "T12"), ("P01", "T12"), ("T6", "T13"), ("T6", "P01")])
def test_renumbering_needs_vertebrae_that_exist(vertebra, becomes):
    with pytest.raises(LaminaError) as caught:
        renumbered(LaminaSet(laminae=[placed("T6L")]), vertebra, becomes)
    assert_one_sentence(caught.value)


@given(st.sets(st.sampled_from(SLOTS[8:26]), min_size=1), st.integers(-4, 4))
def test_renumbering_there_and_back_changes_nothing(names, shift):
    laminae = LaminaSet(laminae=[placed(name, number, 0, 0) for number, name in enumerate(sorted(names))])
    vertebra = split_name(min(names))[0]
    becomes = VERTEBRAE[VERTEBRAE.index(vertebra) + shift]
    assert renumbered(renumbered(laminae, vertebra, becomes), becomes, vertebra) == laminae


def refusal(laminae, vertebra, becomes, numbering=None):
    with pytest.raises(LaminaError) as caught:
        renumbered(laminae, vertebra, becomes, numbering)
    assert_one_sentence(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("numbering", "becomes", "name", "enough"),
    [(Numbering(), "T7", "L5L", 6), (Numbering(12, 4), "T7", "L4L", 5), (Numbering(12, 4), "T8", "L4L", 6)],
)
def test_more_lumbar_vertebrae_are_suggested_where_they_are_enough(numbering, becomes, name, enough):
    laminae = LaminaSet(numbering, [placed("T6L"), placed(name)])
    text = refusal(laminae, "T6", becomes)
    assert text == (
        f"{name} would lie below {name[:-1]} if T6 were {becomes}: choose a higher one, say first that there are "
        f"{enough} lumbar vertebrae, or empty it first."
    )
    moved = renumbered(laminae.with_numbering(Numbering(numbering.thoracic, enough)), "T6", becomes)
    assert list(moved.positions()) == [f"{becomes}L", f"L{enough}L"]


@pytest.mark.parametrize(
    ("laminae", "vertebra", "becomes"),
    [
        (LaminaSet(laminae=[placed("T6L"), placed("L5L")]), "T6", "T8"),
        (LaminaSet(laminae=[placed("T6L"), placed("L4L"), placed("L5R")]), "T6", "T8"),
        (LaminaSet(Numbering(12, 6), [placed("T6L"), placed("L6L")]), "T6", "T7"),
        (LaminaSet(laminae=[placed("T6L"), placed("T1L")]), "T6", "T5"),
        (LaminaSet.provisional([placed("P01L"), placed("P02L")]), "P01", "L5"),
    ],
)
def test_more_lumbar_vertebrae_are_not_suggested_where_they_do_not_help(laminae, vertebra, becomes):
    text = refusal(laminae, vertebra, becomes)
    assert "would lie" in text and "lumbar" not in text


def test_what_is_absent_does_not_ask_for_more_vertebrae():
    laminae = LaminaSet(Numbering(12, 4), [placed("T6L"), placed("L3L"), Lamina("L4L", None, "absent", "manual")])
    assert list(renumbered(laminae, "T6", "T7").positions()) == ["T7L", "L4L"]
    text = refusal(laminae.with_lamina(placed("L3R")), "T6", "T8")
    assert "5 lumbar vertebrae" in text


# Partial scans


def test_everything_outside_the_scans_range_is_absent():
    ranged = with_scan_range(LaminaSet(laminae=[placed("T6L")]), "T4", "L2")
    gone = [vertebra for vertebra, pair in ranged.pairs().items() if all(one.review is Review.absent for one in pair)]
    assert gone == ["T1", "T2", "T3", "L3", "L4", "L5"]
    assert ranged["T4R"].review is Review.unset
    assert ranged["T6L"] == placed("T6L")


def test_a_wider_range_takes_back_what_was_outside_but_not_what_a_person_saw():
    seen = LaminaSet(laminae=[absent("T6R"), absent("T7L"), absent("T7R")])
    narrow = with_scan_range(seen, "T5", "T8")
    assert with_scan_range(narrow, "T1", "L5") == seen
    assert with_scan_range(narrow, "T3", "T8")["T3L"].review is Review.unset
    assert with_scan_range(narrow, "T3", "T8")["T2R"].review is Review.absent


@pytest.mark.parametrize("lamina", [placed("L1R"), found("L1R", 0.9)])
def test_a_lamina_outside_the_range_is_refused(lamina):
    with pytest.raises(LaminaError, match="L1R has a position") as caught:
        with_scan_range(LaminaSet(laminae=[lamina]), "T1", "T12")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("laminae", "first", "last"),
    [
        (LaminaSet(), "T6", "T5"),
        (LaminaSet(), "T13", "L5"),
        (LaminaSet(), "T1", "S1"),
        (LaminaSet.provisional([placed("P01L")]), "T1", "L5"),
    ],
)
def test_a_range_that_is_none_is_refused(laminae, first, last):
    with pytest.raises(LaminaError) as caught:
        with_scan_range(laminae, first, last)
    assert_one_sentence(caught.value)


@given(st.integers(0, 16), st.integers(0, 16), st.integers(0, 16), st.integers(0, 16))
def test_the_last_range_counts(a, b, c, d):
    first, second = sorted((a, b)), sorted((c, d))
    twice = with_scan_range(LaminaSet(), *(VERTEBRAE[index] for index in first))
    twice = with_scan_range(twice, *(VERTEBRAE[index] for index in second))
    assert twice == with_scan_range(LaminaSet(), *(VERTEBRAE[index] for index in second))
