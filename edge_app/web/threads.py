"""Blocking work off the event loop, in few threads: the live loop shares the processor with them."""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio
from anyio.lowlevel import RunVar

T = TypeVar("T")

# half: one client's slow requests do not keep others waiting
THREADS, THREADS_PER_CLIENT = 8, 4


class _Threads:
    """Bounds the work of one event loop; after a restart in this process there is another loop."""

    def __init__(self) -> None:
        self.all = anyio.CapacityLimiter(THREADS)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, client: str) -> asyncio.Semaphore:
        # weakly held: it goes with the client's last piece of work
        return self._shares.setdefault(client, asyncio.Semaphore(THREADS_PER_CLIENT))


_threads: RunVar[_Threads] = RunVar("edge_app.web.threads")


async def in_thread(work: Callable[[], T], client: str | None = None) -> T:
    """Run `work`, which may block, in a thread; wait for a free one first.

    Work for one `client` (its key) uses at most THREADS_PER_CLIENT at a time, so that it does not keep others waiting.
    """
    try:
        threads = _threads.get()
    except LookupError:
        threads = _Threads()
        _threads.set(threads)
    if client is None:
        return await anyio.to_thread.run_sync(work, limiter=threads.all)
    async with threads.of(client):
        return await anyio.to_thread.run_sync(work, limiter=threads.all)
