"""What goes wrong in a freehand sweep: a wandering probe, breathing, a lifted probe, holes filled with streaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .anatomy import Spine
from .echo import smooth_noise
from .styles import Style


@dataclass(frozen=True)
class Poses:
    """Where each frame is, as the tracker reports it, and what the tracker does not know.

    ``ordinate``, ``right`` and ``anterior`` (F,) mm locate the middle of the probe's face, ``roll`` (F,) radians turns
    the fan about the spine's axis, ``unknown`` (F, 3) mm IRA is the patient's motion since the start (breathing).
    """

    ordinate: np.ndarray
    right: np.ndarray
    anterior: np.ndarray
    roll: np.ndarray
    unknown: np.ndarray


def draw_poses(rng: np.random.Generator, spine: Spine, ordinates: np.ndarray, style: Style) -> Poses:
    """Move the probe along the skin over the spine, roughly: it lags behind the curve, wanders and rolls."""
    step = float(ordinates[1] - ordinates[0])
    count = len(ordinates)

    def wander(length_mm: float) -> np.ndarray:
        return smooth_noise(rng, (count,), (length_mm / step,)).astype(float)

    middle = spine.midline(ordinates)
    follow = gaussian_filter1d(middle[:, 0], 18.0 / step, mode="nearest")
    right = follow + rng.uniform(*style.wobble) * wander(60.0) + 0.25 * wander(12.0)
    skin = middle[:, 1] - spine.depth(ordinates)
    anterior = skin + 0.5 * wander(40.0) + 0.15 * wander(8.0)
    rotation = np.radians(gaussian_filter1d(spine.rotation(ordinates), 15.0 / step, mode="nearest"))
    # Angles grow from anterior towards the right, and the right side comes towards the probe as rotation grows.
    roll = -0.35 * rotation + np.radians(2.0) * wander(70.0)
    breath = rng.uniform(0.6, 1.4) * style.tracking_error
    phase = 2 * np.pi * (ordinates / rng.uniform(35.0, 70.0) + rng.random())
    unknown = np.stack(
        [np.zeros(count), 0.4 * style.tracking_error * wander(30.0), breath * np.sin(phase)],
        axis=-1,
    )
    return Poses(ordinates, right, anterior, roll, unknown)


def draw_gaps(rng: np.random.Generator, ordinates: np.ndarray, style: Style) -> np.ndarray:
    """Return which frames exist, (F,) bool; false where the probe was lifted for 2 to 9 mm."""
    present = np.ones(len(ordinates), bool)
    step = float(ordinates[1] - ordinates[0])
    for _ in range(rng.choice(len(style.gaps), p=np.array(style.gaps) / np.sum(style.gaps))):
        length = int(rng.uniform(2.0, 9.0) / step)
        start = rng.integers(int(0.08 * len(present)), int(0.92 * len(present)) - length)
        present[start : start + length] = False
    return present


def hold_frames(rng: np.random.Generator, frames: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Repeat a frame where the sweep was too fast, as hole filling does: streaks of about 2 mm along the spine."""
    for _ in range(rng.integers(1, 6)):
        start = int(rng.integers(0, len(frames) - 6))
        length = int(rng.integers(2, 4))
        if present[start : start + length].all():
            frames[start + 1 : start + length] = frames[start]
    return frames
