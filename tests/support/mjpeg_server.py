"""A camera on the network that behaves: motion JPEG by HTTP, on the loopback."""

import base64
import hashlib
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

FPS = 25


def jpeg(index: int) -> bytes:
    """A picture, 64x48, red above blue, with a grey block that grows lighter."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :, 0] = 250
    image[24:, :, 2] = 250
    image[16:32, 16:48] = 40 + 8 * (index % 25)
    return cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes()


class MjpegServer(ThreadingHTTPServer):
    """Serves /stream as motion JPEG, /page as a web page; `stall` and `hang_up` are its faults.

    /shot.jpg is a single picture, /untyped.jpg one without a content type. Paths below /secret (Basic) and /digest
    need the user "me", password "s3cret".
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stop = threading.Event()
        self.stall = threading.Event()
        self.hang_up = threading.Event()
        self.garbage = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: MjpegServer

    def do_GET(self) -> None:
        if not self.is_allowed():
            return
        page = self.path[1:].partition("?")[0].partition("/")[0]
        answers = {"elsewhere": self.redirect, "seen": self.tell_authorisation, "page": self.send_page}
        answers |= {"shot.jpg": self.send_picture, "untyped.jpg": self.send_picture, "stream": self.send_stream}
        answers.get(page, lambda: self.send_error(404))()

    def is_allowed(self) -> bool:
        """Check the password where the path asks for one, and remove that part of the path."""
        for lead, right, asked in (
            ("/secret", self.basic_is_right, 'Basic realm="camera"'),
            ("/digest", self.digest_is_right, 'Digest realm="camera", nonce="17", qop="auth", algorithm=MD5'),
        ):
            if self.path.startswith(lead):
                if not right():
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", asked)
                    self.end_headers()
                    return False
                self.path = self.path.removeprefix(lead)
        return True

    def redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/seen")
        self.end_headers()

    def tell_authorisation(self) -> None:
        self.send_error(404 if self.headers.get("Authorization") is None else 500)

    def send_page(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>no camera</html>")

    def send_picture(self) -> None:
        if self.server.hang_up.is_set():
            self.send_error(503)
            return
        data = jpeg(0)
        self.send_response(200)
        if "untyped" not in self.path:
            self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        index = 0
        while not self.server.stop.wait(1 / FPS) and not self.server.hang_up.is_set():
            if self.server.stall.is_set():
                continue
            data = b"\xff\xd8 no picture" * 40 if self.server.garbage.is_set() else jpeg(index)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            index += 1

    def basic_is_right(self) -> bool:
        return self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:s3cret").decode()

    def digest_is_right(self) -> bool:
        """Whether the request proves the password (RFC 7616, qop=auth)."""
        kind, _, fields = self.headers.get("Authorization", "").partition(" ")
        if kind != "Digest":
            return False
        given = urllib.request.parse_keqv_list(urllib.request.parse_http_list(fields))
        secret = hashlib.md5(b"me:camera:s3cret").hexdigest()
        request = hashlib.md5(f"GET:{given['uri']}".encode()).hexdigest()
        proof = ":".join([secret, given["nonce"], given["nc"], given["cnonce"], given["qop"], request])
        return hashlib.md5(proof.encode()).hexdigest() == given["response"]

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[MjpegServer]:
    server = MjpegServer()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
