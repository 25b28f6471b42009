"""Whether two results of the same network are equal: voxel by voxel, and in the laminae that are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from LaminaSegmentationLib.models import ModelBundle
    from LaminaSegmentationLib.preprocessing import Prepared

TOLERANCE_MM = 1e-4


def find_laminae(probability: np.ndarray, prepared: Prepared, bundle: ModelBundle) -> dict[str, np.ndarray]:
    """Return the laminae by name, RAS mm, as `lamina segment` finds them."""
    from LaminaSegmentationLib.localization import localize

    decision = bundle.card.get("decision", {})
    found = localize(
        probability,
        prepared.grid,
        prepared.column_points,
        decision.get("threshold", 0.5),
        decision.get("minimum_voxels", 3),
        bundle.calibration,
    )
    return {name: np.asarray(point) for name, point in found.laminae.positions().items()}


def compare(
    probability: np.ndarray,
    ours: np.ndarray,
    laminae: dict[str, np.ndarray],
    our_laminae: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Return the largest differences.

    Returns
    -------
    dict
        ``probability``, the largest difference of a voxel; ``laminae``, how many were found; ``mm``, the largest
        distance between a lamina and ours of the same name, infinite when the names differ; ``equal``, whether that
        stays within `TOLERANCE_MM`.
    """
    distances = [float(np.linalg.norm(laminae[name] - our_laminae[name])) for name in laminae if name in our_laminae]
    farthest = max(distances, default=0.0) if laminae.keys() == our_laminae.keys() else float("inf")
    return {
        "probability": float(np.abs(probability - ours).max()),
        "laminae": len(laminae),
        "mm": farthest,
        "equal": farthest <= TOLERANCE_MM,
    }
