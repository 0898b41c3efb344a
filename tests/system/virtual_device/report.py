"""What came of a run: a table for people, JSON for machines."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """How one scenario went."""

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

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        data = {"passed": self.passed, **self.figures, "scenarios": [asdict(outcome) for outcome in self.outcomes]}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n")


def _written(figures: dict[str, Any]) -> str:
    short = {name: str(value).replace("\n", " ") for name, value in figures.items()}
    return ", ".join(
        f"{name.replace('_', ' ')} {value if len(value) < 60 else value[:57] + '...'}" for name, value in short.items()
    )
