"""Options by which a user says what is known of the vertebrae."""

import pytest

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.known_vertebrae import Anchor, Known, parse_known, vertebra_and_sides


def test_the_defaults_know_nothing():
    assert parse_known("12,5", None, None) == Known()


def test_all_three_are_read():
    known = parse_known("13, 5", "t13 = 4.5,-20, 1e2", " T1 ,l5r")
    assert known == Known(Numbering(13, 5), Anchor("T13", (4.5, -20.0, 100.0)), ("T1", "L5R"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("12", None, None), "--vertebrae"),
        (("12,x", None, None), "--vertebrae"),
        (("9,5", None, None), "11 to 13"),
        (("12,5", "T12", None), "--anchor"),
        (("12,5", "T12=1,2", None), "--anchor"),
        (("12,5", "T12=1,2,z", None), "--anchor"),
        (("12,5", "T13=1,2,3", None), "T13"),
        (("12,5", None, "T14"), "--absent"),
        (("12,5", None, "C7"), "--absent"),
        (("12,4", None, "L5"), "--absent"),
    ],
)
def test_what_cannot_be_is_refused(given, says):
    with pytest.raises(LaminaError, match=says):
        parse_known(*given)


def test_a_name_means_a_vertebra_or_a_lamina():
    assert vertebra_and_sides("L5") == ("L5", "LR")
    assert vertebra_and_sides("L5R") == ("L5", "R")
