"""The live picture for any number of viewers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

from edge_app.control import Control, FrameGone, JpegFrame
from edge_app.control.pictures import SIDES
from edge_app.web.responses import ApiError
from edge_app.web.threads import in_thread


class PictureFeed:
    """Pictures of one size, each encoded once for all viewers, and only while there is one."""

    def __init__(self, control: Control, side: int) -> None:
        """`side` is the longer side, in pixels."""
        self._control = control
        self._side = side
        self._viewers: set[asyncio.Event] = set()
        self._newest: JpegFrame | None = None
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Encode no more pictures."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def pictures(self) -> AsyncIterator[JpegFrame]:
        """Yield the newest picture, again and again; those that come meanwhile are skipped.

        Raises what kept one from being encoded.
        """
        came = asyncio.Event()
        self._viewers.add(came)
        if self._task is None or self._task.done():
            # encoded before the last viewer left: too old to begin with
            self._newest = None
            self._task = asyncio.create_task(self._make())
        elif self._newest is not None:
            came.set()
        try:
            while True:
                await came.wait()
                came.clear()
                if self._task.done():
                    self._task.result()  # a viewer that waited on would see nothing, and not know why
                    return
                if self._newest is not None:
                    yield self._newest
        finally:
            self._viewers.discard(came)

    async def _make(self) -> None:
        last = -1
        try:
            while self._viewers:
                picture = await in_thread(partial(self._next, last))
                if picture is not None and picture.sequence != last:
                    last = picture.sequence
                    self._newest = picture
                    self._wake()
                await asyncio.sleep(self._control.picture_period_s)
        finally:
            self._wake()

    def _wake(self) -> None:
        for came in self._viewers:
            came.set()

    def _next(self, last: int) -> JpegFrame | None:
        # bounded, so that the thread is free soon after the last viewer has gone
        if not self._control.await_picture(last, 0.5):
            return None
        try:
            return self._control.picture(self._side)
        except FrameGone:
            return None


def read_side(text: str | None) -> int:
    """Return the picture size for the parameter `max_side`. Raises ApiError."""
    if text is None:
        return SIDES[1]
    if not (text.isdecimal() and text.isascii() and len(text) <= 4 and int(text) >= 16):
        raise ApiError(422, "invalid", "max_side: expected an integer from 16 to 9999", field="max_side")
    return max((side for side in SIDES if side <= int(text)), default=SIDES[0])
