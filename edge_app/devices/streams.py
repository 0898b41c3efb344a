"""Cameras on the network, through OpenCV's FFmpeg: `rtsp://HOST/PATH#transport=udp`, `http://HOST/stream.mjpg#timeout=2`.

Options stand after a "#", as addresses have a "?" of their own; a "#" is never sent to the camera.
"""

import base64
import http.client
import os
import socket
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.live import FrameSource, LiveCamera, Packet
from edge_app.devices.ports import NS_PER_S, CameraStalled, Clock
from edge_app.devices.uri import Reader, read_options, read_seconds, split_options, without_password
from edge_app.errors import DeviceError, InputError

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
TRANSPORTS = ("tcp", "udp")
DEFAULT_TIMEOUT_S = 3.0
LONGEST_TIMEOUT_S = 5.0
ASK_S = 2.0
"""How long either question may take that finds out why a stream cannot be opened; all stays within 10 s."""
_environment = threading.Lock()


class StreamCamera(LiveCamera):
    """A stream that FFmpeg can read. It is given up after `timeout_s` without a frame, and has to be opened again then.

    Messages show the address without its password. A frame's time is when it had arrived and was decoded: the delay of
    camera and network before that cannot be known.
    """

    def __init__(
        self,
        address: str,
        clock: Clock,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        transport: str = "tcp",
        uri: str | None = None,
    ) -> None:
        super().__init__(uri or address, clock)
        parts = urlsplit(address)
        if not parts.hostname:
            raise InputError(f"{self.uri!r} names no host: expected {parts.scheme}://HOST/PATH")
        self._address = address
        self._timeout_s = timeout_s
        self._transport = transport

    def _connect(self) -> FrameSource:
        import cv2

        limit_ms = max(1, round(self._timeout_s * 1000))
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit_ms]
        with _environment:  # OpenCV takes FFmpeg's options from the environment only
            before = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")
            os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
                f"rtsp_transport;{self._transport}|fflags;nobuffer|flags;low_delay"
            )
            try:
                capture = cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, limits)
            finally:
                if before is None:
                    del os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
                else:
                    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = before
        if not capture.isOpened():
            capture.release()
            raise DeviceError(f"{self._uri}: {why_not(self._address, min(ASK_S, self._timeout_s))}")
        return _StreamSource(self._uri, capture, self._clock, self._timeout_s)


class _StreamSource:
    def __init__(self, uri: str, capture: Any, clock: Clock, timeout_s: float) -> None:
        self._uri = uri
        self._capture = capture
        self._clock = clock
        self._timeout_s = timeout_s

    def next(self) -> Packet | None:
        start_ns = self._clock.monotonic_ns()
        if not self._capture.grab():
            if self._clock.monotonic_ns() - start_ns >= 0.9 * self._timeout_s * NS_PER_S:
                raise CameraStalled(f"{self._uri}: no frame within {self._timeout_s:g} s; the connection was given up")
            raise DeviceError(f"{self._uri}: the stream ended: the camera closed the connection")
        time_ns = self._clock.monotonic_ns()
        read, bgr = self._capture.retrieve()
        return Packet(bgr, time_ns) if read else None

    def decode(self, data: Any) -> NDArray[np.uint8]:
        import cv2

        rgb: NDArray[np.uint8] = cv2.cvtColor(data, cv2.COLOR_BGR2RGB)
        return rgb

    def interrupt(self) -> None:
        """Nothing ends FFmpeg's wait early; it lasts the time-out at most."""

    def close(self) -> None:
        self._capture.release()


def why_not(address: str, timeout_s: float) -> str:
    """Say why FFmpeg could not open `address`, by asking for it once more with the standard library."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme.lower()]
    try:
        socket.create_connection((host, port), timeout_s).close()
    except socket.gaierror:
        return f"no host is called {host!r}; check the address and the network"
    except TimeoutError:
        return f"{host} does not answer at port {port} within {timeout_s:g} s; is the camera on?"
    except OSError as error:
        return f"no connection to {host} at port {port}: {error.strerror}; is the camera on, and the port right?"
    if parts.scheme.lower().startswith("http"):
        return _http_answer(address, timeout_s)
    if parts.scheme.lower() == "rtsps":
        return f"{host} answers, but gives no video that FFmpeg can read; check path, user and password"
    return _rtsp_answer(address, host, port, timeout_s)


def _rtsp_answer(address: str, host: str, port: int, timeout_s: float) -> str:
    # without the password, which FFmpeg may send as a digest only
    lines = [f"DESCRIBE {_request(address).full_url} RTSP/1.0", "CSeq: 1", "Accept: application/sdp"]
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = connection.makefile("rb").readline(200).decode("ascii", "replace").split(None, 2)
    except OSError as error:
        return f"{host} takes the connection, but does not answer: {error}; is that the camera's RTSP port?"
    status, reason = (answer[1], answer[2].strip()) if len(answer) == 3 and answer[0].startswith("RTSP/") else ("", "")
    if not status:
        return f"{host} answers at port {port}, but not in RTSP; check the port"
    if status == "200":
        return f"{host} offers a stream that FFmpeg cannot read; try another of the camera's streams, or transport=udp"
    hint = "check user and password, then the path" if status in ("401", "403") else "check the path"
    return f"the camera answers {status} {without_password(reason)}; {hint}"


def _http_answer(address: str, timeout_s: float) -> str:
    try:
        with urllib.request.urlopen(_request(address), timeout=timeout_s) as answer:  # noqa: S310  http(s) only
            kind = answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        hint = "check user and password" if error.code in (401, 403) else "check the path"
        return f"the camera answers {error.code} {without_password(str(error.reason))}; {hint}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"the camera answers, but not as a web server: {error}"
    return (
        f"this address gives {kind}, which FFmpeg cannot read as video; a camera's stream is multipart/x-mixed-replace"
    )


def _request(address: str) -> urllib.request.Request:
    """Return what asks for an address as FFmpeg does: with user and password in a header, not in the host's name."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    # FFmpeg takes a space or an umlaut; the standard library would quote the whole address in its refusal
    path, query = (quote(part, safe="/%:=&?~+!$,;'@()*[]") for part in (parts.path, parts.query))
    request = urllib.request.Request(parts._replace(netloc=host, path=path, query=query).geturl())  # noqa: S310
    if at:
        token = base64.b64encode(unquote(user).encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {token}")  # not to where the camera may send us
    return request


def _read_timeout(text: str) -> float:
    seconds = read_seconds(text)
    if seconds > LONGEST_TIMEOUT_S:
        raise ValueError(f"expected at most {LONGEST_TIMEOUT_S:g}s")
    return seconds


def _read_transport(text: str) -> str:
    if text not in TRANSPORTS:
        raise ValueError(f"expected {' or '.join(TRANSPORTS)}")
    return text


def camera_from_uri(uri: str, clock: Clock) -> StreamCamera:
    """Make the camera of `rtsp://...`, `http://...`, with `#timeout=3s,transport=tcp|udp`; raises InputError."""
    address, _, text = split_options(uri)
    readers: dict[str, Reader] = {"timeout": _read_timeout, "transport": _read_transport}
    try:
        _ = urlsplit(address).port
        split = "@" in text  # no option has one: it is the rest of a password that has a "#"
    except ValueError:
        split = True
    if split:  # not what urlsplit says: it quotes what it takes for a port, which may be a part of the password
        raise InputError(
            f"{without_password(uri)!r} is no address: expected SCHEME://USER:PASSWORD@HOST:PORT/PATH with a number as "
            "PORT; in a password write %2F for a '/', %23 for a '#', %3F for a '?'"
        ) from None
    options = read_options(uri, text, readers)
    if "timeout" in options:
        options["timeout_s"] = options.pop("timeout")
    return StreamCamera(address, clock, uri=uri, **options)
