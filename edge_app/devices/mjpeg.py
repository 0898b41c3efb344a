"""Pictures over HTTP: motion JPEG, and single pictures that are requested again and again.

Cameras are careless with multipart/x-mixed-replace: the first boundary is missing, the boundary is declared with its
dashes, Content-Length is absent or wrong, parts carry text. `PartReader` takes all of that as browsers do.
"""

import http.client
import io
import math
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from edge_app.datasets.pictures import START_BYTES, decode_image, picture_format
from edge_app.devices.live import Packet
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.devices.uri import without_password
from edge_app.errors import DeviceError
from edge_app.text import printable

MAX_PICTURE = 32 << 20
"""Bytes of one picture; a camera of 50 megapixels stays below."""
FAST_PIXELS = 16_000_000
"""A JPEG with more pixels is decoded by `decode_image`, at a fraction of its size."""
MAX_BETWEEN = 1 << 20
"""Bytes without a picture that are skipped before the stream is given up."""
BLOCK = 1 << 16
UNTYPED = "data without a content type"
PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
PNG_START = b"\x89PNG\r\n\x1a\n"


class Response(NamedTuple):
    """An answer whose headers have been read."""

    kind: str
    """Content type without parameters, in lower case; UNTYPED where the camera gives none."""
    boundary: bytes
    """The boundary parameter of a multipart type; empty where there is none."""
    body: http.client.HTTPResponse
    connection: socket.socket

    def starts_picture(self, wait_s: float) -> bool:
        """Wait for the body's first bytes; return whether they are those of a picture. They stay in `body`."""
        try:
            self.connection.settimeout(wait_s)
            return picture_format(self.body.peek(START_BYTES)[:START_BYTES]) is not None
        except (OSError, http.client.HTTPException, ValueError):
            return False


class HttpError(DeviceError):
    """The camera answered a request with an error, or did not answer in HTTP."""


def request(address: str, timeout_s: float, within_s: float, *, verify: bool = True) -> Response:
    """Request `address` and return the answer once its headers are there; the caller closes `body`.

    The camera may be silent for `timeout_s`, and everything, with redirections, may take `within_s`. User and password
    in the address are sent by Basic or Digest authentication, whichever the camera asks for, and only to the host that
    the address names. `verify`: check the certificate of an https address. Raises HttpError.
    """
    plain = without_credentials(address)
    credentials = urlsplit(address).netloc.rpartition("@")[0]
    opener = _Opener(plain, credentials, verify)
    try:
        body = opener.open(plain, timeout_s, within_s)
    except urllib.error.HTTPError as error:
        # an HTTPError holds the connection open
        error.close()
        reason = printable(" ".join(without_password(str(error.reason)).split()))
        raise HttpError(f"the camera answers {error.code} {reason}; {way_out(error.code)}") from None
    except urllib.error.URLError as error:
        raise HttpError(_unreachable(plain, timeout_s, error.reason)) from None
    except TimeoutError as error:
        host = urlsplit(plain).hostname
        raise HttpError(f"{host} takes the connection, but {error}; is that the port of the camera's pages?") from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: an unknown way to authenticate
        reason = printable(without_password(str(error)).strip())
        raise HttpError(f"the camera answers, but not as a web server: {reason}") from None
    boundary = body.headers.get_param("boundary") or ""
    return Response(
        body.headers.get_content_type() if "Content-Type" in body.headers else UNTYPED,
        str(boundary).encode("latin-1", "ignore"),
        body,
        opener.connection,
    )


def way_out(status: int) -> str:
    """Return what to do about a status of HTTP or RTSP that is an error."""
    if status in (401, 403):
        return "check user and password"
    # 453: RTSP's Not Enough Bandwidth
    if status in (429, 453) or status >= 500:
        return "it is busy or at fault: close its other viewers, or restart it"
    return "check the path"


def without_credentials(address: str) -> str:
    """Return `address` as it stands in a request: without user and password, spaces and umlauts quoted."""
    parts = urlsplit(address)
    # "%" is safe: what is quoted already must not be quoted twice
    path, query = (quote(part, safe="/%:=&?~+!$,;'@()*[]") for part in (parts.path, parts.query))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, query=query, fragment="").geturl()


def _unreachable(address: str, timeout_s: float, reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the camera's certificate cannot be verified ({reason.verify_message}); "
            "if it is the camera's own, append #verify=no to the address"
        )
    if isinstance(reason, ssl.SSLError):
        return f"the camera does not speak TLS at this port ({reason.reason}); try http:// or another port"
    if isinstance(reason, OSError):
        return no_connection(address, timeout_s, reason)
    return f"the camera cannot be asked: {reason}"


def no_connection(address: str, timeout_s: float, error: Exception) -> str:
    """Say why there is no connection to the host and port of `address`."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme.lower()]
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"no host is called {host!r}; check the address and the network"
    if isinstance(error, TimeoutError):
        return f"{host} does not answer at port {port} within {timeout_s:g} s; is the camera on?"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"no connection to {host} at port {port}: {reason}; is the camera on, and the port right?"


class _Opener:
    """urllib with authentication, and with the connection at hand: a blocked read is ended by shutting it down."""

    def __init__(self, address: str, credentials: str, verify: bool) -> None:
        user, _, password = credentials.partition(":")
        handlers: list[urllib.request.BaseHandler] = [_PlainHandler(self), _TlsHandler(self, verify)]
        if credentials:
            passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            # None: for any realm, and for this address only, not for one that it redirects to
            passwords.add_password(None, address, unquote(user), unquote(password))
            handlers += [
                urllib.request.HTTPBasicAuthHandler(passwords),
                urllib.request.HTTPDigestAuthHandler(passwords),
            ]
        self._opener = urllib.request.build_opener(*handlers)
        self._answers: list[tuple[http.client.HTTPResponse, socket.socket]] = []
        self._opened: list[socket.socket] = []
        self._end_s = math.inf

    @property
    def connection(self) -> socket.socket:
        """The connection of the last answer."""
        return self._answers[-1][1]

    def open(self, address: str, timeout_s: float, within_s: float) -> http.client.HTTPResponse:
        """Return the answer; raises TimeoutError, and what urllib raises."""
        last = None
        self._end_s = time.monotonic() + within_s
        # a socket's timeout begins anew with each byte: a head that comes byte by byte would never end
        timer = threading.Timer(within_s, self._interrupt)
        timer.daemon = True
        timer.start()
        try:
            last = self._opener.open(address, timeout=timeout_s)
        except TimeoutError:
            raise TimeoutError(f"says nothing for {timeout_s:g} s") from None
        finally:
            timer.cancel()
            late = time.monotonic() >= self._end_s
            for other, _ in self._answers:  # urllib leaves open what asked for a password or sent us elsewhere
                if other is not last or late:
                    other.close()
            # whatever a connection gave that was cut off
            if late:
                raise TimeoutError(f"does not answer completely within {within_s:g} s")
        answer: http.client.HTTPResponse = last
        return answer

    def bounded_s(self, timeout_s: float | None) -> float:
        """Return a timeout, no longer than what is left for the answer. Raises TimeoutError."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return min(timeout_s or left_s, left_s)

    def connected(self, connection: socket.socket) -> None:
        """Note a connection, which is shut down at the end of the time."""
        self._opened.append(connection)

    def keep(self, answer: http.client.HTTPResponse) -> http.client.HTTPResponse:
        """Note the answer of the newest connection."""
        self._answers.append((answer, self._opened[-1]))
        return answer

    def _interrupt(self) -> None:
        for connection in self._opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _PlainHandler(urllib.request.HTTPHandler):
    def __init__(self, opener: _Opener) -> None:
        super().__init__()
        self._for = opener

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        opener = self._for

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                self.timeout = opener.bounded_s(self.timeout)
                super().connect()
                # urllib does not give out the socket, and takes it from the connection once the headers are read
                opener.connected(self.sock)

        return opener.keep(self.do_open(Connection, req))


class _TlsHandler(urllib.request.HTTPSHandler):
    def __init__(self, opener: _Opener, verify: bool) -> None:
        context = ssl.create_default_context()
        if not verify:
            # first: the ssl module rejects CERT_NONE while host names are checked
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        super().__init__(context=context)
        self._tls = context
        self._for = opener

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        opener = self._for

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                self.timeout = opener.bounded_s(self.timeout)
                super().connect()
                opener.connected(self.sock)

        return opener.keep(self.do_open(Connection, req, context=self._tls))


class PartReader:
    """Takes pictures out of a multipart body. `read` returns what has come, b"" at the end of the stream."""

    def __init__(self, read: Callable[[], bytes], boundary: bytes) -> None:
        self._read = read
        self._buffer = bytearray()
        # some cameras declare the dashes as part of the boundary, some declare none: the name decides
        self._boundary = boundary.strip(b'-"')
        # without a name only a picture's end tells a boundary from two dashes inside a picture
        lead = rb"\r?\n-{2,}" if self._boundary else rb"(?<=\xff\xd9)\r?\n?-{2,}"
        self._delimiter = re.compile(lead + re.escape(self._boundary))

    def next(self) -> bytes:
        """Return the next picture, JPEG or PNG as the camera sent it. Raises EOFError, DeviceError."""
        skipped = 0
        while True:
            length, noise = self._read_head()
            part = self._read_part(length)
            if part.startswith((JPEG_START, PNG_START)):
                return part
            skipped += noise + len(part)
            # some cameras send texts between pictures; a stream of texts alone is no camera
            if skipped > MAX_BETWEEN:
                raise DeviceError(f"the stream carries no pictures: {skipped} bytes without a JPEG")

    def _read_head(self) -> tuple[int | None, int]:
        """Skip to the next part's content; return its Content-Length (None: not said), and the bytes skipped."""
        length, in_head, noise = None, False, 0
        while True:
            if not in_head and self._starts_picture():
                return None, noise  # a part without headers
            line = self._read_line()
            noise += len(line)
            if noise > MAX_BETWEEN:
                raise DeviceError(f"the stream carries no pictures: {noise} bytes without the start of a part")
            text = line.strip()
            if not text:
                if in_head:
                    return length, noise
            elif text.startswith(b"--") or (self._boundary and text.strip(b"-") == self._boundary):
                # a boundary within a head: the part before had no content
                length, in_head = None, False
            elif b":" in text:
                in_head = True
                name, _, value = text.partition(b":")
                if name.strip().lower() == b"content-length" and value.strip().isdigit():
                    # an absurd length is reported as too long, not waited for
                    length = min(int(value), MAX_PICTURE + 1)

    def _starts_picture(self) -> bool:
        while len(self._buffer) < 2:
            self._fill()
        return self._buffer.startswith(JPEG_START)

    def _read_line(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            # no line's end: not a head
            if len(self._buffer) > BLOCK:
                return self._take(len(self._buffer))
            searched = len(self._buffer)
            self._fill()
        return self._take(end + 1)

    def _read_part(self, length: int | None) -> bytes:
        if length is not None:
            self._check_size(length)
            while len(self._buffer) < length:
                self._fill()
            # a wrong length must not swallow the next part
            if (end := self._delimiter.search(self._buffer, 0, length)) is not None:
                return self._take(end.start())  # more was declared than sent
            # a JPEG that does not end where its length says goes on: fewer bytes were declared than sent
            if not self._buffer.startswith(JPEG_START) or self._ends_picture(length):
                return self._take(length)
        searched = 0
        while (end := self._delimiter.search(self._buffer, searched)) is None:
            self._check_size(len(self._buffer))
            # the boundary may be split between two reads
            searched = max(0, len(self._buffer) - len(self._boundary) - 16)
            self._fill()
        return self._take(end.start())

    def _ends_picture(self, length: int) -> bool:
        """Whether a JPEG ends within the declared length; cameras pad it with zeros or a line's end."""
        return bytes(self._buffer[max(0, length - 64) : length]).rstrip(b"\0\r\n ").endswith(JPEG_END)

    def _check_size(self, length: int) -> None:
        if length > MAX_PICTURE:
            raise DeviceError(f"the camera sends a part of {length} bytes or more, expected at most {MAX_PICTURE}")

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def _fill(self) -> None:
        data = self._read()
        if not data:
            raise EOFError
        self._buffer += data


class MultipartSource:
    """A motion JPEG stream."""

    def __init__(self, uri: str, response: Response, clock: Clock) -> None:
        self._uri = uri
        self._response = response
        self._clock = clock
        self._parts = PartReader(lambda: response.body.read1(BLOCK), response.boundary)
        # from here on the reader of frames decides how long the camera may be silent; `interrupt` ends the wait
        response.connection.settimeout(None)

    def next(self) -> Packet | None:
        try:
            part = self._parts.next()
        except EOFError:
            raise DeviceError(f"{self._uri}: the stream ended: the camera closed the connection") from None
        except DeviceError as error:
            raise DeviceError(f"{self._uri}: {error}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeviceError(f"{self._uri}: the stream broke off: {error}") from error
        return Packet(part, self._clock.monotonic_ns())

    def decode(self, data: Any) -> NDArray[np.uint8]:
        return decode_picture(self._uri, data)

    def interrupt(self) -> None:
        with suppress(OSError):
            # shutdown wakes a thread that is blocked in a read; close does not
            self._response.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._response.body.close()


class StillSource:
    """A camera that answers with one picture: requested again every `period_s` seconds.

    A camera may answer with the same picture more than once; each answer is a frame.
    """

    def __init__(
        self,
        uri: str,
        response: Response,
        ask: Callable[[], Response],
        clock: Clock,
        period_s: float,
    ) -> None:
        self._uri = uri
        self._response: Response | None = response
        self._reading = response
        self._ask = ask
        self._clock = clock
        self._period_ns = round(period_s * NS_PER_S)
        self._due_ns = clock.monotonic_ns()
        self._stop = threading.Event()

    def next(self) -> Packet | None:
        wait_s = (self._due_ns - self._clock.monotonic_ns()) / NS_PER_S
        if wait_s > 0 and self._clock.wait(self._stop, min(wait_s, 1.0)):
            return None
        if self._clock.monotonic_ns() < self._due_ns:
            return None
        # a slow camera is not asked for the pictures that were missed
        self._due_ns = max(self._due_ns + self._period_ns, self._clock.monotonic_ns())
        # the first picture came with the answer that told the kind of camera
        response, self._response = self._response, None
        try:
            response = response or self._ask()
            # before the question whether to stop: `interrupt` does both in the other order
            self._reading = response
            with response.body as body:
                if self._stop.is_set():
                    return None
                # one byte more than allowed tells that there is more
                data = body.read(MAX_PICTURE + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeviceError(f"{self._uri}: no picture: {error}") from error
        if len(data) > MAX_PICTURE:
            raise DeviceError(f"{self._uri}: the camera sends a picture of more than {MAX_PICTURE} bytes")
        return Packet(data, self._clock.monotonic_ns())

    def decode(self, data: Any) -> NDArray[np.uint8]:
        return decode_picture(self._uri, data)

    def interrupt(self) -> None:
        self._stop.set()
        with suppress(OSError):
            # a picture that comes byte by byte would keep the thread
            self._reading.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._response is not None:
            self._response.body.close()


def decode_picture(uri: str, data: bytes) -> NDArray[np.uint8]:
    """Return a JPEG or PNG picture as (height, width, 3) uint8 RGB. Raises DeviceError, naming the camera."""
    import cv2

    try:
        # from the header alone: memory is not taken before the size is known
        if jpeg_pixels(data) > FAST_PIXELS:
            return decode_image(data)
        # OpenCV decodes a JPEG in a third of Pillow's time; a damaged PNG makes it take gigabytes
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except Exception as error:
        raise DeviceError(f"{uri}: a frame of {len(data)} bytes is not a picture: {error}") from error
    if bgr is None:
        raise DeviceError(f"{uri}: a frame of {len(data)} bytes is damaged and cannot be decoded")
    rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def jpeg_pixels(data: bytes) -> float:
    """Return the pixels that a JPEG's header declares; infinity for other formats. May raise anything if damaged."""
    from PIL import Image

    if not data.startswith(JPEG_START):
        return math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as head:
            return head.width * head.height
