"""Do something when a class comes into view: python act_on_events.py STATE CAMERA CLASS COMMAND...

For example: python act_on_events.py ~/things v4l2:/dev/video0 cat aplay meow.wav
"""

import subprocess
import sys

from edge_app import Decided, Device

SURE = 0.8
"""Confidence from which the command is run."""


def main(state: str, camera: str, label: str, *command: str) -> None:
    """Run the command each time that the class appears, until the camera ends."""
    with Device(state, camera=camera) as device:
        shown = False
        for event in device.events(Decided):
            seen = event.label == label and event.confidence >= SURE
            if seen and not shown:
                subprocess.run(command, check=False)  # noqa: S603 the command of the person who starts this
            shown = seen


if __name__ == "__main__":
    main(*sys.argv[1:])
