"""The API's operations, each described once: from the same table requests are checked, carried out and documented."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edge_app.control import Control
from edge_app.errors import InputError
from edge_app.labels import check_label
from edge_app.roles import Role
from edge_app.web import schema, translate
from edge_app.web.answers import NO_STORE, ApiError, answer, refused_value
from edge_app.web.guard import Client

ROOT = "/api/v1"
MAX_BODY = 64 << 10
MAX_ID = 2**53
KEY_HEADER = "Idempotency-Key"
JPEG = "image/jpeg"
LABELS = ("label", "to", "into")
"""Parts of bodies that name classes."""


class Call(NamedTuple):
    """A request that was checked."""

    visitor: Client
    label: str
    """Of the path; "" where there is none."""
    id: int
    """Of the path; 0 where there is none."""
    query: Any
    body: Any
    key: str | None
    """The name that its sender gave it, so that a retry is harmless."""

    @property
    def source(self) -> str:
        """On whose behalf, for the log and the store."""
        return "page" if self.visitor.session else "API"


Handler = Callable[[Control, Call], Any]


@dataclass(frozen=True)
class Operation:
    """One method on one path."""

    name: str
    method: str
    path: str
    """Below ROOT, with {label} and {id}."""
    role: Role
    summary: str
    handler: Handler
    """Carried out in a thread; returns the answer's struct, or a Response."""
    answer: type | str
    """What it answers with; a media type for what is no JSON."""
    status: int = 200
    query: type | None = None
    body: type | None = None
    keyed: bool = False
    """Whether it takes an Idempotency-Key."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """What it may answer besides what all may."""


def _state(control: Control, call: Call) -> schema.State:
    return translate.state(control.status(), _role(call))


def _health(control: Control, call: Call) -> Response:
    found = translate.health(control.status())
    return answer(found, 200 if found.ok else 503)


def _picture(control: Control, call: Call) -> Response:
    picture = control.picture(call.query.max_side)
    return jpeg(picture.jpeg, {"X-Frame-Sequence": str(picture.sequence)})


def _classes(control: Control, call: Call) -> schema.Classes:
    return schema.Classes([translate.report(one) for one in control.classes()])


def _teach(control: Control, call: Call) -> schema.Taught:
    done = control.teach(call.label, frame=call.body.frame, request=call.key, source=call.source)
    return translate.taught(done)


def _rename(control: Control, call: Call) -> schema.Done:
    return _done(control.rename_class(call.label, call.body.to, source=call.source))


def _merge(control: Control, call: Call) -> schema.Done:
    return _done(control.merge_classes(call.label, call.body.into, source=call.source))


def _forget(control: Control, call: Call) -> schema.Done:
    return _done(control.forget_class(call.label, source=call.source))


def _undo(control: Control, call: Call) -> schema.Done:
    try:
        return _done(control.undo(action=call.body.action, request=call.key, source=call.source))
    except InputError as error:
        raise ApiError(409, "nothing_to_undo", str(error)) from error


def _examples(control: Control, call: Call) -> schema.Examples:
    query = call.query
    found, total = control.examples(query.label, query.offset, query.limit)
    return schema.Examples([translate.example(one) for one in found], total)


def _thumbnail(control: Control, call: Call) -> Response:
    try:
        picture = control.thumbnail(call.id)
    except InputError as error:
        raise ApiError(404, "unknown_example", str(error)) from error
    if picture is None:
        raise ApiError(404, "no_picture", f"example {call.id} has no picture")
    return jpeg(picture, {"Cache-Control": "private, max-age=86400"})  # an example's picture never changes


def _relabel(control: Control, call: Call) -> schema.Done:
    return _done(control.relabel(call.body.ids, call.body.label, source=call.source))


def _forget_examples(control: Control, call: Call) -> schema.Done:
    return _done(control.forget_examples(call.body.ids, source=call.source))


def _tray(control: Control, call: Call) -> schema.Moments:
    return schema.Moments([translate.moment(one) for one in control.tray()])


def _moment_picture(control: Control, call: Call) -> Response:
    try:
        return jpeg(control.moment_picture(call.id))
    except InputError as error:
        raise ApiError(404, "unknown_moment", str(error)) from error


def _teach_moments(control: Control, call: Call) -> schema.TaughtMany:
    try:
        done = control.teach_moments(call.body.ids, call.body.label, request=call.key, source=call.source)
    except InputError as error:
        if "is not in the tray" in str(error):
            raise ApiError(409, "moment_gone", str(error)) from error
        raise
    return schema.TaughtMany([translate.taught(one) for one in done])


def _dismiss(control: Control, call: Call) -> schema.Dismissed:
    return schema.Dismissed(control.dismiss(call.body.ids))


def _config(control: Control, call: Call) -> dict[str, dict[str, Any]]:
    return dict(control.config)


def _role(call: Call) -> Role:
    assert call.visitor.role is not None  # the door let it in
    return call.visitor.role


def _done(action: Any) -> schema.Done:
    return schema.Done(translate.action(action))


def jpeg(data: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return a picture as a response."""
    return Response(data, headers={**NO_STORE, **(headers or {})}, media_type=JPEG)


GONE = "Of a frame, a moment or an action: it is not there any more."
OPERATIONS = (
    Operation("getState", "GET", "/state", "view", "How things are", _state, schema.State),
    Operation(
        "getHealth",
        "GET",
        "/health",
        "view",
        "Whether the device is well; 503 when it is not",
        _health,
        schema.Health,
        failures={503: ""},
    ),
    Operation(
        "getPicture",
        "GET",
        "/picture.jpg",
        "view",
        "The newest frame; X-Frame-Sequence is its number",
        _picture,
        JPEG,
        query=schema.PictureQuery,
        failures={409: "The camera delivers no picture now."},
    ),
    Operation("getClasses", "GET", "/classes", "view", "How each class is doing", _classes, schema.Classes),
    Operation(
        "teach",
        "POST",
        "/classes/{label}/teach",
        "teach",
        "Teach what a frame shows",
        _teach,
        schema.Taught,
        status=201,
        body=schema.Teach,
        keyed=True,
        failures={409: GONE, 507: "It could not be stored."},
    ),
    Operation(
        "renameClass",
        "POST",
        "/classes/{label}/rename",
        "administer",
        "Give a class a name that no other has",
        _rename,
        schema.Done,
        body=schema.Rename,
        failures={507: "It could not be stored."},
    ),
    Operation(
        "mergeClass",
        "POST",
        "/classes/{label}/merge",
        "administer",
        "Let the examples of a class belong to another",
        _merge,
        schema.Done,
        body=schema.Merge,
        failures={507: "It could not be stored."},
    ),
    Operation(
        "forgetClass",
        "DELETE",
        "/classes/{label}",
        "administer",
        "Forget a class with all its examples",
        _forget,
        schema.Done,
        failures={507: "It could not be stored."},
    ),
    Operation(
        "undo",
        "POST",
        "/undo",
        "teach",
        "Take back the last action, or a named one if it is the last",
        _undo,
        schema.Done,
        body=schema.Undo,
        keyed=True,
        failures={
            409: "There is nothing to undo, or the named action is not the last.",
            507: "It could not be stored.",
        },
    ),
    Operation(
        "getExamples",
        "GET",
        "/examples",
        "view",
        "Stored examples, the newest first",
        _examples,
        schema.Examples,
        query=schema.ExamplesQuery,
    ),
    Operation(
        "getThumbnail", "GET", "/examples/{id}/thumbnail.jpg", "view", "The picture of an example", _thumbnail, JPEG
    ),
    Operation(
        "relabelExamples",
        "POST",
        "/examples/relabel",
        "teach",
        "Give examples another class, as one action",
        _relabel,
        schema.Done,
        body=schema.Relabel,
        failures={507: "It could not be stored."},
    ),
    Operation(
        "forgetExamples",
        "POST",
        "/examples/forget",
        "teach",
        "Forget examples, as one action",
        _forget_examples,
        schema.Done,
        body=schema.Some,
        failures={507: "It could not be stored."},
    ),
    Operation(
        "getTray",
        "GET",
        "/tray",
        "view",
        "The last uncertain or changed decisions, the newest first",
        _tray,
        schema.Moments,
    ),
    Operation(
        "getMomentPicture", "GET", "/tray/{id}/picture.jpg", "view", "The picture of a moment", _moment_picture, JPEG
    ),
    Operation(
        "teachMoments",
        "POST",
        "/tray/teach",
        "teach",
        "Teach moments as one class, all or none, as one action",
        _teach_moments,
        schema.TaughtMany,
        status=201,
        body=schema.Relabel,
        keyed=True,
        failures={409: GONE, 507: "It could not be stored."},
    ),
    Operation(
        "dismissMoments",
        "POST",
        "/tray/dismiss",
        "teach",
        "Take moments from the tray",
        _dismiss,
        schema.Dismissed,
        body=schema.Some,
    ),
    Operation(
        "getConfig",
        "GET",
        "/config",
        "administer",
        "The configuration; it holds no secrets",
        _config,
        dict[str, dict[str, Any]],
    ),
)


async def read_call(operation: Operation, request: Request) -> Call:
    """Return a request, checked. Raises Refused."""
    visitor: Client = request.scope["edge_app.visitor"]
    visitor.must(operation.role)
    label = request.path_params.get("label", "")
    if label:
        label = checked_label(label, "label")
    number = request.path_params.get("id")
    body = await read_body(operation.body, request) if operation.body is not None else None
    return Call(
        visitor, label, 0 if number is None else _id(number), read_query(operation.query, request), body, _key(request)
    )


def read_query(kind: type | None, request: Request) -> Any:
    """Return the query as a struct. Raises Refused."""
    if kind is None:
        return None
    lists = {
        one.encode_name for one in msgspec.structs.fields(kind) if msgspec.json.schema(one.type).get("type") == "array"
    }
    found: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise ApiError(422, "invalid", f"the parameter {name[:40]!r} came twice", field=name[:40])
        else:
            found[name] = value
    try:
        query: Any = msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refused_value(error, "query") from error
    _check_labels(query)
    return query


async def read_body(kind: type, request: Request) -> Any:
    """Return the JSON body as a struct; an empty one where nothing is needed is right. Raises Refused."""
    data = await read_bytes(request, MAX_BODY)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (data or media) and media != "application/json":
        raise ApiError(415, "media_type", f"the body is {media[:40] or 'of no type'}, expected application/json")
    try:
        body: Any = msgspec.convert(_whole(msgspec.json.decode(data or b"{}")), kind)
    except msgspec.ValidationError as error:
        raise refused_value(error, "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "json", f"the body is not JSON: {error}") from error
    _check_labels(body)
    return body


def _whole(value: Any) -> Any:
    """Return a JSON value with 7.0 as the 7 that it is in JSON."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= MAX_ID else value
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    return value


def _check_labels(wish: Any) -> None:
    for name in LABELS:
        value = getattr(wish, name, None)
        for label in value if isinstance(value, list) else [value] if value is not None else []:
            checked_label(label, name)


def checked_label(label: str, name: str) -> str:
    """Return the name of a class. Raises Refused, naming the part of the request that is wrong."""
    try:
        return check_label(label)
    except InputError as error:
        raise ApiError(422, "invalid", str(error), field=name) from error


async def read_bytes(request: Request, limit: int) -> bytes:
    """Return the body. Raises Refused when it is longer than `limit`."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_long(limit)
        parts.append(part)
    return b"".join(parts)


def too_long(limit: int) -> ApiError:
    """Return the answer to a body that is too long; the connection ends with it."""
    return ApiError(413, "too_long", f"the body has more than {limit} bytes", headers={"Connection": "close"})


def _id(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,16}", text) or int(text) > MAX_ID:
        raise ApiError(404, "unknown", f"{text[:20]!r} is no number of anything here")
    return int(text)


def _key(request: Request) -> str | None:
    key = request.headers.get(KEY_HEADER)
    if key is not None and not re.fullmatch("[!-~]{1,200}", key):
        raise ApiError(422, "invalid", f"{KEY_HEADER} is not 1..200 ASCII characters without spaces", field=KEY_HEADER)
    return key
