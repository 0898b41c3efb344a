"""The encoder: there, unaltered, computing the bits that others compute, as fast as the board allows."""

import statistics
from collections.abc import Callable, Iterator

from edge_app.doctor.findings import Finding
from edge_app.encoder import selfcheck
from edge_app.encoder.model import DEFAULT_MODEL, ModelManifest
from edge_app.encoder.tflite import TFLiteEncoder

FRAMES = 8
SLOW_MS = {"Raspberry Pi 4": 250.0, "Raspberry Pi 5": 80.0, "Jetson Orin": 80.0, "": 60.0}
"""Board -> milliseconds a frame, one thread, shipped model, above which something is wrong; "": a PC. Estimated from
the processors' arithmetic, with room: no board has run it yet (docs/platforms.md)."""


def check_model(
    manifest: ModelManifest, board: str | None, now: Callable[[], float], threads: int = 1
) -> Iterator[Finding]:
    """Load a model whose hashes were compared, check its bits and its speed; `now` is a clock in seconds."""
    yield Finding("model", "ok", f"{manifest.name}, SHA-256 {manifest.sha256[:16]} as its manifest says")
    with TFLiteEncoder(manifest, threads=threads) as encoder:
        yield _bits(selfcheck.check(encoder), encoder.runtime)
        picture = selfcheck.picture(manifest.input_size)
        times = []
        for _ in range(FRAMES):
            start = now()
            encoder.encode(picture)
            times.append((now() - start) * 1000)
    yield _speed(statistics.median(times), manifest, board, threads)


def _bits(found: selfcheck.SelfCheck, runtime: str) -> Finding:
    digest = f"{runtime}, embedding {found.embedding[:16]} of the built-in picture"
    if found.equal is None:
        return Finding("arithmetic", "ok", f"{digest}; the manifest has none to compare with")
    if found.equal:
        return Finding("arithmetic", "ok", f"{digest}, as the manifest says")
    return Finding(
        "arithmetic",
        "warning",
        f"{digest}, the manifest says {(found.expected or '')[:16]}: another machine may decide otherwise",
        "docs/platforms.md names what agrees; `edge-app info` shows runtime and processor",
    )


def _speed(ms: float, manifest: ModelManifest, board: str | None, threads: int) -> Finding:
    detail = f"{ms:.1f} ms a frame, {threads} thread{'s' if threads > 1 else ''}"
    limit = next((limit for name, limit in SLOW_MS.items() if name and name in (board or "")), None)
    limit = SLOW_MS[""] if limit is None and board is None else limit
    if limit is None or manifest.name != DEFAULT_MODEL:
        return Finding("speed", "ok", f"{detail}; no figure to compare with")
    if ms <= limit:
        return Finding("speed", "ok", f"{detail}; up to {limit:g} ms is expected")
    advice = "see temperature, throttling and power supply; other programs: `top`"
    return Finding("speed", "warning", f"{detail}; up to {limit:g} ms is expected", advice)
