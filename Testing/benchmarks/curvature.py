"""How right curve angles are, and how right their intervals, on simulated spines whose laminae are known.

    python Testing/benchmarks/curvature.py [--spines 500] [--noise 1.3] [--json FILE]

True positions of the laminae with Gaussian noise on each axis; no scan and no network. The truth of a main curve is the
imposed tilt between its true end vertebrae. Spines without a curve of 10 degrees, true or found, are counted apart.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from LaminaLabelingLib.anatomy import VERTEBRAE
from LaminaLabelingLib.curvature import LEAST_CURVE_DEG, measure
from LaminaLabelingLib.laminae import LaminaSet
from LaminaSegmentationLib.simulation.anatomy import draw_spine
from LaminaSegmentationLib.simulation.styles import style_named

RANGES = ((10.0, 25.0), (25.0, 40.0), (40.0, 60.0), (10.0, 90.0))


def one_spine(seed, noise, style):
    """Return the true angle of the main curve, what was measured (None without a curve), and the seconds it took."""
    rng = np.random.default_rng([seed, 5])
    spine = draw_spine(rng, style)
    main = max(spine.parameters["curves"], key=lambda curve: curve["cobb_deg"])
    upper, lower = (spine.vertebrae[VERTEBRAE.index(main[end])] for end in ("upper", "lower"))
    positions = {}
    for vertebra in spine.vertebrae:
        for side, sign in (("L", -1), ("R", 1)):
            inferior, right, anterior = vertebra.point(0.0, sign * vertebra.lamina_offset, 0.0)
            positions[vertebra.name + side] = np.array([right, anterior, -inferior]) + rng.normal(0.0, noise, 3)
    begun = time.perf_counter()
    curves = measure(LaminaSet.from_positions(positions), max(noise, 0.1)).curves
    return abs(upper.tilt - lower.tilt), curves[0].angle if curves else None, time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spines", type=int, default=500, help="how many")
    parser.add_argument("--noise", type=float, default=1.3, help="standard deviation on each axis, mm")
    parser.add_argument("--style", default="clinic", help="style of the simulated spines")
    parser.add_argument("--json", type=Path, help="write the figures into a file as well")
    options = parser.parse_args()
    style = style_named(options.style)
    found = [one_spine(seed, options.noise, style) for seed in range(options.spines)]
    table = []
    for low, high in RANGES:
        chosen = [(true, angle) for true, angle, _ in found if low <= true < high]
        seen = [(angle.value - true, angle.interval[0] <= true <= angle.interval[1]) for true, angle in chosen if angle]
        errors, inside = np.array([error for error, _ in seen]), [within for _, within in seen]
        table.append(
            {
                "from_deg": low,
                "to_deg": high,
                "spines": len(chosen),
                "without_curve": len(chosen) - len(seen),
                "mean_absolute_deg": float(np.abs(errors).mean()),
                "bias_deg": float(errors.mean()),
                "within_interval": float(np.mean(inside)),
            }
        )
    print(f"{options.spines} simulated spines, {options.noise:g} mm of noise on each axis")
    print(f"{'true angle':>12} {'spines':>7} {'no curve':>9} {'mean abs':>9} {'bias':>7} {'in interval':>12}")
    for row in table:
        print(
            f"{row['from_deg']:5.0f} to {row['to_deg']:3.0f} {row['spines']:7} {row['without_curve']:9}"
            f" {row['mean_absolute_deg']:9.2f} {row['bias_deg']:+7.2f} {100 * row['within_interval']:10.1f} %"
        )
    false = sum(true < LEAST_CURVE_DEG and angle is not None for true, angle, _ in found)
    print(f"Curves of {LEAST_CURVE_DEG:g} degrees found where the main one has less: {false}")
    print(f"Time of a spine: {1000 * np.median([seconds for _, _, seconds in found]):.1f} ms")
    if options.json:
        options.json.write_text(json.dumps({"table": table, "false": false}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
