"""The log: one line per event on standard error, such as `learnt label=mug example=7 ms=21.4`.

Under systemd each line begins with its level as in sd-daemon(3), `<6>`, for the journal; on a terminal it begins with
the time of day.
"""

import json
import logging
import os
from collections.abc import Mapping
from typing import TextIO

from edge_app.text import LAYOUT, printable

LOGGER = "edge_app"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))


class LineFormatter(logging.Formatter):
    """Formats a record as one line, and a traceback as further lines with the same prefix."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or several for a traceback."""
        lines = [_one_line(record.getMessage()) + _written(getattr(record, "fields", {}))]
        if record.exc_info:
            lines += printable(self.formatException(record.exc_info), keep=LAYOUT).splitlines()
        start = self._start(record)
        return "\n".join(start + line for line in lines)

    def _start(self, record: logging.LogRecord) -> str:
        if self._journal:
            return f"<{next((priority for level, priority in _PRIORITIES if record.levelno >= level), 7)}>"
        return f"{self.formatTime(record, self.datefmt)} {record.levelname.lower():<8} "


def report(level: int, event: str, /, **fields: object) -> None:
    """Log an event with its fields."""
    logging.getLogger(LOGGER).log(level, event, extra={"fields": fields})


def set_up(level: str, stream: TextIO, environ: Mapping[str, str]) -> None:
    """Send log lines of `level` and above to `stream`; a second call replaces both."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(journal=is_journal(stream, environ)))
    logger = logging.getLogger(LOGGER)
    logger.handlers = [handler]
    # other programs' handlers on the root logger would write each line once more
    logger.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    """Set the lowest level to log: debug, info, warning or error."""
    logging.getLogger(LOGGER).setLevel(level.upper())


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream is connected to the journal; see JOURNAL_STREAM in systemd.exec(5)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    # compared: the variable is inherited by programs whose stderr is something else
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _written(fields: Mapping[str, object]) -> str:
    return "".join(f" {name}={_value(value)}" for name, value in fields.items())


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    # quoted only where a reader could not tell where the value ends
    plain = text.isprintable() and text and not set(text) & set(' "=\\')
    return text if plain else printable(json.dumps(text, ensure_ascii=False))


def _one_line(text: str) -> str:
    return printable(" ".join(text.splitlines()))
