"""The reference of the HTTP API as a page, from the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from edge_app.web.openapi import describe

LIMITS = {"minimum": "from {}", "maximum": "to {}", "maxLength": "{} characters at most"}


def http_reference() -> str:
    """Return the page in Markdown."""
    document = describe()
    lines = ["# HTTP API reference", "", "Written from the OpenAPI document, which a device serves at "]
    lines[-1] += "`/api/v1/openapi.json`. [The API](api.md) explains access, roles and use."
    lines += ["", document["info"]["description"], "", "## Operations", ""]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += _operation(f"{method.upper()} {path}", operation)
    lines += ["## Objects", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += _object(name, schema)
    return "\n".join(lines) + "\n"


def _operation(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {operation.get('summary', title)}", "", f"`{title}`", "")
    if operation.get("description"):
        yield from (operation["description"], "")
    rows = [
        (f"`{one['name']}`, {one['in']}", one.get("required", False), one["schema"], one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append((f"body, `{kind}`", operation["requestBody"].get("required", False), content.get("schema", {}), ""))
    if rows:
        yield from ("| | required | type | |", "|---|---|---|---|")
        for name, required, schema, about in rows:
            yield _row(name, "yes" if required else "", _type(schema), about or schema.get("description", ""))
        yield ""
    yield from ("| status | answer | |", "|---|---|---|")
    for status, answer in operation["responses"].items():
        kinds = [_type(one.get("schema", {})) or f"`{kind}`" for kind, one in answer.get("content", {}).items()]
        yield _row(status, ", ".join(dict.fromkeys(kinds)), answer["description"])
    yield ""


def _object(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", schema.get("description", ""), "")
    yield from ("| field | required | type | |", "|---|---|---|---|")
    needed = schema.get("required", ())
    for field, value in schema.get("properties", {}).items():
        yield _row(f"`{field}`", "yes" if field in needed else "", _type(value), value.get("description", ""))
    yield ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"


def _type(schema: dict[str, Any]) -> str:
    """Return a type as text: a link to an object, a list of it, its values, or its name with its range."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", ""))
    if kind == "array":
        return f"list of {_type(schema.get('items', {})) or 'any'}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    limits = [words.format(schema[key]) for key, words in LIMITS.items() if key in schema]
    return ", ".join([kind, *limits]) if limits else kind
