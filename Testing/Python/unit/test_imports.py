import subprocess
import sys

import pytest

LIBRARY_FILES = ["anatomy", "laminae", "orientation", "volumes", "image_files", "files", "markups"]


@pytest.mark.parametrize("name", LIBRARY_FILES)
def test_the_labeling_library_starts_quickly_and_without_slicer(name):
    heavy = ["vtk", "slicer", "qt", "SimpleITK", "scipy", "keras", "skimage", "matplotlib", "LaminaSegmentationLib"]
    code = f"import sys, LaminaLabelingLib.{name}; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
