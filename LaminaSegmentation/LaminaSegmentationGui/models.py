"""The models that can be chosen: those that are shipped, and those that were trained or added on this computer."""

import json
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LaminaLabelingLib.case_files import is_file
from LaminaLabelingLib.errors import LaminaError
from LaminaSegmentationLib.model_list import card_of, shipped_card, shipped_models

_SETTING = "LaminaUltrasound/Models"


class Models:
    """The list of models. The folders of those that are not shipped are kept in Slicer's settings."""

    def __init__(self):
        self.onChanged = []
        """Called without arguments when a model has been added or removed."""

    def names(self):
        """Return the names of the models: shipped ones first, then added ones that are still there."""
        shipped = shipped_models()
        return [*shipped, *(name for name in self._added() if name not in shipped)]

    def argumentOf(self, name):
        """Return what ``lamina segment --model`` takes for a name of the list; empty stays empty."""
        if not name or name in shipped_models():
            return name
        folder = self._added().get(name)
        if folder is None:
            raise LaminaError(
                _('The model "{name}" is no longer on this computer: choose another one.').format(name=name)
            )
        return folder

    def cardOf(self, name):
        """Return the card of a model as a dict, an empty one if it cannot be read."""
        folder = self._added().get(name)
        return shipped_card(name) if folder is None or name in shipped_models() else card_of(Path(folder))

    def describe(self, name):
        """Return what a model's card says about it in plain words."""
        card = self.cardOf(name)
        return "\n".join(str(card[key]) for key in ("title", "description") if card.get(key))

    def add(self, folder):
        """Add the model in a folder to the list, and return its name there.

        Raises LaminaError if the folder holds no model.
        """
        folder = Path(folder).absolute()
        card = card_of(folder)
        if not isinstance(card.get("name"), str) or not (folder / "model.weights.h5").is_file():
            raise LaminaError(
                _(
                    'There is no model in the folder "{name}": choose the one that holds card.json and '
                    "model.weights.h5."
                ).format(name=folder.name)
            )
        added = self._added()
        for name, known in added.items():
            if Path(known) == folder:
                return name
        name, number = card["name"], 1
        while name in added or name in shipped_models():
            number += 1
            name = f"{card['name']} ({number})"
        self._save({**added, name: str(folder)})
        return name

    def remove(self, name):
        """Take an added model off the list; its files stay."""
        added = self._added()
        if name not in added:
            raise LaminaError(_("Only models that were added can be taken off the list."))
        del added[name]
        self._save(added)

    def isAdded(self, name):
        """Return whether a model was added on this computer."""
        return name in self._added()

    @staticmethod
    def _added():
        """Return the folders of the added models that are still there, by name."""
        try:
            stored = json.loads(slicer.app.settings().value(_SETTING) or "{}")
        except ValueError:
            stored = {}
        if not isinstance(stored, dict):
            return {}
        return {name: folder for name, folder in stored.items() if is_file(Path(folder, "card.json"))}

    def _save(self, added):
        slicer.app.settings().setValue(_SETTING, json.dumps(added))
        for tell in self.onChanged:
            tell()
