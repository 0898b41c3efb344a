"""All places of a device: what is decided in each, the cameras' whole pictures, and other places in their stead."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_app.config import Config, PlaceInUse, read_places
from edge_app.config.sections import MAIN
from edge_app.control.errors import DamagedGroup, UnknownCamera
from edge_app.control.idempotency import Requests
from edge_app.control.pictures import JpegFrame, NewestPicture
from edge_app.control.status import Condition, condition_of_all
from edge_app.devices.view import Region, View
from edge_app.errors import EdgeAppError, InputError, ModelMismatch, StateBusy, StateCorrupt
from edge_app.messages import Report
from edge_app.pipeline.place import Place
from edge_app.storage.folder import database_path
from edge_app.storage.groups import check_groups, group_folders, groups_below, stored_groups
from edge_app.storage.kept_places import keep_places
from edge_app.storage.records import Binding
from edge_app.storage.store import Store


class PlaceReport(NamedTuple):
    """A place, and the newest decision in it."""

    place: PlaceInUse
    label: str | None
    """None: it is unknown, or nothing was decided yet."""
    confidence: float
    """0..1."""
    classes: int
    """How many classes its group knows."""


class CameraReport(NamedTuple):
    """A camera, and its newest frame."""

    name: str
    size: tuple[int, int] | None
    """Width and height, pixels; None: it delivers no picture, or no place uses it."""


class PlacesReport(NamedTuple):
    """The places of a device, and what they are made of."""

    places: list[PlaceReport]
    cameras: list[CameraReport]
    groups: list[str]
    """Those of the places, and those of which only the state is left."""
    restarting: bool
    """Whether the device is about to restart with other places."""


class Places:
    """Reads and sets the places of a running device; safe to use from any thread."""

    def __init__(
        self,
        folder: Path,
        configured: Config,
        in_use: Sequence[PlaceInUse],
        places: Mapping[str, Place],
        cameras: Mapping[str, NewestPicture],
        report: Report,
    ) -> None:
        """`folder` is the device's state; `configured` is the configuration without the places that were set."""
        self._folder, self._configured, self._in_use = folder, configured, tuple(in_use)
        self._places, self._cameras, self._report = places, cameras, report
        self._lock = threading.Lock()
        self.requests = Requests()
        """Those that came with a key."""
        self._restarting = False
        self.restart: Callable[[], None] | None = None
        """Asks for a restart of the device in this process; its owner sets it. None: it cannot be restarted."""
        self.changed: Callable[[Config], None] = lambda _: None
        """Called with the configuration in use when places have changed without a restart; its owner sets it."""
        self.check: Callable[[Config], None] = lambda _: None
        """Raises InputError for a configuration that the device could not start with; its owner sets it."""

    def report(self) -> PlacesReport:
        """Return the places, the cameras and the groups; cheap."""
        with self._lock:
            in_use, restarting, configured = self._in_use, self._restarting, self._configured
        places = []
        for one in in_use:
            status = self._places[one.name].status()
            last = status.last_decision
            label, confidence = (None, 0.0) if last is None else (last.label, last.confidence)
            places.append(PlaceReport(one, label, confidence, len(status.classes)))
        names = dict.fromkeys([*self._cameras, MAIN, *(one.name for one in configured.cameras)])
        cameras = [CameraReport(name, self._cameras[name].size if name in self._cameras else None) for name in names]
        try:
            stored = stored_groups(self._folder)
        except StateCorrupt:  # its name is gone, or that of one that no place uses; `use` says so
            stored = groups_below(self._folder)
        groups = dict.fromkeys([*(one.group for one in in_use), *stored])
        return PlacesReport(places, cameras, list(groups), restarting)

    def condition(self) -> Condition:
        """Return whether all is well at all places; cheap."""
        return condition_of_all(self._places.values())

    def picture(self, camera: str, max_side: int = 640) -> JpegFrame:
        """Return the newest frame of a camera, whole, as JPEG. Raises UnknownCamera, FrameGone."""
        if camera not in self._cameras:
            known = ", ".join(self._cameras)
            raise UnknownCamera(f"there is no camera {camera[:40]!r} in use; cameras in use: {known}")
        return self._cameras[camera].newest(max_side)

    def configured_anew(self, configured: Config) -> None:
        """Check and keep what is set from now on by the configuration that was read again."""
        with self._lock:
            self._configured = configured

    def checked(self, tables: Sequence[Mapping[str, Any]]) -> Config:
        """Return the configuration with these tables of [[places]], checked as `edge-app check-config` does.

        Raises InputError, naming the place, the key, its value and what was expected.
        """
        configured = self._configured
        config = configured.with_places(read_places(tables))
        if config.only_recordings and not configured.only_recordings:
            raise InputError(
                "every camera of these places is a recording, and the device would stop at its end: keep a place with "
                "another camera, or set [[places]] in the configuration"
            )
        self.check(config)
        return config

    def use(self, config: Config) -> PlacesReport:
        """Use and keep the places of a configuration that `checked` returned, until [[places]] is changed in its file.

        Other parts of the pictures and other rates hold from the next frame on; anything else restarts the device.
        Raises InputError if it cannot be restarted or a group cannot be used here (DamagedGroup: it cannot be read),
        ModelMismatch, and StateNotWritable; then nothing has changed.
        """
        with self._lock:
            wanted = config.places_in_use()
            anew = [one[:3] for one in wanted] != [one[:3] for one in self._in_use]
            restart = self.restart
            if anew and restart is None:
                raise InputError("this program cannot restart the device: set [[places]] in its configuration")
            if anew:
                try:
                    self._check_groups({one.group for one in wanted})
                    # what lies in the state folder itself keeps the name of its group, whichever comes first later
                    group_folders(self._folder, list(dict.fromkeys(one.group for one in self._in_use)))
                except StateCorrupt as error:
                    raise DamagedGroup(f"the places cannot be set: {error}") from error
            keep_places(self._configured, config)
            self._report(logging.INFO, "places_set", places=",".join(one.name for one in wanted), restart=anew)
            if anew and restart is not None:
                self._restarting = True
                restart()
            elif not self._restarting:
                self._apply(wanted)
                self.changed(config)
        return self.report()

    def _apply(self, wanted: tuple[PlaceInUse, ...]) -> None:
        for one in wanted:
            place, view = self._places[one.name], view_of(one)
            if place.view != view:
                place.view = view
            if place.pace.max_fps != one.max_fps:
                place.pace.max_fps = one.max_fps
        self._in_use = wanted

    def _check_groups(self, names: set[str]) -> None:
        """Raise an error for a stored group that the device could not start with.

        ModelMismatch: of another encoder, DamagedGroup: it cannot be read, InputError: its name is that of another.
        """
        check_groups(self._folder, names)
        running = {place.group.name: place.group.learner for place in self._places.values()}
        own = next(iter(running.values())).binding
        for name, folder in stored_groups(self._folder).items():
            if name in names and name not in running:
                theirs = _binding_of(name, folder)
                if theirs.encoder_sha256 != own.encoder_sha256:
                    raise ModelMismatch(
                        f"the group {name!r} was taught with the encoder {theirs.encoder_name}, this device uses "
                        f"{own.encoder_name}: choose another group, or `edge-app rebuild` that one while the service "
                        "is stopped. Nothing was changed"
                    )


def _binding_of(group: str, folder: Path) -> Binding:
    try:
        with Store.reader(database_path(folder)) as store:
            return store.binding
    except StateBusy:
        raise
    except EdgeAppError as error:
        raise DamagedGroup(f"the group {group!r} cannot be used; choose another group, or mend it: {error}") from error


def view_of(place: PlaceInUse) -> View:
    """Return the part of its camera's picture that a place is."""
    return View(Region(*place.region), place.rotation, place.mirror)
