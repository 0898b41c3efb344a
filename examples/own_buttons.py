"""Press buttons from any program, here lines of text: python own_buttons.py STATE CAMERA NAME... < LINES

A line is the name of a button; a button teaches the class of its name, `undo` takes back the last press.
"""

import sys
import threading
import time

from edge_app import ButtonEdge, Corrected, Device, Rejected, Taught
from edge_app.closing import Closing


class LineButtons(Closing):
    """Buttons that are pressed by lines of text. Meets the interface `edge_app.Buttons`."""

    def __init__(self, lines, names):
        self.names = (*names, "undo")
        self._edges = []
        self._came = threading.Condition()
        threading.Thread(target=self._follow, args=(lines,), daemon=True).start()

    def _follow(self, lines):
        for line in lines:
            now = time.monotonic_ns()
            with self._came:
                self._edges += [ButtonEdge(line.strip(), True, now), ButtonEdge(line.strip(), False, now)]
                self._came.notify()

    def read(self, timeout_s):
        """Return the presses since the last call, waiting up to `timeout_s` for the first."""
        with self._came:
            self._came.wait_for(lambda: self._edges, timeout_s)
            edges, self._edges = self._edges, []
        return edges

    def close(self):
        """There is nothing to release."""


def main(state: str, camera: str, *names: str) -> None:
    """Print what each press did, until Ctrl-C."""
    with Device(state, camera=camera, buttons=LineButtons(sys.stdin, names)) as device:
        events = device.events(Taught, Corrected, Rejected)
        print("ready", flush=True)
        for event in events:
            match event:
                case Taught():
                    print(f"example {event.example} is {event.label}", flush=True)
                case Corrected():
                    print(f"{event.kind}: {', '.join(event.labels)}", flush=True)
                case Rejected():
                    print(f"not carried out: {event.reason}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
