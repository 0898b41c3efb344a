"""Small seeded spiking networks, their TFLite files and what a runtime computes with these."""

import hashlib
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.spiking.pack import PICTURE_SCALE, pack
from edge_app.encoder.model import write_manifest
from edge_app.spiking.network import PICTURE, Layer, Node, SpikingNetwork, Sum

SIZE = 12


def layer(
    name: str,
    source: int,
    channels_in: int,
    channels: int,
    *,
    seed: int,
    kernel: int = 1,
    stride: int = 1,
    top: int = 5,
    signed: bool = False,
    thresholds: tuple[int, int] = (3, 400),
    padding: Literal["same", "valid"] = "same",
) -> Layer:
    """Return a layer of random weights; depthwise where channels_in is 0. `thresholds`: least and greatest."""
    rng = np.random.default_rng(seed)
    shape = (channels, kernel, kernel, channels_in) if channels_in else (1, kernel, kernel, channels)
    return Layer(
        name=name,
        kind="conv" if channels_in else "depthwise",
        weights=rng.integers(-127, 128, shape, dtype=np.int8),
        bias=rng.integers(-500, 501, channels, dtype=np.int32),
        thresholds=(2 * rng.integers(thresholds[0] // 2, thresholds[1] // 2, channels) + 1).astype(np.int32),
        low=-top if signed else 0,
        high=top,
        stride=stride,
        padding=padding,
        source=source,
    )


def spiking_network(seed: int = 0, *, top: int = 5, size: int = SIZE) -> SpikingNetwork:
    """Stem, an inverted bottleneck, a second one with a residual sum, head and pooling: all kinds of node there are."""
    s = 100 * seed
    chain: dict[str, Any] = {"signed": True, "top": top, "thresholds": (301, 1200)}
    side = -(-size // 2)
    nodes: list[Node] = [
        layer("stem", PICTURE, 3, 4, seed=s + 1, kernel=3, stride=2, top=top, thresholds=(2001, 6000)),
        layer("depthwise 0", 0, 0, 4, seed=s + 2, kernel=3, top=top),
        layer("project 0", 1, 4, 3, seed=s + 3, **chain),
        layer("expand 1", 2, 3, 8, seed=s + 4, top=top + 2),
        layer("depthwise 1", 3, 0, 8, seed=s + 5, kernel=5, top=top),
        layer("project 1", 4, 8, 3, seed=s + 6, **chain),
        Sum("sum 1", (2, 5)),
        layer("depthwise 2", 6, 0, 3, seed=s + 7, kernel=5, stride=2, top=top),
        layer("head", 7, 3, 10, seed=s + 8, top=top),
        layer("pool", 8, 0, 10, seed=s + 9, kernel=-(-side // 2), top=255, thresholds=(3, 9), padding="valid"),
    ]
    return SpikingNetwork(size, 127, tuple(nodes))


def picture(seed: int = 0, size: int = SIZE) -> NDArray[np.uint8]:
    """Return a random picture (size, size, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def tensors(content: bytes, shown: NDArray[np.uint8]) -> dict[str, NDArray[np.int32]]:
    """Run a TFLite file; return {tensor's name: its values (height, width, channels)}, the embedding's from 0 up."""
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns that all tensors take more memory
        runtime = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    runtime.allocate_tensors()
    source, sink = runtime.get_input_details()[0], runtime.get_output_details()[0]
    runtime.set_tensor(source["index"], (shown ^ 0x80).view(np.int8)[None])
    runtime.invoke()
    found = {}
    for detail in runtime.get_tensor_details():
        if detail["shape"].size == 4 and "/" not in detail["name"] and detail["index"] != source["index"]:
            values = runtime.get_tensor(detail["index"])[0].astype(np.int32)
            found[detail["name"]] = values + (128 if detail["index"] == sink["index"] else 0)
    return found


def write_model(folder: Path, network: SpikingNetwork, name: str = "tiny", **of_input: object) -> Path:
    """Write a network as a model with its manifest into a folder; return the manifest's path.

    `of_input`: more keys of [input].
    """
    content = pack(network, 0.02)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tflite").write_bytes(content)
    table = {
        "name": name,
        "file": f"{name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": {
            "size": network.size,
            "dtype": "int8",
            "scale": PICTURE_SCALE,
            "zero_point": network.offset - 128,
            **of_input,
        },
        "embedding": {"size": network.n_outputs, "dtype": "int8", "scale": 0.02, "zero_point": 0},
        "spiking": {"schedule": "phased", "steps": [layer.high for layer in network.layers[:-1]]},
    }
    write_manifest(folder / f"{name}.toml", table)
    return folder / f"{name}.toml"
