"""Accepts connections. They are bounded, in all and per address, before the TLS handshake or the first byte is read."""

import asyncio
import logging
import resource
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address

from edge_app.web.limits import client_key, plain_address

HANDSHAKE_S = 10.0
"""Longest wait for the first byte of a connection, and longest time for a TLS handshake."""
TLS_CLOSE_S = 2.0
"""Longest wait for the client's part of closing TLS."""
RESERVED_DESCRIPTORS = 64
"""File descriptors that connections leave to the store, the camera and the broker."""
RETRY_S = 0.5
"""Pause after the system refused to accept: it is out of descriptors or memory."""
ACCEPTED_AT_ONCE = 32
# struct linger {on, 0 s}: close() discards unsent data and sends RST
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: reset the connection when it is closed."""


class ClientConnection:
    """One accepted connection, from before its handshake until it is lost."""

    def __init__(self, key: str, lost: "Callable[[ClientConnection], None]") -> None:
        """`key` stands for the client's address; `lost` is called once, when the connection has ended."""
        self.key = key
        self.busy = False
        """Whether a request or a WebSocket is in progress."""
        self.used = False
        """Whether a request was answered."""
        self.handshake: asyncio.Task[asyncio.Transport] | None = None
        self._transport: asyncio.Transport | None = None
        # set to None when it was called: drop() and the protocol may both report the end
        self._lost: Callable[[ClientConnection], None] | None = lost

    def connected(self, transport: asyncio.Transport) -> None:
        """Take the transport, after the handshake."""
        self._transport = transport
        if self._lost is None:  # dropped meanwhile
            transport.abort()

    def drop(self) -> None:
        """End the connection at once; what is sent but not yet delivered is dropped."""
        # without a reset, what is in the socket's buffer would still reach a client that was just signed out
        if self._transport is not None:
            with suppress(OSError):  # gone already
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()
        self.lost()

    def lost(self) -> None:
        """Record that the connection has ended."""
        if self._lost is not None:
            told, self._lost = self._lost, None
            told(self)


class ConnectionTable:
    """The open connections, shared fairly among addresses.

    An address that holds half of them, or any when all places are taken, gets a place by displacing an idle connection:
    its own, or one of the address that holds the most. Those that never sent a request go first, the oldest first.
    """

    def __init__(self, most: int, proxies: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        """`most` connections in all; addresses in `proxies` stand for many clients, and may hold all of them."""
        self.most = most
        # half: one address can never keep all others out
        self._share = max(1, most // 2)
        self._proxies = proxies
        # dicts as ordered sets: the oldest connection is the first
        self._held: dict[str, dict[ClientConnection, None]] = {}

    def __len__(self) -> int:
        """Return the number of connections."""
        return sum(map(len, self._held.values()))

    def connections(self) -> list[ClientConnection]:
        """Return the connections."""
        return [one for held in self._held.values() for one in held]

    def admit(self, address: str) -> ClientConnection | None:
        """Return a new connection from an address, None when it has to be closed."""
        key = client_key(address)
        mine = self._held.get(key, {})
        displaced: ClientConnection | None = None
        if len(mine) >= self._share and not self._is_proxy(address):
            displaced = _longest_idle(mine)
            if displaced is None:
                return None
        elif len(self) >= self.most:
            displaced = self._displaced_by(len(mine))
            if displaced is None:
                return None
        if displaced is not None:
            displaced.drop()
        connection = ClientConnection(key, self._forget)
        self._held.setdefault(key, {})[connection] = None
        return connection

    def _displaced_by(self, mine: int) -> ClientConnection | None:
        largest = max(self._held.values(), key=len)
        # + 1: two addresses must not take the same place from each other in turn
        if len(largest) > mine + 1:
            return _longest_idle(largest) or next(iter(largest))
        # many addresses hold few each: the longest idle of all makes room
        return _longest_idle(self.connections())

    def _forget(self, connection: ClientConnection) -> None:
        held = self._held[connection.key]
        del held[connection]
        if not held:
            del self._held[connection.key]

    def _is_proxy(self, address: str) -> bool:
        return any(ip_address(plain_address(address)) in network for network in self._proxies)


def _longest_idle(connections: Iterable[ClientConnection]) -> ClientConnection | None:
    idle = [one for one in connections if not one.busy]
    # a connection that has sent a request is more likely to belong to a page
    return next((one for one in idle if not one.used), idle[0] if idle else None)


class Listener:
    """Accepts connections on a bound socket, in the event loop that it is made in."""

    def __init__(
        self,
        bound: socket.socket,
        table: ConnectionTable,
        protocol: Callable[[ClientConnection], asyncio.Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        """`protocol` makes the protocol of a connection; `tls` None serves plain HTTP."""
        self._loop = asyncio.get_running_loop()
        self._socket = bound
        self._table = table
        self._protocol = protocol
        self._tls = tls
        self._highest = max(RESERVED_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_DESCRIPTORS)
        self._retry: asyncio.TimerHandle | None = None
        bound.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more connections, and end the handshakes; other connections go on."""
        self._loop.remove_reader(self._socket)
        for connection in self._table.connections():
            if connection.handshake is not None and not connection.handshake.done():
                connection.drop()
        if self._retry is not None:
            self._retry.cancel()

    def _listen(self) -> None:
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        # bounded, so that a flood of connections does not keep the loop from the open ones
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # the socket stays readable: without the pause the loop would spin
                logging.getLogger(__name__).warning("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(self._socket)
                self._retry = self._loop.call_later(RETRY_S, self._listen)
                return
            # the system gives out the lowest free number: a high one means that few are left
            connection = None if accepted.fileno() > self._highest else self._table.admit(address[0])
            if connection is None:
                # no 503: an answer would need a transport, and over TLS a handshake
                accepted.close()
                continue
            accepted.setblocking(False)
            connection.handshake = self._loop.create_task(self._connect(connection, accepted))
            connection.handshake.add_done_callback(partial(self._connected, connection, accepted))

    async def _connect(self, connection: ClientConnection, accepted: socket.socket) -> asyncio.Transport:
        # a silent client takes a descriptor, and no TLS buffers
        async with asyncio.timeout(HANDSHAKE_S):
            await self._readable(accepted)
        tls = self._tls
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: self._protocol(connection),
            accepted,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_S if tls else None,
            ssl_shutdown_timeout=TLS_CLOSE_S if tls else None,
        )
        return transport

    async def _readable(self, accepted: socket.socket) -> None:
        came = asyncio.Event()
        self._loop.add_reader(accepted, came.set)
        try:
            await came.wait()
        finally:
            self._loop.remove_reader(accepted)

    def _connected(
        self, connection: ClientConnection, accepted: socket.socket, handshake: "asyncio.Task[asyncio.Transport]"
    ) -> None:
        error = None if handshake.cancelled() else handshake.exception()
        if handshake.cancelled() or error is not None:
            # not logged: port scanners cause these all day
            if error is not None and not isinstance(error, OSError):  # OSError: no TLS, gone, or too slow
                logging.getLogger(__name__).error("a connection failed", exc_info=error)
            accepted.close()
            connection.lost()
        else:
            connection.connected(handshake.result())
