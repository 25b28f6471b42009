"""The models that come with the library, for a list to choose from: nothing is loaded and nothing heavy imported."""

import json
from pathlib import Path

from . import DEFAULT_MODEL


def shipped_models() -> list[str]:
    """Return the names of the models that come with the library: the default one first, the others by name.

    Only the folders are looked at: checking a model is left to the child.

    Returns
    -------
    list of str
        Names for ``--model``.
    """
    names = {card.parent.name for folder in _model_folders() for card in folder.glob("*/card.json")}
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name))


def shipped_card(name: str) -> dict:
    """Return the card of a model that comes with the library, an empty one if it cannot be read.

    It is read as it is, to be shown: whether the model is intact is checked by the child before it runs.

    Parameters
    ----------
    name : str
        One of `shipped_models`.

    Returns
    -------
    dict
    """
    return next(filter(None, (card_of(folder / name) for folder in _model_folders())), {})


def card_of(folder: Path) -> dict:
    """Return the card of the model in a folder, an empty one if it cannot be read."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _model_folders() -> tuple[Path, ...]:
    here = Path(__file__)
    # In the repository and in Slicer beside the library, in a wheel inside of it.
    return here.parents[1] / "Resources" / "Models", here.parent / "Models"
