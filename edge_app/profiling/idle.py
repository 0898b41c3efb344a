"""Processor time of `edge-app run` while the picture does not change."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge_app.profiling.process import running

CAMERA = "sim:scene=still,size=640x480,fps=30"
CONFIG = """\
[idle]
threshold = 3.0
watch_fps = {watch_fps:g}
"""
SETTLE_S = 5.0
"""Until the picture counts as still and the work of starting is done."""


def measure_idle(*, seconds: float = 20.0, watch_fps: float = 5.0, camera: str = CAMERA) -> dict[str, Any]:
    """Return the processor time of `edge-app run` in front of a still picture, as JSON values.

    `cpu_share` is its processor time over `seconds` (0.05: 5 % of one core), `cpu_s` of `wall_s`; two classes were
    taught. The simulated camera's pictures differ in sensor noise, and are drawn beforehand. Raises EdgeAppError.
    """
    with TemporaryDirectory(prefix="edge-app-idle-") as folder:
        config = Path(folder) / "config.toml"
        config.write_text(CONFIG.format(watch_fps=watch_fps))
        options = ("--config", str(config), "--state", str(Path(folder) / "state"), "--camera", camera)
        with running(*options, "--buttons", "sim:disc@0.5,square@1") as device:
            device.wait_for("learnt", 60, times=2)
            time.sleep(SETTLE_S)
            before, start = device.look(), time.monotonic()
            time.sleep(seconds)
            after, wall_s = device.look(), time.monotonic() - start
    cpu_s = after["cpu_s"] - before["cpu_s"]
    return {
        "cpu_share": cpu_s / wall_s,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "watch_fps": watch_fps,
        "camera": camera,
        "rss_mb": after["rss_mb"],
        "load": after["load"],
    }
