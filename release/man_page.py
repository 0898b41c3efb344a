"""The man page edge-app(1), written from the command line's parsers.

`python -m release.man_page FILE` writes it; "-" prints it.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edge_app import __version__
from edge_app.cli import build_parser

FILES = (
    ("/etc/edge-app/config.toml", "Configuration of the service, every key with its default and description."),
    ("/var/lib/edge-app", "Stored examples, tokens and added encoders of the service."),
    ("/var/cache/edge-app", "Compiled kernels of the service."),
)
VARIABLES = (
    ("EDGE_APP_URL", "Address of the service that commands talk to."),
    ("EDGE_APP_TOKEN", "Token for that service, where no file is given."),
    ("EDGE_APP_STATE", "State folder where neither an option nor the configuration names one."),
    ("EDGE_APP_MODELS", "Folder of added encoders."),
    ("EDGE_APP_TFLITE_RUNTIME", "ai-edge-litert or tflite-runtime, where both are installed."),
    ("NUMBA_CACHE_DIR", "Folder of compiled kernels."),
)


def man_page(when: float) -> str:
    """Return the page in the man macros of roff; `when`: its date, seconds since 1970."""
    parser = build_parser()
    date = time.strftime("%Y-%m-%d", time.gmtime(when))
    lines = [f'.TH EDGE-APP 1 "{date}" "edge-app {__version__}" "User Commands"']
    lines += [".SH NAME", r"edge\-app \- a camera that learns", ".SH SYNOPSIS"]
    lines += [r".B edge\-app", r"[\-\-version] [\-\-help]", ".I COMMAND", ".RI [ ARGUMENTS ]"]
    lines += [".SH DESCRIPTION", _escaped(parser.description or ""), ".SH OPTIONS", *_options(parser)]
    lines.append(".SH COMMANDS")
    for name, command in commands(parser).items():
        lines += _command(name, command)
    lines += _epilog(parser.epilog or "")
    for title, entries in (("FILES", FILES), ("ENVIRONMENT", VARIABLES)):
        lines.append(f".SH {title}")
        for name, text in entries:
            lines += [".TP", f".B {_escaped(name)}", _escaped(text)]
    return "\n".join(lines) + "\n"


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, those of commands of a command as "models add"."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found[name] = command
                found |= {f"{name} {inner}": deeper for inner, deeper in commands(command).items()}
    return found


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    usage = re.sub(r"\s+", " ", parser.format_usage().removeprefix("usage: ")).strip()
    yield f".SS edge\\-app {_escaped(name)}"
    yield from (".PP", f".RI {_quoted(usage)}", ".PP", _escaped(parser.description or ""))
    yield from _options(parser)
    if parser.epilog:
        yield from (".PP", ".nf", *map(_escaped, parser.epilog.strip("\n").splitlines()), ".fi")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = argparse.HelpFormatter(parser.prog)
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):
            continue
        yield from (".TP", f".B {_escaped(formatter._format_action_invocation(action))}")
        yield _escaped(formatter._expand_help(action) if action.help else "")


def _epilog(text: str) -> Iterator[str]:
    """Yield the sections of the program's epilog: exit status and examples."""
    for part in text.strip().split("\n\n"):
        head, _, body = part.partition(":\n")
        yield f".SH {head.upper()}"
        yield from (".nf", *map(_escaped, body.splitlines()), ".fi")


def _escaped(text: str) -> str:
    """Return text that roff prints as it stands."""
    text = re.sub(r"\s*\n\s*", " ", text) if not text.startswith(" ") else text
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("°", r"\(de")
    return rf"\&{text}" if text.startswith((".", "\\(aq")) else text


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace('"', r"\(dq") + '"'


def main() -> None:
    """Write the page, dated by SOURCE_DATE_EPOCH where that is set."""
    os.environ["COLUMNS"] = "100"
    text = man_page(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(text)
    else:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
