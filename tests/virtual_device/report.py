"""The results of a run: a table for people, JSON for programs."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MARKS = r"(<!-- scenarios, by make test-system KEEP=1 -->\n).*?(\n<!-- end -->)"


@dataclass(frozen=True)
class Outcome:
    """The result of one scenario."""

    plan: str
    scenario: str
    shows: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    """Why it failed; empty when it did not."""


@dataclass
class Report:
    """All outcomes, in the order in which they came, and what the run itself took."""

    outcomes: list[Outcome] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every scenario went as it should, and there was one."""
        return bool(self.outcomes) and not any(outcome.why for outcome in self.outcomes)

    def table(self) -> str:
        """Return a line a scenario."""
        head = ("", "scenario", "what it shows", "s", "figures")
        rows = [
            ("FAILED" if o.why else "passed", o.scenario, o.shows, f"{o.seconds:.1f}", _written(o.figures))
            for o in self.outcomes
        ]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
        lines = []
        for status, name, shows, seconds, figures in [head, *rows]:
            start = f"{status:<{widths[0]}}  {name:<{widths[1]}}  {shows:<{widths[2]}}  {seconds:>{widths[3]}}"
            lines.append(f"{start}  {figures}".rstrip())
        return "\n".join([*lines, "", _written(self.figures)])

    def markdown(self) -> str:
        """Return a table of the scenarios with their times, and a line on the run."""
        rows = [
            f"| {o.plan} | {o.scenario} | {'FAILED' if o.why else 'passed'} | {o.seconds:.0f} | {_numbers(o.figures)} |"
            for o in self.outcomes
        ]
        head = ["| boot | scenario | | s | figures |", "|---|---|---|---:|---|"]
        return "\n".join([*head, *rows, "", f"The run: {_numbers(self.figures)}."])

    def fill(self, page: Path) -> None:
        """Put the table between the page's marks. Raises ValueError when it has lost them."""
        text, filled = re.subn(MARKS, lambda m: m[1] + self.markdown() + m[2], page.read_text(), flags=re.DOTALL)
        if filled != 1:
            raise ValueError(f"{page} has lost the marks around its table of scenarios: {MARKS}")
        page.write_text(text)

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        data = {"passed": self.passed, **self.figures, "scenarios": [asdict(outcome) for outcome in self.outcomes]}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n")


def _numbers(figures: dict[str, Any]) -> str:
    """Return the figures that are short enough for a table: numbers, and lists of them."""
    kept = {name: value for name, value in figures.items() if not isinstance(value, str)}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in kept.items())


def _written(figures: dict[str, Any]) -> str:
    short = {name: str(value).replace("\n", " ") for name, value in figures.items()}
    return ", ".join(
        f"{name.replace('_', ' ')} {value if len(value) < 60 else value[:57] + '...'}" for name, value in short.items()
    )
