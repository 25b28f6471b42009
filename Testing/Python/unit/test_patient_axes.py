"""The transform that brings a scan into patient axes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from LaminaLabelingLib.orientation import code_directions, is_right_handed, nearest_code
from LaminaLabelingLib.patient_axes import patient_transform

CODES = [
    "".join(letters) for order in itertools.permutations(("RL", "AP", "SI")) for letters in itertools.product(*order)
]


def matrix_of(turn, spacing, origin, mirrored=False):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix() * spacing
    if mirrored:
        matrix[:3, 0] *= -1
    matrix[:3, 3] = origin
    return matrix


def test_a_scan_that_lies_right_stays():
    matrix = np.diag([0.5, 0.5, 2.0, 1.0])
    assert patient_transform(matrix, (10, 20, 30), "RAS") == pytest.approx(np.eye(4))


def test_a_half_turn_about_the_middle():
    matrix = np.eye(4)  # RAS; in truth i runs to the left and j to posterior
    transform = patient_transform(matrix, (11, 21, 31), "LPS")
    assert transform @ (0, 0, 0, 1) == pytest.approx((10, 20, 0, 1))
    assert transform @ (5, 10, 15, 1) == pytest.approx((5, 10, 15, 1))


vectors = st.tuples(*[st.floats(-3, 3)] * 3)


@settings(max_examples=200)
@given(vectors, st.tuples(*[st.floats(0.1, 3)] * 3), vectors, st.sampled_from(CODES), st.booleans())
def test_afterwards_the_axes_run_as_the_code_says(turn, spacing, origin, code, mirrored):
    matrix = matrix_of(turn, spacing, origin, mirrored)
    shape = (40, 50, 60)
    transform = patient_transform(matrix, shape, code)
    after = transform @ matrix
    assert after[:3, :3] / spacing == pytest.approx(code_directions(code), abs=1e-9)
    assert nearest_code(after) == (code, pytest.approx(0.0, abs=1e-5))
    middle = (np.array(shape) - 1) / 2
    assert (after @ (*middle, 1)) == pytest.approx(matrix @ (*middle, 1), abs=1e-9)
    # Distances stay, and only a code of the other handedness mirrors.
    assert transform[:3, :3] @ transform[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    assert (np.linalg.det(transform[:3, :3]) > 0) == (is_right_handed(code) != mirrored)
