"""SQL of the history: the condition of a filter, pages, rows."""

from collections.abc import Sequence
from typing import Any

from edge_app.errors import InputError
from edge_app.history.records import ClockState, StoredVisit, VisitFilter
from edge_app.text import composed

ROWS = """
SELECT v.id, p.name, l.name, v.begin_ns, v.duration_ns, v.frames, v.confidence, v.mean_confidence, r.name, v.novelty,
       v.clock, v.open, v.unsure, EXISTS (SELECT 1 FROM pictures WHERE visit = v.id), t.name, v.example
FROM visits v
LEFT JOIN places p ON p.id = v.place
LEFT JOIN labels l ON l.id = v.label
LEFT JOIN labels r ON r.id = v.runner_up
LEFT JOIN labels t ON t.id = v.taught
"""
"""LEFT JOIN keeps visits outermost, in the order of an index."""
OF_THIS_ENCODER = "q.visit >= (SELECT MAX(embeddings_from) FROM runs)"
"""Condition on rows of `pictures` named q: the embedding was made by the encoder of the newest run."""
NEWEST_FIRST = "ORDER BY v.begin_ns DESC, v.id DESC LIMIT ?"


def condition(wanted: VisitFilter) -> tuple[str, list[Any]]:
    """Return a filter as the condition of WHERE, on visits named v, and its values. Raises InputError."""
    wanted.check()
    parts: list[str] = []
    values: list[Any] = []
    if wanted.unknown:
        parts.append("v.label IS NULL")
    if wanted.unsure is not None:
        # a constant: only so the partial index can be used
        parts.append(f"v.unsure = {int(wanted.unsure)}")
    if wanted.picture:
        parts.append("EXISTS (SELECT 1 FROM pictures WHERE visit = v.id)")
    for text, value in (
        ("v.label = (SELECT id FROM labels WHERE name = ?)", wanted.label and composed(wanted.label)),
        ("v.place = (SELECT id FROM places WHERE name = ?)", wanted.place and composed(wanted.place)),
        ("v.begin_ns >= ?", wanted.from_ns),
        ("v.begin_ns < ?", wanted.before_ns),
    ):
        if value is not None:
            parts.append(text)
            values.append(value)
    return " AND ".join(parts) or "1", values


def stored(row: Any) -> StoredVisit:
    """Return a row of ROWS as a visit."""
    visit = StoredVisit(*row)
    return visit._replace(
        clock=ClockState(visit.clock), open=bool(visit.open), unsure=bool(visit.unsure), picture=bool(visit.picture)
    )


def cursor_after(part: str, visit: StoredVisit) -> str:
    """Return the cursor of the page that begins after a visit, in a part of the visits."""
    return f"{part}.{visit.begin_ns}.{visit.id}"


def read_cursor(cursor: str, parts: Sequence[str]) -> tuple[str, int, int]:
    """Return (part, begin_ns, id) of a cursor. Raises InputError, also for one of another part than `parts`."""
    part, _, rest = cursor.partition(".")
    begin, _, number = rest.partition(".")
    try:
        found = (part, int(begin), int(number))
    except ValueError:
        found = ("", 0, 0)
    if found[0] not in parts or max(abs(value) for value in found[1:]) >= 1 << 63:
        raise InputError(f"cursor = {cursor[:60]!r}, expected the one that the page before gave, in the same order")
    return found
