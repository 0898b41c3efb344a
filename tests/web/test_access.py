"""Who is let in, as whom, and which requests are another site's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from edge_app.config import WebConfig
from edge_app.web.access import AccessPolicy, Client
from edge_app.web.responses import ApiError
from edge_app.web.tokens import Tokens

HERE = {"host": "127.0.0.1:8765"}
CHANGE = {**HERE, "x-edge-app": "1"}


class Door:
    def __init__(self, folder: Path, **config: Any) -> None:
        self.now = 0.0
        self.tokens = Tokens(folder / "t.json")
        web = replace(WebConfig(enabled=True), **config)
        self.policy = AccessPolicy(web, self.tokens, lambda: self.now, names=("shelf", "shelf.local"))

    def knock(
        self,
        headers: dict[str, str],
        *,
        peer: str = "127.0.0.1",
        client: str | None = None,
        method: str = "GET",
        path: str = "/api/v1/state",
        scheme: str = "http",
        kind: str = "http",
    ) -> Client:
        scope = {"type": kind, "method": method, "path": path, "scheme": scheme, "client": (client or peer, 1)}
        return self.policy.client(scope, peer, Headers(headers))

    def refused(self, *args: Any, **options: Any) -> str:
        with pytest.raises(ApiError) as caught:
            self.knock(*args, **options)
        return caught.value.code


@pytest.fixture
def door(tmp_path: Path) -> Callable[..., Door]:
    return lambda **config: Door(tmp_path, **config)


def test_this_machine_has_the_role_that_the_configuration_gives(door: Callable[..., Door]) -> None:
    assert door().knock(HERE).role == "administer"
    assert door(loopback_role="view").knock(HERE).role == "view"
    assert door(loopback_role="none").knock(HERE).role is None
    assert door().knock({"host": "[::1]:8765"}, peer="::1").role == "administer"
    assert door().knock(HERE, peer="192.168.1.9").role is None


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via"])
def test_who_comes_through_a_proxy_on_this_machine_is_not_this_machine(door: Callable[..., Door], header: str) -> None:
    assert door().knock({**HERE, header: "x"}).role is None
    assert door().knock({"host": "shelf.local"}).role is None
    assert door(proxies=("127.0.0.0/8",)).knock(HERE, client="10.0.0.7").role is None
    assert door(proxies=("127.0.0.1/32",)).knock(HERE).role is None


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("127.0.0.1:8765", True),
        ("127.0.0.1", True),
        ("192.168.1.4:8765", True),
        ("[::1]:8765", True),
        ("[2001:db8::5]", True),
        ("localhost:8765", True),
        ("SHELF.local:8765", True),
        ("shelf.local.:8765", True),
        ("camera.example", True),
        ("evil.example:8765", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("shelf.local@evil.example", False),
        ("127.0.0.1:8765:1", False),
    ],
)
def test_a_name_that_is_not_ours_is_refused(door: Callable[..., Door], host: str, right: bool) -> None:
    knocked = door(names=("camera.example",))
    if right:
        knocked.knock({"host": host})
    else:
        assert knocked.refused({"host": host}) == "host"


def test_a_token_gives_its_role_from_anywhere(door: Callable[..., Door]) -> None:
    knocked = door()
    token = knocked.tokens.make("teach")
    assert knocked.knock({**HERE, "authorization": f"Bearer {token}"}, peer="10.0.0.9").role == "teach"
    assert knocked.knock({**HERE, "authorization": f"bearer  {token} "}, method="POST").role == "teach"
    for wrong in ("Basic eDp5", "Bearer", "Bearer ", token):
        assert knocked.refused({**HERE, "authorization": wrong}) == "wrong_token"


def test_a_wrong_token_is_not_this_machine(door: Callable[..., Door]) -> None:
    assert door().refused({**HERE, "authorization": "Bearer x"}) == "wrong_token"


def test_a_cookie_gives_the_role_it_was_begun_with(door: Callable[..., Door]) -> None:
    knocked = door(loopback_role="none")
    secret = knocked.tokens.start_session(knocked.tokens.make("teach"))
    assert knocked.knock({**HERE, "cookie": f"a=b; edge_app={secret}"}).role == "teach"
    assert knocked.knock({**HERE, "cookie": f"__Host-edge_app={secret}"}, scheme="https").role == "teach"
    assert knocked.knock({**HERE, "cookie": f"edge_app={secret}"}, scheme="https").role is None
    for wrong in ("edge_app=", "edge_app=x", "edge_app", "\x00=;;=", "edge_app=" + "x" * 9000):
        assert knocked.knock({**HERE, "cookie": wrong}).role is None


def test_guessing_locks_out_the_guesser_alone(door: Callable[..., Door]) -> None:
    knocked = door()
    token = knocked.tokens.make("view")
    guess = {**HERE, "authorization": "Bearer guess"}
    right = {**HERE, "authorization": f"Bearer {token}"}
    assert [knocked.refused(guess, peer="10.0.0.6") for _ in range(5)] == ["wrong_token"] * 5
    assert knocked.refused(right, peer="10.0.0.6") == "too_many"
    assert knocked.knock(right, peer="10.0.0.7").role == "view"
    knocked.now += 31
    assert knocked.knock(right, peer="10.0.0.6").role == "view"
    assert [knocked.refused(guess, peer="10.0.0.6") for _ in range(6)] == ["wrong_token"] * 5 + ["too_many"]
    assert knocked.knock(right, peer="10.0.0.6").role == "view"  # it was right from there before
    knocked.tokens.make("view")
    assert knocked.refused(right, peer="10.0.0.6") == "wrong_token"


def test_a_flood_is_slowed_down(door: Callable[..., Door]) -> None:
    knocked = door()
    for _ in range(400):
        knocked.knock(HERE, peer="10.0.0.6")
    assert knocked.refused(HERE, peer="10.0.0.6") == "too_many"
    assert knocked.knock(HERE, peer="10.0.0.7").key == "10.0.0.7"
    knocked.now += 1
    for _ in range(200):
        knocked.knock(HERE, peer="10.0.0.6")
    assert knocked.refused(HERE, peer="10.0.0.6") == "too_many"


def test_a_change_needs_what_another_site_cannot_send(door: Callable[..., Door]) -> None:
    knocked = door()
    assert knocked.refused(HERE, method="POST") == "header"
    assert knocked.refused({**HERE, "x-edge-app": "0"}, method="DELETE") == "header"
    assert knocked.knock(CHANGE, method="POST").role == "administer"
    assert knocked.knock({**CHANGE, "origin": "http://127.0.0.1:8765"}, method="POST").role == "administer"
    for origin in ("http://evil.example", "https://127.0.0.1:8765", "http://127.0.0.1:1", "null"):
        assert knocked.refused({**CHANGE, "origin": origin}, method="POST") == "other_site"


def test_another_sites_page_may_not_look_either(door: Callable[..., Door]) -> None:
    knocked = door()
    for site in ("cross-site", "same-site"):
        assert knocked.refused({**HERE, "sec-fetch-site": site}) == "other_site"
        assert knocked.refused({**HERE, "sec-fetch-site": site, "sec-fetch-mode": "navigate"}) == "other_site"
        knocked.knock({**HERE, "sec-fetch-site": site, "sec-fetch-mode": "navigate"}, path="/")
    for site in ("same-origin", "none"):
        knocked.knock({**HERE, "sec-fetch-site": site})


def test_a_websocket_of_another_site_is_refused(door: Callable[..., Door]) -> None:
    knocked = door()
    assert knocked.refused({**HERE, "origin": "http://evil.example"}, kind="websocket", scheme="ws") == "other_site"
    knocked.knock({**HERE, "origin": "http://127.0.0.1:8765"}, kind="websocket", scheme="ws")
    knocked.knock({**HERE, "origin": "https://127.0.0.1:8765"}, kind="websocket", scheme="wss")
    knocked.knock(HERE, kind="websocket", scheme="ws")
