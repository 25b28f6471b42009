"""The best network of an experiment's arm as a model that the other commands use."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .experiment import Run, Settings
from .experiment_worker import Worker, chosen


def publish(worker: Worker, run: Run, choice: str, name: str) -> Path:
    """Write the model of a finished training into the experiment's folder.

    Parameters
    ----------
    worker : Worker
    run : Run
        Finished.
    choice : str
        What chose its epoch, see `experiment.CHOICES`.
    name : str
        Of the model and its folder; an older one of that name is set aside.

    Returns
    -------
    Path
        The model's folder.
    """
    from .train_command import publish as write_model

    settings = worker.settings
    options, result = worker.trained(run)
    weights, epoch, value = chosen(result, choice)
    result = replace(result, weights=weights, best_epoch=epoch, best_value=value)
    arguments = argparse.Namespace(
        output=worker.folder.path, name=name, crop_rows=settings.crop_rows, augment=False, start_from=None
    )
    training, validation, _ = settings.data["scans"]
    options = replace(options, monitor=choice)
    return write_model(arguments, options, result, card_data(settings), training, validation)


def card_data(settings: Settings) -> dict:
    """Return what the model card says of the training scans."""
    data, count = settings.data, settings.data["scans"][0]
    style = {key: data[key] for key in ("style", "style_version") if key in data}
    if "dataset" in data:
        return {"data": f"{count} labelled scans of {data['dataset']}", **style}
    last = data["seed"] + sum(data["scans"][:2]) - 1
    return {"data": f"{count} simulated scans, none of a patient", **style, "seeds": [data["seed"], last]}
