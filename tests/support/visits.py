"""Decisions in a row and visits, for tests of the history."""

from collections.abc import Iterable
from typing import Any

from edge_app.datasets.pictures import decode_image
from edge_app.devices.ports import NS_PER_S
from edge_app.history.records import VisitRecord
from edge_app.history.visits import Visit, VisitChange, VisitTracker
from edge_app.learner.pictures import thumbnail_of
from edge_app.pipeline.events import Decided
from support.pipeline_parts import colour, decided, decision, embedding_of, make_preprocess

WALL_NS = 1_800_000_000 * NS_PER_S
"""2027-01-15, 08:00 UTC."""
CLASSES = ("mug", "pen")


def shown(label: str | None, at_s: float, confidence: float = 0.9, **fields: Any) -> Decided:
    """A decision on a frame that was captured `at_s` seconds after the start of the monotonic clock."""
    time = {"captured_ns": round(at_s * NS_PER_S), "time_ns": WALL_NS + round(at_s * NS_PER_S)}
    confidence = 0.0 if label is None else confidence
    said = {"decision": decision(label, CLASSES), "confidence": confidence, **time, **fields}
    return decided(label, round(at_s * 10), **said)


def follow(tracker: VisitTracker, events: Iterable[Decided]) -> list[VisitChange]:
    return [change for event in events for change in tracker.see(event)]


def visit(label: str | None = "mug", begin_s: float = 0.0, duration_s: float = 2.0, **fields: Any) -> Visit:
    """A visit that began `begin_s` seconds after WALL_NS."""
    sure = 0.0 if label is None else 0.9
    begin = WALL_NS + round(begin_s * NS_PER_S)
    one = Visit(
        "camera", label, begin, round(begin_s * NS_PER_S), round(duration_s * NS_PER_S), 20, sure, sure, "pen", 5, 3, 9
    )
    return one._replace(**fields)


def record(label: str | None = "mug", number: int = 0, *, shows: str = "red", **fields: Any) -> VisitRecord:
    """A visit with a picture of one colour; `number` makes it another one, and later."""
    picture = make_preprocess()(colour(shows, number)).copy()
    jpeg = thumbnail_of(picture)
    # of the picture as it is stored: what a person teaches from it later
    embedding = embedding_of(decode_image(jpeg)).tobytes()
    begin_s = fields.pop("begin_s", 10.0 * number)
    return VisitRecord(visit(label, begin_s, **fields), False, picture=jpeg, embedding=embedding)
