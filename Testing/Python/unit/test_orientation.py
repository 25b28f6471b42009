import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scan import BRIGHT_SPOT, SPACING, assert_one_sentence, scan_ira, stored

from LaminaLabelingLib import orientation
from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

CODES = [
    "".join(letters) for axes in itertools.permutations(["RL", "AP", "SI"]) for letters in itertools.product(*axes)
]
RIGHT_HANDED = [code for code in CODES if np.linalg.det(orientation.code_directions(code)) > 0]


def rotation(axis, degrees):
    """Rodrigues' formula."""
    axis = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross.T + (1 - np.cos(angle)) * cross.T @ cross.T


def test_there_are_48_codes_half_of_them_right_handed():
    assert len(set(CODES)) == 48
    assert len(RIGHT_HANDED) == 24
    assert {code for code in CODES if orientation.is_right_handed(code)} == set(RIGHT_HANDED)
    assert {"RAS", "LPS", "RIA", "LSA", "ARI"} <= set(RIGHT_HANDED)
    assert not orientation.is_right_handed("IRA")


@pytest.mark.parametrize("code", CODES)
def test_a_code_survives_parsing_and_reading_off_its_own_directions(code):
    assert orientation.parse_code(code.lower()) == code
    own, angle = orientation.nearest_code(orientation.code_directions(code) * [0.3, 2.0, 5.0])
    assert own == code
    assert angle == 0


@given(
    st.sampled_from(CODES),
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1),
    st.floats(-180, 180),
)
def test_the_nearest_code_has_the_handedness_of_the_matrix(code, axis, degrees):
    directions = rotation(axis, degrees) @ orientation.code_directions(code)
    own, _ = orientation.nearest_code(directions)
    assert orientation.is_right_handed(own) == orientation.is_right_handed(code)


@pytest.mark.parametrize("code", CODES)
def test_a_small_rotation_does_not_change_the_reading(code):
    directions = rotation([1, 2, 3], 25) @ orientation.code_directions(code)
    own, angle = orientation.nearest_code(directions)
    assert own == code
    assert 0 < angle <= 25


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "three letters"),
        ("LP", "three letters"),
        ("LPSA", "three letters"),
        ("LPX", 'contains "X"'),
        ("LRS", "names one axis twice"),
        ("SSS", "names one axis twice"),
    ],
)
def test_what_is_no_code_is_refused(code, message):
    with pytest.raises(LaminaError, match=message) as caught:
        orientation.parse_code(code)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize("code", CODES)
def test_an_array_goes_to_anatomical_order_and_back(code):
    array_ira = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    array_kji, _ = stored(array_ira, code)
    np.testing.assert_array_equal(orientation.to_ira(array_kji.T, code), array_ira)
    np.testing.assert_array_equal(orientation.from_ira(array_ira, code), array_kji.T)
    for index in np.ndindex(array_ira.shape):
        file_index = orientation.ira_to_ijk(code, array_ira.shape) @ [*index, 1]
        assert array_kji.T[tuple(file_index[:3].astype(int))] == array_ira[index]


@pytest.mark.parametrize("code", CODES)
def test_auto_finds_the_patient_in_every_permutation_and_flip(code):
    scan = scan_ira()
    volume = Volume.from_ijk(*stored(scan, code))
    assert volume.axes == code
    assert volume.warnings == ()
    np.testing.assert_array_equal(volume.array, scan)
    np.testing.assert_allclose(volume.matrix[:3, :3], SPACING * np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]]))
    spot = volume.to_world(BRIGHT_SPOT)
    np.testing.assert_allclose(spot, SPACING * np.array([BRIGHT_SPOT[1], BRIGHT_SPOT[2], -BRIGHT_SPOT[0]]), atol=1e-9)
    assert volume.array[tuple(np.rint(volume.to_index(spot)).astype(int))] == 255


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("degrees", [-35, 12, 35])
def test_auto_accepts_a_patient_who_lay_obliquely(seed, degrees):
    scan = scan_ira(seed)
    array, matrix = stored(scan, "LPS")
    turn = np.eye(4)
    turn[:3, :3] = rotation([1, 0, 0], degrees)
    np.testing.assert_array_equal(Volume.from_ijk(array, turn @ matrix).array, scan)


# Left and right, and up and down, cannot be told from the data: all other wrong directions can.
TELLABLE = [code for code in CODES if code[0] not in "IS" or code[2] != "A"]


@pytest.mark.parametrize("claimed", TELLABLE)
def test_auto_refuses_directions_that_are_not_the_patients(claimed):
    array, _ = stored(scan_ira(), "IRA")
    with pytest.raises(LaminaError, match=r"orientation of this scan cannot be trusted.*--axes LPS") as caught:
        Volume.from_ijk(array, directions_of(claimed))
    assert_one_sentence(caught.value)


def directions_of(code):
    matrix = np.eye(4)
    matrix[:3, :3] = orientation.code_directions(code) * SPACING
    return matrix


def test_auto_says_what_gave_the_wrong_directions_away():
    array, _ = stored(scan_ira(), "IRA")
    for code, reason in (
        ("RIA", "the spine would be .* mm long, but the scan is"),
        ("IRP", "on the patient's front"),
        ("IAR", "no bright skin"),
    ):
        with pytest.raises(LaminaError, match=reason):
            Volume.from_ijk(array, directions_of(code))


def test_auto_refuses_directions_too_oblique_to_read():
    array, matrix = stored(scan_ira(), "LPS")
    turn = np.eye(4)
    turn[:3, :3] = rotation([1, 0, 0], 43)
    with pytest.raises(LaminaError, match="43 degrees away") as caught:
        Volume.from_ijk(array, turn @ matrix)
    assert_one_sentence(caught.value)
    assert Volume.from_ijk(array, turn @ matrix, "LPS").axes == "LPS"


def test_auto_refuses_noise_that_has_no_skin_side():
    noise = np.random.default_rng(0).integers(1, 255, (160, 48, 40), dtype=np.uint8)
    with pytest.raises(LaminaError, match="no bright skin"):
        Volume.from_ijk(*stored(noise, "LPS"))


def test_empty_borders_do_not_hide_the_long_axis():
    scan = np.pad(scan_ira(), ((0, 0), (90, 60), (3, 40)))
    assert Volume.from_ijk(*stored(scan, "RAS")).axes == "RAS"


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_auto_works_with_every_voxel_type(dtype):
    assert Volume.from_ijk(*stored(scan_ira().astype(dtype), "PIR")).axes == "PIR"


def test_auto_works_on_a_normalized_scan():
    scan = scan_ira().astype(np.float32)
    scanned = scan != 0
    scan[scanned] = (scan[scanned] - scan[scanned].mean()) / scan[scanned].std()
    assert Volume.from_ijk(*stored(scan, "LPS")).axes == "LPS"
    with pytest.raises(LaminaError, match="on the patient's front"):
        Volume.from_ijk(stored(scan, "LPS")[0], directions_of("LAS"))


def test_asymmetry_is_signed_and_bounded():
    ramp = np.broadcast_to(np.arange(100, 0, -1, dtype=np.uint8), (20, 20, 100))
    forward = orientation.depth_asymmetry(ramp, 2)
    assert 0.5 < forward < 1
    assert orientation.depth_asymmetry(ramp[:, :, ::-1], 2) == pytest.approx(-forward)
    assert 0.5 < orientation.depth_asymmetry(ramp - np.float32(50.5), 2) < 1
    assert orientation.depth_asymmetry(ramp, 0) == 0
    assert orientation.depth_asymmetry(np.zeros((20, 20, 20)), 2) == 0


def test_the_scanned_extent_ignores_what_is_zero():
    array = np.zeros((50, 40, 30), dtype=np.uint8)
    array[10:20, 5, 7:30] = 1
    np.testing.assert_allclose(orientation.scanned_extent_mm(array, np.array([2.0, 3.0, 0.5])), [20, 3, 11.5])
    np.testing.assert_array_equal(orientation.scanned_extent_mm(array * 0, np.ones(3)), [0, 0, 0])


@pytest.mark.parametrize("code", RIGHT_HANDED)
def test_a_right_handed_code_overrules_a_right_handed_file_and_keeps_its_world(code):
    array_kji = np.random.default_rng(1).integers(1, 255, (40, 44, 36), dtype=np.uint8)
    volume = Volume.from_ijk(array_kji, directions_of("LPS"), code)
    assert volume.axes == code
    assert len(volume.warnings) == 1  # a partial scan, nothing about a mirror
    np.testing.assert_array_equal(volume.to_kji(), array_kji)
    np.testing.assert_allclose(volume.ijk_to_ras, directions_of("LPS"), atol=1e-12)


@pytest.mark.parametrize("code", sorted(set(CODES) - set(RIGHT_HANDED)))
def test_a_left_handed_code_is_accepted_only_when_it_is_the_files_own(code):
    array_kji = np.random.default_rng(1).integers(1, 255, (40, 44, 36), dtype=np.uint8)
    assert Volume.from_ijk(array_kji, directions_of(code), code).axes == code
    for own in ("LPS", "RPS" if code != "RPS" else "LAS"):
        with pytest.raises(LaminaError, match="swap the patient's left and right") as caught:
            Volume.from_ijk(array_kji, directions_of(own), code)
        assert_one_sentence(caught.value)


def test_a_right_handed_code_on_a_left_handed_file_warns_of_the_mirror():
    array_kji = np.random.default_rng(1).integers(1, 255, (40, 44, 36), dtype=np.uint8)
    volume = Volume.from_ijk(array_kji, directions_of("RPS"), "LPS")
    assert "mirrored" in volume.warnings[0]
    assert "left and right" in volume.warnings[0]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("IRP", "the probe would have stood on the patient's front"),
        ("RIA", "the spine would be 98 mm long, but the scan is 378 mm wide and 75 mm deep"),
        ("IAR", "no bright skin lies on the patient's back with dark shadow in front of it"),
    ],
)
def test_a_code_that_does_not_fit_the_data_is_taken_with_a_warning(code, reason):
    array, _ = stored(scan_ira(), "IRA")
    volume = Volume.from_ijk(array, directions_of(code), code)
    assert volume.axes == code
    warning = volume.warnings[0]
    assert warning.startswith(f"With the axes {code} the scan does not look like a spine seen from behind (")
    assert reason in warning
    assert_one_sentence(warning)


@pytest.mark.parametrize("code", CODES)
def test_a_code_that_fits_the_data_is_taken_without_a_warning(code):
    assert Volume.from_ijk(*stored(scan_ira(), code), code).warnings == ()


def test_of_a_partial_scan_only_a_probe_on_the_front_is_warned_of():
    part = scan_ira()[60:90]
    array, _ = stored(np.repeat(part, 2, axis=0), "IRA", 1.0)
    matrix = np.diag([1.0, 1.0, 1.0, 1.0])
    for code, doubted in (("IRP", True), ("ILA", False), ("RIA", False), ("IAR", False)):
        matrix[:3, :3] = orientation.code_directions(code)
        warnings = Volume.from_ijk(array, matrix, code).warnings
        assert ["does not look like a spine" in warning for warning in warnings] == [True, False][not doubted :]
