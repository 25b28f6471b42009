"""Takes the screenshots of the documentation: simulates a scan, opens it in SlicerHost, and clicks Apply.

    python Testing/screenshots.py [--seed 11] [--spacing 0.5] [-o Resources/Screenshots]

Nothing in the picture is retouched: it shows what the module found in a simulated scan that the model never saw.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = [ROOT / name / f"{name}.py" for name in ("LaminaLabeling", "LaminaSegmentation")]
SIZE = (1440, 900)
SLAB_MM = 16.0
MEAN_OF_SLAB = 2


def load_simulated_scan(seed, spacing):
    """Simulate a scan and load it from a file, as a user would."""
    import slicer

    from LaminaLabelingLib.volumes import write_volume
    from LaminaSegmentationLib.simulation import simulate_scan

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"simulated scan {seed}.nrrd"
        write_volume(simulate_scan(seed, spacing).volume, path)
        return slicer.util.loadVolume(str(path))


def arrange_views(markups_node):
    """Average a slab in the coronal view, at the depth of the laminae, and move the other views to one of them."""
    import numpy as np
    import slicer

    from LaminaLabelingLib.markups import from_node

    positions = from_node(markups_node).positions()
    slicer.modules.LaminaLabelingWidget.logic.jumpTo(markups_node, list(positions)[len(positions) // 2])
    coronal = slicer.app.layoutManager().sliceWidget("Green")
    coronal.sliceLogic().SetSliceOffset(np.median([point[1] for point in positions.values()]))
    node = coronal.mrmlSliceNode()
    node.SetSlabReconstructionEnabled(True)
    node.SetSlabReconstructionType(MEAN_OF_SLAB)
    node.SetSlabReconstructionThickness(SLAB_MM)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=11, help="which simulated patient: 0 to 999999")
    parser.add_argument("--spacing", type=float, default=0.5, help="voxel size of the simulated scan in mm")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "Resources" / "Screenshots", help="folder")
    options = parser.parse_args()

    sys.path[:0] = [str(ROOT / "Testing"), *(str(path.parent) for path in MODULES)]
    from SlicerHost import Host

    host = Host.start(MODULES, SIZE)
    host.select_module("LaminaLabeling")
    widget = host.select_module("LaminaSegmentation")
    print("Simulating the scan...", flush=True)
    load_simulated_scan(options.seed, options.spacing)
    host.process_events()
    print("Finding the laminae...", flush=True)
    host.click(widget.ui.applyButton)
    host.wait_until(lambda: not widget.logic.isRunning, timeout=600)
    errors = host.take_slot_errors()
    if errors:
        raise SystemExit(f"The module failed: {errors[0]}")
    import slicer

    arrange_views(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")[0])
    for module in ("LaminaSegmentation", "LaminaLabeling"):
        host.select_module(module)
        path = options.output / f"{module}.png"
        host.screenshot(path)
        print(path)


if __name__ == "__main__":
    main()
