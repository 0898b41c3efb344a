"""Builds the live device from its configuration, runs it, and closes its parts."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app import logs, malloc
from edge_app.config import Config, load_config
from edge_app.control import Control, Hub
from edge_app.devices import make_camera, open_buttons, open_indicator
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import Camera, Clock
from edge_app.devices.uri import without_password
from edge_app.devices.view import Region, View
from edge_app.errors import DeviceError, EdgeAppError, InputError
from edge_app.files import expanded
from edge_app.pipeline.events import Listener
from edge_app.pipeline.pipeline import Pipeline, PipelineParts, PipelineStatus
from edge_app.pipeline.references import FILE as REFERENCES_FILE
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import StageFailed, longest_waits
from edge_app.service import Notifier, Signals, Supervisor, check_waits, watchdog_s

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.learner import Learner
    from edge_app.mqtt.bridge import Bridge
    from edge_app.mqtt.settings import MqttSettings
    from edge_app.web.server import WebServer

SWITCH_S = 0.0005
"""Time that a thread may hold the interpreter while others wait: a tenth of Python's default, so that no frame waits
long."""
STOP_S = 3.0
"""Time for the stages to stop. The state is saved afterwards; the whole stop takes less than 5 s."""


class StoppedEarly(EdgeAppError, RuntimeError):
    """A signal asked for the stop before the device had started; no failure."""

    exit_status = 0


class ConfigSource(NamedTuple):
    """Where the configuration comes from; a reload reads it again."""

    path: Path | None
    environ: Mapping[str, str]
    override: Callable[[Config], Config] = lambda config: config
    """Applies the options of the command line."""

    def load(self) -> Config:
        """Return the configuration. Raises InputError."""
        return self.override(load_config(self.path, self.environ))


class Device(NamedTuple):
    """A device that is ready to start."""

    pipeline: Pipeline
    learner: "Learner"
    control: Control | None
    """For the page, the API and MQTT; None if neither is enabled."""


def run(source: ConfigSource, *, listener: Listener = lambda _: None, seconds: float | None = None) -> PipelineStatus:
    """Run the device until a signal, the end of a recording, or for `seconds`; return its condition at the end.

    `listener` receives every event, from the stages' threads. Call it in the main thread. Raises EdgeAppError for
    whatever keeps the device from starting, or ends it.
    """
    config = source.load()
    clock = MonotonicClock()
    started_ns = time.monotonic_ns()
    malloc.share_arenas()
    sys.setswitchinterval(SWITCH_S)
    watchdog = watchdog_s(source.environ, os.getpid())
    with Signals() as signals, Notifier(source.environ.get("NOTIFY_SOCKET"), clock) as notifier, ExitStack() as stack:
        notifier.send(STATUS="starting")
        settings = _prepare(config)  # before the slow steps
        device = _open(stack, config, clock, notifier, signals, listener)
        clients = stack.enter_context(ExitStack())
        web, bridge = _open_clients(stack, clients, config, settings, device.control)
        check_waits(longest_waits(device.pipeline.stages), watchdog)
        reload = partial(_reload, source, config, device.pipeline)
        supervisor = Supervisor(device.pipeline, notifier, clock, logs.report, watchdog=watchdog, reload=reload)
        _report_start(config, device.learner, started_ns)
        malloc.give_back()
        _start(device.pipeline, web, bridge, signals)
        reason = _watch(device.pipeline, supervisor, signals, seconds, web)
        notifier.send(STOPPING=1, STATUS=f"stopping: {reason}")
        device.learner.refuse_imports()  # the teacher would wait for the one that is being stored
        clients.close()
        status = _finish(stack, device.pipeline, device.learner, reason)
        if web is not None and web.failure is not None:
            raise StageFailed(f"the page and the API have stopped: {web.failure}") from web.failure
        return status


def _prepare(config: Config) -> "MqttSettings | None":
    """Return what MQTT needs; None if it is off. Raises RuntimeMissing for an extra that is not installed."""
    if config.web.enabled:
        from edge_app.web.server import require_extra

        require_extra()
    if not config.mqtt.enabled:
        return None
    from edge_app.mqtt.settings import prepare

    return prepare(config.mqtt)


def _open(
    stack: ExitStack,
    config: Config,
    clock: MonotonicClock,
    notifier: Notifier,
    signals: Signals,
    listener: Listener,
) -> Device:
    """Open the parts; the stack closes them, the learner last."""
    if not config.state.folder:
        raise InputError(
            "no state folder: give --state DIR, folder in [state] of the configuration, or $EDGE_APP_STATE"
        )
    from edge_app.learner.manifest import find_manifest

    folder = expanded(config.state.folder)
    manifest = find_manifest(folder, config.encoder.model or None)
    notifier.send(STATUS="loading the state")
    learner = _open_learner(stack, config, folder, manifest, notifier, signals)
    notifier.send(STATUS="loading the encoder")
    encoder = _open_encoder(stack, config, manifest, learner)
    notifier.send(STATUS="opening camera, buttons and lights")
    hub = Hub()
    hub.listen(listener)
    parts = _open_devices(stack, config, clock, encoder, manifest, learner)
    references = ClassReferences(folder / REFERENCES_FILE, learner.history())
    pipeline = Pipeline(parts, clock, logs.report, config, tell=hub.tell, references=references)
    if not _has_clients(config):
        return Device(pipeline, learner, None)
    control = make_control(config, folder, manifest, encoder, pipeline, learner, hub, clock)
    return Device(pipeline, learner, control)


def _open_learner(
    stack: ExitStack, config: Config, folder: Path, manifest: "ModelManifest", notifier: Notifier, signals: Signals
) -> "Learner":
    from edge_app.learner import Learner

    opening = True

    def progress(done: int, total: int) -> None:
        if opening:  # the supervisor reports later rebuilds
            notifier.send(STATUS=f"loading the state: {done} of {total}")
            if signals.stop_requested:
                raise StoppedEarly(f"stopped while the state was loaded, {done} of {total}")

    learner = stack.enter_context(
        Learner.open(folder, manifest, threads=config.encoder.threads, limits=config.state, progress=progress)
    )
    opening = False
    for notice in learner.notices:
        logs.report(logging.WARNING, "state_mended", reason=notice)
    return learner


def _open_encoder(stack: ExitStack, config: Config, manifest: "ModelManifest", learner: "Learner") -> "TFLiteEncoder":
    """Load the encoder and the compiled kernels."""
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.kernel_cache import compile_all
    from edge_app.learner.pictures import thumbnail_of
    from edge_app.learner.state import stored_params

    threads = config.encoder.threads
    encoder = stack.enter_context(TFLiteEncoder(manifest, threads=threads))
    compiled, loaded = compile_all(manifest, stored_params(learner.binding.params), (threads,))
    logs.report(
        logging.INFO, "loaded", encoder=manifest.name, runtime=encoder.runtime, compiled=compiled, cached=loaded
    )
    # loads the picture library now, so that the first press takes no longer than the others
    thumbnail_of(np.zeros((manifest.input_size, manifest.input_size, 3), np.uint8))
    return encoder


def _open_devices(
    stack: ExitStack,
    config: Config,
    clock: Clock,
    encoder: "TFLiteEncoder",
    manifest: "ModelManifest",
    learner: "Learner",
) -> PipelineParts:
    from edge_app.encoder.preprocess import Preprocessor

    view = View(Region(*config.camera.region), config.camera.rotation, config.camera.mirror)
    camera = make_camera(config.camera.uri, clock, view, stall_after_s=config.camera.stall_after_s)
    stack.callback(camera.close)
    opened = _open_camera(camera, config)
    buttons = stack.enter_context(open_buttons(config.buttons.uri, clock))
    indicator = open_indicator(config.lights.uri, clock) if config.lights.uri else None
    if indicator is not None:
        stack.callback(indicator.close)

    def make_preprocess() -> Preprocessor:
        return Preprocessor(manifest.input_size, crop=manifest.crop)

    return PipelineParts(camera, buttons, indicator, make_preprocess, encoder, learner, manifest.input_size, opened)


def _open_camera(camera: Camera, config: Config) -> bool:
    """Return whether the camera could be opened.

    If a live camera cannot, the device starts all the same for its clients: the page says so, and serves what is
    stored. Without clients, and for a recording, it raises DeviceError.
    """
    try:
        camera.open()
    except DeviceError as error:
        if config.camera.recording or not _has_clients(config):
            raise
        logs.report(logging.WARNING, "camera_absent", camera=camera.uri, reason=str(error))
        return False
    return True


def _has_clients(config: Config) -> bool:
    return config.web.enabled or config.mqtt.enabled


def make_control(
    config: Config,
    folder: Path,
    manifest: "ModelManifest",
    encoder: "TFLiteEncoder",
    pipeline: Pipeline,
    learner: "Learner",
    hub: Hub,
    clock: Clock,
) -> Control:
    """Return the control of a pipeline whose events go to `hub`, for the page, the API and MQTT."""
    from edge_app.control.control import Identity
    from edge_app.control.outside import OutsidePictures
    from edge_app.control.pictures import Pictures
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.learner.heat_map import HeatMapper

    made: dict[tuple[int, int], Preprocessor] = {}

    def view(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        size = min(side, max(1, round(min(height, width) * manifest.crop)))
        if len(made) >= 16:  # pictures of many sizes must not fill the memory
            made.clear()
        if (side, size) not in made:  # one for each side: different threads ask for different sides
            made[side, size] = Preprocessor(size, crop=manifest.crop)
        return made[side, size](image).copy()

    prepared = Preprocessor(manifest.input_size, crop=manifest.crop)
    pictures = Pictures(pipeline.recent, view, prepared, clock, max_fps=config.web.picture_fps)
    identity = Identity(folder, manifest.name, manifest.sha256, config.without_passwords())
    outside = OutsidePictures(Preprocessor(manifest.input_size, crop=manifest.crop), encoder, manifest.input_size)
    heat_maps = HeatMapper(encoder, manifest, learner)
    return Control(pipeline, learner, hub, pictures, clock, identity, heat_maps, outside)


def _open_clients(
    stack: ExitStack, clients: ExitStack, config: Config, settings: "MqttSettings | None", control: Control | None
) -> "tuple[WebServer | None, Bridge | None]":
    """Open the page and the bridge to MQTT. Both take requests until `clients` closes; the bridge publishes longer."""
    web = bridge = None
    if control is not None and config.web.enabled:
        from edge_app.web.server import WebServer

        tokens = Path(config.web.tokens) if config.web.tokens else control.identity.folder / "tokens.json"
        web = clients.enter_context(WebServer(control, config.web, tokens))
    if control is not None and settings is not None:
        from edge_app.mqtt.bridge import Bridge

        bridge = stack.enter_context(Bridge(control, settings, control.identity.folder, logs.report))
        clients.callback(bridge.stop_commands)
    return web, bridge


def _report_start(config: Config, learner: "Learner", started_ns: int) -> None:
    logs.report(
        logging.INFO,
        "started",
        camera=without_password(config.camera.uri),
        buttons=config.buttons.uri,
        state=config.state.folder,
        classes=len(learner.labels),
        ms=(time.monotonic_ns() - started_ns) / 1e6,
    )


def _start(pipeline: Pipeline, web: "WebServer | None", bridge: "Bridge | None", signals: Signals) -> None:
    pipeline.start(signals.wake)
    if web is not None:
        web.start()
        logs.report(logging.INFO, "page", url=web.url, tokens=len(web.tokens.stored()))
    if bridge is not None:
        bridge.start()


def _watch(
    pipeline: Pipeline, supervisor: Supervisor, signals: Signals, seconds: float | None, web: "WebServer | None"
) -> str:
    """Run the supervisor until it is time to stop; return the reason."""
    end = None if seconds is None else time.monotonic() + seconds
    wait_s = 0.0
    while True:
        requests = signals.wait(wait_s)
        wait_s = supervisor.step(requests)
        if requests.stop is not None:
            return requests.stop
        if pipeline.failure is not None or (web is not None and web.failure is not None):
            return "failure"
        if not pipeline.running:
            return "end of the recording"
        if end is not None:
            left_s = end - time.monotonic()
            if left_s <= 0:
                return "time is up"
            wait_s = min(wait_s, left_s)


def _finish(stack: ExitStack, pipeline: Pipeline, learner: "Learner", reason: str) -> PipelineStatus:
    """Stop the stages and save the state. Raises the error that ended the pipeline."""
    stuck = pipeline.stop(STOP_S)
    status = pipeline.status()
    if stuck:
        # the stage that hangs may be using encoder, camera or buttons: only the state is closed
        stack.pop_all()
        logs.report(logging.ERROR, "stages_stuck", stages=",".join(stuck))
        if "teacher" not in stuck:
            learner.close()
    else:
        stack.close()
    logs.report(
        logging.INFO, "stopped", reason=reason, decided=status.decided, dropped=status.dropped, learnt=status.learnt
    )
    if pipeline.failure is not None:
        if isinstance(pipeline.failure, StageFailed):
            logging.getLogger(__name__).critical("%s", pipeline.failure, exc_info=pipeline.failure.__cause__)
        raise pipeline.failure
    if stuck:
        raise StageFailed(f"the stages {', '.join(stuck)} did not stop within {STOP_S:g} s; the state is saved")
    return status


def _reload(source: ConfigSource, running: Config, pipeline: Pipeline) -> None:
    """Apply the sections that a running program can apply; an invalid configuration changes nothing."""
    try:
        config = source.load()
    except EdgeAppError as error:
        logs.report(logging.ERROR, "reload_refused", reason=str(error))
        return
    logs.set_level(config.log.level)
    pipeline.reconfigure(config)
    waiting = running.needs_restart(config)
    logs.report(logging.INFO, "reloaded", file=str(source.path or ""), needs_restart=",".join(waiting) or None)
