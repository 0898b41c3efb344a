"""The encoder: present, unaltered, with the expected bits and speed."""

import statistics
from collections.abc import Callable, Iterator

from edge_app.doctor.findings import Finding
from edge_app.encoder import selfcheck
from edge_app.encoder.model import DEFAULT_MODEL, ModelManifest
from edge_app.encoder.tflite import TFLiteEncoder

FRAMES = 8
SLOW_MS = {"Raspberry Pi 4": 250.0, "Raspberry Pi 5": 80.0, "Jetson Orin": 80.0, "": 60.0}
"""Board -> longest expected milliseconds per frame, one thread, shipped model; "": a PC. Estimated from the processors'
arithmetic, with a margin: not measured on a board yet (docs/platforms.md)."""


def check_model(
    manifest: ModelManifest, board: str | None, now: Callable[[], float], threads: int = 1
) -> Iterator[Finding]:
    """Load a model with checked hashes, check its bits and its speed; `now` is a clock in seconds."""
    yield Finding("model", "ok", f"{manifest.name}, SHA-256 {manifest.sha256[:16]} as in its manifest")
    with TFLiteEncoder(manifest, threads=threads) as encoder:
        yield _bits(selfcheck.check(encoder), encoder.runtime)
        picture = selfcheck.picture(manifest.input_size)
        times = []
        for _ in range(FRAMES):
            start = now()
            encoder.encode(picture)
            times.append((now() - start) * 1000)
    # the median: the first call also allocates
    yield _speed(statistics.median(times), manifest, board, threads)


def _bits(found: selfcheck.SelfCheck, runtime: str) -> Finding:
    digest = f"{runtime}, embedding {found.embedding[:16]} of the built-in picture"
    if found.equal is None:
        return Finding("arithmetic", "ok", f"{digest}; the manifest has no digest to compare with")
    if found.equal:
        return Finding("arithmetic", "ok", f"{digest}, as in the manifest")
    return Finding(
        "arithmetic",
        "warning",
        f"{digest}, expected {(found.expected or '')[:16]}: decisions may differ from other machines",
        "docs/platforms.md lists the platforms that agree; `edge-app info` shows runtime and processor",
    )


def _speed(ms: float, manifest: ModelManifest, board: str | None, threads: int) -> Finding:
    detail = f"{ms:.1f} ms per frame, {threads} thread{'s' if threads > 1 else ''}"
    limit = next((limit for name, limit in SLOW_MS.items() if name and name in (board or "")), None)
    limit = SLOW_MS[""] if limit is None and board is None else limit
    # the limits were estimated for the shipped model
    if limit is None or manifest.name != DEFAULT_MODEL:
        return Finding("speed", "ok", f"{detail}; no reference for this board")
    if ms <= limit:
        return Finding("speed", "ok", f"{detail}; expected at most {limit:g} ms")
    advice = "see temperature, throttling and power supply, and other programs in `top`"
    return Finding("speed", "warning", f"{detail}; expected at most {limit:g} ms", advice)
