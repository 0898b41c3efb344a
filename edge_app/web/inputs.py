"""The bodies and queries of requests to the API as types; see schema.py."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge_app.config.places import MOST_PLACES
from edge_app.labels import MAX_LENGTH
from edge_app.web.schema import Region, Rotation

_LETTER = "[!-~\u00a1-\u00ac\u00ae-\u024f\u4e00-\u9fa5]"
LABEL = f"^{_LETTER}(?:[ -~\u00a1-\u00ac\u00ae-\u024f\u4e00-\u9fa5]{{0,{MAX_LENGTH - 2}}}{_LETTER})?$"
"""Class names that a short expression can describe; the device accepts any printable text."""

Label = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_LENGTH,
        description="Class name: printable text without white space at its ends. The pattern covers only part of it.",
        examples=["cup"],
        extra_json_schema={"pattern": LABEL},
    ),
]
# 2^53: larger integers are not exact in JavaScript; 200 bounds the work of one request
Ids = Annotated[list[Annotated[int, Meta(ge=1, le=2**53)]], Meta(min_length=1, max_length=200)]
RuleName = Annotated[str, Meta(min_length=1, max_length=40, description="Name of a rule in the configuration.")]
Sequence = Annotated[int, Meta(ge=0, le=2**53, description="Sequence number of a frame.")]

# nanoseconds since 1970 of these fit 64 bits
Time = Annotated[int, Meta(ge=0, le=9_000_000_000_000, description="Milliseconds since 1970.")]
Place = Annotated[str, Meta(min_length=1, max_length=100)]

PartName = Annotated[str, Meta(max_length=40)]


class Input(Struct, forbid_unknown_fields=True, frozen=True):
    """The base of bodies and queries; an unknown field is an error."""


class Teach(Input, frozen=True):
    """The frame to teach."""

    frame: Sequence | None = None
    """Sequence number of the frame that the person saw; null for the newest."""


class Rename(Input, frozen=True):
    """The new name of a class."""

    to: Label


class Merge(Input, frozen=True):
    """The class to merge into."""

    into: Label


class SetStrictness(Input, frozen=True):
    """When a decision is "unknown"."""

    strictness: Annotated[float, Meta(ge=0, le=1)]
    """0: a name whenever a column spiked; 1: unknown unless it looks just like the examples."""


class SwitchRule(Input, frozen=True):
    """A rule, and whether it is switched on."""

    rule: RuleName
    enabled: bool


class NamedRule(Input, frozen=True):
    """A rule."""

    rule: RuleName


class PlaceValues(Input, frozen=True):
    """A place, with the keys of [[places]] in the configuration."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    """Each place has another."""
    camera: PartName = ""
    """Name of its camera; "": that of [camera]."""
    region: Region = msgspec.field(default_factory=lambda: [0.0, 0.0, 1.0, 1.0])
    rotation: Rotation = 0
    mirror: bool = False
    group: PartName = ""
    """Places of one group share what they learn; "": a group of its own, with the name of the place."""
    max_fps: float = 0.0
    """Decisions per second at most; 0: as [decision] says."""


class SetPlaces(Input, frozen=True):
    """All places, in their order: the first is that of the operations without a place in the path."""

    places: Annotated[list[PlaceValues], Meta(min_length=1, max_length=MOST_PLACES)]


class VisitFilterQuery(Input, frozen=True):
    """Conditions on visits; all must hold."""

    label: Label | None = None
    unknown: bool = False
    """Only unknown ones."""
    place: Place | None = None
    unsure: bool | None = None
    from_ms: Time | None = None
    """Those that begin then or later."""
    before_ms: Time | None = None


class VisitsQuery(VisitFilterQuery, frozen=True):
    """A page of visits."""

    unsure_first: bool = False
    cursor: Annotated[str, Meta(pattern=r"^(all|unsure|sure)\.[0-9]{1,19}\.[0-9]{1,19}$")] | None = None
    """`cursor` of the page before."""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class DeleteVisitsQuery(VisitFilterQuery, frozen=True):
    """The visits to delete."""

    id: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    """This one; without conditions."""
    everything: bool = False
    """All; without conditions."""


class VisitCountsQuery(Input, frozen=True):
    """A time, divided into hours or days."""

    from_ms: Time
    before_ms: Time
    by: Literal["hour", "day"] = "hour"
    zone: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """Name of the time zone of hours and days; the device's by default."""
    label: Label | None = None
    unknown: bool = False
    place: Place | None = None


class VisitGroupsQuery(Input, frozen=True):
    """The place of the visits."""

    place: Place | None = None


class Undo(Input, frozen=True):
    """The action to undo."""

    action: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    """Id of the action, undone only if it is the last; null for the last, whatever it is."""


class Relabel(Input, frozen=True):
    """Examples or visits, and their class."""

    ids: Ids
    label: Label


class Some(Input, frozen=True):
    """Ids of examples or visits."""

    ids: Ids


class SignIn(Input, frozen=True):
    """A token, to be exchanged for a session cookie."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class PictureQuery(Input, frozen=True):
    """The size of a picture."""

    max_side: Annotated[int, Meta(ge=16, le=4096)] = 640


class HeatMapQuery(Input, frozen=True):
    """A frame and a class."""

    frame: Sequence | None = None
    """Sequence number of a frame; the newest by default."""
    label: Label | None = None
    """Class name; by default the class of the leading column."""


class SimilarQuery(Input, frozen=True):
    """A frame, and how many examples are asked for."""

    frame: Sequence | None = None
    """Sequence number of a frame; the newest by default."""
    limit: Annotated[int, Meta(ge=1, le=20)] = 3


class ClassQuery(Input, frozen=True):
    """The name of a class, where it is not in the path."""

    label: Label


class ExamplesQuery(Input, frozen=True):
    """A page of the examples."""

    label: Label | None = None
    offset: Annotated[int, Meta(ge=0, le=2**31)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ExportQuery(Input, frozen=True):
    """The classes to export; all by default."""

    label: Annotated[list[Label], Meta(max_length=200)] = []


class FileQuery(Input, frozen=True):
    """A file of an upload."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]
    """Path in the data set, with forward slashes."""
    label: Label | None = None
    """Class name; by default the layout of the data set tells it."""
    exported: bool = False
    """Whether edge-app wrote the picture: an encoder's input, not to be cropped again."""


class ArchiveQuery(Input, frozen=True):
    """A zip of pictures."""

    label: Label | None = None
    """Class name of all pictures; by default the layout of the data set tells it."""
    names: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    """Encoding of names that are not UTF-8."""


class RestoreQuery(Input, frozen=True):
    """Whether to restore a backup, or only to look at it."""

    dry_run: bool = False
