"""The segmentation library: simulation, preprocessing, network, training, inference and localization."""

__version__ = "0.1.0"

DEFAULT_MODEL = "simulated-unet"
"""The model that is shipped and used unless another is named."""
