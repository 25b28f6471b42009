"""Shared by all tests: one coarse simulated scan, made once."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does; pytest's own time limit catches what hangs.
settings.register_profile("lamina", deadline=None)
settings.load_profile("lamina")

# Two test processes on two cores must not start eight threads each.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REPOSITORY = Path(__file__).parents[2]
COARSE_MM = 1.0


@pytest.fixture(scope="session")
def coarse_scan():
    """A whole simulated scan at 1 mm, with its truth."""
    from LaminaSegmentationLib.simulation import simulate_scan

    return simulate_scan(seed=11, spacing=COARSE_MM)


@pytest.fixture(scope="session")
def prepared_scan(coarse_scan):
    """The same scan prepared for the network."""
    from LaminaSegmentationLib.preprocessing import prepare

    return prepare(coarse_scan.volume)


@pytest.fixture(scope="session")
def phantom_path():
    """The real phantom volume that is kept with the tests."""
    return REPOSITORY / "Testing" / "Data" / "spine_phantom" / "SpinePhantomFreehandReconstructed.mha"
