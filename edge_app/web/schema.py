"""The requests and responses of the API as types; the OpenAPI description is made from them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge_app.labels import MAX_LENGTH
from edge_app.roles import Role

_LETTER = "[!-~\u00a1-\u00ac\u00ae-\u024f\u4e00-\u9fa5]"
LABEL = f"^{_LETTER}(?:[ -~\u00a1-\u00ac\u00ae-\u024f\u4e00-\u9fa5]{{0,{MAX_LENGTH - 2}}}{_LETTER})?$"
"""Class names that a short expression can describe; the device accepts any printable text."""

Label = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_LENGTH,
        description="Name of a class: printable, no white space at its ends. More than the pattern says is right.",
        examples=["cup"],
        extra_json_schema={"pattern": LABEL},
    ),
]
Ids = Annotated[list[Annotated[int, Meta(ge=1, le=2**53)]], Meta(min_length=1, max_length=200)]
Sequence = Annotated[int, Meta(ge=0, le=2**53, description="Number of a frame.")]


CameraWord = Literal["good", "black", "noise", "repeated", "reopening"]


class Input(Struct, forbid_unknown_fields=True, frozen=True):
    """The base of bodies and queries; an unknown field is an error."""


class Teach(Input, frozen=True):
    """What to teach."""

    frame: Sequence | None = None
    """The frame that was seen; null: the newest."""


class Rename(Input, frozen=True):
    """A new name."""

    to: Label


class Merge(Input, frozen=True):
    """The class to merge into."""

    into: Label


class Undo(Input, frozen=True):
    """What to take back."""

    action: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    """Only this action, if it is the last; null: the last, whatever it is."""


class Relabel(Input, frozen=True):
    """Examples, and the class that they belong to."""

    ids: Ids
    label: Label


class Some(Input, frozen=True):
    """Examples or moments."""

    ids: Ids


class SignIn(Input, frozen=True):
    """A token."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class PictureQuery(Input, frozen=True):
    """Which picture."""

    max_side: Annotated[int, Meta(ge=16, le=4096)] = 640


class HeatMapQuery(Input, frozen=True):
    """Which frame and which class."""

    frame: Sequence | None = None
    """Null: the newest."""
    label: Label | None = None
    """Null: the class of the leading column."""


class ExamplesQuery(Input, frozen=True):
    """Which examples."""

    label: Label | None = None
    offset: Annotated[int, Meta(ge=0, le=2**31)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ExportQuery(Input, frozen=True):
    """Which classes."""

    label: Annotated[list[Label], Meta(max_length=200)] = []


class Problem(Struct):
    """What went wrong."""

    code: str
    """A word for programs."""
    message: str
    """What, and the way out, for people."""
    field: str | msgspec.UnsetType = msgspec.UNSET
    """The part of the request that is wrong."""


class Failure(Struct):
    """An answer that is none."""

    error: Problem


class HeatMap(Struct):
    """The parts of a frame that drove the column of a class."""

    frame: int
    label: str
    cells: list[list[float]]
    """What each part of the picture adds to the column's potential, in firing thresholds; rows from the top."""


class CameraState(Struct):
    """How the camera is."""

    state: CameraWord
    reopened: int


class Health(Struct):
    """Whether the device is well, and why not."""

    ok: bool
    reasons: list[str]


class Decision(Struct):
    """What the device says of a frame."""

    sequence: int
    time_ms: int
    label: str | None
    confidence: float
    margin: int
    spikes: dict[str, int]
    first_spike: dict[str, int]
    latency_ms: float
    fresh: bool


class Rebuild(Struct):
    """How far the network is that follows from the last correction, in presentations of examples."""

    done: int
    total: int


class State(Struct):
    """How things are."""

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


class Confused(Struct):
    """A class that another is taken for."""

    label: str
    count: int


class ClassReport(Struct):
    """How a class is doing."""

    label: str
    examples: int
    taught: int
    predicted: int
    right: int
    enough: bool
    confused_with: list[Confused]
    advice: str


class Classes(Struct):
    """All classes."""

    classes: list[ClassReport]


class Before(Struct):
    """What was decided before an example was learnt."""

    label: str | None
    confidence: float


class Taught(Struct):
    """An example that is stored and learnt."""

    example: int
    label: str
    before: Before
    frame: int | None
    source: str


class TaughtMany(Struct):
    """Examples that are stored and learnt."""

    taught: list[Taught]


class Action(Struct):
    """One thing a person did."""

    id: int
    kind: str
    time_ms: int
    labels: list[str]
    examples: int


class Done(Struct):
    """The action that was carried out, or taken back."""

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
    """Some examples, the newest first, and how many there are."""

    examples: list[Example]
    total: int


class Moment(Struct):
    """A decision that may need a person's word."""

    id: int
    time_ms: int
    label: str | None
    confidence: float
    why: Literal["uncertain", "changed"]


class Moments(Struct):
    """The tray, the newest first."""

    moments: list[Moment]


class Dismissed(Struct):
    """How many were in the tray."""

    dismissed: int


class Imported(Struct):
    """What came of an import."""

    added: int
    skipped: int


class Session(Struct):
    """Who one is."""

    role: Role | Literal["none"]
