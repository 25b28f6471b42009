"""Make the pictures of simulated scans and of preprocessing that README and docs show.

    python Testing/pictures.py

Writes Simulation.png (a simulated scan beside the real phantom volume), Styles.png (patients as each style shows them),
Preprocessing.png and Report.png (the report of a simulated scan, which needs the browser Chromium: on Debian,
apt-get install chromium) to Resources/Screenshots. One alone: python Testing/pictures.py --only Report
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from LaminaLabelingLib.errors import LaminaError
from LaminaLabelingLib.volumes import Volume, read_volume
from LaminaSegmentationLib.__main__ import main as lamina
from LaminaSegmentationLib.pictures import draw_steps, masked_mean, projections
from LaminaSegmentationLib.preprocessing import prepare
from LaminaSegmentationLib.simulation import SimulatedScan, simulate_scan

REPOSITORY = Path(__file__).parents[1]
REPORT_SEED = 400_043
PHANTOM = REPOSITORY / "Testing" / "Data" / "spine_phantom" / "SpinePhantomFreehandReconstructed.mha"


def show(axes, picture: np.ndarray, pixel: tuple[float, float], title: str, top: float) -> None:
    """Draw one picture at its true proportions."""
    extent = (0.0, picture.shape[1] * pixel[1], picture.shape[0] * pixel[0], 0.0)
    axes.imshow(picture, cmap="gray", vmin=0.0, vmax=top, extent=extent, interpolation="bilinear")
    axes.set_title(title, color="white", fontsize=9)
    axes.tick_params(colors="#9aa5b1", labelsize=6)
    axes.set_facecolor("black")


def curved_sagittal(volume: Volume, scan: SimulatedScan, side: str) -> np.ndarray:
    """Cut the scan along the laminae of one side."""
    points = volume.to_index(np.array([p for n, p in scan.truth.positions().items() if n.endswith(side)]))
    at = np.interp(np.arange(volume.array.shape[0]), points[:, 0], points[:, 1]).round().astype(int)
    return volume.array[np.arange(volume.array.shape[0]), np.clip(at, 0, volume.array.shape[1] - 1)]


def draw_simulation(seed: int, path: Path) -> None:
    """Draw a simulated scan beside the real phantom volume."""
    scan = simulate_scan(seed)
    volume, spacing = scan.volume, scan.volume.spacing
    slab = projections(volume, prepare(volume))["coronal"][0]
    figure = Figure(figsize=(15, 8.5), facecolor="#101418", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(4, 5, width_ratios=[1, 1, 0.75, 0.9, 0.9])
    pixel = (spacing[0], spacing[1])
    show(
        figure.add_subplot(grid[:, 0]),
        masked_mean(volume.array, 2),
        pixel,
        "simulated: coronal, mean of all depths",
        150,
    )
    show(figure.add_subplot(grid[:, 1]), slab, pixel, "simulated: coronal, maximum at the laminae", 255)
    sagittal = curved_sagittal(volume, scan, "R")
    show(figure.add_subplot(grid[:, 2]), sagittal, (spacing[0], spacing[2]), "simulated: along the right laminae", 230)
    index = dict(zip(scan.truth, volume.to_index(np.array(list(scan.truth.positions().values())))))
    for row, level in enumerate(("T3", "T8", "T12", "L3")):
        middle = round((index[level + "L"][0] + index[level + "R"][0]) / 2)
        axes = figure.add_subplot(grid[row, 3])
        show(axes, volume.array[middle].T, (spacing[2], spacing[1]), f"simulated: axial, {level}", 255)
    phantom = read_volume(PHANTOM, axes="RIA")
    size = phantom.spacing
    for row, (picture, step, title) in enumerate(
        (
            (masked_mean(phantom.array, 2), (size[0], size[1]), "real phantom: coronal, mean"),
            (
                phantom.array[:, :, 40:50].max(axis=2),
                (size[0], size[1]),
                "real phantom: coronal, laminae",
            ),
            (phantom.array[:, 54], (size[0], size[2]), "real phantom: sagittal through a lamina"),
            (phantom.array[49].T, (size[2], size[1]), "real phantom: axial"),
        )
    ):
        show(figure.add_subplot(grid[row, 4]), picture, step, title, 255 if row else 150)
    figure.savefig(path, dpi=100, facecolor=figure.get_facecolor())


def lamina_slab(scan: SimulatedScan) -> np.ndarray:
    """Return the maximum over 4 mm at the depth of the laminae, row by row, (SI, LR)."""
    volume = scan.volume
    points = volume.to_index(np.array(list(scan.truth.positions().values())))
    order = np.argsort(points[:, 0])
    depth = np.interp(np.arange(volume.array.shape[0]), points[order, 0], points[order, 2])
    half = 2.0 / volume.spacing[2]
    return np.stack(
        [row[:, max(int(at - half), 0) : int(at + half) + 1].max(axis=1) for row, at in zip(volume.array, depth)]
    )


def draw_styles(seeds: tuple[int, ...], path: Path) -> None:
    """Draw patients in the style of the experiment, of training and of the other probe, plain and with the truth."""
    styles = ("clinic", "varied", "portable")
    figure = Figure(figsize=(15, 7), facecolor="#101418", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 * len(styles) * len(seeds), sharey=True)
    for column, (style, seed) in enumerate((style, seed) for style in styles for seed in seeds):
        scan = simulate_scan(seed, 0.7, style)
        slab, pixel = lamina_slab(scan), scan.volume.spacing[0]
        swept = np.flatnonzero(slab.any(axis=0))
        slab = slab[:, swept[0] : swept[-1] + 1]
        points = (scan.volume.to_index(np.array(list(scan.truth.positions().values()))) + 0.5) * pixel
        plain, marked = axes[2 * column : 2 * column + 2]
        show(plain, slab, (pixel, pixel), style, 255)
        show(marked, slab, (pixel, pixel), f"seed {seed}", 255)
        marked.plot(points[:, 1] - swept[0] * pixel, points[:, 0], "o", mfc="none", mec="#ffb000", ms=5, mew=0.7)
    figure.savefig(path, dpi=90, facecolor=figure.get_facecolor())


def draw_report(seed: int, path: Path) -> None:
    """Draw the report of what the shipped model finds in a simulated scan, as a browser shows it."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise LaminaError("Report.png needs the browser Chromium: install it, on Debian with apt-get install chromium.")
    with tempfile.TemporaryDirectory() as scratch:
        results, page, picture = (Path(scratch) / name for name in ("results", "report.html", "report.png"))
        for command in (
            ["demo", "--seed", str(seed), "-o", str(results)],
            ["report", str(results), "--case", f"seed {seed}", "-o", str(page)],
        ):
            if lamina(command):
                raise LaminaError(f"lamina {command[0]} failed; see above.")
        size = ["--window-size=770,1010", "--force-device-scale-factor=1.3", "--hide-scrollbars"]
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", *size, f"--screenshot={picture}", page.as_uri()],
            check=True,
            capture_output=True,
        )
        shutil.move(picture, path)


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=400_001)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "Resources" / "Screenshots")
    parser.add_argument("--only", choices=("Simulation", "Styles", "Preprocessing", "Report"), default=None)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    def draw_preprocessing(seed: int, path: Path) -> None:
        scan = simulate_scan(seed, 0.5)
        draw_steps(scan.volume, prepare(scan.volume), path)

    for name, draw, seeds in (
        ("Simulation", draw_simulation, options.seed),
        ("Styles", draw_styles, (400_001, 400_004)),
        ("Preprocessing", draw_preprocessing, options.seed),
        ("Report", draw_report, REPORT_SEED),
    ):
        if options.only in (None, name):
            draw(seeds, options.output / f"{name}.png")


if __name__ == "__main__":
    main()
