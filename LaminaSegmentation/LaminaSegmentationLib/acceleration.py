"""Faster training steps on PyTorch: the same network, with PyTorch's own kernels where Keras composes several.

Keras writes batch normalization and upsampling as chains of small operations. On a CPU each of them reads and writes
the whole feature map, and together they cost more than the convolutions. `accelerate` returns a copy of a model whose
layers of these kinds call PyTorch's fused kernels; weights and results are the same to rounding. It changes nothing on
the other backends, whose compilers do such fusions by themselves.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
CPU_FLAGS = Path("/proc/cpuinfo")


def bfloat16_pays() -> bool:
    """Tell whether this CPU computes in bfloat16, where PyTorch trains 2.5 times faster than in float32.

    Elsewhere bfloat16 is emulated and slower than float32. Only Linux lists its CPU's instructions in a file; on other
    systems the answer is no, which costs speed but never precision.
    """
    if platform.system() != "Linux":
        return False
    try:
        flags = CPU_FLAGS.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not BFLOAT16_FLAGS.isdisjoint(flags)


def accelerate(model: keras.Model) -> keras.Model:
    """Return a model with the same weights that trains faster on this backend, or the model itself.

    Parameters
    ----------
    model : keras.Model
        A functional model, channels last.

    Returns
    -------
    keras.Model
        On PyTorch a copy: train it, then copy its weights back with `set_weights(copy.get_weights())`, as its layers
        are not meant to be saved. On the other backends the model that was given.
    """
    import keras

    if keras.backend.backend() != "torch":
        return model
    replacements = _torch_layers()

    def clone(layer: Any) -> Any:
        replacement = replacements.get(type(layer).__name__, type(layer))
        return replacement.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


@functools.cache
def _torch_layers() -> dict[str, type]:
    """Define the layers at the first call, since Keras and PyTorch must not load with this file."""
    import torch
    import torch.nn.functional as functional
    from keras import layers

    class FusedBatchNormalization(layers.BatchNormalization):
        """Batch normalization by one kernel that takes bfloat16 maps with float32 weights and statistics.

        PyTorch's moving variance is the unbiased one, n / (n - 1) of Keras': below 0.1 % apart from 1000 voxels on.
        """

        def __init__(self, **options: Any) -> None:
            # float32 weights, inputs left as they come: the kernel accepts the mixture.
            super().__init__(**(options | {"dtype": "float32", "autocast": False}))

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if inputs.device.type == "meta" or mask is not None:  # shapes only: Keras' own call knows how
                return super().call(inputs, training=training, mask=mask)
            outputs = functional.batch_norm(
                inputs.movedim(-1, 1),
                self.moving_mean.value,
                self.moving_variance.value,
                self.gamma.value,
                self.beta.value,
                training=bool(training) and self.trainable,
                momentum=1.0 - self.momentum,
                eps=self.epsilon,
            )
            return outputs.movedim(1, -1)

    class FusedConv3D(layers.Conv3D):
        """'same' convolution with its bias, on the channels-last map as it lies in memory.

        Keras' own call copies each map to channels first and back before it hands it to PyTorch.
        """

        def call(self, inputs: Any) -> Any:
            kernel, bias = self.kernel.value, self.bias.value
            if self.kernel_size == (1, 1, 1):
                return functional.linear(inputs, kernel[0, 0, 0].T, bias)
            padding = tuple(size // 2 for size in self.kernel_size)
            outputs = functional.conv3d(inputs.movedim(-1, 1), kernel.permute(4, 3, 0, 1, 2), bias, padding=padding)
            return outputs.movedim(1, -1)

    class FusedMaxPooling3D(layers.MaxPooling3D):
        """Max-pooling on the channels-last map as it lies in memory."""

        def call(self, inputs: Any) -> Any:
            return functional.max_pool3d(inputs.movedim(-1, 1), self.pool_size, self.strides).movedim(1, -1)

    class FusedUpSampling3D(layers.UpSampling3D):
        """Nearest-neighbor upsampling in one kernel instead of three repetitions."""

        def call(self, inputs: Any) -> Any:
            scale = tuple(float(size) for size in self.size)
            return functional.interpolate(inputs.movedim(-1, 1), scale_factor=scale, mode="nearest").movedim(1, -1)

    class FastDropout(layers.Dropout):
        """Dropout that draws eight voxels from each 64-bit random number.

        PyTorch draws one number a voxel, a tenth of the whole step. A byte makes the rate a multiple of 1/256; the
        paper's 0.125 is one.
        """

        def call(self, inputs: Any, training: bool = False) -> Any:
            threshold = round(256 * self.rate)
            if not training or threshold == 0:
                return inputs
            words = torch.empty(-(-inputs.numel() // 8), dtype=torch.int64, device=inputs.device)
            draws = words.random_(-(2**63), None).view(torch.uint8)[: inputs.numel()].view(inputs.shape)
            return inputs * ((draws >= threshold).to(inputs.dtype) * (256 / (256 - threshold)))

    return {
        "Conv3D": FusedConv3D,
        "MaxPooling3D": FusedMaxPooling3D,
        "BatchNormalization": FusedBatchNormalization,
        "UpSampling3D": FusedUpSampling3D,
        "Dropout": FastDropout,
    }
