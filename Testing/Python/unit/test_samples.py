import numpy as np
import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.samples import Augmentation, TrainingCase, cube_labels, draw_sample

SHAPE = (32, 16, 8)
PLAIN = Augmentation(flip_probability=0.0)


def case(seed=0, centroids=((4, 5, 2), (12, 8, 4), (25, 3, 6))):
    grid = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float16)
    grid[:, 14:] = 0  # never scanned
    return TrainingCase(grid, np.array(centroids, float))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_label_is_a_cube_of_27_voxels_around_the_nearest_voxel():
    labels = cube_labels(SHAPE, np.array([[10.4, 7.6, 3.5]]))
    assert labels.sum() == 27
    assert labels[9:12, 7:10, 3:6].all()
    assert labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("center", "voxels"),
    [((0, 0, 0), 8), ((31, 15, 7), 8), ((16, 0, 4), 18), ((-1, 8, 4), 9), ((-2, 8, 4), 0), ((40, 8, 4), 0)],
)
def test_cubes_are_clipped_at_the_border(center, voxels):
    assert cube_labels(SHAPE, np.array([center])).sum() == voxels


def test_no_lamina_gives_an_empty_label():
    assert cube_labels(SHAPE, np.empty((0, 3))).sum() == 0


def test_without_augmentation_the_sample_is_the_case():
    grid, labels = draw_sample(case(), PLAIN, rng())
    np.testing.assert_array_equal(grid, case().grid.astype(np.float32))
    np.testing.assert_array_equal(labels, cube_labels(SHAPE, case().centroids))
    assert grid.dtype == labels.dtype == np.float32


def test_the_defaults_are_the_papers():
    grid, labels = draw_sample(case(), Augmentation(flip_probability=1.0), rng())
    np.testing.assert_array_equal(grid, case().grid[:, ::-1])
    np.testing.assert_array_equal(labels, cube_labels(SHAPE, case().centroids)[:, ::-1])
    flips = [np.array_equal(draw_sample(case(), Augmentation(), rng(seed))[0], grid) for seed in range(200)]
    assert 70 < sum(flips) < 130


def test_a_crop_is_a_window_of_grid_and_labels_alike():
    whole, labels = case().grid.astype(np.float32), cube_labels(SHAPE, case().centroids)
    starts = set()
    for seed in range(60):
        part, cut = draw_sample(case(), Augmentation(crop_rows=16, flip_probability=0.0), rng(seed))
        start = next(row for row in range(17) if np.array_equal(whole[row : row + 16], part))
        np.testing.assert_array_equal(cut, labels[start : start + 16])
        starts.add(start)
    assert {0, 16} <= starts


def test_a_shift_moves_grid_and_labels_alike_and_fills_with_never_scanned():
    inner = case(centroids=[(16, 7, 4)])
    seen = set()
    for seed in range(40):
        grid, labels = draw_sample(inner, Augmentation(flip_probability=0.0, shift=2), rng(seed))
        offset = np.argwhere(labels).mean(axis=0).astype(int) - (16, 7, 4)
        moved = np.roll(inner.grid.astype(np.float32), offset, axis=(0, 1, 2))
        window = tuple(slice(max(step, 0), size + min(step, 0)) for step, size in zip(offset, SHAPE))
        np.testing.assert_array_equal(grid[window], moved[window])
        outside = np.ones(SHAPE, bool)
        outside[window] = False
        assert not grid[outside].any()
        seen.add(tuple(offset))
    assert len(seen) > 20
    assert np.abs(np.array(sorted(seen))).max() == 2


def test_gain_scales_and_noise_spares_what_was_never_scanned():
    scaled, _ = draw_sample(case(), Augmentation(flip_probability=0.0, gain=0.2), rng(3))
    scanned = case().grid != 0
    ratio = scaled[scanned] / case().grid[scanned].astype(np.float32)
    assert ratio.max() - ratio.min() < 1e-5
    assert 0.8 <= ratio[0] <= 1.2
    assert ratio[0] != 1.0
    noisy, _ = draw_sample(case(), Augmentation(flip_probability=0.0, noise=0.5), rng(3))
    assert not noisy[:, 14:].any()
    assert np.std(noisy[scanned] - case().grid[scanned]) == pytest.approx(0.5, rel=0.1)


def test_a_band_is_blanked_and_its_labels_stay():
    augmentation = Augmentation(flip_probability=0.0, band_probability=1.0, band_rows=6)
    heights = set()
    for seed in range(40):
        grid, labels = draw_sample(case(), augmentation, rng(seed))
        blank = np.flatnonzero(~grid.any(axis=(1, 2)))
        assert np.array_equal(blank, np.arange(blank[0], blank[-1] + 1))
        heights.add(len(blank))
        np.testing.assert_array_equal(labels, cube_labels(SHAPE, case().centroids))
    assert heights == {1, 2, 3, 4, 5, 6}


def test_the_generator_alone_determines_a_sample():
    everything = Augmentation(crop_rows=16, shift=1, gain=0.1, noise=0.1, band_probability=0.5)
    first, second, other = (draw_sample(case(), everything, rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_case_itself_is_never_changed():
    scan = case()
    before = scan.grid.copy()
    draw_sample(scan, Augmentation(gain=0.5, noise=1.0, band_probability=1.0), rng())
    np.testing.assert_array_equal(scan.grid, before)


def test_a_crop_taller_than_the_grid_is_refused():
    with pytest.raises(LaminaError, match="40 rows, the grid only 32"):
        draw_sample(case(), Augmentation(crop_rows=40), rng())


@pytest.mark.parametrize(
    "options",
    [{"crop_rows": 20}, {"crop_rows": 0}, {"flip_probability": 1.5}, {"band_probability": -0.1}, {"shift": -1}],
)
def test_senseless_augmentation_is_refused(options):
    with pytest.raises(LaminaError, match="rows" if "crop_rows" in options else next(iter(options))):
        Augmentation(**options)
