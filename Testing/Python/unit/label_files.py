"""Label volumes with other values, and simulated spines to write into them, for the tests in this folder."""

import numpy as np
import SimpleITK as sitk
from hypothesis import strategies as st
from labeled_scans import some_of

from LaminaLabelingLib.anatomy import Numbering
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume
from LaminaSegmentationLib.simulation import STYLES
from LaminaSegmentationLib.simulation.anatomy import draw_spine


def some_slots():
    """Slots of the usual numbering, at least one."""
    return st.sets(st.sampled_from(Numbering().slots), min_size=1)


def spine(seed, kept):
    """Return a scan and those laminae of a simulated spine in it whose names are given."""
    anatomy = draw_spine(np.random.default_rng(seed), next(iter(STYLES.values())))
    points = np.array([v.point(0.0, sign * v.lamina_offset, 0.0) for v in anatomy.vertebrae for sign in (-1, 1)])
    first = points.min(axis=0) - 10.0
    shape = tuple(np.ceil(np.ptp(points, axis=0) + 20.0).astype(int))
    matrix = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    volume = Volume(np.zeros(shape, np.uint8), matrix)
    return volume, some_of(
        LaminaSet.from_positions(dict(zip(Numbering().slots, volume.to_world(points - first)))), kept
    )


def with_values(path, change):
    """Write a label volume again with other values, given by a function of those that are there and not 0."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).astype(np.int16)
    array[array != 0] = change(array[array != 0])
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(path))
    return path


def as_mask(path):
    """Write a label volume again without what its values say."""
    return with_values(path, np.ones_like)
