import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.anatomy import SLOTS, Numbering, opposite
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source


def placed(name, *position):
    return Lamina(name, position or (1.0, 2.0, 3.0), Review.placed, Source.manual)


def test_a_lamina_starts_unset():
    lamina = Lamina("T6R")
    assert (lamina.position, lamina.review, lamina.source, lamina.confidence) == (None, Review.unset, None, None)
    assert (lamina.vertebra, lamina.side, lamina.is_suggested) == ("T6", "R", False)


def test_a_lamina_takes_arrays_and_words_and_keeps_plain_values():
    lamina = Lamina("T6R", np.array([1, 2, 3]), "unreviewed", "inferred", np.float32(0.25))
    assert lamina.position == (1.0, 2.0, 3.0)
    assert all(type(value) is float for value in lamina.position)
    assert lamina.review is Review.unreviewed
    assert lamina.source is Source.inferred
    assert lamina.confidence == 0.25
    assert lamina.is_suggested
    with pytest.raises(dataclasses.FrozenInstanceError):
        lamina.review = Review.placed


@pytest.mark.parametrize(
    "arguments",
    [
        {"position": (0, 0, 0)},
        {"position": (0, 0, 0), "review": "absent"},
        {"review": "placed"},
        {"review": "unreviewed", "source": "detected"},
        {"position": (0, 0, 0), "review": "placed"},
        {"position": (0, 0), "review": "placed", "source": "manual"},
        {"position": (0, 0, float("nan")), "review": "placed", "source": "manual"},
        {"position": (0, 0, float("inf")), "review": "placed", "source": "manual"},
        {"position": (0, 0, 0), "review": "placed", "source": "manual", "confidence": 1.5},
        {"position": (0, 0, 0), "review": "placed", "source": "manual", "confidence": float("nan")},
        {"confidence": 0.5},
        {"review": "absent", "confidence": 0.5},
        {"source": "manual"},
        {"position": (0, 0, 0), "review": "seen", "source": "manual"},
        {"position": (0, 0, 0), "review": "placed", "source": "guessed"},
    ],
)
def test_a_lamina_that_contradicts_itself_is_refused(arguments):
    with pytest.raises(ValueError):
        Lamina("T6R", **arguments)


def test_a_lamina_needs_a_name():
    with pytest.raises(LaminaError, match="not the name of a lamina"):
        Lamina("X1L")


def test_a_named_set_holds_every_slot_in_order():
    laminae = LaminaSet(laminae=[placed("L5R"), placed("T1L")])
    assert len(laminae) == 34
    assert tuple(laminae) == SLOTS
    assert laminae["T1L"].review is Review.placed
    assert laminae["T1R"].review is Review.unset
    assert laminae.get("P01L") is None
    assert not laminae.is_provisional
    assert list(laminae.positions()) == ["T1L", "L5R"]


def test_a_provisional_set_holds_only_what_is_there():
    laminae = LaminaSet.provisional([placed("P02L"), placed("P01R"), Lamina("P03L")])
    assert list(laminae) == ["P01R", "P02L"]
    assert laminae.is_provisional
    assert "provisional" in repr(laminae)
    assert LaminaSet.provisional().is_provisional


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LaminaSet(laminae=[placed("T13L")]), "does not exist with 12 thoracic and 5 lumbar"),
        (lambda: LaminaSet(Numbering(11, 5), [placed("T12L")]), "does not exist with 11 thoracic"),
        (lambda: LaminaSet(laminae=[placed("P01L")]), "P01L is a provisional name"),
        (lambda: LaminaSet.provisional([placed("T1L")]), "T1L names a numbered vertebra"),
        (lambda: LaminaSet(laminae=[placed("T1L"), placed("T1L")]), "T1L comes twice"),
        (lambda: LaminaSet.of([placed("T1L"), placed("P01L")]), "P01L is a provisional name"),
        (lambda: LaminaSet().with_lamina(placed("L6L")), "does not exist"),
        (lambda: LaminaSet.provisional().with_lamina(placed("L1L")), "names a numbered vertebra"),
        (lambda: LaminaSet.provisional().with_numbering(Numbering()), "name its vertebrae first"),
        (lambda: LaminaSet().renamed({"P01L": "T1L"}), "P01L cannot be renamed"),
        (lambda: LaminaSet(laminae=[placed("T1L"), placed("T2L")]).renamed({"T1L": "T2L"}), "T2L comes twice"),
        (
            lambda: LaminaSet.provisional([placed("P01L"), placed("P02L")]).renamed({"P01L": "T1L"}),
            "Either all pairs or none",
        ),
    ],
)
def test_a_set_refuses_names_that_do_not_belong(make, message):
    with pytest.raises(LaminaError, match=message) as caught:
        make()
    assert_one_sentence(caught.value)


def test_changes_return_a_new_set():
    before = LaminaSet()
    after = before.with_lamina(placed("T1L"))
    assert before["T1L"].review is Review.unset
    assert after["T1L"].position == (1.0, 2.0, 3.0)
    assert before != after
    assert after.with_lamina(Lamina("T1L")) == before
    assert hash(after.with_lamina(Lamina("T1L"))) == hash(before)


def test_equality_includes_numbering_and_kind():
    assert LaminaSet() == LaminaSet(Numbering(12, 5))
    assert LaminaSet() != LaminaSet(Numbering(12, 6))
    assert LaminaSet(Numbering(12, 5)) != LaminaSet.provisional()
    assert LaminaSet() != "a set"


def test_clearing_a_provisional_lamina_removes_it():
    laminae = LaminaSet.provisional([placed("P01L"), placed("P01R")])
    assert list(laminae.with_lamina(Lamina("P01L"))) == ["P01R"]


def test_positions_can_be_limited_to_sources():
    laminae = LaminaSet(
        laminae=[
            placed("T1L"),
            Lamina("T1R", (4, 5, 6), "unreviewed", "detected", 0.9),
            Lamina("T2L", (7, 8, 9), "unreviewed", "inferred", 0.1),
            Lamina("T2R", None, "absent"),
        ]
    )
    assert list(laminae.positions()) == ["T1L", "T1R", "T2L"]
    assert list(laminae.positions([Source.detected, "manual"])) == ["T1L", "T1R"]
    np.testing.assert_array_equal(laminae.positions()["T1R"], [4.0, 5.0, 6.0])


def test_pairs_go_down_the_spine():
    laminae = LaminaSet(laminae=[placed("T2L"), placed("T2R", 9, 9, 9), placed("T3L")])
    assert list(laminae.pairs()) == list(Numbering().vertebrae)
    left, right = laminae.pairs()["T3"]
    assert (left.review, right.review) == (Review.placed, Review.unset)
    assert list(laminae.complete_pairs()) == ["T2"]
    np.testing.assert_array_equal(laminae.complete_pairs()["T2"][1], [9.0, 9.0, 9.0])
    assert laminae.complete_pairs(["detected"]) == {}


def test_pairs_of_a_provisional_set_name_what_is_missing():
    laminae = LaminaSet.provisional([placed("P01R"), placed("P02L"), placed("P02R")])
    assert laminae.pairs()["P01"] == (None, laminae["P01R"])
    assert list(laminae.complete_pairs()) == ["P02"]


@given(st.dictionaries(st.sampled_from(SLOTS), st.tuples(*[st.floats(-500, 500)] * 3)))
def test_swapping_sides_moves_names_not_positions_and_undoes_itself(points):
    laminae = LaminaSet.from_positions(points)
    swapped = laminae.swapped_sides()
    assert {name: lamina.position for name, lamina in swapped.items() if lamina.position} == {
        opposite(name): laminae[name].position for name in points
    }
    assert swapped.swapped_sides() == laminae
    assert tuple(swapped) == tuple(laminae)


def test_a_column_moves_down_by_one_level_at_once():
    laminae = LaminaSet.from_positions({"T1L": (1, 0, 0), "T2L": (2, 0, 0), "L4L": (3, 0, 0)})
    levels = Numbering().vertebrae
    moved = laminae.renamed({f"{old}L": f"{new}L" for old, new in itertools.pairwise(levels)})
    assert {name: point[0] for name, point in moved.positions().items()} == {"T2L": 1, "T3L": 2, "L5L": 3}
    assert moved["T1L"].review is Review.unset


def test_provisional_pairs_get_numbers_and_lose_them_again():
    provisional = LaminaSet.provisional([placed("P01L"), placed("P01R")])
    named = provisional.renamed({"P01L": "T13L", "P01R": "T13R"})
    assert named.numbering == Numbering(13, 5)
    assert list(named.positions()) == ["T13L", "T13R"]
    assert named.renamed({"T13L": "P01L", "T13R": "P01R"}) == provisional
    assert provisional.renamed({"P01L": "T1L", "P01R": "T1R"}, Numbering(11, 4)).numbering == Numbering(11, 4)
    assert LaminaSet.provisional().renamed({}) == LaminaSet.provisional()


def test_the_numbering_can_be_changed_while_nothing_is_lost():
    laminae = LaminaSet(laminae=[placed("T12L")])
    assert laminae.with_numbering(Numbering(13, 6))["T12L"] == laminae["T12L"]
    with pytest.raises(LaminaError, match="T12L does not exist") as caught:
        laminae.with_numbering(Numbering(11, 5))
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("names", "before", "after", "advice"),
    [
        (["T12L"], Numbering(), Numbering(11, 5), "empty T12L first, or keep 12 thoracic vertebrae."),
        (["T12R"], Numbering(13, 5), Numbering(11, 5), "empty T12R first, or keep 12 thoracic vertebrae."),
        (["L5L", "L6R"], Numbering(12, 6), Numbering(12, 4), "empty L5L, L6R first, or keep 6 lumbar vertebrae."),
        (["T12L", "L5L"], Numbering(), Numbering(11, 4), "empty T12L first, or keep 12 thoracic vertebrae."),
    ],
)
def test_a_lamina_that_another_numbering_would_lose_is_to_be_emptied_first(names, before, after, advice):
    laminae = LaminaSet(before, [placed(name) for name in names])
    with pytest.raises(LaminaError) as caught:
        laminae.with_numbering(after)
    assert_one_sentence(caught.value)
    assert str(caught.value).startswith(f"{names[0]} does not exist with {after.thoracic} thoracic")
    assert str(caught.value).endswith(advice)
    emptied = laminae.with_laminae([Lamina(name) for name in names])
    assert emptied.with_numbering(after) == LaminaSet(after)
