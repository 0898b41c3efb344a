"""Build the tiny models that the encoder's tests use (a few kB each): seeded random weights, 32 x 32 input.

    python calibration/build_test_models.py

writes tests/encoder/models/*.tflite; needs TensorFlow (extra `calibration`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# the models must have the same bytes on a machine with a GPU
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

OUT = Path(__file__).resolve().parent.parent / "tests" / "encoder" / "models"
SIZE = 32


def network(
    height: int | None = SIZE,
    head: bool = True,
    both: bool = False,
    pooled: bool = True,
    pointwise: bool = False,
    task_units: int = 0,
) -> Any:
    """Return a small Keras classifier: two convolutions, pooled embedding of 24 values, 10 classes."""
    import keras

    layers = keras.layers
    image = keras.Input((height, SIZE, 3), batch_size=1, name="image")
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu6")(image)
    x = layers.Conv2D(24, 3, 2, padding="same", activation="relu6")(x)
    if pointwise:  # the form of TensorFlow's own MobileNets: average pool, 1 x 1 convolution, reshape, softmax
        x = layers.AveragePooling2D(SIZE // 4, name="embedding")(x)
        x = layers.Reshape((10,))(layers.Conv2D(10, 1, name="classes")(x))
        return keras.Model(image, layers.Softmax()(x))
    if pooled:
        x = layers.GlobalAveragePooling2D(name="embedding")(x)
    if not head:
        return keras.Model(image, x)
    if task_units:  # as Teachable Machine's exports have: 100 units between the pooled vector and the classes
        x = layers.Dense(task_units, activation="relu", name="task")(x)
    classes = layers.Softmax()(layers.Dense(10, name="classes")(x))
    return keras.Model(image, [classes, x] if both else classes)


def convert(model: Any, kind: str) -> bytes:
    """Return the TFLite file: `kind` is the dtype at both ends ("uint8", "int8"), or "float32"."""
    import tensorflow as tf

    def representative() -> Iterator[list[Any]]:
        random = np.random.default_rng(1)
        for _ in range(20):
            yield [((random.integers(0, 256, (1, SIZE, SIZE, 3)) - 127.0) / 128.0).astype(np.float32)]

    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if kind != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
        content: bytes = converter.convert()
    return content


def main() -> None:
    import keras

    models = {
        "classifier_uint8": ({}, "uint8"),
        "classifier_int8": ({}, "int8"),
        "classifier_pointwise": ({"pointwise": True}, "uint8"),
        "classifier_task_layer": ({"task_units": 12}, "uint8"),
        "embedding_uint8": ({"head": False}, "uint8"),
        "embedding_int8": ({"head": False}, "int8"),
        "float32": ({}, "float32"),
        "two_outputs": ({"both": True}, "uint8"),
        "open_height": ({"height": None}, "uint8"),
        "map_output": ({"head": False, "pooled": False}, "uint8"),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (options, kind) in models.items():
        # otherwise Keras numbers the layers on from the model before, and the names are part of the file
        keras.utils.clear_session()
        keras.utils.set_random_seed(7)
        content = convert(network(**options), kind)
        (OUT / f"{name}.tflite").write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
