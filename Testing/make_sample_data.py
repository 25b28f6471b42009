"""Makes the sample scan that the extension ships: a coarse simulated scan, its true laminae, and a thumbnail.

    python Testing/make_sample_data.py [--seed 38] [--spacing 1.0]

The scan is simulated and says so in its name. No model was trained on it: its seed is below 1,000,000.
"""

import argparse
from pathlib import Path

import numpy as np

from LaminaLabelingLib.files import write_markups
from LaminaLabelingLib.volumes import write_volume
from LaminaSegmentationLib.simulation import simulate_scan

FOLDER = Path(__file__).parents[1] / "LaminaLabeling" / "Resources" / "SampleData"
NAME = "SimulatedSpineUltrasound"
THUMBNAIL_HEIGHT = 256


def write_thumbnail(scan, path):
    """Write the coronal mean of a slab that follows the depth of the laminae, 3:4."""
    from matplotlib import image

    index = scan.volume.to_index(np.array(list(scan.truth.positions().values())))
    order = np.argsort(index[:, 0])
    rows = np.arange(scan.volume.shape[0])
    depths = np.interp(rows, index[order, 0], index[order, 2]).astype(int)
    around = np.clip(depths[:, None] + np.arange(-4, 5), 0, scan.volume.shape[2] - 1)
    slab = np.take_along_axis(scan.volume.array, around[:, None, :], axis=2).astype(float).mean(axis=2)
    slab = slab[:, ::-1]  # as in Slicer's coronal view, the patient's right on the left
    picture = np.clip(slab / np.percentile(slab, 99.5), 0.0, 1.0)
    step = picture.shape[0] / THUMBNAIL_HEIGHT
    rows = (np.arange(THUMBNAIL_HEIGHT) * step).astype(int)
    columns = (np.arange(int(picture.shape[1] / step)) * step).astype(int)
    small = picture[np.ix_(rows, columns)]
    canvas = np.zeros((THUMBNAIL_HEIGHT, THUMBNAIL_HEIGHT * 3 // 4))
    start = (canvas.shape[1] - small.shape[1]) // 2
    canvas[:, start : start + small.shape[1]] = small
    image.imsave(path, canvas, cmap="gray", vmin=0.0, vmax=1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=38, help="which simulated patient: 0 to 999999")
    parser.add_argument("--spacing", type=float, default=1.0, help="voxel size in mm")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    scan = simulate_scan(options.seed, options.spacing)
    write_volume(scan.volume, FOLDER / f"{NAME}.nrrd")
    write_markups(scan.truth, FOLDER / f"{NAME}.truth.mrk.json", f"{NAME} truth")
    write_thumbnail(scan, FOLDER / f"{NAME}.png")
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
