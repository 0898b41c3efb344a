"""One line an event."""

import io

import pytest

from edge_app.demo.run import DecidedShot, DemoEvent
from edge_app.demo.tally import Tally
from edge_app.demo.transcript import CHAPTERS, Transcript
from edge_app.devices.ports import NS_PER_S


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def transcript_of(events: list[DemoEvent], stream: io.StringIO, environ: dict[str, str]) -> str:
    tally = Tally()
    transcript = Transcript(stream, tally, NS_PER_S, environ)
    for event in events:
        tally.add(event)
        transcript.add(event)
    transcript.summary()
    return stream.getvalue()


def test_one_line_an_event_below_five_headings(events: list[DemoEvent]) -> None:
    lines = transcript_of(events, io.StringIO(), {}).splitlines()
    shown = [event for event in events if not (isinstance(event, DecidedShot) and event.beat.chapter == "teach")]
    assert sum(" s  " in line[:12] for line in lines) == len(shown)
    assert [line for line in lines if line in CHAPTERS.values()] == list(CHAPTERS.values())
    assert sum(" pressed " in line[:35] for line in lines) == 16 + 3


def test_lines_say_what_happened(events: list[DemoEvent]) -> None:
    text = transcript_of(events, io.StringIO(), {})
    assert "no classes yet" in text
    assert "new class, learnt as example 1" in text
    assert "(a wrong press)" in text
    assert "exactly as before" in text
    assert "test then train" in text
    assert "6.0 ms median, 6.0 ms p95" in text


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": ""}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    events: list[DemoEvent], stream: type[io.StringIO], environ: dict[str, str], coloured: bool
) -> None:
    assert ("\x1b[" in transcript_of(events, stream(), environ)) is coloured
