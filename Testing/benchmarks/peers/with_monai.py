"""MONAI: a DynUNet with as many feature maps a level as ours, moved over the grid by SlidingWindowInferer."""

import math
import sys

from protocol import Loaded, parser, read_grid, serve, torch_gflop

LEVELS = 4


def network_of_width(width):
    """Return a DynUNet with random weights."""
    from monai.networks.nets import DynUNet

    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        kernel_size=[3] * LEVELS,
        strides=[1] + [2] * (LEVELS - 1),
        upsample_kernel_size=[2] * (LEVELS - 1),
        filters=[width * 2**level for level in range(LEVELS)],
    )


def load(options):
    """Build the network, its weights random."""
    import numpy as np
    import torch
    from monai.inferers import SlidingWindowInferer

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = network_of_width(options.width).eval()
    grid, _ = read_grid(options.grid)
    window = tuple(min(options.window, size) for size in grid.shape)
    # Overlap, weights and windows a batch are MONAI's defaults.
    inferer = SlidingWindowInferer(roi_size=window)

    def predict():
        batch = torch.from_numpy(np.ascontiguousarray(grid, np.float32))[None, None]
        with torch.inference_mode():
            return torch.sigmoid(inferer(batch, network)).numpy().reshape(grid.shape)

    steps = [int(edge * (1 - inferer.overlap)) for edge in window]
    windows = math.prod(1 + math.ceil((size - edge) / step) for size, edge, step in zip(grid.shape, window, steps))
    return Loaded(
        predict,
        f"DynUNet of width {options.width}, {windows} window{'s' if windows > 1 else ''} of "
        f"{' x '.join(map(str, window))}, overlap {inferer.overlap:g}",
        sum(parameter.numel() for parameter in network.parameters()),
        windows * torch_gflop(network, (1, 1, *window)),
        ("monai", "torch"),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--width", type=int, default=16)
    arguments.add_argument("--window", type=int, default=96, help="edge of the window, clipped to the grid")
    sys.exit(serve(load, arguments.parse_args()))
