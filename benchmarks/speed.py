"""`python -m benchmarks.speed`: write README.md's table of times from the kept results of `make bench`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = {
    "encoder_invoke_ms": "encoder alone, in a bare loop",
    "preprocess_ms": "crop and scale a 640 x 480 frame",
    "rate_code_ms": "embedding to spike counts",
    "decide_ms": "decide among {classes} classes",
    "frame_ms": "**whole frame, one after the other**",
    "learn_ms": "learn one example",
}


def table(result: dict[str, Any]) -> str:
    """Return the Markdown of one result of `edge-app bench`."""
    machine, encoder = result["machine"], result["encoder_invoke_ms"]["p50"]
    lines = [
        f"{machine['cpu']}, {result['threads']} thread, {machine['runtime']}, {machine['system'].split()[-1]}:",
        "",
        "| | ms, median | p95 | of the encoder's time |",
        "|---|---:|---:|---:|",
    ]
    for key, words in STEPS.items():
        times = result[key]
        name = words.format(classes=result["classes"])
        lines.append(f"| {name} | {times['p50']:.2f} | {times['p95']:.2f} | {times['p50'] / encoder:.2f} |")
    lines += [
        "",
        f"Start to the first decision, kernels compiled before: {result['startup_s']:.2f} s. Resident memory at "
        f"{result['classes']} classes: {result['rss_mb']:.0f} MB.",
    ]
    return "\n".join(lines)


def main() -> int:
    """Fill the table between README.md's markers; 1 when they are missing."""
    readme = ROOT / "README.md"
    result = json.loads((ROOT / "benchmarks" / "results" / "x86_64.json").read_text())
    text, filled = re.subn(
        r"(<!-- speed, by make bench -->\n).*?(<!-- speed ends -->)",
        lambda found: f"{found[1]}{table(result)}\n{found[2]}",
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if filled != 1:
        sys.stderr.write("README.md has lost the marks around its table of times\n")
        return 1
    readme.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
