"""The files that hosts of repositories read: workflows, issue forms, citation, security policy."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_app import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
FORMS = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_workflow_runs_what_a_change_has_to_pass_and_the_quick_tests_on_arm() -> None:
    jobs = read(REPOSITORY / ".github" / "workflows" / "ci.yml")["jobs"]
    commands = {name: [step.get("run", "") for step in job["steps"]] for name, job in jobs.items()}
    assert ".ci/run" in commands["all"]
    assert "make test-quick" in commands["arm"]
    assert jobs["arm"]["runs-on"].endswith("-arm")
    assert all("timeout-minutes" in job for job in jobs.values())


@pytest.mark.parametrize("path", [path for path in FORMS if path.name != "config.yml"], ids=lambda path: path.name)
def test_an_issue_form_is_one_and_asks_for_the_doctors_findings(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(set(ids)) == len(ids)
    assert {part["type"] for part in form["body"]} <= KINDS
    doctor = next(part for part in form["body"] if part.get("id") == "doctor")
    assert doctor["attributes"]["label"] == "edge-app doctor --json"
    assert doctor["validations"]["required"]


def test_the_citation_has_the_required_fields_and_this_version() -> None:
    citation = read(REPOSITORY / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert str(citation["version"]) == __version__
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["license"] == project["license"]


def test_the_security_policy_names_the_threat_model() -> None:
    text = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (REPOSITORY / link).is_file()
    assert "Report a vulnerability" in text
