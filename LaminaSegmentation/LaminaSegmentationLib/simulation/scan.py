"""A freehand sweep over a simulated spine and its reconstruction to a volume."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import map_coordinates

from LaminaLabelingLib.laminae import Lamina, LaminaSet, Review, Source
from LaminaLabelingLib.volumes import Volume

from .anatomy import Spine, draw_spine
from .bones import bones_of, first_hits, lamina_surface
from .echo import Probe, render_frames, tissue_level
from .faults import Poses, draw_gaps, draw_poses, hold_frames
from .styles import Style, style_named

DEFAULT_SPACING_MM = 0.38
"""Voxel size of a raw scan; about 1150 x 290 x 145 voxels for a large adolescent (METHOD section 8)."""

FRAME_STEP_MM = 0.8

# A hand turns a probe about a point behind its face, at most as far as the apex of a wide convex probe.
_PIVOT_MM = 66.0
_LINEAR_RADIUS_MM = 600.0
_LINEAR_WIDTH_MM = (44.0, 66.0)

# Middle of the dynamic ranges that scans are drawn with (55 to 62 dB): visibility is given on this nominal scale.
_DISPLAY_RANGE_DB = 58.0


@dataclass(frozen=True)
class SimulatedScan:
    """A simulated scan and everything that is true about it.

    Attributes
    ----------
    volume : Volume
        uint8, 0 where the probe never looked.
    truth : LaminaSet
        All laminae inside the field of view, visible or not, RAS mm.
    visibility : dict of str to float
        Echo of each lamina over its surroundings, dB on a nominal display scale of 58 dB.
    midline : (N, 3) array
        The line midway between the laminae from T1 to L5, RAS mm.
    parameters : dict
        Every number that was drawn, for the record.
    """

    volume: Volume
    truth: LaminaSet
    visibility: dict[str, float]
    midline: np.ndarray
    parameters: dict = field(default_factory=dict)


def to_ras(points: np.ndarray) -> np.ndarray:
    """Turn IRA millimetres (N, 3) into RAS millimetres."""
    points = np.asarray(points, float)
    return np.stack([points[..., 1], points[..., 2], -points[..., 0]], axis=-1)


def simulate_scan(seed: int, spacing: float = DEFAULT_SPACING_MM, style: Style | str = "clinic") -> SimulatedScan:
    """Simulate one whole-spine freehand ultrasound scan of an adolescent with scoliosis.

    The same seed, spacing and style give the same scan. The patient and the sweep depend on the seed and the style
    alone, so that one seed at two spacings is the same patient.

    Parameters
    ----------
    seed : int
        Seeds below 1,000,000 are for demonstration, tests and evaluation; training uses larger ones.
    spacing : float
        Isotropic voxel size of the reconstruction in mm.
    style : Style or str
        How hard the scan is.

    Returns
    -------
    SimulatedScan
    """
    style = style_named(style) if isinstance(style, str) else style
    rng = np.random.default_rng([int(seed), 0x1A31])
    spine = draw_spine(rng, style)
    probe = _draw_probe(rng, spine, style)
    first = spine.vertebrae[0].center[0] - rng.uniform(9.0, 13.0)
    last = spine.vertebrae[-1].center[0] + rng.uniform(14.0, 20.0)
    ordinates = np.arange(first, last, FRAME_STEP_MM)
    poses = _pivoted(draw_poses(rng, spine, ordinates, style), probe)
    grey = _acquire(rng, spine, probe, poses, style)
    loss = grey.loss
    present = draw_gaps(rng, ordinates, style)
    frames = hold_frames(rng, grey.frames, present)
    volume = _reconstruct(frames, present, poses, probe, spacing, f"seed {seed}")

    truth, visibility = {}, {}
    for vertebra in spine.vertebrae:
        for side, letter in ((-1, "L"), (1, "R")):
            surface = lamina_surface(vertebra, side)
            if not _in_field_of_view(surface, poses, probe):
                continue
            name = vertebra.name + letter
            truth[name] = to_ras(surface)
            visibility[name] = _visibility(volume, truth[name])
    laminae = LaminaSet()
    for name, position in truth.items():
        laminae = laminae.with_lamina(
            Lamina(name, tuple(float(x) for x in position), Review.placed, Source.manual, None)
        )
    ends = [spine.vertebrae[0].center[0], spine.vertebrae[-1].center[0]]
    inside = (spine.path[:, 0] >= ends[0]) & (spine.path[:, 0] <= ends[1])
    parameters = {
        "seed": int(seed),
        "style": style.name,
        "style_version": style.version,
        "spacing_mm": float(spacing),
        **spine.parameters,
        "probe": {"radius_mm": probe.radius, "half_angle_rad": probe.half_angle, "depth_mm": probe.depth},
        "lost_echo_db": {name: round(value, 1) for name, value in loss.items()},
        "rotation_deg": {v.name: round(v.rotation, 2) for v in spine.vertebrae},
        "tilt_deg": {v.name: round(v.tilt, 2) for v in spine.vertebrae},
    }
    return SimulatedScan(volume, laminae, visibility, to_ras(spine.path[inside]), parameters)


def _draw_probe(rng: np.random.Generator, spine: Spine, style: Style) -> Probe:
    radius, half_angle = rng.uniform(*style.probe_radius), rng.uniform(*style.probe_half_angle)
    if rng.random() < style.linear_probe:
        # Parallel lines are those of a fan with a distant apex.
        radius, half_angle = _LINEAR_RADIUS_MM, rng.uniform(*_LINEAR_WIDTH_MM) / 2 / _LINEAR_RADIUS_MM
    depth = max(46.0, max(v.depth for v in spine.vertebrae) + rng.uniform(12.0, 16.0))
    return Probe(radius=radius, half_angle=half_angle, depth=depth)


def _pivoted(poses: Poses, probe: Probe) -> Poses:
    """Let a probe roll about a point close behind its face, also one whose lines meet far behind it."""
    behind = max(probe.radius - _PIVOT_MM, 0.0)
    right = poses.right - behind * np.sin(poses.roll)
    return replace(poses, right=right, anterior=poses.anterior + behind * (1.0 - np.cos(poses.roll)))


def _in_field_of_view(point: np.ndarray, poses: Poses, probe: Probe) -> bool:
    """Whether the beam passes over an IRA point; where the probe was lifted counts as passed over."""
    frame = int(np.abs(poses.ordinate - point[0]).argmin())
    x = point[1] - poses.right[frame]
    y = point[2] - (poses.anterior[frame] - probe.radius)
    depth, angle = np.hypot(x, y) - probe.radius, np.arctan2(x, y) - poses.roll[frame]
    return bool(0.0 <= depth <= probe.depth and abs(angle) <= probe.half_angle)


@dataclass(frozen=True)
class _Acquisition:
    frames: np.ndarray
    loss: dict[str, float]


def _acquire(rng, spine: Spine, probe: Probe, poses: Poses, style: Style) -> _Acquisition:
    """Image the spine frame by frame along the true poses."""
    parts, loss = bones_of(spine, style, rng)
    apex = np.stack([poses.ordinate, poses.right, poses.anterior - probe.radius], axis=-1) + poses.unknown
    angles = probe.angles[None, :] + poses.roll[:, None]
    directions = np.stack([np.zeros_like(angles), np.sin(angles), np.cos(angles)], axis=-1)
    lobe = rng.uniform(*style.lobe)
    hit, echo = first_hits(parts, apex, directions, probe.radius + 2.0, probe.radius + probe.depth, lobe)
    hit = hit - probe.radius

    # Ligaments between the spinous processes keep the midline dark where no bone blocks the beam.
    middle = spine.midline(poses.ordinate)
    turn = np.radians(spine.rotation(poses.ordinate))
    lamina_depth = spine.depth(poses.ordinate)
    line_right = apex[:, None, 1] + (probe.radius + 0.75 * lamina_depth[:, None]) * directions[..., 1]
    process = middle[:, 0] - 0.25 * lamina_depth * np.sin(turn)
    away = line_right - process[:, None]
    midline_dim = 13.0 * np.exp(-0.5 * (away / 1.9) ** 2)
    level = tissue_level(rng, probe, lamina_depth, FRAME_STEP_MM, style)
    frames = render_frames(rng, probe, level, hit, echo, midline_dim, FRAME_STEP_MM, style)
    return _Acquisition(frames, loss)


def _reconstruct(frames, present, poses: Poses, probe: Probe, spacing: float, name: str) -> Volume:
    """Place the frames where the tracker believes they were, slice by slice, by linear interpolation."""
    reach = probe.radius + probe.depth
    wide = reach * np.sin(np.minimum(probe.half_angle + np.abs(poses.roll), 1.5))
    low_right, high_right = (poses.right - wide).min() - 2, (poses.right + wide).max() + 2
    low_anterior = (poses.anterior - probe.radius * (1 - np.cos(probe.half_angle))).min() - 4
    high_anterior = (poses.anterior + probe.depth).max() + 2
    origin = np.array([poses.ordinate[0] - 3.0, low_right, low_anterior])
    size = np.array([poses.ordinate[-1] + 3.0, high_right, high_anterior]) - origin
    # Coarse scans are padded with never-scanned voxels, because readers refuse volumes thinner than 32 voxels.
    shape = tuple(np.maximum(np.ceil(size / spacing), 40).astype(int))
    array = np.zeros(shape, np.uint8)

    right = origin[1] + spacing * np.arange(shape[1], dtype=np.float32)
    anterior = origin[2] + spacing * np.arange(shape[2], dtype=np.float32)
    for k in range(shape[0]):
        place = (origin[0] + spacing * k - poses.ordinate[0]) / FRAME_STEP_MM
        below = int(np.floor(place))
        if below < 0 or below + 1 >= len(frames) or not (present[below] and present[below + 1]):
            continue
        share = np.float32(place - below)
        frame = frames[below] * (1 - share) + frames[below + 1] * share
        pose_right = poses.right[below] * (1 - share) + poses.right[below + 1] * share
        pose_anterior = poses.anterior[below] * (1 - share) + poses.anterior[below + 1] * share
        roll = poses.roll[below] * (1 - share) + poses.roll[below + 1] * share
        span = reach * np.sin(min(probe.half_angle + abs(roll), 1.5))
        columns = slice(*np.searchsorted(right, [pose_right - span - 1, pose_right + span + 1]))
        x = (right[columns] - pose_right)[:, None]
        y = (anterior - (pose_anterior - probe.radius))[None, :]
        sample = (np.sqrt(x * x + y * y) - probe.radius) / probe.step
        line = (np.arctan2(x, y) - roll + probe.half_angle) / (2 * probe.half_angle) * (probe.lines - 1)
        inside = (sample >= 0) & (sample <= probe.samples - 1) & (line >= 0) & (line <= probe.lines - 1)
        values = map_coordinates(frame, [line[inside], sample[inside]], order=1, mode="nearest", prefilter=False)
        array[k, columns][inside] = np.round(values)
    matrix = np.array(
        [
            [0.0, spacing, 0.0, origin[1]],
            [0.0, 0.0, spacing, origin[2]],
            [-spacing, 0.0, 0.0, -origin[0]],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )
    return Volume(array=array, matrix=matrix, axes="ARI", name=name)


def _visibility(volume: Volume, position: np.ndarray) -> float:
    """Brightest tenth within 3 mm of a lamina over the median within 12 mm, in dB of the display."""
    center = volume.to_index(position[None])[0]
    spacing = volume.spacing
    low = np.maximum(np.round(center - 12.0 / spacing).astype(int), 0)
    high = np.minimum(np.round(center + 12.0 / spacing).astype(int) + 1, volume.array.shape)
    if (high <= low).any():
        return 0.0
    box = volume.array[tuple(slice(a, b) for a, b in zip(low, high))].astype(np.float32)
    offsets = np.meshgrid(*((np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, center, spacing)), indexing="ij")
    near = sum(o**2 for o in offsets) < 9.0
    scanned = box > 0
    if not (near & scanned).any():
        return 0.0
    bright = np.percentile(box[near & scanned], 90)
    return float((bright - np.median(box[scanned])) / 255.0 * _DISPLAY_RANGE_DB)
