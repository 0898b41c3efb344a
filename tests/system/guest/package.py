"""The Debian package: in place of what pip installed, used, upgraded, removed, installed again, purged."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench import APP, CACHE, PYTHON, STATE, UNIT, Bench, NotSo, require, run
from day import CONFIG, PAGE, TAUGHT
from sandbox import sandbox
from scenario import Figures, Scenario

BUILDS = Path("/mnt")
EARLIER, NOW = BUILDS / "earlier.deb", BUILDS / "now.deb"
BYTECODE = BUILDS / "bytecode.tar"
"""For both builds, which have the same files. The package's script compiles what is not there or not up to date."""
PICTURES = Path("/root/pictures")
COLOURS = {"grass": "green", "sky": "blue"}
"""Class -> colour of its picture; the camera shows neither."""
STORED = Path("/root/packaged.json")
"""The examples after the package's teaching, for the scenarios that follow."""
PROGRAM = Path("/opt/edge-app")


def replaces(bench: Bench) -> Figures:
    """Install it over what pip installed: refused, with commands that make room; and once more after them."""
    run("mount", "-o", "ro", "/dev/disk/by-id/virtio-packages", str(BUILDS))
    bench.service.wait_ready()
    config = CONFIG.read_text()
    try:
        said = run("dpkg", "--install", str(EARLIER))
    except NotSo as error:
        said = str(error)
    require("was not installed by this package" in said, f"what pip installed is not mixed with the package: {said}")
    run("sh", "-ec", "\n".join(re.findall("^  (.+)", said, re.MULTILINE)))
    seconds = _install(bench, EARLIER)
    unit = bench.service.get("FragmentPath")
    require(unit.endswith("/lib/systemd/system/edge-app.service"), f"the package's unit runs: {unit}")
    require(CONFIG.read_text() == config, "the configuration is as it was")
    require(bench.stored() == json.loads(TAUGHT.read_text()), "what was taught before is there")
    bench.tells_apart()
    return {"install_s": seconds, "ready_s": round(bench.service.seconds(), 1)}


def _install(bench: Bench, package: Path) -> float:
    """Install or upgrade, until the service is ready; return the seconds that dpkg took."""
    mark, start = bench.journal.mark(), time.monotonic()
    run("dpkg", "--unpack", str(package))
    if BYTECODE.is_file():
        run("tar", "--extract", f"--file={BYTECODE}", "--directory=/")
    run("dpkg", "--configure", "edge-app")
    seconds = time.monotonic() - start
    bench.service.wait_ready()
    require(bench.service.restarts == 0, "the service came up at the first attempt")
    require(bench.service.get("UnitFileState") == "enabled", "it will start at boot")
    version = run("dpkg-deb", "--field", str(package), "Version").strip()
    require(_installed() == f"installed {version}", f"version {version} is installed")
    loaded = bench.journal.wait("loaded .*", mark).group(0)
    require("compiled=0" in loaded, f"the kernels that were compiled before are used: {loaded}")
    return round(seconds, 1)


def _installed() -> str:
    return run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "edge-app")


def api(bench: Bench) -> Figures:
    """Teach classes and let pictures be decided on through the API, with a token, by the packaged command."""
    making = ("token", "make", "teach", "--state", STATE)
    token = run(APP, *making, user="edge-app").split()[-1]
    drawing = ""
    for label, colour in COLOURS.items():
        _picture(label).parent.mkdir(parents=True)
        drawing += f"Image.new('RGB', (320, 180), '{colour}').save('{_picture(label)}'); "
    run(PYTHON, "-c", f"from PIL import Image; {drawing}")
    _command(token, "teach", "--live", "--folder", str(PICTURES))
    _decides(token)
    stored = bench.stored()
    require([example["label"] for example in stored[-2:]] == [*COLOURS], f"they are stored: {stored}")
    STORED.write_text(json.dumps(stored))
    return {}


def _picture(label: str) -> Path:
    return PICTURES / label / "picture.png"


def _command(token: str, *arguments: str) -> str:
    return run("env", f"EDGE_APP_TOKEN={token}", "edge-app", *arguments)


def _decides(token: str) -> None:
    """Let the service decide on the pictures that were taught."""
    said = _command(token, "classify", "--live", "--json", *(str(_picture(label)) for label in COLOURS))
    labels = re.findall(r'"label": "(\w+)"', said)
    require(labels == [*COLOURS], f"the pictures are decided as they were taught: {said}")


def upgrade(bench: Bench) -> Figures:
    """Install a newer build over a running service."""
    pid, config = bench.service.pid, CONFIG.read_text()
    seconds = _install(bench, NOW)
    require(bench.service.pid != pid, "the new program runs")
    require(bench.stored() == json.loads(STORED.read_text()), "what was taught is there")
    bench.tells_apart()
    require(CONFIG.read_text() == config, "the configuration is as it was")
    return {"upgrade_s": seconds}


def remove(bench: Bench) -> Figures:
    """Remove the program; what was taught stays. The ways in (tests/release) install it again."""
    pid = bench.service.pid
    start = time.monotonic()
    run("dpkg", "--remove", "edge-app")
    seconds = time.monotonic() - start
    _gone(bench, pid)
    require(CONFIG.is_file(), "the configuration stays")
    require(Path(STATE, "examples.sqlite").is_file(), "what was taught stays")
    return {"remove_s": round(seconds, 1)}


def _gone(bench: Bench, pid: int) -> None:
    """Require that nothing of the program is left, on disk or running."""
    require(bench.service.get("LoadState") == "not-found", "the unit is gone")
    require(not Path("/proc", str(pid)).exists(), "the process has ended")
    require(not PROGRAM.exists() and not os.path.lexists("/usr/bin/edge-app"), "the program is gone")
    try:
        with urllib.request.urlopen(PAGE):
            pass
    except urllib.error.URLError:
        return
    raise NotSo("the page is still served")


def purge(bench: Bench) -> Figures:
    """Remove all that the removed program left; the state's disk stays mounted."""
    run("dpkg", "--purge", "edge-app")
    require(os.path.ismount(STATE), "the disk of the state is still mounted")
    left = [path for path in Path(STATE).iterdir() if path.name != "lost+found"]
    require(not left, f"the state is gone: {left}")
    require(not Path(CACHE).exists() and not CONFIG.parent.exists(), "compiled kernels and configuration are gone")
    units = [str(path) for path in Path("/etc/systemd/system").rglob(f"{UNIT}*")]
    require(not units, f"nothing of the unit is left: {units}")
    status = run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n").splitlines()
    require(not [line for line in status if line.endswith(" edge-app")], "dpkg does not know it any more")
    return {}


SCENARIOS = (
    Scenario("replaces pip", "the package refuses to mix with pip's, then takes its place", replaces, True),
    Scenario("API", "classes taught and decided over the API of the package's service", api, True),
    Scenario("sandbox", "the package's unit denies what it claims to", sandbox),
    Scenario("upgrade", "a newer build over a running service: state and configuration stay", upgrade, True),
    Scenario("remove", "program, unit and process are gone, state and configuration stay", remove, True),
    Scenario("purge", "state, configuration and units are gone", purge),
)
