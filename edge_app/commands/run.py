"""`edge-app run`: the live device."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_app.commands.state_options import take_account

if TYPE_CHECKING:
    from edge_app.config import Config
    from edge_app.pipeline.events import Decided, Event

EPILOG = """\
Cameras: sim:, dir:FOLDER, file:VIDEO, and the drivers in docs/cameras.md. Buttons: keyboard:KEY=NAME,..., and
sim:NAME@SECONDS+SECONDS,... which press themselves so many seconds after the start. A button teaches the class of its
name; the button undo takes the last thing back. docs/service.md tells how to run it at every start of the machine.

SIGTERM and Ctrl-C stop it, with the state saved; SIGHUP has it read the configuration again.

examples:
  edge-app run --state ~/things --camera v4l2:/dev/video0 --buttons keyboard:1=mug,2=pen,u=undo
  edge-app run --state ~/things --camera sim: --buttons sim:cup@2,cat@6,undo@8 --seconds 10
  edge-app run --config /etc/edge-app/config.toml
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "run",
        help="the live device: camera, buttons, decisions",
        description="Decide on what the camera sees, and learn from presses, until stopped. Events go to stderr.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default: all defaults)")
    parser.add_argument("--camera", metavar="URI", help="camera to use instead of the configuration's")
    parser.add_argument("--buttons", metavar="URI", help="buttons to use instead of the configuration's")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="folder that holds what was taught, instead of the configuration's"
    )
    parser.add_argument(
        "--web", action="store_true", help="serve the page and the API, whatever the configuration says"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after so many seconds")
    parser.add_argument("--decisions", action="store_true", help="print every decision as a line of JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run until stopped; 0, or what made it end."""
    from edge_app import app, logs
    from edge_app.errors import InputError

    if args.seconds is not None and not args.seconds > 0:
        raise InputError(f"--seconds {args.seconds:g}: expected more than 0")

    def override(config: "Config") -> "Config":
        return config.overridden(camera=args.camera, buttons=args.buttons, state=args.state, web=args.web or None)

    source = app.ConfigSource(args.config, os.environ, override)
    config = source.load()
    if config.state.folder:
        take_account(args.command, Path(config.state.folder))
    logs.set_up(config.log.level, sys.stderr, os.environ)
    app.run(source, listener=DecisionPrinter(sys.stdout) if args.decisions else lambda _: None, seconds=args.seconds)
    return 0


class DecisionPrinter:
    """Prints each decision as a line of JSON. A listener for events.

    If the reader of standard output is gone (`| head`), the device runs on without it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    def __call__(self, event: "Event") -> None:
        """Print the event if it is a decision."""
        from edge_app import logs
        from edge_app.pipeline.events import Decided

        if self._stream is None or not isinstance(event, Decided):
            return
        try:
            print(json.dumps(_line(event), ensure_ascii=False), file=self._stream, flush=True)
        except OSError as error:  # BrokenPipeError, or a full disk
            self._stream = None
            logs.report(logging.WARNING, "decisions_unread", reason=error.strerror or str(error))


def _line(event: "Decided") -> dict[str, object]:
    return {
        "frame": event.sequence,
        "label": event.label,
        "decision": event.decision.label,
        "margin": event.decision.margin,
        "confidence": round(event.confidence, 4),
        "spikes": event.spikes,
        "time_ms": round(event.captured_ns / 1e6, 3),
        "waited_ms": round(event.waited_ns / 1e6, 3),
        "latency_ms": round(event.latency_ns / 1e6, 3),
        "fresh": event.fresh,
    }
