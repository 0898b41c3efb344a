"""The responses of the API as types, and the values of both directions; the requests are in inputs.py.

The OpenAPI description is made from them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge_app.roles import Role

Region = Annotated[
    list[float],
    Meta(
        min_length=4,
        max_length=4,
        description="x, y, width, height as fractions of the camera's picture, before rotation.",
        examples=[[0.1, 0.2, 0.5, 0.5]],
    ),
]
Rotation = Annotated[int, Meta(description="Degrees clockwise.", extra_json_schema={"enum": [0, 90, 180, 270]})]

ClockWord = Literal["doubtful", "unchecked", "synchronised"]
CameraWord = Literal["good", "black", "noise", "repeated", "reopening", "ended"]


class Problem(Struct):
    """The cause of an error."""

    code: str
    """Error code, for programs."""
    message: str
    """Description of the error and how to resolve it, for people."""
    field: str | msgspec.UnsetType = msgspec.UNSET
    """The field of the request that is invalid."""


class Failure(Struct):
    """An error response."""

    error: Problem


class Similar(Struct):
    """A taught example that a frame resembles."""

    id: int
    label: str
    similarity: float
    """Cosine of the spike counts, 0 to 1."""


class SimilarTo(Struct):
    """The taught examples that a frame resembles most, the most similar first."""

    frame: int
    examples: list[Similar]


class HeatMap(Struct):
    """The parts of a frame that drove the column of a class."""

    frame: int
    label: str
    cells: list[list[float]]
    """Added by each part of the picture to the column's potential, in firing thresholds; rows from the top."""


class CameraState(Struct):
    """State of the camera."""

    state: CameraWord
    reopened: int


class Health(Struct):
    """Whether the device works as it should, and the reasons when it does not."""

    ok: bool
    reasons: list[str]


class Decision(Struct):
    """The classification of a frame."""

    sequence: int
    time_ms: int
    label: str | None
    confidence: float
    nearest: str | None
    novelty: float
    novelty_limit: float | None
    margin: int
    spikes: dict[str, int]
    first_spike: dict[str, int]
    latency_ms: float
    fresh: bool


class Classification(Struct):
    """The decision on a picture that was sent."""

    label: str | None
    confidence: float
    nearest: str | None
    novelty: float
    novelty_limit: float | None
    margin: int
    spikes: dict[str, int]
    first_spike: dict[str, int]


class Rebuild(Struct):
    """Progress of learning the last correction, in presentations of examples."""

    done: int
    total: int


class State(Struct):
    """State of the device."""

    version: str
    uptime_s: float
    camera: CameraState
    fps: float | None
    latency_ms: float | None
    slowest_ms: float
    temperature_c: float | None
    slowed: bool
    dropped: int
    decided: int
    learnt: int
    rebuilding: bool
    rebuild: Rebuild | None
    health: Health
    role: Role
    decision: Decision | None
    classes: list[str]
    history: Literal["on", "without pictures", "off"]
    history_stopped: str | None


class Confused(Struct):
    """A class that examples of another were recognised as, and how often."""

    label: str
    count: int


class ClassReport(Struct):
    """How well a class is recognised."""

    label: str
    examples: int
    taught: int
    predicted: int
    right: int
    enough: bool
    confused_with: list[Confused]
    advice: str


class Classes(Struct):
    """Reports on all classes."""

    classes: list[ClassReport]


class Preview(Struct):
    """The effect of a strictness on the newest examples, each judged by what was known before it."""

    strictness: float
    right: int
    right_rejected: int
    wrong: int
    wrong_rejected: int


class Strictness(Struct):
    """When a decision is "unknown"."""

    strictness: float
    novelty_limit: float | None
    preview: list[Preview]


class Before(Struct):
    """The decision on an example before it was learnt."""

    label: str | None
    confidence: float


class TeachingAdvice(Struct):
    """A warning about an example that was taught."""

    kind: Literal["dark", "blurred", "same", "resembles", "one-sided"]
    text: str
    example: int | None
    """The stored example that it is about."""
    label: str | None
    """The class of that example."""


class Taught(Struct):
    """An example that was stored and learnt."""

    example: int
    label: str
    before: Before
    frame: int | None
    source: str
    advice: list[TeachingAdvice]


class TaughtMany(Struct):
    """Examples that were stored and learnt."""

    taught: list[Taught]


class Action(Struct):
    """An action that undo can reverse."""

    id: int
    kind: str
    time_ms: int
    labels: list[str]
    examples: int


class Done(Struct):
    """The action that was carried out or undone."""

    action: Action


class Example(Struct):
    """A stored example."""

    id: int
    label: str
    time_ms: int
    source: str
    thumbnail: bool
    before: str | None


class Examples(Struct):
    """A page of the examples, the newest first, and the total number."""

    examples: list[Example]
    total: int


class Moment(Struct):
    """An entry of the tray: a visit that nobody has looked at."""

    id: int
    time_ms: int
    label: str | None
    confidence: float
    why: Literal["uncertain"]


class Moments(Struct):
    """The entries of the tray, the newest first."""

    moments: list[Moment]


class Dismissed(Struct):
    """How many entries were removed."""

    dismissed: int


class VisitEntry(Struct):
    """A label that held in a place."""

    id: int
    place: str
    label: str | None
    begin_ms: int
    end_ms: int
    seconds: float
    frames: int
    confidence: float
    """The best."""
    mean_confidence: float
    runner_up: str | None
    novelty: float
    """Of the best decision, in octaves."""
    unsure: bool
    """Unknown or of low confidence, and neither taught nor dismissed."""
    open: bool
    """Whether it goes on, or was cut off by a stop."""
    clock: ClockWord
    """How sure the device's clock was."""
    picture: bool
    """Whether there is a picture that the client may see."""
    taught: str | None
    """Class that it was taught as."""
    example: int | None
    """The example that it became."""


class Visits(Struct):
    """A page of visits, and the cursor of the next page."""

    visits: list[VisitEntry]
    cursor: str | None


class VisitNames(Struct):
    """Places and labels of all visits."""

    places: list[str]
    labels: list[str]


class VisitCount(Struct):
    """Visits of a label that began in an hour or a day, and how long it was there."""

    begin_ms: int
    label: str | None
    visits: int
    seconds: float


class VisitCounts(Struct):
    """Visits and time per label; labels that were not there are left out."""

    counts: list[VisitCount]


class Alike(Struct):
    """Unknown visits that look alike, the most typical first."""

    visits: list[int]
    likeness: float
    """Mean cosine of their embeddings to that of the first, 0 to 1."""


class VisitGroups(Struct):
    """Groups of unknown visits, the largest first."""

    groups: list[Alike]


class Deleted(Struct):
    """How many visits were deleted."""

    deleted: int


class Imported(Struct):
    """The result of an import."""

    added: int
    skipped: int


class SentFile(Struct):
    """The result of sending a file."""

    name: str
    outcome: Literal["kept", "duplicate", "left_out", "unreadable"]
    reason: str


class NamedFile(Struct):
    """A file that is not used."""

    name: str
    reason: str


class NamedFiles(Struct):
    """Files that are not used: how many, and the first of them."""

    count: int
    first: list[NamedFile]


class UploadState(Struct):
    """An upload: what would be taught, and what would not."""

    id: int
    layout: str
    classes: dict[str, int]
    """Pictures to teach, by class."""
    duplicates: NamedFiles
    ambiguous: NamedFiles
    unreadable: NamedFiles
    left_out: NamedFiles
    problem: str
    """Why nothing can be taught."""
    received: int
    expected: int
    """Pictures of an archive that is being read; 0: none is."""


class UploadTaught(Struct):
    """The result of teaching an upload."""

    taught: dict[str, int]
    """Examples by class."""
    duplicates: NamedFiles
    ambiguous: NamedFiles
    unreadable: NamedFiles
    left_out: NamedFiles
    action: Action | None
    """None: all pictures were stored already."""


class RestoredBackup(Struct):
    """A backup, and the state that it replaces."""

    created_ms: int
    program: str
    """Version of the edge-app that wrote it."""
    encoder: str
    classes: dict[str, int]
    """Examples in the backup, by class."""
    replaced: dict[str, int]
    """Examples stored now, by class."""
    config: str
    """The configuration in the backup, as TOML; it is not applied."""
    restarting: bool


class RuleState(Struct):
    """A rule, and how it does."""

    name: str
    sentence: str
    """The rule in words."""
    label: str
    """The present name of its class, "unknown", or "*" for any."""
    enabled: bool
    holding: bool
    """Whether its output is on because the condition holds."""
    fired: int
    """Firings since the start, tests not counted."""
    last_fired_ms: int | None
    reason: str
    """Why it does not fire now, or that it has fired."""


class OutputState(Struct):
    """An output, and whether it is on."""

    name: str
    on: bool


class WebhookState(Struct):
    """A webhook, and how it does."""

    name: str
    waiting: int
    """Messages on disk."""
    delivered: int
    """Since the start; so is what was given up."""
    given_up: int
    failure: str
    """Why the last attempt failed; empty if it did not."""


class RuleStates(Struct):
    """The rules in the order of the configuration, with the outputs and webhooks."""

    rules: list[RuleState]
    outputs: list[OutputState]
    webhooks: list[WebhookState]


class PlaceState(Struct):
    """A place, and the newest decision in it."""

    name: str
    camera: str
    group: str
    region: Region
    rotation: Rotation
    mirror: bool
    max_fps: float
    """Decisions per second at most; 0: as [decision] says."""
    label: str | None
    """Null if it is unknown, or if nothing was decided yet."""
    confidence: float
    classes: int
    """How many its group knows."""


class CameraPicture(Struct):
    """A camera of the configuration, and the size of its newest frame."""

    name: str
    width: int | None
    """Pixels; null if the camera delivers no picture, or if no place uses it."""
    height: int | None


class PlaceStates(Struct):
    """All places."""

    places: list[PlaceState]
    cameras: list[CameraPicture]
    groups: list[str]
    """Groups of places, and those of which only the state is left."""
    restarting: bool
    """Whether the device is about to restart with other places."""


class Session(Struct):
    """The role of the client; none when it is not signed in."""

    role: Role | Literal["none"]
