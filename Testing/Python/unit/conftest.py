"""Shared by the unit tests: one small model bundle, made once since its conversion starts TensorFlow."""

import pytest


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A bundle of a random network of width 2 on a small grid."""
    from tiny_networks import tiny_card, tiny_unet

    from LaminaSegmentationLib.models import load_model, write_bundle

    return load_model(write_bundle(tmp_path_factory.mktemp("models") / "tiny", tiny_unet(), tiny_card()))
