"""The 3D U-net of Wong et al. (their Section III.B and Fig. 2), written with Keras 3 so that every backend runs it.

The paper is exact about the stages, the kernels, dropout and the activations. Where it is silent this file decides:

* upsampling repeats voxels (`UpSampling3D`), which gives the 23 million parameters of a width of 64;
* the skip connection joins behind the upsampled maps;
* batch-normalization momentum and the bias of the last convolution are parameters of a preset, see `PRESETS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from LaminaLabelingLib.errors import LaminaError

if TYPE_CHECKING:
    import keras

GRID_SHAPE = (384, 96, 48)
"""Voxels of the network's grid along SI, LR and PA (the paper's Section II)."""

POOLINGS = 3
DIVISOR = 2**POOLINGS
"""Each spatial size must be a multiple of this, or the skip connections would not fit."""

DROPOUT = 0.125
NEGATIVE_SLOPE = 0.01
GROUPS = 8
NORMALIZATIONS = ("batch", "instance", "group")
PRECISIONS = ("float32", "mixed_bfloat16")

_CUBE_VOXELS = 34 * 27
FOREGROUND_PRIOR = _CUBE_VOXELS / math.prod(GRID_SHAPE)
"""Share of foreground voxels: 34 laminae of 3x3x3 voxels, 918 of 1769472."""

PRIOR_BIAS = math.log(FOREGROUND_PRIOR / (1.0 - FOREGROUND_PRIOR))
"""Output bias with which an untrained network predicts the foreground prior: its logit, -7.56."""


@dataclass(frozen=True)
class NetworkPreset:
    """A named choice of everything that the paper leaves open.

    Parameters
    ----------
    width : int
        Feature maps of the first stage; they double with every pooling.
    normalization : {"batch", "instance", "group"}
        Layer after each 3x3x3 convolution.
    momentum : float
        Momentum of the moving statistics; only batch normalization uses it.
    output_bias : float
        Initial bias of the last convolution.
    dropout : float
        Dropped share after each pooling and each upsampling.
    """

    width: int
    normalization: str = "batch"
    momentum: float = 0.9
    output_bias: float = PRIOR_BIAS
    dropout: float = DROPOUT


PRESETS: dict[str, NetworkPreset] = {
    # Keras' own defaults, which is what a paper that mentions neither value used.
    "paper": NetworkPreset(width=64, momentum=0.99, output_bias=0.0),
    # Momentum 0.9: with batches of one and 50 steps an epoch, 0.99 still holds 60 % of the initial statistics after
    # epoch 1, which misleads validation. The prior as bias spares the epochs spent on learning that laminae are rare.
    # Testing/benchmarks/normalization.py measures both.
    "32": NetworkPreset(width=32),
    "16": NetworkPreset(width=16),
    "8": NetworkPreset(width=8),
}
PRESETS |= {"default": PRESETS["16"], "small": PRESETS["8"], "large": PRESETS["32"]}


def get_preset(name: str) -> NetworkPreset:
    """Return the preset of that name.

    Raises
    ------
    LaminaError
        If there is none; the message lists the known ones.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise LaminaError(f'There is no network preset "{name}"; choose one of {", ".join(PRESETS)}.') from None


def network_settings(preset: str = "default", precision: str = "float32", **changes: Any) -> NetworkPreset:
    """Return a preset with some of its values changed, checked before anything heavy is loaded.

    Parameters
    ----------
    preset : str
        A key of `PRESETS`.
    precision : {"float32", "mixed_bfloat16"}
        Only checked.
    **changes
        Fields of `NetworkPreset`; None leaves the preset's value.

    Raises
    ------
    LaminaError
        If there is no such preset or precision, or a value is out of its range.
    """
    settings = replace(get_preset(preset), **{key: value for key, value in changes.items() if value is not None})
    _check_settings(settings, precision)
    return settings


def check_grid(shape: Sequence[int | None]) -> None:
    """Check that the network can pool and upsample a grid and get its size back.

    Parameters
    ----------
    shape : sequence of three int or None
        Voxels along SI, LR and PA; None stands for a size that is not yet known.

    Raises
    ------
    LaminaError
        If a size is not a positive multiple of 8.
    """
    if len(shape) != 3:
        raise LaminaError(f"The network takes a grid with three axes, this one has {len(shape)}: {tuple(shape)}.")
    if any(size is not None and (size < DIVISOR or size % DIVISOR) for size in shape):
        raise LaminaError(
            f"The network pools its grid {POOLINGS} times, so each size must be a multiple of {DIVISOR}; "
            f"the grid {' x '.join(str(size) for size in shape)} is not: pad or crop it."
        )


def build_unet(
    width: int | None = None,
    input_shape: Sequence[int | None] = (*GRID_SHAPE, 1),
    *,
    preset: str = "default",
    normalization: str | None = None,
    momentum: float | None = None,
    output_bias: float | None = None,
    dropout: float | None = None,
    precision: str = "float32",
    name: str = "lamina_unet",
) -> keras.Model:
    """Build the network: probability of lamina for every voxel of a grid.

    Two 3x3x3 'same' convolutions a stage, each followed by normalization and a leaky ReLU; three 2x2x2 max-poolings
    and three 2x2x2 upsamplings, each followed by dropout; skip connections by concatenation; a 1x1x1 convolution and
    a sigmoid, both in float32 whatever the precision, since probabilities near 5e-4 have to keep their digits.

    Parameters
    ----------
    width : int, optional
        Feature maps of the first stage (the paper: 64). This and the following None stand for the preset's value.
    input_shape : sequence of four int or None
        (SI, LR, PA, 1), channels last. The network is fully convolutional: None leaves a size open, and weights
        trained on crops fit the whole grid.
    preset : str
        A key of `PRESETS`.
    normalization : {"batch", "instance", "group"}, optional
    momentum : float, optional
        Momentum of batch normalization, in [0, 1).
    output_bias : float, optional
        Initial bias of the last convolution, a logit.
    dropout : float, optional
        Dropped share, in [0, 1).
    precision : {"float32", "mixed_bfloat16"}
        Keras' dtype policy of the hidden layers. Weights are float32 with both, and fit both.
    name : str
        Name of the Keras model.

    Returns
    -------
    keras.Model
        Maps (batch, SI, LR, PA, 1) to a float32 probability of the same shape.

    Raises
    ------
    LaminaError
        If a size is not a multiple of 8, or a parameter is out of its range.
    """
    changes = {"width": width, "normalization": normalization, "momentum": momentum}
    changes |= {"output_bias": output_bias, "dropout": dropout}
    settings = network_settings(preset, precision, **changes)
    if len(input_shape) != 4 or input_shape[3] != 1:
        raise LaminaError(f"The network takes (SI, LR, PA, 1), one intensity a voxel; not {tuple(input_shape)}.")
    check_grid(tuple(input_shape[:3]))

    import keras

    builder = _Builder(settings, precision)
    inputs = keras.Input(tuple(input_shape), dtype="float32", name="grid")
    features, skips = inputs, []
    for level in range(POOLINGS):
        features = builder.stage(features, level, "down")
        skips.append(features)
        features = builder.pool(features, level)
    features = builder.stage(features, POOLINGS, "bottom")
    for level in reversed(range(POOLINGS)):
        features = builder.join(features, skips[level], level)
        features = builder.stage(features, level, "up")
    return keras.Model(inputs, builder.head(features), name=name)


def count_parameters(width: int, normalization: str = "batch") -> int:
    """Return the number of parameters of the network, moving statistics included.

    The formula is the architecture's, independent of Keras: tests compare the two, and a model card is checked with
    it before any backend is loaded.

    Parameters
    ----------
    width : int
        Feature maps of the first stage.
    normalization : {"batch", "instance", "group"}
        Only batch normalization keeps moving statistics.

    Returns
    -------
    int
        23 million for the paper's width of 64.
    """
    maps = [width * 2**level for level in range(POOLINGS + 1)]
    pairs, previous = [], 1
    for size in maps:
        pairs += [(previous, size), (size, size)]
        previous = size
    for size in reversed(maps[:-1]):
        pairs += [(previous + size, size), (size, size)]
        previous = size
    # Kernel and bias of each convolution, then scale, offset and (batch only) mean and variance of its normalization.
    vectors = 5 if normalization == "batch" else 3
    return sum(27 * before * after + vectors * after for before, after in pairs) + width + 1


def _check_settings(settings: NetworkPreset, precision: str) -> None:
    if settings.width < 1:
        raise LaminaError(f"The network's width must be 1 or more, not {settings.width}.")
    if settings.normalization not in NORMALIZATIONS:
        known = ", ".join(NORMALIZATIONS)
        raise LaminaError(f'There is no normalization "{settings.normalization}"; choose one of {known}.')
    for label, value in (("momentum", settings.momentum), ("dropout", settings.dropout)):
        if not 0.0 <= value < 1.0:
            raise LaminaError(f"The network's {label} must lie in 0..1 (1 excluded), not {value}.")
    if precision not in PRECISIONS:
        raise LaminaError(f'There is no precision "{precision}"; choose one of {", ".join(PRECISIONS)}.')


class _Builder:
    """The layers of one network, all with the same settings, data format and precision."""

    def __init__(self, settings: NetworkPreset, precision: str) -> None:
        self.settings = settings
        # Channels last is written out: Keras' global default is the user's, the weights and our arrays are not.
        self.common = {"dtype": precision}
        self.spatial = {"dtype": precision, "data_format": "channels_last"}

    def stage(self, features: Any, level: int, side: str) -> Any:
        from keras import layers

        size = self.settings.width * 2**level
        for index in (1, 2):
            name = f"{side}{level}_{index}"
            features = layers.Conv3D(size, 3, padding="same", name=f"{name}_conv", **self.spatial)(features)
            features = self._normalize(features, size, f"{name}_norm")
            features = layers.LeakyReLU(negative_slope=NEGATIVE_SLOPE, name=f"{name}_relu", **self.common)(features)
        return features

    def _normalize(self, features: Any, size: int, name: str) -> Any:
        from keras import layers

        if self.settings.normalization == "batch":
            return layers.BatchNormalization(momentum=self.settings.momentum, name=name, **self.common)(features)
        if self.settings.normalization == "instance":
            return layers.GroupNormalization(groups=-1, name=name, **self.common)(features)
        return layers.GroupNormalization(groups=math.gcd(GROUPS, size), name=name, **self.common)(features)

    def pool(self, features: Any, level: int) -> Any:
        from keras import layers

        features = layers.MaxPooling3D(2, name=f"down{level}_pool", **self.spatial)(features)
        return layers.Dropout(self.settings.dropout, name=f"down{level}_drop", **self.common)(features)

    def join(self, features: Any, skip: Any, level: int) -> Any:
        from keras import layers

        features = layers.UpSampling3D(2, name=f"up{level}_upsample", **self.spatial)(features)
        features = layers.Dropout(self.settings.dropout, name=f"up{level}_drop", **self.common)(features)
        return layers.Concatenate(name=f"up{level}_join", **self.common)([features, skip])

    def head(self, features: Any) -> Any:
        import keras
        from keras import layers

        logits = layers.Conv3D(
            1,
            1,
            bias_initializer=keras.initializers.Constant(self.settings.output_bias),
            data_format="channels_last",
            dtype="float32",
            name="logits",
        )(features)
        return layers.Activation("sigmoid", dtype="float32", name="probability")(logits)
