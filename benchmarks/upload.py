"""`python -m benchmarks.upload`: the live loop's rate while 1,000 pictures are sent to it, compared with its own.

The program as it is run: real encoder, real classifier, a simulated camera faster than the encoder, the client on the
same processors. Blocks of decisions are counted in turns, without and with pictures being sent, all of them in one
upload; then the upload is taught, and the rate is taken until the device has learnt it. One undo takes it back.
"""

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from edge_app import machine
from edge_app.client import DeviceClient
from support.service_process import running

CLASSES = 10
WARM_UP_S = 3.0
LOOK_S = 0.05
LONGEST_S = 8.0
TARGET = 0.8
"""Least share of its rate that the loop should keep."""


def make_picture(label: int, number: int, width: int, height: int) -> bytes:
    """Return a JPEG: a variation of one coarse picture for each class."""
    from PIL import Image

    coarse = np.random.default_rng(label).integers(0, 256, (6, 8, 3))
    varied = coarse + np.random.default_rng([label, number]).integers(-40, 41, coarse.shape)
    picture = Image.fromarray(np.clip(varied, 0, 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


class Loop:
    """Counts the decisions of the device."""

    def __init__(self, device: DeviceClient) -> None:
        self._device = device

    def start(self) -> None:
        """Begin a block."""
        self._decided, self._began = self._look()

    def rate(self) -> float:
        """Return the decisions a second since `start`."""
        decided, now = self._look()
        return (decided - self._decided) / (now - self._began)

    def _look(self) -> tuple[int, float]:
        return int(self._device.get("/state")["decided"]), time.perf_counter()


def send_in_turns(device: DeviceClient, upload: str, count: int, blocks: int, size: tuple[int, int]) -> dict[str, Any]:
    """Send `count` pictures in so many blocks, with a block without any, at most LONGEST_S long, before each."""
    loop, ratios, per_s, without = Loop(device), [], [], []
    seconds = 2.0
    for block in range(blocks):
        numbers = range(block * count // blocks, (block + 1) * count // blocks)
        # made before the clock starts: the making of pictures would use the same processors
        pictures = [make_picture(number % CLASSES, number, *size) for number in numbers]
        loop.start()
        time.sleep(seconds)
        alone = loop.rate()
        began = time.perf_counter()
        loop.start()
        for number, data in zip(numbers, pictures, strict=True):
            query = {"name": f"{number}.jpg", "label": f"class {number % CLASSES}"}
            assert device.send(f"{upload}/files", data, query)["outcome"] == "kept"
        ratios.append(loop.rate() / alone)
        without.append(alone)
        taken = time.perf_counter() - began
        per_s.append(len(numbers) / taken)
        # the block alone is as long as the last one with pictures, so that both average the same length of other load
        seconds = min(taken, LONGEST_S)
    return {
        "decisions_per_s_without": round(statistics.median(without), 1),
        "to_own_rate": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "pictures_per_s": round(statistics.median(per_s), 1),
    }


def teach(device: DeviceClient, upload: str) -> dict[str, Any]:
    """Teach the upload; return the loop's rate until it is learnt, compared with the rate afterwards."""
    loop, began = Loop(device), time.perf_counter()
    loop.start()
    done = device.change(f"{upload}/teach", {})
    stored_s = time.perf_counter() - began
    while device.get("/state")["rebuilding"]:
        time.sleep(LOOK_S)
    learnt_s, rate = time.perf_counter() - began, loop.rate()
    loop.start()
    time.sleep(max(learnt_s, 2.0))
    return {
        "taught": sum(done["taught"].values()),
        "stored_s": round(stored_s, 2),
        "learnt_s": round(learnt_s, 2),
        "to_own_rate": round(rate / loop.rate(), 3),
        "undone": device.change("/undo", {"action": done["action"]["id"]})["action"]["examples"],
    }


def main() -> int:
    """Measure, print, and keep the figures; 0 if the loop keeps its share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 960), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--camera", default="sim:scene=shapes,fps=400", help="faster than the encoder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures")
    args = parser.parse_args()
    pids: list[int] = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), camera=args.camera, pids=pids) as url:
        device = DeviceClient(url.rstrip("/"))
        # with two classes known, the loop decides and does not only report "unknown"
        for label in ("a", "b", "a", "b"):
            device.change(f"/classes/{label}/teach", {})
        time.sleep(WARM_UP_S)
        before_mb = memory_mb(pids[0])
        upload = f"/uploads/{device.change('/uploads', {})['id']}"
        found = {
            "machine": {**machine.describe(), "load_before": os.getloadavg()},
            "size": list(args.size),
            "sending": send_in_turns(device, upload, args.pictures, args.blocks, tuple(args.size)),
            "teaching": teach(device, upload),
            "rss_mb": {"before": before_mb, "after": memory_mb(pids[0])},
        }
    text = json.dumps(found, indent=1)
    sys.stdout.write(f"{text}\n")
    if args.json is not None:
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0 if found["sending"]["to_own_rate"] >= TARGET else 1


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise SystemExit(f"process {pid} is gone")


if __name__ == "__main__":
    sys.exit(main())
