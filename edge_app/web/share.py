"""Work for clients that would slow the live loop: few at a time, and for a share of the time only."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

from edge_app.web.responses import ApiError
from edge_app.web.threads import in_thread

T = TypeVar("T")


class Slots:
    """A number of slots for requests, of which one client has one at a time; the others wait their turn."""

    def __init__(self, slots: int, waiting: int) -> None:
        """`waiting` requests may wait for a slot."""
        self._most = slots + waiting
        self._slots = asyncio.Semaphore(slots)
        self._clients: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._inside = 0

    @asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Hold a slot for a client (its key). Raises ApiError if too many wait."""
        if self._inside >= self._most:
            raise ApiError(503, "busy", "too many pictures are being sent; try again", headers={"Retry-After": "2"})
        self._inside += 1
        try:
            # weakly held: a client's semaphore goes with its last request
            own = self._clients.setdefault(client, asyncio.Semaphore(1))
            # the client's own first: its second request must not take a slot while it waits
            async with own, self._slots:
                yield
        finally:
            self._inside -= 1


class Share:
    """Runs blocking work in a thread, one piece at a time; rests after each so that it takes a share of the time.

    The time of a piece is that of the clock, not of the processor: where the processor is busy a piece takes longer,
    and so does the rest after it. By processor time, 15 % of a core took a quarter of the loop's rate on a machine with
    a load of 17: the loop waits for the encoder while a piece that has it waits for a core.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`share` is above 0 and at most 1; `clock` returns seconds."""
        self._rest = 1 / share - 1
        self._clock = clock
        self._sleep = sleep
        self._free_s = clock()
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[], T], client: str) -> T:
        """Return the result of `work` for a client (its key), after the rest of the piece before."""
        async with self._turn:
            wait_s = self._free_s - self._clock()
            if wait_s > 0:
                await self._sleep(wait_s)
            began_s = self._clock()
            try:
                return await in_thread(work, client)
            finally:
                now_s = self._clock()
                self._free_s = now_s + (now_s - began_s) * self._rest
