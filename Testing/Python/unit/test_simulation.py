import numpy as np
import pytest

from LaminaLabelingLib.anatomy import SLOTS
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.simulation import STYLES, simulate_scan, style_named
from LaminaSegmentationLib.simulation.anatomy import draw_spine
from LaminaSegmentationLib.simulation.bones import Ellipsoid, first_hits


def spine(seed, style="clinic"):
    return draw_spine(np.random.default_rng(seed), style_named(style))


def test_a_seed_gives_the_same_scan_twice_and_another_seed_another(coarse_scan):
    again = simulate_scan(seed=11, spacing=1.0)
    assert np.array_equal(again.volume.array, coarse_scan.volume.array)
    assert again.truth == coarse_scan.truth
    other = simulate_scan(seed=12, spacing=1.0)
    assert other.truth != coarse_scan.truth


def test_one_seed_at_two_spacings_is_the_same_patient(coarse_scan):
    finer = simulate_scan(seed=11, spacing=0.8)
    for name, position in coarse_scan.truth.positions().items():
        assert np.allclose(finer.truth.positions()[name], position, atol=1e-9)


def test_the_truth_lists_all_34_laminae_inside_the_volume(coarse_scan):
    positions = coarse_scan.truth.positions()
    assert tuple(positions) == SLOTS
    index = coarse_scan.volume.to_index(np.array(list(positions.values())))
    assert (index >= 0).all()
    assert (index <= np.array(coarse_scan.volume.array.shape) - 1).all()
    assert set(coarse_scan.visibility) == set(SLOTS)


def test_left_is_the_patients_left_and_levels_descend(coarse_scan):
    positions = coarse_scan.truth.positions()
    left = np.array([positions[name] for name in SLOTS if name.endswith("L")])
    right = np.array([positions[name] for name in SLOTS if name.endswith("R")])
    assert (left[:, 0] < right[:, 0]).all(), "R grows towards the patient's right"
    assert (np.diff(left[:, 2]) < 0).all(), "S falls from T1 to L5"


def test_the_scan_is_eight_bit_and_empty_outside_the_sweep(coarse_scan):
    array = coarse_scan.volume.array
    assert array.dtype == np.uint8
    assert not array[0].any()
    assert not array[:, :, 0].any()
    assert 0.15 < (array > 0).mean() < 0.8


@pytest.mark.parametrize("seed", range(8))
def test_the_imposed_cobb_angle_is_the_tilt_between_the_end_vertebrae(seed):
    patient = spine(seed)
    tilt = {vertebra.name: vertebra.tilt for vertebra in patient.vertebrae}
    for curve in patient.parameters["curves"]:
        sign = 1 if curve["convex"] == "right" else -1
        # Each vertebra is wedged by about 0.8 degrees of its own.
        assert sign * (tilt[curve["upper"]] - tilt[curve["lower"]]) == pytest.approx(curve["cobb_deg"], abs=4.5)


def test_the_convex_side_turns_towards_the_probe():
    for seed in range(40):
        patient = spine(seed)
        major = max(patient.parameters["curves"], key=lambda curve: curve["cobb_deg"])
        if major["cobb_deg"] > 30:
            apex = max(patient.vertebrae, key=lambda vertebra: abs(vertebra.rotation))
            right_is_closer = apex.point(0, 10, 0)[2] < apex.point(0, -10, 0)[2]
            assert right_is_closer == (apex.rotation > 0)
            return
    raise AssertionError("no large curve among 40 patients")


def test_lamina_depth_follows_the_published_ranges():
    thoracic, lumbar = [], []
    for seed in range(30):
        for vertebra in spine(seed).vertebrae:
            (thoracic if vertebra.name in ("T4", "T6", "T8") else lumbar).append(vertebra.depth)
            if vertebra.name in ("L3", "L4"):
                assert vertebra.depth == pytest.approx(0.4 * spine(seed).parameters["weight_kg"] + 8.0, abs=7.0)
    assert min(thoracic) >= 13 and max(thoracic) <= 28


def test_a_line_stops_at_the_first_bone_and_a_slanted_one_returns_less():
    ball = Ellipsoid(np.array([0.0, 0.0, 30.0]), np.eye(3), np.array([5.0, 5.0, 5.0]), 0.0, "ball")
    behind = Ellipsoid(np.array([0.0, 0.0, 50.0]), np.eye(3), np.array([5.0, 9.0, 5.0]), 0.0, "behind")
    origins = np.zeros((1, 3))
    angles = np.array([0.0, np.radians(8.0), np.radians(60.0)])
    directions = np.stack([np.zeros(3), np.sin(angles), np.cos(angles)], axis=-1)[None]
    distance, amplitude = first_hits([behind, ball], origins, directions, 1.0, 80.0, lobe=4.0)
    assert distance[0, 0] == pytest.approx(25.0)
    assert amplitude[0, 0] == pytest.approx(1.0)
    # Law of sines: the line at 8 degrees meets the ball at the incidence asin(30 sin 8 / 5).
    assert amplitude[0, 1] == pytest.approx(np.cos(np.arcsin(30 * np.sin(angles[1]) / 5)) ** 4)
    assert np.isinf(distance[0, 2])
    assert amplitude[0, 2] == 0.0


def test_laminae_stand_out_and_lumbar_ones_stand_out_less(coarse_scan):
    levels = {"T": [], "L": []}
    for seed in (21, 22, 23):
        for name, decibel in simulate_scan(seed, 1.0).visibility.items():
            levels[name[0]].append(decibel)
    assert np.median(levels["T"]) > 10.0
    assert np.median(levels["L"]) > 5.0
    assert np.percentile(levels["L"], 10) < np.percentile(levels["T"], 10)


def test_every_style_has_a_version_and_an_unknown_one_is_named():
    assert all(style.version >= 1 for style in STYLES.values())
    with pytest.raises(LaminaError, match="clear, clinic"):
        style_named("cubist")
