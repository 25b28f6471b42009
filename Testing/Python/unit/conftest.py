"""Shared by the unit tests: a small model bundle, made once since its conversion starts TensorFlow; a case folder."""

import pytest
from case_folders import cases_of, make_scan


@pytest.fixture
def folder(tmp_path):
    """A folder that holds one scan, scan1.nrrd."""
    make_scan(tmp_path)
    return tmp_path


@pytest.fixture
def opened(folder):
    """A function that opens the case scan1 of that folder, see `case_folders.cases_of`."""
    with cases_of(folder) as open_case:
        yield open_case


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A bundle of a random network of width 2 on a small grid."""
    from tiny_networks import tiny_card, tiny_unet

    from LaminaSegmentationLib.models import load_model, write_bundle

    return load_model(write_bundle(tmp_path_factory.mktemp("models") / "tiny", tiny_unet(), tiny_card()))
