"""Ours: the network as `lamina segment` runs it."""

import sys

from protocol import Loaded, parser, read_grid, serve
from work import network_gflop


def load(options):
    """Make the engine."""
    from LaminaSegmentationLib.engines import create_engine
    from LaminaSegmentationLib.models import load_model

    bundle = load_model(options.model)
    engine = create_engine(bundle, "openvino", options.threads)
    grid, _ = read_grid(options.grid)
    architecture = bundle.card["architecture"]
    return Loaded(
        lambda: engine.predict(grid),
        f"U-net of width {architecture['width']}, the whole grid at once; {engine.description}",
        architecture["parameters"],
        network_gflop(bundle.graph),
        ("openvino", "numpy"),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="simulated-unet")
    sys.exit(serve(load, arguments.parse_args()))
