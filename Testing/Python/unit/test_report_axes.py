"""The report measures in patient axes, whatever world the scan was reconstructed in."""

import numpy as np
import pytest
from test_report import SPACING, scan_around, spine

from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.patient_axes import in_patient_axes, turn_to_patient
from LaminaLabelingLib.report import Report
from LaminaLabelingLib.volumes import Volume


def turned(angle_deg, mirrored):
    """Return directions of array axes (inferior, right, anterior) in a tracker's world."""
    angle = np.radians(angle_deg)
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]) @ np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    patient = np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]], float)
    return (turn @ patient) * ((-1, 1, 1) if mirrored else (1, 1, 1))


@pytest.mark.parametrize("mirrored", [False, True])
def test_laminae_of_a_trackers_world_are_measured_as_in_the_patient(mirrored):
    laminae = spine(rotation_deg=7.0)
    patient = scan_around(laminae)
    directions = turned(25.0, mirrored)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * SPACING, (100.0, -50.0, 7.0)
    tracker = Volume(patient.array, matrix)
    there = {name: tracker.to_world(patient.to_index(at)) for name, at in laminae.positions().items()}
    back, moved = in_patient_axes(LaminaSet.from_positions(there), tracker)
    expected, got = Report(laminae).measurement, Report(back, moved).measurement
    assert got.curves[0].side == expected.curves[0].side
    assert got.curves[0].angle.value == pytest.approx(expected.curves[0].angle.value, abs=1e-6)
    assert got.kyphosis.value == pytest.approx(expected.kyphosis.value, abs=1e-6)
    assert got.levels[5].rotation.value == pytest.approx(expected.levels[5].rotation.value, abs=1e-6)
    assert moved.to_index(back.positions()["T6L"]) == pytest.approx(tracker.to_index(there["T6L"]), abs=1e-9)


def test_a_world_that_is_the_patients_stays_unless_the_axes_were_chosen():
    oblique = np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]], float)
    angle = np.radians(20.0)
    oblique = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]) @ oblique
    assert np.array_equal(turn_to_patient(oblique), np.eye(4))
    assert np.array_equal(turn_to_patient(oblique, False), np.eye(4))
    chosen = turn_to_patient(oblique * SPACING, True)
    assert chosen[:3, :3] @ oblique == pytest.approx(np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]]), abs=1e-12)
