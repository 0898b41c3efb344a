"""The commands over MQTT: their fields, the role each needs, and how they are carried out."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from edge_app.checks import LABEL, Check, Table, checked, list_of, text, whole
from edge_app.control import Busy, Control, FrameGone, RequestReused
from edge_app.control.ids import MAX_IDS
from edge_app.errors import EdgeAppError, InputError, ModelMismatch, StateNotWritable, UnknownLabel
from edge_app.mqtt.choice import Choice
from edge_app.mqtt.fleet import Fleet

MAX_COMMAND = 16 << 10
"""Bytes of a command."""
MAX_REQUEST = 128
SOURCE = "mqtt"
# subclasses before their bases
CODES = (
    (FrameGone, "frame_gone"),
    (RequestReused, "request_reused"),
    (Busy, "busy"),
    (UnknownLabel, "unknown_class"),
    (ModelMismatch, "model_mismatch"),
    (StateNotWritable, "not_writable"),
    (InputError, "invalid"),
)
# beyond that JSON numbers are not exact in JavaScript
NUMBER = whole(0, (1 << 53) - 1)
NUMBERS = list_of(NUMBER, f"a list of 1 to {MAX_IDS} numbers", 1, MAX_IDS)
OFFER_ID = text(64, least=1)

Values = Mapping[str, Any]


class CommandError(EdgeAppError, ValueError):
    """A command that is not carried out; `code` is the reason in one word, for programs."""

    def __init__(self, code: str, message: str, request: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request = request


class CommandSpec(NamedTuple):
    """The role and the fields of a command."""

    role: str
    """The least role that may use it: teach or administer."""
    fields: Mapping[str, Check[Any]]
    needed: tuple[str, ...] = ()


class ParsedCommand(NamedTuple):
    """A command whose fields have been checked."""

    name: str
    values: Values
    request: str | None
    """The sender's key for it: returned with the response; for teach and undo it makes a retry harmless."""


SPECS: Mapping[str, CommandSpec] = {
    "teach": CommandSpec("teach", {"label": LABEL, "frame": NUMBER}),
    "undo": CommandSpec("teach", {"action": NUMBER}),
    "choose": CommandSpec("teach", {"label": LABEL}, ("label",)),
    "relabel": CommandSpec("teach", {"examples": NUMBERS, "label": LABEL}, ("examples", "label")),
    "forget_examples": CommandSpec("administer", {"examples": NUMBERS}, ("examples",)),
    "forget_class": CommandSpec("administer", {"label": LABEL}, ("label",)),
    "rename_class": CommandSpec("administer", {"label": LABEL, "to": LABEL}, ("label", "to")),
    "merge_classes": CommandSpec("administer", {"label": LABEL, "into": LABEL}, ("label", "into")),
    "offer": CommandSpec("administer", {"label": LABEL}, ("label",)),
    "withdraw": CommandSpec("administer", {"label": LABEL}, ("label",)),
    "offers": CommandSpec("administer", {}),
    "accept": CommandSpec("administer", {"offer": OFFER_ID}, ("offer",)),
    "decline": CommandSpec("administer", {"offer": OFFER_ID}, ("offer",)),
}


def parse(name: str, payload: bytes, role: str) -> ParsedCommand:
    """Return the command in a message. Raises CommandError."""
    if len(payload) > MAX_COMMAND:
        raise CommandError("too_large", f"the command has {len(payload)} bytes, expected at most {MAX_COMMAND}")
    # first of all, so that every error can name the request
    values, request = _object(payload)
    spec = SPECS.get(name)
    if spec is None:
        raise CommandError("unknown_command", f"no command {name[:40]!r}; known: {', '.join(SPECS)}", request)
    if spec.role == "administer" and role != "administer":
        raise CommandError("forbidden", f'{name} needs mqtt.commands = "administer", which is {role!r}', request)
    for key in spec.needed:
        if key not in values:
            raise CommandError("invalid", f"{name} lacks the field {key!r}", request)
    found = {}
    for key, value in values.items():
        if key not in spec.fields:
            known = ", ".join((*spec.fields, "request"))
            raise CommandError("invalid", f"{name} has no field {key[:40]!r}; known: {known}", request)
        try:
            found[key] = checked(key, value, spec.fields[key])
        except InputError as error:
            raise CommandError("invalid", str(error), request) from error
    return ParsedCommand(name, found, request)


def _object(payload: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        values = json.loads(payload) if payload else {}
    except (ValueError, RecursionError) as error:
        raise CommandError(
            "invalid", f"the command is not JSON ({error}); expected an object, at least {{}}"
        ) from error
    if not isinstance(values, dict):
        raise CommandError("invalid", f"the command is {type(values).__name__}, expected a JSON object, at least {{}}")
    try:
        request = Table(values).read("request", text(MAX_REQUEST, least=1), None)
    except InputError as error:
        raise CommandError("invalid", str(error)) from error
    values.pop("request", None)
    try:
        payload.decode("utf-8")
        # json.loads accepts "\ud800", which can be neither stored nor sent back
        json.dumps([values, request], ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise CommandError("invalid", "the command is not UTF-8, or contains a lone surrogate") from error
    return values, request


def code_of(error: EdgeAppError) -> str:
    """Return the code of an error in responses."""
    if isinstance(error, CommandError):
        return error.code
    return next((code for kind, code in CODES if isinstance(error, kind)), "failed")


class Commands:
    """Carries commands out. A command waits until it is stored, so not in the thread of the connection."""

    def __init__(self, control: Control, fleet: Fleet, choice: Choice, chosen: Callable[[], None]) -> None:
        """`chosen` is called after the choice has changed."""
        self._control = control
        self._chosen = chosen
        self._choice = choice
        self._work: Mapping[str, Callable[[ParsedCommand], Values]] = {
            "teach": self._teach,
            "undo": self._undo,
            "choose": self._choose,
            "relabel": lambda c: _action(control.relabel(c.values["examples"], c.values["label"], source=SOURCE)),
            "forget_examples": lambda c: _action(control.forget_examples(c.values["examples"], source=SOURCE)),
            "forget_class": lambda c: _action(control.forget_class(c.values["label"], source=SOURCE)),
            "rename_class": lambda c: _action(control.rename_class(c.values["label"], c.values["to"], source=SOURCE)),
            "merge_classes": lambda c: _action(
                control.merge_classes(c.values["label"], c.values["into"], source=SOURCE)
            ),
            "offer": lambda c: fleet.offer(c.values["label"]),
            "withdraw": lambda c: fleet.withdraw(c.values["label"]),
            "offers": lambda c: {"offers": fleet.listed()},
            "accept": lambda c: fleet.accept(c.values["offer"]),
            "decline": lambda c: fleet.decline(c.values["offer"]),
        }

    def carry_out(self, command: ParsedCommand) -> Values:
        """Carry a command out and return the fields of its response. Raises EdgeAppError."""
        return self._work[command.name](command)

    def _teach(self, command: ParsedCommand) -> Values:
        label = command.values.get("label", self._choice.label)
        if label is None:
            raise CommandError("invalid", "teach names no class, and none is chosen: give label", command.request)
        taught = self._control.teach(label, frame=command.values.get("frame"), request=command.request, source=SOURCE)
        return {"example": taught.example, "label": taught.label, "before": taught.before, "frame": taught.sequence}

    def _choose(self, command: ParsedCommand) -> Values:
        label = self._choice.choose(command.values["label"])
        self._chosen()
        return {"label": label}

    def _undo(self, command: ParsedCommand) -> Values:
        return _action(self._control.undo(action=command.values.get("action"), request=command.request, source=SOURCE))


def _action(action: Any) -> Values:
    return {"action": action.id, "kind": action.kind, "examples": len(action.changes)}
