"""The structure of the code, counted: names defined twice, import cycles, long functions, docstrings."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("edge_app", "calibration", "benchmarks")

SCHEMA_MIRRORS = frozenset(
    {
        "Action",
        "ClassReport",
        "Decision",
        "Example",
        "HeatMap",
        "Health",
        "Imported",
        "Taught",
        "Teach",
        "Undo",
    }
)
"""Objects of the device that the API's schema describes under the same name: its OpenAPI components."""

LONG, TOO_LONG = 40, 60
"""No function may have more than TOO_LONG lines, and no more than MOST_LONG functions more than LONG."""
MOST_LONG = 8


@cache
def modules() -> Mapping[str, ast.Module]:
    """Dotted name -> syntax tree of every module of the package and of the code beside it."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def public_classes() -> dict[str, set[str]]:
    """Name of each public class at the top of a module -> the modules that define it."""
    where = defaultdict(set)
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].add(module)
    return where


def imported(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield the modules of this project that a module imports: at the top, in functions, and for its types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for found in names:
            target = found if found in modules() else found.rpartition(".")[0]
            if target in modules() and target != name:
                yield target


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another (strongly connected components; Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        path.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
            if other in path:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            start = path.index(node)
            group = path[start:]
            del path[start:]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def functions() -> Iterator[tuple[int, str]]:
    """Yield lines, decorators not counted, and name of every function and method."""
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{module}.{node.name}"


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield place and text of every docstring, and of every text that stands below an attribute."""
    for module, tree in modules().items():
        for node in ast.walk(tree):
            match node:
                case ast.Expr(ast.Constant(str(text))):
                    yield f"{module}:{node.lineno}", text


def test_a_public_class_name_is_defined_once() -> None:
    twice = {name: sorted(where) for name, where in public_classes().items() if len(where) > 1}
    print(f"public class names defined in several modules: {len(twice)}")
    wrong = {
        name: where
        for name, where in twice.items()
        if not (
            name in SCHEMA_MIRRORS and len(where) == 2 and {"edge_app.web.inputs", "edge_app.web.schema"} & {*where}
        )
    }
    assert len(SCHEMA_MIRRORS) <= 10
    assert not wrong


def test_no_modules_import_one_another() -> None:
    found = cycles({name: set(imported(name, tree)) for name, tree in modules().items()})
    print(f"import cycles: {len(found)}")
    assert found == []


def test_a_cycle_would_be_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}
    assert cycles(graph) == [["a", "b", "c"]]


def test_functions_are_short() -> None:
    long = sorted(((lines, name) for lines, name in functions() if lines > LONG), reverse=True)
    too_long = [found for found in long if found[0] > TOO_LONG]
    print(f"functions over {TOO_LONG} lines: {len(too_long)}, over {LONG}: {len(long)}")
    assert too_long == []
    assert len(long) <= MOST_LONG, long


def test_docstrings_do_not_begin_with_what() -> None:
    asking = [place for place, text in docstrings() if text.startswith("What ")]
    print(f"docstrings that begin with What: {len(asking)}")
    assert asking == []
