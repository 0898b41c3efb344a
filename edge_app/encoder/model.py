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
from typing import Any

from edge_app.checks import NAME, SHA256, TABLE, Table, matching, number, one_of, table_of, text, whole
from edge_app.errors import InputError, ModelMismatch, ModelNotFound
from edge_app.files import READABLE, expanded, read_text, write_atomically

DEFAULT_MODEL = "efficientnet_lite0_gaussian"
SHORT_NAMES = {size: f"efficientnet_{size}_gaussian" for size in ("lite0", "lite0x2", "lite1", "lite2")}
"""Short names of edge-app's own encoders; a model that was added under such a name takes precedence."""
RGB = "RGB"
INPUT_COLOURS = (RGB, "red-blue")
"""RGB: pictures. Others: brightness events, drawn in these colours (edge_app/events/drawing.py)."""
DTYPE = one_of("uint8", "int8")
SCALE = number(0, 1e6, above=True)
ZERO_POINT = whole(0, 255)
FILE_NAME = matching(r"(?!\.{1,2}$)[^/\0]+", "a plain file name: the file lies beside the manifest")


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
    """An encoder model as its manifest describes it; real value = scale * (quantised value - zero point)."""

    name: str
    manifest_path: Path
    path: Path
    """The TFLite file."""
    sha256: str
    """Of the TFLite file, 64 lower-case hexadecimal digits; learnt state is bound to it."""
    input_size: int
    """Side of the square input, pixels."""
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
    input_colour: str = RGB
    """One of INPUT_COLOURS."""
    crop: float = 1.0
    """Part of the frame's shorter side that the encoder is shown, around the centre."""
    architecture: str = ""
    source: str = ""
    licence: str = ""
    command: str = ""
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    rate_code: Mapping[str, Any] = field(default_factory=dict)
    """The calibration of the rate code, as it stands in the file; empty when there is none."""
    background: Mapping[str, str] = field(default_factory=dict)
    """File and SHA-256 of the background columns' counts; empty when the model brings none."""
    spiking: Mapping[str, Any] = field(default_factory=dict)
    """Of a spiking encoder: steps, schedule, rates, operations (docs/spiking.md); empty for others."""
    self_check: Mapping[str, str] = field(default_factory=dict)
    """TFLite runtime -> SHA-256 of the embedding of `selfcheck.picture` by it; empty when nothing is known."""

    @property
    def event_colours(self) -> str:
        """How events are drawn for this model: "red-blue", or "grey" for a model of pictures."""
        return "grey" if self.input_colour == RGB else self.input_colour

    def require_events(self, events: bool) -> None:
        """Raise InputError for a model that takes events alone, unless `events` are what it is going to be shown."""
        if self.input_colour != RGB and not events:
            raise InputError(
                f"model {self.name!r} takes events drawn in {self.input_colour}, not pictures: add --events"
            )

    @property
    def rate_code_path(self) -> Path | None:
        """The file that `rate_code` refers to, beside the manifest; None when it refers to none."""
        name = self.rate_code.get("file")
        return None if name is None else self.manifest_path.parent / str(name)

    @property
    def background_path(self) -> Path | None:
        """The file of the background columns' counts, beside the manifest; None when the model brings none."""
        name = self.background.get("file")
        return None if name is None else self.manifest_path.parent / name

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the manifest names, the model first."""
        return (self.path, *filter(None, (self.rate_code_path, self.background_path)))


def user_models_dir(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the folder of the user's own models, which need not exist; None where the user has no home folder."""
    environ = os.environ if environ is None else environ
    if environ.get("EDGE_APP_MODELS"):
        return expanded(environ["EDGE_APP_MODELS"])
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
        # sorted: the order of a folder's entries differs between file systems
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            found.setdefault(path.stem, path)
    return found


def load_manifest(
    name_or_path: str | Path | None = None, extra_dirs: Iterable[Path] = (), *, check: bool = True
) -> ModelManifest:
    """Return the manifest of a model, given by name or by the path of its .toml or .tflite file; None: the default.

    A name may be one of SHORT_NAMES.

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
        # an added model of that name comes first
        if text not in found:
            text = SHORT_NAMES.get(text, text)
        if text not in found and text in SHORT_NAMES.values():
            raise ModelNotFound(
                f"the encoder {text} is not part of this installation. In a checkout of edge-app `make models` builds "
                f"it in firmware_models/; `edge-app models add {text}.tflite` adds it where edge-app is installed"
            )
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
    background = manifest.background_path
    if background is not None:
        _check_hash(background, manifest.background["sha256"], manifest)


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
        table = tomllib.loads(read_text(path))
    except FileNotFoundError as error:
        raise ModelNotFound(f"{path}: no such manifest") from error
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise InputError(f"{path} is not a valid manifest: {error}") from error
    return _manifest(path, Table(table, f"{path}: "))


def _manifest(path: Path, table: Table) -> ModelManifest:
    # models are looked up by their file's name
    if table.read("name", NAME, path.stem) != path.stem:
        raise InputError(
            f"{path}: name = {table.values['name']!r}, expected {path.stem!r}: a model is called after its manifest"
        )
    pooling = table.read("embedding.pooling", text(), "")
    return ModelManifest(
        name=path.stem,
        manifest_path=path,
        path=path.parent / table.read("file", FILE_NAME),
        sha256=table.read("sha256", SHA256),
        input_size=table.read("input.size", whole(8, 4096)),
        input_dtype=table.read("input.dtype", DTYPE),
        input_scale=table.read("input.scale", SCALE),
        input_zero_point=table.read("input.zero_point", whole(-128, 255)),
        embedding_size=table.read("embedding.size", whole(1, 65_536)),
        embedding_dtype=table.read("embedding.dtype", DTYPE),
        embedding_scale=table.read("embedding.scale", SCALE),
        embedding_zero_point=table.read("embedding.zero_point", ZERO_POINT),
        pooling=pooling,
        sigma=table.read("embedding.sigma", SCALE) if pooling == "gaussian" else None,
        last_map=_last_map(table),
        input_colour=table.read("input.colour", one_of(*INPUT_COLOURS), RGB),
        crop=table.read("crop", number(0, 1, above=True), 1.0),
        architecture=table.read("architecture", text(), ""),
        source=table.read("source", text(), ""),
        licence=table.read("licence", text(), ""),
        command=table.read("command", text(), ""),
        accuracy=table.read("accuracy", TABLE, {}),
        rate_code=_named_file(table, "rate_code"),
        background=_named_file(table, "background"),
        spiking=table.read("spiking", TABLE, {}),
        self_check=table.read("self_check", table_of(SHA256, "a table of SHA-256 digests"), {}),
    )


def _last_map(table: Table) -> MapOutput | None:
    if not table.read("map", TABLE, {}):
        return None
    return MapOutput(
        side=table.read("map.side", whole(1, 4096)),
        dtype=table.read("map.dtype", DTYPE),
        scale=table.read("map.scale", SCALE),
        zero_point=table.read("map.zero_point", ZERO_POINT),
    )


def _named_file(table: Table, key: str) -> Mapping[str, Any]:
    """Return a table that may name a file beside the manifest, with its hash."""
    found = table.read(key, TABLE, {})
    if "file" in found:
        table.read(f"{key}.file", FILE_NAME)
        table.read(f"{key}.sha256", SHA256)
    return found


def write_manifest(path: Path, table: Mapping[str, Any]) -> None:
    """Write a manifest's table as TOML, whole or not at all. Raises OSError."""
    import tomli_w

    write_atomically(path, tomli_w.dumps(dict(table)).encode(), mode=READABLE)
