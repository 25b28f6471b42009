"""Follow-up: the same vertebrae in both scans, independent errors, curves that come and go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_curvature import made_spine, single_curve

from LaminaLabelingLib.anatomy import VERTEBRAE, Numbering
from LaminaLabelingLib.curvature import Angle, Curve, SpineMeasurement, angle_between, measure
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.progression import BOTH, GONE, NEW, Change, compare, pair_curves
from LaminaLabelingLib.slope_fit import SlopeFit


def spine(tilts, **more):
    return LaminaSet.from_positions(made_spine(tilts, **more))


def double_curve(upper, lower):
    """Return tilts of a right curve from T3 to T10 above a left one to L4, by their angles."""
    return np.interp(np.arange(17), [2, 9, 15], [0.5 * upper, -0.5 * upper, lower - 0.5 * upper])


def curve(upper, lower, side):
    return Curve(upper, upper, lower, side, "", Angle(20.0, 1.0), Angle(0.0, 1.0), 90.0, Angle(20.0, 1.0))


# The angle between any two vertebrae


def test_the_angle_between_two_vertebrae_uses_their_covariance():
    # Tangents of 0 and covariance in tangents: in degrees each entry is multiplied by (180 / pi)^2.
    fit = SlopeFit(np.zeros(2), np.array([[4.0, 1.0], [1.0, 9.0]]) * np.radians(1.0) ** 2, np.zeros(2))
    levels = measure(spine(np.zeros(17))).levels[:2]
    angle = angle_between(SpineMeasurement(levels, (), None, None, (), fit), "T1", "T2")
    assert angle.value == 0.0
    assert angle.sd == pytest.approx(np.sqrt(4.0 + 9.0 - 2.0))


def test_it_is_positive_for_a_convexity_to_the_right_and_that_of_the_curve():
    measured = measure(spine(single_curve(30.0)))
    (found,) = measured.curves
    angle = angle_between(measured, found.upper, found.lower)
    assert (found.side, angle.value, angle.sd) == ("right", found.angle.value, found.angle.sd)
    back = angle_between(measured, found.lower, found.upper)
    assert (back.value, back.sd) == pytest.approx((-angle.value, angle.sd))
    with pytest.raises(KeyError):
        angle_between(measured, "T1", "P01")


# A change


@pytest.mark.parametrize(
    ("earlier", "later", "chance", "usual"),
    [
        ((20.0, 3.0), (30.0, 4.0), True, True),  # 10 +- 1.96 * 5 = 0.2 to 19.8
        ((20.0, 3.0), (29.0, 4.0), False, True),  # -0.8 to 18.8
        ((20.0, 0.3), (24.0, 0.4), True, False),  # 3.02 to 4.98
        ((30.0, 0.3), (25.0, 0.4), True, True),
        ((30.0, 3.0), (30.0, 4.0), False, False),
    ],
)
def test_a_change_is_the_difference_with_the_root_of_the_sum_of_squares(earlier, later, chance, usual):
    change = Change("T5", "T12", Angle(*earlier), Angle(*later))
    assert change.change.value == later[0] - earlier[0]
    assert change.change.sd == pytest.approx(np.hypot(earlier[1], later[1]))
    assert change.is_beyond_chance is chance
    assert change.reaches_usual_change is usual


# Which curves are the same


@pytest.mark.parametrize(
    ("earlier", "later", "pairs"),
    [
        ([("T5", "T12", "right")], [("T6", "L1", "right")], [(0, 0)]),
        ([("T5", "T12", "right")], [("T5", "T12", "left")], [(0, None), (None, 0)]),
        ([("T1", "T5", "right")], [("T5", "T12", "right")], [(0, None), (None, 0)]),
        # Shares 1 of 8 steps: another curve.
        ([("T1", "T6", "right")], [("T5", "T9", "right")], [(0, None), (None, 0)]),
        # Not by rank: the one that was the larger is now the smaller.
        (
            [("T1", "T6", "left"), ("T12", "L4", "left")],
            [("T11", "L4", "left"), ("T2", "T6", "left")],
            [(0, 1), (1, 0)],
        ),
        ([], [("T5", "T12", "right")], [(None, 0)]),
        ([], [], []),
    ],
)
def test_curves_are_paired_by_side_and_by_the_vertebrae_that_they_share(earlier, later, pairs):
    old, new = [curve(*each) for each in earlier], [curve(*each) for each in later]
    found = pair_curves(old, new, VERTEBRAE)
    expected = [(None if a is None else old[a], None if b is None else new[b]) for a, b in pairs]
    assert found == expected


# Two scans


def test_the_same_spine_has_not_changed():
    comparison = compare(spine(single_curve(30.0)), spine(single_curve(30.0)))
    (change,) = comparison.curves
    assert change.change.value == 0.0
    assert not change.is_beyond_chance
    assert (change.state, change.side, change.region) == (BOTH, "right", "main thoracic")
    assert comparison.kyphosis.change.value == 0.0
    assert comparison.notes == ()


def test_a_curve_that_grew_by_twelve_degrees_is_said_to_have():
    (change,) = compare(spine(single_curve(25.0)), spine(single_curve(37.0))).curves
    assert change.change.value == pytest.approx(12.0, abs=1.5)
    assert change.is_beyond_chance and change.reaches_usual_change


def test_both_scans_are_measured_between_the_same_vertebrae_which_both_choose():
    earlier, later = spine(single_curve(40.0, 3, 10)), spine(single_curve(40.0, 5, 12))
    before, after = measure(earlier), measure(later)
    (change,) = compare(earlier, later).curves
    for angle, measured in ((change.earlier, before), (change.later, after)):
        assert angle == angle_between(measured, change.upper, change.lower)
    tilts = {name: before.level(name).tilt.value + after.level(name).tilt.value for name in VERTEBRAE}
    own = [VERTEBRAE.index(end) for each in (before, after) for end in (each.curves[0].upper, each.curves[0].lower)]
    covered = VERTEBRAE[min(own) : max(own) + 1]
    best = (max(covered, key=tilts.get), min(covered, key=tilts.get))
    assert (change.upper, change.lower) == best
    assert abs(change.change.value) < 1.0  # one moved curve, not one that changed


def test_exchanging_the_scans_turns_the_changes_round():
    earlier, later = spine(double_curve(20.0, 30.0)), spine(double_curve(35.0, 25.0))
    forth, back = compare(earlier, later).curves, compare(later, earlier).curves
    assert {(c.upper, c.lower, c.side) for c in forth} == {(c.upper, c.lower, c.side) for c in back}
    other = {(c.upper, c.lower): c for c in back}
    for change in forth:
        assert other[change.upper, change.lower].change.value == pytest.approx(-change.change.value)
        assert other[change.upper, change.lower].change.sd == pytest.approx(change.change.sd)


def test_curves_that_come_and_go_are_told_apart():
    small, large = spine(double_curve(30.0, 0.0)), spine(double_curve(30.0, 25.0))
    came = {change.side: change for change in compare(small, large).curves}
    assert came["right"].state == BOTH
    assert came["left"].state == NEW
    assert came["left"].earlier.value < 10.0 < came["left"].later.value
    went = {change.side: change for change in compare(large, small).curves}
    assert went["left"].state == GONE


def test_a_curve_that_changed_sides_went_and_came():
    changes = compare(spine(single_curve(20.0)), spine(-single_curve(20.0))).curves
    # Neither lies between vertebrae between which the mean of both turns at all.
    assert {(change.side, change.state) for change in changes} == {("right", GONE), ("left", NEW)}


def test_a_curve_whose_vertebrae_one_scan_lacks_is_not_compared():
    tilts = double_curve(30.0, 30.0)
    lower = [name + side for name in ("L1", "L2", "L3", "L4", "L5") for side in "LR"]
    partial = LaminaSet.from_positions({name: at for name, at in made_spine(tilts).items() if name not in lower})
    comparison = compare(spine(tilts), partial)
    assert [change.side for change in comparison.curves] == ["right"]
    assert "cannot be compared" in comparison.notes[0]
    assert comparison.lordosis is None


@given(st.integers(0, 10_000))
def test_a_mirrored_patient_changes_to_the_other_side_by_the_same(seed):
    rng = np.random.default_rng(seed)
    visits = [
        {name: at + rng.normal(0, 1.3, 3) for name, at in made_spine(double_curve(*angles)).items()}
        for angles in ((25.0, 18.0), (32.0, 24.0))
    ]
    other = {"L": "R", "R": "L"}
    mirrored = [{n[:-1] + other[n[-1]]: at * (-1, 1, 1) for n, at in visit.items()} for visit in visits]
    plain, image = (compare(*map(LaminaSet.from_positions, each)) for each in (visits, mirrored))
    for one, two in zip(plain.curves, image.curves, strict=True):
        assert (one.upper, one.lower, one.state) == (two.upper, two.lower, two.state)
        assert {one.side, two.side} == {"left", "right"}
        assert two.change.value == pytest.approx(one.change.value, abs=1e-6)
        assert two.change.sd == pytest.approx(one.change.sd, abs=1e-6)
    assert image.kyphosis.change.value == pytest.approx(plain.kyphosis.change.value, abs=1e-6)


def test_no_change_is_found_to_be_beyond_chance_in_about_one_of_twenty():
    """The end vertebrae that both scans choose do not make a change of an angle that stayed what it was."""
    rng, truth, errors, beyond = np.random.default_rng(3), made_spine(double_curve(28.0, 22.0)), [], []
    for _visit in range(150):
        first, second = (
            LaminaSet.from_positions({name: at + rng.normal(0, 1.3, 3) for name, at in truth.items()}) for _ in "ab"
        )
        main = next(change for change in compare(first, second).curves if change.side == "right")
        errors.append(main.change.value)
        beyond.append(main.is_beyond_chance)
    assert abs(np.mean(errors)) <= 3.0 * np.std(errors) / np.sqrt(len(errors))
    assert np.mean(beyond) <= 0.1


# What cannot be compared


def provisional():
    return LaminaSet.provisional(
        [
            Lamina(name, at, "placed", "manual")
            for name, at in made_spine(np.zeros(9), names=[f"P{n:02d}" for n in range(1, 10)]).items()
        ]
    )


def thirteen():
    names = Numbering(13, 5).vertebrae
    return LaminaSet.from_positions(made_spine(np.zeros(18), names=names), Numbering(13, 5))


def only(*vertebrae):
    return LaminaSet.from_positions({n: at for n, at in made_spine(np.zeros(17)).items() if n[:-1] in vertebrae})


@pytest.mark.parametrize(
    ("earlier", "later", "words"),
    [
        (provisional, lambda: spine(np.zeros(17)), "levels of the earlier scan are not named"),
        (lambda: spine(np.zeros(17)), provisional, "levels of the later scan are not named"),
        (thirteen, lambda: spine(np.zeros(17)), "13 thoracic and 5 lumbar vertebrae in the earlier and 12 and 5"),
        (lambda: only("T1", "T2"), lambda: spine(np.zeros(17)), "earlier scan cannot be measured: 2 vertebrae"),
        (lambda: spine(np.zeros(17)), lambda: only("T1", "T2"), "later scan cannot be measured: 2 vertebrae"),
        (lambda: only(*VERTEBRAE[:8]), lambda: only(*VERTEBRAE[5:]), "3 vertebrae have both laminae in both scans"),
    ],
)
def test_scans_that_cannot_be_compared_are_refused_in_a_sentence(earlier, later, words):
    with pytest.raises(LaminaError, match=words):
        compare(earlier(), later())
