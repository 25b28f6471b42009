"""Quantize our network to int8 with NNCF: python quantize.py GRAPH GRIDS.npy OUTPUT, in an environment with NNCF."""

import sys


def main(graph, grids, output):
    """Quantize after training, with the layers around the probability left as they are."""
    import nncf
    import numpy as np
    import openvino

    model = openvino.Core().read_model(graph)
    arrays = np.load(grids, mmap_mode="r")
    data = nncf.Dataset(range(len(arrays)), lambda index: np.array(arrays[index], np.float32)[None, ..., None])
    last = [node.get_friendly_name() for node in model.get_ops() if node.get_type_name() == "Convolution"][-1]
    # Nearly all probabilities are near 0: 256 steps over all logits would not tell a lamina's from its neighbors'.
    made = nncf.quantize(
        model, data, subset_size=len(arrays), ignored_scope=nncf.IgnoredScope(names=[last], validate=False)
    )
    openvino.save_model(made, output, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
