"""Ours: the network as `lamina segment` runs it."""

import sys

from protocol import Loaded, parser, read_grid, serve


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
        gflop(bundle.graph),
        ("openvino", "numpy"),
    )


def gflop(graph):
    """Return the work of the convolutions of a graph."""
    import math

    import openvino

    total = 0
    for node in openvino.Core().read_model(graph).get_ops():
        if node.get_type_name() == "Convolution":
            # The kernel's first axis holds the output maps, which the output's shape counts already.
            kernel = node.input(1).get_shape()
            total += 2 * math.prod(node.output(0).get_shape()) * math.prod(list(kernel)[1:])
    return total / 1e9


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="simulated-unet")
    sys.exit(serve(load, arguments.parse_args()))
