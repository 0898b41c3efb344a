"""`edge-app doctor`: check a device, with advice for each problem."""

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_app.config import CameraSettings, Config
    from edge_app.doctor.findings import Finding, System

SERVICE_CONFIG = Path("/etc/edge-app/config.toml")
EPILOG = """\
Nothing is changed. The camera is opened and some frames are read; GPIO lines are queried, not requested. To check the
camera, stop the service first: sudo systemctl stop edge-app.

exit status: 0 no check failed (there may be warnings), 1 a check failed

examples:
  edge-app doctor
  edge-app doctor --camera v4l2:/dev/video0 --buttons "gpio:/dev/gpiochip0?cup=17,undo=22"
  sudo -u edge-app edge-app doctor --config /etc/edge-app/config.toml
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="check camera, lines, model, state, power, temperature, service",
        description="Check everything that a device needs, with advice for each problem.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"configuration file (default: {SERVICE_CONFIG} if it exists)"
    )
    parser.add_argument("--camera", metavar="URI", help="check this camera instead")
    parser.add_argument("--buttons", metavar="URI", help="check these buttons instead")
    parser.add_argument("--state", type=Path, metavar="DIR", help="check this state folder instead")
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or file (default: the configuration's)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the findings; return 1 if a check failed."""
    from edge_app.commands.output import write_json
    from edge_app.doctor.findings import System, run_program
    from edge_app.version import full_version

    failed, listed = False, []
    for finding in examine(args, System(args.root, run_program)):
        failed |= finding.status == "failed"
        listed.append(finding._asdict())
        if not args.json:
            print(line(finding), flush=True)  # one by one: some checks take seconds
    if args.json:
        write_json("-", {"edge_app": full_version(), "ok": not failed, "checks": listed})
    return 1 if failed else 0


def line(finding: "Finding") -> str:
    """Return a finding as text: a line, and one with the advice."""
    text = f"{finding.status:<9}{finding.name:<15}{finding.detail}"
    return text + (f"\n{'':<9}{'':<15}-> {finding.advice}" if finding.advice else "")


def examine(args: argparse.Namespace, system: "System") -> "Iterator[Finding]":
    """Yield all findings, the quick ones first; a check that cannot run is a finding too."""
    from edge_app.doctor import board, software
    from edge_app.doctor.findings import Finding, guarded

    yield from guarded("board", lambda: board.check_board(system))
    yield from guarded("power supply", lambda: board.check_power(system))
    yield from guarded("memory", lambda: board.check_memory(system))
    yield from guarded("clock", lambda: board.check_clock(system))
    yield from guarded("service", lambda: software.check_service(system))
    # guarded() yields findings, not values: the configuration leaves it through this list
    found: list[Config] = []

    def configuration() -> "Iterator[Finding]":
        config, detail = _config(args)
        found.append(config)
        yield Finding("configuration", "ok", detail)

    yield from guarded("configuration", configuration)
    # without a configuration there is no camera, line or folder to check
    if not found:
        yield from guarded("libraries", lambda: software.check_libraries(system.run))
        return
    yield from _examine(args, system, found[0])


def _examine(args: argparse.Namespace, system: "System", config: "Config") -> "Iterator[Finding]":
    """Yield the findings that depend on the configuration."""
    from edge_app.commands.cameras import unsuited_cameras
    from edge_app.devices import watched_uri
    from edge_app.devices.uri import split_scheme
    from edge_app.doctor import board, software, state
    from edge_app.doctor.findings import Finding, guarded
    from edge_app.files import expanded

    heat, folder = config.temperature, config.state.folder
    # libraries and programs of drivers that are not configured are not required
    cameras = config.cameras_in_use().values()
    uris = (*(one.uri for one in cameras), config.buttons.uri, config.lights.uri, config.outputs.uri)
    # samples of events need no library
    schemes = tuple(split_scheme(watched_uri(uri))[0] for uri in uris if uri and ".npz" not in uri)
    yield from guarded("temperature", lambda: board.check_temperature(system, heat.sensor, heat.slow_at_c))
    yield from guarded("state", lambda: state.check_state(expanded(folder) if folder else None))
    extras = tuple(name for name in software.EXTRAS if getattr(config, name).enabled)
    yield from guarded("libraries", lambda: software.check_libraries(system.run, schemes, extras))
    yield from guarded("programs", lambda: software.check_programs(schemes, shutil.which))
    for uri in dict.fromkeys(one.uri for one in cameras):
        yield from guarded("nvargus-daemon", partial(software.check_argus, system, uri))
        yield from guarded("OpenEB", partial(software.check_openeb, system.run, uri))
    yield from guarded("kernels", _cache)
    yield from guarded("model", lambda: _model(args, system, config))
    for name, reason in unsuited_cameras(config, args.model).items():
        yield Finding("camera", "warning", f"{name}: {reason}")
    yield from guarded("buttons", lambda: _lines(system, "buttons", config.buttons.uri))
    yield from guarded("lights", lambda: _lines(system, "lights", config.lights.uri))
    yield from guarded("outputs", lambda: _lines(system, "outputs", config.outputs.uri))
    # last: a camera may take seconds until its first frame, and an absent one until the timeout
    for one in cameras:
        yield from guarded("camera", partial(_camera, system, one))


def _config(args: argparse.Namespace) -> "tuple[Config, str]":
    from edge_app.config import load_config

    path: Path | None = args.config
    if path is None and SERVICE_CONFIG.is_file():
        path = SERVICE_CONFIG
    config = load_config(path, os.environ).overridden(camera=args.camera, buttons=args.buttons, state=args.state)
    return config, f"{path}: valid" if path else "no file: defaults"


def _cache() -> "Iterator[Finding]":
    from edge_app.doctor import software
    from edge_app.kernel_cache import cache_state

    yield from software.check_cache(cache_state)


def _model(args: argparse.Namespace, system: "System", config: "Config") -> "Iterator[Finding]":
    from edge_app.doctor.model import check_model
    from edge_app.encoder.model import load_manifest

    manifest = load_manifest(args.model or config.encoder.model or None)
    board = system.text("proc/device-tree/model")
    yield from check_model(manifest, board, time.perf_counter, config.encoder.threads)


def _lines(system: "System", what: str, uri: str) -> "Iterator[Finding]":
    from edge_app.devices.gpiolines import load_library
    from edge_app.doctor.lines import check_lines

    yield from check_lines(system, what, uri, load_library)


def _camera(system: "System", look: "CameraSettings") -> "Iterator[Finding]":
    from edge_app.devices import open_camera
    from edge_app.devices.clock import MonotonicClock
    from edge_app.doctor import camera
    from edge_app.doctor.software import service_runs

    yield from camera.check_camera_devices(system, look.uri)
    yield from camera.check_camera(
        # a running service holds the camera, so that a failure to open it is no fault of the camera's
        look.uri,
        MonotonicClock(),
        open_camera,
        recording=look.recording,
        busy=service_runs(system),
    )
