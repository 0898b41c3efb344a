"""Cameras on the network: `rtsp://HOST/PATH#transport=udp`, `http://HOST/stream.mjpg`, `http://HOST/shot.jpg#fps=0.5`.

Motion JPEG and single pictures are read by `mjpeg`, everything else by OpenCV's FFmpeg. Options follow a "#", because
addresses have a "?" of their own; a "#" is never sent to the camera.
"""

import os
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from edge_app.devices import mjpeg
from edge_app.devices.live import FrameSource, LiveCamera, Packet
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.devices.uri import (
    Reader,
    read_flag,
    read_fps,
    read_options,
    read_seconds,
    split_options,
    without_password,
)
from edge_app.errors import DeviceError, InputError
from edge_app.text import printable

TRANSPORTS = ("tcp", "udp")
DEFAULT_TIMEOUT_S = 3.0
LONGEST_TIMEOUT_S = 5.0
OPEN_S = 9.0
"""All questions to a camera while it is opened take no longer than that: the capture stage allows 10 s."""
ASK_S = 2.0
"""How long each request may take that finds out why a stream cannot be opened."""
STILL_FPS = 1.0
NOT_VIDEO = ("text/", "application/json", "application/xml", "application/pdf")
"""Content types that are refused without asking FFmpeg."""
# the environment belongs to the whole process: two cameras must not open at the same time
_environment = threading.Lock()


class StreamCamera(LiveCamera):
    """A camera at an address. After `patience_s` without a frame its connection is closed, and it must be reopened.

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
        fps: float = STILL_FPS,
        verify: bool = True,
        uri: str | None = None,
    ) -> None:
        """`timeout_s`: seconds that the camera may take for each answer while it is opened; `transport`: RTSP over tcp
        or udp; `fps`: how often a single picture is requested; `verify`: check the certificate of https.
        """
        super().__init__(uri or address, clock)
        parts = urlsplit(address)
        if not parts.hostname:
            raise InputError(f"{self.uri!r} names no host: expected {parts.scheme}://HOST/PATH")
        self._address = address
        self._timeout_s = timeout_s
        self._transport = transport
        self._still_period_s = 1 / fps
        self._verify = verify

    def _connect(self) -> FrameSource:
        start_ns = self._clock.monotonic_ns()
        kind = "video"
        if urlsplit(self._address).scheme.lower().startswith("http"):
            response = self._ask()
            if response.kind.startswith("multipart/"):
                return mjpeg.MultipartSource(self._uri, response, self._clock)
            wait_s = min(self._timeout_s, self._left_s(start_ns))
            # small cameras name a wrong type, or none
            if response.kind.startswith("image/") or response.starts_picture(wait_s):
                self.period_s, self.repeats = self._still_period_s, True
                return mjpeg.StillSource(self._uri, response, self._ask, self._clock, self._still_period_s)
            response.body.close()
            kind = response.kind
            if kind.startswith(NOT_VIDEO):
                raise DeviceError(
                    f"{self._uri}: this address gives {kind}, expected a picture (image/jpeg) or a stream "
                    "(multipart/x-mixed-replace, video/...); look up the stream's address in the camera's manual"
                )
        # what the first request has taken is no longer left for FFmpeg
        capture = self._open_ffmpeg(min(self._timeout_s, self._left_s(start_ns)))
        if not capture.isOpened():
            capture.release()
            wait_s = min(ASK_S, self._timeout_s, self._left_s(start_ns))
            raise DeviceError(f"{self._uri}: {why_not(self._address, wait_s, kind)}")
        return _FfmpegSource(self._uri, capture, self._clock, self.patience_s)

    def _left_s(self, start_ns: int) -> float:
        """Seconds that are left for an opening that began at `start_ns`; never 0, which would be no limit."""
        return max(0.1, OPEN_S - (self._clock.monotonic_ns() - start_ns) / NS_PER_S)

    def _ask(self) -> mjpeg.Response:
        try:
            return mjpeg.request(self._address, self._timeout_s, OPEN_S, verify=self._verify)
        except DeviceError as error:
            # from None: the cause may hold the address with its password
            raise DeviceError(f"{self._uri}: {error}") from None

    def _open_ffmpeg(self, timeout_s: float) -> Any:
        import cv2

        # FFmpeg's wait cannot be ended early: it ends by itself after the reader has given the camera up
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            max(1, round(timeout_s * 1000)),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            round((self.patience_s + 1) * 1000),
        ]
        with _environment:  # OpenCV takes FFmpeg's options from the environment only
            before = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")
            # not fflags;nobuffer: it drops the packets read while probing, the first key frame among them, and the next
            # one may be many seconds away. What was buffered is read at once, faster than new frames come.
            os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{self._transport}|flags;low_delay"
            try:
                return cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, limits)
            finally:
                if before is None:
                    del os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
                else:
                    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = before


class _FfmpegSource:
    def __init__(self, uri: str, capture: Any, clock: Clock, patience_s: float) -> None:
        self._uri = uri
        self._capture = capture
        self._clock = clock
        self._patience_s = patience_s
        self._decoded = 0

    def next(self) -> Packet | None:
        start_ns = self._clock.monotonic_ns()
        if not self._capture.grab():
            raise DeviceError(f"{self._uri}: {self._why_ended((self._clock.monotonic_ns() - start_ns) / NS_PER_S)}")
        # between grab and retrieve: decoding takes time of its own
        time_ns = self._clock.monotonic_ns()
        read, bgr = self._capture.retrieve()
        self._decoded += read
        # a frame that cannot be decoded is left out: the next key frame repairs the picture
        return Packet(bgr, time_ns) if read else None

    def _why_ended(self, waited_s: float) -> str:
        if waited_s >= self._patience_s:
            return f"no frame within {waited_s:.0f} s; the connection was closed"
        if not self._decoded:
            return (
                f"no frame can be decoded: the stream is {codec_of(self._capture)}, which OpenCV's FFmpeg may not be "
                "able to decode; set the camera to H.264 or motion JPEG"
            )
        return f"the stream ended, or its {codec_of(self._capture)} data is damaged: FFmpeg reads no further"

    def decode(self, data: Any) -> NDArray[np.uint8]:
        import cv2

        rgb: NDArray[np.uint8] = cv2.cvtColor(data, cv2.COLOR_BGR2RGB)
        return rgb

    def interrupt(self) -> None:
        """FFmpeg's wait cannot be ended early; it lasts a second longer than `patience_s` at most."""

    def close(self) -> None:
        self._capture.release()


def codec_of(capture: Any) -> str:
    """Return the codec that an OpenCV capture names, such as h264 or av01; "of an unknown codec" where it does not."""
    import cv2

    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=False)
    name = code.decode("ascii", "replace").strip("\0 ").lower()
    return name if name.isalnum() else "of an unknown codec"


def why_not(address: str, timeout_s: float, kind: str = "video") -> str:
    """Say why FFmpeg could not open `address`, by asking for it once more; `kind`: the content type by HTTP."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or mjpeg.PORTS[parts.scheme.lower()]
    try:
        # step by step, so that the message names the first thing that does not work
        socket.create_connection((host, port), timeout_s).close()
    except (OSError, UnicodeError) as error:
        return mjpeg.no_connection(address, timeout_s, error)
    if parts.scheme.lower().startswith("http"):
        return f"this address gives {kind}, which FFmpeg cannot read as video"
    if parts.scheme.lower() == "rtsps":
        return f"{host} answers, but gives no video that FFmpeg can read; check path, user and password"
    return _rtsp_answer(address, host, port, timeout_s)


def _rtsp_answer(address: str, host: str, port: int, timeout_s: float) -> str:
    # without the password, which FFmpeg may send as a digest only
    lines = [f"DESCRIBE {mjpeg.without_credentials(address)} RTSP/1.0", "CSeq: 1", "Accept: application/sdp"]
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            # bounded: whatever answers at this port may send anything
            answer = connection.makefile("rb").readline(200).decode("ascii", "replace").split(None, 2)
    except OSError as error:
        return f"{host} takes the connection, but does not answer: {error}; is that the camera's RTSP port?"
    status, reason = (answer[1], answer[2].strip()) if len(answer) == 3 and answer[0].startswith("RTSP/") else ("", "")
    if not status:
        return f"{host} answers at port {port}, but not in RTSP; check the port"
    if status == "200":
        return f"{host} offers a stream that FFmpeg cannot read; try another of the camera's streams, or transport=udp"
    hint = mjpeg.way_out(int(status)) if status.isdecimal() else "check the path"
    return f"the camera answers {printable(status)} {printable(without_password(reason))}; {hint}"


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
    """Make the camera of `rtsp://...#timeout=3s,transport=tcp|udp` or `http://...#timeout=3s,fps=1,verify=no`.

    Raises InputError.
    """
    address, _, text = split_options(uri)
    readers: dict[str, Reader] = {"timeout": _read_timeout, "transport": _read_transport}
    if uri.lower().startswith("http"):
        readers |= {"fps": read_fps, "verify": read_flag}
    try:
        # raises for a port that is no number
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
