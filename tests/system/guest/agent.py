"""Runs in the guest at the end of its boot: carries out the scenarios of a plan and tells the host how each went."""

import re
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import aftermath
import cuts
import day
import package
from bench import Bench, HostLine, run
from scenario import Scenario

import faults

PLANS: dict[str, tuple[Scenario, ...]] = {
    "day": day.SCENARIOS,
    "faults": faults.SCENARIOS,
    "package": package.SCENARIOS,
    "cuts": cuts.SCENARIOS,
    "aftermath": aftermath.SCENARIOS,
}


def main() -> None:
    """Carry out the plan that the kernel's command line names."""
    line = HostLine()
    plan, _, wanted = re.findall(r"edge_app\.plan=(\S+)", Path("/proc/cmdline").read_text())[0].partition(":")
    line.tell("up", plan=plan, kernel=Path("/proc/version").read_text().split()[2])
    bench = Bench(line)
    names = set(filter(None, wanted.split(",")))
    complete = True
    for scenario in PLANS[plan]:
        wished = not names or scenario.name.replace(" ", "-") in names
        if wished and not _carry_out(bench, scenario) and scenario.needed:
            complete = False  # the others would fail because of it
            break
    line.tell("journal", text=run("journalctl", "-b", "-o", "short-monotonic", "--no-pager", "-u", "edge-app")[-60000:])
    line.tell("kernel", text=run("dmesg", "--level=emerg,alert,crit,err,warn")[-8000:])
    line.tell("end", complete=complete)


def _carry_out(bench: Bench, scenario: Scenario) -> bool:
    bench.line.tell("begin", scenario=scenario.name, shows=scenario.shows)
    start, mark = time.monotonic(), bench.journal.mark()
    try:
        figures = scenario.carry_out(bench) or {}
        event, more = "passed", {"figures": figures}
    except Exception:  # noqa: BLE001 the host is told, and the others have their turn
        event = "failed"
        more = {"why": traceback.format_exc()[-3000:], "journal": bench.journal.lines[mark:][-60:]}
    bench.line.tell(event, scenario=scenario.name, seconds=round(time.monotonic() - start, 1), **more)
    return event == "passed"


if __name__ == "__main__":
    main()
