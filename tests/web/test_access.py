"""Access: the role of each client, lockout, rate limit, and requests that other sites cause."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from edge_app.config import WebConfig
from edge_app.errors import InputError
from edge_app.web.access import AccessPolicy, Client, security_headers
from edge_app.web.responses import ApiError
from edge_app.web.tokens import Tokens

HERE = {"host": "127.0.0.1:8765"}
CHANGE = {**HERE, "x-edge-app": "1"}


class Checks:
    def __init__(self, folder: Path, **config: Any) -> None:
        self.now = 0.0
        self.tokens = Tokens(folder / "t.json")
        web = replace(WebConfig(enabled=True), **config)
        self.policy = AccessPolicy(web, self.tokens, lambda: self.now, names=("shelf", "shelf.local"))

    def check(
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
            self.check(*args, **options)
        return caught.value.code


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Checks]:
    return lambda **config: Checks(tmp_path, **config)


def test_this_machine_has_the_role_that_the_configuration_gives(policy: Callable[..., Checks]) -> None:
    assert policy().check(HERE).role == "administer"
    assert policy(loopback_role="view").check(HERE).role == "view"
    assert policy(loopback_role="none").check(HERE).role is None
    assert policy().check({"host": "[::1]:8765"}, peer="::1").role == "administer"
    assert policy().check(HERE, peer="192.168.1.9").role is None


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via"])
def test_a_client_of_a_local_proxy_is_not_local(policy: Callable[..., Checks], header: str) -> None:
    assert policy().check({**HERE, header: "x"}).role is None
    assert policy().check({"host": "shelf.local"}).role is None
    assert policy(proxies=("127.0.0.0/8",)).check(HERE, client="10.0.0.7").role is None
    assert policy(proxies=("127.0.0.1/32",)).check(HERE).role is None


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
def test_a_name_that_is_not_ours_is_refused(policy: Callable[..., Checks], host: str, right: bool) -> None:
    checks = policy(names=("camera.example",))
    if right:
        checks.check({"host": host})
    else:
        assert checks.refused({"host": host}) == "host"


def test_a_token_gives_its_role_from_anywhere(policy: Callable[..., Checks]) -> None:
    checks = policy()
    token = checks.tokens.make("teach")
    assert checks.check({**HERE, "authorization": f"Bearer {token}"}, peer="10.0.0.9").role == "teach"
    assert checks.check({**HERE, "authorization": f"bearer  {token} "}, method="POST").role == "teach"
    for wrong in ("Bearer", "Bearer ", "Bearer x"):
        assert checks.refused({**HERE, "authorization": wrong}) == "wrong_token"


@pytest.mark.parametrize(
    "header", ["Basic eDp5", "Digest username=x", "Negotiate abc", "edge-token-without-scheme", ""]
)
def test_another_scheme_is_for_a_proxy_in_front_and_no_token(policy: Callable[..., Checks], header: str) -> None:
    checks = policy()
    assert checks.check({**HERE, "authorization": header}).role == "administer"
    assert checks.check({**HERE, "authorization": header}, peer="10.0.0.9").role is None
    assert checks.refused({**HERE, "authorization": header}, method="POST") == "header"  # as without it
    secret = checks.tokens.start_session(checks.tokens.make("teach"))
    signed_in = {**CHANGE, "authorization": header, "cookie": f"edge_app={secret}"}
    assert checks.check(signed_in, peer="10.0.0.9", method="POST").role == "teach"


def test_a_wrong_token_is_not_this_machine(policy: Callable[..., Checks]) -> None:
    assert policy().refused({**HERE, "authorization": "Bearer x"}) == "wrong_token"


def test_a_cookie_gives_the_role_it_was_begun_with(policy: Callable[..., Checks]) -> None:
    checks = policy(loopback_role="none")
    secret = checks.tokens.start_session(checks.tokens.make("teach"))
    assert checks.check({**HERE, "cookie": f"a=b; edge_app={secret}"}).role == "teach"
    assert checks.check({**HERE, "cookie": f"__Host-edge_app={secret}"}, scheme="https").role == "teach"
    assert checks.check({**HERE, "cookie": f"edge_app={secret}"}, scheme="https").role is None
    for wrong in ("edge_app=", "edge_app=x", "edge_app", "\x00=;;=", "edge_app=" + "x" * 9000):
        assert checks.check({**HERE, "cookie": wrong}).role is None


def test_guessing_locks_out_the_guesser_alone(policy: Callable[..., Checks]) -> None:
    checks = policy()
    token = checks.tokens.make("view")
    guess = {**HERE, "authorization": "Bearer guess"}
    right = {**HERE, "authorization": f"Bearer {token}"}
    assert [checks.refused(guess, peer="10.0.0.6") for _ in range(5)] == ["wrong_token"] * 5
    assert checks.refused(right, peer="10.0.0.6") == "too_many"
    assert checks.check(right, peer="10.0.0.7").role == "view"
    checks.now += 31
    assert checks.check(right, peer="10.0.0.6").role == "view"
    assert checks.refused(guess, peer="10.0.0.6") == "wrong_token"
    assert checks.refused(guess, peer="10.0.0.6") == "too_many"  # the right token has not cleared the failures
    assert checks.check(right, peer="10.0.0.6").role == "view"  # it was right from there before
    checks.tokens.make("view")
    assert checks.refused(right, peer="10.0.0.6") == "wrong_token"


def test_a_right_token_between_guesses_allows_no_more_of_them(policy: Callable[..., Checks]) -> None:
    checks = policy()
    right = {**HERE, "authorization": f"Bearer {checks.tokens.make('view')}"}
    answers = []
    for number in range(20):
        answers.append(checks.refused({**HERE, "authorization": f"Bearer guess{number}"}, peer="10.0.0.6"))
        assert checks.check(right, peer="10.0.0.6").role == "view"
    assert answers == ["wrong_token"] * 5 + ["too_many"] * 15


def test_a_stream_is_allowed_as_long_as_its_token_or_session(policy: Callable[..., Checks]) -> None:
    checks = policy()
    token = checks.tokens.make("teach")
    secret = checks.tokens.start_session(token)
    clients = [
        checks.check({**HERE, "authorization": f"Bearer {token}"}, peer="10.0.0.6"),
        checks.check({**HERE, "cookie": f"edge_app={secret}"}, peer="10.0.0.6"),
    ]
    local = checks.check({**HERE, "cookie": "edge_app=unknown"})
    allowed = checks.policy.still_allows
    assert [allowed(one, "view") for one in (*clients, local)] == [True, True, True]
    assert [allowed(one, "administer") for one in clients] == [False, False]
    checks.tokens.end_session(secret or "")
    assert [allowed(one, "view") for one in clients] == [True, False]
    checks.tokens.remove("teach")
    assert [allowed(one, "view") for one in (*clients, local)] == [False, False, True]
    checks.tokens.path.write_text("{")
    assert not allowed(clients[0], "view")


def test_a_flood_is_slowed_down(policy: Callable[..., Checks]) -> None:
    checks = policy()
    for _ in range(400):
        checks.check(HERE, peer="10.0.0.6")
    assert checks.refused(HERE, peer="10.0.0.6") == "too_many"
    assert checks.check(HERE, peer="10.0.0.7").key == "10.0.0.7"
    checks.now += 1
    for _ in range(200):
        checks.check(HERE, peer="10.0.0.6")
    assert checks.refused(HERE, peer="10.0.0.6") == "too_many"


def test_a_change_needs_what_another_site_cannot_send(policy: Callable[..., Checks]) -> None:
    checks = policy()
    assert checks.refused(HERE, method="POST") == "header"
    assert checks.refused({**HERE, "x-edge-app": "0"}, method="DELETE") == "header"
    assert checks.check(CHANGE, method="POST").role == "administer"
    assert checks.check({**CHANGE, "origin": "http://127.0.0.1:8765"}, method="POST").role == "administer"
    for origin in ("http://evil.example", "https://127.0.0.1:8765", "http://127.0.0.1:1", "null"):
        assert checks.refused({**CHANGE, "origin": origin}, method="POST") == "other_site"


def test_another_sites_page_may_not_look_either(policy: Callable[..., Checks]) -> None:
    checks = policy()
    for site in ("cross-site", "same-site"):
        assert checks.refused({**HERE, "sec-fetch-site": site}) == "other_site"
        assert checks.refused({**HERE, "sec-fetch-site": site, "sec-fetch-mode": "navigate"}) == "other_site"
        checks.check({**HERE, "sec-fetch-site": site, "sec-fetch-mode": "navigate"}, path="/")
    for site in ("same-origin", "none"):
        checks.check({**HERE, "sec-fetch-site": site})


def test_a_websocket_of_another_site_is_refused(policy: Callable[..., Checks]) -> None:
    checks = policy()
    assert checks.refused({**HERE, "origin": "http://evil.example"}, kind="websocket", scheme="ws") == "other_site"
    checks.check({**HERE, "origin": "http://127.0.0.1:8765"}, kind="websocket", scheme="ws")
    checks.check({**HERE, "origin": "https://127.0.0.1:8765"}, kind="websocket", scheme="wss")
    checks.check(HERE, kind="websocket", scheme="ws")


GATEWAY = {"gateway": "172.30.32.2"}
THROUGH = {"host": "homeassistant.local:8123", "x-forwarded-for": "192.168.1.20"}


def test_who_comes_through_the_gateway_needs_no_token_and_keeps_its_own_address(policy: Callable[..., Checks]) -> None:
    client = policy(**GATEWAY).check(THROUGH, peer="172.30.32.2", client="192.168.1.20")
    assert (client.role, client.key) == ("administer", "192.168.1.20")
    assert policy(**GATEWAY, gateway_role="teach").check(THROUGH, peer="172.30.32.2").role == "teach"


def test_the_gateway_is_known_by_its_connection_alone(policy: Callable[..., Checks]) -> None:
    checks = policy(**GATEWAY)
    assert checks.refused(THROUGH, peer="172.30.32.3") == "host"
    claimed = {**HERE, "x-forwarded-for": "172.30.32.2"}
    assert checks.check(claimed, peer="172.30.32.3", client="172.30.32.2").role is None
    assert policy().refused(THROUGH, peer="172.30.32.2") == "host"


def test_pages_of_other_sites_are_refused_through_the_gateway_too(policy: Callable[..., Checks]) -> None:
    checks = policy(**GATEWAY)
    other = {**THROUGH, "sec-fetch-site": "cross-site"}
    assert checks.refused(other, peer="172.30.32.2") == "other_site"
    change = {**THROUGH, "origin": "https://evil.example", "x-edge-app": "1"}
    assert checks.refused(change, peer="172.30.32.2", method="POST") == "other_site"
    assert checks.refused(THROUGH, peer="172.30.32.2", method="POST") == "header"


@pytest.mark.parametrize(
    ("ancestors", "directive", "frames"),
    [
        ((), "frame-ancestors 'none'", "DENY"),
        (("self",), "frame-ancestors 'self'", None),
        (("self", "https://home.example:8123"), "frame-ancestors 'self' https://home.example:8123", None),
    ],
)
def test_the_page_is_shown_in_frames_of_named_sites_alone(
    ancestors: tuple[str, ...], directive: str, frames: str | None
) -> None:
    headers = security_headers(ancestors)
    assert headers["Content-Security-Policy"].endswith(f"; {directive}")
    assert headers.get("X-Frame-Options") == frames


@pytest.mark.parametrize(
    "value", ["https://a/b", "none", "'self'", "https://a; script-src *", "https://a\r\nX: y", "*"]
)
def test_a_frame_ancestor_is_a_site_and_nothing_that_ends_the_directive(value: str) -> None:
    with pytest.raises(InputError, match=r"web\.frame_ancestors"):
        WebConfig(frame_ancestors=(value,))
