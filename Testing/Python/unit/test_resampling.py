"""Resampling by parts: the same as in one piece, whatever the number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib import parallel
from LaminaSegmentationLib.preprocessing import prepare
from LaminaSegmentationLib.preprocessing.grid import ScannedVoxels, resample


def resampled_at_once(array, mask, shape, before, padded):
    """Return grid and mask as the definition says, with SciPy, in one piece."""
    around = [(b, p - b - n) for b, p, n in zip(before, padded, array.shape)]
    values, weights = (np.pad(part, around) for part in (np.where(mask, array, 0).astype(float), mask.astype(float)))
    places = [
        np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1) for size, length in zip(shape, padded)
    ]
    mesh = np.meshgrid(*places, indexing="ij")
    values, weights = (map_coordinates(part, mesh, order=1) for part in (values, weights))
    scanned = weights >= 0.5
    return np.where(scanned, values / np.maximum(weights, 0.5), 0.0), scanned, weights


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(2, 40)] * 3),
    st.tuples(st.integers(1, 30), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(*[st.floats(0.0, 60.0)] * 3),
    st.sampled_from([np.uint8, np.int16, np.float32]),
    st.integers(0, 1000),
)
def test_by_parts_it_is_what_the_definition_says(size, shape, least, kind, seed):
    random = np.random.default_rng(seed)
    array = random.integers(0, 120, size).astype(kind)
    mask = random.random(size) < 0.8
    volume = Volume(array, np.diag([1.0, 1.0, 1.0, 1.0]))
    grid, scanned = resample(volume, tuple(slice(0, n) for n in size), mask, shape, least)
    lacking = np.maximum(0, np.ceil(np.array(least)).astype(int) - size)
    wanted, there, weights = resampled_at_once(array, mask, shape, lacking // 2, lacking + size)
    # A weight of just one half may fall on either side in single precision.
    sure = np.abs(weights - 0.5) > 1e-5
    assert (scanned == there)[sure].all()
    assert np.abs(grid.array - wanted)[sure].max(initial=0.0) < 1e-3


def test_the_mask_of_some_rows_is_that_part_of_the_whole(coarse_scan, prepared_scan):
    volume = coarse_scan.volume
    voxels = ScannedVoxels(volume, prepared_scan.survey, prepared_scan.box, prepared_scan.top_layer)
    whole = voxels.at(slice(None))
    assert whole.shape == voxels.shape
    assert 0.2 < whole.mean() < 0.95
    for rows in (slice(0, 1), slice(100, 133), slice(whole.shape[0] - 3, whole.shape[0]), slice(7, 7)):
        assert np.array_equal(voxels.at(rows), whole[rows])


@pytest.mark.parametrize("cores", [1, 2, 3, 16])
def test_the_number_of_cores_changes_nothing(coarse_scan, prepared_scan, monkeypatch, cores):
    monkeypatch.setattr(parallel, "usable_cores", lambda: cores)
    prepared = prepare(coarse_scan.volume)
    assert np.array_equal(prepared.grid.array, prepared_scan.grid.array)
    assert np.array_equal(prepared.scanned, prepared_scan.scanned)
