"""Blocking work off the event loop, in few threads: the live loop shares the processor with them."""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio

T = TypeVar("T")

# half: one client's slow requests do not keep others waiting
THREADS, THREADS_PER_CLIENT = 8, 4

_limiter = anyio.CapacityLimiter(THREADS)
_shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
"""Of each client that has work now."""


async def in_thread(work: Callable[[], T], client: str | None = None) -> T:
    """Run `work`, which may block, in a thread; wait for a free one first.

    Work for one `client` (its key) uses at most THREADS_PER_CLIENT at a time, so that it does not keep others waiting.
    """
    if client is None:
        return await anyio.to_thread.run_sync(work, limiter=_limiter)
    # weakly held: it goes with the client's last piece of work
    share = _shares.setdefault(client, asyncio.Semaphore(THREADS_PER_CLIENT))
    async with share:
        return await anyio.to_thread.run_sync(work, limiter=_limiter)
