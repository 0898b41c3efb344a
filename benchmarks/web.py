"""The cost of page and API for the live loop, and their behaviour under load.

    python -m benchmarks.web --json benchmarks/results/web.json

Two measurements on the program as it is run (real encoder, real classifier, simulated camera faster than the encoder):

1. Blocks of decisions per second, in turns without and with pages open; a page is a WebSocket of pictures and an event
   stream, both read as they come. The cost is 1 - the median ratio of the rates of neighbouring blocks; it
   includes the work of the pages, which run on the same processors. The processor time per decision is given too, which
   depends less on other load.
2. Requests of mixed kinds at a fixed rate for a minute, some of which teach and undo: answers by status, latency.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.service_process import running

MIX = (
    ("GET", "/state", 30),
    ("GET", "/classes", 15),
    ("GET", "/examples?limit=20", 10),
    ("GET", "/picture.jpg", 15),
    ("GET", "/tray", 10),
    ("GET", "/health", 10),
    ("GET", "/examples/1/thumbnail.jpg", 5),
    ("POST", "/classes/a/teach", 2),
    ("POST", "/undo", 2),
    ("GET", "/config", 1),
)
"""Method, path and share in per cent."""


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures")
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of blocks without and with pages")
    parser.add_argument("--block", type=float, default=5.0, help="seconds a block")
    parser.add_argument("--rate", type=int, default=100, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of requests")
    parser.add_argument("--camera", default="sim:scene=shapes,fps=400", help="faster than the encoder")
    args = parser.parse_args()
    pids: list[int] = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), camera=args.camera, pids=pids) as url:
        teach(url)
        found = {
            "machine": {"processors": os.cpu_count(), "load_before": os.getloadavg()},
            "pages": asyncio.run(cost_of_pages(url, pids[0], args.pages, args.pairs, args.block)),
            "requests": asyncio.run(load(url, args.rate, args.seconds)),
        }
    found["machine"]["load_after"] = os.getloadavg()
    text = json.dumps(found, indent=1)
    sys.stdout.write(f"{text}\n")
    if args.json is not None:
        args.json.write_text(text + "\n", encoding="utf-8")


def teach(url: str) -> None:
    """Teach two classes, so that the device decides between them instead of saying "unknown"."""
    with httpx.Client(base_url=url, headers={"X-Edge-App": "1"}, timeout=60) as http:
        for label in ("a", "b", "a", "b"):
            http.post(f"/api/v1/classes/{label}/teach").raise_for_status()


async def cost_of_pages(url: str, pid: int, pages: int, pairs: int, block_s: float) -> dict[str, Any]:
    """Return the loop's rate without and with pages, and what the pages were sent."""
    rates: dict[str, list[float]] = {"without": [], "with": []}
    loop_ms: dict[str, list[float]] = {"without": [], "with": []}
    sent: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        for pair in range(pairs):
            # the order alternates, so that a slow change of the machine's load cancels out
            order = ("without", "with") if pair % 2 == 0 else ("with", "without")
            for kind in order:
                tasks = [asyncio.create_task(page(url, sent)) for _ in range(pages if kind == "with" else 0)]
                await asyncio.sleep(1.0)
                began_s = processor_s(pid)
                decided, rate = await rate_of_loop(http, block_s)
                rates[kind].append(rate)
                loop_ms[kind].append((processor_s(pid) - began_s) * 1e3 / max(1, decided))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    ratios = [with_ / without for with_, without in zip(rates["with"], rates["without"], strict=True)]
    return {
        "pages": pages,
        "decisions_per_s_without": round(statistics.median(rates["without"]), 2),
        "decisions_per_s_with": round(statistics.median(rates["with"]), 2),
        "cost_per_cent": round(100 * (1 - statistics.median(ratios)), 2),
        "processor_ms_a_decision_without": round(statistics.median(loop_ms["without"]), 2),
        "processor_ms_a_decision_with": round(statistics.median(loop_ms["with"]), 2),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "pictures_per_s_and_page": round(sent["pictures"] / (pages * pairs * (block_s + 1)), 2),
        "events_per_s_and_page": round(sent["events"] / (pages * pairs * (block_s + 1)), 2),
    }


def processor_s(pid: int) -> float:
    """Return the processor time that a process has taken, seconds."""
    # the second field is the program's name in brackets, which may hold spaces
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def rate_of_loop(http: httpx.AsyncClient, seconds: float) -> tuple[int, float]:
    """Return decisions, and decisions a second, by the program's own count."""
    before, began = (await http.get("/api/v1/state")).json()["decided"], time.perf_counter()
    await asyncio.sleep(seconds)
    after = (await http.get("/api/v1/state")).json()["decided"]
    return after - before, (after - before) / (time.perf_counter() - began)


async def page(url: str, sent: Counter[str]) -> None:
    """Do what an open page does: read pictures and events as they come.

    The data are not processed, since that is the browser's work.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    await asyncio.gather(
        read(url, "/api/v1/live", upgrade, b"\xff\xd8\xff", sent, "pictures"),
        read(url, "/api/v1/events", "", b"event: ", sent, "events"),
    )


async def read(url: str, path: str, headers: str, mark: bytes, sent: Counter[str], kind: str) -> None:
    """Request a stream and read it until it ends, counting `mark`, with which each part begins."""
    host = url.removeprefix("http://").rstrip("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode())
        while data := await reader.read(1 << 18):
            sent[kind] += data.count(mark)
    finally:
        writer.close()


async def load(url: str, rate: int, seconds: float) -> dict[str, Any]:
    """Return the answers to `rate` requests per second, each sent at its time whether or not the last was answered."""
    wheel = [(method, path) for method, path, share in MIX for _ in range(share)]
    # 37 and 100 have no common factor: every request comes once, and equal ones are spread apart
    wheel = [wheel[index * 37 % len(wheel)] for index in range(len(wheel))]
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=url, headers={"X-Edge-App": "1"}, timeout=60, limits=limits) as http:

        async def ask(method: str, path: str, due: float) -> None:
            try:
                answer = await http.request(method, f"/api/v1{path}")
                # /health says 503 when the camera is not well: an answer like any other
                named = answer.status_code >= 400
                statuses[f"{answer.status_code} {path}" if named else str(answer.status_code)] += 1
            except httpx.HTTPError as error:
                statuses[type(error).__name__] += 1
            # from the time at which it was due, not sent: a request that had to wait for a connection counts as late
            latencies.append((time.perf_counter() - due) * 1e3)

        began = time.perf_counter()
        tasks = []
        for number in range(round(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(*wheel[number % len(wheel)], due)))
        await asyncio.gather(*tasks)
        took = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=1000)
    lost = sum(count for status, count in statuses.items() if status not in ("200", "201", "503 /health"))
    return {
        "asked": len(tasks),
        "per_s": round(len(tasks) / took, 1),
        "lost": lost,
        "statuses": dict(sorted(statuses.items())),
        "latency_ms": {
            name: round(value, 2)
            for name, value in (("p50", cuts[499]), ("p95", cuts[949]), ("p99", cuts[989]), ("max", max(latencies)))
        },
    }


if __name__ == "__main__":
    main()
