"""`python -m benchmarks.speed`: measure everything in one run, keep the result, and compare it with the targets.

Prints each target with its figure and the ratios that changed since the last kept result, and writes the speed section
of README.md and the pictures of docs/performance.md. With --kept it only writes them, from the kept result.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.speed import bandwidth, classifier, encoder, figures, networks, peers, process, readme, regression
from benchmarks.speed.targets import targets
from edge_app.commands.output import show_progress, table
from edge_app.encoder.model import load_manifest
from edge_app.errors import EdgeAppError

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
AKIDA, TFLITE = ROOT / ".venv-akida" / "bin" / "python", ROOT / ".venv-tflite-runtime" / "bin" / "python"


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Measure all, and return it as JSON values; the keys are described in docs/performance.md."""
    part = 0.1 if quick else 1.0
    from edge_app.colanet.params import Params
    from edge_app.profiling import measure as device
    from edge_app.profiling.idle import measure_idle
    from edge_app.profiling.memory import measure_memory

    manifest = load_manifest()
    setting = device.BenchSetting(rounds=40, starts=1, blocks=2) if quick else device.BenchSetting()
    found: dict[str, Any] = {
        "device": device.measure(manifest, Params.preset("default"), setting, progress=show_progress)
    }
    counts = networks.spike_counts(manifest)
    found["bandwidth"] = bandwidth.measure(0.2 * part)
    found["classifier"] = classifier.sizes(counts, _progress, seconds=1.5 * part)
    found["replay"] = classifier.replay(counts)
    found["peers"] = peers.measure(counts, seconds=5 * part)
    found["peers"]["akida"] = process.child_peer("akida_peer.py", AKIDA, str(float((counts > 0).mean())))
    found["peers"]["tflite-runtime"] = process.child_peer("tflite_peer.py", TFLITE, str(manifest.path), "60")
    found["encoder"] = encoder.measure(manifest, len(os.sched_getaffinity(0)), seconds=6 * part)
    found["curves"] = classifier.curves(counts, _progress, seconds=0.25 * part)
    found["state_sizes"] = classifier.state_sizes()
    found["process"] = process.measure(manifest)
    found["idle"] = _unless_it_fails(measure_idle)
    found["live_memory"] = _unless_it_fails(measure_memory)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure or read, then write; returns 0, or 1 if a file is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    kept = RESULTS / f"speed-{platform.machine()}.json"
    parser.add_argument("--json", type=Path, default=kept, help="where the result is kept (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time: a first look, not to be kept")
    parser.add_argument("--kept", action="store_true", help="measure nothing, use what is kept")
    args = parser.parse_args(arguments)
    before = json.loads(args.json.read_text()) if args.json.exists() else None
    found = before if args.kept and before else measure(quick=args.quick)
    if found is not before:
        args.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    rows = [("target", "figure", "aim", ""), *(target.line() for target in targets(found))]
    sys.stdout.write(table(rows) + "\n\n")
    if found is not before and before is not None:
        sys.stdout.write(regression.report(regression.compare(before, found)) + "\n")
    try:
        readme.fill(ROOT / "README.md", ROOT / "docs" / "performance.md", found)
        figures.draw(found, ROOT / "docs")
    except EdgeAppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _unless_it_fails(measured: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Return the result of a child process; None, with the reason printed, if it failed: the rest is kept."""
    try:
        return measured()
    except EdgeAppError as error:
        sys.stderr.write(f"not measured: {error}\n")
        return None


def _progress(what: str, items: Iterable[Any]) -> Iterable[Any]:
    return show_progress(what, list(items))


if __name__ == "__main__":
    sys.exit(main())
