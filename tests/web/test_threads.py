"""Blocking work: one client does not take all threads."""

import asyncio
import threading

from edge_app.web.threads import THREADS_PER_CLIENT, in_thread


def test_one_client_leaves_threads_for_others() -> None:
    running, release = threading.Semaphore(0), threading.Event()

    def slow() -> None:
        running.release()
        assert release.wait(30)

    async def ask() -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        greedy = [loop.create_task(in_thread(slow, "10.0.0.1")) for _ in range(20)]
        for _ in range(THREADS_PER_CLIENT):
            await loop.run_in_executor(None, running.acquire)
        other = await asyncio.wait_for(in_thread(lambda: "done", "10.0.0.2"), 30)
        own = await asyncio.wait_for(in_thread(lambda: "done"), 30)
        more = sum(running.acquire(blocking=False) for _ in range(20))
        release.set()
        await asyncio.gather(*greedy)
        return more, other + own

    assert asyncio.run(ask()) == (0, "donedone")
