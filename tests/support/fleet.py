"""The files of fleet/."""

import json
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FLEET = REPOSITORY / "fleet"


def expressions() -> dict[str, str]:
    """Title of each panel, name of each alert -> its expression."""
    dashboard = json.loads((FLEET / "grafana" / "edge-app.json").read_text(encoding="utf-8"))
    panels = {panel["title"]: target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    groups = yaml.safe_load((FLEET / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return panels | {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
