"""JSON responses, and the one form in which every error is answered."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from edge_app.control import (
    Busy,
    DamagedGroup,
    FrameGone,
    HistoryOff,
    RequestReused,
    UnknownCamera,
    UnreadablePicture,
    UploadGone,
    VisitGone,
)
from edge_app.errors import EdgeAppError, InputError, ModelMismatch, StateBusy, StateNotWritable, UnknownLabel
from edge_app.storage.errors import NOT_WRITABLE, not_writable
from edge_app.web.schema import Failure, Problem

JSON, ZIP, JPEG = "application/json", "application/zip", "image/jpeg"
ANY_PICTURE, BYTES, CSV = "image/*", "application/octet-stream", "text/csv"
NO_STORE = {"Cache-Control": "no-store"}

# subclasses before their bases: FrameGone and others are InputErrors
STATUS_OF: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownLabel, 404, "unknown_class"),
    (UnknownCamera, 404, "unknown_camera"),
    (FrameGone, 409, "frame_gone"),
    (HistoryOff, 409, "history_off"),
    (VisitGone, 409, "visit_gone"),
    (RequestReused, 409, "key_reused"),
    (DamagedGroup, 409, "damaged_group"),
    (ModelMismatch, 409, "other_encoder"),
    (UnreadablePicture, 422, "unreadable_picture"),
    (UploadGone, 404, "upload_gone"),
    (InputError, 409, "refused"),
    (StateNotWritable, 507, "not_stored"),
    (StateBusy, 503, "busy"),
    (Busy, 503, "busy"),
    (EdgeAppError, 500, "failed"),
)
"""HTTP status and error code of each exception; the first that matches counts."""


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`code` is for programs, `message` for people; `field` names the part of the request that is invalid."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the response to send."""
        field = msgspec.UNSET if self.field is None else self.field
        return json_response(Failure(Problem(self.code, self.message, field)), self.status, self.headers)


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `body`, a struct, as a JSON response that no cache stores."""
    return Response(msgspec.json.encode(body), status, {**NO_STORE, **(headers or {})}, media_type=JSON)


def jpeg_response(data: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JPEG as a response that no cache stores unless `headers` say otherwise."""
    return Response(data, headers={**NO_STORE, **(headers or {})}, media_type=JPEG)


def api_error(error: Exception) -> ApiError:
    """Return the API error for an exception that a request raised; one that is not ours is logged."""
    if isinstance(error, ApiError):
        return error
    # a full disk may show in any file operation, not only in the store's
    if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
        error = not_writable(error, "this could not be stored")
    for kind, status, code in STATUS_OF:
        if isinstance(error, kind):
            return ApiError(status, code, str(error), headers={"Retry-After": "1"} if status == 503 else {})
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return ApiError(500, "failed", "a bug in edge-app; the device's log has the details")
