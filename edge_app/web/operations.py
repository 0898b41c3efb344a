"""The API's operations: one table by which requests are routed, checked, carried out and documented."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge_app.control import Control
from edge_app.roles import Role
from edge_app.web import handlers, schema
from edge_app.web.calls import Call
from edge_app.web.responses import JPEG, ZIP
from edge_app.web.services import Services

ROOT = "/api/v1"

Handler = Callable[[Control, Call], Any]
"""Runs in a thread; returns a struct or a Response."""
Endpoint = Callable[[Services, Request, Call], Awaitable[Response]]
"""Runs in the event loop."""


@dataclass(frozen=True)
class Operation:
    """One method on one path."""

    name: str
    """Its operationId."""
    method: str
    path: str
    """Below `prefix`; {label} and {id} are parameters."""
    role: Role | None
    """The role that it needs; None: anyone may call it."""
    summary: str
    answer: type | str | None
    """Struct of the JSON that it answers with, the media type of anything else, or None for no content."""
    handler: Handler | None = None
    endpoint: Endpoint | None = None
    """Either `handler` or `endpoint` is given."""
    status: int = 200
    query: type | None = None
    body: type | str | None = None
    """Struct of the JSON body, or the media type of an upload."""
    keyed: bool = False
    """Whether it takes an Idempotency-Key."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Statuses of errors, and what they mean here; those that every operation may answer are added."""
    description: str = ""
    """What the documentation says beside the role."""
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Request headers that it reads, with their JSON schemas."""
    documented: bool = True
    prefix: str = ROOT


NOT_STORED = {507: "It could not be stored."}
GONE = {409: "Of a frame, a moment or an action: it is not there any more."}

# fmt: off
OPERATIONS = (
    Operation("getState", "GET", "/state", "view", "How things are", schema.State, handlers.state),
    Operation("getHealth", "GET", "/health", "view", "Whether the device is well; 503 when it is not",
              schema.Health, handlers.health, failures={503: "The device is not well."}),
    Operation("getPicture", "GET", "/picture.jpg", "view", "The newest frame; X-Frame-Sequence is its number",
              JPEG, handlers.picture, query=schema.PictureQuery,
              failures={409: "The camera delivers no picture now."}),
    Operation("getHeatMap", "GET", "/picture/heat-map", "view",
              "The parts of a frame that drove the column of a class",
              schema.HeatMap, handlers.heat_map, query=schema.HeatMapQuery,
              failures={404: "There is no such class.",
                        409: "The frame is gone, no class was taught, or the encoder does not output its map."}),
    Operation("getClasses", "GET", "/classes", "view", "How each class is doing", schema.Classes, handlers.classes),
    Operation("teach", "POST", "/classes/{label}/teach", "teach", "Teach what a frame shows",
              schema.Taught, handlers.teach, status=201, body=schema.Teach, keyed=True,
              failures=GONE | NOT_STORED),
    Operation("renameClass", "POST", "/classes/{label}/rename", "administer", "Give a class a name that no other has",
              schema.Done, handlers.rename_class, body=schema.Rename, failures=NOT_STORED),
    Operation("mergeClass", "POST", "/classes/{label}/merge", "administer",
              "Let the examples of a class belong to another",
              schema.Done, handlers.merge_class, body=schema.Merge, failures=NOT_STORED),
    Operation("forgetClass", "DELETE", "/classes/{label}", "administer", "Forget a class with all its examples",
              schema.Done, handlers.forget_class, failures=NOT_STORED),
    Operation("undo", "POST", "/undo", "teach", "Take back the last action, or a named one if it is the last",
              schema.Done, handlers.undo, body=schema.Undo, keyed=True,
              failures={409: "There is nothing to undo, or the named action is not the last."} | NOT_STORED),
    Operation("getExamples", "GET", "/examples", "view", "Stored examples, the newest first",
              schema.Examples, handlers.examples, query=schema.ExamplesQuery),
    Operation("getThumbnail", "GET", "/examples/{id}/thumbnail.jpg", "view", "The picture of an example",
              JPEG, handlers.thumbnail),
    Operation("relabelExamples", "POST", "/examples/relabel", "teach", "Give examples another class, as one action",
              schema.Done, handlers.relabel_examples, body=schema.Relabel,
              failures={404: "There is none."} | NOT_STORED),
    Operation("forgetExamples", "POST", "/examples/forget", "teach", "Forget examples, as one action",
              schema.Done, handlers.forget_examples, body=schema.Some,
              failures={404: "There is none."} | NOT_STORED),
    Operation("getTray", "GET", "/tray", "view", "The last uncertain or changed decisions, the newest first",
              schema.Moments, handlers.tray),
    Operation("getMomentPicture", "GET", "/tray/{id}/picture.jpg", "view", "The picture of a moment",
              JPEG, handlers.tray_picture),
    Operation("teachMoments", "POST", "/tray/teach", "teach",
              "Teach moments as one class, all or none, as one action",
              schema.TaughtMany, handlers.teach_tray, status=201, body=schema.Relabel, keyed=True,
              failures=GONE | NOT_STORED),
    Operation("dismissMoments", "POST", "/tray/dismiss", "teach", "Take moments from the tray",
              schema.Dismissed, handlers.dismiss, body=schema.Some),
    Operation("getConfig", "GET", "/config", "administer", "The configuration; it holds no secrets",
              dict, handlers.config),
    Operation("getSession", "GET", "/session", None, "Who one is", schema.Session, endpoint=Services.session),
    Operation("signIn", "POST", "/session", None, "Exchange a token for a cookie",
              schema.Session, endpoint=Services.sign_in, body=schema.SignIn,
              failures={507: "The session could not be stored."}),
    Operation("signOut", "DELETE", "/session", None, "Forget the cookie",
              None, endpoint=Services.sign_out, status=204),
    Operation("getEvents", "GET", "/events", "view", "What happens, as server-sent events without end",
              "text/event-stream", endpoint=Services.events,
              description="Role view. Events: `decision` (the newest, ten a second at most), `taught`, `corrected`, "
                          "`refused`, `health`, `tray`; `missed` where some were lost since Last-Event-ID.",
              headers={"Last-Event-ID": {"type": "string", "pattern": "^[0-9]{1,15}$"}}),
    Operation("getMotionJpeg", "GET", "/live.mjpg", "view", "The live picture as motion JPEG",
              "multipart/x-mixed-replace", endpoint=Services.mjpeg, documented=False),
    Operation("exportExamples", "GET", "/export", "administer", "Examples as a file, of some classes or of all",
              ZIP, endpoint=Services.export, query=schema.ExportQuery,
              failures={404: "There is no such class.", 409: "There is nothing to export.",
                        507: "The disk is full."}),
    Operation("importExamples", "POST", "/import", "administer",
              "Learn the examples of an exported file, all or none",
              schema.Imported, endpoint=Services.import_, body=ZIP,
              failures={408: "The body came too slowly.",
                        409: "The file is not right, or was made with another encoder; nothing was taken from it.",
                        413: "The file is too long.", 415: "The body is of another type.",
                        422: "A value is not what was expected.", 507: "It does not fit."}),
    Operation("getMetrics", "GET", "/metrics", "view", "Metrics for Prometheus",
              "text/plain", endpoint=Services.metrics, documented=False, prefix=""),
)
# fmt: on
