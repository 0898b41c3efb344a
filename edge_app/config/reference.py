"""The documented configuration, written from the sections' declarations: systemd/config.toml and docs/configuration.md.

`python -m edge_app.config.reference` (`make config-docs`) writes both into the checkout.
"""

import re
import textwrap
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from edge_app.checks import Check
from edge_app.config.loading import NEEDS_RESTART, defaults_of, lists, sections
from edge_app.config.section import Section

CHECKOUT = Path(__file__).resolve().parents[2]
WIDTH = 120
# textwrap breaks at blanks only: a range stays on one line
NO_BREAK = "\N{NO-BREAK SPACE}"

EXAMPLE_HEAD = """\
# The configuration of edge-app: every key with its default. Remove the # in front of a key to set it.
# `edge-app check-config FILE` checks a file. `systemctl reload edge-app` applies
# {reloaded}; the other sections need `systemctl restart edge-app`.
"""

PAGE_HEAD = """\
# Configuration

`edge-app run --config FILE` reads a TOML file; the service reads `/etc/edge-app/config.toml`. Every key has a default,
so an empty file is valid. `edge-app check-config FILE` checks a file: an unknown key or a value out of its range is
rejected with an error that names it. `systemctl reload edge-app` applies
{reloaded}; the other sections need `systemctl restart edge-app`.

This page and `systemd/config.toml` are written from the declarations in `edge_app/config/sections.py` by
`make config-docs`.
"""


def example() -> str:
    """Return the text of systemd/config.toml: all keys with their descriptions and defaults, commented out."""
    parts = [EXAMPLE_HEAD.format(reloaded=_reloaded("[{}]"))]
    for name, section in sections().items():
        lines = [f"[{name}]"]
        for entry in _keys(section):
            about = f"{_description(entry)} {_range(entry)}".rstrip()
            wrapped = textwrap.wrap(about, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
            lines += [line.replace(NO_BREAK, " ") for line in wrapped]
            lines.append(f"#{entry.name} = {_toml(defaults_of(section)[entry.name])}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts + [_example_of_list(name, section) for name, section in lists().items()])


def _example_of_list(name: str, section: type[Section]) -> str:
    """Return the lines of sections of which there may be several; the header is commented out too."""
    lines = textwrap.wrap(_summary(section), WIDTH, initial_indent="# ", subsequent_indent="# ")
    lines.append(f"#[[{name}]]")
    for entry in _keys(section):
        about = f"{_description(entry)} {_range(entry)}".rstrip()
        wrapped = textwrap.wrap(about, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        lines += [line.replace(NO_BREAK, " ") for line in wrapped]
        lines.append(f"#  {entry.name} = {_toml(defaults_of(section)[entry.name])}")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the text of docs/configuration.md: a table for each section."""
    parts = [PAGE_HEAD.format(reloaded=_reloaded("`[{}]`"))]
    titles = {name: f"[{name}]" for name in sections()} | {name: f"[[{name}]]" for name in lists()}
    for name, section in (sections() | lists()).items():
        lines = [f"## {titles[name]}", "", _summary(section), ""]
        lines += ["| key | default | range | description |", "|---|---|---|---|"]
        for entry in _keys(section):
            default = _toml(defaults_of(section)[entry.name])
            about = re.sub(r"docs/([\w-]+)\.md", r"[\1](\1.md)", _description(entry))
            lines.append(f"| `{entry.name}` | `{default}` | {_check(entry).limits} | {about} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _summary(section: type[Section]) -> str:
    summary = (section.__doc__ or "").partition(": ")[2]
    return summary[0].upper() + summary[1:]


def _keys(section: type[Section]) -> tuple[Field[Any], ...]:
    # a list's name comes first, also where the other keys are inherited
    return tuple(sorted(fields(section), key=lambda entry: entry.name != "name"))  # type: ignore[arg-type]


def _check(entry: Field[Any]) -> Check[Any]:
    check: Check[Any] = entry.metadata["check"]
    return check


def _description(entry: Field[Any]) -> str:
    return str(entry.metadata["description"])


def _range(entry: Field[Any]) -> str:
    """Return the range as a sentence that is not broken; empty where the description names the choices."""
    limits = _check(entry).limits
    choices = re.findall('"[^"]+"', limits)
    if not limits or (choices and all(choice in _description(entry) for choice in choices)):
        return ""
    return f"{'One of' if choices else 'Range:'} {limits}.".replace(" ", NO_BREAK)


def _reloaded(form: str) -> str:
    names = [form.format(name) for name in sections() if name not in NEEDS_RESTART]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case tuple() | list():
            return f"[{', '.join(map(_toml, value))}]"
        case int() | float():
            return str(value)
        case _:
            return "{}"


if __name__ == "__main__":
    (CHECKOUT / "systemd" / "config.toml").write_text(example(), encoding="utf-8")
    (CHECKOUT / "docs" / "configuration.md").write_text(page(), encoding="utf-8")
