"""Blocking work: one client does not take all threads."""

import asyncio
import threading

from edge_app.web.threads import THREADS, THREADS_PER_CLIENT, in_thread


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


def test_what_an_earlier_event_loop_left_running_takes_no_threads_from_the_next() -> None:
    """A restart in this process: its server may leave work that does not end."""
    release = threading.Event()

    async def leave() -> None:
        for _ in range(THREADS):
            asyncio.get_running_loop().create_task(in_thread(lambda: release.wait(30)))
        while running() < THREADS:
            await asyncio.sleep(0.01)

    def running() -> int:
        return sum(one.name.startswith("AnyIO worker") for one in threading.enumerate())

    before = asyncio.new_event_loop()
    before.run_until_complete(leave())  # and it is not closed in order
    try:
        assert asyncio.run(asyncio.wait_for(in_thread(lambda: "done"), 30)) == "done"
    finally:
        release.set()
        before.run_until_complete(asyncio.gather(*asyncio.all_tasks(before)))
        before.close()
