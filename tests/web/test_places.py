"""The places over the API: read, set with and without a restart, refused; the whole picture of a camera."""

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
from PIL import Image

from edge_app import cli
from edge_app.config import CameraConfig, Config, NamedCameraConfig, PlaceConfig, StateConfig
from edge_app.datasets.pictures import decode_image
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S
from edge_app.devices.view import Region, View
from edge_app.pipeline.events import Decided
from edge_app.storage.folder import database_path
from edge_app.storage.groups import name_of
from edge_app.storage.kept_places import places_in_use
from edge_app.storage.store import Store
from edge_app.web.server import WebServer
from support.browsing import LiveDevice
from support.pipeline_parts import Reports
from support.served import Served, api

WHOLE = {
    "name": "camera",
    "camera": "camera",
    "group": "default",
    "region": [0, 0, 1, 1],
    "rotation": 0,
    "mirror": False,
    "max_fps": 0,
}
GATE = {"name": "gate", "region": [0.5, 0, 0.5, 1]}


def put(served: Served, *places: dict[str, object]) -> tuple[int, dict[str, object]]:
    answer = served.http.put(api("/places"), json={"places": places})
    return answer.status_code, answer.json()


def stored_group(state: Path, name: str) -> Path:
    """Make the folder of a group."""
    folder = state / "groups" / name
    folder.mkdir(parents=True)
    return folder


def kept(folder: Path) -> list[str]:
    """Return the places after a restart."""
    config = Config(state=StateConfig(folder=str(folder)))
    return [place.name for place in places_in_use(config, Reports()).places_in_use()]


def test_places_cameras_and_groups_are_listed(served: Served) -> None:
    served.http.post(api("/classes/cup/teach"))
    found = served.http.get(api("/places")).json()
    (place,) = found["places"]
    assert {key: place[key] for key in WHOLE} == WHOLE
    assert (place["classes"], place["label"], 0 <= place["confidence"] <= 1) == (1, place["label"], True)
    assert found["cameras"] == [{"name": "camera", "width": 32, "height": 32}]
    assert (found["groups"], found["restarting"]) == (["default"], False)


def test_another_part_of_the_picture_holds_from_the_next_frame_on(served: Served, tmp_path: Path) -> None:
    """The page sends what it was given, with what a person changed."""
    served.device.places.restart = lambda: pytest.fail("no restart is needed")
    changed = {**WHOLE, "region": [0, 0, 0.5, 0.25], "rotation": 90, "max_fps": 20}
    status, found = put(served, changed)
    assert status == 200
    assert {key: found["places"][0][key] for key in WHOLE} == changed  # type: ignore[index]
    place = served.device.place
    assert place.view == View(Region(0, 0, 0.5, 0.25), 90)
    assert place.pace.max_fps == 20
    since_ns = place.recent.view_at(2**62).since_ns
    served.device.wait_for(lambda events: isinstance(events[-1], Decided) and events[-1].captured_ns > since_ns)
    frame = place.recent.newer(-1, 5.0)
    assert frame is not None
    assert frame.image.shape == (16, 8, 3)
    assert kept(tmp_path) == ["camera"]
    assert json.loads((tmp_path / "places.json").read_bytes())["places"][0]["rotation"] == 90


def test_another_place_restarts_the_device_and_is_kept(served: Served, tmp_path: Path) -> None:
    asked: list[str] = []
    served.device.places.restart = lambda: asked.append("restart")
    status, found = put(served, WHOLE, GATE)
    assert (status, found["restarting"], asked) == (200, True, ["restart"])
    # until then those of before are in use
    assert [place["name"] for place in found["places"]] == ["camera"]  # type: ignore[attr-defined]
    assert kept(tmp_path) == ["camera", "gate"]
    # what lies in the state folder stays that of the group that it was, also if its place goes now
    assert name_of(tmp_path) == "default"
    put(served, GATE)
    assert kept(tmp_path) == ["gate"]
    put(served, WHOLE)
    assert kept(tmp_path) == ["camera"]


def test_a_request_that_comes_again_does_not_undo_what_was_set_meanwhile(served: Served) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = {**WHOLE, "rotation": 90}, {**WHOLE, "rotation": 180}
    answer = served.http.put(api("/places"), json={"places": [first]}, headers=key)
    assert put(served, second)[0] == 200
    again = served.http.put(api("/places"), json={"places": [first]}, headers=key)
    assert (again.status_code, again.content) == (200, answer.content)
    assert served.http.get(api("/places")).json()["places"][0]["rotation"] == 180
    other = served.http.put(api("/places"), json={"places": [second]}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")
    wrong = {"json": {"places": [{**WHOLE, "rotation": 45}]}, "headers": {"Idempotency-Key": "two"}}
    assert served.http.put(api("/places"), **wrong).status_code == 422  # type: ignore[arg-type]
    wrong["json"] = {"places": [first]}
    assert served.http.put(api("/places"), **wrong).status_code == 200, "one that failed is forgotten"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "places",
    [[{**WHOLE, "name": "yard"}], [{**WHOLE, "group": "doors"}], [WHOLE, GATE], [GATE, WHOLE]],
    ids=["renamed", "other group", "added", "added first"],
)
def test_a_device_that_cannot_be_restarted_refuses_what_needs_it(
    served: Served, tmp_path: Path, places: list[dict[str, object]]
) -> None:
    status, found = put(served, *places)
    assert (status, found["error"]["code"]) == (409, "refused")  # type: ignore[index]
    assert kept(tmp_path) == ["camera"]
    assert not (tmp_path / "places.json").exists()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([], "body: places has 0 entries, expected 1 or more"),
        ([{}], "body: places[0].name is missing"),
        ([GATE, 7], "body: places[1] = 7, expected an object"),
        ([GATE, {"name": "yard", "region": "left"}], "body: places[1].region = 'left', expected a list"),
        ([GATE, {"name": "yard", "region": [0, 0, None, 1]}], "body: places[1].region[2] = null, expected a number"),
        ([GATE, {"name": 7}], "body: places[1].name = 7, expected text"),
        ([GATE, {"name": "x" * 41}], "body: places[1].name has 41 characters, expected at most 40"),
        ([{**GATE, "mirror": 1}], "body: places[0].mirror = 1, expected true or false"),
        (
            [{**GATE, "region": [0.5, 0, 0.6, 1]}],
            "place 'gate': region = [0.5, 0.0, 0.6, 1.0], expected four fractions",
        ),
        ([{**GATE, "region": [0, 0, 0, 1]}], "place 'gate': region"),
        ([{**GATE, "region": [0, 0, 1]}], "body: places[0].region has 3 entries, expected 4 or more"),
        ([{**GATE, "rotation": 45}], "place 'gate': rotation = 45, expected one of 0, 90, 180, 270"),
        ([{**GATE, "max_fps": -1}], "place 'gate': max_fps = -1.0, expected a number from 0.01 to 1000 fps"),
        ([{**GATE, "camera": "side"}], "place 'gate': camera = 'side', expected one of"),
        ([{**GATE, "group": "../x"}], "place 'gate': group = '../x', expected a name"),
        ([{"name": "../gate"}], "place '../gate': name = '../gate', expected 1 to 40 letters"),
        ([GATE, GATE], "place 'gate' is there 2 times"),
        ([GATE, {"name": "Gate"}], "places 'gate' and 'Gate' differ only in upper and lower case"),
        (
            [GATE, {"name": "\uff47\uff41\uff54\uff45"}],
            "places 'gate' and '\uff47\uff41\uff54\uff45' differ only in upper and lower case, or in wide",
        ),
        (
            [{**GATE, "colour": "red"}],
            "body: places[0]: unknown field 'colour'; known: camera, group, max_fps, mirror, name, region, rotation",
        ),
        ([GATE] * 65, "body: places has 65 entries, expected at most 64"),
    ],
)
def test_values_are_checked_as_those_of_the_configuration(
    served: Served, tmp_path: Path, places: list[Any], message: str
) -> None:
    served.device.places.restart = lambda: pytest.fail("nothing changes")
    status, found = put(served, *places)
    error = found["error"]
    assert (status, error["field"]) == (422, "places")  # type: ignore[index]
    assert message in error["message"]  # type: ignore[index]
    assert not (tmp_path / "places.json").exists()


def test_places_of_the_configuration_that_are_read_again_count_from_then_on(served: Served, tmp_path: Path) -> None:
    """After a reload: what is set holds until those places are changed, and not until those of before are."""
    served.device.places.restart = lambda: None
    state = StateConfig(folder=str(tmp_path))
    again = Config(state=state, places=(PlaceConfig(name="yard"),))
    served.device.places.configured_anew(again)
    assert put(served, WHOLE, GATE)[0] == 200
    found = places_in_use(again, Reports()).places_in_use()
    assert [place.name for place in found] == ["camera", "gate"]
    assert kept(tmp_path) == ["camera"], "those of before"


def test_a_group_of_another_encoder_is_refused(served: Served, tmp_path: Path) -> None:
    """With it the device could not start."""
    served.device.places.restart = lambda: pytest.fail("nothing changes")
    folder = stored_group(tmp_path, "old")
    theirs = served.device.learner.binding._replace(encoder_sha256="0" * 64)
    Store.create(database_path(folder), theirs).close()
    assert served.http.get(api("/places")).json()["groups"] == ["default", "old"]
    status, found = put(served, WHOLE, {**GATE, "group": "old"})
    assert (status, found["error"]["code"]) == (409, "other_encoder")  # type: ignore[index]


def test_a_damaged_group_is_refused_and_the_others_can_be_used(served: Served, tmp_path: Path) -> None:
    asked: list[str] = []
    served.device.places.restart = lambda: asked.append("restart")
    path = database_path(stored_group(tmp_path, "old"))
    path.write_bytes(b"no database" * 1000)
    assert served.http.get(api("/places")).json()["groups"] == ["default", "old"]
    status, found = put(served, WHOLE, {**GATE, "group": "old"})
    assert (status, found["error"]["code"]) == (409, "damaged_group")  # type: ignore[index]
    message = found["error"]["message"]  # type: ignore[index]
    assert message.startswith(f"the group 'old' cannot be used; choose another group, or mend it: {path} is damaged")
    assert f"`edge-app recover --state {path.parent}`" in message
    assert not (tmp_path / "places.json").exists()
    assert (put(served, WHOLE, GATE)[0], asked) == (200, ["restart"])


def test_a_name_of_a_group_that_cannot_be_read_is_told(served: Served, tmp_path: Path) -> None:
    served.device.places.restart = lambda: pytest.fail("nothing changes")
    (tmp_path / "group.json").write_text("{")
    assert served.http.get(api("/places")).json()["groups"] == ["default"]
    status, found = put(served, WHOLE, GATE)
    assert (status, found["error"]["code"]) == (409, "damaged_group")  # type: ignore[index]
    assert 'write {"name": "NAME"} into it' in found["error"]["message"]  # type: ignore[index]
    assert not (tmp_path / "places.json").exists()
    assert put(served, {**WHOLE, "rotation": 90})[0] == 200, "nothing that needs the name"


def test_a_group_whose_name_is_confused_with_a_stored_one_is_refused(served: Served, tmp_path: Path) -> None:
    served.device.places.restart = lambda: pytest.fail("nothing changes")
    Store.create(database_path(stored_group(tmp_path, "old")), served.device.learner.binding).close()
    status, found = put(served, WHOLE, {**GATE, "group": "Old"})
    assert (status, found["error"]["code"]) == (409, "refused")  # type: ignore[index]
    message = found["error"]["message"]  # type: ignore[index]
    assert "group 'Old': what the group 'old' has learnt is stored, and the names differ only in" in message
    assert not (tmp_path / "places.json").exists()


def test_a_place_is_found_however_its_accents_are_written(served: Served) -> None:
    controls = {"gate": served.control, "K\u00fcche": served.control}
    with WebServer(controls, served.device.places, served.config, served.tokens) as server:
        server.start()
        for name in ("K\u00fcche", "Ku\u0308che"):
            url = f"{server.url}api/v1/places/{quote(name)}/state"
            assert served.http.get(url).status_code == 200


def test_the_whole_picture_of_a_camera(served: Served) -> None:
    put(served, {**WHOLE, "region": [0, 0, 0.5, 0.5]})
    answer = served.http.get(api("/cameras/camera/picture.jpg"), params={"max_side": 320})
    assert answer.headers["content-type"] == "image/jpeg"
    assert int(answer.headers["x-frame-sequence"]) >= 0
    assert decode_image(answer.content).shape == (32, 32, 3)
    answer = served.http.get(api("/cameras/side/picture.jpg"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_camera")
    assert served.http.get(api("/cameras/camera/picture.jpg"), params={"max_side": 3}).status_code == 422
    # they belong to the device, not to a place
    assert served.http.get(api("/places/camera/cameras/camera/picture.jpg")).status_code == 404
    assert served.http.get(api("/places/camera/places")).status_code == 404


def test_who_may_look_may_not_set_places(serve, tmp_path: Path) -> None:
    served = serve(loopback_role="none")
    tokens = {role: served.server.tokens.make(role) for role in ("view", "teach", "administer")}
    assert served.http.get(api("/places")).status_code == 401
    for role, token in tokens.items():
        with served.client(token) as client:
            assert client.get(api("/places")).status_code == 200
            assert client.get(api("/cameras/camera/picture.jpg")).status_code == 200
            expected = 200 if role == "administer" else 403
            body = {"places": [{**WHOLE, "mirror": True}]}
            assert client.put(api("/places"), json=body).status_code == expected


def reached(device: LiveDevice, right: Callable[[Any], bool], path: str = "places") -> Any:
    """Ask until the answer is right; a device that restarts does not answer for a while."""
    clock, stop = MonotonicClock(), threading.Event()
    end_ns = clock.monotonic_ns() + 60 * NS_PER_S
    found = None
    while clock.monotonic_ns() < end_ns:
        with suppress(OSError, HTTPException):  # URLError and HTTPError are OSErrors
            found = device.ask("GET", path)
            if right(found):
                return found
        stop.wait(0.1)
    raise AssertionError(f"{path}: {found}")


def names(found: Any) -> list[str]:
    return [place["name"] for place in found["places"]]


@pytest.mark.slow
def test_a_camera_that_the_device_could_not_start_with_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    bad = {"name": "bad", "uri": "sim:scene=nonsense,size=160x120"}
    device = LiveDevice(tmp_path, more={"cameras": [bad], "places": [{"name": "y"}]})
    device.start()
    try:
        with pytest.raises(HTTPError) as caught:
            device.ask("PUT", "places", {"places": [{"name": "y"}, {"name": "n", "camera": "bad"}]})
        problem = json.loads(caught.value.read())["error"]
        caught.value.close()
        assert (caught.value.code, problem["code"]) == (422, "invalid")
        assert problem["message"].startswith("camera 'bad': 'sim:scene=nonsense")
        assert not (tmp_path / "state" / "places.json").exists()
        assert names(device.ask("GET", "places")) == ["y"]
    finally:
        device.stop()


def test_places_of_recordings_alone_are_refused_by_a_device_that_goes_on(served: Served, tmp_path: Path) -> None:
    recording = NamedCameraConfig(name="tape", uri=f"dir:{tmp_path}")
    whole = PlaceConfig(name="camera", group="default")
    live = Config(state=StateConfig(folder=str(tmp_path)), cameras=(recording,), places=(whole,))
    served.device.places.configured_anew(live)
    served.device.places.restart = lambda: None
    tape = {"name": "tape", "camera": "tape"}
    status, found = put(served, tape)
    assert (status, found["error"]["code"]) == (422, "invalid")  # type: ignore[index]
    assert "the device would stop at its end" in found["error"]["message"]  # type: ignore[index]
    assert put(served, WHOLE, tape)[0] == 200
    # one that is configured so ends in any case
    served.device.places.configured_anew(replace(live, camera=CameraConfig(uri=f"dir:{tmp_path}")))
    assert put(served, tape)[0] == 200


@pytest.mark.slow
def test_the_health_is_that_of_all_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tape").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "tape" / "a.png")
    cameras = [{"name": "away", "uri": "v4l2:/dev/nowhere"}, {"name": "tape", "uri": f"dir:{tmp_path / 'tape'}?fps=5"}]
    places = [WHOLE, {"name": "side", "camera": "away"}, {"name": "old", "camera": "tape"}]
    device = LiveDevice(tmp_path, more={"cameras": cameras, "places": places})
    device.start()
    try:
        ended = reached(device, lambda found: found["camera"]["state"] == "ended", "places/old/state")
        assert ended["health"] == {"ok": False, "reasons": ["the recording has ended"]}
        reached(device, lambda found: found["health"]["ok"], "state")
        assert device.ask("GET", "places/camera/health") == {"ok": True, "reasons": []}
        with pytest.raises(HTTPError) as caught:
            device.ask("GET", "health")
        health = json.loads(caught.value.read())
        caught.value.close()
        assert (caught.value.code, health["reasons"]) == (
            503,
            [
                "place 'side': the camera does not deliver pictures; it is being opened again",
                "place 'side': nothing was decided yet",
                "place 'old': the recording has ended",
            ],
        )
        assert cli.run(["status", "--url", device.url, "--place", "camera"]) == 0
        capsys.readouterr()
        assert cli.run(["status", "--url", device.url]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert re.match(r"  camera  unknown; [\d.]+ frames/s, latency \d+ ms; 0 classes$", lines[1])
        assert re.match(r"  side    none yet; 0.0 frames/s, latency 0 ms; 0 classes; camera reopening$", lines[2])
        assert lines[3] == "          PROBLEM: the camera does not deliver pictures; it is being opened again"
        assert re.match(r"  old     unknown; [\d.]+ frames/s, .*; 0 classes; camera ended$", lines[5])
        assert cli.run(["status", "--url", device.url, "--json"]) == 1
        assert list(json.loads(capsys.readouterr().out)["places"]) == ["camera", "side", "old"]
    finally:
        device.stop()


@pytest.mark.slow
def test_nothing_that_was_learnt_is_lost_in_any_order_of_steps(tmp_path: Path) -> None:
    """A running program: places are added, taught, moved, removed and added again, and it is started anew."""
    device = LiveDevice(tmp_path)
    device.start()
    device.stop()
    device.start()  # on the same port from now on
    try:
        reached(device, lambda found: found["cameras"] == [{"name": "camera", "width": 320, "height": 240}])
        device.ask("POST", "classes/disc/teach", {"frame": None})
        assert device.ask("PUT", "places", {"places": [WHOLE, GATE]})["restarting"]
        reached(device, lambda found: names(found) == ["camera", "gate"] and not found["restarting"])
        assert (device.counts(), reached(device, bool, "places/gate/classes")) == ({"disc": 1}, {"classes": []})
        reached(device, lambda found: found["decision"] is not None, "places/gate/state")
        device.ask("POST", "places/gate/classes/open/teach", {"frame": None})

        # another part of the picture needs no restart
        smaller = {**GATE, "region": [0.5, 0.5, 0.5, 0.5]}
        assert not device.ask("PUT", "places", {"places": [WHOLE, smaller]})["restarting"]
        assert device.ask("GET", "config")["places"][1]["region"] == [0.5, 0.5, 0.5, 0.5]
        assert device.ask("GET", "places/gate/config") == device.ask("GET", "config")

        # the place of the group in the state folder itself goes, and another shares the group of the gate
        yard = {"name": "yard", "group": "gate"}
        assert device.ask("PUT", "places", {"places": [yard, smaller]})["restarting"]
        found = reached(device, lambda found: names(found) == ["yard", "gate"])
        assert (sorted(found["groups"]), device.counts()) == (["default", "gate"], {"open": 1})
        device.ask("POST", "places/yard/classes/open/teach", {"frame": None})
        device.stop()
        device.start()
        assert [place["classes"] for place in device.ask("GET", "places")["places"]] == [1, 1]
        assert device.ask("GET", "places/gate/classes")["classes"][0]["examples"] == 2

        # as it is configured
        assert device.ask("PUT", "places", {"places": [WHOLE]})["restarting"]
        reached(device, lambda found: names(found) == ["camera"])
        assert device.counts() == {"disc": 1}
        assert device.ask("GET", "config")["places"] == []
        (tmp_path / "state" / "places.json").write_text("{", encoding="ascii")
        device.stop()
        device.start()
        assert (names(device.ask("GET", "places")), device.counts()) == (["camera"], {"disc": 1})
    finally:
        device.stop()
