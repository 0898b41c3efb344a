"""Answers: JSON, and failures in one form, whatever raised them."""

import logging
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from edge_app.control import Busy, FrameGone, RequestReused
from edge_app.errors import EdgeAppError, InputError, ModelMismatch, StateBusy, StateNotWritable, UnknownLabel
from edge_app.web.schema import Failure, Problem

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}


class ApiError(Exception):
    """A request that gets a failure for an answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        field = msgspec.UNSET if self.field is None else self.field
        body = Failure(Problem(self.code, self.message, field))
        return answer(body, self.status, self.headers)


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a struct as a JSON response that nobody stores."""
    return Response(msgspec.json.encode(body), status, {**NO_STORE, **(headers or {})}, media_type=JSON)


KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownLabel, 404, "unknown_class"),
    (FrameGone, 409, "frame_gone"),
    (RequestReused, 409, "key_reused"),
    (ModelMismatch, 409, "other_encoder"),
    (InputError, 409, "refused"),
    (StateNotWritable, 507, "not_stored"),
    (StateBusy, 503, "busy"),
    (Busy, 503, "busy"),
    (EdgeAppError, 500, "failed"),
)


def refused_by(error: Exception) -> ApiError:
    """Return the failure for what was raised while a request was carried out."""
    if isinstance(error, ApiError):
        return error
    for kind, status, code in KINDS:
        if isinstance(error, kind):
            headers = {"Retry-After": "1"} if status == 503 else {}
            return ApiError(status, code, str(error), headers=headers)
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return ApiError(500, "failed", "this is a mistake in the program; its log has the details")


def refused_value(error: msgspec.ValidationError, what: str) -> ApiError:
    """Return the failure for a value that is not what was expected."""
    text = str(error)
    found = re.search(r" - at `(?:key in )?`?\$\.?([^`]*)`", text)
    message = text[: found.start()] if found else text
    return ApiError(422, "invalid", f"{what}: {message.replace('`', '')}", field=(found and found[1]) or None)
