"""Reads requests: the role, the path, the query and the body are checked before anything is done."""

import hashlib
import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import msgspec
from starlette.requests import Request

from edge_app.errors import InputError
from edge_app.labels import check_label
from edge_app.roles import Role
from edge_app.text import composed
from edge_app.web.access import Client
from edge_app.web.explaining import explained, number_too_large
from edge_app.web.inputs import ClassQuery
from edge_app.web.responses import JSON, ApiError

MAX_BODY = 64 << 10
"""Bytes of a JSON body."""
MAX_ID = 2**53
"""The largest integer that every JSON parser keeps exactly."""
KEY_HEADER = "Idempotency-Key"
LABEL_FIELDS = ("label", "to", "into")
"""Fields of queries and bodies that hold class names."""


class Call(NamedTuple):
    """A request whose parts were checked."""

    client: Client
    label: str
    """Class name in the path, or in the query where the path has none; "" where neither has."""
    id: int
    """Number in the path; 0 where the path has none."""
    camera: str
    """Name of a camera in the path; "" where the path has none."""
    query: Any
    body: Any
    key: str | None
    """The request's Idempotency-Key."""

    def content(self, operation: str) -> bytes:
        """Return a digest of the call of an operation: equal for a repetition, short for a long body."""
        said = msgspec.json.encode((operation, self.label, self.id, self.camera, self.query, self.body))
        return hashlib.sha256(said).digest()

    @property
    def source(self) -> str:
        """Who asked, for the log and the store."""
        return "page" if self.client.session else "API"


async def read_call(request: Request, *, role: Role | None, query: type | None, body: type | None) -> Call:
    """Return a request with its query and body as structs; `role` None lets anyone in. Raises ApiError."""
    client: Client = request.scope["edge_app.client"]
    # before the body is read: nobody without the role makes the device parse anything
    if role is not None:
        client.require(role)
    values = _read_query(query, request)
    label = ""
    if "label" in request.path_params:
        label = read_label(request.path_params["label"], "label")
    elif isinstance(values, ClassQuery):
        label = values.label
    number = _id(request.path_params["id"]) if "id" in request.path_params else 0
    content = None if body is None else await _read_body(body, request)
    return Call(client, label, number, composed(request.path_params.get("camera", "")), values, content, _key(request))


def read_label(label: str, field: str) -> str:
    """Return a class name in its stored form. Raises ApiError, naming the field that is invalid."""
    try:
        return check_label(label)
    except InputError as error:
        raise ApiError(422, "invalid", str(error), field=field) from error


def body_too_long(limit: int) -> ApiError:
    """Return the error for a body of more than `limit` bytes; the connection is closed with it."""
    return ApiError(413, "too_long", f"the body has more than {limit} bytes", headers={"Connection": "close"})


def media_type(request: Request) -> str:
    """Return the body's media type without its parameters, in lower case; "" when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_media_type(found: str, expected: str) -> ApiError:
    """Return the error for a body of another media type."""
    return ApiError(415, "media_type", f"the body is {found[:40] or 'of no type'}, expected {expected}")


def _read_query(kind: type | None, request: Request) -> Any:
    if kind is None:
        return None
    # a query repeats the name of a list's parameter; of any other, a second value would be dropped silently
    lists = {
        one.encode_name for one in msgspec.structs.fields(kind) if msgspec.json.schema(one.type).get("type") == "array"
    }
    found: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise ApiError(422, "invalid", f"the parameter {name[:40]!r} was given twice", field=name[:40])
        else:
            found[name] = value
    return _to_struct(found, kind, "query", strict=False)


async def _read_body(kind: type, request: Request) -> Any:
    """Return the JSON body as a struct; an empty body counts as {}. Raises ApiError."""
    parts, size = [], 0
    # counted part by part: a chunked body has no Content-Length to check beforehand
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise body_too_long(MAX_BODY)
        parts.append(part)
    data, media = b"".join(parts), media_type(request)
    if (data or media) and media != JSON:
        raise wrong_media_type(media, JSON)
    try:
        # decoded without a type first, so that the errors below can name the field
        value = _whole_numbers(msgspec.json.decode(data or b"{}"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if found := number_too_large(data):  # JSON all the same
            path, number = found
            where = f"body: {path[:100]}" if path else "body"
            message = f"{where} = {number[:40]}, expected a number of at most 1.8e308"
            raise ApiError(422, "invalid", message, field=re.split(r"[.\[]", path)[0] or None) from error
        raise ApiError(400, "json", f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(422, "invalid", "body: expected an object")
    return _to_struct(value, kind, "body", strict=True)


def _to_struct(values: Mapping[str, Any], kind: type, part: str, *, strict: bool) -> Any:
    """Return a struct of type `kind`, converted field by field so that an error names its field. Raises ApiError."""
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    for name in values:
        if name not in fields:
            known = f"known: {', '.join(fields)}" if fields else "it has none"
            raise ApiError(422, "invalid", f"{part}: unknown field {name[:40]!r}; {known}", field=name[:40])
    found: dict[str, Any] = {}
    for name, one in fields.items():
        if name not in values:
            if one.required:
                raise ApiError(422, "invalid", f"{part}: the field {name!r} is missing", field=name)
            continue
        try:
            # a query has no null, but msgspec reads the text "null" as one
            expected = one.type if strict else _without_none(one.type)
            found[one.name] = msgspec.convert(values[name], expected, strict=strict)
        except msgspec.ValidationError as error:
            message = explained(error, name, values[name], expected)
            raise ApiError(422, "invalid", f"{part}: {message}", field=name) from error
        # checked here as well as in the learner: only here the error can name the field
        if name in LABEL_FIELDS and found[one.name] is not None:
            labels = found[one.name]
            named = [read_label(label, name) for label in ([labels] if isinstance(labels, str) else labels)]
            found[one.name] = named[0] if isinstance(labels, str) else named
    return kind(**found)


def _without_none(kind: Any) -> Any:
    options = [option for option in get_args(kind) if option is not NoneType]
    return options[0] if get_origin(kind) in (Union, UnionType) and len(options) == 1 else kind


def _whole_numbers(value: Any) -> Any:
    """Return a JSON value with 7.0 as the integer 7, which JSON Schema takes it for."""
    if isinstance(value, float):
        # beyond 2^53 a float stands for several integers
        return int(value) if value.is_integer() and abs(value) <= MAX_ID else value
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    if isinstance(value, dict):
        return {name: _whole_numbers(one) for name, one in value.items()}
    return value


def _id(text: str) -> int:
    # [0-9], not \d or isdecimal(): int() accepts the digits of all scripts
    if not re.fullmatch(r"[0-9]{1,16}", text) or int(text) > MAX_ID:
        raise ApiError(404, "unknown", f"{text[:20]!r} is not a valid id")
    return int(text)


def _key(request: Request) -> str | None:
    key = request.headers.get(KEY_HEADER)
    if key is not None and not re.fullmatch("[!-~]{1,200}", key):
        raise ApiError(
            422, "invalid", f"{KEY_HEADER}: expected 1 to 200 ASCII characters without spaces", field=KEY_HEADER
        )
    return key
