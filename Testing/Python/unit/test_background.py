"""A scan whose never-scanned voxels are not 0."""

import numpy as np
import pytest
from synthetic_scan import assert_one_sentence, scan_ira, stored

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume

PLAIN = scan_ira()


def shifted(dtype, amount):
    return (PLAIN.astype(np.int32) + amount).astype(dtype)


def with_background(dtype, value):
    return np.where(PLAIN == 0, value, PLAIN.astype(np.int32)).astype(dtype)


@pytest.mark.parametrize("code", ["LPS", "RAS", "ARI"])
@pytest.mark.parametrize(
    ("scan", "background", "dtype"),
    [
        (shifted(np.int8, -128), -128, np.uint8),
        (shifted(np.int16, -128), -128, np.int16),
        (shifted(np.uint16, 100), 100, np.uint16),
        (shifted(np.float32, -128), -128, np.float32),
        (with_background(np.int16, -1024), -1024, np.int16),
        (with_background(np.float64, -1024), -1024, np.float64),
    ],
)
def test_the_scan_becomes_the_one_with_background_0(code, scan, background, dtype):
    volume = Volume.from_ijk(*stored(scan, code))
    assert volume.axes == code
    (warning,) = volume.warnings  # nothing about the spacing
    assert f"background has the value {background} and not 0" in warning
    assert_one_sentence(warning)
    assert volume.array.dtype == dtype
    np.testing.assert_allclose(volume.array, PLAIN, rtol=0, atol=1e-3 * 255)


@pytest.mark.parametrize("scan", [shifted(np.int16, -128), with_background(np.int16, -1024)])
def test_directions_that_are_not_the_patients_are_still_refused(scan):
    array, _ = stored(scan, "IRA")
    with pytest.raises(LaminaError, match="on the patient's front"):
        Volume.from_ijk(array, stored(scan, "IRP")[1])


def test_tissue_above_and_below_the_background_is_kept_apart_from_it():
    scan = np.where(PLAIN == 0, 100, np.where(PLAIN == 100, 0, PLAIN)).astype(np.uint8)
    volume = Volume.from_ijk(*stored(scan, "LPS"))
    np.testing.assert_array_equal(volume.array != 0, PLAIN != 0)
    assert volume.array.dtype == np.uint16  # 0 to 255 become 1 to 256
    np.testing.assert_array_equal(volume.array[PLAIN != 0], scan[PLAIN != 0].astype(int) + 1)


def test_a_white_background_needs_no_wider_type():
    scan = with_background(np.uint8, 255)
    scan[PLAIN == 255] = 254
    volume = Volume.from_ijk(*stored(scan, "LPS"))
    assert volume.array.dtype == np.uint8
    np.testing.assert_array_equal(volume.array != 0, PLAIN != 0)


def test_a_scan_between_0_and_1_keeps_its_contrast():
    scan = np.where(PLAIN == 0, -1, PLAIN / np.float32(255)).astype(np.float32)
    volume = Volume.from_ijk(*stored(scan, "LPS"))
    np.testing.assert_allclose(volume.array, PLAIN / 255, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_an_ordinary_scan_is_not_copied(dtype):
    array, matrix = stored(PLAIN.astype(dtype), "LPS")
    volume = Volume.from_ijk(array, matrix)
    assert np.shares_memory(volume.array, array)
    assert volume.warnings == ()


def test_a_scan_that_fills_its_box_is_not_copied():
    array = np.random.default_rng(0).integers(1, 255, (40, 40, 40), dtype=np.uint8)
    assert np.shares_memory(Volume.from_ijk(array, np.diag([-2.0, -2.0, 2.0, 1.0]), "LPS").array, array)
