"""The OpenAPI 3.1 description, made from the table that requests are checked by."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from edge_app import __version__
from edge_app.web import schema
from edge_app.web.operations import KEY_HEADER, OPERATIONS, ROOT, Operation

REF = "#/components/schemas/{name}"
ZIP = "application/zip"

DESCRIPTION = """\
What the device sees and says, and teaching it. Roles: view < teach < administer. A program sends
`Authorization: Bearer TOKEN`; a browser signs in at /session and has a cookie. A change that comes without a bearer
token needs the header `X-Edge-App: 1`. On the device itself no token may be needed ([web] loopback_role).

Besides the operations below there are `GET /api/v1/live` (WebSocket: each message 8 bytes, the frame's number in
big-endian order, then a JPEG; `?max_side=`), `GET /api/v1/live.mjpg` (multipart/x-mixed-replace, each part with
X-Frame-Sequence) and `GET /metrics` (Prometheus)."""


def describe() -> dict[str, Any]:
    """Return the description as JSON values."""
    kinds = {schema.Failure, schema.SignIn, schema.Session, schema.Imported}
    for one in OPERATIONS:
        kinds |= {
            kind for kind in (one.answer, one.body) if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        }
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(ROOT + one.path, {})[one.method.lower()] = _operation(one)
    paths |= _special()
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
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "description": f"Needs the role {one.role}.",
        "parameters": _parameters(one),
        "responses": {str(one.status): _answer(one)} | _failures(one),
    }
    if one.body is not None:
        needed = any(found.required for found in msgspec.structs.fields(one.body))
        described["requestBody"] = {
            "required": needed,
            "content": {"application/json": {"schema": {"$ref": REF.format(name=one.body.__name__)}}},
        }
    return described


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{label}" in one.path:
        label = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": LABEL}
        found.append({"name": "label", "in": "path", "required": True, "schema": label})
    if "{id}" in one.path:
        number = {"type": "integer", "minimum": 1, "maximum": 2**53}
        found.append({"name": "id", "in": "path", "required": True, "schema": number})
    if one.query is not None:
        found += query_parameters(one.query)
    if one.keyed:
        found.append(
            {
                "name": KEY_HEADER,
                "in": "header",
                "description": "A name for this request: the same one again is not carried out twice.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            }
        )
    return found


LABEL = "^[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,98}[A-Za-z0-9])?$"
"""Of the names of classes in a path, those that every client can send; the device takes any printable text."""


def query_parameters(kind: type) -> list[dict[str, Any]]:
    """Return the parameters that a query of this type has."""
    made = msgspec.json.schema(kind)
    found = next(iter(made["$defs"].values()))
    return [
        {"name": name, "in": "query", "required": name in found.get("required", ()), "schema": _plain(values)}
        for name, values in found["properties"].items()
    ]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the null that stands for an absent parameter."""
    options = [one for one in values.get("anyOf", ()) if one != {"type": "null"}]
    return dict(options[0]) if options else {name: value for name, value in values.items() if name != "default"}


def _answer(one: Operation) -> dict[str, Any]:
    if isinstance(one.answer, str):
        content: dict[str, Any] = {one.answer: {"schema": {"type": "string", "format": "binary"}}}
    elif isinstance(one.answer, type) and issubclass(one.answer, msgspec.Struct):
        content = {"application/json": {"schema": {"$ref": REF.format(name=one.answer.__name__)}}}
    else:
        content = {"application/json": {"schema": {"type": "object"}}}
    described: dict[str, Any] = {"description": HTTPStatus(one.status).phrase, "content": content}
    if one.name == "getPicture":
        described["headers"] = {
            "X-Frame-Sequence": {"schema": {"type": "integer"}, "description": "The frame's number."}
        }
    return described


def _failures(one: Operation) -> dict[str, Any]:
    found: dict[int, str] = {
        401: "No token, or a wrong one.",
        403: "The role is not enough, or the request comes from another site.",
        429: "Too many requests, or wrong tokens.",
        503: "The device is busy, or stopping; try again.",
    }
    if "{" in one.path:
        found[404] = "There is none."
    if "{label}" in one.path or one.query is not None or one.body is not None:
        found[422] = "A value is not what was expected."
    if one.method != "GET":
        found[409] = "What is asked cannot be done as things are; the message says why."
    if one.body is not None:
        found |= {400: "The body is not JSON.", 413: "The body is too long.", 415: "The body is of another type."}
    if one.name in ("relabelExamples", "forgetExamples"):
        found[404] = "There is none."
    described = {str(status): _failure(text) for status, text in (found | dict(one.failures)).items()}
    if one.name == "getHealth":
        described["503"] = {
            "description": "The device is not well.",
            "content": {
                "application/json": {
                    "schema": {"anyOf": [{"$ref": REF.format(name=name)} for name in ("Health", "Failure")]}
                }
            },
        }
    return dict(sorted(described.items()))


def _failure(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": REF.format(name="Failure")}}},
    }


def _special() -> dict[str, Any]:
    """Describe what is no simple question and answer."""
    common = {str(status): _failure(text) for status, text in SPECIAL_FAILURES.items()}
    session = {"application/json": {"schema": {"$ref": REF.format(name="Session")}}}
    return {
        f"{ROOT}/session": {
            "get": {
                "operationId": "getSession",
                "summary": "Who one is",
                "security": [],
                "responses": {"200": {"description": "OK", "content": session}} | common,
            },
            "post": {
                "operationId": "signIn",
                "summary": "Exchange a token for a cookie",
                "security": [],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": REF.format(name="SignIn")}}},
                },
                "responses": {"200": {"description": "OK", "content": session}}
                | common
                | {
                    "400": _failure("The body is not JSON."),
                    "413": _failure("The body is too long."),
                    "415": _failure("The body is of another type."),
                    "422": _failure("A value is not what was expected."),
                    "507": _failure("The session could not be stored."),
                },
            },
            "delete": {
                "operationId": "signOut",
                "summary": "Forget the cookie",
                "security": [],
                "responses": {"204": {"description": "No Content"}} | common,
            },
        },
        f"{ROOT}/events": {
            "get": {
                "operationId": "getEvents",
                "summary": "What happens, as server-sent events without end",
                "description": (
                    "Role view. Events: `decision` (the newest, ten a second at most), `taught`, `corrected`, "
                    "`refused`, `health`, `tray`; `missed` where some were lost since Last-Event-ID."
                ),
                "parameters": [
                    {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"}}
                ],
                "responses": {"200": {"description": "OK", "content": {"text/event-stream": {}}}} | common,
            }
        },
        f"{ROOT}/export": {
            "get": {
                "operationId": "exportExamples",
                "summary": "Examples as a file, of some classes or of all",
                "description": "Needs the role administer.",
                "parameters": query_parameters(schema.ExportQuery),
                "responses": {
                    "200": {
                        "description": "OK",
                        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
                    }
                }
                | common
                | {
                    "404": _failure("There is no such class."),
                    "409": _failure("There is nothing to export."),
                    "422": _failure("A value is not what was expected."),
                    "507": _failure("The disk is full."),
                },
            }
        },
        f"{ROOT}/import": {
            "post": {
                "operationId": "importExamples",
                "summary": "Learn the examples of an exported file, all or none",
                "description": "Needs the role administer.",
                "requestBody": {
                    "required": True,
                    "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
                },
                "responses": {
                    "200": {
                        "description": "OK",
                        "content": {"application/json": {"schema": {"$ref": REF.format(name="Imported")}}},
                    }
                }
                | common
                | {
                    "408": _failure("The body came too slowly."),
                    "409": _failure(
                        "The file is not right, or was made with another encoder; nothing was taken from it."
                    ),
                    "413": _failure("The file is too long."),
                    "415": _failure("The body is of another type."),
                    "422": _failure("A value is not what was expected."),
                    "507": _failure("It does not fit."),
                },
            }
        },
    }


SPECIAL_FAILURES = {
    401: "No token, or a wrong one.",
    403: "The role is not enough, or the request comes from another site.",
    429: "Too many requests, or wrong tokens.",
    503: "The device is busy, or stopping; try again.",
}
