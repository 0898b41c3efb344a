"""Assembles the pages of the documentation site: docs/, other pages of the repository, and the API references.

`python -m release.site` writes them into build/pages, from where MkDocs takes them. Pages keep
the links that work in the repository. On the site a link to a page that is on it leads there; a link to any other file
of the repository becomes its text.
"""

import re
import shutil
from pathlib import Path, PurePosixPath
from posixpath import normpath

from release import REPOSITORY
from release.http_reference import http_reference

HOME = "index.md"
PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
    "README.md": HOME,
    "calibration/README.md": "calibration.md",
    "calibration/results/ablation.md": "calibration-ablation.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""File of the repository -> page of the site; README's place is that of the home page, docs/index.md."""
FIGURES = (
    "benchmarks/results/soak.png",
    "calibration/results/search_decorrelated.png",
    "calibration/results/search_published.png",
)
MODULES = (
    "edge_app.classifier",
    "edge_app.device",
    "edge_app.pipeline.events",
    "edge_app.pipeline.commands",
    "edge_app.messages",
    "edge_app.devices.ports",
    "edge_app.simulation.devices",
    "edge_app.simulation.scene",
    "edge_app.colanet.params",
    "edge_app.colanet.network",
    "edge_app.colanet.reference",
    "edge_app.encoder.ratecode",
    "edge_app.client",
    "edge_app.errors",
)
"""Of the Python reference."""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def assemble(folder: Path) -> None:
    """Write the pages, figures and references of the site into a folder, which is emptied before."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs", folder)
    for source in FIGURES:
        shutil.copy(REPOSITORY / source, folder / figure_place(source))
    for page in folder.glob("*.md"):
        page.write_text(rewritten(page.read_text(encoding="utf-8"), page.name), encoding="utf-8")
    for source, place in PAGES.items():
        if place != HOME:
            text = (REPOSITORY / source).read_text(encoding="utf-8")
            (folder / place).write_text(rewritten(text, place), encoding="utf-8")
    (folder / "http-reference.md").write_text(http_reference(), encoding="utf-8")
    (folder / "python-reference.md").write_text(python_reference(), encoding="utf-8")


def rewritten(markdown: str, place: str) -> str:
    """Return the text of the page at a place of the site, its links changed; code is left alone."""
    sources = {page: source for source, page in PAGES.items() if page != HOME}
    source = PurePosixPath(sources.get(place, f"docs/{place}"))
    parts = re.split(r"(^```.*?^```|`[^`\n]+`(?!\]))", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [LINK.sub(lambda match: _link(match, source), part) for part in parts[::2]]
    return "".join(parts)


def _link(match: re.Match[str], source: PurePosixPath) -> str:
    image, text, target = match.groups()
    path, mark, anchor = target.partition("#")
    if not path or ":" in path:
        return match[0]
    wanted = normpath((source.parent / path).as_posix())
    found = site_place(wanted)
    if found is None:
        return match[0] if not (REPOSITORY / wanted).exists() else text
    return f"{image}[{text}]({found}{mark}{anchor})"


def site_place(path: str) -> str | None:
    """Return the place of a file of the repository on the site, None if it is not there."""
    if path in PAGES:
        return PAGES[path]
    if path in FIGURES:
        return figure_place(path)
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def figure_place(source: str) -> str:
    """Return the place of a figure from outside docs/."""
    return f"figures/{Path(source).name}"


def python_reference() -> str:
    """Return the page that mkdocstrings fills from the docstrings."""
    head = "# Python reference\n\n[From Python](python.md) shows how the parts are used.\n"
    return "\n".join([head, *(f"::: {name}\n" for name in MODULES)])


if __name__ == "__main__":
    assemble(REPOSITORY / "build" / "pages")
