"""The OpenAPI 3.1 description, made from the table of operations."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from edge_app import __version__
from edge_app.labels import MAX_LENGTH
from edge_app.web import inputs, schema
from edge_app.web.calls import KEY_HEADER
from edge_app.web.operations import OPERATIONS, Operation
from edge_app.web.responses import JSON

DESCRIPTION = """\
Reads a device and teaches it. Roles: view < teach < administer. A program sends `Authorization: Bearer TOKEN`; a
browser signs in at /session and gets a cookie. A change without a bearer token needs the header `X-Edge-App: 1`.
Programs on the device itself may need no token ([web] loopback_role).

Of a device with several [[places]], `/api/v1/...` is the first one. `/api/v1/places/NAME/...` has the same operations
for each place, but for those on all places (`/places`, `/cameras`); places of one group share their classes, examples
and history.

Not described below: `GET /api/v1/live` (WebSocket; each message is a frame's sequence number in 8 bytes, big-endian,
and a JPEG; parameter `max_side`), `GET /api/v1/events` as a WebSocket (each message
`{"id": 7, "event": "taught", "data": {}}`), `GET /api/v1/live.mjpg` (multipart/x-mixed-replace, each part with
X-Frame-Sequence) and `GET /metrics` (Prometheus)."""

LABEL = "^[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,98}[A-Za-z0-9])?$"
"""Class names that every client can send in a path; the device accepts any printable text."""
PATH_PARAMETERS = {
    "label": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": LABEL},
    "id": {"type": "integer", "minimum": 1, "maximum": 2**53},
    "camera": {"type": "string", "minLength": 1, "maxLength": 40, "pattern": "^[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,39})$"},
}
KEY = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
KEY_DESCRIPTION = "Identifies the request: a request with a known key is not carried out again."

ALWAYS = {
    401: "No token, or a wrong token.",
    403: "The role does not suffice, or the request was made by another site.",
    429: "Too many requests, or too many wrong tokens.",
    503: "The device is busy or stopping; try again.",
}
NOT_FOUND = {404: "It does not exist."}
INVALID = {422: "A value is invalid."}
CONFLICT = {409: "The request conflicts with the state of the device; the message says why."}
BAD_BODY = {400: "The body is not JSON.", 413: "The body is too large.", 415: "The body has another media type."}


def describe() -> dict[str, Any]:
    """Return the OpenAPI document as JSON values."""
    operations = [one for one in OPERATIONS if one.documented]
    kinds = {kind for one in operations for kind in (one.answer, one.body) if _is_struct(kind)} | {schema.Failure}
    _, components = msgspec.json.schema_components(
        sorted(kinds, key=lambda kind: kind.__name__), ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.prefix + one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "edge-app", "version": __version__, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "edge_app"},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def _operation(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": one.name, "summary": one.summary}
    if one.role is None:
        described["security"] = []
    else:
        described["description"] = one.description or f"Needs the role {one.role}."
        parameters = _parameters(one)
        if parameters or not isinstance(one.body, str):
            described["parameters"] = parameters
    if one.body is not None:
        required = isinstance(one.body, str) or any(found.required for found in msgspec.structs.fields(one.body))
        described["requestBody"] = {"required": required, "content": _content(one.body)}
    described["responses"] = {str(one.status): _answer(one)} | {
        str(status): _failure(one, status, text) for status, text in sorted(_failures(one).items())
    }
    return described


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": values}
        for name, values in PATH_PARAMETERS.items()
        if f"{{{name}}}" in one.path
    ]
    if one.query is not None:
        found += _query_parameters(one.query)
    found += [{"name": name, "in": "header", "schema": dict(values)} for name, values in one.headers.items()]
    if one.takes_key:
        found.append({"name": KEY_HEADER, "in": "header", "description": KEY_DESCRIPTION, "schema": KEY})
    return found


def _query_parameters(kind: type) -> list[dict[str, Any]]:
    found = next(iter(msgspec.json.schema(kind)["$defs"].values()))
    required = found.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(values)}
        for name, values in found["properties"].items()
    ]


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the null that stands for an absent parameter."""
    options = [one for one in values.get("anyOf", ()) if one != {"type": "null"}]
    return dict(options[0]) if options else {name: value for name, value in values.items() if name != "default"}


def _answer(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(one.status).phrase}
    if one.answer is not None:
        described["content"] = _content(one.answer)
    if one.name in ("getPicture", "getCameraPicture"):
        described["headers"] = {
            "X-Frame-Sequence": {"schema": {"type": "integer"}, "description": "The frame's sequence number."}
        }
    return described


def _failures(one: Operation) -> dict[int, str]:
    found = dict(ALWAYS)
    if "{" in one.path or one.query is inputs.ClassQuery:
        found |= NOT_FOUND
    if "{label}" in one.path or one.query is not None or _is_struct(one.body) or one.takes_key:
        found |= INVALID
    if one.method != "GET" and one.role is not None:
        found |= CONFLICT
    if _is_struct(one.body):
        found |= BAD_BODY
    return found | dict(one.failures)


def _failure(one: Operation, status: int, text: str) -> dict[str, Any]:
    content = _content(schema.Failure)
    if status == 503 and one.answer is schema.Health:  # the same status says that the device is busy
        content = {JSON: {"schema": {"anyOf": [_reference(schema.Health), _reference(schema.Failure)]}}}
    return {"description": text, "content": content}


def _content(kind: type | str) -> dict[str, Any]:
    """Return the content of a struct, of any JSON object, or of a media type."""
    if isinstance(kind, str):
        return {kind: {} if kind.startswith("text/") else {"schema": {"type": "string", "format": "binary"}}}
    return {JSON: {"schema": _reference(kind) if _is_struct(kind) else {"type": "object"}}}


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
