"""The fields of the training panel: what is chosen for a training."""

from pathlib import Path

from slicer.i18n import tr as _

from LaminaLabelingGui.panel_tools import chooseKey, chosenKey, fillCombo
from LaminaSegmentationLib.training_run import BACKENDS, LOSSES, MONITORS, PRESETS, TrainingSettings


def texts():
    """Return what the choices are called, by their keys."""
    return {
        "dice": _("Dice"),
        "wbce": _("Weighted cross entropy"),
        "dice+wbce": _("Dice and weighted cross entropy"),
        "centroid": _("Centroid-based distance (the paper's)"),
        "lamina_dice": _("Dice of each lamina"),
        "8": _("small: 8 maps"),
        "16": _("medium: 16 maps"),
        "32": _("large: 32 maps"),
        "paper": _("as in the paper: 64 maps, for a large GPU"),
        "val_loss": _("best: validation loss"),
        "val_d3d": _("best: distance d3D"),
        "val_missed": _("best: fewest missed"),
        "": _("automatic"),
        "tensorflow": "TensorFlow",
        "torch": "PyTorch",
        "jax": "JAX",
    }


class TrainForm:
    """Turns the fields into settings, and settings into the fields.

    Parameters
    ----------
    ui : namespace of widgets
    casesPanel : TrainCasesPanel
    """

    def __init__(self, ui, casesPanel):
        self.ui, self._casesPanel = ui, casesPanel
        names = texts()
        for combo, keys in (
            (ui.lossComboBox, LOSSES),
            (ui.presetComboBox, PRESETS),
            (ui.monitorComboBox, MONITORS),
            (ui.backendComboBox, BACKENDS),
        ):
            fillCombo(combo, [(key, names[key]) for key in keys])
        self.show(TrainingSettings())

    def settings(self):
        """Return what is chosen."""
        ui, output = self.ui, self.ui.outputEdit.text
        return TrainingSettings(
            cases=self._casesPanel.folder(),
            rater=self._casesPanel.rater(),
            output=str(Path(output).absolute()) if output else "",
            name=ui.nameEdit.text.strip(),
            ratio=(ui.trainingSpinBox.value, ui.validationSpinBox.value, ui.testSpinBox.value),
            split_seed=ui.seedSpinBox.value,
            preset=chosenKey(ui.presetComboBox),
            loss=chosenKey(ui.lossComboBox),
            monitor=chosenKey(ui.monitorComboBox),
            backend=chosenKey(ui.backendComboBox),
            epochs=ui.epochsSpinBox.value,
            learning_rate=round(ui.rateSpinBox.value, 6),
            crop_rows=ui.rowsSpinBox.value,
            steps=ui.stepsSpinBox.value,
            augment=ui.augmentCheckBox.checked,
        )

    def show(self, settings):
        """Show the settings of a run."""
        ui = self.ui
        if settings.cases:
            self._casesPanel.choose(settings.cases, settings.rater)
        ui.outputEdit.setText(settings.output)
        ui.nameEdit.setText(settings.name)
        for combo, key in (
            (ui.presetComboBox, settings.preset),
            (ui.lossComboBox, settings.loss),
            (ui.monitorComboBox, settings.monitor),
            (ui.backendComboBox, settings.backend),
        ):
            chooseKey(combo, key)
        for spin, value in (
            *zip((ui.trainingSpinBox, ui.validationSpinBox, ui.testSpinBox), settings.ratio),
            (ui.seedSpinBox, settings.split_seed),
            (ui.epochsSpinBox, settings.epochs),
            (ui.rateSpinBox, settings.learning_rate),
            (ui.rowsSpinBox, settings.crop_rows),
            (ui.stepsSpinBox, settings.steps),
        ):
            spin.setValue(value)
        ui.augmentCheckBox.setChecked(settings.augment)

    def setEnabled(self, enabled, asBegun):
        """Let the fields be edited; a run that is gone on with stays as it was begun."""
        ui = self.ui
        for widget in (ui.casesButton, ui.raterComboBox, ui.lookButton, ui.outputButton, ui.casesTable):
            widget.setEnabled(enabled)
        for widget in (
            *(ui.trainingSpinBox, ui.validationSpinBox, ui.testSpinBox, ui.lossComboBox, ui.presetComboBox),
            *(ui.epochsSpinBox, ui.monitorComboBox, ui.nameEdit, ui.moreCollapsibleButton),
        ):
            widget.setEnabled(enabled and not asBegun)
