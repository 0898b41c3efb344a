"""A small device on the real clock: coloured scenes, an encoder without a model, a control before it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.config import HistoryConfig, StateConfig
from edge_app.control import Control, Hub, Places
from edge_app.control.control import Identity
from edge_app.control.outside import OutsidePictures
from edge_app.control.pictures import NewestPicture, Pictures, scaled
from edge_app.devices.clock import MonotonicClock
from edge_app.encoder.model import MapOutput, load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.history.records import ClockState, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.learner import Learner
from edge_app.learner.heat_map import HeatMapper
from edge_app.pipeline.pipeline import Pipeline, one_place
from edge_app.pipeline.references import FILE, ClassReferences
from edge_app.simulation.devices import Fault, SimulatedButtons, SimulatedCamera
from edge_app.storage.folder import history_path
from support.configs import quiet_config
from support.pipeline_parts import SIDE, ColourScene, PatchEncoder, Reports, make_preprocess


def look(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return Preprocessor(min(side, 2 * SIDE))(image)


class Device:
    def __init__(
        self,
        folder: Path,
        learner: Learner,
        *faults: Fault,
        fps: float = 50,
        gives_map: bool = True,
        history: HistoryConfig | None = None,
    ) -> None:
        self.clock = MonotonicClock()
        self.encoder, self.reports, self.hub = PatchEncoder(), Reports(), Hub()
        camera = SimulatedCamera(ColourScene(), self.clock, fps=fps, faults=faults)
        camera.open()
        self.buttons = SimulatedButtons(("red", "green", "blue", "undo"), self.clock)
        self.events: list[Any] = []
        self._came = threading.Condition()

        references = ClassReferences(folder / FILE, learner.history())
        self.pipeline = Pipeline(
            one_place(camera, self.buttons, None, make_preprocess, self.encoder, learner, SIDE, references=references),
            self.clock,
            self.reports,
            quiet_config(),
            tell=self.hub.tell,
        )
        self.place = self.pipeline.first
        self.learner = learner
        pictures = Pictures(self.place.recent, look, make_preprocess(), self.clock, max_fps=20)
        identity = Identity(folder, "patches", learner._store.binding.encoder_sha256, {"web": {"port": 8765}})
        told = MapOutput(side=4, dtype="uint8", scale=1.0, zero_point=0) if gives_map else None
        heat_maps = HeatMapper(
            self.encoder, replace(load_manifest(check=False), name="patches", last_map=told), learner
        )
        outside = OutsidePictures(make_preprocess(), self.encoder, SIDE)
        config = history or HistoryConfig()
        self.visits: HistoryStore | None = HistoryStore.open(history_path(folder)) if config.enabled else None
        self.history_stopped: str | None = None
        self.control = Control(self.place, learner, self.hub, pictures, self.clock, identity, heat_maps, outside)
        if config.enabled:
            self.control.keep_history(lambda: self.visits, config, lambda: self.history_stopped)
        self.control.listen(self._keep)
        configured = replace(quiet_config(), state=StateConfig(folder=str(folder)))
        cameras = {
            name: NewestPicture(frames, scaled, self.clock, max_fps=20) for name, frames in self.pipeline.frames.items()
        }
        in_use = configured.places_in_use()
        self.places = Places(folder, configured, in_use, self.pipeline.places, cameras, self.reports)

    def _keep(self, event: Any) -> None:
        with self._came:
            self.events.append(event)
            self._came.notify_all()

    def wait_for(self, right: Callable[[list[Any]], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right(self.events), 30)

    def see(self, *records: VisitRecord) -> list[int]:
        """Store visits, as the recorder does; return their ids."""
        assert self.visits is not None
        return self.visits.add(records, self.visits.begin_run(), ClockState.UNCHECKED)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def __enter__(self) -> "Device":
        self.pipeline.start()
        self.wait_for(lambda events: len(events) >= 3)
        return self

    def __exit__(self, *_: object) -> None:
        self.control.uploads.close()
        assert self.pipeline.stop(30) == []
        if self.visits is not None:
            self.visits.close()
