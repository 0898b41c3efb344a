"""Button presses -> commands: press to teach, undo, hold to forget, two buttons at once for a new class."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge_app.config import ButtonsConfig
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Buttons, Clock
from edge_app.messages import Frame, Report
from edge_app.pipeline.commands import Command, CommandQueue, ForgetClass, Teach, Undo
from edge_app.pipeline.decide import SharedIndicator
from edge_app.pipeline.recent import NoFrame, RecentFrames
from edge_app.pipeline.references import ClassReferences

POLL_S = 0.1
QUICK_POLL_S = 0.02
"""While a chord or a hold is undecided: its time limits are tens of milliseconds."""
LATER_FRAME_S = 0.25
"""Longest time that a press waits for a later frame, which proves which frame was shown at the press."""
MAX_AGE_NS = 2 * NS_PER_S
"""A frame older than this at the press is not what the person saw."""
NOT_LOOKED_UP = NoFrame("no frame was looked up")


class _Held(NamedTuple):
    edge: ButtonEdge
    frame: Frame | NoFrame


class Gestures:
    """Turns button edges into commands, in order. It has no clock of its own: every time is passed in."""

    def __init__(self, config: ButtonsConfig, references: Mapping[str, ClassReferences]) -> None:
        """`references` has those of each place; they hold the class of a button, and follow when that is renamed."""
        self._config = config
        self._references = references
        self._last = next(iter(references))
        """Place that a button taught last: there the undo button undoes."""
        self._waiting: dict[str, _Held] = {}
        """Pressed; a second button may still make it a chord."""
        self._down: dict[str, ButtonEdge] = {}
        """Held down; may still become a hold."""

    def refer(self, buttons: Sequence[str]) -> None:
        """Begin to follow the classes of these buttons, pressed or not."""
        for name in buttons:
            if name != self._config.undo:
                # from the start: a class that is renamed before the first press is followed too
                self._label(name)

    @property
    def pending(self) -> bool:
        """Whether `due` may return commands soon."""
        return bool(self._waiting or (self._config.hold_to_forget_s and self._down))

    def edge(self, edge: ButtonEdge, frame: Frame | NoFrame = NOT_LOOKED_UP) -> list[Command]:
        """Process an edge, with the frame that was shown at it; a release and the undo button need none."""
        # time first: a hold that ended before this edge comes before it
        commands = self.due(edge.time_ns)
        if not edge.pressed:
            self._down.pop(edge.name, None)
        elif edge.name == self._config.undo:
            commands.append(Undo(source=_source(edge), place=self._last))
        elif not self._config.chord_s:  # no chords: a press is decided at once
            self._down[edge.name] = edge
            commands.append(self._teach(_Held(edge, frame)))
        elif self._waiting.keys() - {edge.name}:
            _, first = self._waiting.popitem()
            # the first button of a chord is no hold
            self._down.pop(first.edge.name, None)
            source = f"buttons {first.edge.name} and {edge.name}"
            self._last = self.place(first.edge.name)
            commands.append(Teach(None, first.frame, first.edge.time_ns, source=source, place=self._last))
        else:
            self._down[edge.name] = edge
            self._waiting[edge.name] = _Held(edge, frame)
        return commands

    def due(self, now_ns: int) -> list[Command]:
        """Return the commands that waiting has decided: a press that was no chord, a hold that was long enough."""
        commands: list[Command] = []
        chord_ns, hold_ns = self._config.chord_s * NS_PER_S, self._config.hold_to_forget_s * NS_PER_S
        for name, held in list(self._waiting.items()):
            # no second button came in time
            if now_ns - held.edge.time_ns >= chord_ns:
                commands.append(self._teach(self._waiting.pop(name)))
        for name, edge in list(self._down.items()):
            if hold_ns and now_ns - edge.time_ns >= hold_ns:
                del self._down[name]
                # a hold is not also a press
                self._waiting.pop(name, None)
                self._last = self.place(name)
                commands.append(ForgetClass(self._label(name), source=_source(edge), place=self._last))
        return commands

    def rest(self) -> list[Command]:
        """Return the presses that still wait, once no more will come."""
        waiting, self._waiting = self._waiting, {}
        return [self._teach(held) for held in waiting.values()]

    def _teach(self, held: _Held) -> Teach:
        self._last = self.place(held.edge.name)
        label, source = self._label(held.edge.name), _source(held.edge)
        return Teach(label, held.frame, held.edge.time_ns, source=source, place=self._last)

    def place(self, name: str) -> str:
        """Return the place in which a button teaches: the configured one, else the first."""
        return self._config.places.get(name, next(iter(self._references)))

    def _label(self, name: str) -> str:
        return self._references[self.place(name)].label(f"button {name}", self._config.classes.get(name, name))


class Teaching(NamedTuple):
    """The part of a place that a button needs to teach there."""

    recent: RecentFrames
    commands: CommandQueue
    references: ClassReferences


class ButtonWatch:
    """The stage that reads the buttons and queues commands, each with the frame that was shown at the press."""

    name = "buttons"
    longest_wait_s = 5.0

    def __init__(
        self,
        buttons: Buttons,
        config: ButtonsConfig,
        places: Mapping[str, Teaching],
        clock: Clock,
        lights: SharedIndicator,
        report: Report,
        ended: threading.Event,
    ) -> None:
        """`ended` is set when the recordings of all cameras are over."""
        self._buttons = buttons
        self._gestures = Gestures(config, {name: place.references for name, place in places.items()})
        self._gestures.refer(buttons.names)
        self._undo = config.undo
        self._places = places
        self._clock = clock
        self._lights = lights
        self._report = report
        self._ended = ended

    def step(self) -> bool:
        """Turn presses into commands; False once the camera's recording has ended."""
        ending = self._ended.is_set()
        poll_s = QUICK_POLL_S if self._gestures.pending else POLL_S
        # without waiting at the end: presses that came in time are still carried out
        for edge in self._buttons.read(0.0 if ending else poll_s):
            # only then: the look-up waits for a later frame
            teaches = edge.pressed and edge.name != self._undo
            self._put(self._gestures.edge(edge, self._shown_at(edge) if teaches else NOT_LOOKED_UP))
        self._put(self._gestures.rest() if ending else self._gestures.due(self._clock.monotonic_ns()))
        if ending:
            for place in self._places.values():
                place.commands.close()
        return not ending

    def _shown_at(self, edge: ButtonEdge) -> Frame | NoFrame:
        # no later frame will come
        wait_s = 0.0 if self._ended.is_set() else LATER_FRAME_S
        recent = self._places[self._gestures.place(edge.name)].recent
        return recent.at(edge.time_ns, max_age_ns=MAX_AGE_NS, wait_s=wait_s)

    def _put(self, commands: Sequence[Command]) -> None:
        for command in commands:
            # a person who sees no light would press again
            if not self._places[command.place].commands.put(command):
                self._lights.blink("error")
                self._report(
                    logging.WARNING,
                    "command_refused",
                    source=command.source,
                    reason="too many commands wait, or the program is stopping",
                )


def _source(edge: ButtonEdge) -> str:
    return f"button {edge.name}"
