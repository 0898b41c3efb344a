"""The device behind nginx, with the configuration that docs/api.md shows."""

import base64
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from support.nginx import proxy
from support.served import Served, api, parsed

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def nginx() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    return found


def documented() -> str:
    """Return the server block of the documentation."""
    found = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert found
    return found[1]


def test_the_documented_proxy_works_and_needs_a_token(nginx: str, serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(proxies=("127.0.0.1/32",), names=("shelf.example",))
    folder = tmp_path / "nginx"
    folder.mkdir()
    with proxy(nginx, folder, documented(), served.server.port) as url:
        assert httpx.get(f"{url}api/v1/state").status_code == 401
        token = served.server.tokens.make("teach")
        with httpx.Client(base_url=url, headers={"X-Edge-App": "1"}, timeout=30) as http:
            assert http.get("/").status_code == 200
            assert http.post(api("/session"), json={"token": token}).json() == {"role": "teach"}
            origin = {"Origin": url.rstrip("/")}
            assert http.post(api("/classes/a%2Fb/teach"), headers=origin).json()["label"] == "a/b"
            with http.stream("GET", api("/events")) as answer:
                assert next(parsed(answer.iter_lines()))[0] == "decision"
        live = url.replace("http", "ws", 1) + "api/v1/live"
        with connect(live, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None) as socket_:
            assert len(socket_.recv(30)) > 8


def test_a_proxy_that_nobody_told_us_of_opens_nothing(nginx: str, serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve()
    folder = tmp_path / "nginx"
    folder.mkdir()
    with proxy(nginx, folder, documented(), served.server.port) as url:
        assert httpx.get(f"{url}api/v1/state").status_code == 401


def test_a_proxy_with_a_password_of_its_own(nginx: str, serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(proxies=("127.0.0.1/32",), names=("shelf.example",))
    folder = tmp_path / "nginx"
    folder.mkdir()
    password = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    (folder / "users").write_text(f"me:{{SHA}}{password}\n")
    asks = f'auth_basic "shelf"; auth_basic_user_file {folder}/users;'
    block = documented().replace("location / {", f"{asks}\n    location / {{")
    token = served.server.tokens.make("teach")
    with proxy(nginx, folder, block, served.server.port) as url:
        assert httpx.get(url).status_code == 401
        with httpx.Client(base_url=url, headers={"X-Edge-App": "1"}, auth=("me", "secret"), timeout=30) as http:
            assert http.get("/").status_code == 200
            assert http.get(api("/state")).json()["error"]["code"] == "sign_in"
            assert http.post(api("/session"), json={"token": token}).json() == {"role": "teach"}
            assert http.post(api("/classes/cup/teach")).status_code == 201
