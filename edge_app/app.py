"""Where the live device is put together: configuration -> parts, opened and closed in one place."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app import logs, malloc
from edge_app.config import Config, load_config
from edge_app.control import Control, Hub
from edge_app.devices import open_buttons, open_camera, open_indicator
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import Clock
from edge_app.devices.uri import without_password
from edge_app.devices.view import Region, View
from edge_app.errors import EdgeAppError, InputError
from edge_app.pipeline.events import Listener
from edge_app.pipeline.pipeline import Pipeline, PipelineParts, PipelineStatus
from edge_app.pipeline.references import FILE as REFERENCES_FILE
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import StageFailed, longest_waits
from edge_app.service import Notifier, Signals, Supervisor, check_waits, watchdog_s

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest
    from edge_app.learner import Learner
    from edge_app.learner.heat_map import MapEncoder
    from edge_app.mqtt.bridge import Bridge
    from edge_app.mqtt.settings import MqttSettings
    from edge_app.web.server import WebServer

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from the others, and so a frame waiting: a tenth of what is usual."""
STOP_S = 3.0
"""What the stages have to stop in; the state is saved after that, and all of it takes less than 5 s."""


class ConfigSource(NamedTuple):
    """Where the configuration comes from, so that it can be read again."""

    path: Path | None
    environ: Mapping[str, str]
    change: Callable[[Config], Config] = lambda config: config
    """What the command line says instead."""

    def load(self) -> Config:
        """Read it. Raises InputError."""
        return self.change(load_config(self.path, self.environ))


def run(source: ConfigSource, *, listener: Listener = lambda _: None, seconds: float | None = None) -> PipelineStatus:
    """Run the device until a signal, the end of a recording, or for `seconds`; return its condition at the end.

    `listener` receives every event, from the stages' threads.

    To be called in the main thread. Raises EdgeAppError: whatever keeps it from starting, or made it end.
    """
    config = source.load()
    clock = MonotonicClock()
    started_ns = time.monotonic_ns()
    malloc.share_arenas()
    sys.setswitchinterval(SWITCH_S)
    watchdog = watchdog_s(source.environ, os.getpid())
    with Signals() as signals, Notifier(source.environ.get("NOTIFY_SOCKET"), clock) as notifier, ExitStack() as stack:
        notifier.send(STATUS="starting")
        if config.web.enabled:
            from edge_app.web.server import require_extra

            require_extra()  # before what takes long
        bus = _prepare_mqtt(config)
        pipeline, learner, control = _open(stack, config, clock, notifier, listener)
        outside = stack.enter_context(ExitStack())
        web = _open_web(outside, config, control) if control is not None and config.web.enabled else None
        bridge = _open_mqtt(stack, outside, bus, control) if control is not None and bus is not None else None
        check_waits(longest_waits(pipeline.stages), watchdog)
        supervisor = Supervisor(
            pipeline,
            notifier,
            clock,
            logs.report,
            watchdog=watchdog,
            reload=lambda: _reload(source, config, pipeline),
        )
        logs.report(
            logging.INFO,
            "started",
            camera=without_password(config.camera.uri),
            buttons=config.buttons.uri,
            state=config.state.folder,
            classes=len(learner.labels),
            ms=(time.monotonic_ns() - started_ns) / 1e6,
        )
        malloc.give_back()
        pipeline.start(signals.wake)
        if web is not None:
            web.start()
            logs.report(logging.INFO, "page", url=web.url, tokens=len(web.tokens.stored()))
        if bridge is not None:
            bridge.start()
        reason = _watch(pipeline, supervisor, signals, seconds, web)
        notifier.send(STOPPING=1, STATUS=f"stopping: {reason}")
        learner.refuse_imports()  # the teacher would wait for one that is being stored
        outside.close()  # nobody asks for anything any more
        status = _finish(stack, pipeline, learner, reason)
        if web is not None and web.failure is not None:
            raise StageFailed(f"the page and the API have stopped: {web.failure}") from web.failure
        return status


def _open(
    stack: ExitStack, config: Config, clock: MonotonicClock, notifier: Notifier, listener: Listener
) -> "tuple[Pipeline, Learner, Control | None]":
    """Open the parts; the stack closes them, the learner last. Without a page or a bus there is no control."""
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.kernel_cache import compile_all
    from edge_app.learner.manifest import find_manifest
    from edge_app.learner.pictures import thumbnail_of
    from edge_app.learner.state import stored_params

    if not config.state.folder:
        raise InputError(
            "no state folder is named: give --state DIR, folder in [state] of the configuration, or $EDGE_APP_STATE"
        )
    folder = Path(config.state.folder).expanduser()
    manifest = find_manifest(folder, config.encoder.model or None)
    notifier.send(STATUS="loading what was learnt")
    learner = _open_learner(stack, config, folder, manifest, notifier)
    notifier.send(STATUS="loading the encoder")
    encoder = stack.enter_context(TFLiteEncoder(manifest, threads=config.encoder.threads))
    notifier.send(STATUS="compiling")
    compiled, loaded = compile_all(manifest, stored_params(learner.binding.params), (config.encoder.threads,))
    logs.report(
        logging.INFO, "loaded", encoder=manifest.name, runtime=encoder.runtime, compiled=compiled, cached=loaded
    )
    # loads what the first press needs, so that it takes no longer than the others
    thumbnail_of(np.zeros((manifest.input_size, manifest.input_size, 3), np.uint8))
    notifier.send(STATUS="opening camera, buttons and lights")
    look = config.camera
    view = View(Region(*look.region), look.rotation, look.mirror)
    camera = open_camera(look.uri, clock, view, stall_after_s=look.stall_after_s)
    stack.callback(camera.close)
    buttons = stack.enter_context(open_buttons(config.buttons.uri, clock))
    indicator = open_indicator(config.lights.uri, clock) if config.lights.uri else None
    if indicator is not None:
        stack.callback(indicator.close)

    def make_preprocess() -> Preprocessor:
        return Preprocessor(manifest.input_size, crop=manifest.crop)

    hub = Hub()
    hub.listen(listener)
    pipeline = Pipeline(
        PipelineParts(camera, buttons, indicator, make_preprocess, encoder, learner, manifest.input_size),
        clock,
        logs.report,
        config,
        tell=hub.tell,
        references=ClassReferences(folder / REFERENCES_FILE, learner.history()),
    )
    if not config.web.enabled and not config.mqtt.enabled:
        return pipeline, learner, None
    return pipeline, learner, make_control(config, folder, manifest, encoder, pipeline, learner, hub, clock)


def make_control(
    config: Config,
    folder: Path,
    manifest: "ModelManifest",
    encoder: "MapEncoder",
    pipeline: Pipeline,
    learner: "Learner",
    hub: Hub,
    clock: Clock,
) -> Control:
    """Return what those outside are given of a pipeline that tells `hub`."""
    from edge_app.control.control import Identity
    from edge_app.control.pictures import Pictures
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.learner.heat_map import HeatMapper

    made: dict[tuple[int, int], Preprocessor] = {}

    def view(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        size = min(side, max(1, round(min(height, width) * manifest.crop)))
        if len(made) >= 16:  # a folder of pictures of many sizes must not fill the memory
            made.clear()
        if (side, size) not in made:  # one for each side asked for: they are asked for by different threads
            made[side, size] = Preprocessor(size, crop=manifest.crop)
        return made[side, size](image).copy()

    prepared = Preprocessor(manifest.input_size, crop=manifest.crop)
    pictures = Pictures(pipeline.recent, view, prepared, clock, max_fps=config.web.picture_fps)
    identity = Identity(folder, manifest.name, manifest.sha256, config.without_passwords())
    return Control(pipeline, learner, hub, pictures, clock, identity, HeatMapper(encoder, manifest, learner))


def _open_web(stack: ExitStack, config: Config, control: Control) -> "WebServer":
    from edge_app.web.server import WebServer

    tokens = Path(config.web.tokens) if config.web.tokens else control.identity.folder / "tokens.json"
    return stack.enter_context(WebServer(control, config.web, tokens))


def _prepare_mqtt(config: Config) -> "MqttSettings | None":
    if not config.mqtt.enabled:
        return None
    from edge_app.mqtt.settings import prepare

    return prepare(config.mqtt)


def _open_mqtt(stack: ExitStack, outside: ExitStack, bus: "MqttSettings", control: Control) -> "Bridge":
    """Make the bridge; it takes commands as long as `outside` is open, and tells what happens as long as `stack` is."""
    from edge_app.mqtt.bridge import Bridge

    bridge = stack.enter_context(Bridge(control, bus, control.identity.folder, logs.report))
    outside.callback(bridge.stop_commands)
    return bridge


def _open_learner(
    stack: ExitStack, config: Config, folder: Path, manifest: "ModelManifest", notifier: Notifier
) -> "Learner":
    from edge_app.learner import Learner

    opening = True

    def progress(done: int, total: int) -> None:
        if opening:  # later ones are told with everything else
            notifier.send(STATUS=f"loading what was learnt: {done} of {total}")

    learner = stack.enter_context(
        Learner.open(folder, manifest, threads=config.encoder.threads, limits=config.state, progress=progress)
    )
    opening = False
    for notice in learner.notices:
        logs.report(logging.WARNING, "state_mended", reason=notice)
    return learner


def _watch(
    pipeline: Pipeline, supervisor: Supervisor, signals: Signals, seconds: float | None, web: "WebServer | None"
) -> str:
    """Step the supervisor until it is time to stop; return why."""
    end = None if seconds is None else time.monotonic() + seconds
    wait_s = 0.0
    while True:
        wishes = signals.wait(wait_s)
        wait_s = supervisor.step(wishes)
        if wishes.stop is not None:
            return wishes.stop
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
    """Stop the stages and save the state. Raises what made the pipeline fail."""
    stuck = pipeline.stop(STOP_S)
    status = pipeline.status()
    if stuck:
        # encoder, camera and buttons may be held by the stage that hangs: only what was learnt is put away
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
        raise StageFailed(f"the stages {', '.join(stuck)} did not stop within {STOP_S:g} s; what was learnt is saved")
    return status


def _reload(source: ConfigSource, running: Config, pipeline: Pipeline) -> None:
    """Take over what a running program can; a configuration that is not right changes nothing."""
    try:
        config = source.load()
    except EdgeAppError as error:
        logs.report(logging.ERROR, "reload_refused", reason=str(error))
        return
    logs.set_level(config.log.level)
    pipeline.reconfigure(config)
    waiting = running.needs_restart(config)
    logs.report(logging.INFO, "reloaded", file=str(source.path or ""), needs_restart=",".join(waiting) or None)
