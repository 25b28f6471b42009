import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib.preprocessing import (
    GRID_SHAPE,
    Options,
    find_column,
    find_top_layer,
    normalize,
    prepare,
    region_of_interest,
    resample,
    stamp_cubes,
    survey,
)
from LaminaSegmentationLib.preprocessing.grid import ScannedVoxels
from LaminaSegmentationLib.preprocessing.paths import minimum_cost_path
from LaminaSegmentationLib.simulation import simulate_scan


def volume_of(array, spacing=(1.0, 1.0, 1.0), matrix=None):
    if matrix is None:
        matrix = np.zeros((4, 4))
        matrix[2, 0], matrix[0, 1], matrix[1, 2], matrix[3, 3] = -spacing[0], spacing[1], spacing[2], 1.0
    return Volume(array=np.asarray(array), matrix=matrix, axes="ARI", name="test")


# Paths


def test_the_path_is_the_cheapest_of_all():
    cost = np.array([[0, 9, 1], [9, 9, 0], [9, 0, 9], [0, 9, 9]], float)
    # Jumping two columns is not allowed, so the zero at the right of the second row is out of reach.
    assert minimum_cost_path(cost, max_move=1, move_penalty=0.1).tolist() == [2, 2, 1, 0]


def test_a_gap_is_bridged_in_a_straight_line():
    cost = np.ones((9, 9))
    cost[0, 0] = cost[8, 8] = -100.0
    assert minimum_cost_path(cost, max_move=3, move_penalty=0.1).tolist() == list(range(9))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_path_costs_what_exhaustive_search_finds(seed):
    rng = np.random.default_rng(seed)
    cost = rng.random((4, 4))

    def price(path):
        return sum(cost[row, column] for row, column in enumerate(path)) + 0.3 * sum(np.diff(path) ** 2)

    every = np.stack(np.meshgrid(*[range(4)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    allowed = [path for path in every if (abs(np.diff(path)) <= 2).all()]
    found = minimum_cost_path(cost, max_move=2, move_penalty=0.3)
    assert price(found) == pytest.approx(min(price(path) for path in allowed))


# Footprint


def slab(gap=None, shadow=None):
    """A box of tissue, 120 x 80 x 60 mm, with an optional gap along the spine and an optional shadow of value 0."""
    array = np.zeros((120, 80, 60), np.uint8)
    array[4:-4, 10:70, 8:50] = 100
    if gap:
        array[gap] = 0
    if shadow:
        array[shadow] = 0
    return array


def test_the_footprint_is_where_the_probe_looked():
    found = survey(volume_of(slab()))
    assert found.seen.sum() * found.step[0] * found.step[1] == pytest.approx(112 * 60, rel=0.05)
    middle = found.seen[20:40, 30:50]
    assert middle.all()
    assert found.skin[30, 40] == pytest.approx(8.0, abs=0.6)
    assert found.bottom[30, 40] == pytest.approx(49.0, abs=0.6)


def test_deep_shadow_of_value_zero_belongs_to_the_footprint():
    volume = volume_of(slab(shadow=(slice(40, 60), slice(36, 44), slice(25, 60))))
    found = survey(volume)
    box = tuple(slice(0, size) for size in volume.array.shape)
    mask = ScannedVoxels(volume, found, box).at(slice(None))
    assert mask[50, 40, 30]
    assert mask[50, 40, 45]
    assert not mask[50, 40, 56]


def test_a_lifted_probe_leaves_a_gap_that_was_never_scanned():
    volume = volume_of(slab(gap=slice(60, 70)))
    found = survey(volume)
    assert not found.seen[31:34].any()
    mask = ScannedVoxels(volume, found, tuple(slice(0, size) for size in volume.array.shape)).at(slice(None))
    assert not mask[61:69].any()
    assert mask[50, 40, 20]


def test_a_scan_without_a_swept_region_is_refused():
    array = np.zeros((64, 64, 64), np.uint8)
    array[30, 30, 30] = 1
    with pytest.raises(LaminaError, match="no swept region"):
        survey(volume_of(array))


# Column and top layer on simulated scans


def test_the_column_follows_the_simulated_midline(coarse_scan, prepared_scan):
    volume = coarse_scan.volume
    midline = volume.to_index(coarse_scan.midline)
    error = np.abs(prepared_scan.column.at(midline[:, 0]) - midline[:, 1]) * volume.spacing[1]
    assert error.mean() < 3.0
    ends = prepared_scan.column_points
    assert ends[0, 2] > ends[-1, 2], "superior to inferior"


def test_the_column_survives_a_gap_of_15_mm(coarse_scan):
    array = coarse_scan.volume.array.copy()
    array[150:165] = 0
    volume = coarse_scan.volume.with_array(array)
    midline = volume.to_index(coarse_scan.midline)
    column = find_column(survey(volume))
    error = np.abs(column.at(midline[:, 0]) - midline[:, 1]) * volume.spacing[1]
    assert error.mean() < 3.0
    assert not column.seen[77:80].any()


def test_the_column_follows_a_curve_of_60_degrees():
    # A dark line whose ends tilt by 30 degrees either way, in bright tissue 100 mm wide.
    rows = np.arange(300)
    lateral = 75 + 300 / np.pi * np.tan(np.radians(30)) * np.sin(np.pi * rows / 300)
    array = np.zeros((300, 190, 50), np.uint8)
    columns = np.arange(190)
    inside = np.abs(columns[None] - lateral[:, None]) < 45
    array[:, :, 4:44] = np.where(inside, 120, 0)[:, :, None]
    dark = np.abs(columns[None] - lateral[:, None]) < 2.5
    array[:, :, 12:44] = np.where(dark[:, :, None], 20, array[:, :, 12:44])
    column = find_column(survey(volume_of(array)))
    assert np.abs(column.at(rows) - lateral).mean() < 1.5


def test_the_top_layer_keeps_every_lamina_and_removes_what_is_above(coarse_scan, prepared_scan):
    volume = coarse_scan.volume
    points = volume.to_index(np.array(list(coarse_scan.truth.positions().values())))
    cut = prepared_scan.survey.at_full_size(prepared_scan.top_layer.cut, volume.array.shape[:2])
    clearance = (points[:, 2] - cut[tuple(np.round(points[:, :2]).astype(int).T)]) * volume.spacing[2]
    assert clearance.min() > 0.0
    assert np.median(clearance) < 8.5


@pytest.mark.parametrize("seed", [80, 86, 100_002, 100_023])
def test_the_end_of_the_fan_is_not_taken_for_shadow(seed):
    """Scans in which an earlier rating blanked all laminae, or the rotated side's, as if bone lay at the fan's end."""
    scan = simulate_scan(seed, 1.0)
    prepared = prepare(scan.volume)
    points = scan.volume.to_index(np.array(list(scan.truth.positions().values())))
    cut = prepared.survey.at_full_size(prepared.top_layer.cut, scan.volume.array.shape[:2])
    clearance = (points[:, 2] - cut[tuple(np.round(points[:, :2]).astype(int).T)]) * scan.volume.spacing[2]
    assert clearance.min() > 0.5
    assert np.median(clearance) < 9.5


def test_a_larger_clearance_raises_the_cut_by_as_much(coarse_scan):
    found = survey(coarse_scan.volume)
    column = find_column(found)
    near, far = (find_top_layer(found, column, clearance) for clearance in (5.0, 7.5))
    assert np.median(near.cut - far.cut) == pytest.approx(2.5 / found.voxel[2], abs=1e-3)


def test_the_region_holds_every_lamina_within_its_margin(coarse_scan, prepared_scan):
    volume = coarse_scan.volume
    points = volume.to_index(np.array(list(coarse_scan.truth.positions().values())))
    for axis, part in enumerate(prepared_scan.box):
        assert part.start <= points[:, axis].min()
        assert points[:, axis].max() <= part.stop - 1
    column = prepared_scan.column.position
    assert (column.min() - prepared_scan.box[1].start) * volume.spacing[1] <= 31.0


@pytest.mark.parametrize("margin", [5.0, 41.0, float("nan")])
def test_a_margin_out_of_range_is_refused(coarse_scan, prepared_scan, margin):
    with pytest.raises(LaminaError, match="margin"):
        region_of_interest(
            coarse_scan.volume, prepared_scan.survey, prepared_scan.column, prepared_scan.top_layer, margin
        )


# Resampling and normalization


def test_resampling_aligns_the_edges_by_hand():
    array = np.arange(8, dtype=np.float32).reshape(8, 1, 1) * np.ones((1, 2, 2), np.float32)
    grid, scanned = resample(volume_of(array), (slice(0, 8), slice(0, 2), slice(0, 2)), shape=(4, 2, 2))
    # Halving: grid voxel g lies midway between voxels 2g and 2g + 1.
    assert grid.array[:, 0, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert scanned.all()
    assert np.allclose(grid.to_world([[0, 0, 0]]), [[0.0, 0.0, -0.5]])


def test_resampling_ignores_what_was_never_scanned():
    array = np.full((8, 2, 2), 50.0, np.float32)
    mask = np.ones(array.shape, bool)
    mask[:3] = False
    grid, scanned = resample(volume_of(array), tuple(slice(0, n) for n in array.shape), mask, shape=(4, 2, 2))
    assert scanned[:, 0, 0].tolist() == [False, True, True, True]
    assert grid.array[:, 0, 0].tolist() == [0.0, 50.0, 50.0, 50.0]


def test_a_small_box_is_surrounded_and_not_magnified():
    array = np.full((10, 4, 4), 9.0, np.float32)
    volume = volume_of(array)
    box = tuple(slice(0, size) for size in array.shape)
    grid, scanned = resample(volume, box, shape=(40, 4, 4), least_extent=(20.0, 0.0, 0.0))
    assert grid.spacing.tolist() == [0.5, 1.0, 1.0]
    assert scanned[:, 0, 0].tolist() == [False] * 10 + [True] * 20 + [False] * 10
    # Five voxels were added above: the grid begins at index -5.5 of the scan.
    assert np.allclose(grid.to_world([[-0.5, 0, 0]]), volume.to_world([[-5.5, 0, 0]]))


def test_a_partial_scan_keeps_the_scale_of_a_whole_one(coarse_scan):
    whole = prepare(coarse_scan.volume)
    part = prepare(coarse_scan.volume.crop((slice(0, 150), slice(None), slice(None))))
    assert 0.8 < part.grid.spacing[0] < 1.2
    assert 0.8 < whole.grid.spacing[0] < 1.2
    names = ("T1L", "T1R", "T2L", "T2R", "T4L", "T4R")
    points = np.array([p for n, p in coarse_scan.truth.positions().items() if n in names])
    place = np.round(coarse_scan.volume.to_index(points)).astype(int)
    assert coarse_scan.volume.array[tuple(place.T)].all(), "none of these lies where the probe was lifted"
    index = np.round(part.grid.to_index(points)).astype(int)
    assert all(part.scanned[tuple(place)] for place in index)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(0.1, 3.0)] * 3),
    st.tuples(*[st.floats(-np.pi, np.pi)] * 3),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.integers(0, 5),
)
def test_ras_to_grid_to_ras_is_exact(spacing, angles, flips, start):
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        a, b = [other for other in range(3) if other != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ turn
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag(np.array(spacing) * flips)
    matrix[:3, 3] = [12.5, -80.0, 33.0]
    volume = volume_of(np.zeros((20, 18, 16), np.uint8), matrix=matrix)
    grid, _ = resample(volume, (slice(start, 19), slice(1, 17), slice(2, 15)), shape=(16, 8, 8))
    points = np.random.default_rng(start).uniform(-200, 200, (20, 3))
    assert np.abs(grid.to_world(grid.to_index(points)) - points).max() < 1e-6
    # The grid's first corner is the box's first corner.
    assert np.allclose(grid.to_world([[-0.5] * 3]), volume.to_world([[start - 0.5, 0.5, 1.5]]), atol=1e-9)


def test_a_bright_spot_is_found_where_it_was(coarse_scan):
    place = (200, 70, 30)
    axes = np.ogrid[tuple(slice(0, size) for size in coarse_scan.volume.array.shape)]
    distance = sum((axis - center) ** 2 for axis, center in zip(axes, place))
    volume = coarse_scan.volume.with_array(np.exp(-0.5 * distance / 9.0).astype(np.float32))
    grid, _ = resample(volume, (slice(10, 350), slice(20, 120), slice(5, 60)))
    weights = grid.array / grid.array.sum()
    center = [
        (np.arange(size) * weights.sum(axis=tuple(a for a in range(3) if a != axis))).sum()
        for axis, size in enumerate(GRID_SHAPE)
    ]
    assert np.allclose(grid.to_world([center]), volume.to_world([place]), atol=0.05)


def test_scanned_voxels_have_zero_mean_and_unit_variance(prepared_scan):
    values = prepared_scan.grid.array[prepared_scan.scanned].astype(float)
    assert values.mean() == pytest.approx(0.0, abs=1e-4)
    assert values.std() == pytest.approx(1.0, abs=1e-4)
    assert not prepared_scan.grid.array[~prepared_scan.scanned].any()
    assert prepared_scan.grid.array.shape == GRID_SHAPE


def test_one_grey_value_cannot_be_normalized():
    with pytest.raises(LaminaError, match="one value"):
        normalize(np.full((4, 4, 4), 7.0), np.ones((4, 4, 4), bool))


def test_steps_can_be_left_out(coarse_scan):
    whole = prepare(coarse_scan.volume, Options(crop_top_layer=False, crop_region=False))
    assert whole.box == tuple(slice(0, size) for size in coarse_scan.volume.array.shape)
    cropped = prepare(coarse_scan.volume, Options(crop_top_layer=False))
    assert cropped.box[2].start < prepare(coarse_scan.volume).box[2].start


def test_speckle_without_a_spine_is_warned_about(coarse_scan):
    rng = np.random.default_rng(3)
    shape = coarse_scan.volume.array.shape
    speckle = gaussian_filter(rng.standard_normal(shape), (1.1, 0.6, 0.3))
    clouds = np.exp(8.0 * gaussian_filter(rng.standard_normal(shape), (6.0, 4.0, 2.0)))
    tissue = np.clip((60 + 25 * speckle / speckle.std()) * np.clip(clouds, 0.5, 1.6), 1, 255)
    array = np.where(coarse_scan.volume.array > 0, tissue, 0).astype(np.uint8)
    warnings = prepare(coarse_scan.volume.with_array(array)).warnings
    assert ["hardly visible" in text for text in warnings] == [True]
    assert prepare(coarse_scan.volume).warnings == ()


def test_progress_rises_to_one(coarse_scan):
    shares = []
    prepare(coarse_scan.volume, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# Labels


def test_cubes_are_clipped_merged_and_reported():
    grid = volume_of(np.zeros((16, 16, 16), np.float32))
    points = grid.to_world(np.array([[0, 0, 0], [8, 8, 8], [8, 8, 10.4], [40, 8, 8]], float))
    labels, report = stamp_cubes(points, grid)
    assert labels[:2, :2, :2].all()
    assert labels.sum() == 8 + 27 + 18
    assert report.outside == (3,)
    assert report.merged == (1, 2)
    assert report.components == 2


def test_cube_centroids_are_the_points_to_half_a_voxel(coarse_scan, prepared_scan):
    points = np.array(list(coarse_scan.truth.positions().values()))
    labels, report = stamp_cubes(points, prepared_scan.grid)
    assert report.components == 34
    assert report.outside == ()
    assert labels.sum() == 34 * 27
