"""Shared by commands that look at the cameras of a configuration without opening them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_app.config import Config


def unsuited_cameras(config: "Config", model: str | None = None) -> dict[str, str]:
    """Return, by its name, why a camera in use does not suit the encoder of the device; empty if all do.

    `model` takes the place of the configuration's. A model that cannot be read is no matter of the cameras.
    """
    from edge_app.devices import unsuited
    from edge_app.encoder.model import load_manifest
    from edge_app.errors import EdgeAppError
    from edge_app.files import expanded
    from edge_app.learner.manifest import find_manifest

    name, folder = model or config.encoder.model or None, config.state.folder
    try:
        manifest = find_manifest(expanded(folder), name) if folder else load_manifest(name)
    except (EdgeAppError, OSError):  # the folder may be another account's
        return {}
    found = {one: unsuited(camera.uri, manifest.event_colours) for one, camera in config.cameras_in_use().items()}
    return {one: reason for one, reason in found.items() if reason}
