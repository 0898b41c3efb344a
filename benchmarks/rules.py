"""`python -m benchmarks.rules`: how soon a line follows a decision, and what kill -9 does to messages of webhooks.

The latency is the time from the call that hands over the decision which completes a visit to the change of a simulated
line, at rest. The kills: a process queues messages and sends them to a receiver that fails now and then, and is killed
at seeded random moments. Whatever was queued for more than a second before a kill must arrive in the end. A message
comes again if it was not confirmed, or if the kill fell between the confirmation and its removal from the queue; always
with the same id and content, so that a receiver that keeps the ids acts once.
"""

import argparse
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from edge_app import machine
from edge_app.config import CameraConfig, Config, OutputsConfig, RuleConfig, WebhookConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S
from edge_app.messages import Decision
from edge_app.pipeline.events import Decided
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.opening import WatchedPlace, open_rules
from edge_app.rules.service import Rules
from edge_app.simulation.devices import SimulatedOutputs

RESULT = Path(__file__).resolve().parent / "results" / "rules.json"
SAMPLES = 1000
PERIOD_NS = NS_PER_S // 10
SHOWN = 8
"""Decisions of a label in a row: enough for a visit."""
QUEUED_S = 1.0
"""A message that was queued this long before a kill must not be lost."""
LIFE_S = (0.2, 2.5)
"""Shortest and longest time from the first message to the kill."""
EVERY_S = 0.05
FAILING = 0.1
"""Share of requests that the receiver answers with status 503 (a third of them after it has processed the message)."""


def quiet(level: int, event: str, /, **fields: object) -> None:
    """Report nothing."""


def opened(config: Config, folder: Path) -> Rules:
    """Open the rules of a configuration."""
    rules = open_rules(
        config,
        folder,
        {"camera": WatchedPlace(RecentFrames(), ClassReferences())},
        lambda *_: b"",
        MonotonicClock(),
        quiet,
    )
    if rules is None:
        raise AssertionError("the configuration has no rules")
    return rules


def decided(label: str, sequence: int, captured_ns: int) -> Decided:
    """Return a decision for a label."""
    none = np.zeros(1, np.int32)
    decision = Decision(label, (label,), none, none, 0, none.astype(np.int64))
    return Decided(label, decision, 0.9, sequence, time.time_ns(), captured_ns, 0, 0, fresh=True, changed=False)


class Lines(SimulatedOutputs):
    """Simulated outputs that say when one was switched on."""

    def __init__(self) -> None:
        super().__init__(("lamp",), MonotonicClock())
        self.changed = threading.Event()
        self.on_ns = 0

    def set(self, levels: Mapping[str, bool]) -> None:
        """Note the time."""
        if levels.get("lamp"):
            self.on_ns = time.perf_counter_ns()
            self.changed.set()
        super().set(levels)


def latencies(samples: int) -> list[float]:
    """Return milliseconds from a decision to the level of the line."""
    config = Config(
        # visits of the future end with the next label, and not because the real time passes
        camera=CameraConfig(stall_after_s=600),
        outputs=OutputsConfig(uri="sim:lamp", min_on_s=0, min_off_s=0),
        rules=(RuleConfig(name="lamp", label="cat", output="lamp", per_hour=3600),),
    )
    found: list[float] = []
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, opened(config, Path(folder)) as rules:
        lines = rules._outputs = Lines()
        rules.start()
        captured_ns, sequence = time.monotonic_ns(), 0
        for _ in range(samples):
            for label in ("dog", "cat"):
                for _ in range(SHOWN):
                    captured_ns, sequence = captured_ns + PERIOD_NS, sequence + 1
                    before_ns = time.perf_counter_ns()
                    rules.happened(decided(label, sequence, captured_ns))
                    # at rest: the thread waits again before the next decision comes
                    time.sleep(chance.uniform(0.001, 0.003))
                    if lines.changed.is_set():
                        found.append((lines.on_ns - before_ns) / 1e6)
                        lines.changed.clear()
    return found


class Receiver(ThreadingHTTPServer):
    """Counts the messages that arrive by their id, and fails now and then."""

    daemon_threads = True

    def __init__(self, seed: int) -> None:
        self.arrived: dict[str, set[bytes]] = {}
        """Id -> the bodies that came with it."""
        self.confirmed: set[str] = set()
        self.again: Counter[str] = Counter()
        """Messages that came again, by whether they had been confirmed."""
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.failing = FAILING
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender was killed: no message
            return
        number = self.headers["webhook-id"]
        with self.server.lock:
            fails = self.server.chance.random() < self.server.failing
            # an answer that is lost after the work was done is the case in which a message comes again
            if not fails or self.server.chance.random() < 1 / 3:
                if number in self.server.arrived:
                    self.server.again["confirmed" if number in self.server.confirmed else "unconfirmed"] += 1
                self.server.arrived.setdefault(number, set()).add(body)
            if not fails:
                self.server.confirmed.add(number)
        self.send_response(503 if fails else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def queue_messages(folder: Path, port: int, *, add: bool) -> None:
    """Queue messages and send them, until this process is killed; the body of the child.

    Each id is printed when its message is handed over. Without `add` only what waits is sent, and the process ends.
    """
    hub = WebhookConfig(name="hub", url=f"http://127.0.0.1:{port}/", allow_private=True, queue=10_000)
    rules = opened(Config(rules=(RuleConfig(name="r", webhook="hub"),), webhooks=(hub,)), folder)
    rules._deliveries.start()
    add_one = rules._deliveries.add

    def told(delivery: Any) -> None:
        add_one(delivery)
        print(delivery.firing.id, flush=True)  # noqa: T201

    rules._deliveries.add = told  # type: ignore[method-assign]
    while add:
        rules.test("r")
        time.sleep(EVERY_S)
    while rules.webhooks()[0].waiting:
        time.sleep(0.05)
    rules.close()


def child(folder: Path, port: int, *more: str) -> "subprocess.Popen[str]":
    """Start the child."""
    command = [sys.executable, "-m", "benchmarks.rules", "--child", str(folder), "--port", str(port), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 this program itself


def _read(process: "subprocess.Popen[str]", times: dict[str, float]) -> None:
    """Note when the child told of each message."""
    for line in process.stdout or ():
        times[line.strip()] = time.monotonic()


def kills(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill the child so often; return what became of its messages."""
    chance, receiver = random.Random(seed), Receiver(seed)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    due: set[str] = set()
    handed_over = 0
    for number in range(count):
        times: dict[str, float] = {}
        with child(folder, receiver.server_port) as process:
            reader = threading.Thread(target=_read, args=(process, times))
            reader.start()
            while not times and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(*LIFE_S))
            process.kill()
            end = time.monotonic()
            process.wait()
            reader.join()
        handed_over += len(times)
        due |= {one for one, at in times.items() if end - at > QUEUED_S}
        if (number + 1) % 20 == 0:
            print(f"{number + 1} kills, {handed_over} messages", file=sys.stderr, flush=True)  # noqa: T201
    receiver.failing = 0.0  # what waits is sent without a pause
    with child(folder, receiver.server_port, "--only-send") as process:
        process.wait(600)
    receiver.shutdown()
    receiver.server_close()
    return {
        "kills": count,
        "seed": seed,
        "messages": handed_over,
        "queued_over_1_s": len(due),
        "lost_of_these": len(due - receiver.arrived.keys()),
        "ids_with_two_contents": sum(len(bodies) > 1 for bodies in receiver.arrived.values()),
        "came_again_unconfirmed": receiver.again["unconfirmed"],
        "came_again_confirmed": receiver.again["confirmed"],
    }


def main() -> int:
    """Measure, print and, with --keep, store the result; 1 if a message was lost, or an id came with two contents."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--samples", type=int, default=SAMPLES, metavar="N", help=f"default: {SAMPLES}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="store the result")
    for name in ("--child", "--port", "--only-send"):
        parser.add_argument(name, help=argparse.SUPPRESS, **({"action": "store_true"} if name == "--only-send" else {}))
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if args.child:
        queue_messages(Path(args.child), int(args.port), add=not args.only_send)
        return 0
    times = latencies(args.samples)
    with tempfile.TemporaryDirectory() as folder:
        killed = kills(Path(folder), args.kills, args.seed)
    result = {
        "machine": machine.describe(),
        "decision_to_level_ms": {
            "samples": len(times),
            "median": round(float(np.median(times)), 3),
            "p99": round(float(np.percentile(times, 99)), 3),
            "worst": round(max(times), 3),
        },
        "webhook_kills": killed,
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")  # noqa: T201
    if args.keep:
        RESULT.write_text(text, encoding="utf-8")
    return 1 if killed["lost_of_these"] or killed["ids_with_two_contents"] else 0


if __name__ == "__main__":
    sys.exit(main())
