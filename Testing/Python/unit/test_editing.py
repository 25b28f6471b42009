"""Edits of a set of laminae, their undo and redo, in all and for one slot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.anatomy import SLOTS, Numbering
from LaminaLabelingLib.editing import Labeling, changed_laminae
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source

HERE, THERE = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
FOUND = LaminaSet(
    laminae=[
        Lamina("T6L", HERE, "unreviewed", "detected", 0.95),
        Lamina("T6R", HERE, "unreviewed", "detected", 0.6),
        Lamina("L4L", HERE, "unreviewed", "inferred", 0.99),
    ]
)


def test_a_placed_lamina_is_a_persons():
    labeling = Labeling()
    edit = labeling.place("T6R", HERE)
    assert labeling.laminae["T6R"] == Lamina("T6R", HERE, Review.placed, Source.manual)
    assert (edit.text, edit.names) == ("T6R placed", ("T6R",))
    assert labeling.place("T6R", THERE).text == "T6R moved"


def test_moving_what_a_network_found_makes_it_a_persons():
    labeling = Labeling(FOUND)
    labeling.place("T6L", THERE)
    assert labeling.laminae["T6L"] == Lamina("T6L", THERE, Review.placed, Source.manual)


def test_accepting_keeps_source_and_confidence():
    labeling = Labeling(FOUND)
    labeling.accept("T6L")
    assert labeling.laminae["T6L"] == Lamina("T6L", HERE, "placed", "detected", 0.95)


def test_nothing_to_accept_is_a_sentence():
    with pytest.raises(LaminaError, match="T1L has no position to accept"):
        Labeling().accept("T1L")


def test_accepting_above_a_threshold_takes_what_was_seen_and_no_suggestion():
    labeling = Labeling(FOUND)
    assert labeling.accept_above(0.9).names == ("T6L",)
    assert labeling.laminae["L4L"].review == "unreviewed"
    assert labeling.accept_above(0.9) is None
    labeling.undo()
    assert labeling.laminae == FOUND


def test_an_absent_lamina_has_no_position():
    labeling = Labeling(FOUND)
    labeling.mark_absent(["T6L", "T6R"])
    assert labeling.laminae["T6L"] == Lamina("T6L", None, Review.absent, Source.manual)
    assert labeling.undo_text == "T6L, T6R absent"


def test_rejecting_and_unsetting_empty_the_slot():
    labeling = Labeling(FOUND)
    labeling.reject("T6L")
    labeling.unset("T6R")
    assert labeling.laminae.positions().keys() == {"L4L"}


def test_an_edit_that_changes_nothing_is_none_and_cannot_be_undone():
    labeling = Labeling()
    assert labeling.unset("T1L") is None
    assert labeling.replace(LaminaSet(), "import") is None
    assert labeling.edits == ()


def test_a_slot_that_does_not_exist_is_a_sentence():
    with pytest.raises(LaminaError, match="no slot T13L"):
        Labeling().place("T13L", HERE)


def test_a_provisional_list_takes_new_pairs():
    labeling = Labeling(LaminaSet.provisional([Lamina("P01L", HERE, "placed", "manual")]))
    labeling.place("P01R", THERE)
    labeling.unset("P01L")
    assert list(labeling.laminae) == ["P01R"]
    labeling.undo()
    assert list(labeling.laminae) == ["P01L", "P01R"]


def test_undo_and_redo_go_back_and_forth():
    labeling = Labeling()
    labeling.place("T1L", HERE)
    labeling.place("T1R", THERE)
    assert labeling.undo().names == ("T1R",)
    assert labeling.undo().names == ("T1L",)
    assert labeling.undo() is None
    assert labeling.redo_text == "T1L placed"
    assert labeling.redo().names == ("T1L",)
    assert labeling.laminae.positions().keys() == {"T1L"}


def test_a_new_edit_ends_what_could_be_redone():
    labeling = Labeling()
    labeling.place("T1L", HERE)
    labeling.undo()
    labeling.place("T1R", THERE)
    assert labeling.redo() is None
    assert labeling.redo_text == ""


def test_undo_of_one_slot_leaves_later_edits_of_others():
    labeling = Labeling()
    labeling.place("T1L", HERE)
    labeling.place("T1L", THERE)
    labeling.place("T9R", HERE)
    labeling.undo_slot("T1L")
    assert labeling.laminae["T1L"].position == HERE
    assert labeling.laminae["T9R"].position == HERE
    labeling.undo_slot("T1L")
    assert labeling.laminae["T1L"].position is None
    assert labeling.undo_slot("T1L") is None
    labeling.undo()  # takes back the taking back
    assert labeling.laminae["T1L"].position == HERE
    labeling.undo_slot("T1L")
    assert labeling.laminae["T1L"].position is None


def test_undo_of_one_slot_of_an_edit_of_many():
    labeling = Labeling(FOUND)
    labeling.mark_absent(["T6L", "T6R"])
    labeling.undo_slot("T6R")
    assert [labeling.laminae[name].review for name in ("T6L", "T6R")] == ["absent", "unreviewed"]


def test_undo_of_one_slot_does_not_go_past_a_renumbering():
    labeling = Labeling()
    labeling.place("T1L", HERE)
    labeling.set_numbering(Numbering(13, 5))
    assert labeling.undo_slot("T1L") is None
    assert labeling.undo().text == "13 thoracic and 5 lumbar vertebrae"


def test_sides_are_swapped_as_one_edit():
    labeling = Labeling(FOUND)
    edit = labeling.swap_sides()
    assert labeling.laminae["T6R"].confidence == 0.95
    assert set(edit.names) == {"T6L", "T6R", "L4L", "L4R"}
    labeling.undo()
    assert labeling.laminae == FOUND


def test_every_change_is_told():
    told = []
    labeling = Labeling()
    labeling.on_change.append(lambda: told.append(len(labeling.laminae.positions())))
    labeling.place("T1L", HERE)
    labeling.undo()
    labeling.redo()
    labeling.reset(FOUND)
    assert told == [1, 0, 1, 3]


def test_resetting_forgets_the_history():
    labeling = Labeling()
    labeling.place("T1L", HERE)
    labeling.reset(FOUND)
    assert labeling.undo() is None
    assert labeling.laminae is FOUND


def test_changed_laminae_are_those_that_differ():
    changed = LaminaSet().with_lamina(Lamina("T1L", HERE, "placed", "manual"))
    assert [lamina.name for lamina in changed_laminae(LaminaSet(), changed)] == ["T1L"]


actions = st.one_of(
    st.tuples(st.just("place"), st.sampled_from(SLOTS[:6]), st.tuples(*[st.floats(-500, 500)] * 3)),
    st.tuples(st.sampled_from(["mark_absent", "unset", "reject", "undo_slot"]), st.sampled_from(SLOTS[:6])),
    st.tuples(st.sampled_from(["undo", "redo", "swap_sides"])),
)


@settings(max_examples=150)
@given(st.lists(actions, max_size=30))
def test_undoing_everything_leads_back_and_redoing_everything_leads_forth(steps):
    labeling = Labeling(FOUND)
    for name, *arguments in steps:
        getattr(labeling, name)(*arguments)
    final, count = labeling.laminae, len(labeling.edits)
    for _ in range(count):
        assert labeling.undo() is not None
    assert labeling.undo() is None
    assert labeling.laminae == FOUND
    for _ in range(count):
        labeling.redo()
    assert labeling.laminae == final
