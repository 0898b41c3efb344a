"""Encoder models and their manifests: where they lie, what they say, and whether the bytes are the ones described.

A model is a TFLite file with a TOML manifest of the same stem beside it. Models are looked up by name in

1. the folders that the caller gives,
2. the user's folder: $EDGE_APP_MODELS, else $XDG_DATA_HOME/edge-app/models, else ~/.local/share/edge-app/models,
3. the folder inside the installed package,
4. firmware_models/ beside the package, in a checkout.

The first folder that has the name wins. docs/models.md describes the manifest's keys.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_app.errors import InputError, ModelMismatch, ModelNotFound
from edge_app.files import READABLE, write_atomically

DEFAULT_MODEL = "efficientnet_lite0_gaussian"


@dataclass(frozen=True, slots=True)
class MapOutput:
    """A model's second output: the map (side, side, n) that its embedding is pooled from."""

    side: int
    """Cells along each edge."""
    dtype: str
    """The output tensor's: "uint8", or "int8": then the values are raised by 128 on the way out."""
    scale: float
    zero_point: int
    """Of the uint8 values that the encoder hands out, whatever the tensor's type."""


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """What is known of one encoder model; real value = scale * (quantised value - zero point)."""

    name: str
    manifest_path: Path
    path: Path
    """The TFLite file."""
    sha256: str
    """Of the TFLite file, 64 lower-case hexadecimal digits; learnt state is bound to it."""
    input_size: int
    """Side of the square RGB input, pixels."""
    input_dtype: str
    """"uint8", or "int8": then the pixels are lowered by 128 on the way in."""
    input_scale: float
    input_zero_point: int
    embedding_size: int
    embedding_dtype: str
    """The output tensor's: "uint8", or "int8": then the values are raised by 128 on the way out."""
    embedding_scale: float
    embedding_zero_point: int
    """Of the uint8 values that the encoder hands out, whatever the tensor's type."""
    pooling: str = ""
    """How the last map becomes the embedding: "gaussian", or free text; empty when it is not known."""
    sigma: float | None = None
    """Of Gaussian pooling, cells of the last map."""
    last_map: MapOutput | None = None
    """The last map, where the model gives it as a second output."""
    crop: float = 1.0
    """Part of the frame's shorter side that the encoder is shown, around the centre."""
    architecture: str = ""
    source: str = ""
    licence: str = ""
    command: str = ""
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    rate_code: Mapping[str, Any] = field(default_factory=dict)
    """The calibration of the rate code, as it stands in the file; empty when there is none."""
    self_check: Mapping[str, str] = field(default_factory=dict)
    """TFLite runtime -> SHA-256 of the embedding of `selfcheck.picture` by it; empty when nothing is known."""

    @property
    def rate_code_path(self) -> Path | None:
        """The file that `rate_code` refers to, beside the manifest; None when it refers to none."""
        name = self.rate_code.get("file")
        return None if name is None else self.manifest_path.parent / str(name)


def user_models_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the folder of the user's own models, which need not exist; None where the user has no home folder."""
    environ = os.environ if environ is None else environ
    if environ.get("EDGE_APP_MODELS"):
        return Path(environ["EDGE_APP_MODELS"]).expanduser()
    if environ.get("XDG_DATA_HOME"):
        return Path(environ["XDG_DATA_HOME"]) / "edge-app" / "models"
    try:
        return Path.home() / ".local" / "share" / "edge-app" / "models"
    except RuntimeError:  # a service account with neither HOME nor an entry in the password file
        return None


def model_dirs(extra_dirs: Iterable[Path] = ()) -> list[Path]:
    """Return the folders that are searched, first to last, those that do not exist too."""
    package = Path(__file__).resolve().parent.parent
    user = user_models_dir()
    own = [] if user is None else [user]
    return [*map(Path, extra_dirs), *own, package / "firmware_models", package.parent / "firmware_models"]


def find_models(extra_dirs: Iterable[Path] = ()) -> dict[str, Path]:
    """Return {name: path of the manifest} of all models there are, in the order of lookup; reads no file's content."""
    found: dict[str, Path] = {}
    for folder in model_dirs(extra_dirs):
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            found.setdefault(path.stem, path)
    return found


def load_manifest(
    name_or_path: str | Path | None = None, extra_dirs: Iterable[Path] = (), *, check: bool = True
) -> ModelManifest:
    """Return the manifest of a model, given by name or by the path of its .toml or .tflite file; None: the default.

    With `check`, the hashes of the model and of the file that its rate code names are compared too. Raises
    ModelNotFound when there is no such model or a file of it is missing, ModelMismatch when a file is not the one
    described, InputError when the manifest is not valid.
    """
    extra_dirs = tuple(extra_dirs)
    name_or_path = DEFAULT_MODEL if name_or_path is None else name_or_path
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or os.sep in text or text.endswith((".toml", ".tflite")):
        path = Path(name_or_path).with_suffix(".toml")
        if not path.is_file():
            raise ModelNotFound(f"{path}: no such manifest; `edge-app models add FILE` writes one for a TFLite file")
    else:
        found = find_models(extra_dirs)
        if text not in found:
            searched = ", ".join(str(folder) for folder in model_dirs(extra_dirs))
            raise ModelNotFound(
                f"no encoder model is called {text!r}; there are: {', '.join(found) or 'none'} (searched {searched})"
            )
        path = found[text]
    manifest = read_manifest(path)
    if check:
        check_files(manifest)
    return manifest


def check_files(manifest: ModelManifest) -> None:
    """Raise ModelNotFound or ModelMismatch unless the manifest's files are there with the bytes described."""
    _check_hash(manifest.path, manifest.sha256, manifest)
    rate_code = manifest.rate_code_path
    if rate_code is not None:
        _check_hash(rate_code, str(manifest.rate_code["sha256"]), manifest)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 lower-case hexadecimal digits. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_hash(path: Path, expected: str, manifest: ModelManifest) -> None:
    try:
        actual = sha256_of(path)
    except FileNotFoundError as error:
        raise ModelNotFound(f"{path} is missing, which {manifest.manifest_path} describes") from error
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    if actual != expected:
        raise ModelMismatch(
            f"{path} is not the file that {manifest.manifest_path.name} describes: its SHA-256 is {actual}, expected "
            f"{expected}. Restore the file, or add it under a name of its own: edge-app models add {path} --name NAME"
        )


def read_manifest(path: Path) -> ModelManifest:
    """Return the manifest in a TOML file, its files unchecked. Raises ModelNotFound, or InputError naming the key."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelNotFound(f"{path}: no such manifest") from error
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise InputError(f"{path} is not a valid manifest: {error}") from error
    reader = _Reader(path, table)
    if reader.text("name", path.stem) != path.stem:
        raise InputError(
            f"{path}: name = {table['name']!r}, expected {path.stem!r}: a model is called after its manifest"
        )
    file = reader.text("file")
    if Path(file).name != file:
        raise InputError(f"{path}: file = {file!r} must be a plain file name; the model lies beside its manifest")
    return ModelManifest(
        name=path.stem,
        manifest_path=path,
        path=path.parent / file,
        sha256=reader.sha256("sha256"),
        input_size=reader.whole("input.size", 8, 4096),
        input_dtype=reader.dtype("input.dtype"),
        input_scale=reader.positive("input.scale"),
        input_zero_point=reader.whole("input.zero_point", -128, 255),
        embedding_size=reader.whole("embedding.size", 1, 65_536),
        embedding_dtype=reader.dtype("embedding.dtype"),
        embedding_scale=reader.positive("embedding.scale"),
        embedding_zero_point=reader.whole("embedding.zero_point", 0, 255),
        pooling=reader.text("embedding.pooling", ""),
        sigma=reader.sigma(),
        last_map=reader.last_map(),
        crop=reader.positive("crop", 1.0, default=1.0),
        architecture=reader.text("architecture", ""),
        source=reader.text("source", ""),
        licence=reader.text("licence", ""),
        command=reader.text("command", ""),
        accuracy=reader.mapping("accuracy"),
        rate_code=reader.rate_code(),
        self_check=reader.self_check(),
    )


class _Reader:
    """Takes typed values out of a manifest's table; every error names the file, the key and what was expected."""

    def __init__(self, path: Path, table: Mapping[str, Any]) -> None:
        self.path = path
        self.table = table

    def _get(self, key: str, default: Any, wanted: str, *types: type) -> Any:
        value: Any = self.table
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            value = default
        if not isinstance(value, types) or isinstance(value, bool):
            found = "is missing" if value is None else f"= {value!r}"
            raise InputError(f"{self.path}: {key} {found}, expected {wanted}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return str(self._get(key, default, "a string", str))

    def whole(self, key: str, low: int, high: int) -> int:
        wanted = f"a whole number from {low} to {high}"
        value = int(self._get(key, None, wanted, int))
        if not low <= value <= high:
            raise InputError(f"{self.path}: {key} = {value}, expected {wanted}")
        return value

    def positive(self, key: str, high: float = 1e6, default: float | None = None) -> float:
        wanted = f"a number above 0, at most {high:g}"
        value = float(self._get(key, default, wanted, int, float))
        if not 0.0 < value <= high:
            raise InputError(f"{self.path}: {key} = {value}, expected {wanted}")
        return value

    def dtype(self, key: str) -> str:
        value = self.text(key)
        if value not in ("uint8", "int8"):
            raise InputError(f'{self.path}: {key} = {value!r}, expected "uint8" or "int8"')
        return value

    def sha256(self, key: str) -> str:
        value = self.text(key)
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise InputError(f"{self.path}: {key} = {value!r}, expected 64 lower-case hexadecimal digits")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        return MappingProxyType(dict(self._get(key, {}, "a table", Mapping)))

    def sigma(self) -> float | None:
        return self.positive("embedding.sigma") if self.text("embedding.pooling", "") == "gaussian" else None

    def last_map(self) -> MapOutput | None:
        if not self.mapping("map"):
            return None
        return MapOutput(
            side=self.whole("map.side", 1, 4096),
            dtype=self.dtype("map.dtype"),
            scale=self.positive("map.scale"),
            zero_point=self.whole("map.zero_point", 0, 255),
        )

    def rate_code(self) -> Mapping[str, Any]:
        found = self.mapping("rate_code")
        if "file" in found:
            file = self.text("rate_code.file")
            if Path(file).name != file:
                raise InputError(f"{self.path}: rate_code.file = {file!r} must be a plain file name")
            self.sha256("rate_code.sha256")
        return found

    def self_check(self) -> Mapping[str, str]:
        return MappingProxyType({name: self.sha256(f"self_check.{name}") for name in self.mapping("self_check")})


def write_manifest(path: Path, table: Mapping[str, Any]) -> None:
    """Write a manifest's table as TOML, whole or not at all. Raises OSError."""
    import tomli_w

    write_atomically(path, tomli_w.dumps(dict(table)).encode(), mode=READABLE)
