"""Cameras on the network, against a server on the loopback."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from edge_app.devices import open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.live import STOP_S
from edge_app.devices.mjpeg import HttpError, request
from edge_app.devices.ports import CameraStalled
from edge_app.devices.streams import StreamCamera, why_not
from edge_app.errors import DeviceError, InputError
from support.camera_reading import read_until_error
from support.mjpeg_server import MjpegServer, serving

CLOCK = MonotonicClock()


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with serving() as server:
        yield server


@pytest.fixture
def tls_camera(tmp_path: Path) -> Iterator[str]:
    """The address of a camera with a certificate that it made itself."""
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=camera",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"openssl makes no certificate: {made.stderr.decode()[-100:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with serving(context) as server:
        yield server.address


def test_a_stall_is_a_stall_and_may_pass(server: MjpegServer) -> None:
    with open_camera(f"http://{server.address}/stream#timeout=5s", CLOCK) as camera:
        camera.read(5.0)
        server.stall.set()
        error = read_until_error(camera, 0.2)
        assert isinstance(error, CameraStalled)
        assert "no frame within 0.2 s" in str(error)
        server.stall.clear()
        assert camera.read(5.0)


def test_a_camera_that_was_silent_can_be_opened_again(server: MjpegServer) -> None:
    with open_camera(f"http://{server.address}/stream", CLOCK) as camera:
        camera.read(5.0)
        server.stall.set()
        assert isinstance(read_until_error(camera, 0.2), CameraStalled)
        start = time.monotonic()
        camera.close()
        assert time.monotonic() - start < 1.0, "the wait for the silent camera was not ended"
        server.stall.clear()
        camera.open()
        assert camera.read(5.0)


def test_a_closed_connection_is_told_at_once(server: MjpegServer) -> None:
    with open_camera(f"http://{server.address}/stream", CLOCK) as camera:
        camera.read(5.0)
        server.hang_up.set()
        start = time.monotonic()
        error = read_until_error(camera, 5.0)
        assert time.monotonic() - start < 2.0
    assert not isinstance(error, CameraStalled)
    assert "the stream ended" in str(error)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none", "the camera answers 404 Not Found; check the path"),
        ("secret/stream", "the camera answers 401 Unauthorized; check user and password"),
        ("page", "this address gives text/html, expected a picture"),
    ],
)
def test_what_is_no_stream_says_why(server: MjpegServer, path: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_camera(f"http://{server.address}/{path}", CLOCK)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_nobody_there_is_told_at_once(scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeviceError, match=f"no connection to 127.0.0.1 at port {port}: Connection refused"):
        open_camera(f"{scheme}://127.0.0.1:{port}/stream", CLOCK)


def test_rtsp_from_a_server_that_speaks_http_is_refused(server: MjpegServer) -> None:
    with pytest.raises(DeviceError, match=r"answers at port [0-9]+, but not in RTSP; check the port"):
        open_camera(f"rtsp://{server.address}/stream#timeout=1s", CLOCK)


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(DeviceError, match=r"takes the connection, but says nothing for 0\.3 s"):
            open_camera(f"http://127.0.0.1:{silent.getsockname()[1]}/stream#timeout=300ms", CLOCK)
        assert time.monotonic() - start < 3.0


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes, bytes], str]]:
    """Serve an answer whose second part comes byte by byte; return its address."""
    end = threading.Event()
    with ExitStack() as closing:
        closing.callback(end.set)

        def drip(server: socket.socket, first: bytes, rest: bytes) -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(first)
                    for byte in rest:
                        if end.wait(0.01):
                            return
                        connection.sendall(bytes([byte]))

        def serve(first: bytes, rest: bytes) -> str:
            server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=drip, args=(server, first, rest), daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}/shot.jpg"

        yield serve


def test_an_answer_whose_head_never_ends_is_given_up(dripping: Callable[[bytes, bytes], str]) -> None:
    """Each byte begins a socket's timeout anew."""
    for rest in (b"x" * 10_000, b"HTTP/1.1 100 Continue\r\n\r\n" * 400):
        with pytest.raises(HttpError, match=r"does not answer completely within 0\.3 s"):
            request(dripping(b"", rest), 5.0, 0.3)


def test_a_picture_that_never_ends_does_not_keep_its_thread(dripping: Callable[[bytes, bytes], str]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
    with open_camera(dripping(head, b"\xff" * 100_000), CLOCK) as camera:
        with pytest.raises(CameraStalled):
            camera.read(0.1)
        start = time.monotonic()
    assert time.monotonic() - start < STOP_S
    assert camera.uri not in {thread.name.removeprefix("camera ") for thread in threading.enumerate()}


def test_an_unknown_host_is_named() -> None:
    assert "no host is called 'camera.invalid'" in why_not("rtsp://camera.invalid/", 1.0)
    with pytest.raises(DeviceError, match=r"no host is called 'camera\.invalid'"):
        open_camera("http://camera.invalid/", CLOCK)


def test_passwords_are_not_shown(server: MjpegServer) -> None:
    camera = StreamCamera(f"http://me:s3cret@{server.address}/none", CLOCK)
    assert camera.uri == f"http://me:***@{server.address}/none"
    with pytest.raises(DeviceError, match=r"me:\*\*\*@") as caught:
        camera.open()
    assert "s3cret" not in str(caught.value)
    with pytest.raises(InputError, match="unknown option 'colour'") as refused:
        open_camera(f"http://me:s3cret@{server.address}/stream#colour=red", CLOCK)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("user", "path", "message"),
    [
        ("me:wr0ng@", "secret/stream", "the camera answers 401"),
        ("me:wr0ng@", "digest/stream", "the camera answers 401"),
        ("me:s3cret@", "secret/none", "the camera answers 404 Not Found; check the path"),
        ("me:s3cret@", "digest/none", "the camera answers 404 Not Found; check the path"),
        ("me:s3cret@", "secret/page", "this address gives text/html"),
        ("me:s%33cret@", "secret/page", "this address gives text/html"),
        ("me:s3cret@", "elsewhere", "the camera answers 404 Not Found"),
        ("", "secret/stream?user=me&password=s3cret", "the camera answers 401 Unauthorized; check user and password"),
        ("", "none/a b/ä?user=me&pwd=s3 cret", "the camera answers 404 Not Found"),
    ],
)
def test_a_refusal_is_told_without_the_password(server: MjpegServer, user: str, path: str, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_camera(f"http://{user}{server.address}/{path}", CLOCK)
    assert message in str(caught.value)
    for secret in ("s3cret", "s%33cret", "wr0ng", "s3 cret"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("way", ["secret", "digest"])
def test_a_stream_with_a_password_is_read(server: MjpegServer, way: str) -> None:
    with open_camera(f"http://me:s3cret@{server.address}/{way}/stream", CLOCK) as camera:
        assert camera.read(5.0)
        assert camera.uri == f"http://me:***@{server.address}/{way}/stream"


def test_a_single_picture_is_requested_again_and_again(server: MjpegServer) -> None:
    with open_camera(f"http://me:s3cret@{server.address}/digest/shot.jpg#fps=20", CLOCK) as camera:
        first, second = camera.read(5.0), camera.read(5.0)
        assert first.image.shape == (48, 64, 3)
        assert second.sequence > first.sequence
        assert camera.repeats
        assert camera.period_s == pytest.approx(0.05)
        server.hang_up.set()
        assert "no picture" in str(read_until_error(camera, 5.0))
    with pytest.raises(DeviceError, match="answers 503 Service Unavailable; it is busy"):
        open_camera(f"http://{server.address}/shot.jpg", CLOCK)


def test_a_picture_without_a_content_type_is_read(server: MjpegServer) -> None:
    with open_camera(f"http://{server.address}/untyped.jpg#fps=20", CLOCK) as camera:
        first, second = camera.read(5.0), camera.read(5.0)
    assert camera.repeats
    assert second.sequence > first.sequence


def test_a_certificate_of_the_cameras_own_is_refused_with_the_way_out(tls_camera: str) -> None:
    with pytest.raises(DeviceError, match=r"certificate cannot be verified .*append #verify=no"):
        open_camera(f"https://{tls_camera}/stream", CLOCK)
    with open_camera(f"https://{tls_camera}/stream#verify=no", CLOCK) as camera:
        assert camera.read(5.0)


def test_tls_that_is_not_spoken_is_told(server: MjpegServer) -> None:
    with pytest.raises(DeviceError, match="does not speak TLS"):
        open_camera(f"https://{server.address}/stream", CLOCK)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http:///stream", "names no host"),
        ("http://camera:port/", "is no address"),
        ("rtsp://camera/#transport=pigeon", "expected tcp or udp"),
        ("rtsp://camera/#timeout=soon", "expected a time above zero"),
    ],
)
def test_bad_addresses_are_refused(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_camera(uri, CLOCK)
