"""Scans with laminae in them for tests of file formats: rotated, anisotropic, mirrored, of every numbering."""

import numpy as np
from hypothesis import strategies as st

from LaminaLabelingLib import orientation
from LaminaLabelingLib.anatomy import Numbering, provisional_name
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.volumes import Volume

CODES = ("LPS", "RAS", "ARI", "RPS", "SAL", "IRA", "LAI")
NUMBERINGS = tuple(Numbering(thoracic, lumbar) for thoracic in (11, 12, 13) for lumbar in (4, 5, 6))
SHAPE = (172, 48, 40)
_STEP = 9  # voxels from level to level, so that 19 levels fit and no marks touch


def rotation(angles):
    """Return a rotation about R, A and S by three angles in radians, shape (3, 3)."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def scan(code="LPS", spacing=(1.0, 1.0, 1.0), angles=(0.0, 0.0, 0.0), origin=(12.0, -85.0, 300.0)):
    """Return an empty scan whose file has the axis code; spacing is that of SI, LR and PA."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(angles) @ orientation.code_directions("IRA") * spacing
    matrix[:3, 3] = origin
    return Volume(np.zeros(SHAPE, np.uint8), matrix, code, "scan.nrrd")


@st.composite
def scans(draw):
    """Scans of every axis code, left-handed ones too, with voxels of 0.5 to 2 mm and turned by up to 17 degrees."""
    return scan(
        draw(st.sampled_from(CODES)),
        tuple(draw(st.sampled_from([0.5, 1.0, 1.3, 2.0])) for _ in range(3)),
        tuple(draw(st.sampled_from([-0.3, -0.05, 0.0, 0.2])) for _ in range(3)),
        tuple(draw(st.sampled_from([-250.0, 0.0, 33.3])) for _ in range(3)),
    )


def indices_of(vertebrae, jitter=None):
    """Return IRA indices of a left and a right lamina for each vertebra, down a slightly winding midline."""
    jitter = np.zeros((len(vertebrae), 2, 3)) if jitter is None else jitter
    rows = {}
    for level, vertebra in enumerate(vertebrae):
        middle = np.array([_STEP // 2 + _STEP * level, 24 + 4 * np.sin(level / 4), 20])
        rows[vertebra + "L"] = middle - [0, 9, 0] + jitter[level, 0]
        rows[vertebra + "R"] = middle + [0, 9, 0] + jitter[level, 1]
    return rows


@st.composite
def jitters(draw, levels):
    """Displacements of up to 1.5 voxels, shape (levels, 2, 3)."""
    seed = draw(st.integers(0, 10_000))
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (levels, 2, 3))


def laminae_in(volume, numbering=None, jitter=None):
    """Return a full set of laminae in a scan."""
    numbering = numbering or Numbering()
    points = indices_of(numbering.vertebrae, jitter)
    return LaminaSet.from_positions({name: volume.to_world(index) for name, index in points.items()}, numbering)


def provisional_in(volume, levels, jitter=None):
    """Return a provisional set of pairs in a scan."""
    points = indices_of([provisional_name(level, "L")[:-1] for level in range(levels)], jitter)
    return LaminaSet.from_positions({name: volume.to_world(index) for name, index in points.items()})


def some_of(laminae, names):
    """Return a set with the same numbering in which all other slots are unset."""
    points = {name: point for name, point in laminae.positions().items() if name in set(names)}
    return LaminaSet.from_positions(points, None if laminae.is_provisional else laminae.numbering)


def largest_distance(first, second):
    """Return the largest distance between the positions of two sets with the same names."""
    one, other = first.positions(), second.positions()
    assert list(one) == list(other)
    return max((np.linalg.norm(one[name] - other[name]) for name in one), default=0.0)


def half_voxel(volume):
    """Return half a voxel's diagonal in mm, the largest error of a position on the grid."""
    return np.linalg.norm(volume.spacing) / 2 + 1e-3  # file formats keep directions in single precision
