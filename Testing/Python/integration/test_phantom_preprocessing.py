"""The real phantom volume: a partial scan in the tracker's axes, with empty borders."""

import numpy as np
import pytest

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import read_volume
from LaminaSegmentationLib.preprocessing import prepare


def test_the_orientation_is_not_guessed(phantom_path):
    with pytest.raises(LaminaError, match="orientation of this scan cannot be trusted"):
        read_volume(phantom_path)


def test_it_is_called_a_partial_scan(phantom_path):
    assert "partial scan" in " ".join(read_volume(phantom_path, axes="RIA").warnings)


@pytest.mark.parametrize("axes", ["RIA", "LSA"])
def test_the_spinous_column_is_where_one_sees_it(phantom_path, axes):
    """Read by eye (README of the data): the column is at i 65 to 70 for j from 30 to 60, good to 4 voxels."""
    volume = read_volume(phantom_path, axes=axes)
    prepared = prepare(volume)
    ijk_to_ras = volume.ijk_to_ras
    points = (np.linalg.inv(ijk_to_ras) @ np.c_[prepared.column_points, np.ones(len(prepared.column_points))].T).T
    order = np.argsort(points[:, 1])
    across = np.interp(np.arange(30, 61), points[order, 1], points[order, 0])
    away = np.maximum(np.maximum(65 - across, across - 70), 0.0) * 0.5
    assert away.max() < 4.0


def test_the_laminae_seen_by_eye_are_kept(phantom_path):
    """Near (k, j, i) = (43, 50, 54) and (45, 48, 85)."""
    volume = read_volume(phantom_path, axes="RIA")
    prepared = prepare(volume)
    world = (volume.ijk_to_ras @ np.array([[54, 50, 43, 1], [85, 48, 45, 1]]).T).T[:, :3]
    index = np.round(prepared.grid.to_index(world)).astype(int)
    assert all(prepared.scanned[tuple(place)] for place in index)
