"""A stand-in of OpenEB with the interface that is used of it, in an environment of its own, driven by a test.

The test's code may define `slices(delta_t)`, which yields arrays (`cd` makes them), `size` as (height, width), and
`opened(input_path)`.
"""

import sys
from pathlib import Path

import numpy as np

LIBRARY = """
import itertools, os, threading, time
import numpy as np

EventCD = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
size = (48, 64)

def cd(*events):
    \"\"\"Events (t, x, y, on).\"\"\"
    return np.array([(x, y, int(on), t) for t, x, y, on in events], EventCD)

def hang():
    threading.Event().wait()

def opened(input_path):
    pass

class EventsIterator:
    def __init__(self, input_path, start_ts=0, mode="delta_t", delta_t=10000, n_events=10000, max_duration=None,
                 relative_timestamps=False, **kwargs):
        assert isinstance(input_path, str) and mode == "delta_t"
        opened(input_path)
        self._slices = slices(delta_t)

    def get_size(self):
        return size

    def __iter__(self):
        yield from self._slices
"""
LIVE = """
def slices(delta_t):
    start = time.monotonic()
    for i in itertools.count():
        time.sleep(max(0, start + i * delta_t / 1e6 - time.monotonic()))
        yield cd(*((i * delta_t + k, (i + k) % 64, k % 48, k % 2) for k in range(20)))
"""
"""A camera that delivers in real time."""


def python_without(folder: Path) -> str:
    """Return the Python of an environment with numpy and nothing of OpenEB."""
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    site.mkdir(parents=True)
    (site / "numpy.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(base)
    return str(folder / "bin" / "python")


def python_with(folder: Path, code: str) -> str:
    """Return the Python of an environment in which OpenEB is the stand-in with `code`."""
    python = python_without(folder)
    package = next(folder.glob("lib/*/site-packages")) / "metavision_core" / "event_io"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text(f"{LIBRARY}\n{code}")
    return python
