"""Parts of the grid: they cover it once, reach far enough, and give what the whole gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib import DEFAULT_MODEL
from LaminaSegmentationLib.engines import create_engine
from LaminaSegmentationLib.inference import options_of
from LaminaSegmentationLib.localization import localize
from LaminaSegmentationLib.models import load_model
from LaminaSegmentationLib.preprocessing import prepare
from LaminaSegmentationLib.simulation import simulate_scan
from LaminaSegmentationLib.tiling import HALO, by_tiles, tiles


def test_the_grid_has_three_parts():
    assert [(part.start, part.stop, part.first, part.last) for part in tiles(384)] == [
        (0, 192, 0, 144),
        (96, 288, 144, 240),
        (192, 384, 240, 384),
    ]


@given(length=st.integers(1, 100).map(lambda n: 8 * n), rows=st.integers(13, 60).map(lambda n: 8 * n))
def test_parts_cover_every_row_once_with_a_halo_inside_the_grid(length, rows):
    parts = tiles(length, rows)
    kept = np.concatenate([np.arange(part.first, part.last) for part in parts])
    assert np.array_equal(kept, np.arange(length))
    assert len({part.stop - part.start for part in parts}) == 1
    for part in parts:
        assert part.start >= 0
        assert part.stop <= length
        assert part.start % 8 == 0
        assert part.start == 0 or part.first - part.start >= HALO
        assert part.stop == length or part.stop - part.last >= HALO


@pytest.mark.parametrize(("length", "rows"), [(380, 192), (384, 190), (384, 96), (384, 88)])
def test_parts_that_cannot_be_exact_are_refused(length, rows):
    with pytest.raises(ValueError, match="rows"):
        tiles(length, rows)


def test_each_row_comes_from_the_part_that_keeps_it():
    batch = np.arange(384, dtype=np.float32)[None, :, None, None, None] * np.ones((1, 384, 2, 2, 1), np.float32)
    seen = []

    def run(part):
        seen.append(part.shape[1])
        return part + 1000.0 * len(seen)

    result = by_tiles(run, batch)
    assert seen == [192, 192, 192]
    rows = result[0, :, 0, 0, 0]
    assert np.array_equal(rows - np.arange(384), np.repeat([1000.0, 2000.0, 3000.0], [144, 96, 144]))


def test_the_shipped_network_gives_the_same_part_by_part():
    """Up to the rounding of float32: 2e-6 was seen."""
    model = load_model(DEFAULT_MODEL)
    prepared = prepare(simulate_scan(5, 1.5).volume, options_of(model))
    grid = prepared.grid
    whole, parts = (create_engine(model, "openvino", low_memory=low).predict(grid.array) for low in (False, True))
    assert np.abs(whole - parts).max() < 5e-6
    one, other = (localize(probability, grid, prepared.column_points) for probability in (whole, parts))
    assert len(one.laminae.positions()) > 20
    assert list(one.laminae.positions()) == list(other.laminae.positions())
    for name, position in one.laminae.positions().items():
        assert np.allclose(position, other.laminae.positions()[name], atol=1e-4)


def test_a_network_that_normalizes_over_the_grid_is_not_divided():
    class Bundle:
        name, normalization = "mine", "instance"

    with pytest.raises(LaminaError, match="part by part"):
        create_engine(Bundle(), "openvino", low_memory=True)
