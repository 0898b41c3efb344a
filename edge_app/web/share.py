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


class Places:
    """A number of places for requests, of which one client has one at a time; the others wait their turn."""

    def __init__(self, places: int, waiting: int) -> None:
        """`waiting` requests may wait for a place."""
        self._most = places + waiting
        self._places = asyncio.Semaphore(places)
        self._clients: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._inside = 0

    @asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Hold a place for a client (its key). Raises ApiError if too many wait."""
        if self._inside >= self._most:
            raise ApiError(503, "busy", "too many pictures are being sent; try again", headers={"Retry-After": "2"})
        self._inside += 1
        try:
            # weakly held: a client's semaphore goes with its last request
            own = self._clients.setdefault(client, asyncio.Semaphore(1))
            # the client's own first: its second request must not take a place while it waits
            async with own, self._places:
                yield
        finally:
            self._inside -= 1


class Share:
    """Runs blocking work in a thread, one piece at a time; rests after each so that it takes a share of one core.

    The processor time of a piece is counted, not that of the clock: on a busy device a piece takes longer, but costs
    the live loop no more.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        processor: Callable[[], float] = time.thread_time,
    ) -> None:
        """`share` is above 0 and at most 1; `clock` returns seconds, `processor` those that the thread has taken."""
        self._rest = 1 / share - 1
        self._clock = clock
        self._sleep = sleep
        self._processor = processor
        self._free_s = clock()
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[], T], client: str) -> T:
        """Return the result of `work` for a client (its key), after the rest of the piece before."""
        async with self._turn:
            wait_s = self._free_s - self._clock()
            if wait_s > 0:
                await self._sleep(wait_s)
            return await in_thread(lambda: self._timed(work), client)

    def _timed(self, work: Callable[[], T]) -> T:
        began_s = self._processor()
        try:
            return work()
        finally:
            self._free_s = self._clock() + (self._processor() - began_s) * self._rest
