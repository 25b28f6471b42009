import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib import anatomy
from LaminaLabelingLib.anatomy import Numbering, is_provisional, name_key, opposite, provisional_name, split_name
from LaminaLabelingLib.errors import LaminaError

NUMBERINGS = [Numbering(thoracic, lumbar) for thoracic in (11, 12, 13) for lumbar in (4, 5, 6)]


def test_there_are_34_slots_from_the_top_down_left_before_right():
    assert len(anatomy.VERTEBRAE) == 17
    assert len(anatomy.SLOTS) == 34
    assert anatomy.SLOTS[:3] == ("T1L", "T1R", "T2L")
    assert anatomy.SLOTS[-2:] == ("L5L", "L5R")
    assert Numbering().slots == anatomy.SLOTS
    assert Numbering().vertebrae == anatomy.VERTEBRAE


def test_regions_divide_the_vertebrae():
    assert list(anatomy.REGIONS) == ["T1-T6", "T7-T12", "L1-L5"]
    assert sum(anatomy.REGIONS.values(), ()) == anatomy.VERTEBRAE
    for region, vertebrae in anatomy.REGIONS.items():
        assert {Numbering().region(vertebra) for vertebra in vertebrae} == {region}


def test_extra_vertebrae_count_to_their_neighbors_region():
    assert Numbering(13, 6).region("T13") == "T7-T12"
    assert Numbering(13, 6).region("L6") == "L1-L5"


def test_region_refuses_a_vertebra_that_the_numbering_does_not_have():
    with pytest.raises(LaminaError, match='no vertebra "T12"') as caught:
        Numbering(11, 5).region("T12")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("numbering", NUMBERINGS)
def test_numbering_has_two_slots_a_vertebra_and_is_deduced_from_them(numbering):
    assert len(numbering.vertebrae) == numbering.thoracic + numbering.lumbar
    assert len(numbering.slots) == 2 * len(numbering.vertebrae)
    assert Numbering.of(numbering.slots) == numbering
    assert Numbering.of(reversed(numbering.slots)) == numbering


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], Numbering(12, 5)),
        (["T3L", "L2R"], Numbering(12, 5)),
        (["T13L"], Numbering(13, 5)),
        (["L6R", "T1L"], Numbering(12, 6)),
        (["P01L", "P02R"], Numbering(12, 5)),
        # An incomplete list does not say that T12 or L5 is missing in the patient.
        ([name for name in Numbering(11, 4).slots if name != "T5L"], Numbering(12, 5)),
    ],
)
def test_numbering_of_an_incomplete_list_is_the_usual_one_with_the_extra_vertebrae_it_names(names, expected):
    assert Numbering.of(names) == expected


@pytest.mark.parametrize(("thoracic", "lumbar"), [(10, 5), (14, 5), (12, 3), (12, 7)])
def test_numbering_refuses_counts_that_no_patient_has(thoracic, lumbar):
    with pytest.raises(LaminaError, match="11 to 13 thoracic and 4 to 6 lumbar") as caught:
        Numbering(thoracic, lumbar)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("name", "parts"),
    [("T6R", ("T6", "R")), ("L1L", ("L1", "L")), ("T13L", ("T13", "L")), ("L6R", ("L6", "R")), ("P03L", ("P03", "L"))],
)
def test_split_name_gives_vertebra_and_side(name, parts):
    assert split_name(name) == parts


@pytest.mark.parametrize(
    "name", ["", "T6", "T0L", "T14L", "L7R", "T6X", "t6l", "T6R ", "T06R", "P1L", "P00L", "P000R", "F-1", "TL", "T6RR"]
)
def test_what_is_no_name_is_refused(name):
    assert not anatomy.is_name(name)
    assert not is_provisional(name)
    for function in (split_name, opposite, name_key):
        with pytest.raises(LaminaError, match="not the name of a lamina") as caught:
            function(name)
        assert_one_sentence(caught.value)


@given(st.sampled_from(NUMBERINGS).flatmap(lambda numbering: st.sampled_from(numbering.slots)))
def test_opposite_is_the_other_side_of_the_same_vertebra(name):
    assert opposite(name) != name
    assert split_name(opposite(name))[0] == split_name(name)[0]
    assert opposite(opposite(name)) == name
    assert not is_provisional(name)


@given(st.integers(0, 9998), st.sampled_from(anatomy.SIDES))
def test_provisional_names_are_names_and_count_from_one(index, side):
    name = provisional_name(index, side)
    assert is_provisional(name)
    assert split_name(name) == (f"P{index + 1:02d}", side)


def test_provisional_name_refuses_what_cannot_be_named():
    assert provisional_name(0, "L") == "P01L"
    for index, side in ((-1, "L"), (9999, "R"), (0, "X")):
        with pytest.raises(ValueError, match="no provisional name"):
            provisional_name(index, side)


@given(st.permutations(Numbering(13, 6).slots))
def test_name_key_restores_the_anatomical_order(names):
    assert sorted(names, key=name_key) == list(Numbering(13, 6).slots)


def test_name_key_orders_provisional_names_by_number_and_after_the_others():
    names = ["P10L", "P02R", "L5R", "P02L", "P100L", "T1L"]
    assert sorted(names, key=name_key) == ["T1L", "L5R", "P02L", "P02R", "P10L", "P100L"]
