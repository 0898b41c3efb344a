"""Writes the tables of times in README.md and docs/performance.md from the kept result of `make bench`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_app.errors import InputError

SPEED = r"(<!-- speed, by make bench -->\n).*?(<!-- speed ends -->)"
PEERS = r"(<!-- speed beside others, by make bench -->\n).*?(<!-- speed beside others ends -->)"
STEPS = {
    "encoder_invoke_ms": "encoder alone, in a bare loop",
    "preprocess_ms": "crop and scale a 640 x 480 frame",
    "rate_code_ms": "embedding to spike counts",
    "decide_ms": "decide among {classes} classes",
    "frame_ms": "**whole frame, one after the other**",
    "learn_ms": "learn one example",
}


def text(found: Mapping[str, Any]) -> str:
    """Return the steps of a frame in Markdown."""
    device = found["device"]
    machine, sustained = device["machine"], device["sustained"]
    return "\n".join(
        [
            f"{machine['cpu']}, {device['threads']} thread, {machine['runtime']}, {machine['system'].split()[-1]}:",
            "",
            *_steps(device),
            "",
            f"Overlapped on {machine['cores']} cores the live loop reaches {100 * sustained['live_to_bare']:.0f} % of "
            f"the encoder's own best rate. Start to the first decision, kernels compiled before: "
            f"{device['startup_s']:.2f} s. Resident memory at {device['classes']} classes: {device['rss_mb']:.0f} MB.",
        ]
    )


def peers_text(found: Mapping[str, Any]) -> str:
    """Return the comparison with other classifiers in Markdown."""
    return "\n".join(
        [
            f"In the same run, on the same {found['peers']['classes']} classes, one example at a time, microseconds:",
            "",
            *_peers(found),
            "",
            *_knp(found["classifier"]["KNP's: 10 classes, K = 20"]),
        ]
    )


def fill(readme: Path, performance: Path, found: Mapping[str, Any]) -> None:
    """Put the texts between the markers of the two pages. Raises InputError if markers are missing."""
    for path, marks, words in ((readme, SPEED, text(found)), (performance, PEERS, peers_text(found))):
        _fill(path, marks, words)


def _fill(path: Path, marks: str, words: str) -> None:
    page, filled = re.subn(
        marks, lambda match: f"{match[1]}{words}\n{match[2]}", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    if filled != 1:
        raise InputError(f"{path} has lost the marks around its table of times: {marks.split('(')[1][:-3]}")
    path.write_text(page, encoding="utf-8")


def _steps(device: Mapping[str, Any]) -> list[str]:
    encoder = device["encoder_invoke_ms"]["p50"]
    lines = ["| | ms, median | p95 | of the encoder's time |", "|---|---:|---:|---:|"]
    for key, words in STEPS.items():
        times, name = device[key], words.format(classes=device["classes"])
        lines.append(f"| {name} | {times['p50']:.2f} | {times['p95']:.2f} | {times['p50'] / encoder:.3f} |")
    return lines


def _peers(found: Mapping[str, Any]) -> list[str]:
    times = {name: taken["p10"] for name, taken in found["peers"]["us"].items()}
    lines = ["| | decide | learn |", "|---|---:|---:|"]
    for name in dict.fromkeys(job.rsplit(": ", 1)[0] for job in times if job.endswith(("decide", "learn"))):
        learn = times[f"{name}: learn"]
        more = times.get(f"{name}: weights for the next decision", 0.0)
        words = f"{learn:,.0f}" + (f", and {more:,.0f} before it can decide" if more else "")
        shown = f"**{name}**" if name == "CoLaNET" else name
        lines.append(f"| {shown} | {times[f'{name}: decide']:,.0f} | {words} |")
    akida = found["peers"].get("akida")
    if akida:
        times = akida["us"]
        lines.append(f"| Akida's simulator, 1-bit weights | {times['decide']:,.0f} | {times['learn']:,.0f} |")
    return lines


def _knp(size: Mapping[str, Any]) -> list[str]:
    return [
        "The CoLaNET network of the Kaspersky Neuromorphic Platform (1280 inputs x 200 L neurons, the published rule) "
        f"decides on {size['decisions_per_s']:,.0f} and learns {size['learnt_per_s']:,.0f} images a second here; under "
        "that platform itself, 187 and 150."
    ]
