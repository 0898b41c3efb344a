"""`python -m benchmarks.soak`: the real `edge-app run` for hours at full rate; memory, rate and age of the frames.

The device runs as a child process with a state folder of its own. Its camera is simulated and faster than the encoder,
and simulated buttons teach and undo all the time. The result is rewritten with each sample, so that an interrupted run
leaves its measurements. Linux only: the figures come from /proc.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_app import machine
from edge_app.profiling.process import look_at

RESULT = Path(__file__).resolve().parent / "results" / "soak.json"
CAMERA = "sim:scene=shapes,size=320x240,fps=250"
NAMES = ("disc", "square", "ring", "cross")
PRESS_EVERY_S = 20.0
UNDO_EVERY = 5
"""The part of the presses that are undone, a few seconds after them."""
CONFIG = """\
[state]
examples_per_class = 20
when_full = "replace-oldest"
"""
"""Old examples are replaced, so that the state does not grow: growing memory is then a leak."""
STOP_S = 30


class Window:
    """The decisions since the last sample, from the lines that the device prints; filled by a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[tuple[float, float, float, int]] = []
        self._last: tuple[float, int] | None = None
        self.decided = 0

    def read(self, stream: Any) -> None:
        """Collect decisions until the stream ends."""
        for line in stream:
            answer = json.loads(line)
            row = answer["time_ms"], answer["waited_ms"], answer["latency_ms"], answer["frame"]
            with self._lock:
                self.decided += 1
                self._rows.append(row)

    def take(self) -> dict[str, Any]:
        """Return the figures of the window, and begin the next one.

        Ages are also given in periods of the loop. A period is the time between two frames that the encoder took; an
        age is compared with the period that ended with its own frame, and with the window's mean period.
        """
        with self._lock:
            rows, self._rows = self._rows, []
        if not rows:
            return {"decisions": 0}
        captured, waited, latency = (np.array([row[part] for row in rows]) for part in range(3))
        frames = np.array([row[3] for row in rows])
        # the moment at which the encoder took the frame: only the moment of capture and the age are printed
        taken = captured + waited
        # the last frame of the window before is where the first period begins
        if self._last is not None:
            taken, frames = np.insert(taken, 0, self._last[0]), np.insert(frames, 0, self._last[1])
        self._last = float(taken[-1]), int(frames[-1])
        periods = np.diff(taken)
        waited_here, latency_here = waited[-len(periods) :], latency[-len(periods) :]
        mean = float(periods.mean()) if len(periods) else 0.0
        found: dict[str, Any] = {
            "decisions": len(rows),
            "dropped": int(frames[-1] - frames[0] - len(periods)),
            "waited_ms": _spread(waited),
            "latency_ms": _spread(latency),
        }
        if len(periods):
            found |= {
                "fps": 1000 / mean,
                "period_ms": _spread(periods),
                "waited_periods": _spread(waited_here / mean),
                "latency_periods": _spread(latency_here / mean),
                "older_than_own_period": int((waited_here > np.maximum(periods, mean)).sum()),
                "older_than_mean_period": int((waited_here > mean).sum()),
            }
        return found


class Events:
    """The events that the device logs on its standard error; filled by a thread."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.troubles: list[str] = []

    def read(self, stream: Any) -> None:
        """Collect events until the stream ends."""
        for line in stream:
            found = re.match(r"\d\d:\d\d:\d\d (\w+) +(\w+)", line)
            if found is None:
                continue
            self.counts[found[2]] = self.counts.get(found[2], 0) + 1
            # a device that warns with each frame must not fill the result
            if found[1] in ("warning", "error", "critical") and len(self.troubles) < 200:
                self.troubles.append(line.strip())


def main() -> int:
    """Run; 0 when the device ran to the end and stopped by itself, 1 when it did not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="how long (default: 2)")
    parser.add_argument("--camera", default=CAMERA, metavar="URI", help=f"camera (default: {CAMERA})")
    parser.add_argument("--every", type=float, default=10.0, metavar="S", help="seconds between samples (default: 10)")
    parser.add_argument("--press-every", type=float, default=PRESS_EVERY_S, metavar="S", help="seconds between presses")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE", help="result, JSON")
    parser.add_argument("--only-figure", action="store_true", help="measure nothing; draw the result's figure")
    args = parser.parse_args()
    if not args.only_figure:
        soak(args.hours * 3600, args.camera, args.every, args.press_every, args.out)
    result = json.loads(args.out.read_text())
    draw(result, args.out.with_suffix(".png"))
    sys.stdout.write(report(result) + "\n")
    return 0 if result["exit_status"] == 0 else 1


def soak(seconds: float, camera: str, every_s: float, press_every_s: float, out: Path) -> dict[str, Any]:
    """Run the device for `seconds` and sample it; return the result, which is also written to `out`."""
    presses, asked = plan(seconds, press_every_s)
    window, events = Window(), Events()
    result: dict[str, Any] = {
        "asked": {"seconds": seconds, "camera": camera, "press_every_s": press_every_s, **asked},
        "machine": machine.describe(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "exit_status": None,
        "samples": [],
    }
    with tempfile.TemporaryDirectory(prefix="edge-app-soak-") as folder:
        config = Path(folder) / "config.toml"
        config.write_text(CONFIG)
        command = [sys.executable, "-m", "edge_app", "run", "--config", str(config), "--decisions"]
        options = ["--state", str(Path(folder) / "state"), "--camera", camera, "--buttons", presses]
        with subprocess.Popen(  # noqa: S603
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            readers = [
                threading.Thread(target=window.read, args=(process.stdout,)),
                threading.Thread(target=events.read, args=(process.stderr,)),
            ]
            for reader in readers:
                reader.start()
            for sample in _samples(process, window, events, seconds, every_s):
                result["samples"].append(sample)
                _write(out, result | {"events": events.counts, "troubles": events.troubles})
            result |= _stop(process)
            for reader in readers:
                reader.join()
    result |= {"events": events.counts, "troubles": events.troubles, "decided": window.decided}
    result["summary"] = summarise(result)
    _write(out, result)
    return result


def _stop(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Stop the process as systemd does; return its exit status, None if it had to be killed, and the time it took."""
    stopping, status = time.monotonic(), None
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
    return {"exit_status": status, "stop_s": time.monotonic() - stopping}


def _samples(
    process: "subprocess.Popen[str]", window: Window, events: Events, seconds: float, every_s: float
) -> Iterator[dict[str, Any]]:
    """Yield a sample of the process every `every_s`, until it ends or `seconds` are over."""
    start = time.monotonic()
    while process.poll() is None and time.monotonic() - start < seconds:
        # to the next multiple of every_s: sleeping every_s would add the time of each sample
        time.sleep(every_s - (time.monotonic() - start) % every_s)
        if process.poll() is None:
            sample = {"t_s": round(time.monotonic() - start, 1), **look_at(process.pid), **window.take()}
            yield sample | {"learnt": events.counts.get("learnt", 0)}


def plan(seconds: float, every_s: float) -> tuple[str, dict[str, int]]:
    """Return the URI of buttons that teach all the time and undo some of it, and the number of presses.

    A press comes half a second after a shape appears, and teaches its name (see simulation/shapes.py).
    """
    times: dict[str, list[float]] = {name: [] for name in (*NAMES, "undo")}
    count = 0
    # no press in the last seconds, so that each one is learnt, and undone, before the device is stopped
    while (at := every_s * (count + 1)) < seconds - 10:
        # the scene shows one shape a second in turn, so a shift by a second presses for each shape in turn
        at += count % len(NAMES)
        name = NAMES[int(at) % len(NAMES)]
        times[name].append(int(at) + 0.5)
        if count % UNDO_EVERY == UNDO_EVERY - 1:
            times["undo"].append(int(at) + min(4.5, every_s / 2))
        count += 1
    parts = [name + "@" + "+".join(f"{at:g}" for at in moments) for name, moments in times.items() if moments]
    return "sim:" + ",".join(parts), {"teach": count, "undo": len(times["undo"])}


def summarise(result: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a run; memory is judged by its second half, when all caches are filled."""
    samples = [sample for sample in result["samples"] if sample.get("fps")]
    half = samples[len(samples) // 2 :]
    hours = np.array([sample["t_s"] for sample in half]) / 3600
    memory = {}
    for name in ("rss_mb", "pss_mb", "private_mb"):
        values = np.array([sample[name] for sample in half])
        slope = float(np.polyfit(hours, values, 1)[0]) if len(half) > 2 else 0.0
        everything = [sample[name] for sample in samples]
        memory[name] = {
            "second_half_mb_per_hour": slope,
            "second_half": [float(values.min()), float(values.max())],
            "at_a_tenth": everything[len(samples) // 10],
            "last": everything[-1],
            "most": max(everything),
        }
    decisions = sum(sample["decisions"] for sample in samples)
    return {
        "seconds": samples[-1]["t_s"],
        "decisions": decisions,
        "dropped": sum(sample["dropped"] for sample in samples),
        "memory": memory,
        "threads": sorted({sample["threads"] for sample in samples}),
        "files": sorted({sample["files"] for sample in samples}),
        "fps": _spread(np.array([sample["fps"] for sample in samples])),
        "load": _spread(np.array([sample["load"] for sample in samples])),
        **{name: _times(samples, name) for name in ("waited_ms", "waited_periods", "latency_periods")},
        "older_than_mean_period": sum(sample["older_than_mean_period"] for sample in samples),
        "older_than_own_period": sum(sample["older_than_own_period"] for sample in samples),
        "learnt": result["events"].get("learnt", 0),
        "undone": result["events"].get("undone", 0),
        "troubles": len(result["troubles"]),
    }


def _times(samples: list[dict[str, Any]], name: str) -> dict[str, float]:
    return {
        "p50": float(np.median([sample[name]["p50"] for sample in samples])),
        "most": max(sample[name]["most"] for sample in samples),
    }


def report(result: dict[str, Any]) -> str:
    """Return the result as text."""
    found = result.get("summary") or summarise(result)
    memory, rate = found["memory"]["rss_mb"], found["fps"]
    low, high = memory["second_half"]
    return "\n".join(
        [
            f"{found['seconds'] / 3600:.2f} h, {found['decisions']} decisions, {found['dropped']} frames dropped; "
            f"{found['learnt']} taught, {found['undone']} undone, {found['troubles']} warnings or errors",
            f"resident memory: {memory['at_a_tenth']:.1f} MB after a tenth, {low:.1f} to {high:.1f} MB in the second "
            f"half, {memory['second_half_mb_per_hour']:+.2f} MB/h there; threads {found['threads']}, "
            f"open files {found['files']}",
            f"{rate['p50']:.1f} decisions/s (samples: {rate['least']:.1f} to {rate['most']:.1f}), "
            f"load average {found['load']['p50']:.1f} (up to {found['load']['most']:.1f})",
            f"age of a frame when the encoder took it: {found['waited_ms']['p50']:.1f} ms, "
            f"{found['waited_periods']['p50']:.2f} periods of the loop; at most {found['waited_ms']['most']:.0f} ms, "
            f"{found['waited_periods']['most']:.1f} mean periods; older than the mean period "
            f"{found['older_than_mean_period']} of {found['decisions']}, than its own {found['older_than_own_period']}",
            f"stopped in {result.get('stop_s', 0):.1f} s with status {result['exit_status']}",
        ]
    )


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the curves of memory, rate and age as a PNG. Raises RuntimeMissing without matplotlib."""
    from edge_app.evaluation import figures

    samples = [sample for sample in result["samples"] if sample.get("fps")]
    minutes = [sample["t_s"] / 60 for sample in samples]
    figure = figures.new_figure(8, 6.5)
    memory, rate, age = figure.subplots(3, 1, sharex=True)
    memory.plot(minutes, [sample["rss_mb"] for sample in samples], label="resident")
    memory.plot(minutes, [sample["pss_mb"] for sample in samples], label="proportional")
    memory.set_ylim(0, 1.15 * max(sample["rss_mb"] for sample in samples))
    memory.set_ylabel("memory, MB")
    rate.plot(minutes, [sample["fps"] for sample in samples], label="decisions/s")
    rate.plot(minutes, [10 * sample["load"] for sample in samples], color="0.7", label="10 x load average")
    rate.set_ylim(bottom=0)
    age.plot(minutes, [sample["waited_periods"]["p50"] for sample in samples], label="median")
    age.plot(minutes, [sample["waited_periods"]["p99"] for sample in samples], label="99 %")
    age.set_ylabel("age of the frame\nat the encoder, periods")
    age.set_ylim(0, 2)
    age.set_xlabel("minutes")
    for axes in (memory, rate, age):
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
    figures.save(figure, path)


def _spread(values: Any) -> dict[str, float]:
    found = {
        "p50": np.median(values),
        "p99": np.percentile(values, 99),
        "least": values.min(),
        "most": values.max(),
    }
    return {name: round(float(value), 3) for name, value in found.items()}


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    # one sample a line: thousands of them stay readable, and their differences too
    lines = [json.dumps(sample) for sample in result["samples"]]
    text = json.dumps(result | {"samples": []}, indent=1)
    draft.write_text(text.replace('"samples": []', '"samples": [\n' + ",\n".join(lines) + "\n]") + "\n")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
