"""The demo's transcript: one line per event."""

import os
from collections.abc import Mapping
from typing import TextIO

from edge_app.demo.run import DecidedShot, DemoEvent, TaughtShot, UndoneShot
from edge_app.demo.script import ADDED, SLIP, STRANGER
from edge_app.demo.tally import Tally
from edge_app.devices.ports import NS_PER_S
from edge_app.messages import Decision

GREEN, RED, DIM, BOLD = "32", "31", "2", "1"

CHAPTERS = {
    "teach": "Teach: an object is shown, a button is pressed. Each frame is decided on before it is learnt.",
    "name": "Name: new poses, light and backgrounds, coins and wheels never taught. No button is pressed.",
    "add": f"A new class on the fly: one press for the {ADDED}, then the {ADDED} among the others.",
    "slip": f"A slip: the {SLIP[0]} is shown and {SLIP[1]} is pressed, then undo.",
    "stranger": f"An object that was never taught: a {STRANGER}.",
}


class Transcript:
    """Writes events to a stream; in colour on a terminal, unless NO_COLOR is set."""

    def __init__(self, stream: TextIO, tally: Tally, start_ns: int, environ: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        self._tally = tally
        self._start_ns = start_ns
        # https://no-color.org
        self._colour = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self._chapter = ""

    def say(self, text: str = "", style: str = "") -> None:
        """Write one line."""
        self._stream.write(self._styled(text, style) + "\n")
        # a line is seen when it happens, also through a pipe
        self._stream.flush()

    def add(self, event: DemoEvent) -> None:
        """Write the line of an event, after the tally has counted it; a new chapter gets its heading first."""
        chapter = event.beat.chapter
        if chapter != self._chapter:
            self._chapter = chapter
            self.say()
            self.say(CHAPTERS[chapter], BOLD)
        when = f"{(event.frame.time_ns - self._start_ns) / NS_PER_S:7.1f} s  "
        if isinstance(event, TaughtShot):
            self.say(when + self._taught(event))
        elif isinstance(event, UndoneShot):
            self.say(when + self._undone(event))
        elif chapter != "teach":
            self.say(when + self._decided(event))

    def summary(self) -> None:
        """Write the summary."""
        tally, ms = self._tally, self._tally.milliseconds()
        self.say()
        self.say("Summary", BOLD)
        self.say(f"  test then train  {tally.test_then_train} right before they were learnt, "
                 "from the second example of a class on")  # fmt: skip
        self.say(f"  naming           {tally.named} right, {tally.unknown} called unknown")
        for (truth, label), count in tally.confused.most_common(4):
            self.say(f"                   {count} x {truth} taken for {_name(label)}", DIM)
        self.say(f"  new class        {tally.added} right after one press; the others meanwhile {tally.others}")
        exact = "the same as before, to the spike" if tally.undo_exact else "NOT the same as before"
        self.say(f"  undo             the decision is {exact}", "" if tally.undo_exact else RED)
        called = ", ".join(f"{_name(label)} {count} x" for label, count in tally.stranger.most_common())
        self.say(f"  never taught     {STRANGER}: called {called}")
        if (margins := tally.margins()) is not None:
            self.say(
                f"                   median margin {margins[1]:.1f} spikes; {margins[0]:.1f} of right decisions", DIM
            )
        frame = ms["frame"]
        stages = ", ".join(f"{stage} {ms[stage]['p50']:.1f}" for stage in ("prepare", "encode", "decide"))
        self.say(f"  a frame          {frame['p50']:.1f} ms median, {frame['p95']:.1f} ms p95 (medians: {stages})")
        self.say(f"  a press          {ms['learn']['p50']:.1f} ms median until it is learnt and stored")

    def _taught(self, event: TaughtShot) -> str:
        truth, label, example = event.beat.shot.name, event.event.label, event.event.example
        if event.new:
            thought = f"decided {_name(event.before.label)}" if event.before.labels else "no classes yet"
            verdict = f"new class, learnt as example {example}"
        else:
            thought = f"decided {_name(event.before.label)}"
            verdict = f"learnt as example {example}"
        style = "" if event.new else GREEN if event.before.label == truth else RED
        line = f"{truth:<13} pressed {label:<12} " + self._styled(f"{thought:<25}", style) + verdict
        if label != truth:
            return line + self._styled("  (a wrong press)", RED)
        score = self._tally.test_then_train
        return line + (f"   test then train {score}" if event.beat.chapter == "teach" and score.total else "")

    def _undone(self, event: UndoneShot) -> str:
        verdict = "exactly as before" if event.exact else "NOT as before"
        return (
            f"{SLIP[0]:<13} pressed undo         before {_votes(event.before)}, taught {_votes(event.taught)}, "
            f"now {_votes(event.after)}: " + self._styled(verdict, GREEN if event.exact else RED)
        )

    def _decided(self, event: DecidedShot) -> str:
        truth, decision = event.beat.shot.name, event.event.decision
        known = truth in decision.labels
        verdict = ("ok   " if event.right else "WRONG") if known else "     "
        style = (GREEN if event.right else RED) if known else DIM
        score = {"name": self._tally.named, "add": self._tally.added if truth == ADDED else self._tally.others}
        so_far = score.get(event.beat.chapter)
        return (
            f"{truth:<13} -> "
            + self._styled(f"{_name(event.event.label):<13} {verdict}", style)
            + f"  {_margin(decision):<28} {event.ms.total:6.1f} ms"
            + (f"   right so far {so_far}" if so_far is not None and so_far.total else "")
        )

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and style and text else text


def _name(label: str | None) -> str:
    return "unknown" if label is None else label


def _margin(decision: Decision) -> str:
    if decision.label is None:
        return "no spike"
    count = int(decision.spikes[decision.labels.index(decision.label)])
    return f"{count} spikes, {decision.margin} ahead"


def _votes(decision: Decision) -> str:
    if decision.label is None:
        return "unknown"
    return f"{decision.label} {int(decision.spikes[decision.labels.index(decision.label)])}"
