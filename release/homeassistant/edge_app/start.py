"""Starts edge-app in Home Assistant, configured by the add-on's options and the broker that the Supervisor names.

`--print` prints the configuration and starts nothing.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import tomli_w

DATA = Path(os.environ.get("EDGE_APP_ADDON_DATA", "/data"))
"""The add-on's own folder; it is part of Home Assistant's backups."""
OWN = Path(os.environ.get("EDGE_APP_ADDON_CONFIG", "/config")) / "config.toml"
"""A configuration of the user's, which is used instead of the options where it exists."""
SUPERVISOR = os.environ.get("SUPERVISOR", "http://supervisor")
if "://" not in SUPERVISOR:
    SUPERVISOR = f"http://{SUPERVISOR}"
INGRESS = "172.30.32.2"
"""The address that the Supervisor's ingress comes from; fixed by Home Assistant."""


def broker() -> dict[str, Any] | None:
    """Return the broker that the Supervisor knows: host, port, username, password, ssl; None if it has none."""
    token = os.environ.get("SUPERVISOR_TOKEN", "")
    request = urllib.request.Request(f"{SUPERVISOR}/services/mqtt", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
    except (OSError, ValueError, KeyError) as error:
        print(f"no message broker: the Supervisor names none ({error}); install the add-on Mosquitto", file=sys.stderr)
        return None
    return found if found.get("host") else None


def configuration(options: dict[str, Any], service: dict[str, Any] | None) -> dict[str, Any]:
    """Return the tables of the configuration for the add-on's options and a broker."""
    tables: dict[str, Any] = {
        "camera": {"uri": options["camera"]},
        "buttons": {"uri": options["buttons"]},
        "lights": {"uri": options.get("lights", "")},
        "decision": {"strictness": float(options["strictness"])},
        "state": {"folder": str(DATA / "state")},
        "web": {
            "enabled": True,
            "host": "0.0.0.0",
            "plain_http": True,
            "gateway": INGRESS,
            "gateway_role": options["role"],
            "frame_ancestors": ["self"],
        },
    }
    if service:
        mqtt = {"enabled": True, "host": service["host"], "port": int(service["port"])}
        mqtt |= {"commands": options["mqtt_commands"], "thumbnails": options["pictures"]}
        mqtt |= {"name": options.get("device_name", ""), "user": service.get("username") or ""}
        mqtt["tls"] = bool(service.get("ssl"))
        if service.get("password"):
            mqtt["password_file"] = str(secret(service["password"]))
        tables["mqtt"] = mqtt
    return tables


def secret(password: str) -> Path:
    """Write the broker's password where only this program can read it, and return the file."""
    path = DATA / "mqtt-password"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(password)
    return path


def main() -> None:
    """Write the configuration and become edge-app."""
    options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
    (DATA / "state").mkdir(exist_ok=True)
    if OWN.is_file():
        config = OWN
    else:
        config = DATA / "config.toml"
        text = tomli_w.dumps(configuration(options, broker() if options["mqtt"] else None))
        config.write_text(text, encoding="utf-8")
    if sys.argv[1:] == ["--print"]:
        print(config.read_text(encoding="utf-8"), end="")
        return
    cache = {"NUMBA_CACHE_DIR": str(DATA / "kernels"), "EDGE_APP_MODELS": str(DATA / "state" / "models")}
    os.execve(
        sys.executable, [sys.executable, "-m", "edge_app", "run", "--config", str(config)], {**os.environ, **cache}
    )


if __name__ == "__main__":
    main()
