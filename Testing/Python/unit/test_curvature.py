"""Curve angles: exact on made spines, symmetric, and as accurate on simulated ones as their interval says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.anatomy import VERTEBRAE
from LaminaLabelingLib.curvature import (
    DETECTED_SD_MM,
    MISPLACED_SD_MM,
    POINT_SD_MM,
    Angle,
    _point_sd,
    measure,
    turning_points,
)
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.laminae import Lamina, LaminaSet
from LaminaLabelingLib.slope_fit import fit_slopes
from LaminaSegmentationLib.simulation.anatomy import draw_spine
from LaminaSegmentationLib.simulation.styles import style_named

STEP_MM = 24.0


def made_spine(tilts_deg, rotation_deg=0.0, half_width=10.0, names=VERTEBRAE):
    """Return positions of laminae whose pairs have given tilts, on a midline that runs at right angles to them."""
    positions, middle = {}, np.array([0.0, 30.0, 400.0])
    turn = np.radians(rotation_deg)
    for index, (name, tilt) in enumerate(zip(names, np.radians(tilts_deg))):
        if index:
            mean = 0.5 * (tilt + np.radians(tilts_deg[index - 1]))
            middle = middle + STEP_MM * np.array([np.tan(mean), 0.0, -1.0])
        across = half_width * np.array([np.cos(tilt) * np.cos(turn), -np.sin(turn), np.sin(tilt) * np.cos(turn)])
        positions[f"{name}L"], positions[f"{name}R"] = middle - across, middle + across
    return positions


def single_curve(angle_deg, upper=4, lower=11):
    """Return tilts of a curve between two levels, with flat ends."""
    phase = np.clip((np.arange(17) - upper) / (lower - upper), 0, 1)
    return angle_deg * (0.5 * np.cos(np.pi * phase))


def measured(positions):
    return measure(LaminaSet.from_positions(positions))


def test_a_straight_spine_has_no_curve():
    spine = measured(made_spine(np.zeros(17)))
    assert spine.curves == ()
    assert all(abs(level.tilt.value) < 1e-6 for level in spine.levels)
    assert spine.notes == ()


def test_a_leaning_spine_has_a_tilt_and_no_curve():
    spine = measured(made_spine(np.full(17, 8.0)))
    assert spine.curves == ()
    assert [level.tilt.value for level in spine.levels] == pytest.approx([8.0] * 17, abs=0.3)


@pytest.mark.parametrize("angle", [15.0, 30.0, 50.0])
def test_the_angle_of_an_exact_curve_is_found_with_its_ends_apex_and_side(angle):
    spine = measured(made_spine(single_curve(angle)))
    (curve,) = spine.curves
    assert curve.angle.value == pytest.approx(angle, abs=1.5)
    # Beyond its ends the spine is straight, so that a vertebra or two more lean by as good as the same.
    assert abs(VERTEBRAE.index(curve.upper) - 4) <= 3
    assert abs(VERTEBRAE.index(curve.lower) - 11) <= 3
    assert curve.apex in ("T7", "T8", "T9")
    assert curve.region == "main thoracic"
    # Its upper end leans so that the right is higher: going down the midline runs to the right, and back below.
    assert curve.side == "right"
    assert spine.level("T5").tilt.value > 0 > spine.level("T12").tilt.value


def test_the_other_way_round_it_looks_to_the_left():
    (curve,) = measured(made_spine(-single_curve(30.0))).curves
    assert curve.side == "left"


def test_two_curves_come_in_the_order_of_their_size():
    tilts = np.interp(np.arange(17), [0, 3, 10, 15, 16], [0, 15, -20, 5, 5])
    larger, smaller = [curve for curve in measured(made_spine(tilts)).curves if curve.angle.value > 12][:2]
    assert larger.angle.value > smaller.angle.value
    assert (larger.side, larger.region) == ("right", "main thoracic")
    assert (smaller.side, smaller.region) == ("left", "thoracolumbar/lumbar")
    assert smaller.upper == larger.lower


def test_rotation_is_positive_where_the_right_lies_further_back():
    spine = measured(made_spine(np.zeros(17), rotation_deg=10.0))
    assert [level.rotation.value for level in spine.levels] == pytest.approx([10.0] * 17, abs=1.0)


def test_kyphosis_and_lordosis_are_the_turns_of_the_midline():
    positions = made_spine(np.zeros(17))
    # Anterior by a parabola down to T12 (level 11), back by another: exact turns of arctan.
    depth = [
        0.01 / STEP_MM * (min(k, 11) * STEP_MM) ** 2 * 0.5
        - 0.02 / STEP_MM * (max(k - 11, 0) * STEP_MM) ** 2 * 0.5
        + max(k - 11, 0) * STEP_MM * 0.11
        for k in range(17)
    ]
    for index, name in enumerate(VERTEBRAE):
        for side in "LR":
            positions[name + side] = positions[name + side] + (0.0, depth[index], 0.0)
    spine = measured(positions)
    slope = [0.01 * min(level, 11) - 0.02 * max(level - 11, 0) for level in range(17)]
    angles = np.degrees(np.arctan(slope))
    assert spine.kyphosis.value == pytest.approx(angles[11] - angles[0], abs=1.0)
    assert spine.lordosis.value == pytest.approx(angles[12] - angles[16], abs=1.0)
    assert measured({k: v for k, v in positions.items() if k != "T1L"}).kyphosis is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.tuples(*[st.floats(-300, 300)] * 3))
def test_a_mirrored_or_shifted_spine_has_the_same_angles(seed, shift):
    rng = np.random.default_rng(seed)
    positions = {name: point + rng.normal(0, 1.3, 3) for name, point in made_spine(single_curve(35.0)).items()}
    spine = measured(positions)
    shifted = measured({name: point + np.array(shift) for name, point in positions.items()})
    other = {"L": "R", "R": "L"}
    mirrored = measured({name[:-1] + other[name[-1]]: point * (-1, 1, 1) for name, point in positions.items()})
    sides = {"left": "right", "right": "left"}
    for curve, same, opposite in zip(spine.curves, shifted.curves, mirrored.curves, strict=True):
        assert (same.upper, same.apex, same.lower, same.side) == (curve.upper, curve.apex, curve.lower, curve.side)
        assert same.angle.value == pytest.approx(curve.angle.value, abs=1e-6)
        assert opposite.angle.value == pytest.approx(curve.angle.value, abs=1e-6)
        assert opposite.side == sides[curve.side]
    for level, opposite in zip(spine.levels, mirrored.levels):
        assert opposite.tilt.value == pytest.approx(-level.tilt.value, abs=1e-6)
        assert opposite.rotation.value == pytest.approx(-level.rotation.value, abs=1e-6)


def test_numbered_pairs_are_measured_as_well_and_have_no_region():
    names = [f"P{number:02d}" for number in range(1, 10)]
    laminae = LaminaSet.provisional(
        [
            Lamina(name, tuple(point), "placed", "manual")
            for name, point in made_spine(np.linspace(20, -20, 9), names=names).items()
        ]
    )
    (curve,) = measure(laminae).curves
    low, high = curve.angle.interval  # at the ends of a short piece less is known, and the estimate is careful
    assert low <= 40.0 <= high
    assert curve.angle.value > 34.0
    assert curve.region == ""
    assert "A curve ends at P01, P09" in measure(laminae).notes[-1]


def test_a_lamina_out_of_place_is_told():
    positions = made_spine(single_curve(20.0))
    positions["T8R"] = positions["T8R"] + (0.0, 0.0, 12.0)
    spine = measured(positions)
    assert any("T8" in note and "lean otherwise" in note for note in spine.notes)
    assert max(spine.levels, key=lambda level: level.disagreement).vertebra == "T8"


def test_suggested_laminae_are_marked_and_count_less():
    positions = made_spine(single_curve(30.0))
    positions["T8R"] = positions["T8R"] + (0.0, 0.0, 8.0)
    laminae = LaminaSet.from_positions(positions)
    seen = measure(laminae)
    suggested = measure(laminae.with_laminae([Lamina("T8R", tuple(positions["T8R"]), "unreviewed", "inferred", 0.2)]))
    assert suggested.level("T8").is_suggested
    assert suggested.level("T8").tilt.sd > seen.level("T8").tilt.sd
    assert any("Laminae of T8 are suggested" in note for note in suggested.notes)
    truth = np.degrees(np.arctan(np.tan(np.radians(single_curve(30.0)[7]))))
    assert abs(suggested.level("T8").tilt.value - truth) < abs(seen.level("T8").tilt.value - truth)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: {k: v for k, v in p.items() if k[:-1] in ("T1", "T2", "T3")}, "3 vertebrae have both laminae"),
        (lambda p: {k: v for k, v in p.items() if k.endswith("L")}, "0 vertebrae have both laminae"),
        (
            lambda p: {**p, "T5L": p["T6L"], "T5R": p["T6R"], "T6L": p["T5L"], "T6R": p["T5R"]},
            "T6 does not lie below T5",
        ),
        (lambda p: {**p, "T5L": p["T5R"], "T5R": p["T5L"]}, "right lamina of T5 does not lie on the right"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(change, words):
    with pytest.raises(LaminaError, match=words):
        measured(change(made_spine(np.zeros(17))))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 5, 0, 5], []),
        ([0, 20], [0, 1]),
        ([0, 10, 20, 30], [0, 3]),
        ([0, 20, 15, 30, 0], [0, 3, 4]),
        ([5, 0, 20, 0, 5], [1, 2, 3]),
        ([0, 0, 0], []),
    ],
)
def test_turning_points_leave_small_waves_out(values, expected):
    assert turning_points(np.array(values, float), 10.0) == expected


def test_the_error_of_a_point_goes_by_source_and_by_confidence_until_somebody_has_reviewed_it():
    def sd(*state):
        return _point_sd(Lamina("T8R", (0.0, 0.0, 0.0), *state), None)

    assert sd("placed", "manual") == POINT_SD_MM
    assert sd("placed", "detected", 0.1) == DETECTED_SD_MM
    assert sd("unreviewed", "detected") == DETECTED_SD_MM
    assert sd("unreviewed", "detected", 1.0) == pytest.approx(DETECTED_SD_MM)
    # Half the variance is that of a point that is right, half that of one that is misplaced.
    half = math.sqrt(0.5 * DETECTED_SD_MM**2 + 0.5 * MISPLACED_SD_MM**2)
    assert sd("unreviewed", "detected", 0.5) == pytest.approx(half)
    assert sd("placed", "inferred", 0.9) == pytest.approx(2.5 * DETECTED_SD_MM)
    assert _point_sd(Lamina("T8R", (0.0, 0.0, 0.0), "unreviewed", "detected", 0.5), 1.0) == 1.0


def test_a_doubtful_lamina_widens_the_interval():
    positions = made_spine(single_curve(30.0))
    sure = LaminaSet.from_positions(positions, review="unreviewed", source="detected", confidence=0.99)
    changed = [Lamina(name, positions[name], "unreviewed", "detected", 0.4) for name in ("T5L", "T6R", "T11L", "T12R")]
    doubtful = sure.with_laminae(changed)
    assert measure(doubtful).curves[0].angle.sd > 1.05 * measure(sure).curves[0].angle.sd


def test_the_interval_is_two_standard_deviations():
    low, high = Angle(20.0, 2.0).interval
    assert (low, high) == pytest.approx((16.08, 23.92))


def test_slopes_alone_and_a_line_alone_agree_where_both_are_exact():
    along = np.arange(0.0, 300.0, 25.0)
    slopes = 0.3 * np.sin(along / 60.0)
    line = 0.3 * 60.0 * (1 - np.cos(along / 60.0))
    exact = np.full(len(along), 1e-3)
    by_slopes = fit_slopes(along, slopes=slopes, slope_sd=exact)
    by_line = fit_slopes(along, values=line, value_sd=exact, deviation_deg=1e-3)
    assert by_slopes.mean == pytest.approx(slopes, abs=0.01)
    assert by_line.mean[1:-1] == pytest.approx(slopes[1:-1], abs=0.03)


def test_angles_of_simulated_spines_are_right_and_as_certain_as_they_say():
    """True points with 1.3 mm of noise on each axis; the imposed tilt between the true end vertebrae is the truth."""
    errors, inside = [], []
    for seed in range(80):
        rng = np.random.default_rng([seed, 5])
        spine = draw_spine(rng, style_named("clinic"))
        main = max(spine.parameters["curves"], key=lambda curve: curve["cobb_deg"])
        ends = [spine.vertebrae[VERTEBRAE.index(main[end])] for end in ("upper", "lower")]
        truth = abs(ends[0].tilt - ends[1].tilt)
        positions = {}
        for vertebra in spine.vertebrae:
            for side, sign in (("L", -1), ("R", 1)):
                inferior, right, anterior = vertebra.point(0.0, sign * vertebra.lamina_offset, 0.0)
                positions[vertebra.name + side] = np.array([right, anterior, -inferior]) + rng.normal(0, 1.3, 3)
        found = measured(positions)
        if truth < 15.0:
            continue  # whether so small a difference is found to be a curve of 10 degrees is a matter of noise
        angle = found.curves[0].angle
        errors.append(angle.value - truth)
        inside.append(angle.interval[0] <= truth <= angle.interval[1])
    assert len(errors) > 60
    assert np.abs(errors).mean() <= 2.5
    assert abs(np.mean(errors)) <= 1.0
    assert 0.9 <= np.mean(inside) <= 1.0
