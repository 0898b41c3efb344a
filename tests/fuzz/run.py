"""Gives every reader of what comes from outside many damaged inputs, each reader in a process of its own.

    PYTHONPATH=tests python tests/fuzz/run.py --inputs 200000 [--only NAME] [--keep FILE]

Fails on anything but EdgeAppError: another exception, a crash, an input that takes over 10 s, or memory over 200 MB
above rest. A failure is named by its reader and seed: `--only NAME --first SEED --inputs 1` repeats it.
"""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edge_app.errors import EdgeAppError
from fuzz.readers import READERS, inputs

LONGEST_S = 10
MEMORY_MB = 200
BATCH = 250
FRACTIONS = {"video": 0.02, "export": 0.5}
"""The part of its share that a slow reader gets; the others get the rest."""


def main() -> int:
    """Run; 0 when every reader behaved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="in all (20000)")
    parser.add_argument("--only", choices=READERS, help="this reader alone")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--keep", type=Path, help="write the counts to this file, as JSON")
    args = parser.parse_args()
    names = [args.only] if args.only else list(READERS)
    weights = {name: 1.0 if args.only else FRACTIONS.get(name, 1.0) for name in names}
    share = args.inputs / sum(weights.values())
    results = {}
    for name in names:
        results[name] = _run(name, args.first, max(1, round(share * weights[name])))
        print(f"{name:20} " + "  ".join(f"{key} {value}" for key, value in results[name].items()), flush=True)
    failures = sum(len(result["failures"]) for result in results.values())
    total = sum(result["inputs"] for result in results.values())
    print(f"{total} inputs, {failures} failures")
    if args.keep:
        args.keep.write_text(json.dumps({"inputs": total, "failures": failures, "readers": results}, indent=2) + "\n")
    return 1 if failures else 0


def _run(name: str, first: int, count: int) -> dict[str, Any]:
    """Give a reader its inputs; a child that dies is followed by one that goes on after the input that killed it."""
    started = time.monotonic()
    done, refused, most_mb, failures = 0, 0, 0, []
    while done < count and len(failures) < 20:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(name, first + done, first + count, sender))
        child.start()
        sender.close()
        seed = first + done
        with suppress(EOFError):
            while True:
                kind, seed, value = receiver.recv()
                if kind == "batch":
                    refused += value[0]
                    most_mb = max(most_mb, value[1])
                elif kind == "failure":
                    failures.append({"seed": seed, "error": value})
        child.join()
        done = seed + 1 - first
        if child.exitcode != 0:
            failures.append({"seed": seed, "error": f"the process died with status {child.exitcode}"})
    seconds = round(time.monotonic() - started)
    return {"inputs": done, "refused": refused, "memory_mb": most_mb, "seconds": seconds, "failures": failures}


def _child(name: str, first: int, last: int, sender: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # FFmpeg tells of every damage
    signal.signal(signal.SIGALRM, _too_long)
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        for data in reader.seeds():
            with suppress(EdgeAppError):
                reader.read(data, Path(folder))
        rest_mb = _memory_mb()
        refused = 0
        for seed, data in inputs(reader, first, last):
            signal.alarm(LONGEST_S)
            sender.send(("seed", seed, None))
            try:
                reader.read(data, Path(folder))
            except EdgeAppError:
                refused += 1
            except BaseException:  # noqa: BLE001  that is what is looked for
                sender.send(("failure", seed, traceback.format_exc()[-1500:]))
            signal.alarm(0)
            more_mb = _memory_mb() - rest_mb
            if more_mb > MEMORY_MB:
                sender.send(("failure", seed, f"{more_mb} MB above rest"))
                rest_mb += more_mb
            if (seed - first) % BATCH == BATCH - 1 or seed == last - 1:
                sender.send(("batch", seed, (refused, more_mb)))
                refused = 0
    sender.close()


def _memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer within {LONGEST_S} s")


if __name__ == "__main__":
    sys.exit(main())
