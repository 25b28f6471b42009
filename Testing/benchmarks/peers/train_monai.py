"""MONAI: training steps of a DynUNet with as many feature maps a level as ours, Dice loss and Adam, one grid a step."""

import sys

from protocol import Loaded, parser, read_grid, serve
from with_monai import network_of_width


def load(options):
    """Build the network; what is asked for as a prediction is a training step."""
    import numpy as np
    import torch
    from monai.losses import DiceLoss

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device("cuda" if options.gpu and torch.cuda.is_available() else "cpu")
    network = network_of_width(options.width).to(device).train()
    loss, optimizer = DiceLoss(sigmoid=True), torch.optim.Adam(network.parameters(), 1e-4)
    random = np.random.default_rng(0)
    shape = read_grid(options.grid)[0].shape
    grid = random.standard_normal(shape).astype(np.float32)
    label = (random.random(shape) < 5e-4).astype(np.float32)
    kind = torch.bfloat16 if options.precision == "mixed_bfloat16" else torch.float32

    def step():
        batch, truth = (torch.from_numpy(array)[None, None].to(device) for array in (grid, label))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, kind, enabled=kind is torch.bfloat16):
            value = loss(network(batch), truth)
        value.backward()
        optimizer.step()
        return np.array(value.item())

    return Loaded(
        step,
        f"DynUNet of width {options.width}, Dice loss and Adam on {device.type}",
        sum(parameter.numel() for parameter in network.parameters()),
        packages=("monai", "torch"),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--width", type=int, required=True)
    arguments.add_argument("--precision", default="float32")
    sys.exit(serve(load, arguments.parse_args()))
