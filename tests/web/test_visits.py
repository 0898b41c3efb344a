"""The history over the API: pages, counts, groups, export, teaching, deletion and who may do what."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_app.config import HistoryConfig, WebConfig
from edge_app.control import Taught
from edge_app.datasets.pictures import decode_image
from edge_app.history.database import HistoryDamaged
from support.device import Device
from support.served import Served, api
from support.simple_network import open_learner
from support.visits import WALL_NS, record

WALL_MS = WALL_NS // 1_000_000
"""When the first visit of these tests begins: 2027-01-15, 08:00 UTC."""


@pytest.fixture
def serve_history(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve a device with these keys of [history]."""
    with ExitStack() as stack:

        def make(web: WebConfig | None = None, **history: Any) -> Served:
            learner = stack.enter_context(open_learner(tmp_path))
            device = stack.enter_context(Device(tmp_path, learner, history=HistoryConfig(**history)))
            config = web or WebConfig(enabled=True, port=0)
            return stack.enter_context(Served(device, config, tmp_path / "tokens.json"))

        yield make


@pytest.fixture
def seen(served: Served) -> Served:
    """A device with six visits: 1 mug, 2 unknown, 3 pen (unsure), 4 mug elsewhere, 5 and 6 unknown."""
    served.device.see(
        record("mug"),
        record(None, 1),
        record("pen", 2, mean_confidence=0.5),
        record("mug", 3, place="door"),
        record(None, 4),
        record(None, 5)._replace(picture=None, embedding=None),
    )
    return served


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["visits"]]


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert error["message"]
    return answer.status_code, error["code"], error.get("field")


# Reading


def test_a_visit_has_what_was_seen(seen: Served) -> None:
    one = seen.http.get(api("/visits"), params={"unsure": "true", "label": "pen"}).json()["visits"][0]
    assert one == {
        "id": 3,
        "place": "camera",
        "label": "pen",
        "begin_ms": WALL_MS + 20_000,
        "end_ms": WALL_MS + 22_000,
        "seconds": 2.0,
        "frames": 20,
        "confidence": 0.9,
        "mean_confidence": 0.5,
        "runner_up": "pen",
        "novelty": 0.005,
        "unsure": True,
        "open": False,
        "clock": "unchecked",
        "picture": True,
        "taught": None,
        "example": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"label": "mug"}, [4, 1]),
        ({"label": "mug", "place": "door"}, [4]),
        ({"place": "nowhere"}, []),
        ({"unknown": "true"}, [6, 5, 2]),
        ({"unsure": "true"}, [6, 5, 3, 2]),
        ({"unsure": "false"}, [4, 1]),
        ({"unsure_first": "true"}, [6, 5, 3, 2, 4, 1]),
        ({"from_ms": WALL_MS + 10_000, "before_ms": WALL_MS + 30_000}, [3, 2]),
        ({"from_ms": WALL_MS + 10_000, "unknown": "true", "limit": 1}, [6]),
    ],
)
def test_visits_are_filtered(seen: Served, query: dict[str, Any], expected: list[int]) -> None:
    assert ids(seen.http.get(api("/visits"), params=query)) == expected


@pytest.mark.parametrize("order", [{}, {"unsure_first": "true"}])
def test_pages_follow_one_another_whatever_comes_and_goes(seen: Served, order: dict[str, str]) -> None:
    whole = ids(seen.http.get(api("/visits"), params=order))
    first = seen.http.get(api("/visits"), params={**order, "limit": 2}).json()
    assert [one["id"] for one in first["visits"]] == whole[:2]
    # the last one of the page, the first one of the next, and a new one
    seen.http.delete(api(f"/visits?id={whole[1]}"))
    seen.http.delete(api(f"/visits?id={whole[2]}"))
    seen.device.see(record(None, 9))
    second = seen.http.get(api("/visits"), params={**order, "limit": 2, "cursor": first["cursor"]}).json()
    assert [one["id"] for one in second["visits"]] == whole[3:5]
    last = seen.http.get(api("/visits"), params={**order, "limit": 2, "cursor": second["cursor"]}).json()
    assert ([one["id"] for one in last["visits"]], last["cursor"]) == (whole[5:], None)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/visits?cursor=nonsense", "cursor"),
        ("/visits?cursor=", "cursor"),
        (f"/visits?cursor=a.{2**70}.1", "cursor"),
        ("/visits?limit=0", "limit"),
        ("/visits?limit=501", "limit"),
        ("/visits?unsure=perhaps", "unsure"),
        ("/visits?from_ms=-1", "from_ms"),
        (f"/visits?from_ms={10**16}", "from_ms"),
        ("/visits?label=%20", "label"),
        ("/visits?what=1", "what"),
        ("/visits/counts", "from_ms"),
        ("/visits/counts?from_ms=5&before_ms=6&by=week", "by"),
        ("/visits/export.csv?limit=5", "limit"),
    ],
)
def test_wrong_questions_are_answered_with_the_field(seen: Served, path: str, field: str) -> None:
    assert refusal(seen.http.get(api(path))) == (422, "invalid", field)


@pytest.mark.parametrize(
    "path",
    [
        "/visits?cursor=all.1.1&unsure_first=true",
        "/visits?cursor=sure.1.1",
        "/visits?cursor=all.9999999999999999999.1",
        "/visits?from_ms=5&before_ms=4",
        "/visits?label=mug&unknown=true",
        "/visits/counts?from_ms=0&before_ms=9000000000000",
        "/visits/counts?from_ms=5&before_ms=6&label=mug&unknown=true",
        "/visits/export.json?label=mug&unknown=true",
    ],
)
def test_questions_that_contradict_themselves_are_refused(seen: Served, path: str) -> None:
    assert refusal(seen.http.get(api(path))) == (409, "refused", None)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "Europe", "\x00"])
def test_a_time_zone_that_does_not_exist_is_named(seen: Served, zone: str) -> None:
    answer = seen.http.get(api("/visits/counts"), params={"from_ms": 5, "before_ms": 6, "zone": zone})
    assert refusal(answer) == (404, "unknown_zone", "zone")


def test_names_are_those_of_all_visits(seen: Served) -> None:
    assert seen.http.get(api("/visits/names")).json() == {"places": ["camera", "door"], "labels": ["mug", "pen"]}


def test_visits_are_counted_by_hour_and_day(seen: Served) -> None:
    seen.device.see(record("mug", begin_s=3590.0, duration_s=20.0))
    hours = {"from_ms": WALL_MS, "before_ms": WALL_MS + 7_200_000, "zone": "Europe/Berlin"}
    found = seen.http.get(api("/visits/counts"), params=hours).json()["counts"]
    assert [(one["begin_ms"] - WALL_MS, one["label"], one["visits"], one["seconds"]) for one in found] == [
        (0, None, 3, 6.0),
        (0, "mug", 3, 14.0),
        (0, "pen", 1, 2.0),
        (3_600_000, "mug", 0, 10.0),
    ]
    day = hours | {"by": "day", "label": "mug", "place": "camera"}
    (found,) = seen.http.get(api("/visits/counts"), params=day).json()["counts"]
    # midnight in Berlin is 23:00 UTC
    assert (found["begin_ms"], found["visits"], found["seconds"]) == (WALL_MS - 9 * 3_600_000, 2, 22.0)


def test_alike_unknown_visits_are_grouped_and_named_with_one_action(seen: Served) -> None:
    (group,) = seen.http.get(api("/visits/groups")).json()["groups"]
    assert sorted(group["visits"]) == [2, 5]
    assert 0.9 < group["likeness"] <= 1
    assert seen.http.get(api("/visits/groups"), params={"place": "door"}).json() == {"groups": []}
    body, key = {"ids": group["visits"], "label": "cup"}, {"Idempotency-Key": "one"}
    taught = seen.http.post(api("/visits/teach"), json=body, headers=key)
    assert (taught.status_code, len(taught.json()["taught"])) == (201, 2)
    assert seen.http.post(api("/visits/teach"), json=body, headers=key).json() == taught.json()
    assert seen.http.get(api("/visits/groups")).json() == {"groups": []}
    assert [one["taught"] for one in seen.http.get(api("/visits")).json()["visits"]][1:5] == ["cup", None, None, "cup"]
    assert seen.http.post(api("/undo")).json()["action"]["examples"] == 2
    assert seen.http.get(api("/examples")).json()["total"] == 0


def test_pictures_are_kept_by_the_browser_once_a_visit_is_over(seen: Served) -> None:
    picture = seen.http.get(api("/visits/1/picture.jpg"))
    assert decode_image(picture.content).shape == (16, 16, 3)
    assert picture.headers["cache-control"] == "private, max-age=86400"
    (number,) = seen.device.see(record("mug", 8)._replace(open=True))
    assert seen.http.get(api(f"/visits/{number}/picture.jpg")).headers["cache-control"] == "no-store"
    assert refusal(seen.http.get(api("/visits/6/picture.jpg"))) == (404, "no_picture", None)
    assert refusal(seen.http.get(api("/visits/99/picture.jpg"))) == (404, "unknown_visit", None)


# Export


def test_visits_are_exported_as_a_table(seen: Served) -> None:
    seen.device.see(record("=1+1", 7))
    answer = seen.http.get(api("/visits/export.csv"))
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="visits.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == ["7", "6", "5", "4", "3", "2", "1"]
    # a spreadsheet would take it for a formula
    assert [row["label"] for row in rows][:4] == ["'=1+1", "", "", "mug"]
    assert (rows[4]["unsure"], rows[4]["seconds"], rows[4]["begin_ms"]) == ("true", "2.0", str(WALL_MS + 20_000))


def test_visits_are_exported_as_json_like_pages(seen: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.web.visits.ROWS_AT_ONCE", 2)
    whole = seen.http.get(api("/visits")).json()
    answer = seen.http.get(api("/visits/export.json"))
    assert json.loads(answer.text) == whole
    assert seen.http.get(api("/visits/export.json"), params={"label": "pen"}).json()["visits"] == [whole["visits"][3]]
    assert seen.http.get(api("/visits/export.json"), params={"place": "x"}).json() == {"visits": [], "cursor": None}
    assert len(seen.http.get(api("/visits/export.csv")).text.splitlines()) == 7


def test_an_export_that_fails_half_way_does_not_look_complete(seen: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.web.visits.ROWS_AT_ONCE", 2)
    store = seen.control.history.store

    def failing(wanted: object) -> Iterator[object]:
        yield from store.page(limit=4).visits
        raise HistoryDamaged("the disk is broken")

    monkeypatch.setattr(store, "visits", failing)
    with pytest.raises(httpx.TransportError):
        seen.http.get(api("/visits/export.json"))


# Correcting and deleting


def test_the_tray_is_taught_and_dismissed(seen: Served) -> None:
    http = seen.http
    moments = http.get(api("/tray")).json()["moments"]
    assert [one["id"] for one in moments] == [5, 3, 2]
    assert moments[1] == {
        "id": 3,
        "time_ms": WALL_MS + 20_000,
        "label": "pen",
        "confidence": 0.5,
        "why": "uncertain",
    }
    assert http.get(api("/tray/3/picture.jpg")).headers["content-type"] == "image/jpeg"
    done = http.post(api("/tray/teach"), json={"ids": [3], "label": "red"})
    assert (done.status_code, done.json()["taught"][0]["label"]) == (201, "red")
    assert refusal(http.post(api("/tray/teach"), json={"ids": [3], "label": "red"})) == (409, "refused", None)
    assert http.post(api("/tray/dismiss"), json={"ids": [3, 2, 2, 10**6]}).json() == {"dismissed": 1}
    assert [one["id"] for one in http.get(api("/tray")).json()["moments"]] == [5]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"ids": [1, 6], "label": "cup"}, (409, "visit_gone", None)),
        ({"ids": [1, 99], "label": "cup"}, (409, "visit_gone", None)),
        ({"ids": [], "label": "cup"}, (422, "invalid", "ids")),
        ({"ids": list(range(1, 202)), "label": "cup"}, (422, "invalid", "ids")),
        ({"ids": [1], "label": " cup"}, (422, "invalid", "label")),
        ({"ids": [1]}, (422, "invalid", "label")),
    ],
)
def test_what_cannot_be_taught_is_refused(seen: Served, body: Any, expected: tuple[int, str, str | None]) -> None:
    assert refusal(seen.http.post(api("/visits/teach"), json=body)) == expected
    assert seen.device.of(Taught) == []


def test_visits_are_deleted_one_by_label_or_all(seen: Served) -> None:
    http = seen.http
    assert http.delete(api("/visits?id=1")).json() == {"deleted": 1}
    assert refusal(http.delete(api("/visits?id=1"))) == (404, "unknown_visit", None)
    assert http.delete(api("/visits"), params={"label": "mug"}).json() == {"deleted": 1}
    for wrong in (
        {},
        {"everything": "true", "label": "pen"},
        {"id": 3, "label": "pen"},
        {"id": 3, "everything": "true"},
    ):
        assert refusal(http.delete(api("/visits"), params=wrong)) == (409, "refused", None)
    assert ids(http.get(api("/visits"))) == [6, 5, 3, 2]
    assert http.delete(api("/visits"), params={"unknown": "true", "from_ms": WALL_MS + 30_000}).json() == {"deleted": 2}
    assert http.delete(api("/visits"), params={"everything": "true"}).json() == {"deleted": 2}
    assert ids(http.get(api("/visits"))) == []


def test_a_change_of_the_history_is_an_event(seen: Served) -> None:
    with seen.events() as events:
        seen.device.see(record(None, 7))
        names = []
        for name, data, _ in events:
            names.append(name)
            if name == "tray":
                assert json.loads(data)["id"] == 7
                break
    assert "history" in names


# Who may do what


def test_roles(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    served.device.see(record("mug"), record(None, 1))
    for role in ("view", "teach", "administer"):
        with served.client(served.server.tokens.make(role)) as http:
            for path in ("", "/names", "/groups", "/export.csv", "/export.json", "/1/picture.jpg"):
                assert http.get(api(f"/visits{path}")).status_code == 200, (role, path)
            assert http.get(api("/visits/counts?from_ms=0&before_ms=1000")).status_code == 200
            taught = http.post(api("/visits/teach"), json={"ids": [2], "label": "pen"})
            assert taught.status_code == {"view": 403, "teach": 201, "administer": 409}[role]
            deleted = http.delete(api("/visits?id=1"))
            assert deleted.status_code == (200 if role == "administer" else 403)
            assert http.delete(api("/visits?everything=true")).status_code == (200 if role == "administer" else 403)
    with httpx.Client(base_url=served.server.url) as http:
        for path in ("/visits", "/visits/counts", "/visits/export.csv", "/visits/1/picture.jpg"):
            assert http.get(api(path)).status_code == 401


def test_pictures_can_be_kept_from_those_who_only_view(serve_history: Callable[..., Served]) -> None:
    web = WebConfig(enabled=True, port=0, loopback_role="view")
    served = serve_history(web, picture_role="teach")
    served.device.see(record(None), record(None, 1))
    assert [one["picture"] for one in served.http.get(api("/visits")).json()["visits"]] == [False, False]
    for path in ("/visits/1/picture.jpg", "/tray/1/picture.jpg"):
        assert refusal(served.http.get(api(path))) == (403, "role", None)
    assert served.http.get(api("/tray")).json() == {"moments": []}
    assert served.http.get(api("/visits/groups")).json() == {"groups": []}
    with served.client(served.server.tokens.make("teach")) as http:
        assert [one["picture"] for one in http.get(api("/visits")).json()["visits"]] == [True, True]
        assert http.get(api("/visits/1/picture.jpg")).status_code == 200


# When there is none, or it fails


def test_without_a_history_it_is_said(serve_history: Callable[..., Served]) -> None:
    served = serve_history(enabled=False)
    assert served.http.get(api("/state")).json()["history"] == "off"
    for path in ("/visits", "/visits/names", "/visits/groups", "/visits/export.csv", "/visits/1/picture.jpg", "/tray"):
        answer = served.http.get(api(path))
        assert refusal(answer) == (409, "history_off", None)
        assert "[history]" in answer.json()["error"]["message"]
    assert served.http.post(api("/visits/teach"), json={"ids": [1], "label": "cup"}).status_code == 409
    assert served.http.delete(api("/visits?id=1")).status_code == 409


def test_the_state_says_whether_pictures_are_kept(serve_history: Callable[..., Served]) -> None:
    assert serve_history(pictures=False).http.get(api("/state")).json()["history"] == "without pictures"


def test_the_state_says_why_nothing_is_stored(seen: Served) -> None:
    assert seen.http.get(api("/state")).json()["history_stopped"] is None
    seen.device.history_stopped = "the disk has 63 MB free: free some space"
    state = seen.http.get(api("/state")).json()
    assert (state["history"], state["history_stopped"]) == ("on", "the disk has 63 MB free: free some space")
    assert seen.http.get(api("/visits")).status_code == 200


def test_a_store_that_fails_is_an_error_and_events_go_on(seen: Served) -> None:
    store = seen.device.visits
    assert store is not None
    store._reader.close()
    for path in ("/visits", "/visits/export.csv", "/visits/groups", "/visits/1/picture.jpg", "/tray"):
        status, code, _ = refusal(seen.http.get(api(path)))
        assert (status, code) in ((500, "failed"), (409, "refused"), (503, "busy")), path
    with seen.events() as events:
        store.revision += 1
        for name, _, _ in events:
            if name == "history":
                break
        assert next(events)[0]
    seen.device.visits = None
    assert refusal(seen.http.get(api("/visits"))) == (503, "busy", None)
    seen.device.visits = store
