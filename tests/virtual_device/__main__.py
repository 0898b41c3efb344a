"""`make test-system`: build the virtual device, boot it, and tell how each scenario went."""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from virtual_device import REPOSITORY, needs
from virtual_device.build import build
from virtual_device.layers import Cache, default_folder
from virtual_device.packages import CommandFailed
from virtual_device.report import Report
from virtual_device.run import Run


def main() -> int:
    """Return 0 when all scenarios passed, 1 when one failed, 77 when something is missing to run them."""
    args = _arguments()
    missing = needs.missing()
    if missing:
        print("the virtual device cannot be run here; it needs:", *missing, sep="\n  ", file=sys.stderr)
        return needs.SKIPPED
    start = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - start:6.1f} s] {text}", file=sys.stderr, flush=True)

    args.out.mkdir(parents=True, exist_ok=True)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="virtual-device-", dir=args.scratch) as scratch:
        try:
            device = build(Cache(args.cache, tell), Path(scratch), accelerator=args.accelerator)
        except CommandFailed as error:
            print(f"the virtual device cannot be built: {error}", file=sys.stderr)
            return 1
        report.figures["build_s"] = round(time.monotonic() - start, 1)
        run = Run(device, Path(scratch), args.out, report, tell, cuts=args.cuts, seed=args.seed)
        if args.only:
            run.only(args.only)
        else:
            run.all()
    report.figures["whole_run_s"] = round(time.monotonic() - start, 1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report.figures["processor_s"] = round(used.ru_utime + used.ru_stime, 1)
    report.write(args.out / "report.json")
    print(report.table())
    if args.keep:
        report.write(REPOSITORY / "benchmarks" / "results" / "system.json")
        report.fill(REPOSITORY / "docs" / "virtual-device.md")
    return 0 if report.passed else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-system", description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_folder(), metavar="DIR", help="what is kept between runs")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "build" / "system", metavar="DIR", help="report and logs"
    )
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where disks of this run lie, some gigabytes")
    parser.add_argument("--cuts", type=int, default=10, metavar="N", help="power cuts (default: 10)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, metavar="N", help="of the cuts' moments")
    parser.add_argument("--accelerator", metavar="NAME", help="QEMU's -accel (default: tcg, which runs everywhere)")
    parser.add_argument(
        "--only",
        action="append",
        metavar="PLAN[:SCENARIO,...]",
        help="boot with this plan only, such as day:install,ready,teaches,tells-apart,rules; may be repeated",
    )
    parser.add_argument("--keep", action="store_true", help="put the outcome into the docs' table too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
