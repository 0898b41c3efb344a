"""What presses mean: teach, undo, hold to forget, two at once for a new class. No clock of its own: times come in."""

from collections.abc import Mapping
from typing import NamedTuple

from edge_app.devices.ports import NS_PER_S, ButtonEdge
from edge_app.messages import Frame
from edge_app.pipeline.recent import NoFrame


class Teach(NamedTuple):
    """A person said what a frame shows."""

    label: str | None
    """None: a class that has no name yet."""
    time_ns: int
    """When (monotonic)."""
    source: str
    frame: Frame | NoFrame | None
    """What was shown then, or why there is nothing; None: nobody looked."""


class Undo(NamedTuple):
    """A person took the last thing back."""

    time_ns: int
    source: str


class Forget(NamedTuple):
    """A person wants a class forgotten."""

    label: str
    time_ns: int
    source: str


Command = Teach | Undo | Forget


class ButtonMapping(NamedTuple):
    """What the buttons stand for; see [buttons] in the configuration."""

    classes: Mapping[str, str]
    """Button -> class; a button that is not listed teaches the class of its own name."""
    undo: str = "undo"
    hold_s: float = 0.0
    chord_s: float = 0.0


class _Held(NamedTuple):
    edge: ButtonEdge
    frame: Frame | NoFrame | None


class Gestures:
    """Turns edges into commands, in the order in which they came."""

    def __init__(self, meaning: ButtonMapping) -> None:
        self._meaning = meaning
        self._waiting: dict[str, _Held] = {}
        """Pressed, and not yet certain that no second button follows."""
        self._down: dict[str, ButtonEdge] = {}
        """Held down, and not yet forgotten."""

    @property
    def pending(self) -> bool:
        """Whether `due` may soon have something to say."""
        return bool(self._waiting or (self._meaning.hold_s and self._down))

    def edge(self, edge: ButtonEdge, frame: Frame | NoFrame | None) -> list[Command]:
        """Take in an edge, and the frame that was shown at it; None where it does not matter."""
        commands = self.due(edge.time_ns)
        if not edge.pressed:
            self._down.pop(edge.name, None)
        elif edge.name == self._meaning.undo:
            commands.append(Undo(edge.time_ns, _source(edge)))
        elif not self._meaning.chord_s:
            self._down[edge.name] = edge
            commands.append(self._teach(_Held(edge, frame)))
        elif self._waiting.keys() - {edge.name}:
            _, first = self._waiting.popitem()
            self._down.pop(first.edge.name, None)
            names = f"buttons {first.edge.name} and {edge.name}"
            commands.append(Teach(None, first.edge.time_ns, names, first.frame))
        else:
            self._down[edge.name] = edge
            self._waiting[edge.name] = _Held(edge, frame)
        return commands

    def due(self, now_ns: int) -> list[Command]:
        """Return what became certain by waiting: no chord, a hold that was long enough."""
        commands: list[Command] = []
        chord_ns, hold_ns = self._meaning.chord_s * NS_PER_S, self._meaning.hold_s * NS_PER_S
        for name, held in list(self._waiting.items()):
            if now_ns - held.edge.time_ns >= chord_ns:
                commands.append(self._teach(self._waiting.pop(name)))
        for name, edge in list(self._down.items()):
            if hold_ns and now_ns - edge.time_ns >= hold_ns:
                del self._down[name]
                self._waiting.pop(name, None)
                commands.append(Forget(self._label(name), now_ns, _source(edge)))
        return commands

    def rest(self) -> list[Command]:
        """Return what still waits, when no more presses will come."""
        waiting, self._waiting = self._waiting, {}
        return [self._teach(held) for held in waiting.values()]

    def _teach(self, held: _Held) -> Teach:
        return Teach(self._label(held.edge.name), held.edge.time_ns, _source(held.edge), held.frame)

    def _label(self, name: str) -> str:
        return self._meaning.classes.get(name, name)


def _source(edge: ButtonEdge) -> str:
    return f"button {edge.name}"
