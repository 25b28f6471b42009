"""The tests of the modules run in SlicerHost: one application for all of them, an empty scene for each."""

import sys

import pytest
from gui_paths import MODULES, ROOT

sys.path.insert(0, str(ROOT / "Testing"))

from SlicerHost import Host


@pytest.fixture(scope="session")
def running_host():
    return Host.start(MODULES)


@pytest.fixture
def host(running_host):
    """The application with an empty scene. What slots raised must have been taken by the test that expected it."""
    import slicer

    slicer.mrmlScene.Clear()
    running_host.process_events()
    running_host.take_slot_errors()
    yield running_host
    assert running_host.take_slot_errors() == []


@pytest.fixture
def slicer(host):
    import slicer

    return slicer
