"""Secrets in a device's URI are never shown."""

import pytest

from edge_app.devices import open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.streams import StreamCamera
from edge_app.devices.uri import without_password
from edge_app.errors import InputError

CLOCK = MonotonicClock()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:s3cret@shelf/1?x=a@b", "rtsp://me:***@shelf/1?x=a@b"),
        ("rtsp://me:s3@cret@shelf/1", "rtsp://me:***@shelf/1"),
        ("rtsp://me:s3/cret@shelf/1", "rtsp://me:***@shelf/1"),
        ("rtsp://me:s3:cret@[::1]:554/1", "rtsp://me:***@[::1]:554/1"),
        ("rtsp://:s3cret@shelf/1", "rtsp://:***@shelf/1"),
        ("gst:rtspsrc location=rtsp://a:b@c ! x", "gst:rtspsrc location=rtsp://a:***@c ! x"),
        (
            "gst:rtspsrc user-id=me user-pw='s3 cret' location=rtsp://c",
            "gst:rtspsrc user-id=me user-pw=*** location=rtsp://c",
        ),
        ("http://shelf/live?user=me&password=s3cret#timeout=3s", "http://shelf/live?user=me&password=***#timeout=3s"),
        ("http://shelf/live?usr=me&PWD=s3cret&x=1", "http://shelf/live?usr=me&PWD=***&x=1"),
        ("http://shelf/live?loginpas=s3cret;x=1", "http://shelf/live?loginpas=***;x=1"),
        (
            "http://shelf/live?passwd=a&apiKey=b&access_token=c",
            "http://shelf/live?passwd=***&apiKey=***&access_token=***",
        ),
        ("rtsp://shelf/user=me&password=s3cret&channel=1", "rtsp://shelf/user=me&password=***&channel=1"),
    ],
)
def test_a_password_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    assert without_password(text) == shown
    assert without_password(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://shelf:8080/live",
        "http://shelf:8080/live?x=a@b",
        "http://shelf:8080",
        "http://me@shelf/live?user=me&channel=1",
        "http://[::1]:80/live",
        "gpio:/dev/gpiochip0?keyring=17,cat=27",
        "dir:/srv/pass=word",
        "",
    ],
)
def test_what_is_no_password_is_shown(text: str) -> None:
    assert without_password(text) == text


@pytest.mark.parametrize(
    "uri",
    [
        "htp://me:s3cret@shelf/1",
        "://me:s3cret@shelf/1",
        "http://me:s3cret@shelf:port/1",
        "http://me:s3/cret@shelf/1",
        "http://me:s3#cret@shelf/1",
        "http://me:s3?cret@shelf/1",
        "http://me:s3cret@shelf/1#colour=red",
        "http://shelf/1?password=s3cret#timeout=soon",
        "gst:rtspsrc location=rtsp://me:s3cret@shelf#size=2",
        'gst:rtspsrc location="rtsp://me:s3cret@shelf',
    ],
)
def test_a_refusal_does_not_tell_the_password(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        open_camera(uri, CLOCK)
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_camera_is_called_by_its_address_without_the_password() -> None:
    assert StreamCamera("http://me:a@shelf/?token=b", CLOCK).uri == "http://me:***@shelf/?token=***"
