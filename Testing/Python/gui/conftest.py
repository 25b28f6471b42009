"""The tests of the modules run in SlicerHost: one application for all of them, an empty scene for each."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FAKE_LAMINA = ROOT / "Testing" / "Python" / "fake_lamina.py"
sys.path.insert(0, str(ROOT / "Testing"))

from SlicerHost import Host  # noqa: E402


@pytest.fixture(scope="session")
def running_host():
    return Host.start([ROOT / f"{name}/{name}.py" for name in ("LaminaLabeling", "LaminaSegmentation")])


@pytest.fixture
def host(running_host):
    """The application with an empty scene. What slots raised must have been taken by the test that expected it."""
    import slicer

    slicer.mrmlScene.Clear()
    running_host.process_events()
    running_host.take_slot_errors()
    yield running_host
    assert running_host.take_slot_errors() == []
