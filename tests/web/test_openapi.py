"""The OpenAPI document is valid and describes every route."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from starlette.routing import Route

from edge_app.web.openapi import LABEL, describe
from edge_app.web.operations import PLACE_ROOT
from support.served import Served, api


def test_every_path_is_described_and_every_description_is_served(served: Served) -> None:
    description = served.http.get(api("/openapi.json")).json()
    assert description == json.loads(json.dumps(describe()))  # tuples are lists in JSON
    assert description["openapi"] == "3.1.0"
    assert served.server._site is not None
    routes = {
        (method, route.path.replace(":path", ""))
        for route in served.server._site.routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    # every operation is there for a place too
    of_places = {(method, path) for method, path in routes if path.startswith(PLACE_ROOT)}
    assert of_places < {(method, path.replace("/api/v1", PLACE_ROOT, 1)) for method, path in routes}
    routes -= of_places
    described = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    assert routes - described == {("GET", path) for path in ("/", "/metrics", api("/live.mjpg"), api("/openapi.json"))}
    assert described <= routes


def test_the_description_is_as_it_was() -> None:
    """A change of the API is a change of this file too."""
    description = describe()
    del description["info"]["version"]
    golden = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(description)) == golden


def test_every_reference_leads_somewhere_and_schemas_are_schemas() -> None:
    description = describe()
    schemas = description["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/(\w+)", repr(description)):
        assert name in schemas
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = [one["operationId"] for methods in description["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("label", "right"), [("cup", True), ("red pen", True), ("a", True), ("", False), (" a", False)]
)
def test_labels_in_paths(label: str, right: bool) -> None:
    assert bool(re.search(LABEL, label)) is right
