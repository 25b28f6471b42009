"""The real ultrasound volume of a spine phantom: partial, in the tracker's frame, with empty borders."""

from pathlib import Path

import numpy as np
import pytest
from synthetic_scan import assert_one_sentence

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import read_volume

PHANTOM = Path(__file__).parents[2] / "Data" / "spine_phantom" / "SpinePhantomFreehandReconstructed.mha"
LAMINAE_KJI = [(43, 50, 54), (45, 48, 85)]


def test_auto_refuses_the_phantom_because_its_directions_are_not_a_patients():
    with pytest.raises(LaminaError, match="orientation of this scan cannot be trusted") as caught:
        read_volume(PHANTOM)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(("code", "left"), [("RIA", 0), ("LSA", 1)])
def test_both_readings_of_the_phantom_are_accepted_and_warned_about(code, left):
    volume = read_volume(PHANTOM, code)
    assert volume.axes == code
    assert [("partial scan" in warning) for warning in volume.warnings] == [True]
    np.testing.assert_allclose(volume.spacing, 0.5)
    assert volume.shape == (106, 147, 104)
    # Which of the two is the patient's left one depends on the reading; both are bright and at the same depth.
    world = [(volume.ijk_to_ras @ [i, j, k, 1])[:3] for k, j, i in LAMINAE_KJI]
    indices = np.rint(volume.to_index(world)).astype(int)
    assert indices[left, 1] < indices[1 - left, 1]
    np.testing.assert_array_equal(indices[:, 2], [43, 45])
    for index in indices:
        around = volume.array[tuple(slice(value - 4, value + 5) for value in index)]
        assert around.max() > 3 * volume.array[volume.array > 0].mean()


@pytest.mark.parametrize("code", ["RSP", "LIP"])
def test_a_reading_of_the_phantom_from_the_front_is_warned_about(code):
    doubt, partial = read_volume(PHANTOM, code).warnings
    assert f"With the axes {code} the scan does not look like a spine seen from behind (the probe would have" in doubt
    assert "partial scan" in partial


@pytest.mark.parametrize("code", ["LIA", "RSA", "IRA"])
def test_a_left_handed_reading_of_the_phantom_is_refused(code):
    with pytest.raises(LaminaError, match="swap the patient's left and right") as caught:
        read_volume(PHANTOM, code)
    assert_one_sentence(caught.value)
