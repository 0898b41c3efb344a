"""A camera on the network that behaves: motion JPEG by HTTP, on the loopback."""

import base64
import threading
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

    What begins with /secret is for the user "me" with the password "s3cret" alone: /secret/stream, /secret/page.
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
        if self.path.startswith("/secret"):
            right = "Basic " + base64.b64encode(b"me:s3cret").decode()
            if self.headers.get("Authorization") != right:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
            self.path = self.path.removeprefix("/secret")
        if self.path.startswith("/elsewhere"):
            self.send_response(302)
            self.send_header("Location", "/seen")
            self.end_headers()
            return
        if self.path.startswith("/seen"):
            self.send_error(404 if self.headers.get("Authorization") is None else 500)
            return
        if self.path.startswith("/page"):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>no camera</html>")
            return
        if not self.path.startswith("/stream"):
            self.send_error(404)
            return
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

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving() -> Iterator[MjpegServer]:
    server = MjpegServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
