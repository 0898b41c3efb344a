"""A software bill of materials in CycloneDX 1.6, of what is unpacked in a site-packages folder."""

import hashlib
import json
import uuid
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from edge_app import __version__

NAMESPACE = uuid.UUID("5b0c7d0e-3d0c-4e43-9d63-6f1f4ed2a0c1")


def of_environment(site: Path) -> str:
    """Return the document as JSON: every distribution with its licence, and edge-app's encoders with their sums."""
    found = [_component(path) for path in sorted(site.glob("*.dist-info"))]
    own = next(part for part in found if part["name"] == "edge-app")
    libraries = [part for part in found if part is not own]
    encoders = [_encoder(path) for path in sorted((site / "edge_app" / "firmware_models").glob("*.tflite"))]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": libraries + encoders,
        "dependencies": [
            {"ref": own["bom-ref"], "dependsOn": [part["bom-ref"] for part in libraries + encoders]},
            *({"ref": part["bom-ref"]} for part in libraries + encoders),
        ],
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}"
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _component(folder: Path) -> dict[str, Any]:
    headers = HeaderParser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
    name = headers["Name"].lower().replace("_", "-")
    version = headers["Version"]
    component = {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
    component["bom-ref"] = component["purl"]
    if headers["Summary"]:
        component["description"] = headers["Summary"]
    licence = headers["License-Expression"] or (headers["License"] or "").strip()
    if headers["License-Expression"]:
        component["licenses"] = [{"expression": licence}]
    elif licence and "\n" not in licence and licence != "UNKNOWN":
        component["licenses"] = [{"license": {"name": licence}}]
    else:
        classifiers = headers.get_all("Classifier", [])
        named = [value.rpartition(" :: ")[2] for value in classifiers if value.startswith("License")]
        if named:
            component["licenses"] = [{"license": {"name": value}} for value in named]
    return component


def _encoder(path: Path) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"encoder:{path.stem}",
        "name": path.stem,
        "version": __version__,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
    }
