"""A visit as a row for other programs: the same keys and values in JSON, CSV and the API."""

from edge_app.devices.ports import NS_PER_S
from edge_app.history.records import LabelCount, StoredVisit
from edge_app.text import spreadsheet_cell

NS_PER_MS = 1_000_000
OCTAVE = 1024
Value = str | int | float | bool | None


def visit_row(one: StoredVisit) -> dict[str, Value]:
    """Return a visit by the names of the API's fields."""
    return {
        "id": one.id,
        "place": one.place,
        "label": one.label,
        "begin_ms": one.begin_ns // NS_PER_MS,
        "end_ms": one.end_ns // NS_PER_MS,
        "seconds": round(one.duration_ns / NS_PER_S, 3),
        "frames": one.frames,
        "confidence": round(one.confidence, 4),
        "mean_confidence": round(one.mean_confidence, 4),
        "runner_up": one.runner_up,
        "novelty": round(one.novelty / OCTAVE, 3),
        "unsure": one.unsure,
        "open": one.open,
        "clock": one.clock.name.lower(),
        "picture": one.picture,
        "taught": one.taught,
        "example": one.example,
    }


def count_row(one: LabelCount) -> dict[str, Value]:
    """Return the visits of a label in an hour or a day by the names of the API's fields."""
    seconds = round(one.duration_ns / NS_PER_S, 3)
    return {"begin_ms": one.begin_ns // NS_PER_MS, "label": one.label, "visits": one.visits, "seconds": seconds}


def cells(row: dict[str, Value]) -> list[str | int | float]:
    """Return a row as cells of CSV: true and false as words, and no text that a spreadsheet would calculate."""
    return [_cell(value) for value in row.values()]


def _cell(value: Value) -> str | int | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return spreadsheet_cell(value) if isinstance(value, str) else value
