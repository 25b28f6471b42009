"""nnU-Net v2: its own plan for scans like this one, 3d_fullres, and its default prediction; the weights are random.

One network predicts. A user of `nnUNetv2_predict` who names no folds runs the five of a cross-validation, which takes
five times as long. Reading, resampling and the export of the result are not timed.
"""

import json
import math
import os
import sys
import tempfile
from pathlib import Path

from protocol import Loaded, parser, read_grid, serve, torch_gflop

DATASET = "Dataset001_Laminae"
SCANS = 50


def plan(grid, spacing, folder):
    """Return the plan and the description of a data set of scans like this one, made by nnU-Net's own planner."""
    import SimpleITK

    for variable in ("raw", "preprocessed", "results"):
        place = Path(folder) / variable / DATASET
        place.mkdir(parents=True)
        # Read by nnU-Net when it is imported.
        os.environ[f"nnUNet_{variable}"] = str(place.parent)
    raw, preprocessed = (Path(os.environ[f"nnUNet_{name}"]) / DATASET for name in ("raw", "preprocessed"))
    image = SimpleITK.GetImageFromArray(grid)
    image.SetSpacing(spacing[::-1])
    for name, suffix in (("imagesTr", "_0000"), ("labelsTr", "")):
        (raw / name).mkdir()
        SimpleITK.WriteImage(image, str(raw / name / f"scan{suffix}.nrrd"))
    dataset = {
        "channel_names": {"0": "ultrasound"},
        "labels": {"background": 0, "lamina": 1},
        "numTraining": SCANS,
        "file_ending": ".nrrd",
    }
    (raw / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    fingerprint = {
        "spacings": [spacing],
        "shapes_after_crop": [grid.shape],
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 1.0,
    }
    (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint), encoding="utf-8")
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    return ExperimentPlanner(1).plan_experiment(), dataset


def load(options):
    """Plan, and build the network that the plan asks for."""
    import numpy as np
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    grid, spacing = read_grid(options.grid)
    with tempfile.TemporaryDirectory() as folder:
        plans, dataset = plan(grid, spacing, folder)

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    network = nnUNetTrainer.build_network_architecture(manager, configuration, 1, 2, enable_deep_supervision=False)
    predictor = nnUNetPredictor(use_mirroring=not options.no_mirroring, device=torch.device("cpu"), allow_tqdm=False)
    weights = [network.state_dict()]
    predictor.manual_initialization(network, manager, configuration, weights, dataset, "nnUNetTrainer", (0, 1, 2))
    ordered = np.ascontiguousarray(grid.transpose(plans["transpose_forward"]), np.float32)

    def predict():
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(ordered)[None])
        return logits.numpy()

    patch = tuple(int(size) for size in configuration.patch_size)
    padded = [max(size, least) for size, least in zip(ordered.shape, patch)]
    windows = len(predictor._internal_get_sliding_window_slicers(padded))
    passes = 1 if options.no_mirroring else 2**3
    stages = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"]
    return Loaded(
        predict,
        f"3d_fullres, {'-'.join(map(str, stages))} maps, {windows} window{'s' if windows > 1 else ''} of "
        f"{' x '.join(map(str, patch))} (overlap 0.5, Gaussian), {passes} mirroring{'s' if passes > 1 else ''}, "
        "one fold",
        sum(math.prod(parameter.shape) for parameter in network.parameters()),
        windows * passes * torch_gflop(network, (1, 1, *patch)),
        ("nnunetv2", "torch"),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("--no-mirroring", action="store_true", help="one pass a window instead of eight")
    sys.exit(serve(load, arguments.parse_args()))
