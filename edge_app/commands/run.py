"""`edge-app run`: run the live device."""

import argparse
import json
import logging
import os
import queue
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_app.closing import Closing
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

WAITING_DECISIONS = 256
"""Decisions that wait for the reader of standard output; further ones are left out."""
CLOSE_TIMEOUT_S = 2.0


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

    # applied again to each reloaded configuration, so that a SIGHUP does not undo the options
    def override(config: "Config") -> "Config":
        return config.overridden(camera=args.camera, buttons=args.buttons, state=args.state, web=args.web or None)

    source = app.ConfigSource(args.config, os.environ, override)
    config = source.load()
    # here, not in cli: the folder may come from the configuration
    if config.state.folder:
        take_account(args.command, Path(config.state.folder))
    logs.set_up(config.log.level, sys.stderr, os.environ)
    with ExitStack() as stack:
        printer = stack.enter_context(DecisionPrinter(sys.stdout)) if args.decisions else None
        app.run(source, listener=printer or (lambda _: None), seconds=args.seconds)
    return 0


class DecisionPrinter(Closing):
    """Prints each decision as a line of JSON, in a thread of its own. A listener for events, and a context manager.

    The device never waits for the reader of standard output. If the reader is slow, decisions are left out; if it is
    gone (`| head`), the device runs on without it. Each is logged once.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING_DECISIONS)
        self._full = False
        # a daemon: a write to a pipe that nobody reads cannot be interrupted, and must not keep the process alive
        self._thread = threading.Thread(target=self._print_all, name="decision printer", daemon=True)
        self._thread.start()

    def __call__(self, event: "Event") -> None:
        """Have the event printed if it is a decision; returns at once."""
        from edge_app import logs
        from edge_app.pipeline.events import Decided

        if not isinstance(event, Decided) or not self._thread.is_alive():
            return
        try:
            self._waiting.put_nowait(json.dumps(_line(event), ensure_ascii=False))
        except queue.Full:
            if not self._full:
                self._full = True
                logs.report(logging.WARNING, "decisions_unread", reason="the reader is slow: decisions are left out")

    def close(self) -> None:
        """Print what waits, for at most two seconds."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_TIMEOUT_S)
            self._thread.join(CLOSE_TIMEOUT_S)

    def _print_all(self) -> None:
        from edge_app import logs

        try:
            while (line := self._waiting.get()) is not None:
                print(line, file=self._stream, flush=True)
        except OSError as error:  # BrokenPipeError, or a full disk
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
