"""The encoder model of a state folder."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest


def find_manifest(folder: Path, name: str | None) -> "ModelManifest":
    """Return the manifest of model `name`; without a name that of the model that the state was taught with.

    A state that does not exist, or whose model is not installed, gives the default model's. Raises ModelNotFound,
    ModelMismatch.
    """
    from edge_app.encoder.model import load_manifest
    from edge_app.storage.database import connect_reader, read_binding
    from edge_app.storage.restore import next_database

    path = next_database(folder)
    if name is not None:
        return load_manifest(name)
    if path.is_file():
        # without the lock: the model has to be known before the state can be opened
        db = connect_reader(path)
        try:
            binding = read_binding(db, path)
        finally:
            db.close()
        # of several manifests of one model file, the one that prepares frames as when the state was taught
        same = installed(binding.encoder_sha256)
        for found in sorted(same, key=lambda path: _preprocessing(path) != binding.preprocessing):
            return load_manifest(found)
    return load_manifest()


def installed(encoder_sha256: str) -> list[Path]:
    """Return the manifests that name a model file of this SHA-256; the files themselves are not read."""
    from edge_app.encoder.model import find_models

    # the hashes that the manifests state: the one that is loaded is checked then
    return [path for path in find_models().values() if _sha256(path) == encoder_sha256]


def preprocessing_of(manifest: "ModelManifest") -> str:
    """Return the description of a model's preprocessing that is part of a binding."""
    from edge_app.encoder.preprocess import METHOD

    return f"{METHOD}, crop {manifest.crop:g}"


def _sha256(path: Path) -> str:
    from edge_app.encoder.model import load_manifest

    return load_manifest(path, check=False).sha256


def _preprocessing(path: Path) -> str:
    from edge_app.encoder.model import load_manifest

    return preprocessing_of(load_manifest(path, check=False))
