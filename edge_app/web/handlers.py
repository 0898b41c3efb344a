"""Carries out the operations that look at the device or change it; each runs in a thread and may block."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from edge_app.control import Condition, Control, JpegFrame, Places, Rules
from edge_app.errors import InputError
from edge_app.storage.records import Action
from edge_app.web import schema, translate
from edge_app.web.calls import Call
from edge_app.web.responses import NO_STORE, ApiError, jpeg_response, json_response


def state(control: Control, call: Call) -> schema.State:
    """Return the device's state."""
    assert call.client.role is not None  # checked when the call was read
    return translate.state(control.status(), call.client.role)


def health(control: Control, call: Call) -> Response:
    """Return the health of a place: status 200, or 503 with the reasons."""
    return _health(control.status().health)


def health_of_all(places: Places, call: Call) -> Response:
    """Return the health of all places together: status 200, or 503 with the reasons."""
    return _health(places.condition())


def _health(condition: Condition) -> Response:
    return json_response(translate.health(condition), 200 if condition.ok else 503)


def config(control: Control, call: Call) -> dict[str, Any]:
    """Return the configuration."""
    return dict(control.config)


def picture(control: Control, call: Call) -> Response:
    """Return the newest frame."""
    return _picture(control.picture(call.query.max_side))


def _picture(found: JpegFrame) -> Response:
    return jpeg_response(found.jpeg, {"X-Frame-Sequence": str(found.sequence)})


def heat_map(control: Control, call: Call) -> schema.HeatMap:
    """Return a heat map of a frame."""
    return translate.heat_map(*control.heat_map(call.query.label, frame=call.query.frame))


def similar(control: Control, call: Call) -> schema.SimilarTo:
    """Return the taught examples that a frame resembles."""
    return translate.similar(*control.similar(frame=call.query.frame, limit=call.query.limit))


def classes(control: Control, call: Call) -> schema.Classes:
    """Return a report on each class."""
    return schema.Classes([translate.report(one) for one in control.classes()])


def strictness(control: Control, call: Call) -> schema.Strictness:
    """Return the strictness."""
    return translate.strictness(control.strictness())


def set_strictness(control: Control, call: Call) -> schema.Strictness:
    """Change the strictness."""
    return translate.strictness(control.set_strictness(call.body.strictness))


def rules(control: Control, call: Call) -> schema.RuleStates:
    """Return the rules."""
    return translate.rules(control.rules)


def switch_rule(control: Control, call: Call) -> schema.RuleStates:
    """Switch a rule on or off."""
    _rules(control, lambda found: found.switch(call.body.rule, call.body.enabled))
    return translate.rules(control.rules)


def test_rule(control: Control, call: Call) -> schema.RuleStates:
    """Carry out a rule's actions as a test."""
    _rules(control, lambda found: found.test(call.body.rule))
    return translate.rules(control.rules)


def _rules(control: Control, work: Callable[[Rules], None]) -> None:
    try:
        if control.rules is None:
            raise InputError("this device has no rules: [[rules]] in its configuration")
        work(control.rules)
    except InputError as error:
        raise ApiError(404, "unknown_rule", str(error)) from error


def places(found: Places, call: Call) -> schema.PlaceStates:
    """Return all places."""
    return translate.places(found.report())


def set_places(found: Places, call: Call) -> schema.PlaceStates:
    """Set all places."""
    try:
        config = found.checked(msgspec.to_builtins(call.body.places))
    except InputError as error:  # elsewhere an InputError is a conflict; here a value is invalid
        raise ApiError(422, "invalid", str(error), field="places") from error
    return translate.places(found.use(config))


def camera_picture(found: Places, call: Call) -> Response:
    """Return the newest frame of a camera."""
    return _picture(found.picture(call.camera, call.query.max_side))


def teach(control: Control, call: Call) -> schema.Taught:
    """Teach one frame."""
    return translate.taught(control.teach(call.label, frame=call.body.frame, request=call.key, source=call.source))


def rename_class(control: Control, call: Call) -> schema.Done:
    """Rename a class."""
    return _done(control.rename_class(call.label, call.body.to, source=call.source))


def merge_class(control: Control, call: Call) -> schema.Done:
    """Merge a class into another."""
    return _done(control.merge_classes(call.label, call.body.into, source=call.source))


def forget_class(control: Control, call: Call) -> schema.Done:
    """Forget a class."""
    return _done(control.forget_class(call.label, source=call.source))


def undo(control: Control, call: Call) -> schema.Done:
    """Undo the last action."""
    try:
        return _done(control.undo(action=call.body.action, request=call.key, source=call.source))
    except InputError as error:  # a code of its own, because a program that undoes in a loop ends with it
        raise ApiError(409, "nothing_to_undo", str(error)) from error


def examples(control: Control, call: Call) -> schema.Examples:
    """Return a page of the stored examples."""
    found, total = control.examples(call.query.label, call.query.offset, call.query.limit)
    return schema.Examples([translate.example(one) for one in found], total)


def thumbnail(control: Control, call: Call) -> Response:
    """Return an example's thumbnail."""
    try:
        found = control.thumbnail(call.id)
    except InputError as error:  # elsewhere an InputError is a conflict; here the example does not exist
        raise ApiError(404, "unknown_example", str(error)) from error
    if found is None:
        raise ApiError(404, "no_picture", f"example {call.id} has no thumbnail")
    return jpeg_response(found, {"Cache-Control": "private, max-age=86400"})  # a thumbnail never changes


def relabel_examples(control: Control, call: Call) -> schema.Done:
    """Move examples to another class."""
    return _done(control.relabel(call.body.ids, call.body.label, source=call.source))


def forget_examples(control: Control, call: Call) -> schema.Done:
    """Forget examples."""
    return _done(control.forget_examples(call.body.ids, source=call.source))


def open_upload(control: Control, call: Call) -> schema.UploadState:
    """Open an upload."""
    upload = control.uploads.open()
    return translate.upload(upload.id, upload.plan())


def upload(control: Control, call: Call) -> schema.UploadState:
    """Return what would be taught of an upload."""
    return translate.upload(call.id, control.uploads.find(call.id).plan())


def teach_upload(control: Control, call: Call) -> schema.UploadTaught:
    """Teach the pictures of an upload."""
    return translate.taught_upload(control.teach_upload(call.id, request=call.key, source=call.source))


def drop_upload(control: Control, call: Call) -> Response:
    """Close an upload without teaching it."""
    control.uploads.drop(call.id)
    return Response(status_code=204, headers=NO_STORE)


def _done(action: Action) -> schema.Done:
    return schema.Done(translate.action(action))
