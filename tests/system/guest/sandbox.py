"""The unit's sandbox, tried from within: a probe runs under the very same settings, and once more without them."""

import json
import re
from pathlib import Path

from bench import GUEST, PYTHON, UNIT, Bench, require, run
from scenario import Figures

PROBE_UNIT = Path("/run/systemd/system/edge-app-probe.service")
OWN = (
    "Type",
    "NotifyAccess",
    "ExecStart",
    "ExecReload",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "WatchdogSec",
    "[Install]",
    "WantedBy",
)
"""Settings that differ between the service, which keeps running, and the probe, a program that ends."""
COMPARED = (
    "User", "SupplementaryGroups", "NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem", "ProtectHome",
    "PrivateTmp", "PrivateNetwork", "PrivateIPC", "IPAddressDeny", "IPAddressAllow", "ProtectClock",
    "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
    "ProtectProc", "LockPersonality", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
    "RestrictSUIDSGID", "SystemCallFilter", "SystemCallArchitectures", "DevicePolicy", "DeviceAllow", "MemoryMax",
    "StateDirectory", "CacheDirectory", "UMask", "TasksMax",
)  # fmt: skip
NEEDED = "needed: "
"""Prefix, in the probe's answer, of an operation that the service needs; all others must be denied."""


def sandbox(bench: Bench) -> Figures:
    """Run the probe both ways: what is denied within must be possible without, or its denial shows nothing."""
    run("modprobe", "dummy")
    run("ip", "link", "add", "outside", "type", "dummy")
    run("ip", "addr", "add", "192.0.2.1/24", "dev", "outside")
    run("ip", "link", "set", "outside", "up")
    unit = _same_settings()
    probe = f"{GUEST}/probe.py"
    PROBE_UNIT.write_text(
        f"{unit}\nType=oneshot\nExecStart={PYTHON} -B {probe} {bench.service.pid} {bench.lines.chip}\n"
    )
    run("systemctl", "daemon-reload")
    own, probes = (bench.service.show(*COMPARED, unit=name) for name in (UNIT, PROBE_UNIT.stem))
    require(own == probes, f"the probe's settings are the unit's: {set(own.items()) ^ set(probes.items())}")
    within = _answers(_run_within())
    without = _answers(run(PYTHON, "-B", probe, str(bench.service.pid), bench.lines.chip))
    PROBE_UNIT.unlink()
    run("ip", "link", "del", "outside")
    wrong = [f"{name}: {answer}" for name, answer in within.items() if (answer == "done") != name.startswith(NEEDED)]
    require(not wrong, f"within the sandbox, expected otherwise: {wrong}")
    idle = [f"{name}: {answer}" for name, answer in without.items() if answer != "done"]
    require(not idle, f"without the sandbox all of it is possible, or the probe shows nothing: {idle}")
    denied = sum(not name.startswith(NEEDED) for name in within)
    return {"denied": denied, "allowed": len(within) - denied}


def _same_settings() -> str:
    """Return the installed unit with its drop-ins, without what makes it live on."""
    text = run("systemctl", "cat", UNIT)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "\n".join(line for line in lines if line.partition("=")[0] not in OWN)


def _run_within() -> str:
    run("systemctl", "start", PROBE_UNIT.stem)
    return run("journalctl", "-b", "-o", "cat", "-u", PROBE_UNIT.stem, "--no-pager")


def _answers(text: str) -> dict[str, str]:
    found = re.findall(r"^PROBE (.*)$", text, re.MULTILINE)
    require(found, f"the probe answered: {text[-1500:]}")
    answers: dict[str, str] = json.loads(found[-1])
    return answers
