"""The arrows of the package point down: who may import whom, inside functions too, and what an import may not load."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "edge_app"

GROUND = {
    "checks",
    "closing",
    "errors",
    "files",
    "labels",
    "messages",
    "roles",
    "secret_files",
    "text",
}
MAY_IMPORT = {
    "closing": set(),
    "errors": set(),
    "files": {"errors"},
    "secret_files": {"errors"},
    "text": set(),
    "version": set(),
    "unzip": {"errors"},
    "privileges": {"errors", "files"},
    "messages": set(),
    "checks": {"errors", "labels"},
    "labels": {"errors", "text"},
    "roles": set(),
    "colanet": GROUND,
    "encoder": GROUND | {"datasets"},
    "datasets": {"closing", "errors", "files", "text", "unzip"},
    "events": GROUND | {"unzip"},
    "devices": GROUND | {"datasets", "events"},
    "simulation": GROUND | {"devices"},
    "storage": GROUND | {"config", "datasets", "unzip"},
    "machine": set(),
    "confidence": GROUND,
    "rejection": GROUND | {"confidence"},
    "malloc": set(),
    "client": GROUND,
    "kernel_cache": GROUND | {"colanet", "encoder"},
    "config": GROUND | {"devices"},
    "logs": {"text"},
    "learner": GROUND | {"colanet", "confidence", "config", "datasets", "encoder", "storage"},
    "spiking": GROUND | {"encoder"},
    "evaluation": GROUND | {"colanet", "confidence", "rejection", "config", "datasets", "encoder", "events", "learner"},
    "profiling": GROUND
    | {"colanet", "config", "datasets", "encoder", "devices", "evaluation", "learner", "machine"}
    | {"pipeline", "simulation", "storage"},
    "demo": GROUND
    | {"config", "devices", "encoder", "events", "kernel_cache", "learner", "pipeline", "simulation", "storage"},
    "rules": GROUND | {"config", "devices", "history", "pipeline", "storage"},
    "pipeline": GROUND | {"confidence", "rejection", "config", "devices", "learner", "storage"},
    "history": GROUND | {"config", "devices", "learner", "pipeline", "storage"},
    "control": GROUND
    | {"config", "datasets", "devices", "history", "learner", "pipeline", "rejection", "rules", "storage", "unzip"},
    "mqtt": GROUND | {"config", "control", "storage", "unzip"},
    "web": GROUND | {"config", "control", "history", "storage"},
    "service": GROUND | {"devices", "pipeline"},
    "doctor": GROUND | {"devices", "encoder", "history", "storage"},
    "composition": GROUND
    | {"config", "control", "devices", "encoder", "history", "kernel_cache", "learner", "logs", "mqtt", "pipeline"}
    | {"rules", "storage", "web"},
    "app": GROUND
    | {
        "composition",
        "config",
        "devices",
        "malloc",
        "learner",
        "logs",
        "mqtt",
        "pipeline",
        "service",
        "storage",
        "web",
    },
    "classifier": GROUND | {"learner", "pipeline", "rejection", "storage"},
    "device": GROUND | {"classifier", "composition", "config", "control", "devices", "learner", "pipeline", "storage"},
    "commands": GROUND
    | {"app", "privileges", "profiling", "client", "colanet", "config", "confidence", "datasets", "demo", "devices"}
    | {
        "doctor",
        "encoder",
        "evaluation",
        "history",
        "kernel_cache",
        "learner",
        "logs",
        "machine",
        "pipeline",
        "rejection",
        "rules",
        "spiking",
        "storage",
        "version",
        "web",
    },
    "cli": {"errors", "commands", "text", "version"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""part of the package -> parts that it may import besides itself and `edge_app` (the version)."""

HEAVY = (
    "numba",
    "cv2",
    "ai_edge_litert",
    "tflite_runtime",
    "scipy",
    "sklearn",
    "matplotlib",
    "skimage",
    "paho",
    "faery",
)


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the whole module"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str | None:
    """The part of edge_app that a dotted name belongs to; None for the package itself and for other packages."""
    first, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return part if first == "edge_app" and part in MAY_IMPORT else None


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_arrows_point_down(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert part in MAY_IMPORT, f"{path.name}: a new part; say in MAY_IMPORT what it may import"
    wrong = {name for name in imports(path) if (other := part_of(name)) and other != part} - {
        name for name in imports(path) if part_of(name) in MAY_IMPORT[part]
    }
    assert not wrong, f"{part} imports {sorted(wrong)}"


def test_the_map_of_layers_has_no_circle_and_no_dead_entry() -> None:
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in files()} == set(MAY_IMPORT)
    settled: set[str] = set()
    while waiting := MAY_IMPORT.keys() - settled:
        free = {part for part in waiting if MAY_IMPORT[part] <= settled}
        assert free, f"a circle among {sorted(waiting)}"
        settled |= free


def test_the_table_of_parts_is_complete_and_in_order() -> None:
    """CONTRIBUTING.md says that a part may import those in rows above its own, or in it."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| part | content |")[2]
    rows = [line.split("|")[1] for line in text.partition("\n\n")[0].splitlines() if line.startswith("| `")]
    place = {part: number for number, row in enumerate(rows) for part in re.findall(r"`(\w+)/?`", row)}
    assert set(place) == set(MAY_IMPORT) - {"__init__", "__main__"}
    wrong = [(part, other) for part in place for other in MAY_IMPORT[part] & place.keys() if place[other] > place[part]]
    assert not wrong


@pytest.mark.parametrize(
    "module",
    [
        "edge_app",
        "edge_app.classifier",
        "edge_app.cli",
        "edge_app.device",
        "edge_app.learner",
        "edge_app.devices",
        "edge_app.app",
        "edge_app.mqtt.settings",
    ],
)
def test_import_does_no_work(module: str) -> None:
    code = f"import {module}, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_the_command_line_exits_the_process() -> None:
    for path in files():
        if path.relative_to(PACKAGE).as_posix() not in ("cli.py", "privileges.py"):  # privileges ends a forked child
            calls = [
                ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
            ]
            assert not {"sys.exit", "os._exit", "exit", "quit"} & set(calls), path
