"""The boots of one run: a first day; from the disks it left faults, Debian package, power cuts with their aftermath."""

import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from support.builds import target_of
from virtual_device.build import Device
from virtual_device.debs import make_packages_disk
from virtual_device.image import make_disk, suite
from virtual_device.machine import Disk, Event, GuestSilent, Machine
from virtual_device.packages import CommandFailed
from virtual_device.packages import run as command
from virtual_device.powercut import replay
from virtual_device.report import Outcome, Report

PLANS = ("day", "faults", "package", "cuts", "aftermath")
Plans = dict[str, Callable[[], object]]
"""Plan -> what carries it out."""
MOST_TAUGHT = 3
"""Examples after which the plug is pulled, at most, somewhere in the teaching of the next."""
MATERIAL_SIZE = "64M"


class Run:
    """One run; `report` takes the outcomes, `out` the logs."""

    def __init__(
        self,
        device: Device,
        scratch: Path,
        out: Path,
        report: Report,
        tell: Callable[[str], None],
        *,
        cuts: int,
        seed: int,
    ) -> None:
        self._device = device
        self._scratch = scratch
        self._out = out
        self._report = report
        self._tell = tell
        self._cuts = cuts
        self._seed = seed
        self._chance = random.Random(seed)
        self._shows: dict[str, str] = {}

    def all(self) -> None:
        """Carry all of it out."""
        if not self._boot("day", self._device.disks(self._material("day"))):
            return
        # each begins with the disks that the day left, and keeps little more than a core busy
        self._carry_out({"faults": self._faults, "package": self._package, "cuts": self._power_cuts})
        self._report.outcomes.sort(key=lambda outcome: PLANS.index(outcome.plan))

    def _carry_out(self, plans: Plans) -> None:
        """Carry out two at a time; one that fails does not keep the others from their turn."""
        with ThreadPoolExecutor(2) as pool:
            tasks = {plan: pool.submit(carry_out) for plan, carry_out in plans.items()}
            for plan, task in tasks.items():
                try:
                    task.result()
                except (GuestSilent, CommandFailed, OSError) as error:
                    self._fail(plan, time.monotonic(), str(error))

    def only(self, plans: list[str]) -> None:
        """Boot with these plans alone, one after the other; "day:install,ready" names scenarios of a plan."""
        for plan in plans:
            if plan.partition(":")[0] == "package":
                self._package(plan)
            elif not self._boot(plan, self._device.disks(self._material(plan.partition(":")[0]))):
                return

    def _faults(self) -> None:
        self._boot("faults", self._device.disks(self._material("faults"), keep=False))

    def _package(self, plan: str = "package") -> None:
        """Give the guest two builds of the Debian package."""
        target = target_of(suite())
        if target is None:
            self._tell(f"package: left out, there is no Debian package for {suite()}")
            return
        image = self._scratch / "packages.img"
        make_packages_disk(image, target)
        packages = Disk("packages", image, "read")
        self._boot(plan, self._device.disks(self._material("package"), packages, keep=False))

    def _power_cuts(self) -> None:
        """Suspend a device that is ready; let it live on, and cut it, ten times from there."""
        device = self._device._replace(root=self._copy(self._device.root), state=self._copy(self._device.state))
        memory, material = self._scratch / "memory", self._material("cuts")
        stored = self._suspend(device.disks(material), memory, device)
        if stored is None:
            return
        visits = stored.pop("visits")
        lives = [self._life(number, device, material, memory, stored["examples"]) for number in range(self._cuts)]
        (self._out / "cuts.json").write_text(json.dumps({"seed": self._seed, "cuts": lives}, indent=1) + "\n")
        last = self._copy(self._scratch / f"cut{self._cuts - 1}.img", "last.img")
        disks = [Disk(f"cut{number}", self._scratch / f"cut{number}.img") for number in range(self._cuts)]
        told = {"visits": visits, "cuts": lives}
        material = self._material("aftermath", {"cuts.json": json.dumps(told)})
        self._boot("aftermath", device._replace(state=last).disks(material, *disks))

    def _life(self, number: int, device: Device, material: Path, memory: Path, stored: list[Any]) -> dict[str, Any]:
        """Let the device live on until its plug is pulled; leave its disk as cutN.img, and return what it told."""
        state = Disk("state", self._copy(device.state, f"cut{number}.img"), "logged")
        disks = [Disk("root", device.root, "scratch"), Disk("material", material, "read"), state]
        life = self._cut(number, disks, memory, stored)
        self._copy(device.state, state.path.name)
        cut = replay(state.log, state.path, self._chance)
        state.log.unlink()
        told = f"{len(life['taught'])} acknowledged in {life['life_s']} s"
        self._tell(f"cut {number}: {told}; {cut.lost} unflushed writes lost, {cut.kept} kept")
        return {**life, **cut._asdict()}

    def _suspend(self, disks: list[Disk], memory: Path, device: Device) -> dict[str, list[Any]] | None:
        """Boot until the service is ready, and put the memory into a file; return the examples and visits stored."""
        with Machine(device.qemu, device.kernel, disks, "cuts", self._scratch / "cuts") as machine:
            for event in machine.events():
                if event["event"] == "ready to cut":
                    machine.suspend(memory)
                    return {"examples": event["stored"], "visits": event["visits"]}
                self._note("cuts", event)
        self._report.outcomes.append(Outcome("cuts", "power cuts", "a device to cut", 0.0, why="it did not get ready"))
        return None

    def _cut(self, number: int, disks: list[Disk], memory: Path, stored: list[list[Any]]) -> dict[str, Any]:
        """Let the device live on from where it was suspended, and pull the plug; return what it acknowledged."""
        folder = self._scratch / f"life{number}"
        device = self._device
        wanted, share = self._chance.randint(1, MOST_TAUGHT), self._chance.random()
        with Machine(device.qemu, device.kernel, disks, "cuts", folder, restored=memory) as machine:
            machine.resume()
            machine.tell("go")
            start = time.monotonic()
            heard = []
            for event in machine.events():
                heard.append(event)
                if event["event"] != "acknowledged" or len(heard) == wanted:
                    break
            # somewhere in the teaching of the next one, whose length is known by now
            life_s = (time.monotonic() - start) * (1 + share / len(heard))
            heard += machine.events_until(start + life_s)
            machine.cut()
            heard += machine.events()  # what it had said, and nobody had heard yet
        for event in heard:
            if event["event"] != "acknowledged":
                raise GuestSilent(f"teaching failed before cut {number}: {event}")
        taught = [[event["example"], event["label"]] for event in heard]
        return {"life_s": round(life_s, 2), "taught": taught, "acknowledged": [*stored, *taught]}

    def _boot(self, plan: str, disks: list[Disk]) -> bool:
        """Boot with a plan, until the guest switches itself off; return whether others can build on it."""
        self._tell(f"{plan}: booting")
        start = time.monotonic()
        ended: Event | None = None
        try:
            with Machine(
                self._device.qemu, self._device.kernel, disks, plan, self._scratch / plan.partition(":")[0]
            ) as machine:
                for event in machine.events():
                    ended = event if event["event"] == "end" else ended
                    self._note(plan, event)
                console = machine.console.read_text(errors="replace")
        except GuestSilent as error:
            self._fail(plan, start, str(error))
            return False
        (self._out / f"console-{plan}.log").write_text(console)
        if ended is None:
            self._fail(plan, start, f"the guest ended before its plan did; its console: {console[-3000:]}")
        return ended is not None and bool(ended["complete"])

    def _fail(self, plan: str, start: float, why: str) -> None:
        self._tell(f"{plan}: FAILED: {why}")
        seconds = time.monotonic() - start
        self._report.outcomes.append(Outcome(plan, "the boot itself", "it comes up, and tells", seconds, why=why))

    def _note(self, plan: str, event: Event) -> None:
        kind = event["event"]
        if kind == "up":
            self._report.figures.setdefault("kernel", event["kernel"])
            self._report.figures[f"{plan}_boot_s"] = round(event["uptime"], 1)
            self._tell(f"{plan}: up {event['uptime']} s after its kernel's start")
        elif kind == "begin":
            self._shows[plan] = event["shows"]
        elif kind in ("passed", "failed"):
            why = "" if kind == "passed" else "\n".join([event["why"], *event["journal"]])
            name, seconds = event["scenario"], event["seconds"]
            self._report.outcomes.append(Outcome(plan, name, self._shows[plan], seconds, event.get("figures", {}), why))
            self._tell(f"{plan}: {name} {kind} in {seconds} s {event.get('figures') or ''}{why and chr(10)}{why}")
        elif kind in ("journal", "kernel"):
            (self._out / f"{kind}-{plan}.log").write_text(event["text"])

    def _copy(self, path: Path, name: str | None = None) -> Path:
        target = self._scratch / (name or f"{path.stem}-copy{path.suffix}")
        command(["cp", "--sparse=always", path, target])
        return target

    def _material(self, plan: str, more: dict[str, str] | None = None) -> Path:
        """Return the disk of what the guest is given."""
        target = self._scratch / f"material-{plan}.img"
        for name, text in (more or {}).items():
            (self._device.material / name).write_text(text)
        make_disk(target, MATERIAL_SIZE, self._device.material)
        return target
