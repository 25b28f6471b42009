"""How large a change of a curve must be to be found between two scans, on spines with known curves.

    python Testing/benchmarks/follow_up.py

Two scans of one made spine, whose right thoracic curve of 28 degrees has grown by a known angle, each point with an
error of 1.3 mm along each axis. Prints how often the change was found to be beyond chance, how often its 95 % interval
held the true change, and the mean error. Posture and the way of the probe are the same in both: what they add is not
in here.
"""

from __future__ import annotations

import argparse

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE
from LaminaLabelingLib.curvature import POINT_SD_MM
from LaminaLabelingLib.laminae import LaminaSet
from LaminaLabelingLib.progression import compare

STEP_MM, HALF_WIDTH_MM, LUMBAR_DEG, EARLIER_DEG = 24.0, 10.0, 20.0, 28.0
UPPER, LOWER = VERTEBRAE.index("T5"), VERTEBRAE.index("T12")


def tilts(thoracic_deg: float) -> np.ndarray:
    """Return the tilts of a double curve, degrees: right from T5 to T12, left from there to L5."""
    half = 0.5 * thoracic_deg
    ends = [UPPER, LOWER, len(VERTEBRAE) - 1]
    return np.interp(np.arange(len(VERTEBRAE)), ends, [half, -half, LUMBAR_DEG - half])


def scan(thoracic_deg: float, rng: np.random.Generator) -> LaminaSet:
    """Return the laminae of a spine with that curve, each a little off."""
    angles = np.radians(tilts(thoracic_deg))
    points, middle = {}, np.array([0.0, 0.0, 400.0])
    for index, (name, angle) in enumerate(zip(VERTEBRAE, angles)):
        if index:
            middle = middle + STEP_MM * np.array([np.tan(0.5 * (angle + angles[index - 1])), 0.0, -1.0])
        across = HALF_WIDTH_MM * np.array([np.cos(angle), 0.0, np.sin(angle)])
        points[name + "L"], points[name + "R"] = middle - across, middle + across
    return LaminaSet.from_positions({name: at + rng.normal(0.0, POINT_SD_MM, 3) for name, at in points.items()})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--number", type=int, default=500, help="pairs of scans for each change")
    number = parser.parse_args().number
    print("true change  beyond chance  interval holds it  mean error  standard deviation said")
    for growth in (0.0, 5.0, 10.0, 15.0):
        rng = np.random.default_rng(round(growth))
        changes = []
        for _pair in range(number):
            comparison = compare(scan(EARLIER_DEG, rng), scan(EARLIER_DEG + growth, rng))
            changes += [max((each for each in comparison.curves if each.side == "right"), key=lambda c: c.later.value)]
        beyond = np.mean([change.is_beyond_chance for change in changes])
        held = np.mean([change.change.interval[0] <= growth <= change.change.interval[1] for change in changes])
        errors = [change.change.value - growth for change in changes]
        said = np.mean([change.change.sd for change in changes])
        print(f"{growth:10.0f}°  {beyond:12.1%}  {held:16.1%}  {np.mean(errors):+9.2f}°  {said:22.2f}°")


if __name__ == "__main__":
    main()
