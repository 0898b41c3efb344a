"""A camera that learns: a frozen int8 encoder before a fixed-point spiking classifier that is taught on the device.

Importing this package does no work: no driver, no model and no compiler is loaded before it is asked for. The names of
PUBLIC are imported from their modules when they are first used; docs/python.md describes them.
"""

from typing import Any

__version__ = "0.2.0"

PUBLIC = {
    "Action": "edge_app.storage.records",
    "Advice": "edge_app.pipeline.coach",
    "ButtonEdge": "edge_app.devices.ports",
    "Buttons": "edge_app.devices.ports",
    "Camera": "edge_app.devices.ports",
    "Classified": "edge_app.classifier",
    "Classifier": "edge_app.classifier",
    "Config": "edge_app.config",
    "Corrected": "edge_app.pipeline.events",
    "Decided": "edge_app.pipeline.events",
    "Decision": "edge_app.messages",
    "Device": "edge_app.device",
    "DeviceError": "edge_app.errors",
    "EdgeAppError": "edge_app.errors",
    "Event": "edge_app.pipeline.events",
    "EventStream": "edge_app.device",
    "Example": "edge_app.storage.records",
    "Frame": "edge_app.messages",
    "Health": "edge_app.pipeline.events",
    "InputError": "edge_app.errors",
    "ModelMismatch": "edge_app.errors",
    "ModelNotFound": "edge_app.errors",
    "Rejected": "edge_app.pipeline.events",
    "RuntimeMissing": "edge_app.errors",
    "SimilarExample": "edge_app.pipeline.coach",
    "StateBusy": "edge_app.errors",
    "StateCorrupt": "edge_app.errors",
    "StateNotWritable": "edge_app.errors",
    "Taught": "edge_app.pipeline.events",
    "UnknownLabel": "edge_app.errors",
    "load_config": "edge_app.config",
}
"""Public name -> module that defines it."""

__all__ = ("__version__", *PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    # kept in globals(): the next use does not come here
    value = globals()[name] = getattr(importlib.import_module(PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
