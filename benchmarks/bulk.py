"""`python -m benchmarks.bulk`: teach a folder of pictures; the rate against the encoder's own, memory, and kill -9.

The pictures are made here, 320 x 240 pixels in 20 classes. First the whole folder is taught in this process, with the
encoder alone before and after. Then `edge-app teach --folder` is killed at seeded moments and started again; after each
kill the state must hold whole batches, and at the end every picture once.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edge_app import machine
from edge_app.datasets.dataset import Dataset
from edge_app.encoder.model import load_manifest
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.errors import EdgeAppError
from edge_app.learner import Learner
from edge_app.learner.bulk import BATCH, BulkResult, BulkTeacher, in_turns
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store

CLASSES = 20
BARE_S = 10.0


def make_pictures(top: Path, count: int) -> None:
    """Write `count` JPEG files in CLASSES folders: variations of one coarse picture for each class."""
    from PIL import Image

    random = np.random.default_rng(6)
    for label in range(CLASSES):
        folder = top / f"class {label:02}"
        folder.mkdir(parents=True)
        coarse = random.integers(0, 256, (6, 8, 3))
        for number in range(count // CLASSES):
            # small differences within a class: the classifier has something to learn, as with photographs of one thing
            varied = np.clip(coarse + random.integers(-40, 41, coarse.shape), 0, 255).astype(np.uint8)
            Image.fromarray(varied).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")


def bare_rate() -> float:
    """Return the encoder's pictures per second in a loop of its own."""
    manifest = load_manifest()
    picture = np.random.default_rng(7).integers(0, 256, (manifest.input_size, manifest.input_size, 3), np.uint8)
    with TFLiteEncoder(manifest) as encoder:
        encoder.encode(picture)
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < BARE_S:
            encoder.encode(picture)
            count += 1
        return count / (time.perf_counter() - start)


def rate(photos: Path, state: Path) -> dict[str, Any]:
    """Teach the folder in this process; return the rate, its ratio to the encoder's, and the growth of memory."""
    # the encoder alone before and after: their mean cancels a slow change of the machine's other load
    before, manifest = bare_rate(), load_manifest()
    with Dataset(photos) as dataset, Learner.open(state, manifest) as learner:
        items, result, memory = in_turns(dataset.items), BulkResult(), []
        with BulkTeacher(learner, manifest) as teacher:
            half = len(items) // 2
            start, processor = time.perf_counter(), time.process_time()
            # in halves: a leak shows as growth from the first measurement of memory to the second
            for part in (items[:half], items[half:]):
                teacher.teach(dataset, part, result)
                memory.append(machine.memory_mb()["rss"] or 0.0)
            seconds, processor = time.perf_counter() - start, time.process_time() - processor
    bare = (before + bare_rate()) / 2
    return {
        "pictures": len(items),
        "taught": sum(result.taught.values()),
        "per_s": len(items) / seconds,
        "encoder_per_s": bare,
        "to_encoder": len(items) / seconds / bare,
        "processor_ms": 1000 * processor / len(items),
        "rss_mb": {"after_half": memory[0], "after_all": memory[1]},
    }


def kills(photos: Path, state: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill the command `count` times, then let it finish; raises SystemExit when a batch is not whole."""
    random = np.random.default_rng(seed)
    command = [sys.executable, "-m", "edge_app", "teach", "--state", str(state), "--folder", str(photos)]
    stored = []
    for _ in range(count):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
            # killed after so many batches, not after a time: a fixed time would be before the first batch on a slow
            # machine
            wanted = _batches(state) + int(random.integers(1, 6))
            while process.poll() is None and _batches(state) < wanted:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        with Store.reader(database_path(state)) as store:
            sizes = {len(action.changes) for action in store.history()}
            stored.append(len(store.examples()))
        # the last batch of a class has what is left
        last = {n % BATCH for n in Counter(path.parent for path in photos.rglob("*.jpg")).values()}
        if sizes - {BATCH} - last:
            raise SystemExit(f"batches of {sorted(sizes)} examples are stored, expected {BATCH}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    with Store.reader(database_path(state)) as store:
        sources = Counter(example.source for example in store.examples())
    return {
        "kills": count,
        "stored": stored,
        "exit_status": done.returncode,
        "twice": len(sources - Counter(set(sources))),
    }


def _batches(state: Path) -> int:
    try:
        with Store.reader(database_path(state)) as store:
            return len(store.history())
    except EdgeAppError:  # it is being created
        return 0


def main() -> int:
    """Measure and print the result as JSON; 0 when every picture is stored once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-app-bulk-") as name:
        top = Path(name)
        make_pictures(top / "photos", args.pictures)
        result = {"machine": machine.describe(), **rate(top / "photos", top / "whole")}
        result |= kills(top / "photos", top / "killed", args.kills, args.seed)
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if args.json:
        args.json.write_text(text + "\n")
    return 0 if result["exit_status"] == 0 and not result["twice"] else 1


if __name__ == "__main__":
    sys.exit(main())
