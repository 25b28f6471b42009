import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from LaminaLabelingLib.snapping import beam_direction, snapped


def surface(shape_kji=(20, 20, 20), axis=1, at=10, brightness=200, dtype=np.uint8):
    """A volume that is dark but for one bright layer of voxels across an axis of the array."""
    array = np.zeros(shape_kji, dtype)
    array[(slice(None),) * axis + (at,)] = brightness
    return array


def rotation_of(angles):
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (number for number in range(3) if number != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def test_a_point_goes_to_the_surface_along_the_beam():
    # Voxels of 1 mm; the layer is j = 10, that is A = 10 mm.
    assert snapped((5, 8, 5), surface(), np.eye(4), (0, 1, 0)) == pytest.approx((5, 10, 5))
    assert snapped((5, 12.5, 5), surface(), np.eye(4), (0, 1, 0)) == pytest.approx((5, 10, 5))


def test_the_length_and_sense_of_the_beam_do_not_matter():
    for beam in [(0, 1, 0), (0, -1, 0), (0, 7, 0), (0, -0.01, 0)]:
        assert snapped((5, 8, 5), surface(), np.eye(4), beam) == pytest.approx((5, 10, 5))


def test_a_slanted_beam_meets_the_surface_where_it_crosses_it():
    # 3-4-5: 2.5 mm along the beam are 2 mm in depth and 1.5 mm to the right.
    assert snapped((5, 8, 5), surface(), np.eye(4), (3, 4, 0)) == pytest.approx((6.5, 10, 5))


def test_a_surface_out_of_reach_is_left_alone():
    assert snapped((5, 5, 5), surface(), np.eye(4), (0, 1, 0)) == (5, 5, 5)
    assert snapped((5, 5, 5), surface(), np.eye(4), (0, 1, 0), reach_mm=6) == pytest.approx((5, 10, 5))
    assert snapped((5, 9, 5), surface(), np.eye(4), (0, 1, 0), reach_mm=0) == (5, 9, 5)


def test_it_never_moves_further_than_its_reach():
    # The flank of a surface at 10 mm begins at 9 mm: 0.5 mm of it can be reached.
    assert snapped((5, 6.5, 5), surface(), np.eye(4), (0, 1, 0)) == pytest.approx((5, 9.5, 5))


def test_the_brighter_of_two_surfaces_wins_even_if_it_is_further_away():
    array = surface(at=8, brightness=90) + surface(at=12, brightness=100)
    assert snapped((5, 9.5, 5), array, np.eye(4), (0, 1, 0)) == pytest.approx((5, 12, 5))


def test_of_equally_bright_surfaces_the_nearer_wins():
    array = surface(at=8) + surface(at=12)
    assert snapped((5, 9.5, 5), array, np.eye(4), (0, 1, 0)) == pytest.approx((5, 8, 5))
    assert snapped((5, 10.5, 5), array, np.eye(4), (0, 1, 0)) == pytest.approx((5, 12, 5))


def test_a_speck_between_samples_counts_less_than_a_broad_surface():
    array = np.zeros((9, 60, 9), np.float32)
    array[:, 20:24] = 100  # 0.8 mm of voxels of 0.2 mm
    array[:, 33] = 110  # one voxel
    found = snapped((0.8, 5.2, 0.8), array, np.diag([0.2, 0.2, 0.2, 1]), (0, 1, 0))
    assert 3.9 < found[1] < 4.8


@pytest.mark.parametrize("value", [0, 77])
def test_a_flat_neighborhood_is_left_alone(value):
    array = np.full((20, 20, 20), value, np.uint8)
    assert snapped((5.1, 8.2, 5.3), array, np.eye(4), (0, 1, 0)) == (5.1, 8.2, 5.3)


@pytest.mark.parametrize("position", [(-0.6, 8, 5), (5, 19.6, 5), (5, 8, 1000), (np.nan, 8, 5)])
def test_a_point_outside_is_left_alone(position):
    assert snapped(position, surface(), np.eye(4), (0, 1, 0)) == pytest.approx(position, nan_ok=True)


def test_a_point_on_the_outermost_voxels_edge_is_inside():
    assert snapped((-0.5, 8, 19.5), surface(), np.eye(4), (0, 1, 0)) == pytest.approx((-0.5, 10, 19.5))


def test_it_stays_inside_the_volume():
    array = surface(at=19)
    assert snapped((5, 18, 5), array, np.eye(4), (0, 1, 0))[1] == pytest.approx(19, abs=0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, ">i2"])
def test_any_number_type_will_do(dtype):
    array = surface(brightness=120, dtype=dtype)
    assert snapped((5, 8, 5), array, np.eye(4), (0, 1, 0)) == pytest.approx((5, 10, 5))


def test_negative_brightness_is_brightness():
    array = surface(dtype=np.int16) - np.int16(500)
    assert snapped((5, 8, 5), array, np.eye(4), (0, 1, 0)) == pytest.approx((5, 10, 5))


def test_voxels_that_are_not_numbers_are_passed_over():
    array = surface(dtype=np.float32)
    array[:, 7] = np.nan
    assert snapped((5, 9, 5), array, np.eye(4), (0, 1, 0)) == pytest.approx((5, 10, 5))
    array[:] = np.nan
    assert snapped((5, 9, 5), array, np.eye(4), (0, 1, 0)) == (5, 9, 5)


class _Counting(np.ndarray):
    """An array that says how many of its values were read."""

    def __getitem__(self, key):
        values = super().__getitem__(key)
        _Counting.read += np.size(values)
        return np.asarray(values)


def test_only_the_neighborhood_is_read():
    # 8 GB that exist nowhere: every voxel is the same one in memory, except that reading costs nothing either.
    array = np.broadcast_to(np.uint8(3), (2000, 2000, 2000)).view(_Counting)
    _Counting.read = 0
    assert snapped((5, 8, 5), array, np.eye(4), (0, 1, 0)) == (5, 8, 5)
    assert 0 < _Counting.read < 1000


angles = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
spacings = st.tuples(*[st.floats(0.3, 1.5)] * 3)
origins = st.tuples(*[st.floats(-100, 100)] * 3)


@given(angles, spacings, origins, st.booleans(), st.integers(0, 2), st.floats(-1.9, 1.9))
@settings(max_examples=80)
def test_the_surface_is_found_in_rotated_anisotropic_and_left_handed_volumes(turn, spacing, origin, flip, axis, off):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_of(turn) * spacing
    matrix[:3, 3] = origin
    if flip:
        matrix[:3, 0] *= -1
    # The layer lies across the axis i, j or k at index 12; the array's axes are k, j, i.
    array = surface((25, 25, 25), axis=2 - axis, at=12)
    beam = matrix[:3, axis] / spacing[axis]
    on_surface = matrix[:3, :3] @ [12.0, 12.0, 12.0] + matrix[:3, 3]
    found = np.array(snapped(on_surface + off * beam, array, matrix, beam))
    step = min(0.25, min(spacing) / 3)
    assert abs((found - on_surface) @ beam) <= step / 2 + 1e-6
    assert np.linalg.norm(found - on_surface - ((found - on_surface) @ beam) * beam) < 1e-6


@pytest.mark.parametrize(
    "arguments",
    [
        ((5, 8, 5), np.zeros((5, 5)), np.eye(4), (0, 1, 0)),
        ((5, 8, 5), np.zeros((5, 5, 5)), np.eye(4), (0, 0, 0)),
        ((5, 8, 5), np.zeros((5, 5, 5)), np.eye(4), (0, 1, 0), -1.0),
    ],
)
def test_what_makes_no_sense_is_a_mistake(arguments):
    with pytest.raises(ValueError, match="snapping"):
        snapped(*arguments)


# The beam


def test_the_beam_is_the_axis_that_is_nearest_to_anterior():
    assert beam_direction(np.eye(4)).tolist() == [0, 1, 0]
    assert beam_direction(np.diag([0.3, -0.5, 2, 1])).tolist() == [0, 1, 0]


def test_the_beam_points_anteriorly_along_any_file_axis():
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, 2], [-0.5, 0, 0], [0, 3, 0]])  # i runs posteriorly, j up, k to the right
    assert beam_direction(matrix).tolist() == [0, 1, 0]


@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3), spacings, st.sampled_from([-1, 1]))
def test_the_beam_of_an_oblique_volume_is_its_own_axis(turn, spacing, sign):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_of(turn) * spacing
    matrix[:3, 1] *= sign
    beam = beam_direction(matrix)
    assert beam == pytest.approx(sign * matrix[:3, 1] / spacing[1])
    assert beam[1] > 0


def test_a_volume_without_depth_has_no_beam():
    with pytest.raises(ValueError, match="length"):
        beam_direction(np.diag([1.0, 0, 1, 1]))


def test_snapping_brings_points_nearer_to_the_true_surface_of_a_simulated_scan():
    from LaminaSegmentationLib.simulation import simulate_scan

    scan = simulate_scan(seed=11, spacing=0.6, style="clear")
    array, matrix = scan.volume.to_kji(), scan.volume.ijk_to_ras
    beam = beam_direction(matrix)
    errors = []
    for position in scan.truth.positions().values():
        moved = np.array(snapped(position + 2.0 * beam, array, matrix, beam))
        errors.append(abs((moved - position) @ beam))
    assert np.mean(errors) < 0.5
