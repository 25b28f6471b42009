"""A small stand-in for a scan of a whole spine, and ways to store it, for the tests in this folder."""

import numpy as np

from LaminaLabelingLib.errors import LaminaError

SPACING = 2.5
BRIGHT_SPOT = (55, 20, 14)  # (SI, LR, PA) voxel, off center on every axis, brighter than everything else


def scan_ira(seed: int = 0) -> np.ndarray:
    """Return a whole spine, uint8, (SI, LR, PA) = (160, 48, 32) voxels of 2.5 mm: 400 x 120 x 80 mm.

    A fan footprint that wanders sideways, nothing outside, a skin that is curved in both directions, bright skin and
    muscle behind, dark noise that reaches 0 in front, and a gap where the probe was lifted.
    """
    rng = np.random.default_rng(seed)
    si, lr, pa = np.meshgrid(np.arange(160), np.arange(48), np.arange(32), indexing="ij")
    skin = 4 + 3 * np.sin(si / 30) + 0.004 * (lr - 24) ** 2
    depth = pa - skin
    midline = 24 + 5 * np.sin(si / 35)
    half_width = 9 + 0.25 * np.maximum(depth, 0)
    tissue = np.where(depth < 2, 220.0, 130 * np.exp(-depth / 12))
    tissue = np.where(depth > 14, rng.integers(0, 12, tissue.shape), tissue * rng.uniform(0.5, 1.1, tissue.shape))
    inside = (depth >= 0) & (depth < 25) & (np.abs(lr - midline) < half_width)
    inside &= (si > 3) & (si < 155) & ~((si > 90) & (si < 94))
    scan = np.where(inside, np.clip(tissue, 0, 250), 0).astype(np.uint8)
    scan[BRIGHT_SPOT] = 255
    return scan


def stored(array_ira: np.ndarray, code: str, spacing: float = SPACING) -> tuple[np.ndarray, np.ndarray]:
    """Store an IRA array, whose first voxel is at RAS (0, 0, 0), as a file with an axis code would.

    Written without the library's own functions, so that it can check them.

    Returns
    -------
    array_kji, ijk_to_ras
    """
    world_axis = {"I": 0, "S": 0, "R": 1, "L": 1, "A": 2, "P": 2}
    unit = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    matrix = np.eye(4)
    array = np.transpose(array_ira, [world_axis[letter] for letter in code])
    for axis, letter in enumerate(code):
        matrix[:3, axis] = np.array(unit[letter]) * spacing
        if letter in "SLP":  # runs against the array, so its first voxel is the array's last one
            array = np.flip(array, axis)
            matrix[:3, 3] -= np.array(unit[letter]) * spacing * (array.shape[axis] - 1)
    return np.ascontiguousarray(array.transpose(2, 1, 0)), matrix


def assert_one_sentence(error: LaminaError) -> None:
    """Check that a message is one sentence for a person: no path, no code, no second sentence."""
    text = str(error)
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text
    assert "/" not in text
    assert "Error" not in text
    assert text[0].isupper() or text[0] in "\"'" or text[0].isdigit()
