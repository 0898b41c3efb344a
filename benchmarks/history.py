"""`python -m benchmarks.history`: the cost of the history for the live loop, and the time of a page among many visits.

1. Memory that the recorder takes while visits with pictures come and go, on a simulated clock.
2. The time of one decision in the recorder's listener, and the processor time of its thread for each visit.
3. Decisions per second of the real loop (encoder, classifier, simulated camera) without and with history, in turns.
4. kill -9 of a process that teaches and records, 500 times: nothing acknowledged is lost, and no visit is half written.
5. A database of a million visits: the time of a page for several filters, of counts, and its size before and after it
   is cut to the configured bound.
"""

import argparse
import gc
import json
import os
import signal
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from benchmarks.bus import device, microseconds
from benchmarks.power_cut import Loss, check_history
from edge_app import machine
from edge_app.config import Config, HistoryConfig
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.history import recorder as recorder_module
from edge_app.history.frames import RecentFrameFinder, to_bounded_jpeg
from edge_app.history.recorder import HistoryRecorder, RecordedPlace
from edge_app.history.records import ClockState, StoredVisit, VisitFilter, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.history.visits import Visit, VisitTracker, gap_ns
from edge_app.learner import Learner
from edge_app.messages import Decision, Frame
from edge_app.pipeline.events import Decided
from edge_app.pipeline.recent import RecentFrames
from edge_app.simulation.devices import SimulatedClock
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store

RESULT = Path(__file__).resolve().parent / "results" / "history.json"
LABELS, PLACES = tuple(f"class {number}" for number in range(40)), ("door", "shelf")
RARE = "once in a while"
FPS, VISIT_S = 30, 3
DAYS = 30
REPEATS = 15
PICTURES = 8_000


def recorder_of(folder: Path, recent: RecentFrames, clock: Clock) -> HistoryRecorder:
    """A recorder as a device has it."""
    manifest = load_manifest()
    tracker = VisitTracker("bench", gap_ns=gap_ns(Config()))
    finder = RecentFrameFinder(recent, Preprocessor(manifest.input_size, crop=manifest.crop))
    folder.mkdir(exist_ok=True)
    return HistoryRecorder(
        folder / "history.sqlite", HistoryConfig(), [RecordedPlace(tracker, finder)], clock, lambda *_, **__: None
    )


def decided(number: int) -> Decided:
    """Decision `number` at FPS; the label changes every VISIT_S."""
    spikes = np.arange(len(LABELS), dtype=np.int32)
    label = LABELS[number // (FPS * VISIT_S) % len(LABELS)]
    decision = Decision(label, LABELS, spikes, spikes, 3, spikes.astype(np.int64))
    at_ns = NS_PER_S + number * NS_PER_S // FPS
    sure = 0.6 + 0.3 * ((number * 7919) % 1000) / 1000
    return Decided(label, decision, sure, number, at_ns, at_ns, 5_000_000, 0, fresh=True, changed=False)


def resident_mb() -> float:
    """Return the memory of this process, MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def recording(folder: Path, visits: int) -> dict[str, Any]:
    """Record visits on a simulated clock; return memory and processor time. Call it in a fresh process."""
    clock, recent = SimulatedClock(), RecentFrames()
    images = [np.random.default_rng(seed).integers(0, 256, (48, 64, 3)).astype(np.uint8) for seed in range(4)]
    images = [np.ascontiguousarray(np.kron(image, np.ones((10, 10, 1), np.uint8))) for image in images]
    embedding = np.arange(1280, dtype=np.int64).astype(np.uint8)
    for number in range(FPS):  # the loop has these frames without a history
        recent.add(Frame(images[number % 4], number, number))
    # a live device has these libraries loaded
    manifest = load_manifest()
    to_bounded_jpeg(Preprocessor(manifest.input_size, crop=manifest.crop)(images[0]))
    before_mb = resident_mb()
    with recorder_of(folder, recent, clock) as recorder:
        step_ns = 0
        for number in range(visits * FPS * VISIT_S):
            event = decided(number)
            clock.advance((event.captured_ns - clock.monotonic_ns()) / NS_PER_S)
            recent.add(Frame(images[number % 4], event.captured_ns, number))
            recent.add_embedding(event.captured_ns, embedding)
            recorder.listen(event)
            began_ns = time.thread_time_ns()
            recorder.step()
            step_ns += time.thread_time_ns() - began_ns
        after_mb = resident_mb()
    return {
        "visits": visits,
        "memory_mb": round(after_mb - before_mb, 2),
        "recorder_ms_per_visit": round(step_ns / visits / 1e6, 3),
        "percent_of_a_processor_at_a_visit_every_3_s": round(100 * step_ns / (visits * VISIT_S * NS_PER_S), 3),
    }


def listening(folder: Path) -> dict[str, float]:
    """Return the time of one decision in the listener, microseconds."""
    with recorder_of(folder, RecentFrames(), SimulatedClock()) as recorder:
        return microseconds(recorder.listen, [decided(number) for number in range(20_000)])


def busy_s(recorder: HistoryRecorder) -> float:
    """Return the processor time of the recorder's thread so far, seconds."""
    assert recorder._thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(recorder._thread.ident))


def rates(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Return decisions per second without and with history, in turns; the scene changes every second."""
    found: dict[str, list[float]] = {"without": [], "with": []}
    shares = []
    pause = threading.Event()
    with device(folder, 400) as (pipeline, hub, control):
        pipeline.start()
        pipeline.first_decision.wait(120)
        for label in ("first", "second", "third"):
            control.teach(label)
            pause.wait(2.0)
        for number in range(rounds):
            # in turns, and each first in half of them: other load affects both alike
            for kind in ("without", "with") if number % 2 else ("with", "without"):
                with ExitStack() as stack:
                    if kind == "with":
                        recorder = stack.enter_context(recorder_of(folder, pipeline.first.recent, MonotonicClock()))
                        recorder.start()
                        stack.callback(hub.listen(recorder.listen))
                    decided_before, began = pipeline.status().decided, time.monotonic()
                    busy = busy_s(recorder) if kind == "with" else 0.0
                    pause.wait(seconds)
                    passed = time.monotonic() - began
                    found[kind].append((pipeline.status().decided - decided_before) / passed)
                    if kind == "with":
                        shares.append((busy_s(recorder) - busy) / passed)
        pipeline.stop(10)
    ratios = [have / lack for have, lack in zip(found["with"], found["without"], strict=True)]
    quarters = statistics.quantiles(ratios, n=4)
    return {kind: round(statistics.median(values), 2) for kind, values in found.items()} | {
        "median_ratio": round(statistics.median(ratios), 4),
        "quartiles_of_the_ratio": [round(quarters[0], 4), round(quarters[2], 4)],
        "recorder_percent_of_a_processor": round(100 * statistics.median(shares), 3),
    }


def fill(store: HistoryStore, visits: int) -> int:
    """Add visits of DAYS days, the newest PICTURES of them with a picture; return the time of the first, ns."""
    random = np.random.default_rng(1)
    run, first_ns = store.begin_run(), 1_800_000_000 * NS_PER_S
    apart_ns = DAYS * 86_400 * NS_PER_S // visits
    chosen, sure = random.integers(-2, len(LABELS), visits), random.random(visits)
    jpeg = bytes(random.integers(0, 256, 18_000).astype(np.uint8))
    batch: list[VisitRecord] = []
    for number in range(visits):
        label = None if chosen[number] < 0 else LABELS[chosen[number]]
        label = RARE if number % 100_000 == 5 else label
        mean = 0.0 if label is None else float(sure[number]) * 0.5 + 0.5
        begin_ns = first_ns + number * apart_ns
        one = Visit(
            PLACES[number % 50 == 0], label, begin_ns, begin_ns, apart_ns * 9 // 10, 30, mean, mean, LABELS[3], 9, 1, 1
        )
        picture = jpeg if number >= visits - PICTURES else None
        embedding = random.integers(0, 40, 1280).astype(np.uint8).tobytes() if picture is not None else None
        batch.append(VisitRecord(one, False, None, picture, embedding))
        # as small as the recorder's where there are pictures: the write-ahead log grows with the batch
        if len(batch) == (5_000 if picture is None else 32):
            store.add(batch, run, ClockState.SYNCHRONISED)
            batch.clear()
    store.add(batch, run, ClockState.SYNCHRONISED)
    return first_ns


def kills(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill -9 so many processes that teach and record at a high rate; return what was stored. Raises Loss.

    A light stand-in for `benchmarks.power_cut`, which runs the whole device: no camera and no encoder, visits of a
    tenth of a second, and a batch every twentieth.
    """
    random = np.random.default_rng(seed)
    examples: set[int] = set()
    visits: dict[int, StoredVisit] = {}
    acknowledged = 0
    for number in range(count):
        state = folder / f"state-{number // 50}"
        if not state.exists():
            state.mkdir(parents=True)
            examples, visits = set(), {}
        said = killed(state, random.uniform(0.05, 0.6))
        acknowledged += len(said)
        examples |= said
        with Store.reader(database_path(state)) as store:
            store.check()
            stored = {one.id for one in store.examples()}
        if missing := examples - stored:
            raise Loss(f"kill {number}: acknowledged and missing: {sorted(missing)}")
        visits = check_history(state, visits)
    return {"kills": count, "acknowledged_examples": acknowledged, "lost_examples": 0, "torn_visits": 0}


def killed(state: Path, after_s: float) -> set[int]:
    """Teach and record in a process that is killed so long after its first example; return what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        teach_and_record(state, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        first = said.read(8)
        threading.Event().wait(after_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        rest = said.read()
    # a number that was cut off was not acknowledged
    numbers = first + rest[: len(rest) // 8 * 8]
    return set(struct.unpack(f"<{len(numbers) // 8}q", numbers))


def teach_and_record(state: Path, acknowledge: int) -> NoReturn:
    """Teach examples and record visits until killed."""
    recorder_module.BATCH_NS = recorder_module.OPEN_NS = NS_PER_S // 20
    clock, recent = MonotonicClock(), RecentFrames()
    tracker = VisitTracker("bench", gap_ns=NS_PER_S, hold_ns=NS_PER_S // 50)
    finder = RecentFrameFinder(recent, Preprocessor(224))
    recorder = HistoryRecorder(
        state / "history.sqlite", HistoryConfig(), [RecordedPlace(tracker, finder)], clock, lambda *_, **__: None
    )
    recorder.start()
    image = np.random.default_rng(1).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    embedding = np.arange(1280, dtype=np.int64).astype(np.uint8)
    number = 0
    with Learner.open(state, load_manifest()) as learner:
        while True:
            for _ in range(4):
                number += 1
                now_ns = clock.monotonic_ns()
                recent.add(Frame(image, now_ns, number))
                recent.add_embedding(now_ns, embedding)
                label = LABELS[now_ns // (NS_PER_S // 10) % 7]
                recorder.listen(decided(number)._replace(label=label, captured_ns=now_ns, time_ns=time.time_ns()))
                clock.sleep(0.004)
            taught = learner.teach(embedding, LABELS[number % 3], source="bench")
            os.write(acknowledge, struct.pack("<q", taught.example_id))


def milliseconds(work: Callable[[], object]) -> dict[str, float]:
    """Return the median and the longest time of REPEATS calls."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter_ns()
        work()
        times.append((time.perf_counter_ns() - began) / 1e6)
    return {"median": round(statistics.median(times), 2), "longest": round(max(times), 2)}


def pages(folder: Path, visits: int) -> dict[str, Any]:
    """Return the times of pages of 50 among so many visits, and what the bound does to them."""
    folder.mkdir()
    with HistoryStore.open(folder / "history.sqlite") as store:
        first_ns = fill(store, visits)
        size = store.used_bytes()
        day_ns = 86_400 * NS_PER_S
        middle_ns = first_ns + DAYS // 2 * day_ns
        filters = {
            "all": VisitFilter(),
            "before_the_middle": VisitFilter(before_ns=middle_ns),
            "class": VisitFilter(label=LABELS[7]),
            "rare_class": VisitFilter(label=RARE),
            "unknown": VisitFilter(unknown=True),
            "unsure": VisitFilter(unsure=True),
            "rare_place": VisitFilter(place=PLACES[1]),
            "class_in_rare_place": VisitFilter(label=LABELS[7], place=PLACES[1]),
            "unsure_class_of_a_day": VisitFilter(
                label=LABELS[7], unsure=True, from_ns=middle_ns, before_ns=middle_ns + day_ns
            ),
        }
        times = page_times(store, filters, middle_ns)
        others = {
            "counts_of_a_day_by_hour": milliseconds(lambda: store.counts("hour", middle_ns, middle_ns + day_ns)),
            "groups_of_unknown": milliseconds(store.groups),
        }
        bound, began = HistoryConfig().most_bytes, time.monotonic()
        gone, trimmed_s = store.trim(bound, None), time.monotonic() - began
        files = sum(path.stat().st_size for path in folder.iterdir())
        return {
            "visits": visits,
            "pictures": PICTURES,
            "page_of_50_ms": times,
            "other_ms": others,
            "database_mb": round(size / (1 << 20), 1),
            "bound_mb": bound >> 20,
            "after_the_bound_mb": round(files / (1 << 20), 1),
            "visits_deleted": gone,
            "seconds_to_delete": round(trimmed_s, 1),
        }


def page_times(store: HistoryStore, filters: dict[str, VisitFilter], middle_ns: int) -> dict[str, Any]:
    """Return the times of a page of each filter, in the other order, and far from the newest."""
    times = {name: milliseconds(lambda wanted=wanted: store.page(wanted)) for name, wanted in filters.items()}
    times["unsure_first"] = milliseconds(lambda: store.page(unsure_first=True))
    deep = store.page(VisitFilter(before_ns=middle_ns)).cursor
    times["far_down"] = milliseconds(lambda: store.page(cursor=deep))
    return times


def main() -> int:
    """Measure and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=1_000_000, help="in the database (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=20, help="blocks without and with history (default: 20)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a block (default: 4)")
    parser.add_argument("--kills", type=int, default=500, help="processes killed (default: 500)")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE", help="result, JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-app-") as name:
        folder = Path(name)
        result: dict[str, Any] = {"machine": machine.describe(), "load_before": os.getloadavg()[0]}
        result["recording"] = recording(folder / "a", 600)
        result["listener"] = listening(folder / "b")
        result["decisions_per_second"] = rates(folder / "c", args.rounds, args.seconds)
        result["kills"] = kills(folder / "e", args.kills, 1)
        result["database"] = pages(folder / "d", args.visits)
        result["load_after"] = os.getloadavg()[0]
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({key: value for key, value in result.items() if key != "machine"}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
