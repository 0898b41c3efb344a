"""The page as Home Assistant's ingress shows it: under a path, through a gateway, in a frame of the same site."""

import shutil

import pytest

from support.nginx import proxy

pytestmark = pytest.mark.slow

PATH = "/api/hassio_ingress/Zm9v_bar/"
HOME = f'<!doctype html><title>home</title><iframe src="{PATH}" width="1200" height="900"></iframe>'
BLOCK = """
server {
  server_name shelf.example;
  location = / { default_type text/html; return 200 'HOME'; }
  location = /favicon.ico { return 204; }
  location PATH {
    proxy_pass http://127.0.0.1:8765/;
    proxy_http_version 1.1;
    proxy_set_header Host homeassistant.local:$server_port;
    proxy_set_header Origin "";
    proxy_set_header X-Forwarded-For 192.168.1.20;
    proxy_set_header X-Forwarded-Proto http;
    proxy_set_header X-Ingress-Path PATH;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_buffering off;
  }
}
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
""".replace("HOME", HOME).replace("PATH", PATH)


@pytest.fixture
def home(start_device, tmp_path):
    """A site that shows the device's page in a frame; its address."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    device = start_device(loopback_role="none", gateway="127.0.0.1", gateway_role="teach", frame_ancestors=["self"])
    folder = tmp_path / "nginx"
    folder.mkdir()
    with proxy(nginx, folder, BLOCK, device.port) as url:
        yield url


def test_it_is_shown_and_taught_without_a_token(page, home):
    page.browser.get(home)
    page.browser.switch_to.frame(0)
    page.wait_ready()
    page.run("localStorage.setItem('edge-app.welcomed', 'yes')")
    first = page.sequence
    page.wait(lambda: page.sequence > first, "frames to move")
    page.add_class("cup", when="disc")
    page.wait(lambda: page.labels == ["cup"], "the class")
    assert not page.is_shown("#dialog")
    page.browser.switch_to.default_content()
    page.browser.get("about:blank")  # before the site goes


def test_a_page_of_another_site_may_not_show_it(page, home):
    page.expected |= {"frame-ancestors", "Refused to frame", "Framing"}
    page.browser.get(home.replace("127.0.0.1", "localhost"))
    page.run(f"document.querySelector('iframe').src = '{home.rstrip('/')}{PATH}'")
    page.browser.switch_to.frame(0)
    page.wait(lambda: page.run("return document.getElementById('picture') === null"), "no page in the frame")
    assert page.text("#picture") == ""
    page.browser.switch_to.default_content()
    page.browser.get("about:blank")  # before the site goes
