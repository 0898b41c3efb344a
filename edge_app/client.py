"""A client of a running device's API, for the commands `status` and `watch`, and for those with `--live`."""

import http.client
import json
import os
import secrets
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_app.errors import DeviceError, EdgeAppError, InputError
from edge_app.files import read_text

URL = "http://127.0.0.1:8765"
ROOT = "/api/v1"
# longer than the device waits for a command to be carried out (control.WAIT_S)
TIMEOUT_S = 40.0
SILENT_S = 30.0
"""A stream that sends nothing for three heartbeats is lost."""


class DeviceUnreachable(DeviceError):
    """The service does not answer at this address."""


class RequestRejected(EdgeAppError, RuntimeError):
    """The service rejected the request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.exit_status = 2 if status in (404, 409, 422) else 7 if status == 507 else 1


class DeviceClient:
    """A device at an address. Every call opens its own connection."""

    def __init__(
        self, url: str = URL, token: str | None = None, certificate: Path | None = None, place: str | None = None
    ) -> None:
        """`certificate`: file with the authority that signed the device's certificate, if the system does not trust it.

        `place`: one of several places, None: the first.

        Raises InputError for an invalid address.
        """
        parts = urllib.parse.urlsplit(url)
        try:
            # urlsplit checks the port only here
            port = parts.port
        except ValueError as error:
            raise InputError(f"--url {url}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"--url {url}: expected http://HOST:PORT or https://HOST:PORT")
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname, port
        self._prefix = parts.path.rstrip("/") + ROOT
        if place is not None:
            self._prefix += f"/places/{urllib.parse.quote(place, safe='')}"
        self._token = token
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=None if certificate is None else str(certificate))
            except OSError as error:
                raise InputError(f"{certificate}: not a certificate: {error.strerror or error}") from error

    def get(self, path: str) -> Any:
        """Return the resource at a path below the API's root. Raises DeviceUnreachable, RequestRejected."""
        return self._ask("GET", path, None, {})

    def change(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post a change; repeat it once if no answer came, which its idempotency key makes harmless.

        Raises DeviceUnreachable, RequestRejected.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        try:
            return self._ask("POST", path, body, headers)
        except DeviceUnreachable as error:
            # nothing was sent: no use to try again at once
            if isinstance(error.__cause__, ConnectionRefusedError):
                raise
            return self._ask("POST", path, body, headers)

    def send(self, path: str, data: bytes, query: Mapping[str, str] | None = None) -> Any:
        """Post a file's content and return the answer. Raises DeviceUnreachable, RequestRejected."""
        if query:
            path = f"{path}?{urllib.parse.urlencode(query)}"
        return self._ask("POST", path, data, {"Content-Type": "application/octet-stream"})

    def drop(self, path: str) -> None:
        """Delete a resource that is not needed any more, if the device can be reached and still has it."""
        with suppress(DeviceUnreachable, RequestRejected):
            self._ask("DELETE", path, None, {})

    def events(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, value) of each event until the connection ends. Raises DeviceUnreachable, RequestRejected."""
        connection = self._connect(SILENT_S)
        try:
            answer = self._send(connection, "GET", "/events", None, {"Accept": "text/event-stream"})
            if answer.status != 200:
                raise _refusal(answer.status, answer.read())
            name = "message"
            # bounded: a line of another server may have no end
            while line := answer.readline(1 << 20):
                # a line that begins with ":" is a heartbeat, and matches no field
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
        except DeviceUnreachable:
            raise
        except OSError as error:
            raise DeviceUnreachable(f"{self.url}: the connection was lost: {error}") from error
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | bytes | None, headers: Mapping[str, str]) -> Any:
        connection = self._connect(TIMEOUT_S)
        try:
            answer = self._send(connection, method, path, body, headers)
            data = answer.read()
        except DeviceUnreachable:  # an OSError too, which says all there is to say
            raise
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        # /health answers 503 with the reasons, which are the answer
        if answer.status >= 400 and not (answer.status == 503 and path == "/health"):
            raise _refusal(answer.status, data)
        try:
            return json.loads(data) if data else None
        except ValueError as error:
            raise RequestRejected(answer.status, f"{self.url} is not an edge-app: its answer is not JSON") from error

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        # without a token a change needs this header, which no other site's page can send
        sent = {"X-Edge-App": "1", **headers}
        if self._token is not None:
            sent["Authorization"] = f"Bearer {self._token}"
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        try:
            connection.request(method, self._prefix + path, data, sent)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> DeviceUnreachable:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return DeviceUnreachable(
            f"no answer at {self.url}: {why}. Does edge-app run there, with enabled = true in [web]? --url gives "
            "another address"
        )


def read_token(file: Path | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the token in a file, else $EDGE_APP_TOKEN; None if neither is given. Raises InputError."""
    if file is None:
        return environ.get("EDGE_APP_TOKEN") or None
    try:
        text = read_text(file).strip()
    except (OSError, ValueError) as error:
        raise InputError(f"--token-file {file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    # it goes into a header: a line end would begin another one
    if not text or not text.isascii() or any(character.isspace() for character in text):
        raise InputError(f"--token-file {file}: expected one token and nothing else")
    return text


def class_path(label: str, rest: str = "") -> str:
    """Return the API's path of a class."""
    return f"/classes/{urllib.parse.quote(label, safe='')}{rest}"


def _refusal(status: int, data: bytes) -> RequestRejected:
    try:
        message = str(json.loads(data)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the service answered with status {status}"
    if status == 401:
        message += ": give --token-file FILE, or $EDGE_APP_TOKEN"
    return RequestRejected(status, message)
