"""`edge-app run`: run the live device."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_app.commands.state_options import folder_path, take_account

if TYPE_CHECKING:
    from edge_app.config import Config
    from edge_app.pipeline.events import Decided, Event

EPILOG = """\
Cameras: sim:, dir:FOLDER, file:VIDEO, and the drivers in docs/cameras.md. Buttons: keyboard:KEY=NAME,..., and
sim:NAME@SECONDS+SECONDS,..., which are pressed at these times after the start. A button teaches the class of its name;
the button undo reverts the last action. docs/service.md describes the service.

SIGTERM and Ctrl-C stop it and save the state; SIGHUP reloads the configuration.

examples:
  edge-app run --state ~/things --camera v4l2:/dev/video0 --buttons keyboard:1=mug,2=pen,u=undo
  edge-app run --state ~/things --camera sim: --buttons sim:cup@2,cat@6,undo@8 --seconds 10
  edge-app run --config /etc/edge-app/config.toml
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "run",
        help="run the device: camera, buttons, decisions",
        description="Decide on the camera's frames and learn from button presses until stopped. Events go to stderr.",
        epilog=EPILOG,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default: none, all defaults)")
    parser.add_argument("--camera", metavar="URI", help="overrides uri in [camera]")
    parser.add_argument("--buttons", metavar="URI", help="overrides uri in [buttons]")
    parser.add_argument("--state", type=folder_path, metavar="DIR", help="state folder; overrides folder in [state]")
    parser.add_argument("--web", action="store_true", help="serve the page and the API; overrides enabled in [web]")
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds")
    parser.add_argument("--decisions", action="store_true", help="print every decision as a line of JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run until stopped; return 0. Raises EdgeAppError."""
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
        "novelty": round(event.novelty / 1024, 3),
        "spikes": event.spikes,
        "time_ms": round(event.captured_ns / 1e6, 3),
        "waited_ms": round(event.waited_ns / 1e6, 3),
        "latency_ms": round(event.latency_ns / 1e6, 3),
        "fresh": event.fresh,
    }
