"""What the module LaminaLabeling shows: one class for each part of its panel. It knows Qt and the MRML scene."""
