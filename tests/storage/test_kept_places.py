"""Places that were set hold over restarts, until those of the configuration are changed."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.config import CameraConfig, Config, LightsConfig, NamedCameraConfig, PlaceConfig, StateConfig
from edge_app.errors import StateNotWritable
from edge_app.storage.kept_places import discard_superseded, keep_places, places_in_use
from support.pipeline_parts import Reports

GATE = PlaceConfig(name="gate", region=(0.5, 0, 0.5, 1), group="doors")
SHELF = PlaceConfig(name="shelf", rotation=90, max_fps=2)


def configured(folder: Path, *places: PlaceConfig, **sections: object) -> Config:
    return Config(state=StateConfig(folder=str(folder)), places=places, **sections)  # type: ignore[arg-type]


def names(config: Config) -> list[str]:
    return [place.name for place in config.places_in_use()]


def test_without_a_file_and_without_a_state_the_configured_ones_are_in_use(tmp_path: Path) -> None:
    reports = Reports()
    for config in (configured(tmp_path, GATE), Config(), configured(tmp_path / "nowhere")):
        assert places_in_use(config, reports) is config
    assert reports.told == []


@pytest.mark.parametrize("before", [(), (SHELF,)], ids=["none configured", "one configured"])
def test_what_was_set_holds_after_a_restart(tmp_path: Path, before: tuple[PlaceConfig, ...]) -> None:
    config = configured(tmp_path, *before)
    keep_places(config, config.with_places((GATE, SHELF)))
    found = places_in_use(config, Reports())
    assert found.places == (GATE, SHELF)
    assert replace(found, places=before) == config
    assert (tmp_path / "places.json").stat().st_mode & 0o777 == 0o600


def test_the_configuration_counts_once_its_places_are_changed(tmp_path: Path) -> None:
    config, reports = configured(tmp_path, SHELF), Reports()
    keep_places(config, config.with_places((GATE,)))
    assert names(places_in_use(configured(tmp_path, replace(SHELF, mirror=True)), reports)) == ["shelf"]
    assert names(places_in_use(configured(tmp_path), reports)) == ["camera"]
    # another section is not a change of the places
    assert names(places_in_use(configured(tmp_path, SHELF, lights=LightsConfig()), reports)) == ["gate"]
    assert reports.told == []


def test_places_that_were_superseded_do_not_return_with_those_of_before(tmp_path: Path) -> None:
    config, other = configured(tmp_path, SHELF), configured(tmp_path, replace(SHELF, mirror=True))
    keep_places(config, config.with_places((GATE,)))
    discard_superseded(config)
    assert names(places_in_use(config, Reports())) == ["gate"]
    discard_superseded(other)
    assert names(places_in_use(config, Reports())) == ["shelf"]
    # a file that cannot be used is left to its owner
    (tmp_path / "places.json").write_bytes(b"{")
    discard_superseded(config)
    assert (tmp_path / "places.json").read_bytes() == b"{"


def test_places_of_cameras_that_are_gone_are_superseded_without_a_word(tmp_path: Path) -> None:
    yard = PlaceConfig(name="yard", camera="back")
    config = configured(tmp_path, yard, cameras=(NamedCameraConfig(name="back"),))
    keep_places(config, config.with_places((yard, GATE)))
    reports = Reports()
    assert names(places_in_use(configured(tmp_path, SHELF), reports)) == ["shelf"]
    assert reports.told == []


def test_the_name_in_camera_becomes_that_of_a_place_and_comes_back(tmp_path: Path) -> None:
    config = configured(tmp_path, camera=CameraConfig(place="porch"))
    porch = PlaceConfig(name="porch", group="default")
    keep_places(config, config.with_places((porch, GATE)))
    assert names(places_in_use(config, Reports())) == ["porch", "gate"]
    keep_places(config, config.with_places((porch,)))
    assert places_in_use(config, Reports()) == config


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 99999,
        b'{"places": 7, "configured": []}',
        b'{"places": [7], "configured": []}',
        b'{"places": [{"name": "gate", "rotation": 45}], "configured": []}',
        b'{"places": [{"name": "gate", "camera": "side"}], "configured": []}',
        b'{"places": [{"name": "gate"}, {"name": "Gate"}], "configured": []}',
        b'{"places": [{"name": "gate", "colour": 1}], "configured": []}',
    ],
)
def test_a_damaged_file_is_reported_and_ignored(tmp_path: Path, content: bytes) -> None:
    path, reports = tmp_path / "places.json", Reports()
    path.write_bytes(content)
    config = configured(tmp_path)
    assert places_in_use(config, reports) is config
    (told,) = reports.told
    assert (told.level, told.event, told.fields["file"]) == (logging.ERROR, "places_ignored", str(path))
    assert path.read_bytes() == content
    keep_places(config, config.with_places((GATE,)))
    assert names(places_in_use(config, reports)) == ["gate"]


def test_a_key_that_an_older_program_did_not_know_has_its_default(tmp_path: Path) -> None:
    config = configured(tmp_path, SHELF)
    keep_places(config, config.with_places((GATE,)))
    path = tmp_path / "places.json"
    table = json.loads(path.read_bytes())
    del table["configured"][0]["group"], table["places"][0]["mirror"]
    path.write_text(json.dumps(table), encoding="utf-8")
    assert places_in_use(config, Reports()).places == (GATE,)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_it_cannot_be_written_nothing_changes(tmp_path: Path) -> None:
    config = configured(tmp_path)
    keep_places(config, config.with_places((GATE,)))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StateNotWritable, match=r"places\.json"):
            keep_places(config, config.with_places((SHELF,)))
    finally:
        tmp_path.chmod(0o700)
    assert names(places_in_use(config, Reports())) == ["gate"]


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("", encoding="ascii")
    config = configured(tmp_path / "state")
    with pytest.raises(StateNotWritable):
        keep_places(config, config.with_places((GATE,)))
