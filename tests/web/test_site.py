"""The API over real sockets: operations, errors, roles and sessions."""

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from edge_app.commands.status import lines
from edge_app.datasets.pictures import decode_image
from edge_app.storage.records import NewExample
from edge_app.web import schema, translate
from support.served import CHANGE, Served, api

JSON = {"content-type": "application/json"}


def teach(served: Served, label: str, **options: object) -> dict[str, object]:
    answer = served.http.post(api(f"/classes/{label}/teach"), **options)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_state_says_how_things_are(served: Served) -> None:
    state = served.http.get(api("/state")).json()
    assert (state["camera"], state["health"]) == ({"state": "good", "reopened": 0}, {"ok": True, "reasons": []})
    assert (state["role"], state["classes"], state["learnt"]) == ("administer", [], 0)
    assert state["decision"]["label"] is None
    assert state["decision"]["sequence"] >= 0
    assert served.http.get(api("/health")).json() == {"ok": True, "reasons": []}
    assert served.http.get(api("/config")).json()["web"] == {"port": 8765}
    assert (state["rebuilding"], state["rebuild"]) == (False, None)
    relearning = served.control.status()._replace(rebuilding=True, rebuild_progress=(256, 600))
    assert translate.state(relearning, "view").rebuild == schema.Rebuild(256, 600)
    assert "(256 of 600)" in "".join(lines(state | {"rebuilding": True, "rebuild": {"done": 256, "total": 600}}, []))


def test_the_picture_that_was_seen_is_taught(served: Served) -> None:
    picture = served.http.get(api("/picture.jpg"), params={"max_side": 320})
    assert picture.headers["content-type"] == "image/jpeg"
    assert decode_image(picture.content).shape == (32, 32, 3)
    number = int(picture.headers["x-frame-sequence"])
    taught = teach(served, "cup", json={"frame": number})
    assert taught == {
        "example": 1,
        "label": "cup",
        "before": {"label": None, "confidence": 0.0},
        "frame": number,
        "source": "API",
        "advice": [],
    }
    (example,) = served.http.get(api("/examples")).json()["examples"]
    assert (example["id"], example["label"], example["thumbnail"], example["before"]) == (1, "cup", True, None)
    thumbnail = served.http.get(api("/examples/1/thumbnail.jpg"))
    assert decode_image(thumbnail.content).shape == (16, 16, 3)
    gone = served.http.post(api("/classes/cup/teach"), json={"frame": 10**9})
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "frame_gone")


def test_a_heat_map_tells_which_parts_drove_a_column(served: Served) -> None:
    nothing = served.http.get(api("/picture/heat-map"))
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "refused")
    teach(served, "cup")
    frame = int(served.http.get(api("/picture.jpg")).headers["X-Frame-Sequence"])
    found = served.http.get(api("/picture/heat-map"), params={"frame": frame, "label": "cup"}).json()
    assert (found["frame"], found["label"]) == (frame, "cup")
    assert [len(row) for row in found["cells"]] == [4, 4, 4, 4]
    assert sum(map(sum, found["cells"])) > 0
    unknown = served.http.get(api("/picture/heat-map"), params={"label": "pen"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_class")
    gone = served.http.get(api("/picture/heat-map"), params={"frame": 10**9})
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "frame_gone")


def test_a_press_that_is_worth_a_warning_has_it(served: Served) -> None:
    frame = int(served.http.get(api("/picture.jpg")).headers["X-Frame-Sequence"])
    assert teach(served, "cup", json={"frame": frame})["advice"] == []
    (again,) = teach(served, "cup", json={"frame": frame})["advice"]
    assert (again["kind"], again["example"], again["label"]) == ("same", 1, "cup")
    assert again["text"].startswith("the same picture as example 1")


def test_a_frame_has_the_examples_that_it_resembles(served: Served) -> None:
    frame = int(served.http.get(api("/picture.jpg")).headers["X-Frame-Sequence"])
    nothing = served.http.get(api("/picture/similar"), params={"frame": frame}).json()
    assert nothing == {"frame": frame, "examples": []}
    teach(served, "cup", json={"frame": frame})
    teach(served, "cup", json={"frame": frame})
    found = served.http.get(api("/picture/similar"), params={"frame": frame}).json()["examples"]
    assert [(one["id"], one["label"], one["similarity"]) for one in found] == [(2, "cup", 1.0), (1, "cup", 1.0)]
    assert len(served.http.get(api("/picture/similar"), params={"limit": 1}).json()["examples"]) == 1
    assert served.http.get(api("/picture/similar"), params={"limit": 0}).status_code == 422
    gone = served.http.get(api("/picture/similar"), params={"frame": 10**9})
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "frame_gone")


def test_a_retry_teaches_once(served: Served) -> None:
    key = {"Idempotency-Key": "one"}
    assert teach(served, "cup", headers=key) == teach(served, "cup", headers=key)
    assert served.http.get(api("/examples")).json()["total"] == 1
    other = served.http.post(api("/classes/pen/teach"), headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")
    undone = served.http.post(api("/undo"), headers={"Idempotency-Key": "two"})
    assert served.http.post(api("/undo"), headers={"Idempotency-Key": "two"}).json() == undone.json()
    again = served.http.post(api("/undo"), json={"action": undone.json()["action"]["id"]})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "nothing_to_undo")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/classes/cup/rename", {"to": "mug"}),
        ("POST", "/classes/rename?label=cup", {"to": "mug"}),
        ("POST", "/classes/cup/merge", {"into": "pen"}),
        ("DELETE", "/classes/cup", None),
        ("POST", "/examples/relabel", {"ids": [1], "label": "pen"}),
        ("POST", "/examples/forget", {"ids": [1]}),
        ("PUT", "/strictness", {"strictness": 0.25}),
        ("POST", "/uploads", None),
    ],
)
def test_a_change_that_comes_again_is_answered_as_before(served: Served, method: str, path: str, body: Any) -> None:
    for label in ("cup", "pen"):
        teach(served, label)
    first, again, other = (
        served.http.request(method, api(path), json=body, headers={"Idempotency-Key": key}) for key in ("a", "a", "b")
    )
    assert first.is_success, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    if method != "PUT":
        assert other.content != first.content, "with another key it is another request"
    reused = served.http.post(api("/examples/forget"), json={"ids": [2]}, headers={"Idempotency-Key": "a"})
    assert (reused.status_code, reused.json()["error"]["code"]) == (409, "key_reused")
    assert len(served.device.learner.classes()) > 0


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("/examples/forget", '{"ids": [1, "2"]}', "ids", "body: ids[1] = '2', expected a whole number"),
        ("/examples/forget", '{"ids": [true]}', "ids", "body: ids[0] = true, expected a whole number"),
        ("/examples/forget", '{"ids": [0]}', "ids", "body: ids[0] = 0, expected a whole number of 1 or more"),
        ("/examples/forget", '{"ids": []}', "ids", "body: ids has 0 entries, expected 1 or more"),
        (
            "/examples/forget",
            '{"ids": [7, 1e999]}',
            "ids",
            "body: ids[1] = 1e999, expected a number of at most 1.8e308",
        ),
        ("/examples/forget", '{"a": {"b": -1e999}}', "a", "body: a.b = -1e999, expected a number of at most 1.8e308"),
        ("/classes/cup/rename", '{"to": null}', "to", "body: to = null, expected text"),
        ("/classes/cup/rename", '{"to": ""}', "to", "body: to has 0 characters, expected 1 or more"),
        ("/classes/cup/teach", '{"frame": "x"}', "frame", "body: frame = 'x', expected a whole number or null"),
        ("/classes/cup/teach", '{"frmae": 1}', "frmae", "body: unknown field 'frmae'; known: frame"),
        ("/uploads/1/files?name=a&exported=2", "", "exported", "query: exported = '2', expected true or false"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_with_its_path(
    served: Served, path: str, body: str, field: str, message: str
) -> None:
    answer = served.http.post(api(path), content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        {"code": "invalid", "message": message, "field": field},
    )


@pytest.mark.parametrize("body", [b"1e999 x", b'{"frame": NaN}', b'{"frame": 1e999'])
def test_what_is_no_json_is_told_from_a_number_that_is_too_large(served: Served, body: bytes) -> None:
    answer = served.http.post(api("/classes/cup/teach"), content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "json")


def test_classes_are_renamed_merged_forgotten_and_corrected(served: Served) -> None:
    for label in ("cup", "cup", "pen", "a%2Fb%20c"):
        teach(served, label)
    http = served.http
    assert [one["label"] for one in http.get(api("/classes")).json()["classes"]] == ["cup", "pen", "a/b c"]
    assert http.post(api("/classes/a%2Fb%20c/rename"), json={"to": "key"}).json()["action"]["kind"] == "rename"
    assert http.post(api("/classes/key/merge"), json={"into": "pen"}).json()["action"]["labels"] == ["key", "pen"]
    action = http.post(api("/examples/relabel"), json={"ids": [1, 2], "label": "pen"}).json()["action"]
    assert (action["kind"], action["examples"]) == ("relabel", 2)
    assert http.post(api("/examples/forget"), json={"ids": [4]}).status_code == 200
    page = http.get(api("/examples"), params={"label": "pen", "offset": 1, "limit": 1}).json()
    assert ([one["id"] for one in page["examples"]], page["total"]) == ([2], 3)
    assert http.delete(api("/classes/pen")).json()["action"]["examples"] == 3
    assert http.get(api("/classes")).json() == {"classes": []}
    missing = http.delete(api("/classes/pen"))
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_class")


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/nothing", {}, 404, "not_found"),
        ("PUT", "/state", {}, 405, "method"),
        ("POST", "/classes/cup/teach", {"content": b"{", "headers": JSON}, 400, "json"),
        ("POST", "/classes/cup/teach", {"content": b"[" * 10_000, "headers": JSON}, 400, "json"),
        ("POST", "/classes/cup/teach", {"content": b"\xff\xfe", "headers": JSON}, 400, "json"),
        ("POST", "/classes/cup/teach", {"content": b"frame=1"}, 415, "media_type"),
        ("POST", "/classes/cup/teach", {"json": {"frame": "1"}}, 422, "invalid"),
        ("POST", "/classes/cup/teach", {"json": {"frame": -1}}, 422, "invalid"),
        ("POST", "/classes/cup/teach", {"json": {"frmae": 1}}, 422, "invalid"),
        ("POST", "/classes/cup/teach", {"json": [1]}, 422, "invalid"),
        ("POST", "/classes/%20cup/teach", {}, 422, "invalid"),
        ("POST", "/classes/c%00up/teach", {}, 422, "invalid"),
        ("POST", f"/classes/{'x' * 101}/teach", {}, 422, "invalid"),
        ("POST", "/classes/cup/teach", {"headers": {"Idempotency-Key": "x" * 201}}, 422, "invalid"),
        ("POST", "/classes/cup/rename", {}, 422, "invalid"),
        ("POST", "/classes/cup/rename", {"json": {}}, 422, "invalid"),
        ("POST", "/examples/forget", {"json": {"ids": []}}, 422, "invalid"),
        ("POST", "/examples/forget", {"json": {"ids": list(range(1, 202))}}, 422, "invalid"),
        ("POST", "/examples/forget", {"json": {"ids": [2**60]}}, 422, "invalid"),
        ("POST", "/examples/forget", {"json": {"ids": [7]}}, 409, "refused"),
        ("POST", "/examples/relabel", {"json": {"ids": [7], "label": " x"}}, 422, "invalid"),
        ("GET", "/examples?limit=0", {}, 422, "invalid"),
        ("GET", "/examples?limit=1&limit=2", {}, 422, "invalid"),
        ("GET", "/examples?what=1", {}, 422, "invalid"),
        ("GET", "/examples?label=%20cup", {}, 422, "invalid"),
        ("POST", "/classes/cup/teach", {"headers": {"Idempotency-Key": "a b"}}, 422, "invalid"),
        ("POST", "/classes/cup/teach", {"json": {"frame": 1.5}}, 422, "invalid"),
        ("POST", "/examples/forget", {"json": {"ids": [7.0]}}, 409, "refused"),
        ("GET", "/examples/7/thumbnail.jpg", {}, 404, "unknown_example"),
        ("GET", "/examples/x/thumbnail.jpg", {}, 404, "unknown"),
        ("GET", f"/examples/{'9' * 6000}/thumbnail.jpg", {}, 404, "unknown"),
        ("GET", "/picture.jpg?max_side=x", {}, 422, "invalid"),
        ("GET", "/picture/heat-map?frame=null", {}, 422, "invalid"),
        ("OPTIONS", "/classes/teach", {}, 405, "method"),
        ("GET", "/live.mjpg?max_side=1e3", {}, 422, "invalid"),
        ("POST", "/undo", {}, 409, "nothing_to_undo"),
        ("GET", "/export", {}, 409, "refused"),
        ("GET", "/export?label=cup", {}, 404, "unknown_class"),
        ("POST", "/import", {"json": {}}, 415, "media_type"),
        ("POST", "/import", {"content": b"no zip", "headers": {"content-type": "application/zip"}}, 409, "refused"),
        ("POST", "/session", {"json": {"token": "guess"}}, 401, "wrong_token"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_form_and_changes_nothing(
    served: Served, method: str, path: str, options: dict[str, object], status: int, code: str
) -> None:
    answer = served.http.request(method, api(path), **options)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["error"]["message"]
    if status == 405:
        assert set(answer.headers["allow"].split(", ")) == ({"GET", "HEAD"} if path == "/state" else {"POST"})
    assert answer.headers["cache-control"] == "no-store"
    assert served.device.learner.examples() == []


def test_roles_are_kept_apart(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    tokens = {role: served.server.tokens.make(role) for role in ("view", "teach", "administer")}
    wanted = {
        None: (401, 401, 401, 401),
        "view": (200, 403, 403, 403),
        "teach": (200, 201, 403, 403),
        "administer": (200, 201, 200, 200),
    }
    for role, statuses in wanted.items():
        with served.client(tokens.get(role or "")) as http:
            found = (
                http.get(api("/state")).status_code,
                http.post(api("/classes/cup/teach")).status_code,
                http.post(api("/classes/cup/rename"), json={"to": "pen"}).status_code,
                http.get(api("/config")).status_code,
            )
        assert found == statuses, role
    for path in ("/events", "/live.mjpg", "/picture.jpg", "/examples", "/tray", "/classes", "/health", "/export"):
        assert served.http.get(api(path)).status_code == 401
    assert served.http.get("/metrics").status_code == 401
    assert served.http.get(api("/openapi.json")).status_code == 200


def test_a_browser_signs_in_and_out(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    token = served.server.tokens.make("teach")
    assert served.http.get(api("/session")).json() == {"role": "none"}
    signed = served.http.post(api("/session"), json={"token": token})
    assert signed.json() == {"role": "teach"}
    cookie = signed.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="))
    assert token not in cookie
    assert served.http.get(api("/state")).json()["role"] == "teach"
    assert teach(served, "cup")["source"] == "page"
    assert httpx.post(served.server.url + "api/v1/undo", cookies=dict(served.http.cookies)).status_code == 403
    assert served.http.delete(api("/session")).status_code == 204
    assert served.http.get(api("/state")).status_code == 401
    served.http.cookies.set("edge_app", cookie.partition("=")[2].partition(";")[0])
    assert served.http.get(api("/state")).status_code == 401  # the old cookie is worth nothing


def test_guessing_is_locked_out(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    token = served.server.tokens.make("view")
    statuses = [served.http.post(api("/session"), json={"token": f"guess {n}"}).status_code for n in range(6)]
    assert statuses == [401] * 5 + [429]
    locked = served.http.post(api("/session"), json={"token": token})
    assert (locked.status_code, int(locked.headers["retry-after"]) > 0) == (429, True)


def test_operations_that_take_long_count_as_more_requests(served: Served) -> None:
    limiter = served.server._policy._limiter
    limiter._rate = 0.001
    limiter._burst = 10.0
    teach(served, "cup")  # 4
    assert served.http.get(api("/examples")).status_code == 200  # 4
    limited = served.http.get(api("/examples"))
    assert (limited.status_code, limited.json()["error"]["code"]) == (429, "too_many")
    assert served.http.get(api("/session")).status_code == 200
    assert served.http.get(api("/session")).status_code == 429


def test_every_answer_carries_what_keeps_browsers_safe(served: Served) -> None:
    for path in ("/", "/static/nothing.js", api("/state"), api("/nothing"), "/metrics"):
        headers = served.http.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
        assert "strict-transport-security" not in headers


@pytest.mark.parametrize(
    "path",
    ["/static/../site.py", "/static/..%2fsite.py", "/static/%2e%2e/tokens.json", "/static//etc/passwd", "/static/"],
)
def test_no_file_beside_the_page_can_be_had(served: Served, path: str) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), 10) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := raw.recv(65536):
            answer += part
    assert answer.split(b" ", 2)[1] == b"404"


def test_the_page_is_served(served: Served) -> None:
    page = served.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert served.http.head("/").status_code == 200
    for name in ("static/main.js", "static/style.css", "static/icon.svg"):
        assert name in page.text
        answer = served.http.get(f"/{name}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    assert served.http.get("/static/main.js").headers["content-type"].startswith("text/javascript")


def test_json_is_what_it_says(served: Served) -> None:
    answer = served.http.get(api("/state"))
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)["version"]
    assert CHANGE == {"X-Edge-App": "1"}


@pytest.mark.parametrize(
    "label", [".", "..", "a/b", "a%2fb", "a//b", "/", "../x", "%2e%2e", "teach", "a/teach", "?#&+="]
)
def test_a_class_of_any_name_can_be_changed(served: Served, label: str) -> None:
    """Also "." and "..", which older versions let be taught: in the query."""
    learner = served.device.learner
    embedding = np.zeros(learner.binding.embedding_size, np.uint8)
    with learner._changing():
        example = NewExample(embedding.tobytes(), label, 1, "an older version", None, None)
        learner._store.commit("teach", 1, add=[example])
        learner._catch_up()
    query = {"label": label}
    http = served.http
    assert http.post(api("/classes/teach"), params=query).json()["label"] == label
    assert http.post(api("/classes/rename"), params=query, json={"to": "cup"}).status_code == 200
    assert http.post(api("/undo")).status_code == 200
    teach(served, "pen")
    assert http.post(api("/classes/merge"), params=query, json={"into": "pen"}).status_code == 200
    assert http.post(api("/undo")).status_code == 200
    assert http.delete(api("/classes"), params=query).json()["action"]["examples"] == 2
    assert learner.classes() == {"pen": 1}
    in_the_path = http.post(api(f"/classes/{quote(label, safe='')}/teach"))
    if label in (".", ".."):
        assert http.post(api("/classes/teach"), params=query).status_code == 409
        assert http.post(api("/classes/rename"), params={"label": "pen"}, json={"to": label}).status_code == 409
        assert http.post(api("/examples/relabel"), json={"ids": [3], "label": label}).status_code == 409
        assert learner.classes() == {"pen": 1}
    else:
        assert (in_the_path.status_code, in_the_path.json()["label"]) == (201, label)


@pytest.mark.parametrize("path", ["/classes/teach", "/classes/rename", "/classes/merge"])
def test_a_class_must_be_named(served: Served, path: str) -> None:
    for query in ({}, {"label": ""}, {"label": " x"}, {"label": ["a", "b"]}, {"label": "a", "other": "b"}):
        answer = served.http.post(api(path), params=query, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert served.http.post(api("/classes//teach")).status_code == 422


def test_more_classes_than_allowed_are_refused(served: Served) -> None:
    served.device.learner.limits = replace(served.device.learner.limits, classes=2)
    for label in ("cup", "pen", "cup"):
        teach(served, label)
    requests = (
        ("/classes/key/teach", {}),
        ("/classes/teach?label=key", {}),
        ("/examples/relabel", {"json": {"ids": [1], "label": "key"}}),
    )
    for path, options in requests:
        answer = served.http.post(api(path), **options)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "not_stored"), path
        assert "the limit is 2 (state.classes)" in answer.json()["error"]["message"]
    assert served.device.learner.classes() == {"cup": 2, "pen": 1}
