"""The documentation site: every page has a place, links lead on, and it builds in strict mode."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_app.web.openapi import describe
from edge_app.web.operations import OPERATIONS
from release.http_reference import http_reference
from release.site import MODULES, assemble, rewritten

REPOSITORY = Path(__file__).resolve().parents[2]


class _AnyTag(yaml.SafeLoader):
    """Reads tags that name Python objects as nothing."""


_AnyTag.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def navigation(part: Any) -> Iterator[str]:
    match part:
        case str():
            yield part
        case list():
            for one in part:
                yield from navigation(one)
        case dict():
            yield from navigation(list(part.values()))


def test_every_page_has_a_place_in_the_navigation_and_only_one(tmp_path: Path) -> None:
    assemble(tmp_path / "pages")
    config = yaml.load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"), _AnyTag)
    placed = list(navigation(config["nav"]))
    assert sorted(placed) == sorted(path.name for path in (tmp_path / "pages").glob("*.md"))
    assert config["strict"]


@pytest.mark.parametrize(
    ("text", "page", "expected"),
    [
        ("[a](../CONTRIBUTING.md#habits)", "index.md", "[a](contributing.md#habits)"),
        ("[a](docs/mqtt.md)", "contributing.md", "[a](mqtt.md)"),
        ("![a](results/search_published.png)", "calibration.md", "![a](figures/search_published.png)"),
        ("[`x`](../examples/read_network.py)", "npz.md", "`x`"),
        ("[a](state.md)", "api.md", "[a](state.md)"),
        ("[a](https://example.org/) [b](#c)", "api.md", "[a](https://example.org/) [b](#c)"),
        ("[a](nothing.md)", "api.md", "[a](nothing.md)"),
        ("`[a](../CONTRIBUTING.md)`", "api.md", "`[a](../CONTRIBUTING.md)`"),
    ],
)
def test_links_lead_to_where_things_are_on_the_site(text: str, page: str, expected: str) -> None:
    if expected == "[a](nothing.md)":
        assert rewritten(text, page) == text  # for the generator to report
    assert rewritten(text, page) == expected


def test_the_reference_has_every_operation_and_every_object() -> None:
    page = http_reference()
    for one in OPERATIONS:
        if one.documented:
            assert f"`{one.method} {one.prefix}{one.path}`" in page
    for name in describe()["components"]["schemas"]:
        assert f"\n### {name}\n" in page


def test_modules_of_the_python_reference_exist() -> None:
    for name in MODULES:
        assert importlib.util.find_spec(name) is not None, name


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_can_be_searched(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings_handlers.python", reason="needs the extra docs")
    assemble(tmp_path / "build" / "pages")
    for name in ("mkdocs.yml", "edge_app"):  # beside pages of its own: another build may run
        (tmp_path / name).symlink_to(REPOSITORY / name)
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "build" / "site"
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert json.loads(index)
    assert "nvargus-daemon" in index
    reference = (site / "python-reference.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in reference for name in MODULES)
    page = (site / "page.html").read_text(encoding="utf-8")
    assert "glightbox" in page
    loaded = re.findall(r'<(?:script|link)[^>]+(?:src|href)="(https?://[^"]+)"', page)
    assert loaded == []
