"""Blocking work off the event loop."""

from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

_limiter = anyio.CapacityLimiter(8)
"""Few threads: the live loop shares the processor with them."""


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work`, which may block, in a thread; wait for a free one first."""
    return await anyio.to_thread.run_sync(work, limiter=_limiter)
