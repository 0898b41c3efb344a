"""Opens the parts of a live device as its configuration says, and connects them."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app import logs
from edge_app.config import CameraSettings, Config
from edge_app.config.sections import MAIN
from edge_app.control import Control, EventsOf, Hub
from edge_app.control.pictures import Crop, NewestPicture, scaled, to_jpeg
from edge_app.control.places import Places, view_of
from edge_app.devices import make_camera, open_buttons, open_indicator, unsuited
from edge_app.devices.ports import Buttons, Camera, Clock
from edge_app.devices.uri import without_password
from edge_app.devices.view import Region, View, ViewedCamera
from edge_app.errors import DeviceError, EdgeAppError, InputError, RuntimeMissing
from edge_app.files import expanded
from edge_app.messages import Frame
from edge_app.pipeline.events import HEALTH_REPORTS, Health, Listener
from edge_app.pipeline.kept_strictness import FILE as STRICTNESS_FILE
from edge_app.pipeline.kept_strictness import KeptStrictness
from edge_app.pipeline.pipeline import CameraParts, Pipeline, PipelineParts, PlaceParts
from edge_app.pipeline.place import Group, GroupParts, PipelineStatus, Place
from edge_app.pipeline.references import FILE as REFERENCES_FILE
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.opening import WatchedPlace, open_rules
from edge_app.rules.service import Rules
from edge_app.storage.folder import database_path, history_path
from edge_app.storage.groups import group_folders
from edge_app.storage.kept_places import discard_superseded, places_in_use

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.history.recorder import HistoryRecorder
    from edge_app.learner import Learner
    from edge_app.mqtt.bridge import Bridge
    from edge_app.mqtt.settings import MqttSettings
    from edge_app.web.server import WebServer


class StoppedEarly(EdgeAppError, RuntimeError):
    """A signal asked for the stop before the device had started; no failure."""

    exit_status = 0


class OpenedDevice(NamedTuple):
    """A device that is ready to start."""

    pipeline: Pipeline
    learners: "Mapping[str, Learner]"
    """By the group of places that each belongs to."""
    controls: Mapping[str, Control]
    """Of each place, for the page, the API, MQTT and a program of one's own; empty if there is none of them."""
    histories: "Sequence[HistoryRecorder]"
    """Those that record the visits, one for each group; empty: [history] is off."""
    config: Config
    """With the places that were set on the page or over the API."""
    rules: Rules | None = None
    """None: the configuration has neither rules nor outputs."""
    places: Places | None = None
    """All places together, for the page and the API; None if there is none of them."""

    @property
    def learner(self) -> "Learner":
        """That of the first place."""
        return self.pipeline.first.group.learner

    def trouble(self) -> str:
        """Return what the pipeline does not know of, in a few words for the status text; "": nothing."""
        return "history stopped" if any(one.stopped for one in self.histories) else ""


class OwnDevices(NamedTuple):
    """Devices that take the place of those in the configuration; None: the configuration's."""

    camera: Camera | None = None
    buttons: Buttons | None = None


class Startup(Protocol):
    """Follows a start, which may take long where much is to be replayed."""

    def say(self, status: str) -> None:
        """Take note of what is being done."""

    @property
    def stop_requested(self) -> bool:
        """Whether the start is to be abandoned."""


def prepare_clients(config: Config) -> "MqttSettings | None":
    """Return what MQTT needs; None if it is off. Raises RuntimeMissing for an extra that is not installed."""
    if config.web.enabled:
        from edge_app.web.server import require_extra

        require_extra()
    if not config.mqtt.enabled:
        return None
    from edge_app.mqtt.settings import prepare

    return prepare(config.mqtt)


def open_device(
    stack: ExitStack,
    configured: Config,
    clock: Clock,
    startup: Startup,
    listener: Listener,
    own: OwnDevices | None = None,
) -> OpenedDevice:
    """Open the parts; the stack closes them, the learner last.

    Places that were set on the page or over the API replace those of `configured`. `own`: the device is part of
    another program, which is its client. Raises EdgeAppError.
    """
    from edge_app.learner.manifest import find_manifest

    folder = _state_folder(configured)
    config = _with_kept_places(configured)
    folders = _group_folders(config, folder)
    # without a name the state's own: a device keeps its encoder when the default changes
    manifest = find_manifest(_taught_first(folders), config.encoder.model or None)
    # first, so that the stack closes them last: stages may teach until they have stopped
    learners, encoder = _load(stack, config, folders, manifest, startup)
    startup.say("opening cameras, buttons, lights and outputs")
    hub = Hub()
    hub.listen(listener)
    parts = _open_devices(stack, config, clock, encoder, manifest, folders, learners, own or OwnDevices())
    pipeline = Pipeline(parts, clock, logs.report, config, tell=hub.tell)
    recorders = _open_histories(stack, config, folders, parts, pipeline, hub, clock) if config.history.enabled else {}
    rules = _open_rules(stack, config, folder, manifest, pipeline, hub, clock)
    controls: dict[str, Control] = {}
    # without clients nobody would look at pictures or keep them
    if _has_clients(config) or own is not None:
        for name, place in pipeline.places.items():
            group = place.group.name
            parts_of = config, folders[group], manifest, encoder
            controls[name] = make_control(*parts_of, place, hub, clock, recorders.get(group))
            controls[name].rules = rules
    places = _make_places(configured, config, pipeline, controls, clock) if controls else None
    return OpenedDevice(pipeline, learners, controls, list(recorders.values()), config, rules, places)


def _with_kept_places(configured: Config) -> Config:
    """Return the configuration with the places that were set on the page or over the API."""
    config = places_in_use(configured, logs.report)
    discard_superseded(configured)
    for name, camera in config.unused_cameras().items():
        uri = without_password(camera.uri)
        logs.report(logging.WARNING, "camera_unused", name=name, camera=uri, reason="no place refers to it")
    return config


def _load(
    stack: ExitStack, config: Config, folders: Mapping[str, Path], manifest: "ModelManifest", startup: Startup
) -> "tuple[dict[str, Learner], TFLiteEncoder]":
    """Load what each group has learnt, and then the encoder."""
    from edge_app.kernel_cache import compilation_reported

    startup.say("loading the state")
    with compilation_reported(lambda count: startup.say(f"compiling kernels: {count}")):
        learners = {name: _open_learner(stack, config, one, manifest, startup) for name, one in folders.items()}
        startup.say("loading the encoder")
        return learners, _open_encoder(stack, config, manifest, learners)


def _make_places(
    configured: Config, config: Config, pipeline: Pipeline, controls: Mapping[str, Control], clock: Clock
) -> Places:
    cameras = {
        name: NewestPicture(frames, scaled, clock, max_fps=config.web.picture_fps)
        for name, frames in pipeline.frames.items()
    }
    in_use = config.places_in_use()
    places = Places(_state_folder(config), configured, in_use, pipeline.places, cameras, logs.report)

    def changed(config: Config) -> None:
        shown = {"places": config.without_passwords()["places"]}
        for control in controls.values():
            control.identity = control.identity._replace(config={**control.config, **shown})

    places.changed = changed
    places.check = partial(_check_cameras, clock)
    return places


def _check_cameras(clock: Clock, config: Config) -> None:
    """Raise InputError for a camera that the device could not start with."""
    for name, settings in config.cameras_in_use().items():
        try:
            _make_camera(name, settings, clock).close()
        except RuntimeMissing as error:
            raise InputError(f"camera {name!r}: {error}") from error


def _group_folders(config: Config, folder: Path) -> dict[str, Path]:
    """Return the state folder of each group of places."""
    groups = list(dict.fromkeys(place.group for place in config.places_in_use()))
    return group_folders(folder, groups) if config.places else {groups[0]: folder}


def _taught_first(folders: Mapping[str, Path]) -> Path:
    """Return the folder of a group that something was taught in, else the first."""
    found = [folder for folder in folders.values() if database_path(folder).is_file()]
    return found[0] if found else next(iter(folders.values()))


def _state_folder(config: Config) -> Path:
    if not config.state.folder:
        raise InputError(
            "no state folder: give --state DIR, folder in [state] of the configuration, or $EDGE_APP_STATE"
        )
    return expanded(config.state.folder)


def _open_histories(
    stack: ExitStack,
    config: Config,
    folders: Mapping[str, Path],
    parts: PipelineParts,
    pipeline: Pipeline,
    hub: Hub,
    clock: Clock,
) -> "dict[str, HistoryRecorder]":
    """Begin to record the visits of each group; a database that cannot be opened does not keep the device from running.

    The stack closes them after the stages have stopped.
    """
    from edge_app.history.frames import RecentFrameFinder
    from edge_app.history.recorder import HistoryRecorder, RecordedPlace, Surroundings
    from edge_app.history.visits import VisitTracker, gap_ns

    def report(group: str, level: int, event: str, /, **fields: object) -> None:
        logs.report(level, event, **fields)
        if event in HEALTH_REPORTS:
            hub.tell(Health(event, level, fields, time.time_ns(), group=group))

    def recorded(name: str) -> RecordedPlace:
        finder = RecentFrameFinder(pipeline.places[name].recent, parts.make_preprocess())
        return RecordedPlace(VisitTracker(name, gap_ns=gap_ns(config)), finder)

    found = {}
    for name, group in pipeline.groups.items():
        recorder = HistoryRecorder(
            history_path(folders[name]),
            config.history,
            [recorded(place) for place in group.places],
            clock,
            partial(report, name),
            Surroundings(busy=partial(_commands_wait, group)),
            encoder=group.learner.binding.encoder_sha256,
        )
        found[name] = stack.enter_context(recorder)
        EventsOf(hub, group.concerned_by).listen(recorder.listen)
        recorder.start()
    return found


def _commands_wait(group: Group) -> bool:
    return group.commands.waiting


def _open_rules(
    stack: ExitStack,
    config: Config,
    folder: Path,
    manifest: "ModelManifest",
    pipeline: Pipeline,
    hub: Hub,
    clock: Clock,
) -> Rules | None:
    """Open and start the rules; they take the events of `hub`."""
    view = _viewer(manifest)

    def make_jpeg(frame: Frame, side: int) -> bytes:
        return to_jpeg(view(frame.image, side))

    places = {name: WatchedPlace(place.recent, place.references) for name, place in pipeline.places.items()}
    rules = open_rules(config, folder, places, make_jpeg, clock, logs.report)
    if rules is not None:
        stack.enter_context(rules)
        rules.start()
        hub.listen(rules.happened)
    return rules


def _open_learner(
    stack: ExitStack, config: Config, folder: Path, manifest: "ModelManifest", startup: Startup
) -> "Learner":
    from edge_app.learner import Learner

    opening = True

    def progress(done: int, total: int) -> None:
        if opening:  # the supervisor reports later rebuilds
            startup.say(f"loading the state: {done} of {total}")
            if startup.stop_requested:
                raise StoppedEarly(f"stopped while the state was loaded, {done} of {total}")

    learner = stack.enter_context(
        Learner.open(folder, manifest, threads=config.encoder.threads, limits=config.state, progress=progress)
    )
    opening = False
    for notice in learner.notices:
        logs.report(logging.WARNING, "state_mended", reason=notice)
    return learner


def _open_encoder(
    stack: ExitStack, config: Config, manifest: "ModelManifest", learners: "Mapping[str, Learner]"
) -> "TFLiteEncoder":
    """Load the encoder and the compiled kernels."""
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.kernel_cache import compile_all
    from edge_app.learner.pictures import thumbnail_of
    from edge_app.learner.state import stored_params

    threads = config.encoder.threads
    encoder = stack.enter_context(TFLiteEncoder(manifest, threads=threads))
    compiled = loaded = 0
    for params in dict.fromkeys(stored_params(one.binding.params) for one in learners.values()):
        compiled, loaded = compile_all(manifest, params)  # of this process, all in all
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
    folders: Mapping[str, Path],
    learners: "Mapping[str, Learner]",
    own: OwnDevices,
) -> PipelineParts:
    from edge_app.encoder.preprocess import Preprocessor

    cameras = _open_cameras(stack, config, clock, manifest, own.camera)
    groups = {
        name: GroupParts(
            learner,
            ClassReferences(folders[name] / REFERENCES_FILE, learner.history()),
            KeptStrictness(folders[name] / STRICTNESS_FILE),
        )
        for name, learner in learners.items()
    }
    places = {one.name: PlaceParts(one.camera, one.group, view_of(one), one.max_fps) for one in config.places_in_use()}
    buttons = stack.enter_context(open_buttons(config.buttons.uri, clock) if own.buttons is None else own.buttons)
    for key, button in config.buttons.unknown(buttons.names):
        logs.report(logging.WARNING, "button_unknown", key=key, button=button, buttons=",".join(buttons.names))
    indicator = open_indicator(config.lights.uri, clock) if config.lights.uri else None
    if indicator is not None:
        stack.callback(indicator.close)

    def make_preprocess() -> Preprocessor:
        return Preprocessor(manifest.input_size, crop=manifest.crop)

    return PipelineParts(cameras, groups, places, buttons, indicator, make_preprocess, encoder, manifest.input_size)


def _open_cameras(
    stack: ExitStack, config: Config, clock: Clock, manifest: "ModelManifest", own: Camera | None
) -> dict[str, CameraParts]:
    """Open the cameras in use, `own` in place of the main one; events are drawn as the model takes them."""
    found: dict[str, CameraParts] = {}
    for name, settings in config.cameras_in_use().items():
        instead = own if name == MAIN else None
        camera = _make_camera(name, settings, clock, instead, manifest.event_colours)
        # a program's own camera may draw events by itself
        if instead is None and (reason := unsuited(settings.uri, manifest.event_colours)):
            logs.report(
                logging.WARNING, "camera_unsuited", name=name, camera=camera.uri, model=manifest.name, reason=reason
            )
        # not enter_context: a camera that is absent is opened later, by the capture stage
        stack.callback(camera.close)
        found[name] = CameraParts(camera, _open_camera(name, camera, config, settings))
    return found


def _make_camera(
    name: str, settings: CameraSettings, clock: Clock, own: Camera | None = None, colours: str = "grey"
) -> Camera:
    """Return a camera of the configuration, or `own` in its place, with its view; not opened. Raises InputError.

    `colours`: of events, where the URI does not say.
    """
    view = View(Region(*settings.region), settings.rotation, settings.mirror)
    if own is None:
        try:
            return make_camera(settings.uri, clock, view, stall_after_s=settings.stall_after_s, colours=colours)
        except InputError as error:
            if name == MAIN:
                raise
            raise InputError(f"camera {name!r}: {error}") from error
    return own if view == View() else ViewedCamera(own, view)


def _open_camera(name: str, camera: Camera, config: Config, settings: CameraSettings) -> bool:
    """Return whether the camera could be opened.

    If one of several cannot, the others go on; if the only camera cannot, the device starts all the same for its
    clients: the page says so, and serves what is stored. Raises DeviceError without clients, and if it is a recording.
    """
    try:
        camera.open()
    except DeviceError as error:
        only = len(config.cameras_in_use()) == 1
        if only and (settings.recording or not _has_clients(config)):
            raise
        which = {} if only else {"name": name}
        logs.report(logging.WARNING, "camera_absent", **which, camera=camera.uri, reason=str(error))
        return False
    return True


def _has_clients(config: Config) -> bool:
    return config.web.enabled or config.mqtt.enabled


def make_control(
    config: Config,
    folder: Path,
    manifest: "ModelManifest",
    encoder: "TFLiteEncoder",
    place: Place,
    hub: Hub,
    clock: Clock,
    recorder: "HistoryRecorder | None" = None,
) -> Control:
    """Return the control of a place of a pipeline whose events go to `hub`, for the page, the API and MQTT.

    `folder` is the state of its group.
    """
    from edge_app.control.control import Identity
    from edge_app.control.outside import OutsidePictures
    from edge_app.control.pictures import Pictures
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.learner.heat_map import HeatMapper

    prepared = Preprocessor(manifest.input_size, crop=manifest.crop)
    learner = place.group.learner
    pictures = Pictures(place.recent, _viewer(manifest), prepared, clock, max_fps=config.web.picture_fps)
    identity = Identity(folder, manifest.name, manifest.sha256, config.without_passwords())
    outside = OutsidePictures(Preprocessor(manifest.input_size, crop=manifest.crop), encoder, manifest.input_size)
    heat_maps = HeatMapper(encoder, manifest, learner)
    events = EventsOf(hub, place.concerned_by)
    control = Control(place, learner, events, pictures, clock, identity, heat_maps, outside)
    if recorder is not None:
        control.keep_history(lambda: recorder.store, config.history, lambda: recorder.stopped)
    return control


def _viewer(manifest: "ModelManifest") -> Crop:
    """Return a function that takes the part of a frame that the encoder sees."""
    from edge_app.encoder.preprocess import Preprocessor

    made: dict[tuple[int, int], Preprocessor] = {}

    def view(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        size = min(side, max(1, round(min(height, width) * manifest.crop)))
        if len(made) >= 16:  # pictures of many sizes must not fill the memory
            made.clear()
        if (side, size) not in made:  # one for each side: different threads ask for different sides
            made[side, size] = Preprocessor(size, crop=manifest.crop)
        return made[side, size](image).copy()

    return view


def open_clients(
    stack: ExitStack,
    clients: ExitStack,
    settings: "MqttSettings | None",
    device: OpenedDevice,
) -> "tuple[WebServer | None, Sequence[Bridge]]":
    """Open the page and the bridges to MQTT, one for each place.

    They take requests until `clients` closes; the bridges publish longer.
    """
    config, controls = device.config, device.controls
    folder = _state_folder(config)
    web, bridges = None, list["Bridge"]()
    if controls and config.web.enabled:
        from edge_app.web.server import WebServer

        tokens = Path(config.web.tokens) if config.web.tokens else folder / "tokens.json"
        assert device.places is not None  # there are controls
        web = clients.enter_context(WebServer(controls, device.places, config.web, tokens))
    if settings is not None:
        bridges = _make_bridges(settings, folder, controls)
        for bridge in bridges:
            # on the outer stack: it publishes "offline", and what happens while the stages stop
            stack.enter_context(bridge)
            clients.callback(bridge.stop_commands)
        if device.rules is not None and bridges:
            device.rules.publish = bridges[0].outbox.event
    return web, bridges


def _make_bridges(settings: "MqttSettings", folder: Path, controls: Mapping[str, Control]) -> "list[Bridge]":
    """Return the bridge of each place, not started. `folder` is the device's state."""
    from edge_app.mqtt.bridge import Bridge
    from edge_app.mqtt.retained import RetainedTopics
    from edge_app.mqtt.settings import of_place

    retained = RetainedTopics(folder, settings.broker.address)
    several = len(controls) > 1
    return [
        Bridge(
            control,
            of_place(settings, name) if several else settings,
            control.identity.folder,
            retained,
            logs.report,
        )
        for name, control in controls.items()
    ]


def close_device(stack: ExitStack, device: OpenedDevice, timeout_s: float) -> tuple[list[str], PipelineStatus]:
    """Stop the stages, save the state and close the parts.

    Returns the names of the stages that still run after `timeout_s`, seconds, and the condition when they were stopped.
    """
    stuck = device.pipeline.stop(timeout_s)
    status = device.pipeline.status()
    if device.rules is not None:  # also if a stage hangs: no output may stay on
        device.rules.close()
    if stuck:
        # the stage that hangs may be using encoder, camera or buttons: only the state is closed
        stack.pop_all()
        logs.report(logging.ERROR, "stages_stuck", stages=",".join(stuck))
        # the teacher may hold the store: closing would wait for it
        for group in device.pipeline.groups.values():
            if group.teacher.name not in stuck:
                group.learner.close()
    else:
        stack.close()
    return stuck, status
