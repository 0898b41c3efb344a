"""Opening by URI."""

import subprocess
import sys

import pytest

from edge_app.devices import open_buttons, open_camera
from edge_app.errors import InputError
from edge_app.simulation.devices import SimulatedClock

CLOCK = SimulatedClock()


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="no camera driver is called 'v4l3'; known: sim:, dir:, file:"):
        open_camera("v4l3:/dev/video0", CLOCK)
    with pytest.raises(InputError, match="no buttons driver is called 'dir'; known: sim:, keyboard:, gpio:"):
        open_buttons("dir:pictures", CLOCK)


@pytest.mark.parametrize("uri", ["", "sim", ":", "/dev/video0"])
def test_what_is_no_uri_says_what_one_looks_like(uri: str) -> None:
    with pytest.raises(InputError, match="SCHEME:DETAILS"):
        open_camera(uri, CLOCK)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sim:fps=fast", "fps = 'fast'"),
        ("sim:scene=shapes,fps=0", "fps = 0, expected 0.01 to 1000"),
        ("sim:scene=shapes,fps=nan", "fps = nan"),
        ("sim:seed=-1", "seed = '-1': expected a whole number of zero or more"),
        ("sim:fps", "'fps' needs a value"),
        ("sim:fps=1,fps=2", "'fps' is given twice"),
        ("sim:size=640", "expected WIDTHxHEIGHT"),
        ("sim:size=9x9", "expected WIDTHxHEIGHT"),
        ("sim:scene=moon", "expected photographs, shapes or still"),
        ("sim:stall=soon", r"expected START or START\+LENGTH"),
        ("sim:stall=5+0", "a length above zero"),
        ("dir:", "names no path"),
        ("dir:.?loop=maybe", "expected yes or no"),
    ],
)
def test_bad_options_are_refused_by_name(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_camera(uri, CLOCK)


def test_no_driver_is_imported_before_it_is_named() -> None:
    code = (
        "import sys, edge_app.devices;"
        "print([m for m in sys.modules if m in ('cv2', 'termios', 'numba') or m.endswith('simulated')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
