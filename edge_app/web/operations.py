"""The API's operations: one table by which requests are routed, checked, carried out and documented."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from edge_app.control import Control, Places
from edge_app.roles import Role
from edge_app.web import handlers, inputs, outside, schema, visits
from edge_app.web.calls import Call
from edge_app.web.responses import ANY_PICTURE, BYTES, CSV, JPEG, ZIP
from edge_app.web.services import Services

ROOT = "/api/v1"
PLACE_ROOT = f"{ROOT}/places/{{place}}"
"""Below it all operations again, for one of several places."""

Handler = Callable[[Control, Call], Any]
"""Works on one place. Runs in a thread; returns a struct or a Response."""
HandlerForAll = Callable[[Places, Call], Any]
"""The same for all places together."""
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
    for_all: HandlerForAll | None = None
    """One of `handler`, `endpoint` and `for_all` is given; `for_all` and another: where the path names no place."""
    status: int = 200
    query: type | None = None
    body: type | str | None = None
    """Struct of the JSON body, or the media type of an upload."""
    remembers: bool = False
    """Whether its handler passes the Idempotency-Key on, to be remembered with what is done."""
    failures: Mapping[int, str] = field(default_factory=dict)
    """Statuses of errors, and what they mean here; those that every operation may answer are added."""
    description: str = ""
    """Note in the documentation, besides the role."""
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Request headers that it reads, with their JSON schemas."""
    cost: int = 1
    """How many requests it counts as for the rate limit: more where it takes more processor time."""
    documented: bool = True
    prefix: str = ROOT

    @property
    def of_place(self) -> bool:
        """Whether it is there for each place."""
        return self.prefix == ROOT and (self.handler is not None or self.endpoint is not None)

    @property
    def takes_key(self) -> bool:
        """Whether it takes an Idempotency-Key: each change that is one request with one answer, and sends no file."""
        return self.method != "GET" and self.endpoint is None

    def with_label_in_query(self) -> "Operation":
        """Return the same operation with the class name as a query parameter."""
        path = self.path.replace("/{label}", "")
        summary = f"{self.summary} (class name in the query)"
        return replace(self, name=f"{self.name}ByQuery", path=path, summary=summary, query=inputs.ClassQuery)


NOT_STORED = {507: "It could not be stored."}
GONE = {409: "The frame is no longer kept."}
NO_HISTORY = {409: "The device keeps no history."}
NO_VISITS = {409: "The device keeps no history, or the conditions contradict one another."}
VISIT_GONE = {409: "A visit was deleted, has no picture, or was taught; or the device keeps no history."}

SENT_FILE = {
    408: "The file arrived too slowly.",
    413: "The file is too large.",
    415: "The body has another media type.",
}

# fmt: off
_OPERATIONS = (
    Operation("getState", "GET", "/state", "view", "State of the device", schema.State, handlers.state),
    Operation("getHealth", "GET", "/health", "view", "Health of all places; status 503 when something is wrong",
              schema.Health, handlers.health, for_all=handlers.health_of_all,
              failures={503: "Something is wrong; the reasons are listed."}),
    Operation("getPicture", "GET", "/picture.jpg", "view", "The newest frame; X-Frame-Sequence is its number",
              JPEG, handlers.picture, query=inputs.PictureQuery,
              failures={409: "The camera delivers no pictures."}),
    Operation("classify", "POST", "/classify", "view", "Decide on a picture that is sent; nothing is taught",
              schema.Classification, endpoint=outside.classify, body=ANY_PICTURE, cost=20,
              failures={408: "The picture arrived too slowly.", 413: "The picture is too large.",
                        415: "The body is no picture.", 422: "The picture cannot be read."}),
    Operation("getHeatMap", "GET", "/picture/heat-map", "view",
              "The parts of a frame that drove the column of a class",
              schema.HeatMap, handlers.heat_map, query=inputs.HeatMapQuery, cost=20,
              failures={404: "The class does not exist.",
                        409: "The frame is gone, no class was taught, or the encoder does not output its map."}),
    Operation("getSimilar", "GET", "/picture/similar", "view", "The taught examples that a frame resembles most",
              schema.SimilarTo, handlers.similar, query=inputs.SimilarQuery, cost=10, failures=GONE),
    Operation("getClasses", "GET", "/classes", "view", "How well each class is recognised",
              schema.Classes, handlers.classes, cost=2),
    Operation("teach", "POST", "/classes/{label}/teach", "teach", "Teach a frame as an example of a class",
              schema.Taught, handlers.teach, status=201, body=inputs.Teach, remembers=True, cost=4,
              failures=GONE | NOT_STORED),
    Operation("renameClass", "POST", "/classes/{label}/rename", "administer",
              "Rename a class; the new name must not be in use",
              schema.Done, handlers.rename_class, body=inputs.Rename, failures=NOT_STORED),
    Operation("mergeClass", "POST", "/classes/{label}/merge", "administer",
              "Move all examples of a class to another class",
              schema.Done, handlers.merge_class, body=inputs.Merge, failures=NOT_STORED),
    Operation("forgetClass", "DELETE", "/classes/{label}", "administer", "Forget a class and all its examples",
              schema.Done, handlers.forget_class, failures=NOT_STORED),
    Operation("undo", "POST", "/undo", "teach", "Undo the last action, or a given action if it is the last",
              schema.Done, handlers.undo, body=inputs.Undo, remembers=True,
              failures={409: "There is nothing to undo, or the given action is not the last."} | NOT_STORED),
    Operation("getExamples", "GET", "/examples", "view", "Stored examples, the newest first",
              schema.Examples, handlers.examples, query=inputs.ExamplesQuery, cost=4),
    Operation("getThumbnail", "GET", "/examples/{id}/thumbnail.jpg", "view", "Thumbnail of an example",
              JPEG, handlers.thumbnail),
    Operation("relabelExamples", "POST", "/examples/relabel", "teach", "Move examples to another class, as one action",
              schema.Done, handlers.relabel_examples, body=inputs.Relabel,
              failures={404: "An example does not exist."} | NOT_STORED),
    Operation("forgetExamples", "POST", "/examples/forget", "teach", "Forget examples, as one action",
              schema.Done, handlers.forget_examples, body=inputs.Some,
              failures={404: "An example does not exist."} | NOT_STORED),
    Operation("getVisits", "GET", "/visits", "view", "Visits, the newest first",
              schema.Visits, visits.visits, query=inputs.VisitsQuery, cost=4, failures=NO_VISITS),
    Operation("deleteVisits", "DELETE", "/visits", "administer", "Delete a visit, those of a filter, or all",
              schema.Deleted, visits.delete, query=inputs.DeleteVisitsQuery, cost=40,
              failures={404: "There is no such visit."} | NO_VISITS | NOT_STORED),
    Operation("getVisitNames", "GET", "/visits/names", "view", "Places and labels of all visits",
              schema.VisitNames, visits.names, failures=NO_HISTORY),
    Operation("getVisitCounts", "GET", "/visits/counts", "view", "Visits and time per label for each hour or day",
              schema.VisitCounts, visits.counts, query=inputs.VisitCountsQuery, cost=20,
              failures={404: "There is no such time zone."} | NO_VISITS),
    Operation("getVisitGroups", "GET", "/visits/groups", "view", "The newest unknown visits that look alike",
              schema.VisitGroups, visits.groups, query=inputs.VisitGroupsQuery, cost=40, failures=NO_HISTORY),
    Operation("exportVisits", "GET", "/visits/export.csv", "view", "Visits as a table",
              CSV, endpoint=visits.export_csv, query=inputs.VisitFilterQuery, cost=40, failures=NO_VISITS),
    Operation("exportVisitsAsJson", "GET", "/visits/export.json", "view", "Visits as JSON",
              schema.Visits, endpoint=visits.export_json, query=inputs.VisitFilterQuery, cost=40,
              failures=NO_VISITS),
    Operation("teachVisits", "POST", "/visits/teach", "teach",
              "Teach the pictures of visits as examples of a class, all or none, as one action",
              schema.TaughtMany, visits.teach, status=201, body=inputs.Relabel, remembers=True, cost=40,
              failures=VISIT_GONE | NOT_STORED),
    Operation("getVisitPicture", "GET", "/visits/{id}/picture.jpg", "view", "Picture of a visit at its best moment",
              JPEG, visits.picture, failures=NO_HISTORY,
              description="Needs the role of [history] picture_role, at least view."),
    Operation("getTray", "GET", "/tray", "view", "The newest unsure visits with a picture",
              schema.Moments, visits.tray, failures=NO_HISTORY),
    Operation("getMomentPicture", "GET", "/tray/{id}/picture.jpg", "view", "Picture of a tray entry",
              JPEG, visits.picture, failures=NO_HISTORY),
    Operation("teachMoments", "POST", "/tray/teach", "teach", "The same as teachVisits",
              schema.TaughtMany, visits.teach, status=201, body=inputs.Relabel, remembers=True, cost=40,
              failures=VISIT_GONE | NOT_STORED),
    Operation("dismissMoments", "POST", "/tray/dismiss", "teach", "Remove visits from the tray: they count as sure",
              schema.Dismissed, visits.dismiss, body=inputs.Some, failures=NO_HISTORY | NOT_STORED),
    Operation("getStrictness", "GET", "/strictness", "view",
              "When a decision is unknown, and what other settings would have done to the newest examples",
              schema.Strictness, handlers.strictness),
    Operation("setStrictness", "PUT", "/strictness", "administer",
              "Change when a decision is unknown; it is kept until [decision] strictness is changed",
              schema.Strictness, handlers.set_strictness, body=inputs.SetStrictness),
    Operation("getRules", "GET", "/rules", "administer",
              "The rules: when each fired last, and why it does not fire; outputs and webhooks",
              schema.RuleStates, handlers.rules),
    Operation("switchRule", "PUT", "/rules", "administer",
              "Switch a rule on or off; it is kept until `enabled` of the rule is changed in the configuration",
              schema.RuleStates, handlers.switch_rule, body=inputs.SwitchRule,
              failures={404: "There is no such rule."}),
    Operation("testRule", "POST", "/rules/test", "administer",
              "Carry out a rule's actions, marked as a test, whatever its condition",
              schema.RuleStates, handlers.test_rule, body=inputs.NamedRule, cost=4,
              failures={404: "There is no such rule."}),
    Operation("getPlaces", "GET", "/places", "view",
              "The places with the newest decision in each, the cameras and the groups",
              schema.PlaceStates, for_all=handlers.places),
    Operation("setPlaces", "PUT", "/places", "administer",
              "Set all places; they are kept until [[places]] is changed in the configuration",
              schema.PlaceStates, for_all=handlers.set_places, body=inputs.SetPlaces, cost=10, failures=NOT_STORED,
              description="Needs the role administer. Other regions, rotations and rates hold from the next frame on; "
                          "other names, cameras and groups restart the device (`restarting`)."),
    Operation("getCameraPicture", "GET", "/cameras/{camera}/picture.jpg", "view",
              "The newest frame of a camera, whole; X-Frame-Sequence is its number",
              JPEG, for_all=handlers.camera_picture, query=inputs.PictureQuery,
              failures={409: "The camera delivers no pictures."}),
    Operation("getConfig", "GET", "/config", "administer", "The configuration; it contains no secrets",
              dict, handlers.config),
    Operation("getSession", "GET", "/session", None, "The role of the client",
              schema.Session, endpoint=Services.session),
    Operation("signIn", "POST", "/session", None, "Exchange a token for a session cookie",
              schema.Session, endpoint=Services.sign_in, body=inputs.SignIn,
              failures={507: "The session could not be stored."}),
    Operation("signOut", "DELETE", "/session", None, "End the session",
              None, endpoint=Services.sign_out, status=204),
    Operation("getEvents", "GET", "/events", "view", "Events, as an endless stream of server-sent events",
              "text/event-stream", endpoint=Services.events,
              description="Needs the role view. Events: `decision` (the newest, at most ten per second), `taught`, "
                          "`corrected`, `refused`, `health`, `tray`, `history` (visits were stored or changed); "
                          "`missed` where events were lost.",
              headers={"Last-Event-ID": {"type": "string", "pattern": "^[0-9]{1,15}$"}}),
    Operation("getMotionJpeg", "GET", "/live.mjpg", "view", "The live picture as motion JPEG",
              "multipart/x-mixed-replace", endpoint=Services.mjpeg, documented=False),
    Operation("exportExamples", "GET", "/export", "administer",
              "Export the examples of some classes, or of all, as a file",
              ZIP, endpoint=Services.export, query=inputs.ExportQuery, cost=40,
              failures={404: "The class does not exist.", 409: "There is nothing to export.",
                        507: "The disk is full."}),
    Operation("importExamples", "POST", "/import", "administer",
              "Import the examples of an exported file, all or none",
              schema.Imported, endpoint=Services.import_, body=ZIP, cost=40,
              failures={408: "The file arrived too slowly.",
                        409: "The file is invalid, or was made with another encoder; nothing was imported.",
                        413: "The file is too large.", 415: "The body has another media type.",
                        422: "A value is invalid.", 507: "There is not enough space."}),
    Operation("getBackup", "GET", "/backup", "administer", "A backup of the whole device, without secrets, as a file",
              ZIP, endpoint=Services.backup, cost=40,
              failures={409: "There is nothing to back up.", 507: "The disk is full."}),
    Operation("restore", "POST", "/restore", "administer",
              "Check a backup and restart the device with it; with dry_run only check it",
              schema.RestoredBackup, endpoint=Services.restore, query=inputs.RestoreQuery, body=ZIP, cost=40,
              failures=SENT_FILE | NOT_STORED),
    Operation("openUpload", "POST", "/uploads", "teach", "Begin to send pictures that are taught together",
              schema.UploadState, handlers.open_upload, status=201, cost=10, failures=NOT_STORED),
    Operation("getUpload", "GET", "/uploads/{id}", "teach", "The classes that an upload would teach",
              schema.UploadState, handlers.upload, cost=4),
    Operation("closeUpload", "DELETE", "/uploads/{id}", "teach", "Forget an upload without teaching it",
              None, handlers.drop_upload, status=204),
    Operation("addFile", "POST", "/uploads/{id}/files", "teach", "Send a picture, or a table of the data set",
              schema.SentFile, endpoint=outside.add_file, status=201, query=inputs.FileQuery, body=BYTES, cost=4,
              failures=SENT_FILE | NOT_STORED),
    Operation("addArchive", "POST", "/uploads/{id}/archive", "teach", "Send a zip of pictures",
              schema.UploadState, endpoint=outside.add_archive, status=201, query=inputs.ArchiveQuery, body=ZIP,
              cost=40, failures=SENT_FILE | NOT_STORED),
    Operation("teachUpload", "POST", "/uploads/{id}/teach", "teach",
              "Teach the pictures of an upload, all or none, as one action",
              schema.UploadTaught, handlers.teach_upload, status=201, remembers=True, cost=40, failures=NOT_STORED),
    Operation("getMetrics", "GET", "/metrics", "view", "Metrics for Prometheus",
              "text/plain", endpoint=Services.metrics, documented=False, prefix=""),
)
# fmt: on
OPERATIONS = _OPERATIONS + tuple(one.with_label_in_query() for one in _OPERATIONS if "{label}" in one.path)
"""All operations. Those on a class exist twice: "." and ".." cannot be sent in a path, and some proxies reject %2F."""
