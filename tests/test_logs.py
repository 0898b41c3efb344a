"""One line an event."""

import io
import logging
import os
from collections.abc import Iterator

import pytest

from edge_app import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    logger = logging.getLogger(logs.LOGGER)
    before = logger.handlers, logger.propagate, logger.level
    yield io.StringIO()
    logger.handlers, logger.propagate, logger.level = before


def test_an_event_is_a_line_of_its_name_and_fields(stream: io.StringIO) -> None:
    logs.set_up("info", stream, {})
    logs.report(
        logging.INFO,
        "learnt",
        label="red pen",
        example=7,
        ms=21.40001,
        before=None,
        said='a "b"',
        path="/x/y",
        empty="",
    )
    line = stream.getvalue()
    assert line.endswith('learnt label="red pen" example=7 ms=21.4 before=none said="a \\"b\\"" path=/x/y empty=""\n')
    assert " info " in line


def test_nothing_can_break_a_line(stream: io.StringIO) -> None:
    logs.set_up("info", stream, {})
    logs.report(logging.INFO, "learnt", label="a\nforged level=9")
    logging.getLogger("edge_app.learner").warning("one\ntwo")
    assert stream.getvalue().count("\n") == 2
    assert 'label="a\\nforged level=9"' in stream.getvalue()


def test_levels_are_kept_and_can_be_changed(stream: io.StringIO) -> None:
    logs.set_up("warning", stream, {})
    logs.report(logging.INFO, "quiet")
    logs.set_level("debug")
    logs.report(logging.DEBUG, "loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_the_journal_is_told_the_level_of_every_line(tmp_path: object) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream, os.fdopen(read) as reader:
        found = os.fstat(stream.fileno())
        assert logs.is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not logs.is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not logs.is_journal(stream, {})
        logger = logging.getLogger(logs.LOGGER)
        before = logger.handlers, logger.propagate, logger.level
        try:
            logs.set_up("debug", stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logs.report(level, "x")
            try:
                raise ValueError("why")
            except ValueError:
                logger.critical("it failed", exc_info=True)
        finally:
            logger.handlers, logger.propagate, logger.level = before
        stream.close()
        lines = reader.read().splitlines()
    assert lines[:5] == ["<7>x", "<6>x", "<4>x", "<3>x", "<2>it failed"]
    assert lines[-1] == "<2>ValueError: why"
    assert all(line.startswith("<2>") for line in lines[4:])


def test_a_stream_without_a_file_is_no_journal(stream: io.StringIO) -> None:
    assert not logs.is_journal(stream, {"JOURNAL_STREAM": "1:2"})
