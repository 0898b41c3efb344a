"""Converts the objects of the device to the structs of the API."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from edge_app import control
from edge_app.history.records import LabelCount, StoredVisit
from edge_app.history.table import count_row, visit_row
from edge_app.roles import Role
from edge_app.storage import records
from edge_app.web import schema

NS_PER_MS = 1_000_000
OCTAVE = 1024
"""Units of a novelty."""
MOST_NAMED = 50
"""Files of a kind that are named."""
STORED, TWICE = "stored already under its class, or sent twice", "also in another class"


def decision(event: control.Decided) -> schema.Decision:
    """Return a decision."""
    return schema.Decision(
        sequence=event.sequence,
        time_ms=event.time_ns // NS_PER_MS,
        label=event.label,
        confidence=round(event.confidence, 4),
        nearest=event.nearest,
        novelty=round(event.novelty / OCTAVE, 3),
        novelty_limit=None if event.limit is None else round(event.limit / OCTAVE, 3),
        margin=event.decision.margin,
        spikes=event.spikes,
        first_spike=event.first_spike,
        latency_ms=round(event.latency_ns / 1e6, 2),
        fresh=event.fresh,
    )


def classification(one: control.DecidedPicture) -> schema.Classification:
    """Return the decision on a picture that was sent."""
    decided, verdict = one
    return schema.Classification(
        label=verdict.label,
        confidence=round(verdict.confidence, 4),
        nearest=decided.label,
        novelty=round(decided.novelty / OCTAVE, 3),
        novelty_limit=None if verdict.limit is None else round(verdict.limit / OCTAVE, 3),
        # a numpy integer is no integer to msgspec
        margin=int(decided.margin),
        spikes=dict(zip(decided.labels, map(int, decided.spikes), strict=True)),
        first_spike=dict(zip(decided.labels, map(int, decided.first_spike), strict=True)),
    )


def state(status: control.DeviceStatus, role: Role) -> schema.State:
    """Return the state for a client with that role."""
    event = status.last_decision
    return schema.State(
        version=status.version,
        uptime_s=round(status.uptime_s, 3),
        camera=schema.CameraState(cast(schema.CameraWord, status.camera), status.reopened),
        fps=None if status.fps is None else round(status.fps, 2),
        latency_ms=None if event is None else round(event.latency_ns / 1e6, 2),
        slowest_ms=round(status.slowest_ms, 2),
        temperature_c=status.temperature_c,
        slowed=status.slowed,
        dropped=status.dropped,
        decided=status.decided,
        learnt=status.learnt,
        rebuilding=status.rebuilding,
        rebuild=None if status.rebuild_progress is None else schema.Rebuild(*status.rebuild_progress),
        health=health(status.health),
        role=role,
        decision=None if event is None else decision(event),
        classes=list(status.classes),
        history=status.history,
        history_stopped=status.history_stopped,
    )


def health(condition: control.Condition) -> schema.Health:
    """Return the health."""
    return schema.Health(condition.ok, list(condition.reasons))


def report(one: control.ClassReport) -> schema.ClassReport:
    """Return the report on a class."""
    return schema.ClassReport(
        label=one.label,
        examples=one.examples,
        taught=one.accuracy.taught,
        predicted=one.accuracy.predicted,
        right=one.accuracy.right,
        enough=one.accuracy.enough,
        confused_with=[schema.Confused(label, count) for label, count in one.confused_with],
        advice=one.advice,
    )


def strictness(one: control.StrictnessReport) -> schema.Strictness:
    """Return the strictness and its previews."""
    limit = None if one.limit is None else round(one.limit / OCTAVE, 3)
    return schema.Strictness(one.strictness, limit, [schema.Preview(*preview) for preview in one.previews])


def rules(found: control.Rules | None) -> schema.RuleStates:
    """Return the rules of a device, None: it has none. Raises StateNotWritable."""
    if found is None:
        return schema.RuleStates([], [], [])
    return schema.RuleStates(
        [
            schema.RuleState(
                name=one.config.name,
                sentence=one.sentence,
                label=one.label,
                enabled=one.enabled,
                holding=one.holding,
                fired=one.fired,
                last_fired_ms=None if one.last_fired_ns is None else one.last_fired_ns // NS_PER_MS,
                reason=one.reason,
            )
            for one in found.reports()
        ],
        [schema.OutputState(name, on) for name, on in found.levels().items()],
        [schema.WebhookState(*one) for one in found.webhooks()],
    )


def places(found: control.PlacesReport) -> schema.PlaceStates:
    """Return all places."""
    return schema.PlaceStates(
        [
            schema.PlaceState(
                **one.place._asdict(), label=one.label, confidence=round(one.confidence, 4), classes=one.classes
            )
            for one in found.places
        ],
        [schema.CameraPicture(one.name, *(one.size or (None, None))) for one in found.cameras],
        found.groups,
        found.restarting,
    )


def heat_map(sequence: int, one: control.HeatMap) -> schema.HeatMap:
    """Return a heat map."""
    return schema.HeatMap(sequence, one.label, one.cells.round(4).tolist())


def similar(sequence: int, found: Sequence[control.SimilarExample]) -> schema.SimilarTo:
    """Return the examples that a frame resembles."""
    return schema.SimilarTo(sequence, [schema.Similar(*one[:2], round(one.similarity, 4)) for one in found])


def taught(one: control.Taught) -> schema.Taught:
    """Return an example that was taught."""
    before = schema.Before(one.before, round(one.confidence, 4))
    advice = [schema.TeachingAdvice(*found) for found in one.advice]
    return schema.Taught(one.example, one.label, before, one.sequence, one.source, advice)


def sent_file(one: control.ReceivedFile) -> schema.SentFile:
    """Return the result of sending a file."""
    return schema.SentFile(one.name, one.outcome, one.reason)


def upload(number: int, plan: control.UploadPlan) -> schema.UploadState:
    """Return what would be taught of an upload."""
    return schema.UploadState(
        id=number,
        layout=plan.layout,
        classes=plan.classes,
        duplicates=_named([(name, STORED) for name in plan.duplicates]),
        ambiguous=_named([(name, TWICE) for name in plan.ambiguous]),
        unreadable=_named(plan.unreadable),
        left_out=_named(plan.left_out),
        problem=plan.problem,
        received=plan.received,
        expected=plan.expected,
    )


def taught_upload(one: control.TaughtUpload) -> schema.UploadTaught:
    """Return the result of teaching an upload."""
    return schema.UploadTaught(
        taught=one.taught,
        duplicates=_named([(name, STORED) for name in one.plan.duplicates]),
        ambiguous=_named([(name, TWICE) for name in one.plan.ambiguous]),
        unreadable=_named(one.plan.unreadable),
        left_out=_named(one.plan.left_out),
        action=None if one.action is None else action(one.action),
    )


def restored(one: control.Restored) -> schema.RestoredBackup:
    """Return a backup that was looked at or restored."""
    state = one.state
    return schema.RestoredBackup(
        created_ms=state.created_ns // NS_PER_MS,
        program=state.program,
        encoder=state.encoder_name,
        classes=state.classes,
        replaced=one.replaced,
        config=state.config,
        restarting=one.restarting,
    )


def _named(files: Sequence[tuple[str, str]]) -> schema.NamedFiles:
    return schema.NamedFiles(len(files), [schema.NamedFile(*one) for one in files[:MOST_NAMED]])


def action(one: records.Action) -> schema.Action:
    """Return an action."""
    names = [name for change in one.changes for name in (change.before, change.after) if name is not None]
    return schema.Action(one.id, one.kind, one.time_ns // NS_PER_MS, list(dict.fromkeys(names)), len(one.changes))


def example(one: records.Example) -> schema.Example:
    """Return a stored example."""
    before = None if one.before is None else one.before.label
    return schema.Example(one.id, one.label, one.time_ns // NS_PER_MS, one.source, one.has_thumbnail, before)


def moment(one: StoredVisit) -> schema.Moment:
    """Return an entry of the tray."""
    return schema.Moment(one.id, one.begin_ns // NS_PER_MS, one.label, round(one.mean_confidence, 4), "uncertain")


def visit(one: StoredVisit, *, visible: bool = True) -> schema.VisitEntry:
    """Return a visit; `visible`: whether the client may see its picture."""
    return msgspec.convert(visit_row(one._replace(picture=one.picture and visible)), schema.VisitEntry)


def count(one: LabelCount) -> schema.VisitCount:
    """Return the visits of a label in an hour or a day."""
    return msgspec.convert(count_row(one), schema.VisitCount)


def event(one: control.Event) -> tuple[str, Any]:
    """Return the name of an event that is no decision, and the value that is sent."""
    if isinstance(one, control.Taught):
        return "taught", taught(one)
    if isinstance(one, control.Corrected):
        return "corrected", {
            "kind": one.kind,
            "labels": one.labels,
            # as many as one request may name; `action` has the number of all
            "examples": one.examples[:200],
            "action": action(one.action),
            "source": one.source,
        }
    if isinstance(one, control.Rejected):
        return "refused", {"reason": one.reason, "source": one.source}
    assert isinstance(one, control.Health)
    # fields may hold paths and exceptions, which JSON cannot
    fields = {name: value if isinstance(value, int | float) else str(value) for name, value in one.fields.items()}
    return "health", {"what": one.what, "fields": fields, "time_ms": one.time_ns // NS_PER_MS}
