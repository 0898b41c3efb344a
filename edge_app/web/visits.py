"""Carries out the operations on the history, and on the tray, which is a view of it."""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from datetime import tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from edge_app.control import Control
from edge_app.errors import InputError
from edge_app.history.records import StoredVisit, VisitFilter
from edge_app.history.table import NS_PER_MS, cells, visit_row
from edge_app.roles import allows
from edge_app.web import inputs, schema, translate
from edge_app.web.calls import Call
from edge_app.web.responses import CSV, JSON, ApiError, jpeg_response
from edge_app.web.services import Services
from edge_app.web.threads import in_thread

ALL = VisitFilter()
ROWS_AT_ONCE = 500
"""Rows of an export that are made at a time."""


def visits(control: Control, call: Call) -> schema.Visits:
    """Return a page of visits."""
    history, query = control.history, call.query
    page = history.store.page(_wanted(query), cursor=query.cursor, limit=query.limit, unsure_first=query.unsure_first)
    visible = sees_pictures(control, call)
    return schema.Visits([translate.visit(one, visible=visible) for one in page.visits], page.cursor)


def names(control: Control, call: Call) -> schema.VisitNames:
    """Return the places and labels of all visits."""
    return schema.VisitNames(*control.history.store.names())


def counts(control: Control, call: Call) -> schema.VisitCounts:
    """Return visits and time per label, by hour or day."""
    history, query = control.history, call.query
    zone = None if query.zone is None else _zone(query.zone)
    wanted = VisitFilter(label=query.label, unknown=query.unknown, place=query.place)
    wanted.check()
    found = history.store.counts(query.by, query.from_ms * NS_PER_MS, query.before_ms * NS_PER_MS, wanted, zone)
    return schema.VisitCounts([translate.count(one) for one in found])


def groups(control: Control, call: Call) -> schema.VisitGroups:
    """Return unknown visits that look alike."""
    found = control.history.groups(call.query.place) if sees_pictures(control, call) else []
    return schema.VisitGroups([schema.Alike(one.visits, round(one.likeness, 4)) for one in found])


def picture(control: Control, call: Call) -> Response:
    """Return the picture of a visit."""
    history = control.history
    call.client.require(history.picture_role)
    try:
        visit, found = history.store.visit(call.id), history.store.picture(call.id)
    except InputError as error:
        raise ApiError(404, "unknown_visit", str(error)) from error
    if found is None:
        raise ApiError(404, "no_picture", f"visit {call.id} has no picture")
    # a better picture may come while the visit goes on
    return jpeg_response(found, {} if visit.open else {"Cache-Control": "private, max-age=86400"})


def teach(control: Control, call: Call) -> schema.TaughtMany:
    """Teach the pictures of visits."""
    done = control.teach_visits(call.body.ids, call.body.label, request=call.key, source=call.source)
    return schema.TaughtMany([translate.taught(one) for one in done])


def delete(control: Control, call: Call) -> schema.Deleted:
    """Delete a visit, those of a filter, or all."""
    store, query, wanted = control.history.store, call.query, _wanted(call.query)
    # exactly one of them: a parameter that was left out by mistake must not delete everything
    if sum((query.id is not None, wanted != ALL, query.everything)) != 1:
        raise InputError("expected either id, conditions (label, unknown, place, ...), or everything=true")
    if query.id is None:
        return schema.Deleted(store.delete(wanted))
    try:
        store.delete_one(query.id)
    except InputError as error:
        raise ApiError(404, "unknown_visit", str(error)) from error
    return schema.Deleted(1)


# The tray


def tray(control: Control, call: Call) -> schema.Moments:
    """Return the newest unsure visits; none to clients that may not see pictures."""
    found = control.history.tray() if sees_pictures(control, call) else []
    return schema.Moments([translate.moment(one) for one in found])


def dismiss(control: Control, call: Call) -> schema.Dismissed:
    """Make visits count as looked at."""
    return schema.Dismissed(control.history.store.dismiss(call.body.ids))


# Export


async def export_csv(services: Services, request: Request, call: Call) -> Response:
    """Send visits as CSV."""
    wanted = _wanted(call.query)
    rows = await in_thread(lambda: services.control.history.store.visits(wanted), call.client.key)
    return await _send(services, call, csv_chunks(rows), CSV, "visits.csv")


async def export_json(services: Services, request: Request, call: Call) -> Response:
    """Send visits as JSON."""
    wanted = _wanted(call.query)
    rows = await in_thread(lambda: services.control.history.store.visits(wanted), call.client.key)
    return await _send(services, call, json_chunks(rows), JSON, "visits.json")


async def _send(services: Services, call: Call, chunks: Iterator[bytes], media_type: str, name: str) -> Response:
    key = call.client.key
    # before the response begins: an error can still be answered
    first = await in_thread(lambda: next(chunks, b""), key)

    async def content() -> AsyncIterator[bytes]:
        chunk = first
        while chunk:
            yield chunk
            chunk = await in_thread(lambda: next(chunks, b""), key)

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return services.streams.respond(call.client, content(), media_type, headers=headers)


def csv_chunks(rows: Iterator[StoredVisit]) -> Iterator[bytes]:
    """Yield visits as CSV (RFC 4180) with a header, some rows at a time."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(schema.VisitEntry.__struct_fields__)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        writer.writerows(cells(visit_row(one)) for one in some)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def json_chunks(rows: Iterator[StoredVisit]) -> Iterator[bytes]:
    """Yield visits as one page of the API, some rows at a time."""
    start = b'{"visits":['
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield start + b",\n".join(msgspec.json.encode(translate.visit(one)) for one in some)
        start = b",\n"
    yield (b"" if start == b",\n" else start) + b'],"cursor":null}'


# Inside


def sees_pictures(control: Control, call: Call) -> bool:
    """Whether the client may see pictures of visits. Raises HistoryOff."""
    return allows(call.client.role, control.history.picture_role)


def _wanted(query: inputs.VisitFilterQuery) -> VisitFilter:
    """Return the filter of a query. Raises InputError for one that contradicts itself."""
    from_ns, before_ns = (
        None if time_ms is None else time_ms * NS_PER_MS for time_ms in (query.from_ms, query.before_ms)
    )
    wanted = VisitFilter(query.label, query.unknown, query.place, query.unsure, from_ns, before_ns)
    wanted.check()
    return wanted


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError) as error:
        message = f"zone = {name!r}, expected a name of the IANA time zone database, such as Europe/Berlin"
        raise ApiError(404, "unknown_zone", message, field="zone") from error
