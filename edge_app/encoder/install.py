"""Add a model to the user's folder, checked first and whole or not at all; remove one."""

from __future__ import annotations

import hashlib
import re
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_app.encoder.apart import run_apart
from edge_app.encoder.graph import EmbeddingModel, cut_at_embedding
from edge_app.encoder.model import (
    RGB,
    ModelManifest,
    check_files,
    find_models,
    load_manifest,
    read_manifest,
    user_models_dir,
    write_manifest,
)
from edge_app.encoder.selfcheck import distribution, embedding_digest
from edge_app.encoder.tflite import TensorInfo, TFLiteEncoder, describe
from edge_app.errors import EdgeAppError, InputError, ModelNotFound, StateNotWritable
from edge_app.files import READABLE, locked, write_atomically

MAX_MODEL_BYTES = 256 * 1024 * 1024
USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOW = "https://ai.google.dev/edge/litert/models/post_training_integer_quant tells how to make a full-integer model"


class ModelFacts(NamedTuple):
    """Facts about a model that its file does not contain; free text but for `crop`, a fraction, and `colour`."""

    source: str = ""
    licence: str = ""
    architecture: str = ""
    crop: float = 1.0
    colour: str = RGB
    """Of the input, one of model.INPUT_COLOURS."""


def add_model(
    file: Path,
    *,
    name: str | None = None,
    embedding: str | None = None,
    facts: ModelFacts | None = None,
    folder: Path | None = None,
    replace: bool = False,
) -> tuple[ModelManifest, EmbeddingModel]:
    """Copy a TFLite model into the user's folder with a manifest of its own; return both.

    `name` is the file's stem unless given, `embedding` the tensor to cut at (see graph.cut_at_embedding), `folder`
    the folder to write to. Without `embedding` and `facts`, a manifest beside the file that describes it is copied. The
    model is run once before anything is stored. Raises InputError, with the reason, when the model cannot be used;
    StateNotWritable when the folder cannot be written.
    """
    name = file.stem if name is None else name
    folder = _user_folder() if folder is None else folder
    _check_name(name, folder, replace)
    content = _read(file)
    described = _described(file, name, content) if embedding is None and facts is None else None
    if described is None:
        cut = cut_at_embedding(content, embedding, str(file))
        table = run_apart(_checked_table, name, cut, facts or ModelFacts(), str(file), what=str(file))
        table["command"] = _command(file, name, embedding)
        files = {table["file"]: cut.content}
    else:
        table, files = described
        # tried even so: the runtime here may be another than its maker's
        table = run_apart(_tried, table, files, what=str(file))
        cut = EmbeddingModel(content, table["embedding"]["tensor"], ())
    earlier = folder / f"{name}.toml"
    with _changing(folder):
        _check_name(name, folder, replace)  # another program may have added it meanwhile
        old = read_manifest(earlier).files if earlier.is_file() else ()
        _write(folder, table, files)
        for path in old:
            if path.name not in files:  # a new model with the same content keeps its file
                path.unlink(missing_ok=True)
        return load_manifest(earlier), cut


def remove_model(name: str, *, folder: Path | None = None) -> list[Path]:
    """Delete a model of the user's folder; return its files. Raises ModelNotFound, InputError for a shipped model."""
    folder = _user_folder() if folder is None else folder
    path = folder / f"{name}.toml"
    if not path.is_file():
        if name in find_models():
            raise InputError(
                f"model {name!r} is shipped with edge-app ({find_models()[name]}); only added models can be removed"
            )
        there = ", ".join(sorted(p.stem for p in folder.glob("*.toml"))) or "none"
        raise ModelNotFound(f"no model {name!r} in {folder}; added models: {there}")
    with _changing(folder):
        manifest = read_manifest(path)
        files = [path, *manifest.files]
        for file in files:  # the manifest first: a model without one is ignored
            file.unlink(missing_ok=True)
    return files


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Change the models of a folder while no other program does. Raises StateNotWritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            yield
    except EdgeAppError:
        raise
    except OSError as error:
        raise StateNotWritable(f"{folder} cannot be written: {error.strerror or error}") from error


def _user_folder() -> Path:
    folder = user_models_dir()
    if folder is None:
        raise InputError("this account has no home folder: set EDGE_APP_MODELS to the folder for models")
    return folder


def _check_name(name: str, folder: Path, replace: bool) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"model name {name!r} is not valid, expected 1 to 64 letters, digits, '.', '_' or '-', the first a letter "
            "or a digit; give one with --name"
        )
    path = folder / f"{name}.toml"
    if path.is_file() and not replace:
        raise InputError(f"a model {name!r} exists already ({path}); choose another --name, or use --replace")
    if not path.is_file() and name in find_models():
        raise InputError(f"{name!r} is the name of a model shipped with edge-app; choose another --name")


def _read(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise InputError(f"{file} has {size} bytes; a model may have at most {MAX_MODEL_BYTES}")
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error


def _checked_table(name: str, cut: EmbeddingModel, facts: ModelFacts, shown: str) -> dict[str, Any]:
    """Return the manifest's table of a model that has run."""
    table = _table(name, cut, facts, shown)
    return _tried(table, {table["file"]: cut.content})


def _tried(table: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    """Run a model; return its manifest's table, with what the run showed where the table does not say it."""
    tensor = table["embedding"].get("tensor") or describe(files[table["file"]], table["name"]).outputs[0].name
    with tempfile.TemporaryDirectory(prefix="edge-app-model-") as scratch:
        _write(Path(scratch), table, files)
        digests = _try_out(load_manifest(Path(scratch) / f"{table['name']}.toml"))
    checked = {
        "embedding": table["embedding"] | {"tensor": tensor},
        "self_check": digests | table.get("self_check", {}),
    }
    return table | checked


def unusual_input(manifest: ModelManifest) -> str | None:
    """Return a warning when pixels 0..255 stand for none of the ranges that image models take; None when they do."""
    offset = -128 if manifest.input_dtype == "int8" else 0
    low, high = ((level + offset - manifest.input_zero_point) * manifest.input_scale for level in (0, 255))
    for usual_low, usual_high in USUAL_RANGES:
        tolerance = 0.03 * (usual_high - usual_low)
        if abs(low - usual_low) <= tolerance and abs(high - usual_high) <= tolerance:
            return None
    return (
        f"its input stands for {low:.3g} to {high:.3g}, not for one of the usual ranges (0 to 1, -1 to 1, 0 to 255). "
        "Pixels are passed on as they are: if the model was trained with a mean and a deviation for each channel, its "
        "embeddings will be worse than they could be; measure with `edge-app evaluate --model`"
    )


def _described(file: Path, name: str, content: bytes) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """Return the table of the manifest beside a model, and the content of all files that it names, under a new name.

    None when there is no manifest of this content. Raises ModelNotFound, ModelMismatch for the other files.
    """
    path = file.with_suffix(".toml")
    sha256 = hashlib.sha256(content).hexdigest()
    # a manifest of another file of that name says nothing about this one
    if not path.is_file() or read_manifest(path).sha256 != sha256:
        return None
    check_files(read_manifest(path))
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    table["name"], table["file"] = name, f"{name}-{sha256[:12]}.tflite"
    files = {table["file"]: content}
    for key in ("rate_code", "background"):
        if "file" in table.get(key, {}):
            beside = path.parent / table[key]["file"]
            table[key]["file"] = f"{name}-{table[key]['sha256'][:12]}.{key}{beside.suffix}"
            files[table[key]["file"]] = _read(beside)
    return table, files


def _table(name: str, cut: EmbeddingModel, facts: ModelFacts, shown: str) -> dict[str, Any]:
    """Return the manifest's table. Raises InputError with the reason when the model cannot be used."""
    tensors = describe(cut.content, shown)
    if len(tensors.inputs) != 1 or len(tensors.outputs) != 1:
        raise InputError(
            f"{shown} has {len(tensors.inputs)} inputs and {len(tensors.outputs)} outputs, expected 1 each"
        )
    source, sink = tensors.inputs[0], tensors.outputs[0]
    _check_quantised(source, "input", shown)
    _check_quantised(sink, "output", shown)
    _check_shapes(source, sink, shown)
    sha256 = hashlib.sha256(cut.content).hexdigest()
    return {
        "name": name,
        "file": f"{name}-{sha256[:12]}.tflite",  # a replaced model then changes in one step, with its manifest
        "sha256": sha256,
        "architecture": facts.architecture,
        "source": facts.source,
        "licence": facts.licence,
        "crop": facts.crop,
        "input": {
            "size": source.shape[1],
            "dtype": source.dtype,
            "colour": facts.colour,
            "scale": source.scale,
            "zero_point": source.zero_point,
        },
        "embedding": {
            "size": int(np.prod(sink.shape)),
            "dtype": sink.dtype,
            "tensor": cut.tensor,
            "scale": sink.scale,
            "zero_point": sink.zero_point + (128 if sink.dtype == "int8" else 0),
        },
    }


def _check_quantised(tensor: TensorInfo, role: str, shown: str) -> None:
    if tensor.dtype not in ("uint8", "int8"):
        raise InputError(f"{shown}: its {role} {tensor.name!r} is {tensor.dtype}, expected uint8 or int8; {_HOW}")
    if tensor.scale <= 0.0:
        raise InputError(f"{shown}: its {role} {tensor.name!r} has no quantisation scale; {_HOW}")


def _check_shapes(source: TensorInfo, sink: TensorInfo, shown: str) -> None:
    shape = source.shape
    if -1 in shape or -1 in sink.shape:
        raise InputError(f"{shown}: input {list(shape)} and output {list(sink.shape)} must have fixed sizes")
    square = len(shape) == 4 and shape[0] == 1 and shape[1] == shape[2] and shape[3] == 3
    if not square or not 8 <= shape[1] <= 4096:
        raise InputError(f"{shown}: input {source.name!r} is {list(shape)}, expected [1, size, size, 3], size 8..4096")
    if sink.shape[-1] != int(np.prod(sink.shape)) or sink.shape[-1] < 8:
        raise InputError(
            f"{shown}: output {sink.name!r} is {list(sink.shape)}, expected one vector of at least 8 values; name the "
            "globally pooled tensor with --embedding"
        )


def _try_out(manifest: ModelManifest) -> dict[str, str]:
    """Run the model; return [self_check] of its manifest, which tells other machines whether they compute the same."""
    size = manifest.input_size
    pictures = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    # the second is darker too: a model that answers alike is no encoder of pictures
    pictures[1] >>= 2
    try:
        with TFLiteEncoder(manifest) as encoder:
            first, second = encoder.encode(pictures[0]), encoder.encode(pictures[1])
            digests = {distribution(encoder): embedding_digest(encoder)}
    except EdgeAppError:
        raise
    except Exception as error:
        raise InputError(f"{manifest.name}: the model does not run: {error}") from error
    if np.array_equal(first, second):
        raise InputError(
            f"{manifest.name}: two different pictures give the same output; the output is not an embedding"
        )
    return digests


def _write(folder: Path, table: dict[str, Any], files: dict[str, bytes]) -> None:
    for name, content in files.items():
        write_atomically(folder / name, content, mode=READABLE)
    # last: a model exists once its manifest does
    write_manifest(folder / f"{table['name']}.toml", table)


def _command(file: Path, name: str, embedding: str | None) -> str:
    chosen = "" if embedding is None else f" --embedding {embedding!r}"
    return f"edge-app models add {file.name} --name {name}{chosen}"
